"""Hydration: fetch what a section's resources refer to, within limits; what cannot be had is reported missing.

A resource is read once however many sections refer to it. A type that keeps refusing is not asked for again, so a token
that does not cover Practitioner costs a few requests and not three hundred.
"""

from __future__ import annotations

import asyncio
import base64
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from urllib.parse import quote

import orjson

from adapters.errors import AdapterError, AuthorizationError, BadAnswer, NotSupported
from adapters.fhir.http import Answer
from adapters.fhir.references import Attached, Key, References, references_of
from adapters.fhir.search import KEPT_BYTES, Found, Keep, is_of_other
from adapters.profile import Limits, Profile
from models.record import Missing, RawResource, Rejected, RejectReason, Section

MOST_ROUNDS = 3
"""What was fetched may refer further (a role to its practitioner, a panel to its members): so many steps."""
MOST_REFUSALS = 5
"""Reads of one type that are refused, with none allowed, until the type is not asked for any more."""
MOST_ABSENT = 20
"""The same for 404: at some servers it means that the type is not exposed, at others that this one is gone."""
Read = Callable[[str, str, int], Awaitable[Answer]]
"""GET a URL of a resource type within so many bytes; raises AdapterError."""
_PERSONAL = frozenset({"Binary", "Observation"})
"""What belongs to one patient: remembered for that patient only."""
_MARKUP = frozenset({"text/html", "application/xhtml+xml"})


class Board:
    """Which sections of one patient are under way, and what the searches of those that ended found."""

    def __init__(self, profile: Profile) -> None:
        self._types = {s: {q.resource_type for q in rule.queries} for s, rule in profile.sections.items()}
        self._ended: dict[Section, asyncio.Event] = {}
        self._found: dict[Section, frozenset[Key]] = {}
        self._unknown = False

    def began(self, section: Section) -> None:
        """The section is being asked for (again)."""
        if section not in self._ended or self._ended[section].is_set():
            self._ended[section] = asyncio.Event()

    def ended(self, section: Section, found: Found) -> None:
        """The searches of the section are over, well or not."""
        if not self._ended[section].is_set():
            self._found[section] = frozenset(found.resources)
            self._ended[section].set()

    def not_known(self) -> None:
        """The site says that it does not know the patient."""
        self._unknown = True

    async def is_unknown(self) -> bool:
        """Whether the site said so, once the demographics, if they are under way, have ended."""
        under_way = self._ended.get("demographics")
        if under_way is not None:
            await under_way.wait()
        return self._unknown

    async def searched(self, resource_type: str) -> frozenset[Key]:
        """What the sections that ask for a type found, once those under way have ended their searches."""
        keys: set[Key] = set()
        for section, ended in list(self._ended.items()):
            if resource_type in self._types[section]:
                await ended.wait()
                keys |= self._found[section]
        return frozenset(keys)


class Hydrator:
    """Referenced resources of one site, for one open source."""

    def __init__(self, site: str, base: str, types: frozenset[str], limits: Limits, read: Read, keep: Keep) -> None:
        self._site, self._base, self._types, self._limits = site, base, types, limits
        self._read, self._keep = read, keep
        self._got: dict[tuple[Key, str], RawResource | Rejected | str] = {}
        self._locks: defaultdict[tuple[Key, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._slots = asyncio.Semaphore(limits.concurrency)
        self._refused: Counter[str] = Counter()
        self._absent: Counter[str] = Counter()
        self._allowed: set[str] = set()

    async def hydrate(
        self,
        found: Found,
        section: Section,
        patient: str,
        readable: frozenset[str] | None,
        searched: Callable[[str], Awaitable[frozenset[Key]]],
    ) -> None:
        """Add to `found` what its resources refer to.

        `readable`: types the token covers (None: all). `searched`: what the other sections' searches of a type found,
        when they have ended; that is not fetched again.
        """
        budget, looked = self._limits.max_hydrated, set[Key]()
        fresh = list(found.resources.values())
        for _ in range(MOST_ROUNDS):
            wanted = References()
            for raw in fresh:
                references_of(orjson.loads(raw.content), self._base, self._types, wanted)
            self._note_elsewhere(wanted, found, section)
            keys = sorted((wanted.resources | set(wanted.documents)) - set(found.resources) - looked)
            for kind in {k for k, _ in keys}:
                others = await searched(kind)
                keys = [k for k in keys if k not in others]
            looked |= set(keys)
            allowed = [k for k in keys if readable is None or k[0] in readable]
            for key in keys:
                if key not in allowed:
                    _miss(found, self._site, section, key, "not fetched: the granted scopes do not cover it")
            for key in allowed[budget:]:
                _miss(found, self._site, section, key, "not fetched: cap on referenced resources")
            taken, budget = allowed[:budget], max(0, budget - len(allowed))
            fresh = await self._fetch(taken, wanted, found, section, patient)
            if not fresh:
                break
        found.missing.sort(key=lambda m: (m.reference, m.reason))

    async def _fetch(
        self, keys: list[Key], wanted: References, found: Found, section: Section, patient: str
    ) -> list[RawResource]:
        fresh: list[RawResource] = []

        async def one(key: Key) -> None:
            async with self._slots:  # so that what the first answers say, and weigh, is known before the next
                if found.size > self._limits.max_section_bytes:
                    got: RawResource | Rejected | str = "not fetched: cap on the section's bytes"
                else:
                    got = await self._once(key, wanted.documents.get(key), patient)
            if isinstance(got, RawResource):
                found.size += len(got.content)
                found.resources[key] = got
                fresh.append(got)
            elif isinstance(got, Rejected):
                found.rejected.append(got)
            else:
                _miss(found, self._site, section, key, got)

        await asyncio.gather(*(one(key) for key in keys))
        return sorted(fresh, key=lambda r: (r.resource_type, r.resource_id))

    def _note_elsewhere(self, wanted: References, found: Found, section: Section) -> None:
        told = {m.reference for m in found.missing}
        for label, count in sorted(Counter(label for label, _ in wanted.elsewhere).items()):
            if label not in told:
                why = "at another address"
                found.missing.append(
                    Missing(site=self._site, section=section, reference=label, reason=why, count=count)
                )

    async def _once(self, key: Key, attached: Attached | None, patient: str) -> RawResource | Rejected | str:
        place = (key, patient if key[0] in _PERSONAL else "")
        async with self._locks[place]:  # two sections may refer to it; whoever is cancelled leaves it to the other
            if place not in self._got:
                self._got[place] = await self._get(key, attached, patient)
            return self._got[place]

    async def _get(self, key: Key, attached: Attached | None, patient: str) -> RawResource | Rejected | str:
        kind, found = key
        most = self._limits.max_attachment_bytes if kind == "Binary" else self._limits.max_body_bytes
        if attached and attached.size is not None and attached.size > most:
            return "not fetched: too large"
        if kind not in self._allowed and (self._refused[kind] >= MOST_REFUSALS or self._absent[kind] >= MOST_ABSENT):
            return "not fetched: the site refuses this type"
        try:
            answer = await self._read(f"{self._base}/{kind}/{quote(found, safe='')}", kind, _wire(most, kind))
        except NotSupported as error:
            counter = self._absent if error.status in (404, 410) else self._refused
            counter[kind] += 1
            return f"not found at the site: {error}"
        except AuthorizationError as error:
            self._refused[kind] += 1
            return f"refused: {error}"
        except AdapterError as error:
            return f"not readable: {error.code}"
        self._allowed.add(kind)
        return self._made(key, answer, attached, patient)

    def _made(self, key: Key, answer: Answer, attached: Attached | None, patient: str) -> RawResource | Rejected | str:
        kind, found = key
        if kind == "Binary" and "json" not in answer.content_type:
            return self._document(found, answer, attached)
        try:
            resource = answer.json()
        except BadAnswer as error:
            return f"not readable: {error.code}"
        if not isinstance(resource, dict) or resource.get("resourceType") != kind:
            return self._reject(key, answer, "wrong_resource_type", f"asked for {kind}")
        if resource.get("id") != found and not (kind == "Binary" and "id" not in resource):
            return self._reject(key, answer, "missing_id", "another id than asked for")
        if kind == "Observation" and is_of_other(resource, patient):
            return self._reject(key, answer, "wrong_patient", "subject")
        return self._keep(key, resource, answer.text)

    def _document(self, found: str, answer: Answer, attached: Attached | None) -> RawResource | str:
        """A document that came as itself, wrapped as the Binary it is."""
        kind = answer.content_type.partition(";")[0].strip().lower()
        if kind in _MARKUP and attached and attached.content_type and attached.content_type not in _MARKUP:
            return "not readable: html_body"  # seen: a login or error page with status 200 where a PDF is meant
        resource = {
            "resourceType": "Binary",
            "id": found,
            "contentType": answer.content_type or (attached.content_type if attached else ""),
            "data": base64.b64encode(answer.body).decode(),
        }
        return self._keep(("Binary", found), resource, orjson.dumps(resource))

    def _reject(self, key: Key, answer: Answer, reason: RejectReason, detail: str) -> Rejected:
        return Rejected(
            site=self._site,
            reason=reason,
            detail=detail,
            resource_type=key[0],
            resource_id=key[1],
            source=f"{key[0]} read",
            content=answer.body[:KEPT_BYTES],
        )


def _wire(most: int, kind: str) -> int:
    """Bytes on the wire for `most` bytes of content: a Binary may come as JSON with base64 inside."""
    return most * 4 // 3 + 10_000 if kind == "Binary" else most


def _miss(found: Found, site: str, section: Section, key: Key, reason: str) -> None:
    found.missing.append(Missing(site=site, section=section, reference="/".join(key), reason=reason))

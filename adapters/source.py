"""One open site: a patient's sections as raw resources, with the truth about what was not got.

`fetch` never raises for something the site did: a refused, broken or missing resource type becomes the coverage of its
section, and the other sections go on. Discovery, tokens and single requests are the session's (adapters/session.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote

from adapters.companion.fetch import CompanionApi
from adapters.egress import Egress
from adapters.errors import (
    AdapterError,
    AuthorizationError,
    BadAnswer,
    ConfigurationError,
    NotSupported,
    ScopeRefused,
    SiteUnavailable,
)
from adapters.fhir.http import Answer, Http, Tally, tallied
from adapters.fhir.references import Key
from adapters.fhir.search import Asked, Found, search, search_url
from adapters.hydrate import Board, Hydrator
from adapters.plan import Search, searches_of, unasked
from adapters.profile import SiteConfig
from adapters.section import SectionFetch, remarks_on, section_result, why
from adapters.session import Session, SiteReport
from adapters.smart.keys import KeyPair
from adapters.smart.tokens import TokenStore
from models.record import SECTIONS, RawResource, Section

__all__ = ["Progress", "SectionFetch", "SiteReport", "Source"]

Progress = Callable[[str, Section, str], None]
"""Called with site, section and state as each section ends."""


class Source(Session):
    """A session that knows what a section is. `await discover()` before the first fetch, or let fetch do it."""

    def __init__(
        self,
        tenant: str,
        site: SiteConfig,
        *,
        key: KeyPair | None = None,
        secret: str = "",
        tokens: TokenStore | None = None,
        clock: Callable[[], float] = time.time,
        egress: Egress | None = None,
        http: Http | None = None,
        writes: Mapping[str, Literal["create", "update"]] | None = None,
    ) -> None:
        """As for Session; `tenant` is whose the resources are."""
        super().__init__(
            site, key=key, secret=secret, tokens=tokens, clock=clock, egress=egress, http=http, writes=writes
        )
        self.tenant = tenant
        self.companion = CompanionApi(tenant, site, self._ask_companion, clock)
        self.auth.optional = self.companion.scopes
        self.auth.supporting = self.profile.supporting_types
        self._hydrator = Hydrator(
            site.name, site.fhir_base, frozenset(self.profile.hydrate), self.profile.limits, self.get, self._keep
        )
        self._boards: dict[str, Board] = {}

    async def find_patients(self, *, names: Sequence[str] = (), **params: str) -> list[RawResource]:
        """Search patients (identifier, family, given, birthdate, ...); each of `names` begins some part of the name.

        Raises AdapterError.
        """
        await self.discover()
        found, identifier = Found(), params.get("identifier", "")
        if identifier and "|" not in identifier and self.profile.patient_identifier_needs_system:
            if not self.profile.mrn_system:
                raise ConfigurationError(
                    "this site finds a patient by system|value only: give both, or set overrides.mrn_system",
                    code="identifier_needs_system",
                )
            params["identifier"] = f"{self.profile.mrn_system}|{identifier}"
        asked = [*{**self.profile.required_params, **params}.items(), *(("name", word) for word in names)]
        url = search_url(self.site.fhir_base, "Patient", asked)
        await search(self._getter("Patient"), url, self._asked("Patient", None), self._keep, found)
        return [raw for key, raw in sorted(found.resources.items()) if key[0] == "Patient"]

    async def fetch_patient(
        self, patient_id: str, sections: Sequence[Section] = SECTIONS, progress: Progress | None = None
    ) -> list[SectionFetch]:
        """All sections side by side, within the site's limits."""

        async def one(section: Section) -> SectionFetch:
            result = await self.fetch(patient_id, section)
            if progress:
                progress(self.site.name, section, result.coverage.state)
            return result

        tasks = {s: asyncio.ensure_future(one(s)) for s in self.longest_first(sections)}
        return list(await asyncio.gather(*(tasks[s] for s in sections)))

    def longest_first(self, sections: Iterable[Section]) -> list[Section]:
        """In the order in which they are best begun: by how long the pages of one search take, one after the other."""

        def seconds(section: Section) -> float:
            rule = self.profile.sections[section]
            return rule.pages * max(self._http.slots.usual(q.resource_type) for q in rule.queries)

        return sorted(sections, key=seconds, reverse=True)

    async def fetch(self, patient_id: str, section: Section) -> SectionFetch:
        """One section. Never raises for the site's faults; see the coverage.

        Sections of one patient that are under way at once know of each other: what one's searches find, no other
        fetches again as a reference.
        """
        with tallied() as tally:
            return await self._fetch(patient_id, section, tally)

    async def _fetch(self, patient_id: str, section: Section, tally: Tally) -> SectionFetch:
        board = self._boards.setdefault(patient_id, Board(self.profile))
        board.began(section)
        pages = self.profile.sections[section].pages
        found, failures, declined, started = Found(), list[AdapterError](), list[Search](), self._clock()
        told: list[str] = []
        searches = searches_of(self.profile, section, patient_id, datetime.fromtimestamp(started, UTC).date())
        beside = self.companion.beside(section, patient_id)
        try:
            async with asyncio.timeout(self.profile.limits.section_seconds):
                report = await self.discover()
                if self.site.one_patient_each and self._token is not None and self._token.patient != patient_id:
                    raise AuthorizationError("the authorization is another patient's", code="another_patient")
                asked = (self._search(s, pages, patient_id, report, found, failures, declined, told) for s in searches)
                await asyncio.gather(*asked, beside.ask(self._token))
                board.ended(section, found)
                if section != "demographics" and not (found.resources or failures) and await board.is_unknown():
                    # seen: searches about a patient nobody has heard of answer 200 and nothing; that is no "empty"
                    failures += [_unknown_patient()] * len(searches)
                readable = None if self._token is None else self.auth.granted(self._token)
                await self._hydrator.hydrate(found, section, patient_id, readable, board.searched)
                await beside.settle(failures, self._token)
            whole = len(failures) + len(declined) >= len(searches) + beside.asked
        except TimeoutError:
            failures, whole = [SiteUnavailable("the section's deadline passed", code="deadline")], True
        except AdapterError as error:
            failures, whole = [error], True
        finally:
            board.ended(section, found)
        apart = unasked(self.profile.sections[section], searches, declined)
        beside.give(found)
        return section_result(
            section,
            self.site.name,
            list(dict.fromkeys((*(s.resource_type for s in searches), *beside.types))),
            found,
            failures,
            whole=whole,
            as_of=_iso(started),
            remark="; ".join(p for p in (remarks_on(searches, declined, apart), *told, beside.remark) if p),
            unasked=apart,
            requests=tally.requests,
        )

    async def _search(
        self,
        asked: Search,
        pages: int,
        patient_id: str,
        report: SiteReport,
        found: Found,
        failures: list[AdapterError],
        declined: list[Search],
        told: list[str],
    ) -> None:
        """One search of a section; what it brings goes to `found`, why it brings nothing to `failures`, and it to
        `declined` where the section is whole without it (`told`: what must be said of that)."""
        part, kind = Found(), asked.resource_type
        try:
            self.check_allowed(kind, report)
            if kind == "Patient":
                await self._read_patient(patient_id, part)
            else:
                url = search_url(self.site.fhir_base, kind, list(asked.params))
                await search(self._getter(kind, pages), url, self._asked(kind, patient_id), self._keep, part)
        except AdapterError as error:
            if asked.optional and isinstance(error, NotSupported):
                declined.append(asked)
            elif asked.supporting and isinstance(error, ScopeRefused):
                declined.append(asked)
                told.append(f"without {kind}: {why(error)}")
            else:
                failures.append(error)
        finally:
            found.add(part)

    async def look(self, asked: Search, patient_id: str, most_pages: int, into: list[Answer]) -> Found:
        """The first pages of one search, asked like a section's; each answer of the site also goes to `into`, as it came.

        Raises the AdapterError of the first page, or of a type that is not asked for here.
        """
        report, found, kind = await self.discover(), Found(), asked.resource_type
        self.check_allowed(kind, report)
        if kind == "Patient":
            await self._read_patient(patient_id, found)
            return found

        async def get(url: str) -> Answer:
            into.append(await self.get(url, kind))
            return into[-1]

        few = Asked(
            self.site.name,
            kind,
            patient_id,
            self.profile.paging.model_copy(update={"max_pages": most_pages}),
            self.profile.limits.max_section_bytes,
        )
        await search(get, search_url(self.site.fhir_base, kind, list(asked.params)), few, self._keep, found)
        return found

    async def _ask_companion(self, url: str, feed: str, accept: str) -> Answer:
        return await self.get(url, feed, accept=accept)

    async def look_companion(self, feed: str, patient_id: str) -> Found:
        """The first page of a list of the companion API. Raises AdapterError."""
        await self.discover()
        found = Found()
        await self.companion.read(feed, patient_id, self._token, found, 1)
        return found

    def may_ask_companion(self) -> bool:
        """Whether the token covers the companion API."""
        return self.companion.allowed(self._token)

    async def _read_patient(self, patient_id: str, into: Found) -> None:
        try:
            answer = await self.get(f"{self.site.fhir_base}/Patient/{quote(patient_id, safe='')}", "Patient")
        except NotSupported as error:
            if error.status not in (404, 410):
                raise
            self._boards.setdefault(patient_id, Board(self.profile)).not_known()
            raise _unknown_patient() from None
        resource = answer.json()
        if not isinstance(resource, dict) or resource.get("resourceType") != "Patient":
            raise BadAnswer("something else than a Patient", code="wrong_resource_type", body=answer.body)
        if resource.get("id") != patient_id:
            raise BadAnswer("another patient than asked for", code="wrong_patient", body=answer.body)
        into.resources[("Patient", patient_id)] = self._keep(("Patient", patient_id), resource, answer.text)

    def _getter(self, kind: str, pages: int = 1) -> Callable[[str], Awaitable[Answer]]:
        """Reads the pages of one search, of which there are `pages` in a long chart.

        How many are left, no server says for sure. Beyond what is usual, as many are expected as there were.
        """
        walked = 0

        async def get(url: str) -> Answer:
            nonlocal walked
            left, walked = max(pages - walked, walked + 1), walked + 1
            return await self.get(url, kind, pages=left)

        return get

    def _asked(self, kind: str, patient: str | None) -> Asked:
        return Asked(self.site.name, kind, patient, self.profile.paging, self.profile.limits.max_section_bytes)

    def _keep(self, key: Key, resource: dict[str, Any], content: bytes) -> RawResource:
        meta = resource.get("meta")
        version = meta.get("versionId") if isinstance(meta, dict) else None
        return RawResource(
            tenant=self.tenant,
            site=self.site.name,
            resource_type=key[0],
            resource_id=key[1],
            content=content,
            version=version if isinstance(version, str) else "",
            retrieved=_iso(self._clock()),
            fhir_version=self._report.capabilities.release if self._report else "R4",
        )


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _unknown_patient() -> BadAnswer:
    return BadAnswer("the site does not know this patient", code="patient_not_found", status=404)

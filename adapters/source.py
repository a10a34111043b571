"""One open site: profile + credentials + client -> raw resources with the truth about what was not got.

`fetch` never raises for something the site did: a refused, broken or missing resource type becomes the coverage of its
section, and the other sections go on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote

from adapters.companion.fetch import CompanionApi
from adapters.egress import Egress, same_origin
from adapters.errors import (
    AdapterError,
    AuthorizationError,
    BadAnswer,
    ConfigurationError,
    EgressRefused,
    NotSupported,
    ScopeRefused,
    SiteUnavailable,
)
from adapters.fhir.capabilities import Capabilities, read_capabilities
from adapters.fhir.http import Answer, Http, Tally, tallied
from adapters.fhir.outcome import error_of, known_meaning, meaning
from adapters.fhir.pace import shared_pace
from adapters.fhir.references import Key
from adapters.fhir.search import Asked, Found, search, search_url
from adapters.hydrate import Board, Hydrator
from adapters.plan import Search, searches_of
from adapters.profile import Profile, SiteConfig
from adapters.section import UNDATED, SectionFetch, section_result
from adapters.smart import launch as launches
from adapters.smart.backend import BackendAuth
from adapters.smart.delegated import DelegatedAuth
from adapters.smart.discovery import DISCOVERY_TRIES, SmartConfiguration, discover
from adapters.smart.endpoint import TokenEndpoint
from adapters.smart.keys import KeyPair
from adapters.smart.launch import Launch
from adapters.smart.scopes import explain, syntax_of
from adapters.smart.tokens import REFUSAL_SECONDS, Authority, MemoryTokens, Token, TokenStore
from adapters.smart.writing import Need, covers, writing_scopes
from models.record import SECTIONS, RawResource, Section, Value

__all__ = ["Progress", "SectionFetch", "SiteReport", "Source"]

Progress = Callable[[str, Section, str], None]
"""Called with site, section and state as each section ends."""


class SiteReport(Value, frozen=True):
    """What opening a site taught."""

    site: str
    capabilities: Capabilities
    token_endpoint: str = ""
    discovered_by: str = ""
    scopes_asked: tuple[str, ...] = ()
    types_granted: tuple[str, ...] = ()
    types_missing: tuple[str, ...] = ()
    types_refused: tuple[str, ...] = ()


class Source:
    """An open site. Use as an async context manager; `await discover()` before the first fetch (fetch does it too)."""

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
        """`key` or `secret`: how the client shows who it is, as the site's client_auth says. `tokens`: those of the site,
        or of the one patient it is opened for where each has an authorization of their own. `clock` gives Unix time.
        `writes`: opened to write these types, and at a backend service with scopes for that only.

        Raises ConfigurationError for a site that cannot be opened as it is configured.
        """
        self.tenant, self.site = tenant, site
        self.profile: Profile = site.profile()
        hosts = (*site.token_hosts, *self.profile.token_hosts)
        gate = egress or Egress(site.fhir_base, allow_loopback=site.allow_loopback, extra_hosts=hosts)
        pace = shared_pace(site.fhir_base, self.profile.limits.requests_per_second)
        self._writes = dict(writes or {})
        self._http = http or Http(gate, self.profile.limits, pace=pace)
        self._clock = clock
        self._tokens = tokens or MemoryTokens()
        self._endpoint = TokenEndpoint(self._http, site, key, secret, self._find_endpoints, clock=clock)
        kind = DelegatedAuth if site.launches else BackendAuth
        self.auth: Authority = kind(self._endpoint, site, self.profile, self._tokens, clock)
        self.companion = CompanionApi(tenant, site, self._ask_companion, clock)
        self.auth.optional = self.companion.scopes
        self._hydrator = Hydrator(
            site.name, site.fhir_base, frozenset(self.profile.hydrate), self.profile.limits, self._read, self._keep
        )
        self._discovery = asyncio.Lock()
        self._report: SiteReport | None = None
        self._token: Token | None = None
        self._refusal: tuple[AdapterError, float] | None = None
        self._stubborn: set[tuple[str, int]] = set()
        self._boards: dict[str, Board] = {}

    async def __aenter__(self) -> Source:
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.auth.settled()
        await self._http.__aexit__()

    @property
    def requests(self) -> int:
        """Requests sent so far."""
        return self._http.requests

    def resource_types(self, sections: Iterable[Section] = SECTIONS) -> tuple[str, ...]:
        """Types that are needed for `sections`, with those their references lead to; to write: the types written."""
        if self._writes:
            return tuple(sorted(self._writes))
        wanted = {q.resource_type for s in sections for q in self.profile.sections[s].queries}
        drugs = wanted & {"MedicationRequest", "MedicationOrder", "MedicationStatement"}
        supporting = {t for t in self.profile.hydrate if t != "Observation" and (t != "Medication" or drugs)}
        provenance = {"Provenance"} if any(self.profile.sections[s].include_provenance for s in sections) else set()
        return tuple(sorted(wanted | supporting | provenance))

    def why_scopes(self) -> dict[str, str]:
        """Each scope that is asked for, and in one sentence what for."""
        found: dict[str, list[str]] = {}
        for section in SECTIONS:
            for query in self.profile.sections[section].queries:
                found.setdefault(query.resource_type, []).append(section.replace("_", " "))
        reasons = {kind: ", ".join(dict.fromkeys(sections)) for kind, sections in found.items()}
        words = {kind: reasons.get(kind, "what the record refers to") for kind in self.resource_types()}
        second = dict.fromkeys(self.companion.scopes, "read what this vendor's FHIR API does not have")
        return {scope: second.get(scope) or explain(scope, words) for scope in self.auth.asked}

    async def begin_launch(self, launch: str = "", patient: str = "") -> tuple[str, Launch]:
        """Where a person authorizes, and what to remember until they are back (see adapters/smart/launch.py).

        `launch`: what the EHR handed over; `patient`: whom it must be for, by the site's id. Raises AdapterError.
        """
        _, configuration, _, _ = await self._endpoints()
        return launches.begin(
            self._http,
            self.site,
            self.profile,
            configuration,
            " ".join(self.auth.asked),
            now=self._clock(),
            launch=launch,
            patient=patient,
        )

    async def finish_launch(self, kept: Launch, answer: Mapping[str, str]) -> Token:
        """The token for what the browser brought back. It is not stored yet. Raises AdapterError."""
        await self._endpoints()
        return await launches.finish(self._http, self._endpoint, self.site, kept, answer, now=self._clock())

    async def disconnect(self) -> bool:
        """End the authorization at the site and forget it here; whether the site said yes. Never raises for the site."""
        done = False
        async with self._tokens.held(self.site.name) as held:
            known = await held.get(self.site.name)
            if known is not None:
                try:
                    await self._endpoints()
                    done = await launches.give_back(self._endpoint, known)
                except AdapterError:
                    done = False
                await held.delete(self.site.name)
        return done

    async def discover(self) -> SiteReport:
        """Read the capability statement and the authorization endpoints, and get a token. Raises AdapterError."""
        async with self._discovery:
            if self._refusal is not None and self._clock() < self._refusal[1]:
                raise self._refusal[0]
            if self._report is None:
                try:
                    self._report = await self._discover()
                except AdapterError as error:
                    self._refusal = (error, self._clock() + REFUSAL_SECONDS)
                    raise
            return self._report

    async def _discover(self) -> SiteReport:
        name = self.site.name
        if self.site.auth == "none":
            capabilities, wanted, missing = await self._offered()
            return SiteReport(site=name, capabilities=capabilities, types_granted=wanted, types_missing=missing)
        capabilities, configuration, wanted, missing = await self._endpoints()
        if self._writes and not self.site.launches:
            known, listed = configuration.capabilities, configuration.scopes_supported
            syntax = syntax_of(known, listed, self.profile.scope_syntax)
            self.auth.asked = writing_scopes({t: w for t, w in self._writes.items() if t in wanted}, syntax)
        self._token = await self.auth.token()
        granted = self.auth.granted(self._token)
        return SiteReport(
            site=name,
            capabilities=capabilities,
            token_endpoint=configuration.token_endpoint,
            discovered_by=configuration.source,
            scopes_asked=self.auth.asked,
            types_granted=tuple(sorted(granted)),
            types_missing=missing,
            types_refused=tuple(t for t in wanted if t not in granted),
        )

    async def _offered(self) -> tuple[Capabilities, tuple[str, ...], tuple[str, ...]]:
        """The capability statement, and which of the types we need are in it and which are not."""
        capabilities = await self._capabilities()
        types = self.resource_types()
        wanted = tuple(t for t in types if capabilities.offers(t))
        return capabilities, wanted, tuple(t for t in types if t not in wanted)

    async def _endpoints(self) -> tuple[Capabilities, SmartConfiguration, tuple[str, ...], tuple[str, ...]]:
        """Discovery, and the scopes we need settled."""
        capabilities, wanted, missing = await self._offered()
        configuration = await discover(self._http, self.site.fhir_base, capabilities.oauth)
        self.auth.plan(configuration, wanted)
        return capabilities, configuration, wanted, missing

    async def _capabilities(self) -> Capabilities:
        try:
            answer = await self._http.send(
                "GET",
                f"{self.site.fhir_base}/metadata",
                headers={"Accept": self.profile.accept},
                lane="metadata",
                tries=DISCOVERY_TRIES,
            )
            return read_capabilities(answer.json()) if answer.status == 200 else Capabilities(declared=False)
        except BadAnswer:  # seen: HTML or a cut-off statement; the searches will tell
            return Capabilities(declared=False)

    async def _find_endpoints(self) -> SmartConfiguration:
        """The authorization endpoints, read anew: an upgrade may have moved them."""
        return await discover(self._http, self.site.fhir_base, (await self._capabilities()).oauth)

    async def _ask_companion(self, url: str, feed: str, accept: str) -> Answer:
        return await self.get(url, feed, accept=accept)

    async def get(
        self, url: str, resource_type: str = "", most_bytes: int | None = None, *, accept: str = ""
    ) -> Answer:
        """GET with our token, one renewal when it is refused; raises the AdapterError that an error answer means."""
        if not same_origin(url, self.site.fhir_base):
            raise EgressRefused("a link to another origin", code="egress_origin")
        answer, token = await self._ask(url, resource_type, most_bytes, None, accept)
        if answer.status < 300:
            return answer
        rules = self.profile.answers
        means = meaning(answer, resource_type, rules)
        place = (resource_type, answer.status)
        if means == "reauthorize_once" and token is not None and place not in self._stubborn:
            answer, _ = await self._ask(url, resource_type, most_bytes, token, accept)
            if answer.status < 300:
                return answer
            means = meaning(answer, resource_type, rules)
            if means == "reauthorize_once":  # a fresh token did not help: it would not for the next request either
                self._stubborn.add(place)
        raise error_of(answer, means)

    async def _ask(
        self, url: str, resource_type: str, most_bytes: int | None, refused: Token | None, accept: str = ""
    ) -> tuple[Answer, Token | None]:
        headers, token = {"Accept": accept or self.profile.accept}, None
        if resource_type == "Binary":  # as a resource if the site can, as itself if not
            headers["Accept"] += ", */*;q=0.1"
        if self.site.auth != "none":
            token = await self.auth.token(not_this=refused.access_token if refused else "")
            headers["Authorization"] = f"Bearer {token.access_token}"

        def worth_retrying(answer: Answer) -> bool | None:
            known = known_meaning(answer, resource_type, self.profile.answers)
            return None if known is None else known == "retry"

        answer = await self._http.send(
            "GET", url, headers=headers, lane=resource_type, worth_retrying=worth_retrying, most_bytes=most_bytes
        )
        return answer, token

    async def send(
        self,
        method: Literal["POST", "PUT"],
        url: str,
        resource_type: str,
        content: bytes,
        headers: Mapping[str, str],
        *,
        tries: int | None,
    ) -> Answer:
        """Send a resource with our token, once more with a new one after a 401 (which means that nothing was done).

        `tries`: how often it may be sent; None where repeating is safe. Returns answers of any status; raises
        SiteUnavailable when none came.
        """
        if not same_origin(url, self.site.fhir_base):
            raise EgressRefused("a link to another origin", code="egress_origin")
        refused = ""
        while True:
            told = {"Accept": self.profile.accept, "Content-Type": "application/fhir+json", **headers}
            token = None
            if self.site.auth != "none":
                token = await self.auth.token(not_this=refused)
                told["Authorization"] = f"Bearer {token.access_token}"
            answer = await self._http.send(method, url, headers=told, content=content, lane=resource_type, tries=tries)
            if answer.status != 401 or token is None or refused:
                return answer
            refused = token.access_token

    def may(self, resource_type: str, need: Need) -> bool:
        """Whether the granted scopes cover it; True at a site that asks for no token."""
        return self._token is None or covers(self._token.scope, self._token.asked.split(), resource_type, need)

    async def _read(self, url: str, resource_type: str, most_bytes: int) -> Answer:
        return await self.get(url, resource_type, most_bytes)

    async def find_patients(self, **params: str) -> list[RawResource]:
        """Search patients (identifier, family, given, birthdate, ...). Raises AdapterError."""
        await self.discover()
        found, identifier = Found(), params.get("identifier", "")
        if identifier and "|" not in identifier and self.profile.patient_identifier_needs_system:
            if not self.profile.mrn_system:
                raise ConfigurationError(
                    "this site finds a patient by system|value only: give both, or set overrides.mrn_system",
                    code="identifier_needs_system",
                )
            params["identifier"] = f"{self.profile.mrn_system}|{identifier}"
        url = search_url(self.site.fhir_base, "Patient", {**self.profile.required_params, **params})
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

        return list(await asyncio.gather(*(one(s) for s in sections)))

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
        found, failures, started = Found(), list[AdapterError](), self._clock()
        searches = searches_of(self.profile, section, patient_id, datetime.fromtimestamp(started, UTC).date())
        beside = self.companion.beside(section, patient_id)
        try:
            async with asyncio.timeout(self.profile.limits.section_seconds):
                report = await self.discover()
                if self.site.one_patient_each and self._token is not None and self._token.patient != patient_id:
                    raise AuthorizationError("the authorization is another patient's", code="another_patient")
                asked = (self._search(s, patient_id, report, found, failures) for s in searches)
                await asyncio.gather(*asked, beside.ask(self._token))
                board.ended(section, found)
                if section != "demographics" and not (found.resources or failures) and await board.is_unknown():
                    # seen: searches about a patient nobody has heard of answer 200 and nothing; that is no "empty"
                    failures += [_unknown_patient()] * len(searches)
                readable = None if self._token is None else self.auth.granted(self._token)
                await self._hydrator.hydrate(found, section, patient_id, readable, board.searched)
                await beside.settle(failures, self._token)
            whole = len(failures) == len(searches) + beside.asked
        except TimeoutError:
            failures, whole = [SiteUnavailable("the section's deadline passed", code="deadline")], True
        except AdapterError as error:
            failures, whole = [error], True
        finally:
            board.ended(section, found)
        beside.give(found)
        return section_result(
            section,
            self.site.name,
            list(dict.fromkeys((*(s.resource_type for s in searches), *beside.types))),
            found,
            failures,
            whole=whole,
            as_of=_iso(started),
            remark="; ".join(p for p in (UNDATED if any(s.dated for s in searches) else "", beside.remark) if p),
            requests=tally.requests,
        )

    async def _search(
        self, asked: Search, patient_id: str, report: SiteReport, found: Found, failures: list[AdapterError]
    ) -> None:
        """One search of a section; what it brings goes to `found`, why it brings nothing to `failures`."""
        part, kind = Found(), asked.resource_type
        try:
            self._check_allowed(kind, report)
            if kind == "Patient":
                await self._read_patient(patient_id, part)
            else:
                url = search_url(self.site.fhir_base, kind, list(asked.params))
                await search(self._getter(kind), url, self._asked(kind, patient_id), self._keep, part)
        except AdapterError as error:
            failures.append(error)
        finally:
            found.add(part)

    async def look(self, asked: Search, patient_id: str, most_pages: int, into: list[Answer]) -> Found:
        """The first pages of one search, asked like a section's; each answer of the site also goes to `into`, as it came.

        Raises the AdapterError of the first page, or of a type that is not asked for here.
        """
        report, found, kind = await self.discover(), Found(), asked.resource_type
        self._check_allowed(kind, report)
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

    async def look_companion(self, feed: str, patient_id: str) -> Found:
        """The first page of a list of the companion API. Raises AdapterError."""
        await self.discover()
        found = Found()
        await self.companion.read(feed, patient_id, self._token, found, 1)
        return found

    def may_ask_companion(self) -> bool:
        """Whether the token covers the companion API."""
        return self.companion.allowed(self._token)

    def _check_allowed(self, kind: str, report: SiteReport) -> None:
        if not report.capabilities.offers(kind):
            raise NotSupported("not in the capability statement")
        need: Literal["read", "search"] = "read" if kind == "Patient" else "search"
        if self._token is not None and kind not in self.auth.granted(self._token, need):
            raise ScopeRefused("the granted scopes do not cover it")

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

    def _getter(self, kind: str) -> Callable[[str], Awaitable[Answer]]:
        async def get(url: str) -> Answer:
            return await self.get(url, kind)

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

"""One open site: profile + credentials + client -> raw resources with the truth about what was not got.

`fetch` never raises for something the site did: a refused, broken or missing resource type becomes the coverage of its
section, and the other sections go on.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import orjson

from adapters.egress import Egress, same_origin
from adapters.errors import (
    AdapterError,
    AuthorizationError,
    BadAnswer,
    EgressRefused,
    NotSupported,
    ScopeRefused,
    SiteUnavailable,
)
from adapters.fhir.capabilities import Capabilities, read_capabilities
from adapters.fhir.http import RETRY_STATUS, Answer, Http
from adapters.fhir.outcome import issue_codes, meaning
from adapters.fhir.search import Found, search, search_url
from adapters.normalizer.values import reference_key
from adapters.profile import Profile, Query, SiteConfig, load_profile
from adapters.smart.backend import BackendAuth, MemoryTokens, TokenStore, discover
from adapters.smart.keys import KeyPair
from models.record import (
    RESOURCE_TYPE_OF_SECTION,
    SECTIONS,
    Coverage,
    CoverageState,
    Missing,
    RawResource,
    Rejected,
    Section,
    Value,
)

Progress = Callable[[str, Section, str], None]
"""Called with site, section and state as each section ends."""
_STATE_OF_CODE: dict[str, CoverageState] = {
    "not_supported": "not_supported",
    "not_authorized": "not_authorized",
    "needs_reauthorization": "not_authorized",
}
MOST_REFERENCE_DEPTH = 8
REFUSAL_SECONDS = 30.0
"""A site that could not be opened is not asked again for so long: its other sections end the same way."""


class SectionFetch(Value, frozen=True):
    """What one section of one patient brought at one site. offered = resources + rejected + missing."""

    section: Section
    coverage: Coverage
    resources: tuple[RawResource, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    missing: tuple[Missing, ...] = ()
    outcomes: tuple[str, ...] = ()
    requests: int = 0


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
        tokens: TokenStore | None = None,
        clock: Callable[[], float] = time.time,
        egress: Egress | None = None,
        http: Http | None = None,
    ) -> None:
        self.tenant, self.site = tenant, site
        self.profile: Profile = load_profile(site.vendor, site.overrides)
        gate = egress or Egress(site.fhir_base, allow_loopback=site.allow_loopback, extra_hosts=site.token_hosts)
        self._http = http or Http(gate, self.profile.limits)
        self._clock = clock
        self.auth = BackendAuth(
            self._http, site, self.profile, key, tokens or MemoryTokens(), lambda: None, clock=clock
        )
        self._discovery = asyncio.Lock()
        self._report: SiteReport | None = None
        self._refusal: tuple[AdapterError, float] | None = None
        self._supporting: dict[tuple[str, str], RawResource | None] = {}

    async def __aenter__(self) -> Source:
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.__aexit__()

    @property
    def requests(self) -> int:
        """Requests sent so far."""
        return self._http.requests

    def resource_types(self, sections: Iterable[Section] = SECTIONS) -> tuple[str, ...]:
        """Types that are needed for `sections`, with those their references lead to."""
        wanted = {q.resource_type for s in sections for q in self.profile.sections[s].queries}
        supporting = {t for t in self.profile.hydrate if t != "Medication" or "MedicationRequest" in wanted}
        provenance = {"Provenance"} if any(self.profile.sections[s].include_provenance for s in sections) else set()
        return tuple(sorted(wanted | supporting | provenance))

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
        base = self.site.fhir_base
        try:
            answer = await self._http.send("GET", f"{base}/metadata", headers={"Accept": self.profile.accept})
            capabilities = read_capabilities(answer.json()) if answer.status == 200 else Capabilities(declared=False)
        except BadAnswer:  # seen: HTML or a cut-off statement; the searches will tell
            capabilities = Capabilities(declared=False)
        wanted = [t for t in self.resource_types() if capabilities.offers(t)]
        missing = tuple(t for t in self.resource_types() if not capabilities.offers(t))
        if self.site.auth == "none":
            return SiteReport(
                site=self.site.name, capabilities=capabilities, types_granted=tuple(wanted), types_missing=missing
            )
        configuration = await discover(self._http, base, capabilities.oauth)
        if not same_origin(configuration.token_endpoint, base):
            self._http.egress.check(configuration.token_endpoint)
        self.auth.plan(configuration, wanted)
        token = await self.auth.token()
        granted = self.auth.readable(token)
        return SiteReport(
            site=self.site.name,
            capabilities=capabilities,
            token_endpoint=configuration.token_endpoint,
            discovered_by=configuration.source,
            scopes_asked=self.auth.asked,
            types_granted=tuple(sorted(granted)),
            types_missing=missing,
            types_refused=tuple(t for t in wanted if t not in granted),
        )

    async def get(self, url: str, resource_type: str = "") -> Answer:
        """GET with our token, one renewal on 401; raises the AdapterError that an error answer means."""
        if not same_origin(url, self.site.fhir_base):
            raise EgressRefused("a link to another origin", code="egress_origin")
        headers = {"Accept": self.profile.accept}
        token = None
        if self.site.auth == "backend":
            token = await self.auth.token()
            headers["Authorization"] = f"Bearer {token.access_token}"
        answer = await self._http.send("GET", url, headers=headers)
        if answer.status < 300:
            return answer
        means = meaning(answer, resource_type, self.profile.answers)
        if means == "reauthorize_once" and token is not None:
            fresh = await self.auth.token(not_this=token.access_token)
            answer = await self._http.send(
                "GET", url, headers=headers | {"Authorization": f"Bearer {fresh.access_token}"}
            )
            if answer.status < 300:
                return answer
            means = meaning(answer, resource_type, self.profile.answers)
        raise _error(answer, means)

    async def find_patients(self, **params: str) -> list[RawResource]:
        """Search patients (identifier, family, given, birthdate, ...). Raises AdapterError."""
        await self.discover()
        found = Found()
        query = {**self.profile.required_params, **params}
        url = search_url(self.site.fhir_base, "Patient", query)
        try:
            await search(
                lambda u: self.get(u, "Patient"),
                url,
                self.site.fhir_base,
                self.site.name,
                "Patient",
                "",
                self.profile.paging,
                found,
            )
        except NotSupported:
            return []
        items = [*found.resources.items()]
        for rejected in found.rejected:  # with no patient asked for, every Patient is "another" one
            if rejected.reason == "wrong_patient" and rejected.resource_type == "Patient":
                items.append((("Patient", rejected.resource_id), rejected.content))
        return [self._raw(kind, rid, content, None) for (kind, rid), content in items]

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
        """One section. Never raises for the site's faults; see the coverage."""
        found, before = Found(), self._http.requests
        resource_type = RESOURCE_TYPE_OF_SECTION[section]
        problem: AdapterError | None = None
        refused: list[AdapterError] = []
        hydrated: list[RawResource] = []
        try:
            async with asyncio.timeout(self.profile.limits.section_seconds):
                report = await self.discover()
                self._precheck(report, section)
                for query in self.profile.sections[section].queries:
                    try:
                        await self._search(patient_id, section, query, found)
                    except (NotSupported, ScopeRefused, BadAnswer, SiteUnavailable) as error:
                        refused.append(error)
                hydrated = await self._hydrate(found, section)
        except TimeoutError:
            problem = SiteUnavailable("the section's deadline passed", code="deadline")
        except AdapterError as error:
            problem = error
        if problem is None and refused and len(refused) == len(self.profile.sections[section].queries):
            problem = refused[0]
        return self._result(section, resource_type, found, hydrated, problem, refused, self._http.requests - before)

    def _precheck(self, report: SiteReport, section: Section) -> None:
        types = {q.resource_type for q in self.profile.sections[section].queries}
        if not any(report.capabilities.offers(t) for t in types):
            raise NotSupported("not in the capability statement")
        if self.site.auth == "backend" and not types & set(report.types_granted):
            raise ScopeRefused("the granted scopes do not cover it")

    async def _search(self, patient_id: str, section: Section, query: Query, found: Found) -> None:
        kind = query.resource_type
        get = lambda url: self.get(url, kind)  # noqa: E731
        if kind == "Patient":
            answer = await self.get(f"{self.site.fhir_base}/Patient/{patient_id}", kind)
            resource = answer.json()
            if not isinstance(resource, dict) or resource.get("resourceType") != "Patient":
                raise BadAnswer("something else than a Patient", code="wrong_resource_type", body=answer.body)
            found.pages += 1
            found.resources[("Patient", patient_id)] = answer.body
            return
        params = {query.patient_param: patient_id, **query.params, **self.profile.required_params}
        if self.profile.paging.count is not None:
            params["_count"] = str(self.profile.paging.count)
        if self.profile.sections[section].include_provenance:
            params["_revinclude"] = "Provenance:target"
        part = Found()
        url = search_url(self.site.fhir_base, kind, params)
        try:
            await search(get, url, self.site.fhir_base, self.site.name, kind, patient_id, self.profile.paging, part)
        finally:
            found.resources |= part.resources
            found.rejected += part.rejected
            found.missing += part.missing
            found.outcomes += part.outcomes
            found.pages += part.pages
            found.truncated = found.truncated or part.truncated
            found.broken = found.broken or part.broken

    def _result(
        self,
        section: Section,
        resource_type: str,
        found: Found,
        hydrated: list[RawResource],
        problem: AdapterError | None,
        refused: list[AdapterError],
        requests: int,
    ) -> SectionFetch:
        resources = tuple(
            self._raw(kind, rid, content, section) for (kind, rid), content in sorted(found.resources.items())
        )
        rejected = list(found.rejected)
        for error in [problem, *refused] if problem not in refused else refused:
            if isinstance(error, BadAnswer) and error.body:
                reason: Any = (
                    "too_large"
                    if error.code == "too_large"
                    else "operation_outcome"
                    if error.code == "operation_outcome"
                    else "not_json"
                )
                rejected.append(
                    Rejected(
                        site=self.site.name,
                        reason=reason,
                        detail=error.code,
                        section=section,
                        content=error.body[:100_000],
                    )
                )
        own = sum(
            1 for r in resources if r.resource_type in {q.resource_type for q in self.profile.sections[section].queries}
        )
        state, reason = self._state(own, found, problem, refused)
        rows = tuple({(r.resource_type, r.resource_id): r for r in (*resources, *hydrated)}.values())
        missing = tuple(found.missing)
        coverage = Coverage(
            section=section,
            site=self.site.name,
            state=state,
            resource_type=resource_type,
            as_of=_iso(self._clock()) if state not in ("failed", "not_authorized") else "",
            reason=reason,
            offered=own + len(rejected) + sum(m.count for m in missing),
            stored=own,
            quarantined=len(rejected),
            missing=sum(m.count for m in missing),
        )
        return SectionFetch(
            section=section,
            coverage=coverage,
            resources=rows,
            rejected=tuple(msgspec.structs.replace(r, section=section) for r in rejected),
            missing=missing,
            outcomes=tuple(sorted(set(found.outcomes))),
            requests=requests,
        )

    def _state(
        self, own: int, found: Found, problem: AdapterError | None, refused: list[AdapterError]
    ) -> tuple[CoverageState, str]:
        if problem is not None:
            return _STATE_OF_CODE.get(
                problem.code, "not_authorized" if isinstance(problem, AuthorizationError) else "failed"
            ), _why(problem)
        if found.truncated:
            return "truncated", found.truncated
        if found.broken:
            return "truncated", f"a page was lost: {found.broken}"
        hard = [r for r in refused if not isinstance(r, NotSupported)]
        if hard:
            return "truncated" if own else "failed", f"a part could not be read: {_why(hard[0])}"
        return ("present", "") if own else ("empty", "; ".join(sorted(set(found.outcomes)))[:200])

    async def _hydrate(self, found: Found, section: Section) -> list[RawResource]:
        """Fetch what the resources refer to (drugs, people, places, documents), within the limit; the rest is missing."""
        have = set(found.resources)
        wanted = sorted(
            {key for content in found.resources.values() for key in self._references(orjson.loads(content))} - have
        )
        report = await self.discover()
        fetched: list[RawResource] = []
        asked = [k for k in wanted if self.site.auth == "none" or k[0] in report.types_granted]
        left_out = [k for k in wanted if k not in asked] + asked[self.profile.limits.max_hydrated :]

        async def one(key: tuple[str, str]) -> None:
            if key not in self._supporting:
                self._supporting[key] = await self._read_one(key, section)
            raw = self._supporting[key]
            if raw is not None:
                fetched.append(raw)
            else:
                found.missing.append(
                    Missing(
                        site=self.site.name, section=section, reference="/".join(key), reason="reference not readable"
                    )
                )

        await asyncio.gather(*(one(k) for k in asked[: self.profile.limits.max_hydrated]))
        for key in left_out:
            found.missing.append(
                Missing(
                    site=self.site.name, section=section, reference="/".join(key), reason="not fetched: scope or cap"
                )
            )
        found.missing.sort(key=lambda m: m.reference)
        return sorted(fetched, key=lambda r: (r.resource_type, r.resource_id))

    def _references(self, resource: Any) -> set[tuple[str, str]]:
        """`(type, id)` of what a resource refers to, of the types the profile hydrates; attachments count as Binary."""
        keys: set[tuple[str, str]] = set()
        level, depth = [resource], 0
        while level and depth < MOST_REFERENCE_DEPTH:
            below: list[Any] = []
            for node in level:
                if isinstance(node, list):
                    below += node
                    continue
                if not isinstance(node, dict):
                    continue
                target = node.get("reference")
                if isinstance(target, str) and (node.get("display") is None or "Medication/" in target):
                    keys |= self._key_of(target)
                if "contentType" in node and "data" not in node and isinstance(node.get("url"), str):
                    keys |= self._key_of(node["url"])
                below += [
                    v for k, v in node.items() if k not in ("contained", "extension") and isinstance(v, dict | list)
                ]
            level, depth = below, depth + 1
        return keys

    def _key_of(self, reference: str) -> set[tuple[str, str]]:
        if reference.startswith(("http://", "https://")) and not reference.startswith(f"{self.site.fhir_base}/"):
            return set()
        kind, _, found = reference_key(reference).rpartition("/")
        return {(kind, found)} if kind in self.profile.hydrate and found else set()

    async def _read_one(self, key: tuple[str, str], section: Section) -> RawResource | None:
        kind, found = key
        try:
            answer = await self.get(f"{self.site.fhir_base}/{kind}/{found}", kind)
        except AdapterError:
            return None
        if kind == "Binary" and "json" not in answer.content_type:
            wrapped = {
                "resourceType": "Binary",
                "id": found,
                "contentType": answer.content_type.partition(";")[0],
                "data": base64.b64encode(answer.body).decode(),
            }
            return self._raw(kind, found, orjson.dumps(wrapped), section)
        try:
            resource = answer.json()
        except BadAnswer:
            return None
        if not isinstance(resource, dict) or resource.get("resourceType") != kind:
            return None
        return self._raw(kind, found, answer.body, section)

    def _raw(self, kind: str, found: str, content: bytes, section: Section | None) -> RawResource:
        version = ""
        if b'"versionId"' in content:
            meta = orjson.loads(content).get("meta")
            given = meta.get("versionId") if isinstance(meta, dict) else None
            version = given if isinstance(given, str) else ""
        return RawResource(
            tenant=self.tenant,
            site=self.site.name,
            resource_type=kind,
            resource_id=found,
            content=content,
            version=version,
            retrieved=_iso(self._clock()),
            fhir_version=self._report.capabilities.release if self._report else "R4",
            section=section,
        )


def _error(answer: Answer, means: str) -> AdapterError:
    codes: tuple[str, ...] = ()
    if answer.body[:1] == b"{":
        try:
            codes = issue_codes(answer.json())
        except BadAnswer:
            codes = ()
    words = f"HTTP {answer.status}{': ' + ', '.join(codes[:3]) if codes else ''}"
    if means == "not_supported":
        return NotSupported(words, status=answer.status)
    if means == "not_authorized":
        return ScopeRefused(words, status=answer.status)
    if means == "reauthorize_once":
        return AuthorizationError(words, status=answer.status)
    if means == "retry" or answer.status in RETRY_STATUS:
        return SiteUnavailable(words, code=f"http_{answer.status}", status=answer.status)
    return BadAnswer(words, code=f"http_{answer.status}", status=answer.status)


def _why(error: AdapterError) -> str:
    return f"{error.code}: {error}" if str(error) and str(error) != error.code else error.code


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

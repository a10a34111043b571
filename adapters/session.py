"""A site that is open: discovered, authorized, and asked one request at a time.

What a token, a renewal or a moved endpoint needs is done here, so that whoever asks for a section, a probe or a write only
says which URL.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Literal, Self, TypeVar

from adapters.egress import Egress, same_origin
from adapters.errors import AdapterError, BadAnswer, EgressRefused, NotSupported, ScopeRefused
from adapters.fhir.capabilities import Capabilities, read_capabilities
from adapters.fhir.http import Answer, Http, is_garbled
from adapters.fhir.outcome import error_of, known_meaning, meaning
from adapters.fhir.pace import shared_pace
from adapters.fhir.slots import MOST_BEHIND, shared_slots
from adapters.profile import Profile, SiteConfig
from adapters.smart import launch as launches
from adapters.smart.backend import BackendAuth
from adapters.smart.delegated import DelegatedAuth
from adapters.smart.discovery import DISCOVERY_TRIES, SmartConfiguration, endpoints, published
from adapters.smart.endpoint import TokenEndpoint
from adapters.smart.keys import KeyPair
from adapters.smart.launch import Launch
from adapters.smart.scopes import explain, syntax_of
from adapters.smart.tokens import REFUSAL_SECONDS, Authority, MemoryTokens, Token, TokenStore
from adapters.smart.writing import Need, covers, writing_scopes
from models.record import SECTIONS, Section, Value

A = TypeVar("A")
B = TypeVar("B")


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


class Session:
    """An open site. Use as an async context manager; what needs the site discovered discovers it."""

    def __init__(
        self,
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
        `writes`: opened to write these types; at a backend service with scopes for that only, after a launch with those
        that the person granted.

        Raises ConfigurationError for a site that cannot be opened as it is configured.
        """
        self.site = site
        self.profile: Profile = site.profile()
        hosts = (*site.token_hosts, *self.profile.token_hosts)
        gate = egress or Egress(site.fhir_base, allow_loopback=site.allow_loopback, extra_hosts=hosts)
        pace = shared_pace(site.fhir_base, self.profile.limits.requests_per_second)
        self._writes = dict(writes or {})
        slots = shared_slots(site.fhir_base, self.profile.limits.concurrency)
        self._http = http or Http(gate, self.profile.limits, pace=pace, slots=slots)
        self._clock = clock
        self._tokens = tokens or MemoryTokens()
        self._endpoint = TokenEndpoint(self._http, site, key, secret, self._find_endpoints, clock=clock)
        kind = DelegatedAuth if site.launches else BackendAuth
        self.auth: Authority = kind(self._endpoint, site, self.profile, self._tokens, clock)
        self._discovery = asyncio.Lock()
        self._report: SiteReport | None = None
        self._token: Token | None = None
        self._refusal: tuple[AdapterError, float] | None = None
        self._stubborn: set[tuple[str, int]] = set()

    async def __aenter__(self) -> Self:
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
        second = dict.fromkeys(self.auth.optional, "read what this vendor's FHIR API does not have")
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
        extra = self.profile.extra_types
        wanted = tuple(t for t in types if (t in capabilities.types if t in extra else capabilities.offers(t)))
        return capabilities, wanted, tuple(t for t in types if t not in wanted and t not in extra)

    async def _endpoints(self) -> tuple[Capabilities, SmartConfiguration, tuple[str, ...], tuple[str, ...]]:
        """Discovery, and the scopes we need settled."""
        offered, found = await _both(self._offered(), published(self._http, self.site.fhir_base))
        capabilities, wanted, missing = offered
        configuration = endpoints(found, capabilities.oauth)
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
                behind=MOST_BEHIND,
                worth_retrying=is_garbled,
            )
            return read_capabilities(answer.json()) if answer.status == 200 else Capabilities(declared=False)
        except BadAnswer:  # seen: HTML or a cut-off statement; the searches will tell
            return Capabilities(declared=False)

    async def _find_endpoints(self) -> SmartConfiguration:
        """The authorization endpoints, read anew: an upgrade may have moved them."""
        capabilities, found = await _both(self._capabilities(), published(self._http, self.site.fhir_base))
        return endpoints(found, capabilities.oauth)

    async def get(
        self, url: str, resource_type: str = "", most_bytes: int | None = None, *, pages: int = 1, accept: str = ""
    ) -> Answer:
        """GET with our token, one renewal when it is refused; raises the AdapterError that an error answer means.

        `pages`: how many answers like this one follow each other from here on, itself included; a long chain goes first.
        `accept`: for what is no FHIR resource (the companion API).
        """
        if not same_origin(url, self.site.fhir_base):
            raise EgressRefused("a link to another origin", code="egress_origin")
        answer, token = await self._ask(url, resource_type, most_bytes, pages, None, accept)
        if answer.status < 300:
            return answer
        rules = self.profile.answers
        means = meaning(answer, resource_type, rules)
        place = (resource_type, answer.status)
        if means == "reauthorize_once" and token is not None and place not in self._stubborn:
            answer, _ = await self._ask(url, resource_type, most_bytes, pages, token, accept)
            if answer.status < 300:
                return answer
            means = meaning(answer, resource_type, rules)
            if means == "reauthorize_once":  # a fresh token did not help: it would not for the next request either
                self._stubborn.add(place)
        raise error_of(answer, means)

    async def _ask(
        self, url: str, resource_type: str, most_bytes: int | None, pages: int, refused: Token | None, accept: str
    ) -> tuple[Answer, Token | None]:
        headers, token = {"Accept": accept or self.profile.accept}, None
        if resource_type == "Binary":  # as a resource if the site can, as itself if not
            headers["Accept"] += ", */*;q=0.1"
        if self.site.auth != "none":
            token = await self.auth.token(not_this=refused.access_token if refused else "")
            headers["Authorization"] = f"Bearer {token.access_token}"

        def worth_retrying(answer: Answer) -> bool | None:
            if answer.status < 400:
                return None if resource_type == "Binary" else is_garbled(answer)
            known = known_meaning(answer, resource_type, self.profile.answers)
            return None if known is None else known == "retry"

        answer = await self._http.send(
            "GET",
            url,
            headers=headers,
            lane=resource_type,
            worth_retrying=worth_retrying,
            most_bytes=most_bytes,
            behind=pages * self._http.slots.usual(resource_type),
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

    def is_for(self, patient_id: str) -> bool:
        """Whether the authorization in use is this patient's, where each patient has their own."""
        return not self.site.one_patient_each or self._token is None or self._token.patient == patient_id

    def was_asked(self, resource_type: str, need: Need) -> bool:
        """Whether whoever authorized was asked for it; not so where the site file permitted it only later."""
        return self._token is None or covers(None, self._token.asked.split(), resource_type, need)

    def may(self, resource_type: str, need: Need) -> bool:
        """Whether the granted scopes cover it; True at a site that asks for no token."""
        return self._token is None or covers(self._token.scope, self._token.asked.split(), resource_type, need)

    def check_allowed(self, kind: str, report: SiteReport) -> None:
        """Raises NotSupported or ScopeRefused for a type that the site does not have, or not for us."""
        offered = report.capabilities.offers(kind)
        if not offered or (kind in self.profile.extra_types and kind not in report.capabilities.types):
            raise NotSupported("not in the capability statement")
        need: Literal["read", "search"] = "read" if kind == "Patient" else "search"
        if self._token is not None and kind not in self.auth.granted(self._token, need):
            raise ScopeRefused("the granted scopes do not cover it")


async def _both(one: Awaitable[A], other: Awaitable[B]) -> tuple[A, B]:
    """Side by side. Raises what the first raised, once neither is under way any more."""
    first, second = await asyncio.gather(one, other, return_exceptions=True)
    if isinstance(first, BaseException):
        raise first
    if isinstance(second, BaseException):
        raise second
    return first, second

"""Connecting a site by a person's sign-in: from the address to open, over the site's pages, to a stored authorization.

What is remembered between leaving and coming back is sealed in the store under a hash of `state`, good once and for ten
minutes; the browser holds a cookie without which the answer is refused, so that nobody can be made to finish a sign-in
that another browser began. https://datatracker.ietf.org/doc/html/rfc9700
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec

from adapters.errors import ConfigurationError, LaunchRefused
from adapters.profile import CALLBACK, SiteConfig
from adapters.smart.launch import Launch
from adapters.smart.tokens import Token
from models.record import Value
from service.store import Store, UnknownSite
from service.workflows.opening import open_source

TICKET_KEY = "launch_tickets"
TICKET_SECONDS = 3600
"""How long the address that `site connect` prints can be opened."""
MOST_WAITING = 1000
"""Sign-ins under way in a tenant; the route that begins them is open."""
_STATE = re.compile(r"(\d{10,11})\.([A-Za-z0-9_-]{43})")
_TENANT = r"[a-z0-9][a-z0-9_-]{0,39}"
_COOKIE = re.compile(rf"({_TENANT})\.([A-Za-z0-9_-]{{43}})")
_TICKET = re.compile(rf"({_TENANT})\.([A-Za-z0-9_-]{{1,600}})\.([A-Za-z0-9_-]{{43}})")
_NAME = re.compile(_TENANT)
"""Of a tenant or a site."""
_ADDRESS = re.compile(r"https?://[\x21-\x7e]{1,2000}")
T = TypeVar("T")


class TooManyLaunches(Exception):
    """More sign-ins have begun than are kept."""


@dataclass(frozen=True)
class Departure:
    """Where a browser goes, and the cookie it must bring back. `framed_by`: the origins whose pages may show us."""

    url: str
    cookie: str
    value: str
    seconds: int
    secure: bool
    tenant: str
    site: str
    framed_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arrival:
    """What a finished sign-in gave. `user`: who signed in, as the audit names them."""

    tenant: str
    site: str
    patient_id: str
    user: str
    types_refused: tuple[str, ...]
    renewable: bool


class _Kept(Value, frozen=True):
    launch: Launch
    binding: str


class Connecting:
    """The sign-ins of one store."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives Unix time."""
        self._store, self._clock = store, clock

    def address(self, tenant: str, site: str, patient_id: str = "") -> str:
        """What a person opens to authorize a standalone site; `patient_id` (ours) says for whom it must be.

        Raises UnknownSite, UnknownPatient, and ConfigurationError for a site that is not connected so.
        """
        config = self._store.site(tenant, site)
        if config.auth != "standalone":
            words = 'only a site with auth = "standalone" is connected by an address'
            if config.auth == "ehr_launch":
                words = f"this site is opened from the EHR: register /smart/launch/{tenant}/{site} there"
            raise ConfigurationError(words, code="no_standalone_launch")
        there = ""
        if patient_id:
            links = self._store.links(tenant, patient_id)
            if site not in links:
                raise UnknownSite(site)
            there = links[site]
        body = msgspec.json.encode([site, there, int(self._clock()) + TICKET_SECONDS])
        ticket = f"{tenant}.{_b64(body)}.{_b64(_mac(self._store.internal_key(tenant, TICKET_KEY), body))}"
        return f"{config.redirect_uri.removesuffix(CALLBACK)}/smart/start?{urlencode({'ticket': ticket})}"

    def start(self, ticket: str) -> Departure:
        """Follow such an address. Raises LaunchRefused for one that is not ours or too old, and AdapterError."""
        match = _TICKET.fullmatch(ticket)
        if match is None:
            raise LaunchRefused("not an address of ours", code="launch_expired")
        tenant, body, mac = match[1], _unb64(match[2]), _unb64(match[3])
        key = self._store.secret(tenant, "", TICKET_KEY)  # not made here: anybody may name any tenant
        if key is None or not hmac.compare_digest(_mac(key, body), mac):
            raise LaunchRefused("not an address of ours", code="launch_expired")
        site, there, expires = msgspec.json.decode(body, type=tuple[str, str, int])
        if expires < self._clock():
            raise LaunchRefused("the address is too old; ask for another", code="launch_expired")
        return self._depart(tenant, self._store.site(tenant, site), "", there)

    def launch(self, iss: str, launch: str) -> Departure:
        """The EHR opened us at the address that all tenants share. Raises LaunchRefused, AdapterError.

        Only the FHIR bases of configured sites may be named. One address can be the base of several sites, of several
        tenants even (a vendor with one base for all its customers): then nothing says whose patient this is, and nobody
        guesses.
        """
        base = iss.rstrip("/")
        found = self._store.launch_sites(base) if _ADDRESS.fullmatch(base) else []
        if len(found) > 1:
            words = "several sites have this address: register /smart/launch/{tenant}/{site} at the EHR"
            raise LaunchRefused(words, code="ambiguous_issuer")
        if not found:
            raise _unknown_issuer()
        ((tenant, site),) = found
        return self._depart(tenant, self._store.site(tenant, site), launch, "")

    def launch_at(self, tenant: str, site: str, iss: str, launch: str) -> Departure:
        """The EHR opened us at the address of one site; `iss` must be its FHIR base. Raises LaunchRefused, AdapterError.

        Whoever asks learns nothing about which tenants and sites there are.
        """
        if not (_NAME.fullmatch(tenant) and _NAME.fullmatch(site)):
            raise _unknown_issuer()
        try:
            config = self._store.site(tenant, site)
        except UnknownSite:
            raise _unknown_issuer() from None
        if config.auth != "ehr_launch" or config.fhir_base != iss.rstrip("/"):
            raise _unknown_issuer()
        return self._depart(tenant, config, launch, "")

    def finish(self, answer: Mapping[str, str], cookies: Mapping[str, str]) -> Arrival:
        """The browser is back. Raises LaunchRefused and AdapterError; the state is used up either way."""
        state = answer.get("state", "")
        match, held = _STATE.fullmatch(state), _COOKIE.fullmatch(cookies.get(cookie_name(state), ""))
        if match is None or held is None:
            raise LaunchRefused("this browser has no sign-in under way", code="state_mismatch")
        tenant = held[1]
        sealed = self._store.take_secret(tenant, "", _place(state))
        if sealed is None:
            raise LaunchRefused("the sign-in is over: too old, or finished before", code="state_mismatch")
        kept = msgspec.json.decode(sealed, type=_Kept)
        if not hmac.compare_digest(kept.binding, _digest(held[2])):
            raise LaunchRefused("another browser began this sign-in", code="state_mismatch")
        try:
            config = self._store.site(tenant, kept.launch.site)
        except UnknownSite:
            raise LaunchRefused("the site is not connected any more", code="state_mismatch") from None
        return self._arrive(tenant, config, kept.launch, answer)

    def framed_by(self, answer: Mapping[str, str], cookies: Mapping[str, str]) -> tuple[str, ...]:
        """The origins whose pages may show what comes of an answer, also where it is refused; nothing is used up."""
        state = answer.get("state", "")
        match, held = _STATE.fullmatch(state), _COOKIE.fullmatch(cookies.get(cookie_name(state), ""))
        sealed = self._store.secret(held[1], "", _place(state)) if match and held else None
        if sealed is None or held is None:
            return ()
        kept = msgspec.json.decode(sealed, type=_Kept)
        if not hmac.compare_digest(kept.binding, _digest(held[2])):
            return ()
        try:
            return self._store.site(held[1], kept.launch.site).frame_ancestors
        except UnknownSite:
            return ()

    def disconnect(self, tenant: str, site: str, patient_id: str = "") -> dict[str, Any]:
        """Revoke and forget a site's authorization: all of them, or one patient's. Says how many, and how many the site
        confirmed."""
        config = self._store.site(tenant, site)
        wanted = [""]
        if config.one_patient_each:
            wanted = self._store.authorized_patients(tenant, site)
            if patient_id:
                there = self._store.links(tenant, patient_id).get(site)
                wanted = [p for p in wanted if p == there]

        async def end(there: str) -> bool:
            async with open_source(self._store, tenant, config, there, self._clock) as source:
                return await source.disconnect()

        confirmed = [_run(end(there)) for there in wanted]
        self._store.set_site_state(tenant, site, "needs_reauthorization", "disconnected")
        return {"site": site, "ended": len(confirmed), "confirmed_by_site": sum(confirmed)}

    def _depart(self, tenant: str, config: SiteConfig, launch: str, patient: str) -> Departure:
        now = int(self._clock())
        if self._store.count_secrets(tenant, "", "launch:", expired_before=now) >= MOST_WAITING:
            raise TooManyLaunches

        async def begin() -> tuple[str, Launch]:
            async with open_source(self._store, tenant, config, patient, self._clock) as source:
                return await source.begin_launch(launch, patient)

        url, kept = _run(begin())
        binding = secrets.token_urlsafe(32)
        body = msgspec.json.encode(_Kept(launch=kept, binding=_digest(binding)))
        self._store.put_secret(tenant, "", _place(kept.state), body)
        return Departure(
            url=url,
            cookie=cookie_name(kept.state),
            value=f"{tenant}.{binding}",
            seconds=max(kept.expires - now, 1),
            secure=config.redirect_uri.startswith("https:"),
            tenant=tenant,
            site=config.name,
            framed_by=config.frame_ancestors,
        )

    def _arrive(self, tenant: str, config: SiteConfig, kept: Launch, answer: Mapping[str, str]) -> Arrival:
        async def finish() -> tuple[Token, frozenset[str], tuple[str, ...]]:
            async with open_source(self._store, tenant, config, kept.patient, self._clock) as source:
                token = await source.finish_launch(kept, answer)
                return token, source.auth.granted(token), source.resource_types()

        token, granted, types = _run(finish())
        patient_id = self._store.register_patient(tenant, config.name, token.patient) if token.patient else ""
        own = token.patient if config.one_patient_each else ""
        _run(self._keep(tenant, config.name, own, token))
        self._store.set_site_state(tenant, config.name, "ready", "")
        refused = tuple(t for t in types if t not in granted)
        user = self._store.person_reference(tenant, config.name, token.user)
        return Arrival(tenant, config.name, patient_id, user, refused, bool(token.refresh_token))

    async def _keep(self, tenant: str, site: str, patient: str, token: Token) -> None:
        """In place of the authorization before. Under the lock: a renewal of that one which is under way ends first."""
        async with self._store.tokens(tenant, patient).held(site) as held:
            await held.put(site, token)


def cookie_name(state: str) -> str:
    """The cookie of one sign-in: sign-ins in two tabs do not disturb each other."""
    return f"chartbrief_launch_{_digest(state)[:12]}"


def _unknown_issuer() -> LaunchRefused:
    return LaunchRefused("no site with this address may open Chartbrief", code="unknown_issuer")


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def _place(state: str) -> str:
    """Where a sign-in is kept. The expiry stands in the name, so that what nobody came back for can be cleared away."""
    return f"launch:{state.partition('.')[0]}:{_digest(state)}"


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.new(key, body, hashlib.sha256).digest()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _unb64(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""

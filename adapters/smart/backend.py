"""SMART backend services: discovery, the signed token request, and one token for all requests that run side by side."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Annotated, Protocol

from msgspec import Meta

from adapters.errors import AdapterError, AuthorizationError, BadAnswer, ConfigurationError
from adapters.fhir.http import Http
from adapters.profile import Profile, SiteConfig
from adapters.smart.keys import KeyPair
from adapters.smart.scopes import minimum_scopes, readable_types, syntax_of
from models.record import Value

EARLY_SECONDS = 60.0
"""A token is renewed this long before it expires: clocks differ, requests take time."""


class SmartConfiguration(Value, frozen=True):
    """What a server publishes about authorization."""

    token_endpoint: str = ""
    authorization_endpoint: str = ""
    scopes_supported: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    auth_methods: tuple[str, ...] = ()
    source: Annotated[str, Meta(description="well-known or capability-statement.")] = ""


class Token(Value, frozen=True):
    """An access token and what it is good for."""

    access_token: str
    expires_at: Annotated[float, Meta(description="Unix time by our clock.")]
    scope: str | None = None

    def __repr__(self) -> str:
        return "Token(***)"


class TokenStore(Protocol):
    """Where tokens rest (sealed) between runs."""

    async def get(self, site: str) -> Token | None:
        """The token of a site, if there is one."""

    async def put(self, site: str, token: Token) -> None:
        """Keep a token; must be durable when it returns."""

    async def delete(self, site: str) -> None:
        """Forget a site's token."""


class MemoryTokens:
    """Tokens for as long as the process lives."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}

    async def get(self, site: str) -> Token | None:
        """The token of a site."""
        return self._tokens.get(site)

    async def put(self, site: str, token: Token) -> None:
        """Keep a token."""
        self._tokens[site] = token

    async def delete(self, site: str) -> None:
        """Forget it."""
        self._tokens.pop(site, None)


async def discover(http: Http, base: str, oauth: dict[str, str]) -> SmartConfiguration:
    """The smart-configuration of a server; `oauth` (from the capability statement) where there is none."""
    problem = "no smart-configuration"
    try:
        answer = await http.send(
            "GET", f"{base}/.well-known/smart-configuration", headers={"Accept": "application/json"}
        )
        if answer.status == 200:
            document = answer.json()
            if isinstance(document, dict) and isinstance(document.get("token_endpoint"), str):
                return SmartConfiguration(
                    token_endpoint=document["token_endpoint"],
                    authorization_endpoint=_text(document.get("authorization_endpoint")),
                    scopes_supported=_texts(document.get("scopes_supported")),
                    capabilities=_texts(document.get("capabilities")),
                    auth_methods=_texts(document.get("token_endpoint_auth_methods_supported")),
                    source="well-known",
                )
        problem = f"smart-configuration answered {answer.status}"
    except BadAnswer as error:
        problem = error.code
    if oauth.get("token"):
        return SmartConfiguration(
            token_endpoint=oauth["token"],
            authorization_endpoint=oauth.get("authorize", ""),
            source="capability-statement",
        )
    raise ConfigurationError(f"the site publishes no token endpoint ({problem})", code="no_token_endpoint")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()


class BackendAuth:
    """The authorization of one site: a token for whoever asks, renewed once however many ask."""

    def __init__(
        self,
        http: Http,
        site: SiteConfig,
        profile: Profile,
        key: KeyPair | None,
        tokens: TokenStore,
        rediscover: Callable[[], object],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._http, self._site, self._profile, self._key, self._tokens = http, site, profile, key, tokens
        self._lock = asyncio.Lock()
        self._clock = clock
        self._rediscover = rediscover
        self.configuration: SmartConfiguration | None = None
        self.asked: tuple[str, ...] = ()
        self.token_calls = 0

    def plan(self, configuration: SmartConfiguration, resource_types: Iterable[str]) -> None:
        """Settle which scopes to ask for."""
        self.configuration = configuration
        syntax = syntax_of(configuration.capabilities, configuration.scopes_supported, self._profile.scope_syntax)
        self.asked = minimum_scopes(resource_types, syntax)

    async def token(self, *, not_this: str = "") -> Token:
        """A token that is good for at least EARLY_SECONDS; `not_this` names one the site just refused.

        Side by side callers share one request: whoever comes second finds the new token. Raises AuthorizationError.
        """
        async with self._lock:
            known = await self._tokens.get(self._site.name)
            if known and known.access_token != not_this and known.expires_at - EARLY_SECONDS > self._clock():
                return known
            return await self._request()

    async def forget(self) -> None:
        """Drop the token."""
        await self._tokens.delete(self._site.name)

    def readable(self, token: Token) -> frozenset[str]:
        """Resource types the token lets us read."""
        return readable_types(token.scope, self.asked)

    async def _request(self) -> Token:
        if self._key is None or not self._site.client_id:
            raise ConfigurationError("the site needs client_id and a key for backend services", code="no_client_key")
        if self.configuration is None:
            raise ConfigurationError("the site was not discovered yet", code="not_discovered")
        try:
            return await self._call(self.configuration.token_endpoint)
        except AdapterError as error:
            moved = error.code in ("token_endpoint_gone", "timeout", "connection_failed", "html_body")
            if not moved:
                raise
        fresh = await discover(self._http, self._site.fhir_base, {})
        if fresh.token_endpoint == self.configuration.token_endpoint:
            raise AuthorizationError("the token endpoint does not answer", code="token_endpoint_gone")
        self._http.egress.check(fresh.token_endpoint)
        self.configuration = fresh
        return await self._call(fresh.token_endpoint)

    async def _call(self, endpoint: str) -> Token:
        assert self._key is not None
        self.token_calls += 1
        answer = await self._http.send(
            "POST",
            endpoint,
            headers={"Accept": "application/json"},
            data={
                "grant_type": "client_credentials",
                "scope": " ".join(self.asked),
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": self._key.assertion(self._site.client_id, endpoint, self._clock()),
            },
            tries=2,
        )
        if answer.status in (404, 405, 410, 301, 302):
            raise AuthorizationError("the token endpoint is gone", code="token_endpoint_gone", status=answer.status)
        try:
            document = answer.json()
        except BadAnswer:
            raise AuthorizationError(
                f"the token endpoint answered HTTP {answer.status} without JSON",
                code="token_endpoint_gone",
                status=answer.status,
            ) from None
        if answer.status != 200 or not isinstance(document, dict) or not isinstance(document.get("access_token"), str):
            reason = document.get("error") if isinstance(document, dict) else None
            known = reason if reason in _OAUTH_ERRORS else "refused"
            raise AuthorizationError(f"the token request was refused: {known}", status=answer.status)
        lifetime = document.get("expires_in")
        seconds = float(lifetime) if isinstance(lifetime, int | float) and not isinstance(lifetime, bool) else 300.0
        scope = document.get("scope")
        token = Token(
            access_token=document["access_token"],
            expires_at=self._clock() + max(seconds, EARLY_SECONDS + 1),
            scope=scope if isinstance(scope, str) else None,
        )
        await self._tokens.put(self._site.name, token)
        return token


_OAUTH_ERRORS = frozenset(
    [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    ]
)

"""SMART backend services: the signed token request, and one token for all requests that run side by side."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Annotated, Literal, Protocol

from msgspec import Meta

from adapters.errors import AdapterError, AuthorizationError, BadAnswer, ConfigurationError, SiteUnavailable
from adapters.fhir.http import Answer, Http
from adapters.fhir.pace import http_date
from adapters.profile import Profile, SiteConfig
from adapters.smart.discovery import SmartConfiguration
from adapters.smart.keys import KeyPair
from adapters.smart.scopes import granted_types, minimum_scopes, syntax_of
from models.record import Value

EARLY_SECONDS = 60.0
"""A token is renewed this long before it expires: clocks differ, requests take time."""
LIFETIME_SECONDS = 300.0
"""Taken when the answer does not say how long the token lives (SMART: it should be five minutes at most)."""
MOST_SKEW = 900.0
"""Seconds the site's clock may differ from ours and still be believed when we sign for it."""
REFUSAL_SECONDS = 30.0
"""After a refusal nobody asks for a token again for so long: the answer would be the same."""
TOKEN_TRIES = 2
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MOVED_STATUS = frozenset({404, 405, 410})
MOVED_CODES = frozenset({"token_endpoint_gone", "timeout", "connection_failed", "redirect", "egress_dns"})


class Token(Value, frozen=True):
    """An access token and what it is good for."""

    access_token: str
    expires_at: Annotated[float, Meta(description="Unix time by our clock.")]
    scope: str | None = None
    asked: Annotated[str, Meta(description="The scopes it was asked with.")] = ""
    base: Annotated[str, Meta(description="The FHIR base it was made for: it is sent nowhere else.")] = ""

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


class BackendAuth:
    """The authorization of one site: a token for whoever asks, renewed once however many ask."""

    def __init__(
        self,
        http: Http,
        site: SiteConfig,
        profile: Profile,
        key: KeyPair | None,
        tokens: TokenStore,
        rediscover: Callable[[], Awaitable[SmartConfiguration]],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`rediscover` reads anew where the site gives tokens; `clock` gives Unix time."""
        self._http, self._site, self._profile, self._key, self._tokens = http, site, profile, key, tokens
        self._lock = asyncio.Lock()
        self._clock, self._skew = clock, 0.0
        self._rediscover = rediscover
        self._refusal: tuple[AdapterError, float] | None = None
        self.configuration: SmartConfiguration | None = None
        self.asked: tuple[str, ...] = ()
        self.token_calls = 0

    def plan(self, configuration: SmartConfiguration, resource_types: Iterable[str]) -> None:
        """Settle which scopes to ask for. Raises ConfigurationError when the site cannot verify our key."""
        if self._key is None or not self._site.client_id:
            raise ConfigurationError("the site needs client_id and a key for backend services", code="no_client_key")
        known = [a for a in configuration.algorithms if a in ("RS384", "ES384")]
        if known and self._key.alg not in known:
            raise ConfigurationError(
                f"the site verifies {' and '.join(known)}, our key signs {self._key.alg}", code="key_algorithm"
            )
        self.configuration = configuration
        syntax = syntax_of(configuration.capabilities, configuration.scopes_supported, self._profile.scope_syntax)
        self.asked = minimum_scopes(resource_types, syntax)

    async def token(self, *, not_this: str = "") -> Token:
        """A token that is good for at least EARLY_SECONDS; `not_this` names one the site just refused.

        Side by side callers share one request: whoever comes second finds the new token. Raises AuthorizationError.
        """
        async with self._lock:
            known = await self._tokens.get(self._site.name)
            if known and known.access_token != not_this and self._is_good(known):
                return known
            if self._refusal is not None and self._clock() < self._refusal[1]:
                raise self._refusal[0]
            try:
                return await self._renew()
            except (AuthorizationError, ConfigurationError) as error:
                self._refusal = (error, self._clock() + REFUSAL_SECONDS)
                raise

    def granted(self, token: Token, need: Literal["read", "search"] = "read") -> frozenset[str]:
        """Resource types the token lets us read or search."""
        return granted_types(token.scope, self.asked, need)

    def _is_good(self, token: Token) -> bool:
        """Whether a stored token is still ours: not near its end, for this base, with what is asked for today."""
        return (
            token.expires_at - EARLY_SECONDS > self._clock()
            and token.base == self._site.fhir_base
            and token.asked == " ".join(self.asked)
        )

    async def _renew(self) -> Token:
        if self.configuration is None:
            raise ConfigurationError("the site was not discovered yet", code="not_discovered")
        endpoint = self.configuration.token_endpoint
        try:
            return await self._request(endpoint)
        except AdapterError as error:
            if error.code not in MOVED_CODES:
                raise
            problem = error
        fresh = await self._rediscover()
        if fresh.token_endpoint == endpoint:
            raise problem
        self.configuration = fresh
        return await self._request(fresh.token_endpoint)

    async def _request(self, endpoint: str) -> Token:
        answer = await self._call(endpoint)
        if answer.status in (400, 401):
            skew = self._skew_of(answer)
            if skew is not None:  # F11: sign by the site's clock, once
                self._skew = skew
                answer = await self._call(endpoint)
        return await self._accept(answer)

    async def _call(self, endpoint: str) -> Answer:
        self.token_calls += 1
        return await self._http.send(
            "POST",
            endpoint,
            headers={"Accept": "application/json"},
            data=lambda: self._form(endpoint),
            lane="token",
            tries=TOKEN_TRIES,
        )

    def _form(self, endpoint: str) -> Mapping[str, str]:
        """The request; an assertion of its own for each try, since a jti is good for one use."""
        assert self._key is not None
        return {
            "grant_type": "client_credentials",
            "scope": " ".join(self.asked),
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self._key.assertion(self._site.client_id, endpoint, self._clock() + self._skew),
        }

    def _skew_of(self, answer: Answer) -> float | None:
        """How far the site's clock is from the one we signed with, when that can be why it refused."""
        theirs = http_date(answer.headers.get("date", ""))
        if theirs is None:
            return None
        skew = theirs - self._clock()
        return skew if abs(skew - self._skew) > EARLY_SECONDS and abs(skew) <= MOST_SKEW else None

    async def _accept(self, answer: Answer) -> Token:
        status = answer.status
        if status == 429 or status >= 500:
            raise SiteUnavailable(f"the token endpoint answered HTTP {status}", code=f"http_{status}", status=status)
        if status in MOVED_STATUS:
            raise AuthorizationError("the token endpoint is gone", code="token_endpoint_gone", status=status)
        try:
            document = answer.json()
        except BadAnswer:
            words = f"the token endpoint answered HTTP {status} without JSON"
            raise AuthorizationError(words, code="token_endpoint_gone", status=status) from None
        if status != 200 or not isinstance(document, dict) or not _is_token(document):
            reason = document.get("error") if isinstance(document, dict) else None
            known = reason if reason in _OAUTH_ERRORS else "refused"
            raise AuthorizationError(f"the token request was refused: {known}", status=status)
        lifetime = document.get("expires_in")
        if isinstance(lifetime, str) and lifetime.isdigit():  # seen: the number as text
            lifetime = int(lifetime)
        seconds = float(lifetime) if isinstance(lifetime, int | float) and lifetime > 0 else LIFETIME_SECONDS
        scope = document.get("scope")
        token = Token(
            access_token=document["access_token"],
            expires_at=self._clock() + max(seconds, EARLY_SECONDS + 1),
            scope=scope if isinstance(scope, str) else None,
            asked=" ".join(self.asked),
            base=self._site.fhir_base,
        )
        await self._tokens.put(self._site.name, token)
        return token


def _is_token(document: dict[str, object]) -> bool:
    token = document.get("access_token")
    return isinstance(token, str) and token.isascii() and token.isprintable() and bool(token.strip())


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

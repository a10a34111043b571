"""Tokens, where they rest, and the one renewal that all who need it share."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Literal, Protocol

from msgspec import Meta

from adapters.errors import AdapterError, AuthorizationError, ConfigurationError
from adapters.profile import Profile, SiteConfig
from adapters.smart.discovery import SmartConfiguration
from adapters.smart.endpoint import EARLY_SECONDS, TokenEndpoint
from adapters.smart.scopes import granted_types
from models.record import Value

REFUSAL_SECONDS = 30.0
"""After a refusal nobody asks for a token again for so long: the answer would be the same."""


class Token(Value, frozen=True):
    """An access token, what it is good for, and what renews it."""

    access_token: str
    expires_at: Annotated[float, Meta(description="Unix time by our clock.")]
    scope: str | None = None
    asked: Annotated[str, Meta(description="The scopes it was asked with.")] = ""
    base: Annotated[str, Meta(description="The FHIR base it was made for: it is sent nowhere else.")] = ""
    refresh_token: str = ""
    patient: Annotated[str, Meta(description="Launch context: the patient's id at the site.")] = ""
    encounter: Annotated[str, Meta(description="Launch context: the encounter's id at the site.")] = ""
    user: Annotated[str, Meta(description="Who authorized it: the verified id_token's fhirUser, or its subject.")] = ""
    ended: Annotated[bool, Meta(description="The site renews it no more: somebody must authorize again.")] = False

    def __repr__(self) -> str:
        return "Token(***)"


class Held(Protocol):
    """Reading and writing tokens."""

    async def get(self, site: str) -> Token | None:
        """The token of a site, if there is one."""

    async def put(self, site: str, token: Token) -> None:
        """Keep a token."""

    async def delete(self, site: str) -> None:
        """Forget a site's token."""


class TokenStore(Held, Protocol):
    """Where tokens rest (sealed) between runs. What `put` was given is durable when it returns."""

    def held(self, site: str) -> AbstractAsyncContextManager[Held]:
        """Nobody else, in any process, is inside for this site. What is put inside is durable when it is left."""


class MemoryTokens:
    """Tokens for as long as the process lives."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def get(self, site: str) -> Token | None:
        """The token of a site."""
        return self._tokens.get(site)

    async def put(self, site: str, token: Token) -> None:
        """Keep a token."""
        self._tokens[site] = token

    async def delete(self, site: str) -> None:
        """Forget it."""
        self._tokens.pop(site, None)

    @asynccontextmanager
    async def held(self, site: str) -> AsyncIterator[Held]:
        """One at a time for each site."""
        async with self._locks.setdefault(site, asyncio.Lock()):
            yield self


class GrantEnded(AuthorizationError):
    """The site renews this authorization no more."""


class Authority(ABC):
    """The authorization of one site: a token for whoever asks, renewed once however many ask."""

    def __init__(
        self,
        endpoint: TokenEndpoint,
        site: SiteConfig,
        profile: Profile,
        tokens: TokenStore,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` gives Unix time."""
        self._endpoint, self._site, self._profile, self._tokens = endpoint, site, profile, tokens
        self._clock, self._lock = clock, asyncio.Lock()
        self._running: asyncio.Task[Token] | None = None
        self._refusal: tuple[AdapterError, float] | None = None
        self.asked: tuple[str, ...] = ()
        self.optional: tuple[str, ...] = ()
        """Asked for beside what is needed, and gone without where the site refuses the request because of it."""
        self.supporting: frozenset[str] = frozenset()
        """Types of which the same holds; they are gone without first."""
        self.authorized_by = ""
        """Who authorized the token that was last given out, as `Token.user`; empty: the client itself."""

    @abstractmethod
    def plan(self, configuration: SmartConfiguration, resource_types: Iterable[str]) -> None:
        """Settle which scopes are needed. Raises ConfigurationError when we cannot be this site's client."""

    @abstractmethod
    async def _fresh(self, known: Token | None) -> Token:
        """A new token in place of `known`; GrantEnded when there will never be one again."""

    async def token(self, *, not_this: str = "") -> Token:
        """A token that is good for at least EARLY_SECONDS; `not_this` names one the site just refused.

        Side by side callers share one request, in this process and in others: whoever comes second finds the new
        token. A renewal that has begun is finished and kept even if all who wait for it are cancelled, because the
        site may have given up the old one. Raises AuthorizationError.
        """
        async with self._lock:
            await self.settled()
            known = await self._tokens.get(self._site.name)
            if known and known.access_token != not_this and self._is_good(known):
                self.authorized_by = known.user
                return known
            if self._refusal is not None and self._clock() < self._refusal[1]:
                raise self._refusal[0]
            self._running = asyncio.create_task(self._renew(not_this))
            try:
                token = await asyncio.shield(self._running)
            except (AuthorizationError, ConfigurationError) as error:
                self._refusal = (error, self._clock() + REFUSAL_SECONDS)
                raise
            self._refusal = None
            self.authorized_by = token.user
            return token

    @property
    def problem(self) -> AdapterError | None:
        """Why the last renewal failed, where the site or the configuration refused it."""
        return self._refusal[0] if self._refusal else None

    async def settled(self) -> None:
        """Wait until no renewal is under way."""
        if self._running is not None:
            await asyncio.wait([self._running])
            if not self._running.cancelled():
                self._running.exception()  # told to whoever asked; else to nobody
            self._running = None

    def granted(self, token: Token, need: Literal["read", "search"] = "read") -> frozenset[str]:
        """Resource types the token lets us read or search."""
        return granted_types(token.scope, token.asked.split() or self.asked, need)

    def _is_good(self, token: Token) -> bool:
        """Whether a stored token is still ours: not near its end, and made for this base."""
        return (
            token.expires_at - EARLY_SECONDS > self._clock() and token.base == self._site.fhir_base and not token.ended
        )

    async def _renew(self, not_this: str) -> Token:
        """Stored before anybody uses it: a refresh token that replaced another is the only one that still works."""
        name = self._site.name
        async with self._tokens.held(name) as held:
            known = await held.get(name)
            if known and known.access_token != not_this and self._is_good(known):
                return known  # somebody else was first
            try:
                token = await self._fresh(known)
            except GrantEnded as error:
                ended = error
                if known is not None:
                    await held.put(name, _ended(known))
            else:
                await held.put(name, token)
                return token
        raise ended


def _ended(token: Token) -> Token:
    """What is kept of an authorization that is over: whose it was, and nothing that could be used."""
    return Token(access_token="", expires_at=0, base=token.base, patient=token.patient, user=token.user, ended=True)

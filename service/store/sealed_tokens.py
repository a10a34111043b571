"""Tokens at rest, and the lock under which they are renewed: one renewal at a time in all processes of a database."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import msgspec
import structlog
from sqlalchemy import Connection, text

from adapters.smart.tokens import Held, Token
from service.store.server import StoreUnavailable

if TYPE_CHECKING:
    from service.store.vault import Vault

log = structlog.get_logger("chartbrief.store")

TOKEN = "token"  # noqa: S105  the name of a secret
WAIT_SECONDS = 150
"""A renewal is one or two requests under their total deadline; whoever waits for another's waits so long."""
_PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between tries to keep a renewed token while the database is away: without it somebody must sign in again."""


class SealedTokens:
    """Sealed, durable when `put` returns. Implements the adapters' TokenStore."""

    def __init__(self, vault: Vault, tenant: str, name: str = TOKEN) -> None:
        """`name`: of the secret; each patient's own authorization has one."""
        self._vault, self._tenant, self._name = vault, tenant, name

    async def get(self, site: str) -> Token | None:
        """The token of a site."""
        return _opened(await asyncio.to_thread(self._vault.secret, self._tenant, site, self._name))

    async def put(self, site: str, token: Token) -> None:
        """Keep a token."""
        await asyncio.to_thread(self._vault.put_secret, self._tenant, site, self._name, msgspec.json.encode(token))

    async def delete(self, site: str) -> None:
        """Forget a token."""
        await asyncio.to_thread(self._vault.delete_secret, self._tenant, site, self._name)

    @asynccontextmanager
    async def held(self, site: str) -> AsyncIterator[Held]:
        """A transaction with an advisory lock: the lock ends with it, however the process ends.

        Threads of this process wait in line before they take a connection, so that waiting cannot use up the pool.
        """
        inside = self._transaction(site)
        opening = asyncio.ensure_future(asyncio.to_thread(inside.__enter__))
        try:
            held = _InTransaction(self, await asyncio.shield(opening))
        except asyncio.CancelledError:
            await asyncio.wait([opening])  # the thread is not cancelled with us: the lock must not be left behind
            if opening.exception() is None:
                await asyncio.to_thread(inside.__exit__, None, None, None)
            raise
        try:
            yield held
        except BaseException as error:
            await asyncio.to_thread(inside.__exit__, type(error), error, error.__traceback__)
            raise
        if held.broken is None:
            try:
                await asyncio.to_thread(inside.__exit__, None, None, None)
            except StoreUnavailable as error:
                held.broken = error
        else:  # the transaction is worth nothing any more
            await asyncio.to_thread(inside.__exit__, StoreUnavailable, held.broken, None)
        if held.broken is not None:
            if held.given is None:
                raise held.broken
            await self._insist(site, held.given)

    @contextmanager
    def _transaction(self, site: str) -> Iterator[Connection]:
        lock = self._vault._token_locks.setdefault((self._tenant, site, self._name), threading.Lock())
        with lock, self._vault.database.transaction(self._tenant) as db:
            for limit in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"):
                db.execute(text("select set_config(:limit, :most, true)"), {"limit": limit, "most": f"{WAIT_SECONDS}s"})
            place = "|".join((self._tenant, site, self._name))
            db.execute(text("select pg_advisory_xact_lock(hashtextextended('token|' || :p, 3))"), {"p": place})
            yield db

    async def _insist(self, site: str, token: Token) -> None:
        """Keep what the database did not take the first time."""
        for pause in _PAUSES:
            await asyncio.sleep(pause)
            try:
                await self.put(site, token)
            except StoreUnavailable as error:
                problem = error
                log.warning("token_not_kept_yet", site=site, code=error.code)
            else:
                return
        raise problem


class _InTransaction:
    """The tokens while the lock is held. A failed `put` is made good when the lock is left."""

    def __init__(self, tokens: SealedTokens, db: Connection) -> None:
        self._tokens, self._db = tokens, db
        self.given: Token | None = None
        self.broken: StoreUnavailable | None = None

    async def get(self, site: str) -> Token | None:
        """The token of a site."""
        t = self._tokens
        return _opened(await asyncio.to_thread(t._vault.read_secret, t._tenant, site, t._name, self._db))

    async def put(self, site: str, token: Token) -> None:
        """Keep a token."""
        t, self.given, body = self._tokens, token, msgspec.json.encode(token)
        try:
            await asyncio.to_thread(t._vault.write_secret, t._tenant, site, t._name, body, self._db)
        except Exception as error:  # noqa: BLE001  whatever the database says within the transaction
            log.warning("token_not_kept_yet", site=site, error=type(error).__name__)
            self.broken = StoreUnavailable("the database does not answer (connection)")

    async def delete(self, site: str) -> None:
        """Forget a token."""
        t = self._tokens
        await asyncio.to_thread(t._vault.remove_secret, t._tenant, site, t._name, self._db)


def _opened(secret: bytes | None) -> Token | None:
    return msgspec.json.decode(secret, type=Token) if secret else None

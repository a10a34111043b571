"""Which processes are alive, and taking over the work of those that are not.

Each process holds a PostgreSQL session lock under its executor id. The lock ends with the process, however that ends;
whoever can take the lock of an executor with unfinished workflows knows that it is dead.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

import psycopg
import structlog

log = structlog.get_logger("chartbrief.workflows")

LOOK_SECONDS = 5.0
_KEY = "hashtextextended('executor|' || %s, 2)"
_LOCK = f"select pg_try_advisory_lock({_KEY})"
_UNLOCK = f"select pg_advisory_unlock({_KEY})"


class Presence:
    """This process's lock, and a thread that looks after the others. Survives a restart of the database."""

    def __init__(
        self,
        url: str,
        executor_id: str,
        unfinished: Callable[[], Iterable[str]],
        take_over: Callable[[str], object],
        connect_seconds: int = 10,
    ) -> None:
        """`unfinished` names the executors with workflows under way; `take_over` starts a dead one's again."""
        self._url, self._id, self._connect_seconds = url, executor_id, connect_seconds
        self._unfinished, self._take_over = unfinished, take_over
        self._connection: psycopg.Connection[tuple[bool]] | None = None
        self._locked = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="chartbrief-presence", daemon=True)

    def announce(self) -> None:
        """Take our lock; raises psycopg.OperationalError while the database cannot be reached."""
        if self._connection is None or self._connection.closed:
            self._locked = False
            self._connection = psycopg.connect(self._url, autocommit=True, connect_timeout=self._connect_seconds)
        if not self._locked:  # after a lost connection somebody may hold it, who took us for dead: try again later
            self._locked = self._try(_LOCK, self._id)

    def watch(self) -> None:
        """Look now, and every few seconds from now on."""
        self._thread.start()

    def look(self) -> None:
        """Take over what dead processes left."""
        self.announce()
        for executor in sorted(set(self._unfinished()) - {self._id}):
            if not self._try(_LOCK, executor):
                continue  # it lives, or somebody else takes over just now
            try:
                log.info("taking_over", kind="executor")
                self._take_over(executor)
            finally:
                self._try(_UNLOCK, executor)

    def close(self) -> None:
        """Give up our lock."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(timeout=LOOK_SECONDS)
        if self._connection is not None:
            self._connection.close()

    def _watch(self) -> None:
        while True:
            try:
                self.look()
            except Exception as error:  # noqa: BLE001  the watch must not end; the database may come back
                if self._ended.is_set():
                    return
                log.warning("presence_lost", error=type(error).__name__)
            if self._ended.wait(LOOK_SECONDS):
                return

    def _try(self, statement: str, executor: str) -> bool:
        assert self._connection is not None
        row = self._connection.execute(statement, (executor,)).fetchone()
        return bool(row and row[0])

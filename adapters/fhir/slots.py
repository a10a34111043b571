"""How many requests a site answers at once, one count for all who call it in this process, and who goes first.

A request that much else waits for goes before one that nothing waits for: the next page of a long search before the only
page of a short one. Ordered by `began - behind`: within one refresh what most waits for goes first, and of two refreshes
the one that began earlier ends earlier. Both are capped, so that nobody waits for ever.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

MOST_BEHIND = 60.0
"""Seconds by which a request may be let forward for what waits for it, and for when its work began. Discovery and tokens,
which all wait for, get them."""
UNKNOWN_SECONDS = 1.0
"""How long an answer is thought to take before the site has given any."""
LINGER_SECONDS = 0.05
"""How long a slot waits for the next page of the chain it served: reading a page and asking for the next takes less."""
_NEW = 0.3
"""Weight of the latest answer in what is remembered: a slow day shows after a few, one slow answer does not."""


@dataclass
class Turn:
    """A slot that is ours. `more`: the next request of the same chain comes in a moment."""

    more: bool = False


@dataclass(order=True)
class _Waiter:
    key: float
    number: int
    loop: asyncio.AbstractEventLoop = field(compare=False)
    woken: asyncio.Future[None] = field(compare=False)
    granted: bool = field(default=False, compare=False)


class Slots:
    """Requests under way at one site. Safe to share between threads, each with an event loop of its own."""

    def __init__(
        self, most: int, usual: dict[str, float] | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        """`usual`: seconds an answer of each lane took, remembered longer than the slots. `now`: a monotonic clock."""
        self._most, self._taken, self.now = most, 0, now
        self._usual = {} if usual is None else usual
        self._line: list[_Waiter] = []
        self._lingering = 0
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    @asynccontextmanager
    async def slot(self, behind: float = 0.0, began: float | None = None) -> AsyncIterator[Turn]:
        """One of the slots, when it is our turn.

        `behind`: seconds of work that begin only when this is done. `began`: when the work this is a part of began, by
        the clock of the slots; None: now.
        """
        await self._take(behind, began)
        turn = Turn()
        try:
            yield turn
        finally:
            with self._lock:
                if turn.more and self._line:
                    self._linger()
                else:
                    self._hand_on()

    def at_most(self, most: int) -> None:
        """Another client of the site may have so many at once: the smaller number holds for both."""
        with self._lock:
            self._most = min(self._most, most)

    def usual(self, lane: str) -> float:
        """Seconds that an answer of a lane takes here; of one that is not known, as long as the others do."""
        with self._lock:
            known = self._usual or {lane: UNKNOWN_SECONDS}
            return known.get(lane, sum(known.values()) / len(known))

    def took(self, lane: str, seconds: float) -> None:
        """Learn from an answer."""
        with self._lock:
            before = self._usual.get(lane, seconds)
            self._usual[lane] = before + _NEW * (seconds - before)

    async def _take(self, behind: float, began: float | None) -> None:
        with self._lock:
            if self._taken < self._most:
                self._taken += 1
                return
            loop = asyncio.get_running_loop()
            now = self.now()
            since = now if began is None else max(began, now - MOST_BEHIND)
            key = since - min(behind, MOST_BEHIND)
            waiter = _Waiter(key, next(self._numbers), loop, loop.create_future())
            heapq.heappush(self._line, waiter)
            self._end_lingering()  # whoever comes may be whom a slot lingers for: the first in line has it now
        try:
            await waiter.woken
        except BaseException:  # cancelled in line, or in the moment it became our turn
            with self._lock:
                if waiter.granted:
                    self._hand_on()
                else:
                    self._line.remove(waiter)
                    heapq.heapify(self._line)
                    self._end_lingering()
            raise

    def _linger(self) -> None:
        """Keep the slot free for a moment, so that the next page of a long chain can come and be first; with the lock held.

        Every event loop that waits ends it: at least one of them lives as long as somebody waits.
        """
        self._lingering += 1
        for loop in {waiter.loop for waiter in self._line}:
            try:
                loop.call_soon_threadsafe(loop.call_later, LINGER_SECONDS, self._time_is_up)
            except RuntimeError:  # closed
                continue

    def _time_is_up(self) -> None:
        with self._lock:
            self._end_lingering()

    def _end_lingering(self) -> None:
        while self._lingering:
            self._lingering -= 1
            self._hand_on()

    def _hand_on(self) -> None:
        """The slot goes to whoever is first in line; with the lock held."""
        while self._line and self._taken <= self._most:
            waiter = heapq.heappop(self._line)
            try:
                waiter.loop.call_soon_threadsafe(_wake, waiter.woken)
            except RuntimeError:  # its event loop is closed: nobody is there any more
                continue
            waiter.granted = True
            return
        self._taken -= 1


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)


_shared: WeakValueDictionary[str, Slots] = WeakValueDictionary()
_usual: dict[str, dict[str, float]] = {}
_sharing = threading.Lock()


def shared_slots(url: str, most: int) -> Slots:
    """The slots of the site at `url`'s host, one set for all who call it in this process: four patients refreshed at once
    are four requests to a site that allows four, not sixteen. They live as long as somebody holds them; how long its
    answers take is remembered for as long as the process lives."""
    with _sharing:
        host = urlsplit(url).netloc.lower()
        slots = _shared.get(host)
        if slots is None:
            slots = _shared[host] = Slots(most, _usual.setdefault(host, {}))
        slots.at_most(most)
        return slots

"""How fast a site may be called: evenly under a rate, and not before the time the site gave."""

from __future__ import annotations

import email.utils
import re
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

_SECONDS = re.compile(r"^[0-9]{1,11}(\.[0-9]{1,6})?$")


class Pace:
    """Times of one site's requests. Gives seconds to wait; the caller sleeps. Safe to share between threads."""

    def __init__(self, rate: float, now: Callable[[], float]) -> None:
        """`rate`: requests a second. `now`: a monotonic clock."""
        self._gap, self._next, self._now = 1.0 / rate, 0.0, now
        self._not_before: dict[str, float] = {}
        self._lock = threading.Lock()

    def turn(self) -> float:
        """Take the next free moment; seconds until it comes."""
        with self._lock:
            now = self._now()
            at = max(self._next, now)
            self._next = at + self._gap
            return at - now

    def hold(self, seconds: float, lane: str = "") -> None:
        """Nobody calls for so long; with `lane`, nobody of that lane."""
        with self._lock:
            self._not_before[lane] = max(self._not_before.get(lane, 0.0), self._now() + seconds)

    def held(self, lane: str = "") -> float:
        """Seconds until the lane may call again; 0 when it may."""
        until = max(self._not_before.get("", 0.0), self._not_before.get(lane, 0.0))
        return max(0.0, until - self._now())

    def at_most(self, rate: float) -> None:
        """Another client of the site may call this fast: the slower of the two holds for both."""
        with self._lock:
            self._gap = max(self._gap, 1.0 / rate)


_shared: WeakValueDictionary[str, Pace] = WeakValueDictionary()
_sharing = threading.Lock()


def shared_pace(url: str, rate: float) -> Pace:
    """The pace of the site at `url`'s host, one for all who call it in this process: a site counts our requests, not our
    patients. It lives as long as somebody holds it."""
    with _sharing:
        host = urlsplit(url).netloc.lower()
        pace = _shared.get(host)
        if pace is None:
            pace = _shared[host] = Pace(rate, time.monotonic)
        pace.at_most(rate)
        return pace


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds of a Retry-After header (seconds or HTTP-date); None when absent or unreadable, never negative.

    A date is read against the answer's own Date header, so that two clocks that differ do not matter.
    """
    text = headers.get("retry-after", "").strip()
    if _SECONDS.match(text):
        return float(text)
    when = http_date(text)
    if when is None:
        return None
    sent = http_date(headers.get("date", ""))
    return max(0.0, when - (sent if sent is not None else time.time() if now is None else now))


def http_date(text: str) -> float | None:
    """Unix time of an HTTP-date; None when it is none."""
    try:
        when: datetime = email.utils.parsedate_to_datetime(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None

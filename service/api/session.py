"""The browser's session: a signed, short-lived cookie; and how often signing in may fail."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Session:
    """What a cookie of ours says."""

    key_id: str
    id: str
    ends: int


@dataclass(frozen=True)
class Sessions:
    """Signs and reads session cookies. A cookie names a key and ends; what the key may do is looked up each time.

    The secret lives as long as the process, so a restart ends all sessions. Sessions that were signed out before their
    time are remembered until it has come.
    """

    secret: bytes
    seconds: int = 1800
    _ended: dict[str, int] = field(default_factory=dict)

    def issue(self, key_id: str, now: float | None = None) -> str:
        """A cookie value for the key."""
        ends = int((now or time.time()) + self.seconds)
        payload = json.dumps({"k": key_id, "e": ends, "s": secrets.token_hex(8)}).encode()
        return f"{_b64(payload)}.{_b64(self._sign(payload))}"

    def read(self, value: str, now: float | None = None) -> Session | None:
        """The session of a cookie that we signed and that has not ended; else None."""
        body, _, signature = value.partition(".")
        try:
            payload, given = _unb64(body), _unb64(signature)
        except ValueError:
            return None
        if not hmac.compare_digest(self._sign(payload), given):
            return None
        claims = json.loads(payload)
        session = Session(str(claims["k"]), str(claims["s"]), int(claims["e"]))
        return session if session.ends > (now or time.time()) and session.id not in self._ended else None

    def end(self, value: str, now: float | None = None) -> None:
        """Sign out: the cookie is worth nothing from here on, wherever else it was copied to."""
        session = self.read(value, now)
        if session is None:
            return
        for old, ends in list(self._ended.items()):
            if ends <= (now or time.time()):
                del self._ended[old]
        self._ended[session.id] = session.ends

    def _sign(self, payload: bytes) -> bytes:
        return hmac.new(self.secret, b"chartbrief-session-v1\0" + payload, hashlib.sha256).digest()


class FailedLogins:
    """Counts failed sign-ins by address. Keys hold 256 random bits and cannot be guessed; this spares the database
    and the audit trail from somebody who tries. Requests that carry a valid key or session are never counted."""

    MOST, SECONDS, ADDRESSES = 10, 60.0, 10_000

    def __init__(self) -> None:
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, address: str, now: float | None = None) -> int:
        """Seconds until the address may try again; 0: now."""
        moment = now or time.monotonic()
        with self._lock:
            times = self._failed.get(address)
            if times is None or len(times) < self.MOST:
                return 0
            return max(int(times[0] + self.SECONDS - moment + 0.999), 0)

    def failed(self, address: str, now: float | None = None) -> None:
        """Note one more failure."""
        with self._lock:
            self._failed.setdefault(address, deque(maxlen=self.MOST)).append(now or time.monotonic())
            self._failed.move_to_end(address)
            if len(self._failed) > self.ADDRESSES:
                self._failed.popitem(last=False)


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

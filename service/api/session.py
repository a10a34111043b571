"""The browser's session: a signed, short-lived cookie."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Sessions:
    """Signs and reads session cookies. A cookie names a key and ends; what the key may do is looked up each time."""

    secret: bytes
    seconds: int = 1800

    def issue(self, key_id: str, now: float | None = None) -> str:
        """A cookie value for the key."""
        payload = json.dumps({"k": key_id, "e": int((now or time.time()) + self.seconds)}).encode()
        return f"{_b64(payload)}.{_b64(self._sign(payload))}"

    def read(self, value: str, now: float | None = None) -> str | None:
        """The key id of a cookie that we signed and that has not ended; else None."""
        body, _, signature = value.partition(".")
        try:
            payload, given = _unb64(body), _unb64(signature)
        except ValueError:
            return None
        if not hmac.compare_digest(self._sign(payload), given):
            return None
        claims = json.loads(payload)
        return str(claims["k"]) if claims["e"] > (now or time.time()) else None

    def _sign(self, payload: bytes) -> bytes:
        return hmac.new(self.secret, b"chartbrief-session-v1\0" + payload, hashlib.sha256).digest()


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

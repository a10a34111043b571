"""The only place that sends requests to EHRs: one async client for one site.

httpx's time-outs are per read, so a server that sends a byte a second never trips them: each request here runs under a
total deadline. Bodies are read in pieces under a cap. Retries follow a table with full jitter and honour Retry-After
within a waiting budget. Redirects are followed by hand, on the same origin only, and every URL passes the egress gate.
httpx logs full URLs (patient ids) at INFO: silenced here.
"""

from __future__ import annotations

import asyncio
import email.utils
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import orjson

from adapters.egress import Egress, same_origin
from adapters.errors import BadAnswer, SiteUnavailable
from adapters.profile import Limits

for _name in ("httpx", "httpcore", "hpack"):
    logging.getLogger(_name).setLevel(logging.WARNING)

RETRY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that may pass by themselves. 500 is among them: bursts of it are common during EHR maintenance."""
BASE_DELAY = 0.25
MOST_DELAY = 10.0
MOST_REDIRECTS = 3
Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True)
class Answer:
    """A whole answer: status, headers that matter, body."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str]

    def json(self) -> Any:
        """The body as JSON; BadAnswer when it is none."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            kind = "html_body" if self.body[:200].lstrip()[:1] == b"<" else "truncated_json"
            raise BadAnswer(f"the body is not JSON ({kind})", code=kind, status=self.status, body=self.body) from None


class _Pinned(httpx.AsyncBaseTransport):
    """Connects to the address the gate checked, while TLS and the Host header keep the name."""

    def __init__(self, egress: Egress, limits: httpx.Limits) -> None:
        self._egress = egress
        self._inner = httpx.AsyncHTTPTransport(limits=limits, retries=0)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        loop = asyncio.get_running_loop()
        address = await loop.run_in_executor(None, self._egress.check, str(request.url))
        host = request.url.host
        if host != address:
            request.extensions["sni_hostname"] = host
            request.url = request.url.copy_with(host=address)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Pace:
    """At most `rate` requests a second, evenly."""

    def __init__(self, rate: float, sleep: Sleep) -> None:
        self._gap, self._next, self._sleep = 1.0 / rate, 0.0, sleep

    async def turn(self) -> None:
        now = time.monotonic()
        at = max(self._next, now)
        self._next = at + self._gap
        if at > now:
            await self._sleep(at - now)


class Http:
    """One site's client. Use as an async context manager."""

    def __init__(
        self, egress: Egress, limits: Limits, *, sleep: Sleep = asyncio.sleep, seed: int | None = None
    ) -> None:
        self.egress, self.limits = egress, limits
        self._sleep = sleep
        self._random = random.Random(seed)  # noqa: S311  jitter, not cryptography
        self._slots = asyncio.Semaphore(limits.concurrency)
        self._pace = _Pace(limits.requests_per_second, sleep)
        connections = httpx.Limits(max_connections=limits.concurrency, max_keepalive_connections=limits.concurrency)
        self._client = httpx.AsyncClient(
            transport=_Pinned(egress, connections),
            follow_redirects=False,
            trust_env=False,
            timeout=limits.request_seconds,
        )
        self.requests = 0

    async def __aenter__(self) -> Http:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        tries: int | None = None,
    ) -> Answer:
        """Send until there is an answer that is worth reading, within the limits.

        Returns answers of any status that retrying would not change (also the last of a retried one); raises
        SiteUnavailable when nothing came, BadAnswer when the body is over the cap, EgressRefused from the gate.
        """
        waited, attempt, most = 0.0, 0, tries or self.limits.tries
        while True:
            attempt += 1
            answer, problem = await self._once(method, url, dict(headers or {}), data)
            if answer is not None and answer.status not in RETRY_STATUS:
                return answer
            wait = self._delay(attempt, answer)
            if attempt >= most or waited + wait > self.limits.max_wait_seconds:
                if answer is not None:
                    return answer
                raise SiteUnavailable(problem or "no answer", code=problem or "site_unavailable")
            waited += wait
            await self._sleep(wait)

    def _delay(self, attempt: int, answer: Answer | None) -> float:
        asked = retry_after(answer.headers.get("retry-after", "")) if answer is not None else None
        jitter = self._random.uniform(0, min(MOST_DELAY, BASE_DELAY * 2**attempt))
        return asked + min(jitter, 0.25) if asked is not None else jitter

    async def _once(
        self, method: str, url: str, headers: dict[str, str], data: Mapping[str, str] | None
    ) -> tuple[Answer | None, str | None]:
        await self._pace.turn()
        async with self._slots:
            try:
                async with asyncio.timeout(self.limits.request_seconds):
                    return await self._follow(method, url, headers, data), None
            except TimeoutError:
                return None, "timeout"
            except httpx.TimeoutException:
                return None, "timeout"
            except httpx.TransportError:
                return None, "connection_failed"

    async def _follow(self, method: str, url: str, headers: dict[str, str], data: Mapping[str, str] | None) -> Answer:
        for _ in range(MOST_REDIRECTS + 1):
            self.egress.check(url)
            self.requests += 1
            async with self._client.stream(method, url, headers=headers, data=data) as response:
                location = response.headers.get("location", "")
                if not (response.is_redirect and location):
                    return await self._read(response)
            target = urljoin(url, location)
            if not same_origin(url, target):
                headers = {k: v for k, v in headers.items() if k.lower() != "authorization"}
            if method != "GET":
                raise BadAnswer("a redirect of a request that is not a GET", code="redirect")
            url = target
        raise BadAnswer("too many redirects", code="redirect_loop")

    async def _read(self, response: httpx.Response) -> Answer:
        body = bytearray()
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > self.limits.max_body_bytes:
                raise BadAnswer(
                    f"a body over {self.limits.max_body_bytes} bytes",
                    code="too_large",
                    status=response.status_code,
                    body=bytes(body[:2000]),
                )
        kept = {
            k.lower(): v
            for k, v in response.headers.items()
            if k.lower() in ("retry-after", "etag", "content-location")
        }
        return Answer(response.status_code, response.headers.get("content-type", ""), bytes(body), kept)


def retry_after(value: str, now: float | None = None) -> float | None:
    """Seconds of a Retry-After header (seconds or HTTP-date); None when absent or unreadable, never negative."""
    text = value.strip()
    if not text:
        return None
    if text.isdigit() and len(text) < 12:
        return float(text)
    try:
        when = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return max(0.0, when.timestamp() - (time.time() if now is None else now))


def origin_path(url: str) -> str:
    """Scheme, host and the first path segment: what may be named in a message."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"

"""The only place that sends requests to EHRs: one async client for one site.

httpx's time-outs are per read, so a server that sends a byte a second never trips them: each try here runs under a total
deadline. Bodies are read in pieces under a cap, counted unpacked. Retries follow a table with full jitter and honour
Retry-After within a waiting budget. Redirects are followed by hand, every URL passes the egress gate, and credentials
stay on the origin they were made for. httpx logs full URLs (patient ids) at INFO: silenced here.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urljoin

import httpx
import msgspec
import orjson

from adapters.egress import Egress, same_origin
from adapters.errors import BadAnswer, EgressRefused, SiteUnavailable
from adapters.fhir.pace import Pace, retry_after
from adapters.fhir.slots import Slots
from adapters.profile import Limits

for _name in ("httpx", "httpcore", "hpack"):
    logging.getLogger(_name).setLevel(logging.WARNING)

RETRY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that may pass by themselves. 500 is among them: bursts of it are common during EHR maintenance."""
BASE_DELAY = 0.25
MOST_DELAY = 10.0
MOST_REDIRECTS = 3
KEPT_HEADERS = frozenset({"retry-after", "date", "etag", "location", "content-location"})
ENCODINGS = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})
"""What we ask for and unpack. Stacked or other encodings are refused: their ratio is what bombs are made of."""
HELD = "held"
NEXT = b'"next"'
"""What a page with another page behind it holds. Seen in something else, it costs a free slot 50 ms."""
Sleep = Callable[[float], Awaitable[None]]
Form = Mapping[str, str] | Callable[[], Mapping[str, str]]


@dataclass(frozen=True)
class Answer:
    """A whole answer: status, headers that matter, body."""

    status: int
    content_type: str = ""
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> bytes:
        """The body as JSON readers want it: without a byte order mark."""
        return self.body.removeprefix(b"\xef\xbb\xbf")

    def json(self) -> Any:
        """The body as JSON; BadAnswer when it is none."""
        try:
            return orjson.loads(self.text)
        except orjson.JSONDecodeError as error:
            if "depth limit" in str(error):
                raise BadAnswer("nested too deep", code="too_deep", status=self.status, body=self.body) from None
            raise self.unusable() from None

    def unusable(self) -> BadAnswer:
        """What to raise when the body is no JSON: says what it looks like."""
        start = self.text[:200].lstrip()[:1]
        code = "empty_body" if not start else "html_body" if start == b"<" else "not_json"
        if start in (b"{", b"["):
            code = "truncated_json"
        return BadAnswer(f"the body is not JSON ({code})", code=code, status=self.status, body=self.body)


RetryRule = Callable[[Answer], bool | None]
"""Whether an answer is worth another try, by what the source is known to mean; None: the table decides."""


@cache
def tls_context() -> ssl.SSLContext:
    """How servers' certificates are checked. Made once: reading the trusted authorities takes some 20 ms."""
    return httpx.create_ssl_context()


class _Gated(httpx.AsyncBaseTransport):
    """Connects to the addresses the gate checked, while TLS and the Host header keep the name."""

    def __init__(self, egress: Egress, limits: httpx.Limits) -> None:
        self._egress = egress
        self._inner = httpx.AsyncHTTPTransport(verify=tls_context(), limits=limits, retries=0)
        self.sent = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        addresses = await asyncio.to_thread(self._egress.check, str(request.url))
        named, self.sent = request.url, self.sent + 1
        tally = _TALLY.get()
        if tally is not None:
            tally.requests += 1
        host = named.raw_host.decode("ascii")
        for left, address in enumerate(addresses, start=1 - len(addresses)):
            if host != address:
                request.extensions["sni_hostname"] = host
                request.url = named.copy_with(host=address)
            try:
                return await self._inner.handle_async_request(request)
            except httpx.ConnectError:  # nothing was sent: the next address may do (seen: IPv6 without a route)
                if not left:
                    raise
        raise EgressRefused("the host name does not resolve", code="egress_dns")

    async def aclose(self) -> None:
        await self._inner.aclose()


@dataclass
class Tally:
    """Requests sent by one piece of work, while others use the same client."""

    requests: int = 0
    answers: list[tuple[int, float]] = field(default_factory=list)
    """Status and seconds of each answer, body included; waiting for our own turn is not counted."""


_TALLY: ContextVar[Tally | None] = ContextVar("tally", default=None)


@contextmanager
def tallied() -> Iterator[Tally]:
    """Count what this task, and the tasks it starts, send."""
    tally = Tally()
    before = _TALLY.set(tally)
    try:
        yield tally
    finally:
        _TALLY.reset(before)


class Http:
    """One site's client. Use as an async context manager."""

    def __init__(
        self,
        egress: Egress,
        limits: Limits,
        *,
        pace: Pace | None = None,
        slots: Slots | None = None,
        sleep: Sleep = asyncio.sleep,
        now: Callable[[], float] = time.monotonic,
        seed: int | None = None,
    ) -> None:
        """`pace` and `slots`: shared with the site's other clients. `sleep` and `now` (a monotonic clock) belong together."""
        self.egress, self.limits = egress, limits
        self._sleep = sleep
        self._random = random.Random(seed)  # noqa: S311  jitter, not cryptography
        self.slots = slots or Slots(limits.concurrency)
        self._began = self.slots.now()
        self._pace = pace or Pace(limits.requests_per_second, now)
        connections = httpx.Limits(max_connections=limits.concurrency, max_keepalive_connections=limits.concurrency)
        self._gate = _Gated(egress, connections)
        self._client = httpx.AsyncClient(
            transport=self._gate,
            follow_redirects=False,
            trust_env=False,
            timeout=limits.request_seconds,
            headers={"Accept-Encoding": "gzip, deflate", "User-Agent": "Chartbrief"},
        )

    @property
    def requests(self) -> int:
        """Requests sent so far, redirects and retries included."""
        return self._gate.sent

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
        data: Form | None = None,
        content: bytes | None = None,
        lane: str = "",
        tries: int | None = None,
        worth_retrying: RetryRule | None = None,
        most_bytes: int | None = None,
        behind: float = 0.0,
    ) -> Answer:
        """Send until there is an answer that is worth reading, within the limits.

        `lane` names what is asked for (a resource type): a wait too long for our budget holds only its own lane back.
        `data` may be a function: each try then sends a new form (an assertion is good for one use). `content` is sent as it
        is; who sends it says with `tries` whether it may be sent again. `behind`: seconds of work that wait for the answer;
        what more waits for goes first (adapters/fhir/slots.py).

        Returns answers of any status that retrying would not change (also the last of a retried one); raises
        SiteUnavailable when nothing came or the site's own waiting time is not over, BadAnswer when the body is unusable,
        EgressRefused from the gate.
        """
        waited, attempt, most = 0.0, 0, tries or self.limits.tries
        while True:
            held = self._pace.held(lane)
            if held > 0:
                if waited + held > self.limits.max_wait_seconds:
                    raise SiteUnavailable("the site asked us to wait longer", code="rate_limited", retry_after=held)
                waited += held
                await self._sleep(held)
            answer, problem = await self._once(
                method, url, dict(headers or {}), data, lane, most_bytes, content, behind
            )
            if problem == HELD:
                continue
            attempt += 1
            if answer is not None and not _worth(answer, worth_retrying):
                return answer
            wait = self._delay(attempt, answer, lane)
            if attempt >= most or waited + wait > self.limits.max_wait_seconds:
                if answer is not None:
                    return answer
                raise SiteUnavailable(problem.replace("_", " "), code=problem)
            waited += wait
            await self._sleep(wait)

    def _delay(self, attempt: int, answer: Answer | None, lane: str) -> float:
        """Seconds to wait; a 429 with a time holds everybody back, or its lane where the time is beyond our budget."""
        jitter = self._random.uniform(0, min(MOST_DELAY, BASE_DELAY * 2**attempt))
        asked = retry_after(answer.headers) if answer is not None else None
        if asked is None or answer is None:
            return jitter
        if answer.status == 429 or asked > self.limits.max_wait_seconds:
            self._pace.hold(asked, lane if asked > self.limits.max_wait_seconds else "")
        return asked + min(jitter, BASE_DELAY)

    async def _once(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        data: Form | None,
        lane: str,
        most_bytes: int | None,
        content: bytes | None,
        behind: float,
    ) -> tuple[Answer | None, str]:
        async with self.slots.slot(behind, self._began) as turn:
            wait = self._pace.turn()  # taken by whoever is first in line, not by whoever came first
            if wait > 0:
                await self._sleep(wait)
            if self._pace.held(lane) > 0:  # the site said so while we stood in line
                return None, HELD
            form = data() if callable(data) else data
            try:
                async with asyncio.timeout(self.limits.request_seconds):
                    began = time.perf_counter()
                    answer = await self._follow(method, url, headers, form, most_bytes, content)
                    seconds = time.perf_counter() - began
                    self.slots.took(lane, seconds)
                    turn.more = NEXT in answer.body
                    if (tally := _TALLY.get()) is not None:
                        tally.answers.append((answer.status, seconds))
                    return answer, ""
            except (TimeoutError, httpx.TimeoutException):
                return None, "timeout"
            except httpx.DecodingError:
                raise BadAnswer("the body cannot be unpacked", code="bad_encoding") from None
            except httpx.TransportError as error:
                if "CERTIFICATE_VERIFY_FAILED" in str(error):
                    raise SiteUnavailable("the site's certificate is not trusted", code="tls_certificate") from None
                return None, "connection_failed"
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError):
                raise BadAnswer("a URL or an answer that cannot be read", code="bad_http") from None

    async def _follow(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        form: Mapping[str, str] | None,
        most_bytes: int | None,
        content: bytes | None = None,
    ) -> Answer:
        for _ in range(MOST_REDIRECTS + 1):
            self.egress.look(url)
            async with self._client.stream(method, url, headers=headers, data=form, content=content) as response:
                location = response.headers.get("location", "")
                if not (response.is_redirect and location):
                    return await self._read(response, most_bytes or self.limits.max_body_bytes)
            if method != "GET":
                raise BadAnswer("a redirect of a request that is not a GET", code="redirect")
            try:
                target = urljoin(url, location)
            except ValueError:
                raise BadAnswer("a redirect to nowhere", code="redirect") from None
            if not same_origin(url, target):
                headers = {k: v for k, v in headers.items() if k.lower() != "authorization"}
            url = target
        raise BadAnswer("too many redirects", code="redirect_loop")

    @staticmethod
    async def _read(response: httpx.Response, most: int) -> Answer:
        encoding = response.headers.get("content-encoding", "").strip().lower()
        if encoding not in ENCODINGS:
            raise BadAnswer("an encoding we did not ask for", code="bad_encoding", status=response.status_code)
        declared = response.headers.get("content-length", "")
        body = bytearray()
        too_large = declared.isdigit() and int(declared[:18]) > most
        if not too_large:
            async for piece in response.aiter_bytes():
                body += piece
                too_large = len(body) > most
                if too_large:
                    break
        if too_large:
            raise BadAnswer(
                f"a body over {most} bytes", code="too_large", status=response.status_code, body=bytes(body[:2000])
            )
        kept = {k.lower(): v for k, v in response.headers.items() if k.lower() in KEPT_HEADERS}
        return Answer(response.status_code, response.headers.get("content-type", ""), bytes(body), kept)


def is_garbled(answer: Answer) -> bool | None:
    """Whether an answer that should be JSON is a page of something in between, or half a document: it may pass.

    Seen: the login page of a single sign-on, a proxy's "one moment", a body cut off at a gateway's limit, each with status
    200. What is whole and merely wrong (nested too deep, a bad character, another resource) would come again as it is.
    """
    if answer.status != 200:
        return None
    try:
        msgspec.json.decode(answer.text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError) as error:
        return answer.unusable().code in ("html_body", "empty_body") or "truncated" in str(error)
    return False


def _worth(answer: Answer, rule: RetryRule | None) -> bool:
    known = rule(answer) if rule is not None else None
    return answer.status in RETRY_STATUS if known is None else known

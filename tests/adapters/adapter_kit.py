"""A scriptable HTTP server on loopback, a clock that does not wait, and sites that point at the two."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from adapters.egress import Egress
from adapters.fhir.http import Http
from adapters.profile import Limits, SiteConfig, parse_site
from adapters.smart.keys import KeyPair
from adapters.source import SectionFetch, Source

Json = dict[str, Any]


@dataclass
class Request:
    """One request as it came over the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def params(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode()))


@dataclass
class Reply:
    """One answer. `wire`: these bytes instead, then the connection closes; `drop`: nothing at all."""

    status: int = 200
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)
    wire: bytes | None = None
    drop: bool = False
    drip: float = 0.0

    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


Handler = Callable[[Request], Reply | Awaitable[Reply]]


class WireServer:
    """HTTP/1.1 by hand: tests see and say what really goes over the wire."""

    def __init__(self, handler: Handler, *, ssl: Any = None) -> None:
        self.handler, self.requests, self.open = handler, list[Request](), 0
        self._ssl = ssl

    async def __aenter__(self) -> WireServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._ssl)
        self.port = self._server.sockets[0].getsockname()[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        self.base = f"{self.origin}/fhir"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    def paths(self, part: str = "") -> list[str]:
        return [r.path for r in self.requests if part in r.path]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        request = Request(method, target, headers, body)
        self.requests.append(request)
        answer = self.handler(request)
        reply = answer if isinstance(answer, Reply) else await answer
        if reply.drop:
            writer.transport.abort()
            return False
        if reply.wire is not None:
            writer.write(reply.wire)
            await writer.drain()
            return False
        content = reply.content()
        kind = "application/fhir+json" if not isinstance(reply.body, bytes | str) else "text/plain"
        told = {"content-type": kind, "content-length": str(len(content))} | {
            k.lower(): v for k, v in reply.headers.items()
        }
        lines = "".join(f"{k}: {v}\r\n" for k, v in told.items() if v)
        writer.write(f"HTTP/1.1 {reply.status} X\r\n{lines}\r\n".encode("latin-1"))
        if reply.drip:
            for byte in content:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(reply.drip)
        else:
            writer.write(content)
        await writer.drain()
        return True


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.at, self.unix, self.slept = 0.0, time.time(), list[float]()

    def now(self) -> float:
        return self.at

    def time(self) -> float:
        return self.unix + self.at

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds
        await asyncio.sleep(0)


FAST = {"requests_per_second": 100_000, "request_seconds": 5, "section_seconds": 20}


@cache
def key_pair(alg: str = "ES384") -> KeyPair:
    return KeyPair.generate(alg)  # type: ignore[arg-type]


def site_at(
    base: str, vendor: str = "generic", *, auth: str = "none", limits: Json | None = None, **more: Any
) -> SiteConfig:
    """A site file for a server on loopback."""
    overrides = dict(more.pop("overrides", {}))
    overrides["limits"] = FAST | (limits or {}) | overrides.get("limits", {})
    data = {"name": "north", "vendor": vendor, "fhir_base": base, "auth": auth, "client_id": "client-1"}
    return parse_site(data | {"allow_loopback": True, "overrides": overrides} | more)


@asynccontextmanager
async def opened(site: SiteConfig, clock: Clock | None = None, *, tenant: str = "t1", **more: Any):
    """A Source of the site; with a clock it waits in no real time."""
    if clock is not None:
        profile = site.profile()
        gate = Egress(site.fhir_base, allow_loopback=True, extra_hosts=(*site.token_hosts, *profile.token_hosts))
        more["http"] = Http(gate, profile.limits, sleep=clock.sleep, now=clock.now, seed=7)
        more.setdefault("clock", clock.time)
    if site.auth == "backend":
        more.setdefault("key", key_pair(site.profile().key_algorithm))
    async with Source(tenant, site, **more) as source:
        yield source


@asynccontextmanager
async def client(server: WireServer, clock: Clock | None = None, **limits: Any):
    """A bare Http for a wire server."""
    waits = {"sleep": clock.sleep, "now": clock.now} if clock else {}
    made = Limits.model_validate(FAST | {"tries": 4} | limits)
    async with Http(Egress(server.base, allow_loopback=True), made, seed=7, **waits) as http:
        yield http


def observation(found: str, patient: str = "p1", **more: Any) -> Json:
    return {
        "resourceType": "Observation",
        "id": found,
        "status": "final",
        "code": {"text": "Pulse"},
        "subject": {"reference": f"Patient/{patient}"},
    } | more


def resource(kind: str, found: str, **more: Any) -> Json:
    return {"resourceType": kind, "id": found, "subject": {"reference": "Patient/p1"}} | more


def bundle(*resources: Any, next_link: str = "", **more: Any) -> Json:
    links = [{"relation": "next", "url": next_link}] if next_link else []
    entries = [{"resource": r} for r in resources]
    return {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries} | more


def outcome(severity: str = "error", code: str = "processing", text: str = "", details: str = "") -> Json:
    issue: Json = {"severity": severity, "code": code, "diagnostics": text}
    if details:
        issue["details"] = {"coding": [{"code": details}]}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def routes(table: dict[str, Any], default: Any = None) -> Handler:
    """A handler from paths below /fhir (longest match first, with `?key=value` to tell searches apart).

    A value is a Reply, a body, a list of them (one a request, the last stays), or a function of the request.
    """
    left = {path: list(v) if isinstance(v, list) else None for path, v in table.items()}

    def handle(request: Request) -> Any:
        for path in sorted(table, key=len, reverse=True):
            bare, _, query = path.partition("?")
            if request.path != f"/fhir{bare}" and request.path != bare:
                continue
            if any(request.params.get(k) != v for k, v in parse_qsl(query)):
                continue
            value = table[path]
            queue = left[path]
            if queue is not None:
                value = queue.pop(0) if len(queue) > 1 else queue[0]
            if callable(value):
                value = value(request)
            return value if isinstance(value, Reply) or asyncio.iscoroutine(value) else Reply(body=value)
        if request.path == "/fhir/metadata" or default is None:
            return Reply(404, b"<html>not here</html>", {"content-type": "text/html"})
        return default if isinstance(default, Reply) else Reply(body=default)

    return handle


def balanced(fetch: SectionFetch) -> bool:
    """offered = stored + quarantined + missing, and each is what the fetch holds."""
    line = fetch.coverage
    lost = sum(m.count for m in fetch.missing)
    return (
        line.offered == line.stored + line.quarantined + line.missing
        and (line.stored, line.quarantined, line.missing) == (len(fetch.resources), len(fetch.rejected), lost)
        and len({r.key for r in fetch.resources}) == len(fetch.resources)
    )


def ids(fetch: SectionFetch, kind: str = "") -> list[str]:
    return [f"{r.resource_type}/{r.resource_id}" for r in fetch.resources if not kind or r.resource_type == kind]


fetched_requests: list[Request] = []
"""What the last `fetch` sent."""


async def fetch(table: dict[str, Any], section: str = "vitals", **more: Any) -> SectionFetch:
    """One section of p1 from a server with these routes; its account is checked."""
    more.setdefault("limits", {"tries": 1})
    async with WireServer(routes(table)) as server, opened(site_at(server.base, **more)) as source:
        fetched = await source.fetch("p1", section)
    assert balanced(fetched)
    fetched_requests[:] = server.requests
    return fetched

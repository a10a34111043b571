"""What surrounds every request: a size cap, security headers, one audit row, one access log line without PHI."""

from __future__ import annotations

import time
import traceback
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access import UNAUDITED
from service.api.auth import identify, route_of
from service.api.problems import Problem, response

if TYPE_CHECKING:
    from service.api.services import Principal, Services

log = structlog.get_logger("chartbrief.access")

API_CSP = "default-src 'none'; frame-ancestors 'none'"
PAGE_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
HSTS = "max-age=31536000"
"""Said over https only (RFC 6797, 7.2)."""


class BodyCap:
    """Refuses a body above the cap: at once when it is announced, at the byte when it is not."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if not announced.isdigit() or int(announced) > self.max_bytes:
            await response(self._refusal())(scope, receive, send)
            return
        seen = 0

        async def capped() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.max_bytes:
                raise self._refusal()
            return message

        await self.app(scope, capped, send)

    def _refusal(self) -> Problem:
        """The rest of the body is not read, so the connection cannot be used again."""
        return Problem("body_too_large", headers={"Connection": "close"}, limit_bytes=self.max_bytes)


class Account:
    """Audits and logs each request once, before its first byte leaves. What cannot be audited is not answered.

    It is also where a defect ends: answered as `internal`, and logged by its type and place. Its message is told to
    nobody, because messages quote values.
    """

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self.app = app
        self.services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, request_id, answering, refused = time.perf_counter(), uuid.uuid4().hex[:16], False, False
        scope.setdefault("state", {})["request_id"] = request_id

        async def accounted(message: Message) -> None:
            nonlocal answering, refused
            if refused:
                return
            if message["type"] == "http.response.start":
                answering = True
                audited = await run_in_threadpool(self._audit, scope, message["status"])
                refused = not audited
                log.info(
                    "request",
                    route=route_of(scope),
                    status=message["status"] if audited else 503,
                    ms=round((time.perf_counter() - started) * 1000, 1),
                    request_id=request_id,
                )
                if refused:
                    await response(Problem("audit_unavailable"))(scope, receive, send_with_headers)
                    return
            await send_with_headers(message)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                _protect(message, scope, request_id)
            await send(message)

        try:
            await self.app(scope, receive, accounted)
        except Exception as error:  # noqa: BLE001  the last resort of a request; nothing may reach the server's log
            log.error("defect", route=route_of(scope), error=_place(error), request_id=request_id, code="internal")
            if not answering:  # else the connection is cut, which the client sees
                await response(Problem("internal", request_id=request_id))(scope, receive, accounted)

    def _audit(self, scope: Scope, status: int) -> bool:
        route = route_of(scope)
        if route in UNAUDITED:
            return True
        state = scope.get("state", {})
        principal = state.get("principal")
        about = state.get("patient_id") or scope.get("path_params", {}).get("patient_id", "")
        return self.services.audit(principal or self._caller(scope), route, status, str(about))

    @staticmethod
    def _caller(scope: Scope) -> Principal | None:
        """Who asked for something that ended before it was a route's turn (no such path, a body too large)."""
        try:
            return identify(HTTPConnection(scope))[0]
        except Exception:  # noqa: BLE001  no database, no master key: the audit will find out too
            return None


def _protect(message: Message, scope: Scope, request_id: str) -> None:
    headers = MutableHeaders(scope=message)
    framed_by = scope.get("state", {}).get("framed_by")
    for name, value in SECURITY_HEADERS.items():
        if not (framed_by and name == "X-Frame-Options"):  # that header knows no list; the policy below does
            headers.setdefault(name, value)
    if scope.get("scheme") == "https":
        headers.setdefault("Strict-Transport-Security", HSTS)
    html = headers.get("content-type", "").startswith("text/html")
    policy = PAGE_CSP if html else API_CSP
    if framed_by:  # a launch at a site whose file names these origins: nothing of a record is shown there
        policy = policy.replace("frame-ancestors 'none'", f"frame-ancestors {' '.join(framed_by)}")
    headers.setdefault("Content-Security-Policy", policy)
    headers.setdefault("Cache-Control", "no-store")
    headers["X-Request-Id"] = request_id


def _place(error: BaseException) -> str:
    """`ValueError at runtime.py:57`: enough to find a defect, nothing of what was being worked on."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"

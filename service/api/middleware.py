"""What surrounds every request: a size cap, security headers, one audit row, one access log line without PHI."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access import UNAUDITED
from service.api.problems import Problem, response

if TYPE_CHECKING:
    from service.api.services import Services

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
    "Strict-Transport-Security": "max-age=31536000",
}


def route_of(scope: Scope) -> str:
    """`METHOD /template` of the route that answered, or `METHOD (no route)`: never the path, which names patients."""
    template = getattr(scope.get("route"), "path", None) or "(no route)"
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    return f"{method} {template}"


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
            await response(Problem("body_too_large", limit_bytes=self.max_bytes))(scope, receive, send)
            return
        seen = 0

        async def capped() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.max_bytes:
                raise HTTPException(413)
            return message

        await self.app(scope, capped, send)


class Account:
    """Audits and logs each request once, before its first byte leaves. What cannot be audited is not answered."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self.app = app
        self.services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, request_id, refused = time.perf_counter(), uuid.uuid4().hex[:16], False
        scope.setdefault("state", {})["request_id"] = request_id

        async def accounted(message: Message) -> None:
            nonlocal refused
            if refused:
                return
            if message["type"] == "http.response.start":
                status = message["status"]
                audited = await run_in_threadpool(self._audit, scope, status)
                refused = not audited
                status = status if audited else 503
                log.info(
                    "request",
                    route=route_of(scope),
                    status=status,
                    ms=round((time.perf_counter() - started) * 1000, 1),
                    request_id=request_id,
                )
                if refused:
                    await response(Problem("audit_unavailable"))(scope, receive, send)
                    return
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                html = headers.get("content-type", "").startswith("text/html")
                headers.setdefault("Content-Security-Policy", PAGE_CSP if html else API_CSP)
                headers.setdefault("Cache-Control", "no-store")
                headers["X-Request-Id"] = request_id
            await send(message)

        await self.app(scope, receive, accounted)

    def _audit(self, scope: Scope, status: int) -> bool:
        route = route_of(scope)
        if route in UNAUDITED:
            return True
        principal = scope.get("state", {}).get("principal")
        return self.services.audit(principal, route, status, scope.get("path_params", {}))

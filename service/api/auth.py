"""Who is asking: a bearer key, or the short-lived signed cookie a browser got for one. Decided before a body is read."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.types import Scope

from service import access
from service.api.body import JsonRequest, must_be_json
from service.api.problems import Problem
from service.api.services import Principal, Services

COOKIE = "chartbrief_session"
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Guarded(APIRoute):
    """The only kind of route there is: `access.ROUTES` is asked before anything of the body is read or parsed.

    (A dependency would come too late: FastAPI parses the body first, so a stranger would be told about his JSON.)
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        takes_json = self.body_field is not None

        async def guarded(request: Request) -> Response:
            await run_in_threadpool(authorize, request)
            if not takes_json:
                return await handle(request)
            must_be_json(request)
            return await handle(JsonRequest(request.scope, request.receive))

        return guarded


def route_of(scope: Scope) -> str:
    """`METHOD /template` of the route that answered, or `METHOD (no route)`: never the path, which names patients."""
    template = getattr(scope.get("route"), "path", None) or "(no route)"
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    return f"{method if method in METHODS else 'OTHER'} {template}"


def services_of(request: HTTPConnection) -> Services:
    """The app's services."""
    services: Services = request.app.state.services
    return services


def authorize(request: Request) -> Principal | None:
    """Decide access by the table, and note the caller on the request. Returns None on open routes only."""
    route = route_of(request.scope)
    if access.is_open(route):
        return None
    principal, via = identify(request)
    if principal is None:
        raise Problem("unauthenticated")
    request.state.principal = principal
    if via == "session" and request.method not in SAFE_METHODS:
        same_origin(request)
    if not access.allowed(route, principal.role):
        raise Problem("forbidden", role=principal.role)
    return principal


def same_origin(request: Request) -> None:
    """Refuse a state-changing browser request that another site caused (the cookie is SameSite=Strict besides).

    Every current browser sends Sec-Fetch-Site to https and to loopback, and Origin with every POST; a request without
    either comes from no browser, and so carries no cookie that it was not given.
    """
    fetch_site = request.headers.get("sec-fetch-site")
    if fetch_site is not None:
        if fetch_site not in ("same-origin", "none"):
            raise Problem("cross_site")
        return
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host", ""):
        raise Problem("cross_site")


def identify(request: HTTPConnection) -> tuple[Principal | None, Literal["bearer", "session"]]:
    """The caller and how they showed who they are. A request with an Authorization header is judged by it alone."""
    services = services_of(request)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme:
        return (services.authenticate(token.strip()) if scheme.lower() == "bearer" else None), "bearer"
    cookie = request.cookies.get(COOKIE)
    session = services.sessions.read(cookie) if cookie else None
    return (services.principal_of(session.key_id) if session else None), "session"


def current(request: Request) -> Principal:
    """The caller of a route that is not open."""
    principal: Principal = request.state.principal
    return principal


Caller = Annotated[Principal, Depends(current)]
Use = Annotated[Services, Depends(services_of)]

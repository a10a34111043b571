"""Who is asking: a bearer key, or the short-lived signed cookie a browser got for one."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from fastapi import Depends, Request

from service import access
from service.api.middleware import route_of
from service.api.problems import Problem
from service.api.services import Principal, Services

COOKIE = "chartbrief_session"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def services_of(request: Request) -> Services:
    """The app's services."""
    services: Services = request.app.state.services
    return services


def authorize(request: Request) -> Principal | None:
    """Decide access by the table; the app-wide dependency. Returns None on open routes only."""
    route = route_of(request.scope)
    if access.is_open(route):
        return None
    principal, via = _identify(request)
    if principal is None:
        raise Problem("unauthenticated")
    request.state.principal = principal
    if via == "session" and request.method not in SAFE_METHODS:
        same_origin(request)
    if not access.allowed(route, principal.role):
        raise Problem("forbidden", role=principal.role)
    return principal


def same_origin(request: Request) -> None:
    """Refuse a state-changing browser request that another site caused (the cookie is SameSite=Strict besides)."""
    fetch_site = request.headers.get("sec-fetch-site")
    if fetch_site is not None:
        if fetch_site not in ("same-origin", "none"):
            raise Problem("cross_site")
        return
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host", ""):
        raise Problem("cross_site")


def _identify(request: Request) -> tuple[Principal | None, Literal["bearer", "session"]]:
    services = services_of(request)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme:
        return (services.authenticate(token.strip()) if scheme.lower() == "bearer" else None), "bearer"
    cookie = request.cookies.get(COOKIE)
    key_id = services.sessions.read(cookie) if cookie else None
    return (services.principal_of(key_id) if key_id else None), "session"


def current(request: Request) -> Principal:
    """The caller of a route that is not open."""
    principal: Principal = request.state.principal
    return principal


Caller = Annotated[Principal, Depends(current)]
Use = Annotated[Services, Depends(services_of)]

"""The application: `create_app(settings)`. Every route is Guarded and in the access table, every request audited once."""

from __future__ import annotations

from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException

from service.access import ROUTES
from service.api import (
    description,
    problems,
    routes_identity,
    routes_patients,
    routes_quality,
    routes_review,
    routes_schema,
    routes_sites,
    routes_smart,
)
from service.api.auth import Guarded, Use, route_of
from service.api.middleware import Account, BodyCap
from service.api.problems import Problem
from service.api.services import Services
from service.page import routes as page_routes
from service.settings import Settings
from service.store import Store
from service.terminology_releases import use_imported
from service.workflows import Runtime


def create_app(settings: Settings, store: Store | None = None, runtime: Runtime | None = None) -> FastAPI:
    """The ASGI application. Without a store it opens the one the settings name; without a runtime it cannot refresh."""
    use_imported(settings.home)
    services = Services(settings, store, runtime)
    app = FastAPI(
        title="Chartbrief",
        version="1",
        description=description.ABOUT,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=services.lifespan,
    )
    app.state.services = services
    app.router.route_class = Guarded
    for room in (
        routes_sites,
        routes_patients,
        routes_identity,
        routes_review,
        routes_quality,
        routes_schema,
        routes_smart,
        page_routes,
    ):
        # Not include_router: that wraps routes, and then nobody can walk them.
        app.router.routes.extend(room.router.routes)
    _add_own_routes(app)
    _refuse_unlisted(app)
    app.add_middleware(BodyCap, max_bytes=settings.max_body_bytes)
    app.add_middleware(Account, services=services)
    app.add_exception_handler(HTTPException, _answer)
    app.add_exception_handler(RequestValidationError, problems.on_validation_error)
    return app


def server_config(app: FastAPI, host: str, port: int, **more: Any) -> uvicorn.Config:
    """How to serve it: uvicorn's own access log stays off, because it prints paths, and paths name patients."""
    return uvicorn.Config(
        app, host=host, port=port, access_log=False, log_config=None, server_header=False, date_header=False, **more
    )


def _refuse_unlisted(app: FastAPI) -> None:
    """Fail at the start rather than serve a route without a guard or without a row in `access.ROUTES`."""
    found = set()
    for route in app.routes:
        if not isinstance(route, Guarded):
            raise RuntimeError(f"a route without a guard: {getattr(route, 'path', route)}")
        found |= {f"{method} {route.path}" for method in route.methods or ()}
    if found != set(ROUTES):
        raise RuntimeError(f"routes and access.ROUTES differ: {sorted(found ^ set(ROUTES))}")


async def _answer(request: Request, error: Exception) -> Response:
    """Errors as problem documents; as pages for a person in a browser."""
    assert isinstance(error, HTTPException)
    problem = error if isinstance(error, Problem) else problems.of_framework(error)
    if page_routes.wants_page(route_of(request.scope)):
        return page_routes.problem_page(request, problem)
    return problems.response(problem)


def _add_own_routes(app: FastAPI) -> None:
    @app.get("/healthz", tags=["health"])
    def healthz() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["health"])
    def readyz(services: Use) -> dict[str, str]:
        """The database answers too."""
        services.ready()
        return {"status": "ready"}

    @app.get("/openapi.json", include_in_schema=False)
    def openapi() -> JSONResponse:
        return JSONResponse(description.openapi(app))

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        routes = description.listing(description.openapi(app))
        return page_routes.render("docs.html", routes=routes, codes=problems.CODES, about=description.ABOUT)

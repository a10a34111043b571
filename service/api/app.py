"""The application: `create_app(settings)`. Every route passes `authorize`, every request is audited once."""

from __future__ import annotations

import html
from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException

from service.access import ROUTES
from service.api import problems, routes_patients, routes_sites
from service.api.auth import Use, authorize
from service.api.middleware import Account, BodyCap, route_of
from service.api.problems import Problem
from service.api.services import Services
from service.page import routes as page_routes
from service.settings import Settings
from service.store import Store
from service.workflows import Runtime

DESCRIPTION = """EHR records in; small, cited, honest context out.

Send `Authorization: Bearer cb_...`. Errors are `application/problem+json` with a stable `code`. An absent fact is never
a negative: read the coverage that comes with every answer."""


def create_app(settings: Settings, store: Store | None = None, runtime: Runtime | None = None) -> FastAPI:
    """The ASGI application. Without a store it opens the one the settings name; without a runtime it cannot refresh."""
    services = Services(settings, store, runtime)
    app = FastAPI(
        title="Chartbrief",
        version="1",
        description=DESCRIPTION,
        dependencies=[Depends(authorize)],
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=services.lifespan,
    )
    app.state.services = services
    app.include_router(routes_sites.router)
    app.include_router(routes_patients.router)
    app.include_router(page_routes.router)
    _own_routes(app)
    app.add_middleware(BodyCap, max_bytes=settings.max_body_bytes)
    app.add_middleware(Account, services=services)
    app.add_exception_handler(Problem, _for_person(problems.on_problem))
    app.add_exception_handler(HTTPException, _for_person(problems.on_http_exception))
    app.add_exception_handler(RequestValidationError, problems.on_validation_error)
    return app


def _for_person(handler: Any) -> Any:
    async def handle(request: Request, error: Exception) -> Response:
        if isinstance(error, Problem) and page_routes.wants_page(route_of(request.scope)):
            return page_routes.problem_page(request, error)
        answer: Response = await handler(request, error)
        return answer

    return handle


def _own_routes(app: FastAPI) -> None:
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
        return JSONResponse(_described(app))

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return page_routes.render("docs.html", routes=_listing(_described(app)), about=html.unescape(DESCRIPTION))


def _described(app: FastAPI) -> dict[str, Any]:
    """OpenAPI with the key scheme, the roles of every operation and the problem document."""
    if app.openapi_schema and "x-described" in app.openapi_schema:
        return app.openapi_schema
    schema = app.openapi()
    components = schema.setdefault("components", {})
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "bearerFormat": "cb_<id>_<secret>"}}
    components.setdefault("schemas", {})["Problem"] = {
        "type": "object",
        "required": ["type", "title", "status", "code"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "code": {"type": "string", "enum": sorted(problems.CODES)},
            "detail": {"type": "string"},
        },
    }
    problem = {"content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            roles = sorted(ROUTES.get(f"{method.upper()} {path}", ()))
            operation["security"] = [{"key": []}] if roles else []
            operation["x-roles"] = roles
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = {"description": "Problem (RFC 9457)", **problem}
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    schema["x-described"] = True
    app.openapi_schema = schema
    return schema


def _listing(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "method": method.upper(),
            "path": path,
            "words": operation.get("description") or operation.get("summary", ""),
            "roles": operation["x-roles"],
        }
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
    ]

"""The API's description: OpenAPI with the key scheme, the roles of every operation, the record and the problem document."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI

from models.record import Chart
from service.access import ROUTES
from service.api import problems

ABOUT = """EHR records in; small, cited, honest context out.

Send `Authorization: Bearer cb_...`. Errors are `application/problem+json` with a stable `code`. An absent fact is never
a negative: read the coverage that comes with every answer."""

PROBLEM = {
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


def openapi(app: FastAPI) -> dict[str, Any]:
    """OpenAPI 3.1 of the app; made once."""
    if app.openapi_schema and "x-described" in app.openapi_schema:
        return app.openapi_schema
    schema = app.openapi()
    components = schema.setdefault("components", {})
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "bearerFormat": "cb_<id>_<secret>"}}
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = PROBLEM
    _, record = msgspec.json.schema_components((Chart,), ref_template="#/components/schemas/record.{name}")
    schemas |= {f"record.{name}": shape for name, shape in record.items()}
    problem = {"content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            roles = sorted(ROUTES[f"{method.upper()} {path}"])
            operation["security"] = [{"key": []}] if roles else []
            operation["x-roles"] = roles
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = {"description": "Problem (RFC 9457)", **problem}
    schema["x-described"] = True
    app.openapi_schema = schema
    return schema


def listing(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """One row an operation, for the page that describes the API."""
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

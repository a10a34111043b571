"""Requests made from the API's own description, and spoiled ones: whatever is sent, never a 500."""

from __future__ import annotations

import asyncio
import string
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from api_kit import World, problem
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.access import ROUTES
from service.api import description
from service.api.app import create_app

ANY_TEXT = st.text(max_size=20) | st.sampled_from(
    ["", "\x00", "\ud800", "Ω" * 300, "../..", "%00", "' or 1=1 --", "{{7*7}}", "-1"]
)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=6,
)
API = sorted(r for r in ROUTES if r.split(" ")[1].startswith("/v1"))
FORMS = ["POST /", "POST /login", "GET /patients/{patient_id}", "GET /patients/{patient_id}/sources/{entry_ids}"]


def of_schema(schema: dict[str, Any], components: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values of a JSON Schema, as far as ours go, wrong ones among them."""
    if "$ref" in schema:
        return of_schema(components[schema["$ref"].rsplit("/", 1)[1]], components)
    if "anyOf" in schema:
        return st.one_of([of_schema(s, components) for s in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kind = schema.get("type")
    if kind == "object":
        fields = {n: of_schema(s, components) for n, s in schema.get("properties", {}).items()}
        required = {n: s for n, s in fields.items() if n in schema.get("required", ())}
        some = st.fixed_dictionaries(required, optional={n: s for n, s in fields.items() if n not in required})
        return some if fields else st.dictionaries(ANY_TEXT, ANY_JSON, max_size=3)
    if kind == "array":
        return st.lists(of_schema(schema.get("items", {}), components), max_size=3)
    if kind == "integer":
        return st.integers(1, 20_000) | st.integers(-5, 2**70)
    if kind == "number":
        return st.floats(0, 0.01) | st.floats(allow_nan=False)
    if kind == "boolean":
        return st.booleans()
    if kind == "string":
        pattern = schema.get("pattern")
        plain = (
            st.from_regex(pattern, fullmatch=True) if pattern else st.text(string.ascii_letters + " é0-9:", max_size=30)
        )
        return plain | st.sampled_from(["2024-02-30", "2024", "9999-12-31", "0001-01-01T00:00:00Z", "north"]) | ANY_TEXT
    return st.none() if kind == "null" else ANY_JSON


@pytest.fixture(scope="module")
def app(shared: World) -> FastAPI:
    return create_app(shared.store.settings, shared.store)


@pytest.mark.parametrize("route", [*API, *FORMS])
def test_whatever_is_sent_it_is_answered(app: FastAPI, shared: World, route: str) -> None:
    method, template = route.split(" ")
    schema = description.openapi(app)
    operation = schema["paths"].get(template, {}).get(method.lower(), {})
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    bodies = of_schema(content["schema"], schema["components"]["schemas"]) if content else st.none()
    names = [part[1:-1] for part in template.split("/") if part.startswith("{")]
    known = {"patient_id": [shared.patient], "site": ["north"], "resource_type": ["Condition"], "resource_id": ["c1"]}
    parts = st.fixed_dictionaries({n: st.sampled_from(known.get(n, ["0" * 16])) | ANY_TEXT for n in names})
    asked = st.dictionaries(st.sampled_from(["section", "version", "x"]), ANY_TEXT, max_size=2)

    async def send(path: str, query: dict[str, str], body: Any, raw: bytes | None) -> httpx.Response:
        headers = {"authorization": f"Bearer {shared.tokens['admin']}"}
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            if raw is not None:
                headers["content-type"] = "application/json" if content else "application/x-www-form-urlencoded"
                return await client.request(method, path, params=query, headers=headers, content=raw)
            return await client.request(method, path, params=query, headers=headers, json=body)

    @given(parts, asked, bodies | ANY_JSON, st.none() | st.binary(max_size=40))
    @settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
    def check(values: dict[str, str], query: dict[str, str], body: Any, raw: bytes | None) -> None:
        path = template.format(**{n: quote(v.encode("utf-8", "replace"), safe="") for n, v in values.items()})
        query = {n: v.encode("utf-8", "replace").decode() for n, v in query.items()}
        if raw is None:
            try:
                httpx.Request("POST", "http://x", json=body)
            except ValueError:  # NaN, lone surrogates: no client library sends them; the raw bytes do
                raw = b'{"name": NaN, "question": "\\ud800"}'
        answer = asyncio.run(send(path, query, body, raw))
        assert answer.status_code != 500, (path, body, raw)
        if answer.status_code >= 400 and template.startswith("/v1"):
            assert problem(answer)[0] != 500
        elif answer.status_code == 200 and operation:
            assert answer.headers["content-type"].startswith("text/csv") or answer.json() is not None

    check()

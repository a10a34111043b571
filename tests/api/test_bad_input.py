"""What is wrong with a request is said with a stable code, and never repeated."""

from __future__ import annotations

import gc
import socket
import tracemalloc
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from api_kit import Asked, World, problem, serving
from fastapi import FastAPI

from service.api import problems
from service.api.app import create_app

SECRET = "Zqsecretperson"  # what a caller sent, which no answer may repeat
CONTEXT = "/v1/patients/{p}/context"
SEARCH = "/v1/patients/search"

WRONG = [
    # method, path, what is sent, status, code
    ("GET", "/v1/nothing/here", {}, 404, "not_found"),
    ("GET", "/v1/sites/nowhere", {}, 404, "unknown_site"),
    ("GET", f"/v1/sites/{SECRET}", {}, 404, "unknown_site"),
    ("GET", f"/v1/patients/{SECRET}/chart", {}, 404, "unknown_patient"),
    ("GET", f"/v1/patients/{'x' * 5000}/chart", {}, 404, "unknown_patient"),
    ("GET", "/v1/patients/a%00b/chart", {}, 404, "unknown_patient"),
    ("GET", "/v1/patients/a%27%20or%201=1--/freshness", {}, 404, "unknown_patient"),
    ("GET", "/v1/patients/..%2F..%2Fetc%2Fpasswd/quarantine", {}, 404, "not_found"),
    ("GET", "/v1/patients/%FF%FE/chart", {}, 404, "unknown_patient"),
    ("GET", f"/v1/patients/{{p}}/raw/north/Condition/{SECRET}", {}, 404, "unknown_resource"),
    ("GET", "/v1/patients/{p}/raw/north/Condition/c1%00", {}, 404, "unknown_resource"),
    ("GET", "/v1/patients/{p}/raw/north/Condition/c1?version=%00", {}, 404, "unknown_resource"),
    ("GET", f"/v1/patients/{{p}}/raw/north/Condition/c1?version={'v' * 65}", {}, 422, "invalid_request"),
    ("GET", "/v1/patients/{p}/refresh/%00", {}, 404, "unknown_run"),
    ("DELETE", "/v1/patients/{p}/chart", {}, 405, "method_not_allowed"),
    ("POST", CONTEXT, {"json": {"budget_tokens": -1}}, 422, "invalid_budget"),
    ("POST", CONTEXT, {"json": {"budget_tokens": 0}}, 422, "invalid_budget"),
    ("POST", CONTEXT, {"json": {"budget_tokens": "many"}}, 422, "invalid_budget"),
    ("POST", CONTEXT, {"json": {"budget_tokens": 10**40}}, 422, "invalid_budget"),
    ("POST", CONTEXT, {"json": {"budget_tokens": 5}}, 422, "budget_too_small"),
    ("POST", CONTEXT, {"json": {"purpose": SECRET}}, 422, "unknown_purpose"),
    ("POST", CONTEXT, {"json": {"purpose": "question"}}, 422, "question_required"),
    ("POST", CONTEXT, {"json": {"as_of": SECRET}}, 422, "invalid_request"),
    ("POST", CONTEXT, {"json": {"sections": [SECRET]}}, 422, "invalid_request"),
    ("POST", CONTEXT, {"json": {SECRET: 1}}, 422, "invalid_request"),
    ("POST", CONTEXT, {"json": [SECRET]}, 422, "invalid_request"),
    ("POST", CONTEXT, {"json": SECRET}, 422, "invalid_request"),
    ("POST", CONTEXT, {"content": b'{"purpose": "Zqsecretperson'}, 400, "malformed_json"),
    ("POST", CONTEXT, {"content": b"[" * 100_000}, 400, "malformed_json"),
    ("POST", CONTEXT, {"content": b'{"a":' * 70 + b"1" + b"}" * 70}, 400, "malformed_json"),
    ("POST", CONTEXT, {"content": b'{"window_days": ' + b"9" * 5000 + b"}"}, 400, "malformed_json"),
    ("POST", CONTEXT, {"content": b'{"budget_tokens": NaN}'}, 400, "malformed_json"),
    ("POST", CONTEXT, {"content": b'{"budget_tokens": 1e999}'}, 400, "malformed_json"),
    ("POST", CONTEXT, {"content": '{"question": "é"}'.encode("latin-1")}, 400, "malformed_json"),
    ("POST", CONTEXT, {"content": '{"purpose": "summary"}'.encode("utf-16")}, 400, "malformed_json"),
    ("POST", CONTEXT, {"content": rb'{"question": "nul \u0000", "purpose": "question"}'}, 400, "unusable_text"),
    ("POST", CONTEXT, {"content": rb'{"question": "\ud83d", "purpose": "question"}'}, 400, "unusable_text"),
    ("POST", CONTEXT, {"content": rb'{"\u0000": 1}'}, 400, "unusable_text"),
    ("POST", CONTEXT, {"content": b"<xml/>", "headers": {"content-type": "text/xml"}}, 415, "unsupported_media_type"),
    ("POST", CONTEXT, {"content": b"{}", "headers": {"content-type": ""}}, 415, "unsupported_media_type"),
    ("POST", CONTEXT, {"data": {"purpose": SECRET}}, 415, "unsupported_media_type"),
    ("POST", CONTEXT, {"content": b"{}", "headers": {"content-encoding": "gzip"}}, 415, "unsupported_media_type"),
    ("POST", SEARCH, {}, 422, "invalid_request"),
    ("POST", SEARCH, {"json": {}}, 422, "invalid_request"),
    ("POST", SEARCH, {"json": {"name": "   "}}, 422, "invalid_request"),
    ("POST", SEARCH, {"json": {"name": SECRET, "limit": 0}}, 422, "invalid_request"),
    ("POST", SEARCH, {"json": {"birth_date": SECRET}}, 422, "invalid_request"),
    ("POST", SEARCH, {"json": {"identifier": SECRET * 20}}, 422, "invalid_request"),
    ("POST", SEARCH, {"content": rb'{"identifier": "\u0000"}'}, 400, "unusable_text"),
    ("POST", "/v1/patients/{p}/refresh", {"json": {"wait_seconds": 1e6}}, 422, "invalid_request"),
    ("POST", "/v1/patients/{p}/refresh", {"json": {"sites": []}}, 422, "invalid_request"),
    ("POST", "/v1/patients/{p}/refresh", {"json": {"sites": [SECRET]}}, 422, "invalid_request"),
    ("POST", "/v1/patients", {"json": {"site": "north", "site_patient_id": "../x"}}, 422, "invalid_request"),
    ("POST", "/v1/patients", {"json": {"site": "north", "site_patient_id": "x" * 65}}, 422, "invalid_request"),
    ("POST", "/v1/sites", {"json": [SECRET]}, 422, "invalid_request"),
    ("POST", "/v1/sites", {"json": {"name": "x", "fhir_base": SECRET}}, 422, "invalid_site"),
    ("PUT", "/v1/sites/north", {"json": {"name": "south"}}, 422, "invalid_site"),
    ("POST", "/v1/sites/north/patients/search", {"json": {}}, 422, "invalid_request"),
    ("POST", "/v1/sites/nowhere/patients/search", {"json": {"family": SECRET}}, 404, "unknown_site"),
    ("POST", "/v1/sites/north/patients/search", {"json": {"family": SECRET}}, 502, "site_refused"),
]


@pytest.fixture
def world(shared: World) -> World:
    return shared


@pytest.fixture
def app(shared: World) -> FastAPI:
    return create_app(shared.store.settings, shared.store)


async def test_every_wrong_request_has_its_code_and_is_not_repeated(asked: Asked) -> None:
    for method, path, sent, status, code in WRONG:
        more = dict(sent)
        if "content" in more:
            more["headers"] = {"content-type": "application/json"} | more.get("headers", {})
        before = len(asked.world.audited())
        answer = await asked(method, path, role="admin", **more)
        told = f"{method} {path[:60]} {str(sent)[:80]}"
        assert problem(answer) == (status, code), f"{told}: {answer.text}"
        assert SECRET not in answer.text, told
        assert len(asked.world.audited()) == before + 1, told


async def test_extreme_but_valid_requests_are_answered(asked: Asked) -> None:
    for body in (
        {"window_days": 10**18},
        {"as_of": "0001"},
        {"as_of": "9999-12-31T23:59:59Z"},
        {"budget_tokens": 1_000_000},
        {"model": "no such model \u202e<script>"},
        {"purpose": "question", "question": "a" * 4000},
    ):
        answer = await asked("POST", CONTEXT, json=body)
        assert answer.status_code in (200, 422), (body, answer.text)


async def test_a_strangers_body_is_not_even_read(asked: Asked) -> None:
    broken = {"content": b"{", "headers": {"content-type": "application/json"}}
    for path in (CONTEXT, SEARCH):
        assert problem(await asked("POST", path, role=None, **broken)) == (401, "unauthenticated")
    assert problem(await asked("POST", CONTEXT, role="operator", **broken)) == (403, "forbidden")


async def test_too_small_a_budget_says_what_is_needed_and_that_is_enough(asked: Asked) -> None:
    told = (await asked("POST", CONTEXT, json={"budget_tokens": 5})).json()
    assert told["budget_tokens"] == 5 < told["needed_tokens"]
    enough = await asked("POST", CONTEXT, json={"budget_tokens": told["needed_tokens"]})
    assert enough.status_code == 200 and enough.json()["token_count"] <= told["needed_tokens"]


async def test_unknown_places_are_named_by_the_schemas_words_only(asked: Asked) -> None:
    answer = await asked("POST", CONTEXT, json={SECRET: {"Zqother": 1}, "window_days": -3})
    assert {(e["at"], e["rule"]) for e in answer.json()["errors"]} == {
        ("body.?", "extra_forbidden"),
        ("body.window_days", "greater_than"),
    }


@pytest.mark.parametrize("announced", [True, False])
def test_200_megabytes_are_refused_early_with_flat_memory(app: FastAPI, world: World, announced: bool) -> None:
    sent = 0

    def body() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(200):
            sent += 1
            yield b"x" * 1_000_000

    headers = {"authorization": f"Bearer {world.tokens['clinician']}", "content-type": "application/json"}
    if announced:
        headers["content-length"] = "200000000"
    with serving(app) as base:
        gc.collect()
        tracemalloc.start()
        with httpx.Client(timeout=30) as client:
            answer = client.post(base + SEARCH, content=body(), headers=headers)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert problem(answer) == (413, "body_too_large")
    assert answer.json()["limit_bytes"] == 2_000_000
    assert sent < 60, f"{sent} MB were taken before the refusal"
    assert peak < 40_000_000
    actor, action, _, _ = world.audited()[-1]
    assert actor == world.key_ids["clinician"], "who sent it is known, although it was not read"
    assert action in ("POST /v1/patients/search", "POST (no route)")


def test_a_body_that_never_comes_holds_nobody_up(app: FastAPI, world: World) -> None:
    """An announced body is refused by its announcement alone; half a request that hangs up leaves no defect behind."""
    with serving(app) as base:
        place = urlsplit(base)
        with socket.create_connection((place.hostname, place.port), timeout=10) as caller:
            caller.sendall(b"POST /login HTTP/1.1\r\nhost: x\r\ncontent-length: 200000000\r\n\r\n")
            assert b" 413 " in caller.recv(65536).split(b"\r\n")[0]
        with socket.create_connection((place.hostname, place.port), timeout=10) as caller:
            caller.sendall(b"POST /login HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nkey=")
        with socket.create_connection((place.hostname, place.port), timeout=10) as caller:
            caller.sendall(b"POST /login HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n")
            assert b" 400 " in caller.recv(65536).split(b"\r\n")[0]
        assert httpx.get(base + "/healthz").status_code == 200


def test_every_code_has_a_status_and_a_title_and_is_described() -> None:
    for code, (status, title) in problems.CODES.items():
        assert 400 <= status < 600 and title, code
        answer = problems.response(problems.Problem(code))
        assert answer.status_code == status
        assert ("retry-after" in answer.headers) == (status in (429, 503))

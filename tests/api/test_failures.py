"""When something breaks: the answer is a problem, nothing is told that was not audited, and the service recovers."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

import httpx
import pytest
from api_kit import OURS, Asked, World, problem
from fastapi import FastAPI

from service import logs
from service.api.app import create_app
from service.settings import Settings
from service.store import Store

SECRET = "Zqsecretname"


@pytest.fixture
def told() -> Any:
    """What the service logs, as it would in production."""
    stream = io.StringIO()
    logs.configure(stream=stream)
    yield stream
    logs.configure(stream=io.StringIO())


async def test_a_defect_is_internal_audited_and_logged_by_its_place_alone(
    asked: Asked, admin_sql: Any, told: io.StringIO
) -> None:
    admin_sql("update entries set body = jsonb_set(body, '{origins}', %s)", json.dumps([{"site": SECRET}]))
    answer = await asked("GET", "/v1/patients/{p}/chart")
    assert problem(answer) == (500, "internal")
    assert answer.headers["x-content-type-options"] == "nosniff" and SECRET not in answer.text
    assert asked.world.audited()[-1][2] == "failed"
    assert SECRET not in told.getvalue()
    defect = next(line for line in map(json.loads, told.getvalue().splitlines()) if line["event"] == "defect")
    assert defect["error"].startswith("ValidationError at ") and defect["request_id"] == answer.json()["request_id"]
    page = await asked("GET", "/patients/{p}")
    assert page.status_code == 500 and SECRET not in page.text


async def test_what_cannot_be_audited_is_not_answered(asked: Asked, admin_sql: Any) -> None:
    admin_sql("revoke insert on audit from chartbrief_app")
    for path in ("/v1/patients/{p}/chart", "/v1/sites", "/patients/{p}", "/v1/nothing"):
        answer = await asked("GET", path)
        assert problem(answer) == (503, "audit_unavailable"), path
        assert "Oduya" not in answer.text
    assert (await asked("GET", "/healthz")).status_code == 200
    admin_sql("grant insert on audit to chartbrief_app")
    assert (await asked("GET", "/v1/patients/{p}/chart")).status_code == 200


async def test_without_the_database_everything_is_unavailable_and_says_when_to_ask_again(
    settings: Settings, world: World
) -> None:
    away = settings.model_copy(update={"database_url": "postgresql://nobody@127.0.0.1:1/none", "connect_seconds": 2})
    app = create_app(away, Store(away))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        headers = {"authorization": f"Bearer {world.tokens['admin']}"}
        for path in (f"/v1/patients/{world.patient}/chart", "/v1/sites", "/"):
            answer = await client.get(path, headers=headers)
            assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0, path
        assert problem(await client.get("/readyz")) == (503, "not_ready")
        assert (await client.get("/healthz")).json() == {"status": "ok"}


async def test_a_wrong_master_key_opens_nothing(settings: Settings, world: World) -> None:
    other = settings.model_copy(update={"master_key_file": settings.home / "other.key"})
    store = Store(other)
    app: FastAPI = create_app(other, store)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        headers = {"authorization": f"Bearer {world.tokens['admin']}"}
        answer = await client.get(f"/v1/patients/{world.patient}/chart", headers=headers)
    assert problem(answer) == (503, "unavailable") and "master key" in answer.text
    store.close()


async def test_every_answer_carries_its_guards(asked: Asked) -> None:
    answers = [
        await asked("GET", "/v1/sites"),
        await asked("GET", "/v1/nothing"),
        await asked("GET", "/v1/patients/{p}/raw/north/Condition/c1"),
        await asked("GET", "/healthz", role=None),
        await asked("POST", "/v1/patients/search", headers={"content-length": "9999999"}),
        await asked("GET", "/login", role=None),
    ]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert answer.headers["x-request-id"]
        assert "strict-transport-security" not in answer.headers, "not over plain http"
    secure = await asked("GET", "https://test/healthz")
    assert secure.headers["strict-transport-security"].startswith("max-age=")


async def test_many_at_once_leave_one_row_each_in_one_chain(asked: Asked) -> None:
    paths = ["/v1/patients/{p}/chart", "/v1/patients/nobody/chart", "/v1/nothing", "/v1/sites", "/patients/{p}"] * 5
    before = len(asked.world.audited())
    answers = await asyncio.gather(*(asked("GET", path) for path in paths))
    assert sorted(a.status_code for a in answers) == [200] * 15 + [404] * 10
    assert len(asked.world.audited()) == before + len(paths)
    assert asked.world.store.audit_broken_at(OURS) is None

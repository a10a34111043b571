"""Role x route, by real requests: a route without a row in the table, or a row without a route, fails the suite."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from typing import Any

import api_kit
import httpx
import pytest
from api_kit import CANARY, OURS, THEIRS, World, problem
from fastapi import FastAPI

from service.access import ROUTES, UNAUDITED, Role, allowed, is_open
from service.api.app import create_app
from service.api.auth import COOKIE, Guarded
from service.settings import Settings
from service.store import Store

ALLOWED = {
    "admin": {
        "GET /v1/sites", "POST /v1/sites", "PUT /v1/sites/{site}", "GET /v1/sites/{site}", "POST /v1/sites/{site}/check",
        "GET /v1/sites/{site}/report", "GET /v1/sites/{site}/reports", "GET /v1/sites/{site}/reports/{report_id}",
        "GET /v1/sites/{site}/reports/{report_id}/diff", "POST /v1/sites/{site}/connect", "POST /v1/sites/{site}/disconnect",
        "PUT /v1/sites/{site}/secret", "POST /v1/sites/{site}/rotate-key", "POST /v1/sites/{site}/patients/search", "POST /v1/patients", "POST /v1/patients/search",
        "POST /v1/patients/{patient_id}/refresh", "GET /v1/patients/{patient_id}/refresh/{run_id}",
        "GET /v1/patients/{patient_id}/freshness", "GET /v1/patients/{patient_id}/quarantine",
        "GET /v1/patients/{patient_id}/chart", "GET /v1/patients/{patient_id}/raw/{site}/{resource_type}/{resource_id}",
        "POST /v1/patients/{patient_id}/context", "POST /v1/patients/{patient_id}/summary", "GET /v1/schema/record",
        "POST /logout", "GET /", "POST /", "GET /patients/{patient_id}", "POST /patients/{patient_id}/refresh", "POST /patients/{patient_id}/summary",
        "GET /patients/{patient_id}/sources/{entry_ids}",
        "POST /v1/patients/{patient_id}/writes/preview", "POST /v1/patients/{patient_id}/writes",
        "GET /v1/terminology/review", "GET /v1/terminology/review/{site}/{key}", "GET /v1/terminology/decisions/{site}",
        "POST /v1/terminology/review/{site}/{key}/accept", "POST /v1/terminology/review/{site}/{key}/reject",
        "POST /v1/terminology/review/{site}/{key}/withdraw", "POST /v1/renormalize", "GET /v1/renormalize/{run_id}",
        "POST /v1/sites/{site}/quality", "GET /v1/sites/{site}/quality", "GET /v1/sites/{site}/quality/reports",
        "GET /v1/sites/{site}/quality/reports/{report_id}", "GET /v1/sites/{site}/quality/reports/{report_id}/diff",
        "GET /v1/sites/{site}/quality/runs/{run_id}", "GET /v1/patients/{patient_id}/quality",
        "POST /fhir/Patient/$match", "POST /v1/identity/find", "GET /v1/identity/pairs", "POST /v1/identity/pairs/{pair_id}/accept",
        "POST /v1/identity/pairs/{pair_id}/reject", "GET /v1/patients/{patient_id}/links", "POST /v1/patients/{patient_id}/unlink",
    },
}  # fmt: skip
"""Written out by hand, so that a slip in the table does not go unseen: what the role may do, in the words of the design."""
NO_RECORD = {
    "GET /v1/patients/{patient_id}/quality",
    "GET /v1/patients/{patient_id}/chart", "GET /v1/patients/{patient_id}/raw/{site}/{resource_type}/{resource_id}",
    "POST /v1/patients/{patient_id}/context", "POST /v1/patients/{patient_id}/summary", "POST /v1/patients/search",
    "POST /v1/sites/{site}/patients/search", "GET /", "POST /", "GET /patients/{patient_id}",
    "POST /patients/{patient_id}/refresh", "POST /patients/{patient_id}/summary", "GET /patients/{patient_id}/sources/{entry_ids}",
    "GET /v1/terminology/review", "GET /v1/terminology/review/{site}/{key}", "GET /v1/terminology/decisions/{site}",
}  # fmt: skip
SIGN_IN = {"GET /smart/launch", "GET /smart/launch/{tenant}/{site}", "GET /smart/start", "GET /smart/callback"}
WRITE = {"POST /v1/patients/{patient_id}/writes/preview", "POST /v1/patients/{patient_id}/writes"}
DECIDE = {f"POST /v1/terminology/review/{{site}}/{{key}}/{verb}" for verb in ("accept", "reject", "withdraw")}
CONFIGURE = {
    "POST /v1/renormalize", "GET /v1/renormalize/{run_id}",
    "POST /v1/sites", "PUT /v1/sites/{site}", "POST /v1/sites/{site}/connect", "POST /v1/sites/{site}/disconnect",
    "PUT /v1/sites/{site}/secret", "POST /v1/sites/{site}/rotate-key", "POST /v1/identity/find",
}  # fmt: skip
STEWARD = {
    "GET /v1/identity/pairs", "POST /v1/identity/pairs/{pair_id}/accept", "POST /v1/identity/pairs/{pair_id}/reject",
    "GET /v1/patients/{patient_id}/links", "POST /v1/patients/{patient_id}/unlink",
}  # fmt: skip
MEASURE = {"POST /v1/sites/{site}/check", "POST /v1/sites/{site}/quality"}
ALLOWED["operator"] = (
    ALLOWED["admin"] - NO_RECORD - CONFIGURE - WRITE - STEWARD - DECIDE - {"POST /fhir/Patient/$match"}
)
ALLOWED["integration"] = ALLOWED["admin"] - CONFIGURE - WRITE - STEWARD - DECIDE - MEASURE
ALLOWED["clinician"] = (ALLOWED["integration"] | WRITE | STEWARD | DECIDE) - {"POST /v1/patients"}

BODIES: dict[str, Any] = {
    "POST /v1/sites": {"name": "west", "fhir_base": "https://west.example", "auth": "none"},
    "PUT /v1/sites/{site}": {"fhir_base": "https://north.example/fhir", "auth": "none"},
    "PUT /v1/sites/{site}/secret": {"secret": "s3cret"},
    "POST /v1/sites/{site}/rotate-key": {"step": "publish"},
    "POST /v1/patients": {"site": "north", "site_patient_id": "p8"},
    "POST /v1/patients/search": {"name": "oduya"},
    "POST /fhir/Patient/$match": {
        "resourceType": "Patient",
        "name": [{"family": "Oduya", "given": ["Mirembe"]}],
        "birthDate": "1961-05-06",
    },
    "POST /v1/identity/pairs/{pair_id}/reject": {"note": "Twins."},
    "POST /v1/patients/{patient_id}/unlink": {"site": "north", "note": "Twins."},
    "POST /v1/sites/{site}/patients/search": {"family": "oduya"},
    "POST /v1/renormalize": {"site": "north"},
    "POST /v1/terminology/review/{site}/{key}/accept": {"target": {"system": "http://loinc.org", "code": "2345-7"}},
    "POST /v1/terminology/review/{site}/{key}/reject": {"reason": "no"},
    "POST /v1/terminology/review/{site}/{key}/withdraw": {"reason": "no"},
} | {r: {"kind": "care_plan", "site": "north", "care_plan": "c1", "note": "Call on Friday."} for r in WRITE}
PATHS = {
    "site": "north",
    "pair_id": "0" * 16,
    "tenant": THEIRS,
    "run_id": "0" * 32,
    "report_id": "20260304T100000Z",
    "key": "0" * 16,
    "resource_type": "Condition",
    "resource_id": "c1",
    "name": "page.css",
    "entry_ids": "0" * 16,
}
MATRIX = sorted(itertools.product([r for r in ROUTES if not is_open(r)], Role))
ANONYMOUS = "default"
"""Who shows no key belongs to no tenant; the trail of the process's own tenant has them."""
PATIENT_ROUTES = sorted(r for r in ROUTES if "{patient_id}" in r)


@pytest.fixture
def world(store: Store) -> World:
    return api_kit.populate(store)


@pytest.fixture
def app(settings: Settings, store: Store) -> FastAPI:
    return create_app(settings, store)


@pytest.fixture
async def client(app: FastAPI, world: World) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as opened:
        yield opened


async def ask(
    client: httpx.AsyncClient, route: str, patient: str, token: str | None = None, **headers: str
) -> httpx.Response:
    method, template = route.split(" ")
    if token:
        headers["authorization"] = f"Bearer {token}"
    path = template.format(patient_id=patient, **PATHS)
    return await client.request(method, path, headers=headers, json=BODIES.get(route))


def test_every_route_is_guarded_and_in_the_table(app: FastAPI) -> None:
    found = {f"{m} {r.path}" for r in app.routes for m in r.methods}  # type: ignore[attr-defined]
    assert found == set(ROUTES)
    assert all(isinstance(r, Guarded) for r in app.routes)
    assert {r for r in ROUTES if is_open(r)} == UNAUDITED | {"POST /login", *SIGN_IN}
    for role in Role:
        assert {r for r in ROUTES if allowed(r, role)} == ALLOWED[role], role


@pytest.mark.parametrize("extra", ["plain", "unlisted"])
def test_the_app_does_not_start_with_a_route_that_nobody_decided_on(
    settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch, extra: str
) -> None:
    from service.api import routes_schema

    router = routes_schema.router
    monkeypatch.setattr(router, "routes", [*router.routes])
    if extra == "plain":
        from fastapi.routing import APIRoute

        router.routes.append(APIRoute("/v1/sites", lambda: None, methods=["GET"]))
    else:
        router.routes.append(Guarded("/v1/everything", lambda: None, methods=["GET"]))
    with pytest.raises(RuntimeError, match=r"guard|everything"):
        create_app(settings, store)


async def test_the_matrix(client: httpx.AsyncClient, world: World) -> None:
    """Every role at every route: 403 where the table says no, an answer or an ordinary error where it says yes."""
    for route, role in MATRIX:
        before = len(world.audited())
        answer = await ask(client, route, world.patient, world.tokens[role])
        if route in ALLOWED[role]:
            assert answer.status_code not in (401, 403, 422), (route, role, answer.text)
            assert answer.status_code not in (500, 504), (route, role)
        else:
            assert answer.status_code == 403, (route, role)
            assert "Oduya" not in answer.text and "Gout" not in answer.text
        rows = world.audited()
        assert len(rows) == before + 1, (route, role)
        actor, action, outcome, _ = rows[-1]
        assert (actor, action) == (world.key_ids[role], route)
        assert (outcome == "denied") == (route not in ALLOWED[role]), (route, role)


async def test_nothing_is_answered_without_a_key(client: httpx.AsyncClient, world: World) -> None:
    good = world.tokens[Role.ADMIN]
    for route in ROUTES:
        if is_open(route):
            continue
        for headers in (
            {},
            {"authorization": f"Bearer {good[:-1]}0" if good[-1] != "0" else f"Bearer {good[:-1]}1"},
            {"authorization": f"Basic {good}"},
            {"authorization": "Bearer "},
            {"cookie": f"{COOKIE}={good}"},
        ):
            before = len(world.audited(ANONYMOUS))
            answer = await ask(client, route, world.patient, **headers)
            assert answer.status_code == 401, (route, headers)
            page = answer.headers["content-type"].startswith("text/html")
            assert page or answer.headers["www-authenticate"].startswith("Bearer")
            assert "Oduya" not in answer.text
            about = world.patient if "{patient_id}" in route else None
            assert world.audited(ANONYMOUS)[before:] == [("anonymous", route, "denied", about)]


async def test_a_revoked_key_and_a_key_with_another_role_written_into_the_table_are_worth_nothing(
    client: httpx.AsyncClient, world: World, admin_sql: Any
) -> None:
    route = "GET /v1/patients/{patient_id}/chart"
    token = world.tokens[Role.CLINICIAN]
    assert (await ask(client, route, world.patient, token)).status_code == 200
    world.store.revoke_api_key(OURS, world.key_ids[Role.CLINICIAN])
    assert problem(await ask(client, route, world.patient, token)) == (401, "unauthenticated")
    admin_sql("update api_keys set role = 'admin' where key_id = %s", world.key_ids[Role.OPERATOR])
    assert problem(await ask(client, route, world.patient, world.tokens[Role.OPERATOR])) == (401, "unauthenticated")


async def test_another_tenants_patient_does_not_exist(client: httpx.AsyncClient, world: World) -> None:
    """404, not 403, in the same words as for a patient that nobody has; and not a byte of their record."""
    mine, theirs = world.tokens[Role.ADMIN], world.stranger_token
    for route in PATIENT_ROUTES:
        nobody = await ask(client, route, "f" * 32, mine)
        refused = await ask(client, route, world.stranger, mine)
        assert refused.status_code == nobody.status_code == 404, route
        told = [a.text.replace(world.stranger, "").replace("f" * 32, "") for a in (refused, nobody)]
        assert told[0] == told[1], route
        assert CANARY not in refused.text, route
        assert (await ask(client, route, world.patient, theirs)).status_code == 404, route
        assert [r[2] for r in world.audited()[-2:]] == ["not_found", "not_found"], route


async def test_no_route_of_ours_tells_a_byte_of_another_tenant(client: httpx.AsyncClient, world: World) -> None:
    for route in ROUTES:
        for patient in (world.patient, world.stranger):
            answer = await ask(client, route, patient, world.tokens[Role.ADMIN])
            assert CANARY not in answer.text and CANARY not in str(answer.headers), route
    theirs = await ask(client, "GET /v1/patients/{patient_id}/chart", world.stranger, world.stranger_token)
    assert CANARY in theirs.text, "the canary is there to be found"
    assert world.store.audit_broken_at(OURS) is None and world.store.audit_broken_at(THEIRS) is None

"""The walk through the API: connect a site, find and register a patient, refresh, read; against a practice hospital."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from api_kit import RESOURCES, problem

from service.api.app import create_app
from service.practice_ehr import Fault, PracticeEhr
from service.settings import Settings
from service.store import Store
from service.workflows import Runtime

TENANT = "t1"


@pytest.fixture
def hospital() -> Iterator[PracticeEhr]:
    with PracticeEhr("north", RESOURCES, clients={"chartbrief": []}) as ehr:
        yield ehr


@pytest.fixture
def runtime(store: Store) -> Iterator[Runtime]:
    with Runtime(store) as running:
        yield running


@pytest.fixture
async def admin(settings: Settings, store: Store, runtime: Runtime) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {store.create_api_key(TENANT, 'admin')[1]}"}
    transport = httpx.ASGITransport(app=create_app(settings, store, runtime))
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
        yield client


async def connect(admin: httpx.AsyncClient, hospital: PracticeEhr) -> None:
    config = {"name": "north", "fhir_base": hospital.base_url, "client_id": "chartbrief", "allow_loopback": True}
    added = await admin.post("/v1/sites", json=config)
    assert added.status_code == 201, added.text
    hospital.register("chartbrief", added.json()["jwks"]["keys"])


async def test_from_a_site_to_a_summary(admin: httpx.AsyncClient, hospital: PracticeEhr, store: Store) -> None:
    await connect(admin, hospital)
    assert problem(await admin.get("/v1/sites/north/report")) == (404, "not_found")
    checked = (await admin.post("/v1/sites/north/check")).json()
    assert checked["state"] == "ready" and "Condition" in checked["types_granted"]
    report = (await admin.get("/v1/sites/north/report")).json()
    assert report == checked["conformance"] and report["probed"] is False
    listed = (await admin.get("/v1/sites/north")).json()["report"]
    assert "conformance" not in listed and listed["state"] == "ready"
    found = (await admin.post("/v1/sites/north/patients/search", json={"identifier": "MRN-77"})).json()
    assert [(i["site_patient_id"], i["name"]) for i in found["items"]] == [("p1", "Mirembe Oduya")]
    body = {"site": "north", "site_patient_id": found["items"][0]["site_patient_id"]}
    patient = (await admin.post("/v1/patients", json=body)).json()["patient_id"]

    done = await admin.post(f"/v1/patients/{patient}/refresh", json={"wait_seconds": 60})
    assert done.status_code == 200 and done.json()["state"] == "done", done.text
    ledger = done.json()["report"]["ledger"]
    assert ledger["offered"] == ledger["stored"] + ledger["quarantined"] + ledger["reported_missing"] >= 2
    run = await admin.get(done.headers["location"])
    assert run.json() == done.json()

    assert (await admin.get("/v1/sites/north")).json()["state"] == "ready"
    summary = (await admin.post(f"/v1/patients/{patient}/summary")).json()
    assert "Gout" in summary["text"]
    page = await admin.get(f"/patients/{patient}")
    assert "Mirembe Oduya" in page.text and "Gout" in page.text
    people = (await admin.post("/v1/patients/search", json={"name": "mirembe", "birth_date": "1961-09"})).json()
    assert people["items"][0]["id"] == patient
    assert store.audit_broken_at(TENANT) is None


async def test_a_refresh_answers_at_once_and_tells_how_far_it_is(
    admin: httpx.AsyncClient, hospital: PracticeEhr
) -> None:
    await connect(admin, hospital)
    patient = (await admin.post("/v1/patients", json={"site": "north", "site_patient_id": "p1"})).json()["patient_id"]
    hospital.faults.set(Fault(kind="status", status=500, resource_type="Condition"))
    begun = await admin.post(f"/v1/patients/{patient}/refresh")
    assert begun.status_code == 202 and begun.json()["state"] in ("pending", "running")
    for _ in range(600):
        run = (await admin.get(begun.headers["location"])).json()
        if run["state"] in ("done", "failed"):
            break
        await asyncio.sleep(0.1)
    assert run["state"] == "done", "one broken section does not fail the others"
    lines = {s["section"]: s for s in (await admin.get(f"/v1/patients/{patient}/freshness")).json()["sections"]}
    assert lines["problems"]["state"] == "failed" and lines["demographics"]["state"] == "present"
    page = (await admin.get(f"/patients/{patient}")).text
    assert "Problems (could not be read)" in page
    elsewhere = await admin.post(f"/v1/patients/{patient}/refresh", json={"sites": ["south"]})
    assert problem(elsewhere) == (404, "unknown_site")


async def test_a_site_that_is_away_or_refuses_is_said_so(admin: httpx.AsyncClient, hospital: PracticeEhr) -> None:
    config = {"name": "north", "fhir_base": hospital.base_url, "client_id": "stranger", "allow_loopback": True}
    await admin.post("/v1/sites", json=config)
    refused = (await admin.post("/v1/sites/north/check")).json()
    assert refused["state"] == "needs_reauthorization" and refused["error"]["action"] == "reauthorize"
    assert (await admin.get("/v1/sites/north/report")).json()["state"] == "needs_reauthorization"
    search = await admin.post("/v1/sites/north/patients/search", json={"family": "Oduya"})
    assert problem(search) == (502, "site_refused") and search.json()["action"] == "reauthorize"
    assert "Oduya" not in search.text
    assert (await admin.get("/v1/sites/north")).json()["state"] == "needs_reauthorization"


async def test_an_app_without_a_store_opens_its_own_and_closes_it(settings: Settings, store: Store) -> None:
    """As under any ASGI server: `create_app(Settings())` is all there is to say."""
    token = store.create_api_key(TENANT, "operator")[1]
    app = create_app(settings)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        headers = {"authorization": f"Bearer {token}"}
        async with app.router.lifespan_context(app):
            assert (await client.get("/v1/sites", headers=headers)).json() == {"items": [], "count": 0}
            unknown = await client.post("/v1/patients/nobody/refresh", headers=headers)
            assert problem(unknown) == (404, "unknown_patient")
        assert problem(await client.get("/readyz")) == (503, "not_ready")

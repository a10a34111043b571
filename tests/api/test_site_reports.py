"""Site reports through the API: probed with a test patient, kept by date, shown as JSON and as a page, compared."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from api_kit import RESOURCES, problem

from adapters.conformance import ConformanceReport
from service.api.app import create_app
from service.page.report import report_page
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
async def admin(settings: Settings, store: Store) -> AsyncIterator[httpx.AsyncClient]:
    runtime = Runtime(store)  # not launched: a check is no workflow
    headers = {"authorization": f"Bearer {store.create_api_key(TENANT, 'admin')[1]}"}
    transport = httpx.ASGITransport(app=create_app(settings, store, runtime))
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
        yield client


async def connect(admin: httpx.AsyncClient, hospital: PracticeEhr) -> None:
    config = {
        "name": "north",
        "fhir_base": hospital.base_url,
        "client_id": "chartbrief",
        "allow_loopback": True,
        "overrides": {"limits": {"requests_per_second": 10_000}},
    }
    added = await admin.post("/v1/sites", json=config)
    hospital.register("chartbrief", added.json()["jwks"]["keys"])


async def check(admin: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await admin.post("/v1/sites/north/check", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def keep(store: Store, report: dict[str, Any], at: str, tenant: str = TENANT, **changes: Any) -> dict[str, Any]:
    """The same report as of another day."""
    other: dict[str, Any] = ConformanceReport.model_validate(report | {"checked_at": at} | changes).model_dump(
        mode="json"
    )
    store.add_site_report(tenant, "north", other)
    return other


async def test_a_check_with_a_test_patient_probes_and_its_report_can_be_read_again(
    admin: httpx.AsyncClient, hospital: PracticeEhr, store: Store
) -> None:
    await connect(admin, hospital)
    assert (await admin.get("/v1/sites/north/reports")).json() == {"items": [], "count": 0}
    ours = store.register_patient(TENANT, "north", "p1")
    found = await check(admin, patient="p1")
    report = found["conformance"]
    assert report["probed"] and report["types"]["Condition"]["evidence"] == "live"
    assert found["report"] == report["checked_at"].replace("-", "").replace(":", "")
    row = store.audit_rows(TENANT)[-1]
    assert (row["action"], row["outcome"], row["patient_id"]) == ("POST /v1/sites/{site}/check", "ok", ours)

    (listed,) = (await admin.get("/v1/sites/north/reports")).json()["items"]
    assert (listed["report_id"], listed["state"], listed["probed"]) == (found["report"], "ready", True)
    for path in ("report", f"reports/{found['report']}"):
        assert (await admin.get(f"/v1/sites/north/{path}")).json() == report
        page = await admin.get(f"/v1/sites/north/{path}", headers={"accept": "text/html"})
        assert page.text == report_page(ConformanceReport.model_validate(report))
        assert page.headers["content-type"].startswith("text/html")
        policy = page.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy and "style-src 'unsafe-inline'" in policy and "script" not in policy
        for told in ("p1", "Oduya", "Gout", "MRN-77", "1961"):
            assert told not in page.text.replace(report["checked_at"], ""), told


async def test_a_check_that_fails_leaves_its_report_too(
    admin: httpx.AsyncClient, hospital: PracticeEhr, store: Store
) -> None:
    await connect(admin, hospital)
    hospital.faults.set(Fault(kind="revoked_client"))
    found = await check(admin, patient="p1")
    assert found["state"] == "needs_reauthorization"
    report = (await admin.get(f"/v1/sites/north/reports/{found['report']}")).json()
    assert report["state"] == "needs_reauthorization" and report["error"]["code"]


async def test_two_reports_and_a_report_and_its_profile_are_compared(
    admin: httpx.AsyncClient, hospital: PracticeEhr, store: Store
) -> None:
    await connect(admin, hospital)
    found = await check(admin, patient="p1")
    report, last = found["conformance"], found["report"]
    nothing_before = await admin.get(f"/v1/sites/north/reports/{last}/diff")
    assert problem(nothing_before) == (404, "not_found")
    keep(store, report, "2020-01-01T00:00:00Z", software="Practice 1")
    keep(store, report, "2021-01-01T00:00:00Z")
    hospital.faults.set(Fault(kind="scopes_reduced", types=("Condition",)))
    reduced = await check(admin, patient="p1")
    last = reduced["report"]

    newest_first = [row["report_id"] for row in (await admin.get("/v1/sites/north/reports")).json()["items"]]
    assert newest_first[0] == last and newest_first[-2:] == ["20210101T000000Z", "20200101T000000Z"]
    assert (await admin.get("/v1/sites/north/report")).json() == reduced["conformance"], (
        "the last one is the newest one"
    )
    refused = {"severity": "breaks", "code": "search", "where": "Condition"}
    for against in ("previous", "20210101T000000Z", "profile"):
        found = (await admin.get(f"/v1/sites/north/reports/{last}/diff", params={"against": against})).json()
        assert refused.items() <= found["differences"][0].items() and found["counts"]["breaks"] == 1, against
    assert found["before"] == "profile generic" and found["after"].startswith("north ")
    earlier = (await admin.get("/v1/sites/north/reports/20210101T000000Z/diff")).json()
    assert [d["code"] for d in earlier["differences"]] == ["software"] and earlier["counts"]["breaks"] == 0
    assert earlier["before"] == "north 2020-01-01T00:00:00Z"
    for path in (
        f"reports/{last}/diff?against=20190101T000000Z",
        "reports/20190101T000000Z/diff",
        "reports/20190101T000000Z",
        "reports/%27%20or%201=1",
    ):
        assert (await admin.get(f"/v1/sites/north/{path}")).status_code == 404, path
    assert problem(await admin.get("/v1/sites/south/reports")) == (404, "unknown_site")


async def test_reports_of_another_tenants_site_of_the_same_name_are_not_there(
    admin: httpx.AsyncClient, hospital: PracticeEhr, store: Store
) -> None:
    await connect(admin, hospital)
    report = (await check(admin))["conformance"]
    keep(store, report, "2021-01-01T00:00:00Z", tenant="t2", title="theirs")
    items = (await admin.get("/v1/sites/north/reports")).json()["items"]
    assert "20210101T000000Z" not in [i["report_id"] for i in items]
    assert problem(await admin.get("/v1/sites/north/reports/20210101T000000Z")) == (404, "not_found")


@pytest.mark.parametrize("patient", ["../Patient", "a b", "p" * 65, ""])
async def test_what_is_no_fhir_id_is_not_asked_for(
    admin: httpx.AsyncClient, hospital: PracticeEhr, patient: str
) -> None:
    await connect(admin, hospital)
    answer = await admin.post("/v1/sites/north/check", json={"patient": patient})
    assert problem(answer) == (422, "invalid_request") and not hospital.requests
    assert not patient or patient not in answer.text


async def test_one_check_of_a_site_at_a_time(
    admin: httpx.AsyncClient, hospital: PracticeEhr, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await connect(admin, hospital)
    began, go_on = threading.Event(), threading.Event()
    add = Store.add_site_report

    def slowly(*arguments: Any) -> str:
        began.set()
        assert go_on.wait(20)
        return add(*arguments)

    monkeypatch.setattr(Store, "add_site_report", slowly)
    first = asyncio.create_task(admin.post("/v1/sites/north/check"))
    assert await asyncio.to_thread(began.wait, 20)
    second = await admin.post("/v1/sites/north/check")
    assert problem(second) == (409, "conflict")
    go_on.set()
    assert (await first).status_code == 200
    assert (await admin.post("/v1/sites/north/check")).status_code == 200

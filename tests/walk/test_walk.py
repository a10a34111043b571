"""One patient from three EHRs to the screen, through the real parts: hospitals over HTTP, store, workflows, API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from service.access import Role
from service.api.app import create_app
from service.api.services import Services
from service.demo import cast
from service.practice_ehr import Fault, PracticeEhrs, built_in_hospital, serve
from service.practice_ehr.population import SyntheticPatient, generate
from service.settings import Settings
from service.store import Store
from service.workflows import Runtime

TENANT = "walk"
PEOPLE = 4


@dataclass
class Walk:
    """Three connected hospitals, and requests with a key of the API."""

    ehrs: PracticeEhrs
    services: Services
    runtime: Runtime
    star: SyntheticPatient
    token: str

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=create_app(self.services.settings, self.services.store, self.runtime))
            headers = {"Authorization": f"Bearer {self.token}"}
            async with httpx.AsyncClient(transport=transport, base_url="http://walk", timeout=120) as client:
                return await client.request(method, path, headers=headers, **more)

        return asyncio.run(send())

    def got(self, method: str, path: str, **more: Any) -> Any:
        answer = self.ask(method, path, **more)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def register(self) -> str:
        patient: str | None = None
        for hospital in cast():
            system, number = self.star.identifier(hospital.name)
            asked = {"identifier": f"{system}|{number}"}
            (match,) = self.got("POST", f"/v1/sites/{hospital.name}/patients/search", json=asked)["items"]
            body = {"site": hospital.name, "site_patient_id": match["site_patient_id"], "patient_id": patient}
            patient = self.got("POST", "/v1/patients", json=body)["patient_id"]
        assert patient
        return patient

    def refresh(self, patient: str) -> Any:
        return self.got("POST", f"/v1/patients/{patient}/refresh", json={"wait_seconds": 60})


@pytest.fixture
def walk(settings: Settings, store: Store) -> Iterator[Walk]:
    people = generate(patients=PEOPLE)
    hospitals = [built_in_hospital(h.dress, patients=PEOPLE, clients={}) for h in cast()]
    with serve(hospitals) as ehrs, Runtime(store) as runtime:
        services = Services(settings, store, runtime)
        for hospital in cast():
            config = hospital.config(ehrs[hospital.name].base_url)
            added = services.put_site(TENANT, config.model_dump(mode="json"), replace=True)
            ehrs[hospital.name].register(config.client_id, added["jwks"]["keys"])
        yield Walk(ehrs, services, runtime, people[0], services.create_key(TENANT, Role.ADMIN, "walk")[1])


def facts_of(chart: dict[str, Any]) -> str:
    """A chart without the moments at which we happened to ask."""

    def timeless(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: timeless(v) for k, v in value.items() if k not in ("retrieved", "as_of", "patient_id")}
        return [timeless(v) for v in value] if isinstance(value, list) else value

    return json.dumps(timeless(chart), sort_keys=True)


def test_from_three_hospitals_to_a_cited_answer(walk: Walk) -> None:
    patient = walk.register()
    report = walk.refresh(patient)["report"]
    ledger = report["ledger"]
    assert ledger["offered"] == ledger["stored"] + ledger["quarantined"] + ledger["reported_missing"] > 500
    document = walk.got("POST", f"/v1/patients/{patient}/context", json={"budget_tokens": 4000})
    assert document["token_count"] <= 4000
    assert document["ledger"]["offered"] == document["ledger"]["included"] + document["ledger"]["omitted"]
    assert {o["site"] for f in document["facts"] for o in f["origin"]} == {"lakeshore", "river-valley", "prairie"}
    kinds = {c["kind"] for c in document["conflicts"]}
    assert {"active_vs_stopped", "allergy_vs_none", "different_dose"} <= kinds, "the story's contradictions are told"
    for fact in document["facts"][:40]:
        origin = fact["origin"][0]
        source = walk.ask("GET", f"/v1/patients/{patient}/raw/{origin['site']}/{origin['reference']}")
        assert source.status_code == 200
        assert f"{source.json()['resourceType']}/{source.json()['id']}" == origin["reference"]
    summary = walk.got("POST", f"/v1/patients/{patient}/summary", json={"budget_tokens": 4000})
    cited = {key for s in summary["statements"] for key in s["cites"]}
    assert set(document["must_include"]) <= cited
    page = walk.ask("GET", f"/patients/{patient}")
    assert page.status_code in (200, 303), "with a key, or to the page that asks for one"


def test_refreshing_again_and_twice_at_once_changes_no_fact(walk: Walk) -> None:
    patient = walk.register()
    walk.refresh(patient)
    first = facts_of(walk.got("GET", f"/v1/patients/{patient}/chart"))
    runs = [walk.runtime.start_refresh(TENANT, patient) for _ in range(2)]
    ended = [walk.runtime.run(TENANT, run, 60) for run in runs]
    assert [run["state"] for run in ended if run] == ["done", "done"]
    assert facts_of(walk.got("GET", f"/v1/patients/{patient}/chart")) == first


def test_a_hospital_that_dies_takes_nothing_with_it(walk: Walk) -> None:
    patient = walk.register()
    walk.refresh(patient)
    before = walk.got("GET", f"/v1/patients/{patient}/chart")
    walk.ehrs["river-valley"].stop()
    walk.ehrs["prairie"].faults.set(
        Fault(kind="status", resource_type="AllergyIntolerance", status=403),
        Fault(kind="html_login", resource_type="Condition"),
        Fault(kind="self_loop", resource_type="Observation"),
        Fault(kind="status", resource_type="allergies", status=403),  # its second API would stand in for the first
        Fault(kind="html_login", resource_type="problems"),
    )
    report = walk.refresh(patient)["report"]
    assert {s["site"]: s["state"] for s in report["sites"]}["river-valley"] == "unavailable"
    after = walk.got("GET", f"/v1/patients/{patient}/chart")
    assert {e["id"] for e in before["entries"]} <= {e["id"] for e in after["entries"]}, "what was known stays known"
    lines = {(c["site"], c["section"]): c for c in after["coverage"]}
    refused, broken = lines["prairie", "allergies"], lines["prairie", "problems"]
    assert refused["state"] == broken["state"] == "stale", "there is earlier data, and no newer"
    assert "not_authorized" in refused["reason"] and "html" in broken["reason"], "refused and broken are told apart"
    assert all(c["state"] == "stale" and c["reason"] for (site, _), c in lines.items() if site == "river-valley")
    document = walk.got("POST", f"/v1/patients/{patient}/context", json={"budget_tokens": 4000})
    for claim in ("no known problems", "no problems", "no medications", "no immunizations"):
        assert claim not in document["text"].lower()


def test_a_hospital_that_was_never_reached_is_an_unknown_and_no_negative(walk: Walk) -> None:
    patient = walk.register()
    for ehr in walk.ehrs.values():
        ehr.stop()
    walk.refresh(patient)
    document = walk.got("POST", f"/v1/patients/{patient}/context", json={})
    assert document["ledger"]["offered"] == 0
    assert {c["state"] for c in document["coverage"]} == {"failed"}
    assert "no known" not in document["text"].lower()
    summary = walk.got("POST", f"/v1/patients/{patient}/summary", json={})
    assert "no known" not in summary["text"].lower()
    assert summary["statements"], "it says that nothing could be read"

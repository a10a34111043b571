"""Quality of what is stored: by API and command, kept by date, compared; who may see what."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import api_kit
import httpx
import pytest
from api_kit import CANARY, OURS, Asked, World, problem
from store_kit import fetch, raw

from models.record import Rejected
from service.api.app import create_app
from service.cli.main import main
from service.settings import Settings
from service.store import Store

SITE = "/v1/sites/north/quality"
LATER = "2026-04-04T10:00:00Z"


@pytest.fixture
def world(store: Store) -> World:
    return api_kit.populate(store)


@pytest.fixture
async def ask(settings: Settings, store: Store, world: World) -> AsyncIterator[Asked]:
    transport = httpx.ASGITransport(app=create_app(settings, store))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield Asked(client, world)


def lose_problems(world: World) -> None:
    world.store.commit_fetch(OURS, world.patient, "north", [fetch("problems", state="empty", as_of=LATER)])


async def test_a_sites_report_is_made_kept_and_holds_counts_only(ask: Asked, world: World) -> None:
    assert problem(await ask("GET", SITE)) == (404, "not_found"), "none was made yet"
    made = (await ask("POST", SITE, "operator")).json()
    assert made["patients"] == 1 and made["scope"] == "site" and made["examples"] == {}
    problems = next(s for s in made["sections"] if s["section"] == "problems")
    assert (problems["some"], problems["entries"], problems["coverage"]) == (1, 1, {"present": 1})
    allergies = next(s for s in made["sections"] if s["section"] == "allergies")
    assert (allergies["none"], allergies["unknown"]) == (0, 1), "failed is unknown"
    assert made["quarantine"] == {"wrong_patient": 1}
    account = made["resources"]
    assert account["offered"] == account["stored"] + account["quarantined"] + account["reported_missing"]
    text = json.dumps(made)
    for word in ("Oduya", "Gout", "MRN-77", "p1", world.patient, CANARY):
        assert word not in text, word
    assert (await ask("GET", SITE)).json() == made
    rows = (await ask("GET", f"{SITE}/reports")).json()
    assert (rows["count"], rows["items"][0]["patients"]) == (1, 1)
    dated = f"{SITE}/reports/{rows['items'][0]['report_id']}"
    assert (await ask("GET", dated)).json() == made
    assert problem(await ask("GET", f"{dated}/diff")) == (404, "not_found"), "there is no earlier one"
    page = await ask("GET", SITE, headers={"accept": "text/html"})
    assert "What to fix first" in page.text and "script" not in page.headers["content-security-policy"]


async def test_a_section_lost_between_two_reports_is_an_alert(ask: Asked, world: World, store: Store) -> None:
    from service.quality import of_site

    store.add_quality_report(OURS, "north", of_site(store, OURS, "north", "2026-03-05T10:00:00Z").to_dict())
    lose_problems(world)
    after = of_site(store, OURS, "north", "2026-04-05T10:00:00Z")
    assert after.lost == {"problems": 1}
    assert after.findings[0].key == "lost/problems"
    store.add_quality_report(OURS, "north", after.to_dict())
    trend = (await ask("GET", f"{SITE}/reports/20260405T100000Z/diff")).json()
    assert {a["code"] for a in trend["alerts"] if a["section"] == "problems"} == {"section_lost", "section_gone"}
    assert of_site(store, OURS, "north", "2026-06-05T10:00:00Z").lost == {}, "told for thirty days"


async def test_a_failed_query_loses_nothing(world: World, store: Store) -> None:
    from service.quality import of_site

    failed = fetch("problems", state="failed", as_of=LATER, reason="http_503")
    store.commit_fetch(OURS, world.patient, "north", [failed])
    report = of_site(store, OURS, "north", "2026-04-05T10:00:00Z")
    assert report.lost == {} and report.sections[2].some == 1


async def test_a_patients_report_names_entries_and_reads_raw_elements(ask: Asked, world: World, store: Store) -> None:
    rejected = Rejected(site="north", reason="unreadable", section="encounters", resource_type="Encounter")
    visit = {"status": "finished", "subject": {"reference": "Patient/p1"}, "identifier": [{"value": "V1"}]}
    here: dict[str, Any] = {"tenant": OURS}
    encounters = fetch("encounters", [raw("Encounter", "e1", visit, **here)], rejected=(rejected,))
    store.commit_fetch(OURS, world.patient, "north", [encounters])
    report = (await ask("GET", "/v1/patients/{p}/quality")).json()
    assert report["scope"] == "patient" and report["quarantine"]["unreadable"] == 1
    identifier = next(r for r in report["completeness"] if r["path"] == "Encounter.identifier")
    assert (identifier["present"], identifier["of"]) == (1, 1)
    period = next(r for r in report["completeness"] if r["path"] == "Encounter.participant.period")
    assert (period["present"], period["of"]) == (0, 1)
    ids = {e.id for e in store.chart(OURS, world.patient).entries}
    assert report["examples"] and {i for found in report["examples"].values() for i in found} <= ids
    page = await ask("GET", "/v1/patients/{p}/quality", headers={"accept": "text/html"})
    assert "protected health information" in page.text
    assert problem(await ask("GET", "/v1/patients/{p}/quality", "operator")) == (403, "forbidden")
    assert problem(await ask("GET", f"/v1/patients/{world.stranger}/quality")) == (404, "unknown_patient")
    assert world.audited()[-1][1:] == ("GET /v1/patients/{patient_id}/quality", "not_found", world.stranger)


async def test_a_large_site_is_the_commands(ask: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    from service.api import routes_quality

    monkeypatch.setattr(routes_quality, "MOST_PATIENTS", 0)
    answer = await ask("POST", SITE, "operator")
    assert problem(answer) == (409, "conflict") and "chartbrief quality --site north" in answer.text


def test_patients_of_a_site_come_page_by_page(store: Store, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from service.store import quality

    monkeypatch.setattr(quality, "PAGE", 2)
    ours = {store.register_patient(OURS, "north", f"x{n}") for n in range(5)} | {world.patient}
    found = list(store.patients_of_site(OURS, "north"))
    assert sorted(found) == sorted(ours) and store.count_patients_of_site(OURS, "north") == 6


def test_the_command_over_the_store(
    store: Store, database_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    for name, value in (
        ("DATABASE_URL", database_url),
        ("CHARTBRIEF_HOME", str(settings.home)),
        ("CHARTBRIEF_TENANT", OURS),
    ):
        monkeypatch.setenv(name, value)
    world = api_kit.populate(store)
    assert main(["quality", "--site", "north", "--as-of", "2026-03-05", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["alerts"] == [] and first["report"]["patients"] == 1
    lose_problems(world)
    assert main(["quality", "--site", "north", "--as-of", "2026-04-05", "--compare", "previous", "--json"]) == 8
    document = json.loads(capsys.readouterr().out)
    assert document["error"]["code"] == "quality_alerts" and document["trend"]["before"] == first["report"]["made"]
    assert main(["quality", "--patient", world.patient, "--json"]) in (0, 8)
    assert json.loads(capsys.readouterr().out)["report"]["scope"] == "patient"
    assert main(["quality", "--site", "west", "--json"]) == 6
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "unknown_site"
    rows = [
        (r["action"], r["outcome"], r["patient_id"]) for r in store.audit_rows(OURS) if r["action"] == "CLI quality"
    ]
    assert rows == [
        ("CLI quality", "ok", None),
        ("CLI quality", "ok", None),
        ("CLI quality", "ok", world.patient),
        ("CLI quality", "not_found", None),
    ]


def test_the_reports_of_another_tenant_are_not_there(store: Store, world: World) -> None:
    store.add_quality_report(OURS, "north", {"made": LATER, "patients": 1})
    assert store.quality_report("theirs", "north") is None and store.quality_reports("theirs", "north") == []

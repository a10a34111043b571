"""Quality of what is stored: by API and command, kept by date, compared; who may see what."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import api_kit
import httpx
import pytest
from api_kit import CANARY, OURS, Asked, World, problem
from store_kit import fetch, raw

from models.quality import QualityReport, Tally
from models.record import Rejected
from service.api.app import create_app
from service.cli.main import main
from service.quality import end_run, measure_next
from service.settings import Settings
from service.store import Store, dated, quality_runs
from service.workflows import Runtime

SITE = "/v1/sites/north/quality"
LATER = "2026-04-04T10:00:00Z"


@pytest.fixture
def world(store: Store) -> World:
    return api_kit.populate(store)


@pytest.fixture
async def ask(settings: Settings, store: Store, world: World) -> AsyncIterator[Asked]:
    """Without workflows: what only reads."""
    transport = httpx.ASGITransport(app=create_app(settings, store))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield Asked(client, world)


@pytest.fixture
def runtime(store: Store) -> Iterator[Runtime]:
    with Runtime(store) as running:
        yield running


def of_site(store: Store, site: str, now: str) -> QualityReport:
    """The report of a run, worked off here."""
    run_id = store.begin_quality_run(OURS, site, "k1", now)
    assert run_id is not None
    while measure_next(store, OURS, run_id):
        pass
    end_run(store, OURS, run_id)
    return QualityReport.from_dict(store.quality_report(OURS, site, dated.report_id_of(now)))


def lose_problems(world: World) -> None:
    world.store.commit_fetch(OURS, world.patient, "north", [fetch("problems", state="empty", as_of=LATER)])


async def test_a_sites_report_is_made_kept_and_holds_counts_only(
    settings: Settings, store: Store, world: World, runtime: Runtime
) -> None:
    transport = httpx.ASGITransport(app=create_app(settings, store, runtime))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        await _made_and_kept(Asked(client, world), world)


async def _made_and_kept(ask: Asked, world: World) -> None:
    assert problem(await ask("GET", SITE)) == (404, "not_found"), "none was made yet"
    assert problem(await ask("POST", "/v1/sites/nowhere/quality", "operator")) == (404, "unknown_site")
    begun = await ask("POST", SITE, "operator")
    assert begun.status_code in (200, 202) and begun.json()["total"] == 1
    followed = begun.headers["location"]
    done = (await ask("POST", f"{SITE}?wait_seconds=60", "operator")).json()
    run = (await ask("GET", followed)).json()
    assert (run["state"], run["patients"], run["error"], run["alerts"]) == ("done", 1, "", [])
    assert done["state"] == "done"
    assert problem(await ask("GET", followed.replace("north", "other"))) == (404, "unknown_site")
    assert problem(await ask("GET", f"{SITE}/runs/nosuch")) == (404, "unknown_run")
    made = (await ask("GET", SITE)).json()
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
    rows = (await ask("GET", f"{SITE}/reports")).json()
    assert rows["items"][0]["patients"] == 1 and rows["items"][0]["report_id"] == done["report_id"]
    assert (await ask("GET", f"{SITE}/reports/{done['report_id']}")).json() == made
    first = rows["items"][-1]["report_id"]
    assert problem(await ask("GET", f"{SITE}/reports/{first}/diff")) == (404, "not_found"), "there is no earlier one"
    page = await ask("GET", SITE, headers={"accept": "text/html"})
    assert "What to fix first" in page.text and "script" not in page.headers["content-security-policy"]


async def test_a_section_lost_between_two_reports_is_an_alert(ask: Asked, world: World, store: Store) -> None:
    of_site(store, "north", "2026-03-05T10:00:00Z")
    lose_problems(world)
    after = of_site(store, "north", "2026-04-05T10:00:00Z")
    assert after.lost == {"problems": 1}
    assert after.findings[0].key == "lost/problems"
    trend = (await ask("GET", f"{SITE}/reports/20260405T100000Z/diff")).json()
    assert {a["code"] for a in trend["alerts"] if a["section"] == "problems"} == {"section_lost", "section_gone"}
    assert of_site(store, "north", "2026-06-05T10:00:00Z").lost == {}, "told for thirty days"


async def test_a_failed_query_loses_nothing(world: World, store: Store) -> None:
    failed = fetch("problems", state="failed", as_of=LATER, reason="http_503")
    store.commit_fetch(OURS, world.patient, "north", [failed])
    report = of_site(store, "north", "2026-04-05T10:00:00Z")
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


def test_a_run_counts_each_patient_once_however_often_it_is_taken_up(
    store: Store, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality_runs, "BATCH", 2)
    for n in range(4):
        store.register_patient(OURS, "north", f"x{n}")
    now = "2026-03-05T10:00:00Z"
    run_id = store.begin_quality_run(OURS, "north", "k1", now)
    assert run_id and store.begin_quality_run(OURS, "north", "k2", LATER) == run_id, "asked for twice it is one"
    assert store.unfinished_quality_runs() == [(OURS, run_id)]
    again = store.quality_patients(OURS, run_id)
    assert again is not None and measure_next(store, OURS, run_id)
    store.add_to_quality_run(OURS, run_id, again, Tally([(("patients",), 2)]))  # a process that came late with the same
    assert store.quality_run(OURS, run_id)["patients"] == 2
    while measure_next(store, OURS, run_id):
        pass
    end_run(store, OURS, run_id)
    end_run(store, OURS, run_id, "late")
    run = store.quality_run(OURS, run_id)
    assert (run["state"], run["patients"], run["total"]) == ("done", 5, 5)
    assert store.quality_report(OURS, "north", run["report_id"])["patients"] == 5
    assert store.unfinished_quality_runs() == [] and store.quality_run("theirs", run_id) is None
    rows = [r["actor"] for r in store.audit_rows(OURS) if r["action"] == "measure quality"]
    assert rows == ["k1"]


def test_a_record_that_breaks_the_measuring_is_counted_and_hides_nobody(
    store: Store, world: World, admin_sql: Any
) -> None:
    other = store.register_patient(OURS, "north", "p2")
    store.commit_fetch(
        OURS,
        other,
        "north",
        [
            fetch(
                "problems",
                [
                    raw(
                        "Condition",
                        "c9",
                        {"code": {"text": "Gout"}, "subject": {"reference": "Patient/p2"}},
                        tenant=OURS,
                    )
                ],
            )
        ],
    )
    admin_sql("""update entries set body = '{"kind": "torn"}' where patient_id = %s""", other)
    report = of_site(store, "north", "2026-03-05T10:00:00Z")
    assert (report.patients, report.unmeasured) == (1, 1)
    assert next(s for s in report.sections if s.section == "problems").some == 1
    told = next(f for f in report.findings if f.key == "unmeasured")
    assert (told.affected, told.of, told.severity) == (1, 2, "high")


def test_a_schedule_begins_a_run_when_it_is_due_and_only_one(store: Store, world: World) -> None:
    assert store.due_quality_sites("2026-03-05T10:00:00Z") == []
    store.put_site(OURS, store.site(OURS, "north").model_copy(update={"quality_every_hours": 24.0}))
    now = datetime.now(UTC)
    soon, tomorrow = (now + timedelta(hours=1)).isoformat(), (now + timedelta(hours=25)).isoformat()
    assert store.due_quality_sites(soon) == [(OURS, "north")]
    run_id = store.begin_quality_run(OURS, "north", "schedule", soon, due=True)
    assert run_id and store.begin_quality_run(OURS, "north", "schedule", soon, due=True) is None
    assert store.due_quality_sites(tomorrow) == [], "one is under way"
    end_run(store, OURS, run_id)
    assert store.due_quality_sites(soon) == []
    assert store.due_quality_sites(tomorrow) == [(OURS, "north")]
    assert store.begin_quality_run(OURS, "north", "k1", soon), "by hand at any time"


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

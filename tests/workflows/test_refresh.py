"""A refresh: all sites side by side, each within its limits, a dead one stopping nobody; the run tells how far it is."""

from __future__ import annotations

import itertools

import pytest
from workflow_kit import connect, facts, until

from adapters.profile import SiteConfig
from models.record import SECTIONS, Allergy, Medication
from service.practice_ehr import Fault
from service.settings import Settings
from service.store import Store, UnknownPatient, UnknownSite
from service.workflows import Runtime


def states(store: Store, patient: str, site: str) -> dict[str, str]:
    return {c.section: c.state for c in store.coverage("t1", patient) if c.site == site}


def test_a_refresh_reads_all_sections_and_accounts_for_them(store: Store, runtime: Runtime, hospital) -> None:
    ehr = hospital(clients={})
    patient = connect(store, ehr)
    run = runtime.refresh_patient("t1", patient)
    assert run["state"] == "done" and run["finished"]
    (site,) = run["report"]["sites"]
    assert site["state"] == "ready" and set(site["sections"]) == set(SECTIONS)
    assert run["sections_asked"] == len(run["sections"]) == len(SECTIONS)
    for account in [run["report"]["ledger"], site["ledger"]]:
        assert account["offered"] == account["stored"] + account["quarantined"] + account["reported_missing"] > 0
    chart = store.chart("t1", patient)
    assert [m.concept.display for m in chart.of(Medication)] == ["Lisinopril 10 mg"]
    assert [a.concept.display for a in chart.of(Allergy)] == ["Penicillin"]
    found = states(store, patient, "north")
    assert (found["problems"], found["immunizations"]) == ("present", "empty")
    assert store.sites("t1")[0]["state"] == "ready"
    assert store.audit_broken_at("t1") is None and len(store.audit_rows("t1")) == len(SECTIONS)


def test_twice_the_same_is_one_effect(store: Store, runtime: Runtime, hospital, admin_sql) -> None:
    ehr = hospital()
    patient = connect(store, ehr)
    runtime.refresh_patient("t1", patient)
    once, versions = facts(store.chart("t1", patient)), admin_sql("select xmin::text from entries order by entry_id")
    runtime.refresh_patient("t1", patient)
    assert facts(store.chart("t1", patient)) == once
    assert admin_sql("select xmin::text from entries order by entry_id") == versions


def test_a_refresh_asked_for_twice_at_once_is_one(store: Store, runtime: Runtime, hospital) -> None:
    ehr = hospital(latency=0.02)
    patient = connect(store, ehr)
    first, second = runtime.start_refresh("t1", patient), runtime.start_refresh("t1", patient, ["north", "north"])
    assert first == second
    assert runtime.run("t1", first, 90)["state"] == "done"
    asked = len(ehr.requests)
    third = runtime.refresh_patient("t1", patient)
    assert third["run_id"] != first
    assert len(ehr.requests) == 2 * asked, "the two requests at once were one fetch"


def test_a_dead_site_stops_nobody(store: Store, runtime: Runtime, hospital) -> None:
    patient = connect(store, hospital())
    once = {"limits": {"tries": 1}}
    store.put_site(
        "t1",
        SiteConfig(name="dead", fhir_base="http://127.0.0.1:9", auth="none", allow_loopback=True, overrides=once),
    )
    store.register_patient("t1", "dead", "p1", patient)
    run = runtime.refresh_patient("t1", patient)
    assert run["state"] == "done"
    assert {s["site"]: s["state"] for s in run["report"]["sites"]} == {"dead": "unavailable", "north": "ready"}
    assert set(states(store, patient, "dead").values()) == {"failed"}
    assert states(store, patient, "north")["problems"] == "present"
    assert len(store.chart("t1", patient).of(Allergy)) == 1


def test_a_slow_site_does_not_hold_up_the_others(store: Store, hospital) -> None:
    slow, quick = hospital("slow"), hospital("quick")
    slow.faults.set(Fault(kind="delay", resource_type="metadata", seconds=30))
    patient = connect(store, slow)
    connect(store, quick)
    store.register_patient("t1", "quick", "p2", patient)
    with Runtime(store) as runtime:
        run = runtime.start_refresh("t1", patient)
        done = until(lambda: [s for s in store.run("t1", run)["sections"] if s["site"] == "quick"])
        assert done
        assert not [s for s in store.run("t1", run)["sections"] if s["site"] == "slow"]
        assert store.run("t1", run)["state"] == "running"
    assert store.run("t1", run)["state"] == "running", "a process that ends in order leaves its work to the next"


def test_patients_are_read_one_after_the_other_at_one_site(store: Store, runtime: Runtime, hospital, admin_sql) -> None:
    """The site's limits are limits of the site, not of each refresh."""
    ehr = hospital(latency=0.02)
    runs = [runtime.start_refresh("t1", connect(store, ehr, patient=there)) for there in ("p1", "p2", "p3")]
    for run in runs:
        assert runtime.run("t1", run, 90)["state"] == "done"
    spans = admin_sql("select min(ended), max(ended) from run_sections group by run_id order by 1")
    assert all(earlier[1] <= later[0] for earlier, later in itertools.pairwise(spans))


def test_more_refreshes_than_places_all_end(database_url: str, tmp_path, hospital) -> None:
    store = Store(Settings(home=tmp_path, database_url=database_url, refresh_concurrency=1))
    north, south = hospital("north"), hospital("south")
    with Runtime(store) as runtime:
        runs = [runtime.start_refresh("t1", connect(store, ehr)) for ehr in (north, south)]
        assert [runtime.run("t1", run, 90)["state"] for run in runs] == ["done", "done"]
    store.close()


def test_a_refused_type_and_a_login_page_cost_their_sections_only(store: Store, runtime: Runtime, hospital) -> None:
    ehr = hospital()
    ehr.faults.set(
        Fault(kind="status", resource_type="AllergyIntolerance", status=403),
        Fault(kind="html_login", resource_type="Immunization"),
        Fault(kind="self_loop", resource_type="Condition"),
    )
    patient = connect(store, ehr)
    run = runtime.refresh_patient("t1", patient)
    found = states(store, patient, "north")
    assert run["state"] == "done"
    assert found["allergies"] == "not_authorized" and found["immunizations"] == "failed"
    assert found["medications"] == "present"
    assert run["report"]["ledger"]["quarantined"] >= 1, "the login page is in quarantine"


def test_what_cannot_be_opened_is_said(store: Store, runtime: Runtime, hospital, tmp_path) -> None:
    """A client key that does not open any more (wrong master key): coverage and report say so; facts stay."""
    ehr = hospital(clients={})
    patient = connect(store, ehr)
    runtime.refresh_patient("t1", patient)
    before = len(store.chart("t1", patient).entries)
    for name in ("client_key", "token"):
        store.put_secret("t1", "north", name, b"x")
    with store.database.transaction("t1") as db:
        db.exec_driver_sql("update secrets set sealed = substring(sealed for 40) where site = 'north'")
    run = runtime.refresh_patient("t1", patient)
    assert run["report"]["sites"][0]["state"] == "misconfigured"
    assert set(states(store, patient, "north").values()) == {"stale"}
    assert len(store.chart("t1", patient).entries) == before


def test_who_is_unknown_is_named_so(store: Store, runtime: Runtime, hospital) -> None:
    patient = connect(store, hospital())
    with pytest.raises(UnknownPatient):
        runtime.start_refresh("t1", "nobody")
    with pytest.raises(UnknownPatient):
        runtime.start_refresh("t2", patient)
    with pytest.raises(UnknownSite):
        runtime.start_refresh("t1", patient, ["south"])
    assert runtime.run("t1", "no-such-run") is None
    assert runtime.run("t2", runtime.start_refresh("t1", patient)) is None, "another tenant's run is none"


@pytest.mark.parametrize("given_up", ["status = 'MAX_RECOVERY_ATTEMPTS_EXCEEDED'", "application_version = 'older'"])
def test_a_refresh_that_was_given_up_ends_and_can_be_asked_for_again(
    store: Store, hospital, admin_sql, given_up: str
) -> None:
    """What took the process down too often is not started again; the run must not stay under way for ever."""
    patient = connect(store, hospital(latency=0.05))
    with Runtime(store) as runtime:
        run = runtime.start_refresh("t1", patient)
        until(lambda: store.run("t1", run)["sections"])
    admin_sql(f"update dbos.workflow_status set {given_up} where status <> 'SUCCESS'")
    with Runtime(store) as runtime:
        assert runtime.run("t1", run)["state"] == "failed"
        again = runtime.refresh_patient("t1", patient)
        assert again["run_id"] != run and again["state"] == "done"


def test_retention_of_the_settings_is_kept(database_url: str, tmp_path, hospital, admin_sql) -> None:
    """A version that left the chart longer ago than the settings say is deleted by the next refresh."""
    store = Store(Settings(home=tmp_path, database_url=database_url, raw_retention_days=30))
    ehr = hospital()
    patient = connect(store, ehr)
    with Runtime(store) as runtime:
        runtime.refresh_patient("t1", patient)
        ehr.delete("Condition", "c0")
        ehr.delete("Condition", "c1")
        runtime.refresh_patient("t1", patient)
        admin_sql("update raw set stored_at = stored_at - interval '40 days'")
        admin_sql("update membership set gone_at = gone_at - interval '40 days' where resource_id = 'c0'")
        runtime.refresh_patient("t1", patient)
    kept = {row[0] for row in admin_sql("select resource_id from raw where resource_type = 'Condition'")}
    assert kept == {"c1", "c2", "c3"}
    assert {g["resource_id"] for g in store.gone("t1", patient)} == {"c0", "c1"}
    store.close()

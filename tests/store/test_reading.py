"""Freshness, versions and runs as the interfaces read them."""

from __future__ import annotations

import pytest
from store_kit import NOW, add_patient, add_site, condition, fetch

from service.store import Store

LATER = "2026-03-04T11:00:00Z"


def state(store: Store, patient: str, as_of: str) -> tuple[str, str]:
    (line,) = [c for c in store.coverage("t1", patient, as_of=as_of) if c.section == "problems"]
    return line.state, line.reason


def test_an_answer_older_than_the_sites_target_is_stale(store: Store) -> None:
    add_site(store, freshness_hours=2)
    patient = store.register_patient("t1", "north", "p1")
    store.commit_fetch("t1", patient, "north", [fetch("problems", [condition("c1")]), fetch("allergies")])
    assert state(store, patient, "2026-03-04T12:00:00Z") == ("present", "")
    assert state(store, patient, "2026-03-04T12:00:01Z") == ("stale", "older than 2 hours")
    assert state(store, patient, "2026-03-04T13:30:00+01:00")[0] == "stale", "instants, not texts, are compared"
    chart = store.chart("t1", patient, as_of="2026-03-05T00:00:00Z")
    assert len(chart.entries) == 1, "facts stay"
    assert {c.section: c.state for c in chart.coverage}["allergies"] == "stale", "an old nothing is no nothing"
    add_site(store, freshness_hours=48)
    assert state(store, patient, "2026-03-05T00:00:00Z")[0] == "present", "the target is the site's of today"


def test_an_old_answer_that_was_cut_stays_truncated(store: Store) -> None:
    patient = add_patient(store)
    cut = fetch("problems", [condition("c1")], state="truncated", reason="cap of 1")
    store.commit_fetch("t1", patient, "north", [cut])
    assert state(store, patient, NOW) == ("truncated", "cap of 1")
    assert state(store, patient, "2026-03-09T00:00:00Z") == ("truncated", "cap of 1; older than 24 hours")


@pytest.mark.parametrize("broken", ["failed", "not_authorized", "not_supported"])
def test_a_section_that_was_good_is_stale_whatever_refuses_it_now(store: Store, broken) -> None:
    patient = add_patient(store)
    store.commit_fetch("t1", patient, "north", [fetch("problems", [condition("c1")])])
    for _ in range(2):
        store.commit_fetch("t1", patient, "north", [fetch("problems", state=broken, reason="why")])
        assert state(store, patient, NOW) == ("stale", f"last refresh: {broken}: why")
        assert len(store.chart("t1", patient, as_of=NOW).entries) == 1
    (line,) = [f for f in store.freshness("t1", patient) if f["section"] == "problems"]
    assert (line["state"], line["last_updated"]) == ("stale", NOW) and line["last_asked"]
    store.commit_fetch("t1", patient, "north", [fetch("problems", [condition("c1")], as_of=LATER)])
    assert state(store, patient, LATER) == ("present", "")


def test_sections_nobody_asked_for_and_sites_that_were_added_are_not_queried(store: Store) -> None:
    patient = add_patient(store)
    add_site(store, name="south")
    store.register_patient("t1", "south", "s1", patient)
    lines = store.coverage("t1", patient)
    assert {c.site for c in lines} == {"north", "south"} and {c.state for c in lines} == {"not_queried"}


def test_purging_keeps_what_left_the_chart_lately(store: Store, admin_sql) -> None:
    """How long a version is kept counts from when it left, not from when it came."""
    patient = add_patient(store)
    store.commit_fetch("t1", patient, "north", [fetch("problems", [condition("c1", "Old")])])
    admin_sql("update raw set stored_at = '2020-01-01'")
    store.commit_fetch("t1", patient, "north", [fetch("problems", [condition("c1", "New")], as_of=LATER)])
    assert store.purge_raw("t1", "2021-01-01T00:00:00Z") == 0, "replaced today"
    admin_sql("update raw set stored_at = '2020-06-01' where stored_at > '2021-01-01'")
    assert store.purge_raw("t2", "2021-01-01T00:00:00Z") == 0
    assert store.purge_raw("t1", "2021-01-01T00:00:00Z") == 1
    assert store.raw("t1", patient, "north", "Condition", "c1").content == condition("c1", "New").content


def test_a_patient_is_linked_once_and_to_one(store: Store) -> None:
    patient = add_patient(store)
    assert store.register_patient("t1", "north", "p1") == patient
    add_site(store, name="south")
    assert store.register_patient("t1", "south", "s1", patient) == patient
    assert store.links("t1", patient) == {"north": "p1", "south": "s1"}
    other = store.register_patient("t1", "north", "p2")
    with pytest.raises(ValueError, match="already linked"):
        store.register_patient("t1", "north", "p1", other)
    with pytest.raises(KeyError):
        store.register_patient("t1", "north", "p3", "nobody")
    assert store.search_patients("t1", identifier="nul \x00 inside") == []


def test_a_run_is_joined_while_it_is_under_way_and_ends_with_its_last_site(store: Store) -> None:
    patient = add_patient(store)
    run = store.begin_run("t1", patient, ["south", "north"])
    assert store.begin_run("t1", patient, ["north", "south", "north"]) == run
    assert store.begin_run("t1", patient, ["north"]) != run
    store.commit_fetch("t1", patient, "north", [fetch("problems", [condition("c1")])], run_id=run)
    assert list(store.committed_sections("t1", run, "north")) == ["problems"]
    store.end_site("t1", run, "north", {"site": "north", "state": "ready"})
    store.end_site("t1", run, "north", {"site": "north", "state": "failed"})
    assert store.run("t1", run)["state"] == "running"
    store.end_site("t1", run, "south", {"site": "south", "state": "failed"})
    ended = store.run("t1", run)
    assert ended["state"] == "done" and ended["sections_asked"] == 28
    assert ended["report"]["sites"] == [{"site": "north", "state": "ready"}, {"site": "south", "state": "failed"}]
    assert ended["report"]["ledger"] == {"offered": 1, "stored": 1, "quarantined": 0, "reported_missing": 0}
    store.end_run("t1", run, "failed")
    assert store.run("t1", run) == ended, "an ended run stays as it ended"
    assert store.begin_run("t1", patient, ["north", "south"]) != run


def test_codes_in_use_are_counted_once_an_entry_over_all_patients_of_one_tenant(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.store.reading.PATIENTS_AT_ONCE", 2)
    for n in range(5):
        patient = add_patient(store, there=f"p{n}")
        found = [condition(f"c{n}-{k}", patient=f"p{n}") for k in range(2)]
        store.commit_fetch("t1", patient, "north", [fetch("problems", found)])
    assert store.codes_in_use("t1")["http://snomed.info/sct", "38341003"] == 10
    assert store.codes_in_use("t2") == {}

"""All or nothing, in any order, as often as it comes."""

from __future__ import annotations

import itertools
import threading
import time

import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_kit import NOW, add_patient, condition, fetch, person, raw

from models.record import Missing, Rejected
from service.store import Store, StoreUnavailable

WRITTEN = ("raw", "membership", "entries", "coverage", "quarantine", "missing", "ledgers", "run_sections", "audit")


def answer() -> list:
    torn = Rejected(site="north", reason="not_json", section="problems", content=b"{torn")
    lost = Missing(site="north", section="problems", reference="Condition/c8", reason="404")
    return [
        fetch("problems", [condition("c1"), condition("c2", patient="stranger")], rejected=(torn,), missing=(lost,))
    ]


def test_a_commit_that_dies_in_the_middle_leaves_nothing(store: Store, admin_sql, database_url: str) -> None:
    """Its connection is killed while it waits for the audit chain: after everything else was written."""
    patient = add_patient(store)
    run = store.begin_run("t1", patient, ["north"])
    store.internal_key("t1", "audit")
    died: list[Exception] = []

    def commit() -> None:
        try:
            store.commit_fetch("t1", patient, "north", answer(), run_id=run)
        except Exception as error:
            died.append(error)

    with psycopg.connect(database_url) as holder:
        holder.execute("select pg_advisory_xact_lock(hashtextextended('audit|t1', 1))")
        thread = threading.Thread(target=commit)
        thread.start()
        waits = "select pid from pg_stat_activity where datname = current_database() and wait_event = 'advisory'"
        deadline = time.monotonic() + 60
        while not (waiting := admin_sql(waits)):
            assert time.monotonic() < deadline
        admin_sql("select pg_terminate_backend(%s)", waiting[0][0])
        thread.join()
    assert [type(e) for e in died] == [StoreUnavailable]
    assert {table: admin_sql(f"select count(*) from {table}")[0][0] for table in WRITTEN} == dict.fromkeys(WRITTEN, 0)
    store.commit_fetch("t1", patient, "north", answer(), run_id=run)
    assert all(admin_sql(f"select count(*) from {table}")[0][0] for table in WRITTEN), "all of it, at the next try"


def test_if_the_audit_cannot_be_written_nothing_is(store: Store, admin_sql) -> None:
    patient = add_patient(store)
    admin_sql("revoke insert on audit from chartbrief_app")
    try:
        with pytest.raises(Exception, match="refused"):
            store.commit_fetch("t1", patient, "north", answer())
        assert admin_sql("select count(*) from raw") == [(0,)]
    finally:
        admin_sql("grant insert on audit to chartbrief_app")


def test_a_deadlock_or_a_lock_that_is_not_given_is_unavailable(database_url: str, tmp_path) -> None:
    from service.settings import Settings

    store = Store(Settings(home=tmp_path, database_url=database_url, statement_seconds=0.3))
    patient = add_patient(store)
    with psycopg.connect(database_url) as holder:
        holder.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"t1|{patient}|north",))
        with pytest.raises(StoreUnavailable):
            store.commit_fetch("t1", patient, "north", answer())
    store.commit_fetch("t1", patient, "north", answer())
    store.close()


def _resources() -> dict[str, list]:
    order = {"subject": {"reference": "Patient/p1"}, "status": "active", "intent": "order"}
    return {
        "demographics": [person()],
        "problems": [condition(f"c{i}", f"Problem {i % 3}") for i in range(5)] + [condition("x", patient="stranger")],
        "medications": [
            raw("MedicationRequest", "m1", order | {"medicationReference": {"reference": "Medication/d1"}}),
            raw("Medication", "d1", {"code": {"text": "Lisinopril 10 mg"}}),
            raw("Practitioner", "who", {"name": [{"family": "Birch"}]}),
        ],
        "procedures": [
            raw("Practitioner", "who", {"name": [{"family": "Birch"}]}),
            raw("Procedure", "q1", {"subject": {"reference": "Patient/p1"}, "status": "completed"}),
        ],
    }


_example = itertools.count()
_charts: set[bytes] = set()


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_the_chart_does_not_depend_on_the_order_of_anything(store: Store, data) -> None:
    """Sections, resources within them, how many sections a commit takes, repetition: one chart."""
    tenant = f"order-{next(_example):03}"
    patient = add_patient(store, tenant)
    answers = [
        fetch(section, [msgspec.structs.replace(r, tenant=tenant) for r in data.draw(st.permutations(rows))])
        for section, rows in data.draw(st.permutations(list(_resources().items())))
    ]
    answers += [a for a in answers if data.draw(st.booleans())]
    while answers:
        some = data.draw(st.integers(1, len(answers)))
        store.commit_fetch(tenant, patient, "north", answers[:some])
        answers = answers[some:]
    chart = msgspec.json.encode(store.chart(tenant, patient, as_of=NOW))
    _charts.add(chart.replace(tenant.encode(), b"TENANT").replace(patient.encode(), b"PATIENT"))
    assert len(_charts) == 1


def test_of_two_contents_at_once_the_last_received_counts_in_every_section(store: Store) -> None:
    """A site that changes a resource between two sections: one entry, and the later words, whatever came first."""
    for number in range(6):  # whichever of the two hashes is the greater
        late = condition("c1", f"Late {number}", retrieved="2026-03-04T10:00:05Z")
        both = (condition("c1", f"Early {number}"), late)
        for one, two in (both, both[::-1]):
            tenant = f"t-{one.content_hash[:8]}"
            patient = add_patient(store, tenant)
            one, two = (msgspec.structs.replace(r, tenant=tenant) for r in (one, two))
            answers = [fetch("problems", [one]), fetch("procedures", [two])]
            ledger = store.commit_fetch(tenant, patient, "north", answers)
            (entry,) = store.chart(tenant, patient, as_of=NOW).entries
            assert entry.concept.display == f"Late {number}" and ledger.stored == 1


def test_a_failed_answer_that_arrives_late_brings_nothing_old_back(store: Store) -> None:
    patient = add_patient(store)
    later = "2026-03-04T11:00:00Z"
    store.commit_fetch("t1", patient, "north", [fetch("problems", [condition("c1", "New")], as_of=later)])
    old = condition("c1", "Old")
    store.commit_fetch("t1", patient, "north", [fetch("problems", [old], state="failed", as_of=NOW)])
    assert [e.concept.display for e in store.chart("t1", patient, as_of=NOW).entries] == ["New"]
    assert store.raw("t1", patient, "north", "Condition", "c1", version=old.content_hash) is not None


def test_what_a_late_answer_rejected_is_in_quarantine_all_the_same(store: Store) -> None:
    patient = add_patient(store)
    store.commit_fetch("t1", patient, "north", [fetch("problems", [condition("c1")], as_of="2026-03-04T11:00:00Z")])
    run = store.begin_run("t1", patient, ["north"])
    ledger = store.commit_fetch("t1", patient, "north", answer(), run_id=run)
    assert (ledger.offered, ledger.stored) == (1, 1), "the account of what is current"
    (row,) = store.quarantine("t1", patient)
    assert row["reason"] == "not_json" and not row["current"]
    (account,) = store.run("t1", run)["sections"]
    assert (account["offered"], account["stored"], account["quarantined"], account["missing"]) == (4, 2, 1, 1)


def test_a_resource_about_somebody_else_is_given_to_nobody(store: Store) -> None:
    patient = add_patient(store)
    stranger = condition("c2", patient="stranger")
    store.commit_fetch("t1", patient, "north", [fetch("problems", [condition("c1"), stranger])])
    assert store.raw("t1", patient, "north", "Condition", "c1") is not None
    for version in (None, "", stranger.content_hash):
        assert store.raw("t1", patient, "north", "Condition", "c2", version) is None
    (row,) = store.quarantine("t1", patient)
    assert store.quarantined_bytes("t1", row["id"]) == stranger.content


def test_contents_are_looked_up_by_their_whole_key(store: Store) -> None:
    """Tables that were just filled have no statistics; a plan that reads the whole site for each resource is quadratic."""
    from sqlalchemy import text

    from service.store import reread

    patient = add_patient(store)
    store.commit_fetch("t1", patient, "north", [fetch("problems", [condition(f"c{i}") for i in range(50)])])
    place = {"t": "t1", "p": patient, "s": "north", "kinds": [], "ids": [], "hashes": [], "sections": []}
    with store.database.transaction("t1") as db:
        plan = "\n".join(row[0] for row in db.execute(text(f"explain {reread._CONTENTS}"), place))
    assert "raw_pkey" in plan and "content_hash = k.content_hash" in plan.partition("Index Cond")[2].splitlines()[0]

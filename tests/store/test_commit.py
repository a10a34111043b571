"""What the store keeps of a site's answers, and what the chart shows of it."""

from __future__ import annotations

import itertools
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_kit import NOW, add_patient, condition, fetch, person, raw

from models.record import Coverage, Medication, Missing, Problem, Rejected
from service.store import Store, UnknownPatient, UnknownSite

LATER, LATEST = "2026-03-04T11:00:00Z", "2026-03-04T12:00:00Z"


def problems(store: Store, patient: str) -> list[str]:
    return sorted(p.concept.display for p in store.chart("t1", patient, as_of=NOW).of(Problem))


def line(store: Store, patient: str, section: str) -> Coverage:
    return next(c for c in store.coverage("t1", patient, as_of=NOW) if c.section == section)


def test_a_committed_section_is_in_the_chart_and_raw_comes_back_byte_for_byte(store: Store) -> None:
    patient = add_patient(store)
    sent = condition("c1")
    ledger = store.commit_fetch("t1", patient, "north", [fetch("problems", [sent])])
    assert problems(store, patient) == ["Hypertension"]
    assert (ledger.offered, ledger.stored) == (1, 1)
    found = store.raw("t1", patient, "north", "Condition", "c1")
    assert found is not None and found.content == sent.content and found.section == "problems"
    assert line(store, patient, "problems").state == "present"
    assert line(store, patient, "allergies").state == "not_queried"


def test_the_same_answer_twice_is_one_effect(store: Store, admin_sql) -> None:
    patient = add_patient(store)
    answer = [fetch("problems", [condition("c1"), condition("c2", "Asthma")])]
    store.commit_fetch("t1", patient, "north", answer)
    first = store.chart("t1", patient, as_of=NOW)
    versions = admin_sql("select xmin::text from entries order by entry_id")
    again = [fetch("problems", [condition("c1", retrieved=LATER), condition("c2", "Asthma", retrieved=LATER)])]
    store.commit_fetch("t1", patient, "north", again)
    assert store.chart("t1", patient, as_of=NOW) == first
    assert admin_sql("select xmin::text from entries order by entry_id") == versions, "rows were rewritten for nothing"
    assert admin_sql("select count(*) from raw") == [(2,)]


def test_a_failed_refresh_wipes_nothing_and_says_so(store: Store) -> None:
    patient = add_patient(store)
    store.commit_fetch("t1", patient, "north", [fetch("problems", [condition("c1")])])
    store.commit_fetch("t1", patient, "north", [fetch("problems", state="failed", reason="http_503")])
    assert problems(store, patient) == ["Hypertension"]
    known = line(store, patient, "problems")
    assert (known.state, known.as_of) == ("stale", NOW)
    assert "failed" in known.reason and "http_503" in known.reason
    store.commit_fetch("t1", patient, "north", [fetch("allergies", state="failed", reason="http_503")])
    assert line(store, patient, "allergies").state == "failed", "never asked with success: not stale"


def test_what_a_failed_fetch_did_bring_is_kept(store: Store) -> None:
    patient = add_patient(store)
    store.commit_fetch("t1", patient, "north", [fetch("problems", [condition("c1")])])
    ledger = store.commit_fetch(
        "t1", patient, "north", [fetch("problems", [condition("c2", "Asthma")], state="failed", reason="deadline")]
    )
    assert problems(store, patient) == ["Asthma", "Hypertension"]
    assert ledger.stored == 2


def test_a_vanished_resource_leaves_the_chart_and_stays_as_raw(store: Store) -> None:
    patient = add_patient(store)
    store.commit_fetch("t1", patient, "north", [fetch("problems", [condition("c1"), condition("c2", "Asthma")])])
    run = store.begin_run("t1", patient, ["north"])
    store.commit_fetch(
        "t1", patient, "north", [fetch("problems", [condition("c2", "Asthma")], as_of=LATER)], run_id=run
    )
    assert problems(store, patient) == ["Asthma"]
    assert [(g["resource_type"], g["resource_id"]) for g in store.gone("t1", patient)] == [("Condition", "c1")]
    assert store.raw("t1", patient, "north", "Condition", "c1") is None
    old = store.raw("t1", patient, "north", "Condition", "c1", version=condition("c1").content_hash)
    assert old is not None and old.content == condition("c1").content
    state = store.run("t1", run)
    assert state is not None and state["sections"][0]["gone"] == 1
    store.commit_fetch(
        "t1", patient, "north", [fetch("problems", [condition("c1"), condition("c2", "Asthma")], as_of=LATEST)]
    )
    assert problems(store, patient) == ["Asthma", "Hypertension"]
    assert store.gone("t1", patient) == []


def test_a_truncated_answer_makes_nothing_vanish(store: Store) -> None:
    patient = add_patient(store)
    store.commit_fetch("t1", patient, "north", [fetch("problems", [condition("c1"), condition("c2", "Asthma")])])
    store.commit_fetch(
        "t1", patient, "north", [fetch("problems", [condition("c2", "Asthma")], state="truncated", as_of=LATER)]
    )
    assert problems(store, patient) == ["Asthma", "Hypertension"]
    assert line(store, patient, "problems").state == "truncated"


@pytest.mark.parametrize(
    ("gaps", "left"),
    [
        ({"missing": (Missing(site="north", reference="Condition/c1", reason="http_503"),)}, ["Asthma", "Hypertension"]),
        ({"missing": (Missing(site="north", reference="Practitioner/d1", reason="http_503"),)}, ["Asthma"]),
        ({"rejected": (Rejected(site="north", reason="unreadable", resource_type="Condition", resource_id="c1"),)},
         ["Asthma", "Hypertension"]),
        ({"rejected": (Rejected(site="north", reason="unreadable", resource_type="Condition", resource_id="c9"),)},
         ["Asthma"]),
        ({"rejected": (Rejected(site="north", reason="unreadable", content=b"{"),)}, ["Asthma", "Hypertension"]),
    ],
)  # fmt: skip
def test_what_was_offered_and_could_not_be_read_has_not_vanished(store: Store, gaps, left) -> None:
    patient = add_patient(store)
    store.commit_fetch("t1", patient, "north", [fetch("problems", [condition("c1"), condition("c2", "Asthma")])])
    store.commit_fetch("t1", patient, "north", [fetch("problems", [condition("c2", "Asthma")], as_of=LATER, **gaps)])
    assert problems(store, patient) == left and not line(store, patient, "problems").complete


def test_a_result_that_its_report_refers_to_and_that_did_not_come_this_time_stays(store: Store) -> None:
    """Only a report leads to it, and what leads to it was read: nobody said that it is gone."""
    patient = add_patient(store)
    subject = {"subject": {"reference": "Patient/p1"}, "status": "final", "code": {"text": "Panel"}}
    report = raw("DiagnosticReport", "r1", subject | {"result": [{"reference": "Observation/panel"}]})
    panel, member = raw("Observation", "panel", subject), raw("Observation", "member", subject)
    store.commit_fetch("t1", patient, "north", [fetch("reports", [report, panel, member])])
    gone = Missing(site="north", reference="Observation/panel", reason="not readable: http_503")
    store.commit_fetch("t1", patient, "north", [fetch("reports", [report], as_of=LATER, missing=(gone,))])
    assert store.gone("t1", patient) == []


def test_an_older_answer_that_arrives_late_changes_nothing(store: Store) -> None:
    patient = add_patient(store)
    store.commit_fetch("t1", patient, "north", [fetch("problems", [condition("c1", "New words")], as_of=LATER)])
    store.commit_fetch("t1", patient, "north", [fetch("problems", [condition("c1", "Old words")], as_of=NOW)])
    assert problems(store, patient) == ["New words"]
    assert line(store, patient, "problems").as_of == LATER


def test_another_content_under_the_same_version_is_kept_beside_the_first(store: Store) -> None:
    patient = add_patient(store)
    first, second = condition("c1", "One", version="1"), condition("c1", "Two", version="1")
    store.commit_fetch("t1", patient, "north", [fetch("problems", [first])])
    store.commit_fetch("t1", patient, "north", [fetch("problems", [second], as_of=LATER)])
    assert problems(store, patient) == ["Two"]
    for sent in (first, second):
        found = store.raw("t1", patient, "north", "Condition", "c1", version=sent.content_hash[:16])
        assert found is not None and found.content == sent.content


def test_a_reference_resolves_when_its_target_comes_with_a_later_section(store: Store) -> None:
    patient = add_patient(store)
    order = raw(
        "MedicationRequest",
        "m1",
        {
            "subject": {"reference": "Patient/p1"},
            "status": "active",
            "intent": "order",
            "medicationReference": {"reference": "Medication/d1"},
        },
    )
    drug = raw("Medication", "d1", {"code": {"text": "Lisinopril 10 mg"}})
    store.commit_fetch("t1", patient, "north", [fetch("medications", [order])])
    store.commit_fetch("t1", patient, "north", [fetch("procedures", [drug])])
    (shown,) = store.chart("t1", patient, as_of=NOW).of(Medication)
    assert shown.concept.display == "Lisinopril 10 mg"


def test_what_cannot_be_read_is_in_quarantine_with_its_bytes(store: Store) -> None:
    patient = add_patient(store)
    stranger = condition("c9", patient="someone-else")
    torn = Rejected(site="north", reason="not_json", detail="page 2", section="problems", content=b"{torn")
    lost = Missing(site="north", section="problems", reference="Condition/c8", reason="404")
    ledger = store.commit_fetch(
        "t1", patient, "north", [fetch("problems", [condition("c1"), stranger], rejected=(torn,), missing=(lost,))]
    )
    assert (ledger.offered, ledger.stored, ledger.quarantined, ledger.reported_missing) == (4, 1, 2, 1)
    rows = store.quarantine("t1", patient)
    assert {r["reason"] for r in rows if r["current"]} == {"not_json", "wrong_patient"}
    torn_row = next(r for r in rows if r["reason"] == "not_json")
    assert store.quarantined_bytes("t1", torn_row["id"]) == b"{torn"
    assert problems(store, patient) == ["Hypertension"]
    repaired = store.commit_fetch("t1", patient, "north", [fetch("problems", [condition("c1")], as_of=LATER)])
    assert (repaired.offered, repaired.stored) == (1, 1)
    assert len(store.quarantine("t1", patient)) == 2, "quarantine forgets nothing"
    assert not any(r["current"] for r in store.quarantine("t1", patient))


@pytest.mark.parametrize(
    "sent",
    [
        condition("c1", "nul \x00 inside"),
        condition("nul\x00id"),
        condition("x" * 10_000),
        condition("c1", "\ud83d\ude00 𝔘nicode"),
    ],
    ids=["nul in text", "nul in id", "endless id", "astral"],
)
def test_hostile_text_loses_neither_itself_nor_its_neighbours(store: Store, sent) -> None:
    patient = add_patient(store)
    ledger = store.commit_fetch("t1", patient, "north", [fetch("problems", [condition("ok", "Asthma"), sent])])
    assert "Asthma" in problems(store, patient)
    assert ledger.offered == 2 and ledger.balanced


def test_two_refreshes_at_once_give_the_chart_of_one(store: Store) -> None:
    patient = add_patient(store)
    answers = [
        fetch("demographics", [person()]),
        fetch("problems", [condition(f"c{i}", f"Problem {i}") for i in range(20)]),
        fetch("allergies"),
    ]
    faults: list[Exception] = []

    def refresh(order: int) -> None:
        try:
            for answer in answers[::order]:
                store.commit_fetch("t1", patient, "north", [answer])
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=refresh, args=(order,)) for order in (1, -1, 1, -1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    alone = add_patient(store, tenant="t1", there="p2")
    again = store.register_patient("t1", "north", "p1")
    assert again == patient and alone != patient
    assert len(problems(store, patient)) == 20
    assert store.audit_broken_at("t1") is None


def test_unknown_patients_and_sites_are_named_so(store: Store) -> None:
    patient = add_patient(store)
    with pytest.raises(UnknownPatient):
        store.chart("t1", "nobody")
    with pytest.raises(UnknownPatient):
        store.commit_fetch("t1", "nobody", "north", [fetch("problems")])
    with pytest.raises(UnknownSite):
        store.commit_fetch("t1", patient, "south", [fetch("problems", site="south")])
    with pytest.raises(UnknownSite):
        store.register_patient("t1", "south", "p1")
    with pytest.raises(ValueError, match="another tenant or site"):
        store.commit_fetch("t1", patient, "north", [fetch("problems", [condition("c1", tenant="t2")])])
    assert store.quarantine("t1", patient) == []


def test_purging_takes_only_what_left_the_chart(store: Store, admin_sql) -> None:
    patient = add_patient(store)
    store.commit_fetch("t1", patient, "north", [fetch("problems", [condition("c1", "Old"), condition("c2")])])
    store.commit_fetch("t1", patient, "north", [fetch("problems", [condition("c1", "New")], as_of=LATER)])
    assert store.purge_raw("t1", "2020-01-01T00:00:00Z") == 0
    assert store.purge_raw("t1", "2100-01-01T00:00:00Z") == 2
    assert admin_sql("select resource_id from raw") == [("c1",)]
    assert problems(store, patient) == ["New"]


def test_patients_are_found_by_name_birth_date_and_identifier(store: Store) -> None:
    patient = add_patient(store)
    store.commit_fetch("t1", patient, "north", [fetch("demographics", [person(family="Núñez Test")])])
    for asked in (
        {"name": "nunez"},
        {"name": "ANA nún"},
        {"name": "test"},
        {"birth_date": "1961-05-06"},
        {"identifier": "MRN-77"},
        {"name": "ana", "birth_date": "1961-05-06", "identifier": "MRN-77"},
    ):
        assert [p["id"] for p in store.search_patients("t1", **asked)] == [patient], asked
    for asked in (
        {"name": "bob"},
        {"birth_date": "1961"},
        {"identifier": "MRN"},
        {"name": "ana", "identifier": "x"},
        {},
    ):
        assert store.search_patients("t1", **asked) == [], asked


people = st.sampled_from(["p1", "stranger"])
ids = st.sampled_from(["a", "b", "c", "d"])
steps = st.lists(
    st.tuples(
        st.sampled_from(["present", "truncated", "failed"]),
        st.sampled_from(["problems", "procedures"]),
        st.lists(st.tuples(ids, people), max_size=4, unique_by=lambda x: x[0]),
        st.integers(0, 2),
        st.integers(0, 2),
        st.integers(0, 9),
    ),
    min_size=1,
    max_size=4,
)
_example = itertools.count()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_nothing_disappears_whatever_the_site_answers(store: Store, answers) -> None:
    """Every run's account balances, answers that arrive late included; what is quarantined is in the quarantine."""
    tenant = f"tenant-{next(_example)}"  # the store is shared by all examples
    patient = add_patient(store, tenant)
    newest = -1
    torn_so_far: set[bytes] = set()
    for number, (state, section, found, torn, lost, second) in enumerate(answers):
        run = store.begin_run(tenant, patient, ["north"])
        answer = fetch(
            section,
            [condition(name, f"{name}{number}", patient=whose, tenant=tenant) for name, whose in found],
            state=state,
            as_of=f"2026-03-04T10:00:{second:02d}Z",
            rejected=tuple(
                Rejected(site="north", reason="not_json", section=section, content=b"%d %d" % (number, i))
                for i in range(torn)
            ),
            missing=tuple(
                Missing(site="north", section=section, reference=f"Condition/lost{number}{i}", reason="404")
                for i in range(lost)
            ),
        )
        torn_so_far |= {r.content for r in answer.rejected}
        ledger = store.commit_fetch(tenant, patient, "north", [answer], run_id=run)
        assert ledger.balanced
        state_now = store.run(tenant, run)
        assert state_now is not None
        (account,) = state_now["sections"]
        assert account["offered"] == len(found) + torn + lost
        assert account["offered"] == account["stored"] + account["quarantined"] + account["missing"]
        strangers = sum(1 for _, whose in found if whose == "stranger")
        if second > newest:  # nothing that is current was received later
            assert account["quarantined"] == torn + strangers
        newest = max(second, newest)
        store.end_run(tenant, run, "done")
    kept = {store.quarantined_bytes(tenant, row["id"]) for row in store.quarantine(tenant, patient)}
    assert torn_so_far <= kept
    shown = store.chart(tenant, patient, as_of=NOW)
    assert shown.ledger.balanced
    assert all("stranger" not in str(entry) for entry in shown.entries)

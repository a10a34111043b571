"""The review queue's order, and that a decision is added to, never changed."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from store_kit import add_site, fetch, raw

from models.identity import Pair
from models.record import RawResource, Section
from service.store import Store
from service.store.commit import lock
from service.store.reread import reread
from service.store.review import RISK, UnknownCode

GLUCOSE = ("http://loinc.org", "2345-7", "Glucose")
GLUCOSE_MOLES = ("http://loinc.org", "14749-6", "Glucose")


def sent(kind: str, found: str, words: str, there: str, **more: Any) -> RawResource:
    code = "medicationCodeableConcept" if kind == "MedicationRequest" else "code"
    subject = "patient" if kind == "AllergyIntolerance" else "subject"
    return raw(kind, found, {code: {"text": words}, subject: {"reference": f"Patient/{there}"}} | more)


LAB = {"category": [{"coding": [{"code": "laboratory"}]}]}


def commit(store: Store, there: str, section: Section, *resources: RawResource) -> str:
    patient = store.register_patient("t1", "north", there)
    store.commit_fetch("t1", patient, "north", [fetch(section, resources)])
    return patient


def test_what_can_hurt_and_what_is_frequent_comes_first(store: Store) -> None:
    add_site(store)
    for n in range(5):
        there = f"p{n}"
        commit(store, there, "procedures", sent("Procedure", f"x{n}", "Qzx proc", there))
        if n < 3:
            two = [sent("Observation", f"o{n}{i}", "Qzx lab", there, **LAB) for i in range(2)]
            commit(store, there, "labs", *two)
        if n < 2:
            commit(store, there, "allergies", sent("AllergyIntolerance", f"a{n}", "Qzx weed", there))
    back = {"status": "entered-in-error"}
    commit(store, "p9", "procedures", sent("Procedure", "x9", "Qzx proc", "p9", **back))
    queue = [(c["text"], c["patients"], c["entries"], c["risk"]) for c in store.review_queue("t1")]
    assert queue == [
        ("qzx weed", 2, 2, RISK["allergies"]),
        ("qzx lab", 3, 6, RISK["labs"]),
        ("qzx proc", 5, 5, 1),
    ], "risk times patients; what the source took back counts for nothing"
    assert [c["text"] for c in store.review_queue("t1", domain="allergen")] == ["qzx weed"]
    assert [c["text"] for c in store.review_queue("t1", first=1, most=1)] == ["qzx lab"]
    assert store.review_queue("t1", "south") == []


def test_what_leaves_a_record_leaves_the_queue(store: Store) -> None:
    add_site(store)
    commit(store, "p1", "procedures", sent("Procedure", "x1", "Qzx proc", "p1"))
    assert len(store.review_queue("t1")) == 1
    patient = store.register_patient("t1", "north", "p1")
    store.commit_fetch("t1", patient, "north", [fetch("procedures", state="empty", as_of="2026-03-05T10:00:00Z")])
    assert store.review_queue("t1") == []


def test_a_revised_decision_is_a_new_version_and_nothing_is_changed_or_deleted(store: Store, admin_sql: Any) -> None:
    add_site(store)
    commit(store, "p1", "labs", sent("Observation", "o1", "Qzx lab", "p1", **LAB))
    (line,) = store.review_queue("t1")

    def decide(verdict: Any, **more: Any) -> tuple[dict[str, Any], str | None]:
        return store.decide("t1", "north", line["key"], verdict, actor="k1", author="k1", **more)

    first, run = decide("accepted", target=GLUCOSE, rejected=[GLUCOSE_MOLES[:2]])
    assert run and (first["version"], first["rejected"]) == (1, [{"system": GLUCOSE[0], "code": "14749-6"}])
    same, none = decide("accepted", target=GLUCOSE)
    assert (same["version"], none) == (1, None), "the same again is the same"
    second, run = decide("accepted", target=GLUCOSE_MOLES)
    assert run and (second["version"], second["target_code"], second["rejected"]) == (2, "14749-6", [])
    (row,) = store.decision_table("t1", "north")
    assert (row["text"], row["target_code"]) == ("qzx lab", "14749-6"), "the newest counts"
    third, _ = decide("withdrawn", note="neither")
    assert store.decision_table("t1", "north") == []
    history = store.review_item("t1", "north", line["key"])["history"]
    assert [v["version"] for v in history] == [1, 2, 3] and history[2] == third
    for statement in (
        "delete from code_decisions",
        "update code_decisions set author = 'x'",
        "truncate code_decisions",
    ):
        with pytest.raises(Exception, match="refused"), store.database.transaction("t1") as db:
            db.exec_driver_sql(statement)
        with pytest.raises(Exception, match="append-only"):
            admin_sql(statement)
    for key in ("0" * 16, "'; drop table"):
        with pytest.raises(UnknownCode):
            store.decide("t1", "north", key, "no_target", actor="k", author="k")
    with pytest.raises(UnknownCode):
        store.decide("t1", "elsewhere", line["key"], "no_target", actor="k", author="k")


def test_a_decision_reaches_exactly_those_who_have_the_code(store: Store) -> None:
    add_site(store)
    one = commit(store, "p1", "labs", sent("Observation", "o1", "Qzx lab", "p1", **LAB))
    two = commit(store, "p2", "labs", sent("Observation", "o2", "Other qzx", "p2", **LAB))
    both = commit(store, "p3", "labs", *(sent("Observation", f"o{n}", words, "p3", **LAB) for n, words in ((3, "qzx  LAB"), (4, "Other qzx"))))  # fmt: skip
    (line,) = [c for c in store.review_queue("t1") if c["text"] == "qzx lab"]
    _, run = store.decide("t1", "north", line["key"], "accepted", actor="k", author="k", target=GLUCOSE)
    assert run is not None
    assert sorted(store.to_renormalize("t1", run)) == sorted([("north", one), ("north", both)])
    before = store.chart("t1", two)
    for site, patient in store.to_renormalize("t1", run):
        store.renormalize_in_run("t1", run, patient, site, None)
    assert store.to_renormalize("t1", run) == [] and store.chart("t1", two).entries == before.entries
    held = {e.origin.resource_id: e.concept.target for p in (one, both) for e in store.chart("t1", p).entries}
    assert {rid: target.code if target else None for rid, target in held.items()} == {"o1": "2345-7", "o3": "2345-7", "o4": None}  # fmt: skip


def test_who_decides_waits_for_those_who_are_being_normalized(store: Store) -> None:
    """Else a patient read without the decision, and committed after it, would not be known to be touched by it."""
    add_site(store)
    patient = commit(store, "p1", "labs", sent("Observation", "o1", "Qzx lab", "p1", **LAB))
    (line,) = store.review_queue("t1")
    decided: list[Any] = []

    def decide() -> None:
        decided.append(store.decide("t1", "north", line["key"], "accepted", actor="k", author="k", target=GLUCOSE))

    thread = threading.Thread(target=decide)
    with store.database.transaction("t1") as db:
        reread(db, "t1", patient, "north", lock(db, "t1", patient, "north"), None)
        thread.start()
        time.sleep(0.3)
        assert not decided
    thread.join(20)
    assert decided[0][1] is not None


def test_codes_go_with_the_record_that_is_linked_to_another_patient(store: Store) -> None:
    add_site(store)
    add_site(store, name="south")
    first = commit(store, "p1", "labs", sent("Observation", "o1", "Qzx lab", "p1", **LAB))
    other = store.register_patient("t1", "south", "s1")
    weed = raw("AllergyIntolerance", "a1", {"code": {"text": "Qzx weed"}}, site="south")
    store.commit_fetch("t1", other, "south", [fetch("allergies", [weed], site="south")])
    store.put_pairs(
        "t1",
        [Pair(left=("north", "p1"), right=("south", "s1"), weight=9.0, decision="review", codes=(), reason="same")],
    )
    (pair,), _ = store.pairs("t1")
    assert store.accept_pair("t1", pair["pair_id"], "k") == first
    for line in store.review_queue("t1"):
        _, run = store.decide("t1", line["site"], line["key"], "no_target", actor="k", author="k")
        assert store.to_renormalize("t1", run or "") == [(line["site"], first)]

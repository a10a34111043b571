"""Linking moves a record with all its facts, unlinking moves them back; what was decided stays decided."""

from __future__ import annotations

import pytest
from store_kit import NOW, add_patient, condition, fetch, person, raw

from models.identity import Pair
from models.record import Missing, Rejected
from service.store import Store, UnknownPatient
from service.store.identity import MOVED, LinkRefused, UnknownPair, pair_id

NORTH, SOUTH, WEST = ("north", "n1"), ("south", "s1"), ("west", "w1")


def read(store: Store, site: str, there: str, words: str) -> str:
    """A patient of a site, read: a person, a problem, something unreadable, something missing."""
    ours = add_patient(store, site=site, there=there)
    here = {"site": site}
    torn = Rejected(site=site, reason="not_json", section="problems", content=words.encode())
    lost = Missing(site=site, section="problems", reference="Condition/c8", reason="404")
    problems = fetch(
        "problems", [condition("c1", words, patient=there, **here)], rejected=(torn,), missing=(lost,), **here
    )
    allergy = raw(
        "AllergyIntolerance",
        "a1",
        {"patient": {"reference": f"Patient/{there}"}, "code": {"text": f"{words} pollen"}},
        **here,
    )
    store.commit_fetch(
        "t1",
        ours,
        site,
        [fetch("demographics", [person(there, **here)], **here), problems, fetch("allergies", [allergy], **here)],
    )
    return ours


def offer(store: Store, *pairs: tuple[tuple[str, str], tuple[str, str]]) -> list[str]:
    made = [Pair(left=a, right=b, weight=9.0, decision="review", codes=("x",), reason="words") for a, b in pairs]
    store.put_pairs("t1", made)
    return [pair_id(a, b) for a, b in pairs]


@pytest.fixture
def two(store: Store) -> tuple[str, str]:
    return read(store, *NORTH, "Gout"), read(store, *SOUTH, "Asthma")


def everything(store: Store, patient: str) -> object:
    chart = store.chart("t1", patient, as_of=NOW)
    return chart.to_dict() | {"patient_id": ""}, [dict(q, id=0) for q in store.quarantine("t1", patient)]


def test_linked_records_are_one_chart_in_which_every_fact_keeps_its_site(store: Store, two: tuple[str, str]) -> None:
    ours, theirs = two
    (pair,) = offer(store, (NORTH, SOUTH))
    assert store.accept_pair("t1", pair, "steward") == ours, "the patient who was registered first stays"
    chart = store.chart("t1", ours, as_of=NOW)
    assert store.links("t1", ours) == dict((NORTH, SOUTH))
    assert {(e.site, e.concept.text) for e in chart.in_section("problems")} == {("north", "Gout"), ("south", "Asthma")}
    assert {(e.site, e.concept.text) for e in chart.in_section("allergies")} == {
        ("north", "Gout pollen"),
        ("south", "Asthma pollen"),
    }
    assert {d.site for d in chart.demographics} == {"north", "south"}
    assert {c.site for c in chart.coverage} == {"north", "south"} and len(store.quarantine("t1", ours)) == 2
    offered = chart.ledger
    assert offered.offered == offered.stored + offered.quarantined + offered.reported_missing > 0
    found = store.raw("t1", ours, "south", "Condition", "c1")
    assert found is not None and b"Asthma" in found.content
    with pytest.raises(UnknownPatient):
        store.chart("t1", theirs)


def test_unlinking_is_as_if_nothing_had_been_and_is_remembered(store: Store, two: tuple[str, str]) -> None:
    before = [everything(store, p) for p in two]
    (pair,) = offer(store, (NORTH, SOUTH))
    ours = store.accept_pair("t1", pair, "steward", "same person")
    assert store.unlink("t1", ours, "south", "another", "twins") == two[1], "the patient it was before"
    assert [everything(store, p) for p in two] == before
    told = [
        (h["action"], h["actor"], h["site"], h["from_patient"], h["to_patient"], h["note"])
        for h in store.link_history("t1", ours)
    ]
    assert told == [
        ("link", "steward", "south", two[1], ours, "same person"),
        ("unlink", "another", "south", ours, two[1], "twins"),
    ]
    assert store.link_history("t1", two[1]) == store.link_history("t1", ours)
    rows = [(r["actor"], r["action"], r["patient_id"]) for r in store.audit_rows("t1") if r["actor"] == "identity"]
    assert rows == [("identity", "link", ours), ("identity", "unlink", two[1])] and store.audit_broken_at("t1") is None
    assert pair in store.rejected_pairs("t1")
    offer(store, (NORTH, SOUTH))
    assert store.pairs("t1")[1] == 0, "what was taken apart is not offered again"
    with pytest.raises(UnknownPair):
        store.accept_pair("t1", pair, "steward")


def test_a_record_goes_on_being_refreshed_where_it_is_now(store: Store, two: tuple[str, str]) -> None:
    (pair,) = offer(store, (NORTH, SOUTH))
    ours = store.accept_pair("t1", pair, "steward")
    newer = condition("c2", "Migraine", patient="s1", site="south")
    store.commit_fetch("t1", ours, "south", [fetch("problems", [newer], site="south", as_of="2026-03-05T10:00:00Z")])
    assert {e.concept.text for e in store.chart("t1", ours).in_section("problems")} == {"Gout", "Migraine"}
    with pytest.raises(UnknownPatient):  # a fetch that was under way for the patient who is no more
        store.commit_fetch("t1", two[1], "south", [fetch("problems", [newer], site="south")])
    back = store.unlink("t1", ours, "south", "steward", "no")
    assert {e.concept.text for e in store.chart("t1", back).in_section("problems")} == {"Migraine"}
    assert {e.concept.text for e in store.chart("t1", ours).in_section("problems")} == {"Gout"}


def test_two_records_of_one_site_are_never_one_patient(store: Store) -> None:
    read(store, "north", "n1", "Gout")
    read(store, "north", "n2", "Asthma")
    (pair,) = offer(store, (("north", "n1"), ("north", "n2")))
    with pytest.raises(LinkRefused, match="one site"):
        store.accept_pair("t1", pair, "steward")
    assert store.pairs("t1")[1] == 1 and len(store.patients("t1")) == 2


def test_a_rejected_pair_holds_for_whole_patients(store: Store, two: tuple[str, str]) -> None:
    """North is not West. South joins West; then North may not join through South."""
    read(store, *WEST, "Eczema")
    apart, joined, through = offer(store, (NORTH, WEST), (SOUTH, WEST), (NORTH, SOUTH))
    store.reject_pair("t1", apart, "steward", "twins")
    store.accept_pair("t1", joined, "steward")
    with pytest.raises(LinkRefused, match="two people"):
        store.accept_pair("t1", through, "steward")
    assert [len(store.links("t1", p["id"])) for p in store.patients("t1")] == [1, 2]


def test_a_linked_pair_is_not_rejected_but_unlinked(store: Store, two: tuple[str, str]) -> None:
    read(store, *WEST, "Eczema")
    first, second, third = offer(store, (NORTH, SOUTH), (SOUTH, WEST), (NORTH, WEST))
    store.accept_pair("t1", first, "s")
    ours = store.accept_pair("t1", second, "s")
    assert set(store.links("t1", ours)) == {"north", "south", "west"}
    with pytest.raises(LinkRefused, match="unlink"):
        store.reject_pair("t1", third, "s", "no")
    assert store.accept_pair("t1", third, "s") == ours, "linked already: nothing moves"
    moved = store.unlink("t1", ours, "west", "s", "no")
    assert store.links("t1", moved) == {"west": "w1"} and set(store.links("t1", ours)) == {"north", "south"}
    assert {first} == {p["pair_id"] for p in store.pairs("t1", "accepted")[0]}


@pytest.mark.parametrize(("site", "code"), [("south", "unknown_site"), ("north", "conflict")])
def test_unlinking_what_cannot_be(store: Store, site: str, code: str) -> None:
    ours = read(store, *NORTH, "Gout")
    with pytest.raises(LinkRefused) as refused:
        store.unlink("t1", ours, site, "s", "no")
    assert refused.value.code == code
    with pytest.raises(UnknownPatient):
        store.unlink("t1", "nobody", site, "s", "no")


def test_pairs_that_are_not_found_again_are_withdrawn_and_come_back(store: Store, two: tuple[str, str]) -> None:
    (pair,) = offer(store, (NORTH, SOUTH))
    store.put_pairs("t1", [])
    assert store.pairs("t1")[1] == 0 and store.pairs("t1", "withdrawn")[1] == 1
    offer(store, (NORTH, SOUTH))
    (row,), total = store.pairs("t1")
    assert total == 1 and row["pair_id"] == pair and {row["patient_a"], row["patient_b"]} == set(two)


def test_another_tenants_pair_is_unknown(store: Store, two: tuple[str, str]) -> None:
    (pair,) = offer(store, (NORTH, SOUTH))
    for decide in (lambda: store.accept_pair("t2", pair, "s"), lambda: store.reject_pair("t2", pair, "s", "no")):
        with pytest.raises(UnknownPair):
            decide()
    assert store.known_people("t2") == [] and store.pairs("t2") == ([], 0) and store.link_history("t2", two[0]) == []


def test_every_table_of_a_record_moves_with_it(store: Store, admin_sql) -> None:
    """A table somebody adds later, by patient and site, is named in MOVED."""
    store.ping()
    rows = admin_sql(
        "select table_name from information_schema.columns where table_schema = 'public' and column_name in "
        "('patient_id', 'site') group by table_name having count(*) = 2"
    )
    assert {str(r[0]) for r in rows} == set(MOVED)


def test_history_cannot_be_rewritten(store: Store, two: tuple[str, str]) -> None:
    (pair,) = offer(store, (NORTH, SOUTH))
    store.accept_pair("t1", pair, "s")
    for statement in (
        "update identity_history set note = 'x'",
        "delete from identity_history",
        "delete from identity_pairs",
    ):
        with pytest.raises(Exception, match="refused"), store.database.transaction("t1") as db:
            db.exec_driver_sql(statement)

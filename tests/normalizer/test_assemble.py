"""From entries to one chart: BMI, duplicates, conflicts, coverage; a function of the set of entries."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from normalizer_kit import (
    LOINC,
    NOW,
    RXNORM,
    SNOMED,
    Json,
    cc,
    chart,
    chart_of,
    condition,
    flags,
    observation,
    order,
    quantity,
    raw,
    read,
    resource,
)

from adapters.normalizer import assemble, coverage_from_entries, normalize
from adapters.normalizer.assemble import MOST_RELATED
from models.record import Chart, Coverage, Rejected, Vital
from models.terminology.clinical import BMI

PERSON = {
    "resourceType": "Patient",
    "id": "p",
    "birthDate": "1958-04-02",
    "gender": "female",
    "name": [{"family": "V"}],
}


def weight(rid: str, value: float, unit: str, when: str) -> Json:
    return observation(rid, "29463-7", valueQuantity=quantity(value, unit), effectiveDateTime=when)


def height(rid: str, value: float, unit: str, when: str) -> Json:
    return observation(rid, "8302-2", valueQuantity=quantity(value, unit), effectiveDateTime=when)


def computed(made: Chart) -> list[Vital]:
    return [e for e in made.of(Vital) if e.concept.code_in(LOINC) == BMI and "computed_value" in flags(e)]


@pytest.mark.parametrize(
    ("tall", "heavy", "bmi"),
    [
        (height("h", 170, "cm", "2024-01-05"), weight("w", 80, "kg", "2024-01-05"), 27.7),
        (height("h", 1.7, "m", "2024-01-05T09:00:00Z"), weight("w", 80, "kg", "2024-01-05T10:00:00Z"), 27.7),
        (height("h", 67, "[in_i]", "2024-01-05"), weight("w", 180, "[lb_av]", "2024-01-05"), 28.2),
        (height("h", 170, "cm", "2019-01-05"), weight("w", 80000, "g", "2024-01-05"), 27.7),
    ],
)
def test_bmi_is_computed_from_what_it_cites(tall: Json, heavy: Json, bmi: float) -> None:
    (found,) = computed(chart(PERSON, tall, heavy))
    assert found.value.value == bmi and found.value.code == "kg/m2"
    assert {o.reference for o in found.origins} == {"s:Observation/h", "s:Observation/w"}
    assert {o.method for o in found.origins} == {"computed"}
    assert found.date == heavy["effectiveDateTime"]


@pytest.mark.parametrize(
    "items",
    [
        (weight("w", 80, "kg", "2024-01-05"),),
        (height("h", 170, "cm", "2024-01-06"), weight("w", 80, "kg", "2024-01-05")),
        (height("h", 170, "cm", "1965-01-05"), weight("w", 80, "kg", "2024-01-05")),
        (height("h", 170, "stone", "2024-01-05"), weight("w", 80, "kg", "2024-01-05")),
        (height("h", 170, "cm", "2024-01"), weight("w", 80, "kg", "2024-01")),
        (height("h", 170, "cm", "2024-01-05") | {"status": "entered-in-error"}, weight("w", 80, "kg", "2024-01-05")),
        (height("h", 1700, "cm", "2024-01-05"), weight("w", 80, "kg", "2024-01-05")),
        (height("h", 170, "cm", "2024-01-05"), weight("w", 80, "kg", "2024-01-05"), observation("b", BMI, valueQuantity=quantity(27.9, "kg/m2"), effectiveDateTime="2024-01-05T08:00:00Z")),
    ],
)  # fmt: skip
def test_bmi_is_not_computed_from_what_does_not_fit(items: tuple[Json, ...]) -> None:
    assert computed(chart(PERSON, *items)) == []


def test_a_bmi_without_value_does_not_stand_in_the_way() -> None:
    empty = observation("b", BMI, dataAbsentReason=cc("unknown"), effectiveDateTime="2024-01-05")
    assert (
        len(computed(chart(PERSON, height("h", 170, "cm", "2024-01-05"), weight("w", 80, "kg", "2024-01-05"), empty)))
        == 1
    )


def test_a_child_needs_a_height_of_the_same_day() -> None:
    child = PERSON | {"birthDate": "2015-01-01"}
    assert computed(chart(child, height("h", 120, "cm", "2023-01-05"), weight("w", 25, "kg", "2024-01-05"))) == []
    assert len(computed(chart(child, height("h", 120, "cm", "2024-01-05"), weight("w", 25, "kg", "2024-01-05")))) == 1


def test_of_many_heights_the_last_one_before_at_the_same_site_counts() -> None:
    heights = [height(f"h{year}", year - 1840, "cm", f"{year}-01-05") for year in (2003, 2010, 2017, 2025)]
    entries = [
        *at("a", PERSON, *heights, weight("w", 80, "kg", "2024-01-05")),
        *at("b", height("x", 150, "cm", "2023-01-01")),
    ]
    (found,) = computed(chart_of(entries))
    assert {o.reference for o in found.origins} == {"a:Observation/h2017", "a:Observation/w"}


def test_the_same_fact_again_stays_and_names_the_kept_one() -> None:
    made = chart(
        order("1"),
        order("2", authoredOn="2024-06-01"),
        order("3", medicationCodeableConcept=cc("197361", "amlodipine", RXNORM)),
    )
    copies = [e for e in made.entries if e.superseded]
    assert [e.origin.resource_id for e in copies] == ["1"], "the newest prescription is kept"
    (flag,) = [f for f in copies[0].flags if f.code == "duplicate_of"]
    assert made.get(flag.related[0]).origin.resource_id == "2"  # type: ignore[union-attr]
    assert len(made.entries) == 3


def test_different_values_or_times_are_no_duplicates() -> None:
    items = [
        observation("1", valueQuantity=quantity(7.1, "%")),
        observation("2", valueQuantity=quantity(7.2, "%")),
        observation("3", valueQuantity=quantity(7.1, "%"), effectiveDateTime="2024-03-02"),
        observation("4", valueQuantity=quantity(7.1, "%"), status="entered-in-error"),
    ]
    assert not any("duplicate_of" in flags(e) for e in chart(*items).entries)
    assert any("duplicate_of" in flags(e) for e in chart(*items, items[0] | {"id": "5"}).entries)


def at(site: str, *items: Json) -> list[object]:
    return list(normalize([raw(i, site=site) for i in items]).entries)


def allergy(text: str, code: str = "", **fields: object) -> Json:
    made: Json = {"code": cc(code, text), "clinicalStatus": cc("active", system="x")}
    return resource("AllergyIntolerance", text[:4], **(made | fields))


@pytest.mark.parametrize(
    ("here", "there", "kind"),
    [
        (order("1"), order("1", status="stopped"), "active_vs_stopped"),
        (condition("1"), condition("1", clinical="resolved"), "active_vs_stopped"),
        (order("1", dosageInstruction=[{"text": "once daily"}]), order("1", dosageInstruction=[{"text": "twice daily"}]), "different_dose"),
        (allergy("Penicillin"), allergy("No known allergies", "716186003"), "allergy_vs_none"),
        (allergy("Penicillin", category=["medication"]), allergy("NKDA"), "allergy_vs_none"),
        (allergy("Peanut", category=["food"]), allergy("NKDA"), None),
        (allergy("Penicillin", category=["medication"]), allergy("No known food allergies"), None),
        (allergy("Penicillin", verificationStatus=cc("refuted", system="x")), allergy("NKA"), None),
        (PERSON, PERSON | {"birthDate": "1958-04-03"}, "demographics"),
        (PERSON, PERSON | {"birthDate": "1958"}, None),
        (PERSON | {"deceasedBoolean": True}, PERSON | {"deceasedBoolean": False}, "demographics"),
        (observation("1", valueQuantity=quantity(7.1, "%"), effectiveDateTime="2024-03-01T08:00:00Z"),
         observation("1", valueQuantity=quantity(9.9, "%"), effectiveDateTime="2024-03-01T09:00:00+01:00"), "different_values"),
        (observation("1", valueQuantity=quantity(7.1, "%")), observation("1", valueQuantity=quantity(9.9, "%")), None),
        (condition("1"), condition("1"), None),
    ],
)  # fmt: skip
def test_sources_that_disagree_are_both_kept_and_named(here: Json, there: Json, kind: str | None) -> None:
    made = chart_of([*at("a", here), *at("b", there)])  # type: ignore[list-item]
    assert [c.kind for c in made.conflicts] == ([kind] if kind else [])
    if kind:
        assert set(made.conflicts[0].entry_ids) == {e.id for e in made.entries}
        assert all("conflicts_with" in flags(e) for e in made.entries)


def test_only_the_allergies_that_contradict_stand_in_a_conflict() -> None:
    food, drug = (
        allergy("Peanut", category=["food"], id="food"),
        allergy("Penicillin", category=["medication"], id="drug"),
    )
    none = [allergy("NKDA", id="nkda"), allergy("No known environmental allergies", id="nkea")]
    made = chart_of([*at("here", food, drug), *at("there", *none)])
    (conflict,) = made.conflicts
    assert {made.get(i).origin.resource_id for i in conflict.entry_ids} == {"drug", "nkda"}


def test_conflicts_of_one_kind_and_the_same_entries_have_an_order() -> None:
    other = PERSON | {"birthDate": "1951-02-03", "gender": "male"}
    made = chart_of([*at("here", PERSON), *at("there", other)])
    assert [c.detail for c in made.conflicts] == ["administrative gender differs", "birth dates differ"]


def test_a_conflict_of_many_sides_names_them_all_once() -> None:
    many = [allergy(f"Thing {n}", id=str(n)) for n in range(2 * MOST_RELATED)]
    made = chart_of(at("here", allergy("NKA", id="none"), *many))
    (conflict,) = made.conflicts
    assert len(conflict.entry_ids) == len(many) + 1
    for entry in made.entries:
        (mark,) = [f for f in entry.flags if f.code == "conflicts_with"]
        assert len(mark.related) == MOST_RELATED and entry.id not in mark.related


def test_an_event_before_birth_is_flagged() -> None:
    made = chart(PERSON, condition("1", onsetDateTime="1950"), condition("2", onsetDateTime="1958"))
    assert ["before_birth" in flags(e) for e in made.of(type(made.in_section("problems")[0]))] == [False, True]


@pytest.mark.parametrize(
    ("items", "section", "state"),
    [
        ([allergy("No known allergies", "716186003")], "allergies", "none_asserted"),
        ([allergy("NKDA")], "allergies", "present"),
        ([allergy("No known allergies", clinicalStatus=cc("inactive", system="x"))], "allergies", "present"),
        ([allergy("No known allergies", verificationStatus=cc("refuted", system="x"))], "allergies", "present"),
        ([allergy("No known allergies"), allergy("Penicillin")], "allergies", "present"),
        ([condition(code=cc("160245001"))], "problems", "none_asserted"),
        ([condition(code=cc("1287211007", "No information available"))], "problems", "present"),
        ([condition()], "allergies", "not_queried"),
    ],
)
def test_only_a_statement_about_the_whole_section_is_a_negative(items: list[Json], section: str, state: str) -> None:
    entries = read(*items).entries
    (line,) = [c for c in coverage_from_entries(entries, ("s",)) if c.section == section]
    assert line.state == state
    asked = Coverage(section=section, site="s", state="present")  # type: ignore[arg-type]
    settled = chart_of(entries, [asked]).coverage[0].state
    assert settled == ("present" if state == "not_queried" else state)


@pytest.mark.parametrize(
    ("lost", "state"), [({}, "none_asserted"), ({"quarantined": 1}, "present"), ({"missing": 1}, "present")]
)
def test_a_negative_beside_something_unread_does_not_speak_for_the_section(lost: dict[str, int], state: str) -> None:
    entries = read(allergy("No known allergies", "716186003")).entries
    asked = Coverage(section="allergies", site="s", state="present", **lost)
    assert chart_of(entries, [asked]).coverage[0].state == state
    bad = [Rejected(site="s", reason="unreadable", resource_type="AllergyIntolerance")] if lost else []
    (line,) = [c for c in coverage_from_entries(entries, ("s",), quarantine=bad) if c.section == "allergies"]
    assert line.state == state


def test_two_readings_of_one_site_at_one_time_are_no_conflict() -> None:
    when = "2024-03-01T08:00:00Z"
    twice = [observation(str(n), valueQuantity=quantity(7 + n, "%"), effectiveDateTime=when) for n in (1, 2)]
    assert chart(*twice).conflicts == ()


def test_what_lies_in_quarantine_is_no_empty_section() -> None:
    bad = Rejected(site="s", reason="unsupported_version", resource_type="Condition", resource_id="1")
    (line,) = [c for c in coverage_from_entries([], ("s",), quarantine=[bad]) if c.section == "problems"]
    assert (line.state, line.offered, line.stored, line.quarantined) == ("failed", 1, 0, 1)
    assert "unsupported_version" in line.reason


SET = [
    PERSON, condition("1"), condition("2", clinical="resolved"), order("1"), order("2"), allergy("Penicillin"), allergy("NKA"),
    height("h", 170, "cm", "2024-01-05"), weight("w", 80, "kg", "2024-01-05"), weight("w2", 82, "kg", "2024-02-05"),
    observation("o", "85354-9", component=[{"code": cc("8480-6", system=LOINC), "valueQuantity": quantity(130, "mm[Hg]")}]),
    {"resourceType": "Practitioner", "id": "d", "name": [{"family": "Okafor"}]},
    order("3", requester={"reference": "Practitioner/d"}, medicationCodeableConcept=cc("1", "x", SNOMED)),
]  # fmt: skip


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.randoms(use_true_random=False), st.lists(st.integers(0, len(SET) - 1), max_size=8))
def test_order_and_repetition_change_no_byte_of_the_chart(shuffler: random.Random, again: list[int]) -> None:
    items = [raw(i) for i in SET] + [raw(SET[i]) for i in again]
    shuffler.shuffle(items)
    normalized = normalize(items)
    assert normalized.ledger == normalize([raw(i) for i in SET]).ledger, "a repeated delivery counts once"
    assert msgspec.json.encode(chart_of(normalized.entries)) == msgspec.json.encode(chart(*SET))


def test_two_contents_under_one_version_do_not_depend_on_the_order() -> None:
    first, second = (raw(order(dosageInstruction=[{"text": t}], meta={"versionId": "1"})) for t in ("once", "twice"))
    assert chart_of(normalize([first, second]).entries) == chart_of(normalize([second, first]).entries)


@pytest.mark.parametrize(("older", "newer"), [("2", "10"), ("1", "2")])
def test_the_newest_version_of_a_resource_is_the_one_that_counts(older: str, newer: str) -> None:
    versions = [raw(order(status=s, meta={"versionId": v})) for v, s in ((newer, "stopped"), (older, "active"))]
    for arrival in (versions, versions[::-1]):
        made = normalize(arrival)
        assert [e.status for e in made.entries] == ["stopped"]
        assert made.ledger.offered == made.ledger.stored == 2


def test_what_was_computed_earlier_is_computed_anew() -> None:
    before = chart(PERSON, height("h", 170, "cm", "2024-01-05"), weight("w", 80, "kg", "2024-01-05"))
    corrected = normalize([raw(weight("w", 90, "kg", "2024-01-05"), retrieved="2024-07-01T00:00:00Z")]).entries
    after = chart_of([*before.entries, *corrected])
    assert [e.value.value for e in computed(before)] == [27.7] and [e.value.value for e in computed(after)] == [31.1]
    weightless = [e for e in before.entries if e.origin.resource_id != "w" or e.origin.method == "computed"]
    assert computed(chart_of(weightless)) == [], "it falls with what it was computed from"


def test_assembling_an_assembled_chart_changes_nothing() -> None:
    once = chart(*SET)
    twice = assemble("t", "p", once.entries, once.coverage, as_of=NOW, ledger=once.ledger)
    assert msgspec.json.encode(twice) == msgspec.json.encode(once)
    assert any(e.origin.method == "computed" for e in once.entries) and once.conflicts

"""Tiny charts whose counts are known; sums that hold for every chart."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quality_kit import ICD, NOW, RXNORM, allergy, chart, coded, drug, local, person, problem, result, visit, words

from adapters.normalizer import assemble
from models.quality import QualityReport, Tally, account, make_report, measure
from models.quality.expectations import rules
from models.quality.findings import BY_FLAG
from models.quality.measure import AGES, CODING_CLASSES
from models.quality.must_support import presence, profiles
from models.record import (
    SECTIONS,
    AnyEntry,
    Chart,
    Concept,
    Conflict,
    CoverageState,
    Flag,
    FlagCode,
    Ledger,
    Mapping,
    Origin,
    Quantity,
    Rejected,
)
from models.terminology.categories import category_ids


def made(*charts: Chart, **more: Any) -> QualityReport:
    tally = Tally()
    for one in charts:
        tally.merge(measure(one, **more).tally)
    return make_report(tally, scope="site", name="north", made=NOW)


def element(report: QualityReport, path: str, kind: str | None = None) -> tuple[int, int, int, float | None]:
    (row,) = [r for r in report.completeness if r.path == path and kind in (None, r.kind)]
    return row.present, row.of, row.unknown, row.share


def rule(report: QualityReport, name: str) -> tuple[int, int, int]:
    (row,) = [e for e in report.expectations if e.rule == name]
    assert row.of == row.met + row.broken + row.unknown
    return row.met, row.broken, row.unknown


def section(report: QualityReport, name: str) -> Any:
    return next(s for s in report.sections if s.section == name)


def test_an_element_is_counted_only_of_the_entries_that_should_have_it() -> None:
    report = made(
        chart(
            problem("1", onset="2019", recorded="2019"),
            problem("2", activity="historical", abatement="2020"),
            problem("3", activity="historical"),
            problem("4", category="encounter-diagnosis", clinical_status="", encounter="Encounter/1"),
            problem("5", none_asserted=True),
            problem("6", flags=(Flag(code="duplicate_of", related=("p1",)),)),
        )
    )
    assert element(report, "Condition.code") == (4, 4, 0, 1.0), "no negative, no duplicate"
    assert element(report, "Condition.abatement[x]") == (1, 2, 0, 0.5), "of the two resolved"
    assert element(report, "Condition.clinicalStatus") == (3, 3, 0, 1.0), "an encounter diagnosis has none"
    assert element(report, "Condition.onset[x]") == (1, 3, 0, round(1 / 3, 4))
    assert element(report, "Condition.encounter") == (1, 1, 0, 1.0)


def test_false_is_an_answer_and_an_empty_concept_is_none() -> None:
    report = made(chart(drug("1", reported=False), drug("2", concept=Concept())))
    assert element(report, "MedicationRequest.reported[x]")[:2] == (1, 2)
    assert element(report, "MedicationRequest.medication[x]")[:2] == (1, 2)


def test_an_element_outside_of_the_record_is_unknown_without_the_resource() -> None:
    known = chart(visit("1"), visit("2"))
    assert element(made(known), "Encounter.identifier") == (0, 0, 2, None), "not 0 %"
    resources: dict[str, dict[str, Any]] = {
        "1": {"identifier": [{"system": "urn:x"}, {"value": "V1"}]},
        "2": {"identifier": [{}]},
    }
    report = made(known, raw=lambda entry: resources[entry.origin.resource_id])
    assert element(report, "Encounter.identifier") == (1, 2, 0, 0.5)


def test_a_statement_is_not_measured_as_an_order() -> None:
    statement = drug("9")
    statement = type(statement)(
        id="m9", origins=(Origin(tenant="t", site="north", resource_type="MedicationStatement", resource_id="9"),)
    )
    assert [r for r in made(chart(statement)).completeness if r.kind == "medication"] == []


def test_coding_classes_and_confidence() -> None:
    report = made(
        chart(
            problem("1"),
            problem("2", coded(ICD, "I10", method="map_table", confidence=0.85)),
            problem("3", coded(ICD, "I10", method="text_match", confidence=0.9)),
            problem("4", local()),
            problem("5", words("tired")),
            problem("6", Concept(mapping=Mapping(method="unmapped", confidence=0.0))),
        )
    )
    (row,) = report.coding
    assert [getattr(row, name) for name in CODING_CLASSES] == [1, 1, 1, 1, 1, 1]
    assert (row.of, row.not_standard, row.standard_share) == (6, 3, 0.5)
    assert row.confidence == (0, 0, 0, 0, 0, 0, 0, 0, 1, 2)


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        ("empty", (0, 1, 0)),
        ("present", (0, 1, 0)),
        *(
            (s, (0, 0, 1))
            for s in ("failed", "not_authorized", "not_supported", "not_queried", "stale", "truncated", "filtered")
        ),
    ],
)
def test_what_was_not_answered_is_unknown_and_never_missing(
    state: CoverageState, outcome: tuple[int, int, int]
) -> None:
    one = chart(person(), visit(), problem(), states={"labs": state, "allergies": state})
    report = made(one)
    assert rule(report, "diabetes_without_a1c") == outcome
    assert rule(report, "seen_without_allergy_statement") == outcome
    assert section(report, "labs").none == outcome[1] and section(report, "labs").unknown == outcome[2]


def test_a_section_of_which_a_part_was_not_asked_is_unknown() -> None:
    one = chart(person(), visit(), problem())
    lines = tuple(msgspec.structs.replace(c, unasked=("imaging",)) if c.section == "labs" else c for c in one.coverage)
    assert rule(made(msgspec.structs.replace(one, coverage=lines)), "diabetes_without_a1c") == (0, 0, 1)


def test_each_rule_by_the_patients_it_applies_to() -> None:
    charts = [
        chart(person("1940-01-01"), visit()),
        chart(person("1940-01-01"), visit(), drug()),
        chart(person("1990-01-01"), visit()),
        chart(person("1940"), drug()),
        chart(person("1940-01-01", deceased=True), visit()),
        chart(person("2022-01-01"), visit(), allergy("1", none_asserted=True)),
        chart(problem(), result()),
        chart(problem(), result("1", "718-7")),
        chart(problem("1", activity="historical")),
        chart(problem()),
    ]
    report = made(*charts)
    assert rule(report, "old_without_lists") == (1, 1, 0), "the dead and the young are not meant"
    assert rule(report, "seen_without_allergy_statement") == (1, 4, 0), "an explicit 'none' is an answer"
    assert rule(report, "child_without_immunizations") == (0, 1, 0)
    assert rule(report, "diabetes_without_a1c") == (1, 2, 0), "another test is no A1c; resolved diabetes is not meant"


def test_insulin_without_diabetes_is_one_finding_made_by_the_remark_on_the_chart() -> None:
    """The rule is the record's (hygiene); what the report adds is counting it."""

    def whole(*entries: AnyEntry) -> Chart:
        bare = chart(*entries)
        return assemble("t", "p", bare.entries, bare.coverage, as_of=NOW)

    insulin = drug("1", coded(RXNORM, "0", "insulin glargine 100 unit/mL"))
    report = made(whole(insulin, problem("1", coded(ICD, "I10"))), whole(insulin, problem()), whole(insulin))
    told = [f for f in report.findings if "nsulin" in f.title or f.key.startswith("unlisted")]
    assert [(f.key, f.affected, f.of) for f in told] == [("unlisted_problem/medications", 2, 3)]
    assert not any("glucose" in r for r in rules())


def test_rules_and_elements_name_only_what_exists() -> None:
    for name, found in rules().items():
        assert {found.when.category, found.expect.category} <= {"", *category_ids()}, name
        assert found.why and found.asks
    origins = (Origin(tenant="t", site="s", resource_type="X", resource_id="1"),)
    kinds = {str(kind.__struct_config__.tag): kind for kind in get_args(AnyEntry)}
    assert set(profiles()) == set(kinds)
    for kind, profile in profiles().items():
        empty = kinds[kind](id="1", origins=origins)
        for one in profile.elements:
            wanted = "present" if one.field.startswith("no:") else "absent"
            assert presence(one, empty, {}) == wanted, (kind, one.path)  # an unknown field would raise


@pytest.mark.parametrize("code", BY_FLAG)
def test_a_flag_worth_a_finding_becomes_one(code: FlagCode) -> None:
    (found,) = [f for f in made(chart(result(flags=(Flag(code=code),)))).findings if f.key == f"{code}/labs"]
    assert (found.affected, found.of, found.unit) == (1, 1, "entries") and found.effect and found.fix


def test_presence_freshness_duplicates_units_and_losses() -> None:
    twice = result("2", flags=(Flag(code="duplicate_of", related=("r1",)),))
    unitless = result("3", value=Quantity(value=5))
    old = chart(result(), twice, unitless, result("4", effective="2030-01-01"))
    report = made(old, freshness_hours={"north": 24.0}, lost=["vitals"])
    labs, vitals = section(report, "labs"), section(report, "vitals")
    assert (labs.some, labs.none, labs.unknown, labs.entries, labs.duplicates) == (1, 0, 0, 4, 1)
    assert (vitals.some, vitals.none, vitals.lost) == (0, 1, 1)
    assert labs.newest == {"quarter": 1}, "the fact of the future is none yet"
    assert labs.units == {"none": 1, "ucum": 2}
    assert labs.asked == {"within": 1}
    assert made(old).sections[0].asked == {}, "of files nobody was asked"
    later = msgspec.structs.replace(chart(result()), as_of="2026-03-06T10:00:00Z")
    stale = made(later, freshness_hours={"north": 24.0})
    assert section(stale, "labs").asked == {"older": 1}


def test_a_site_sees_its_own_part_only() -> None:
    both = chart(person(), person(site="south"), problem())
    report = made(both, site="south")
    assert [section(report, s).entries for s in ("demographics", "problems")] == [1, 0]
    assert section(report, "demographics").coverage == {}, "the lines are of north"


def test_conflicts_and_the_account() -> None:
    conflict = Conflict(kind="active_vs_stopped", entry_ids=("p1", "p2"))
    tally = measure(chart(problem("1"), problem("2"), conflicts=(conflict,))).tally
    ledger = Ledger(offered=5, stored=3, quarantined=1, reported_missing=1)
    tally.merge(account(ledger, [Rejected(site="north", reason="unreadable", resource_type="Condition")]))
    report = make_report(tally, scope="site", name="north", made=NOW)
    assert (report.conflicts, report.patients_with_conflicts) == ({"active_vs_stopped": 1}, 1)
    assert report.resources == {"offered": 5, "quarantined": 1, "reported_missing": 1, "stored": 3}
    assert report.quarantine == {"unreadable": 1}


def test_only_a_patients_report_names_entries() -> None:
    found = measure(chart(person("1940-01-01"), visit(), problem("1", local())))
    mine = make_report(found.tally, scope="patient", name="p", made=NOW, examples=found.examples)
    assert next(f for f in mine.findings if f.key == "coding/problems").examples == ("p1",)
    with pytest.raises(ValueError, match="names no entries"):
        make_report(found.tally, scope="site", name="north", made=NOW, examples=found.examples)


ENTRIES = st.one_of(
    st.builds(problem, st.sampled_from("12345"), st.sampled_from([coded(ICD, "E11.9"), local(), words("gout"), Concept()])),
    st.builds(drug, st.sampled_from("12"), st.sampled_from([words("insulin"), local()])),
    st.builds(result, st.sampled_from("123"), st.sampled_from(["4548-4", "718-7"]), st.sampled_from(["%", ""])),
    st.builds(visit, st.sampled_from("12")),
    st.builds(person, st.sampled_from(["1940-01-01", "2022-05", "1990"])),
    st.builds(allergy, st.sampled_from("12"), none_asserted=st.booleans()),
)  # fmt: skip
CHARTS = st.builds(
    lambda entries, state: chart(*{e.id: e for e in entries}.values(), state=state),
    st.lists(ENTRIES, max_size=8),
    st.sampled_from(get_args(CoverageState)),
)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.lists(CHARTS, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_the_sum_of_the_patients_is_the_site_in_any_order_and_grouping(charts: list[Chart], chance: Any) -> None:
    tallies = [measure(c, freshness_hours={}).tally for c in charts]
    one = Tally()
    for tally in tallies:
        one.merge(tally)
    shuffled = tallies[:]
    chance.shuffle(shuffled)
    cut = chance.randrange(len(shuffled) + 1)
    left, right = Tally(), Tally()
    for tally in shuffled[:cut]:
        left.merge(tally)
    for tally in shuffled[cut:]:
        right.merge(tally)
    right.merge(left)
    assert one == right
    assert made(*charts, freshness_hours={}) == make_report(right, scope="site", name="north", made=NOW)
    assert one.get("patients") == len(charts)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.lists(CHARTS, max_size=5))
def test_shares_are_shares_and_states_sum_to_the_total(charts: list[Chart]) -> None:
    report = made(*charts, freshness_hours={"north": 24.0})
    shares = [
        *(r.share for r in report.completeness),
        *(c.standard_share for c in report.coding),
        *(e.share_broken for e in report.expectations),
        *(f.share for f in report.flags),
        *(f.share for f in report.findings),
    ]
    assert all(s is None or 0 <= s <= 1 for s in shares)
    assert all((r.share is None) == (r.of == 0) for r in report.completeness)
    for row in report.coding:
        assert row.of == sum(getattr(row, name) for name in CODING_CLASSES) and sum(row.confidence) <= row.of
    for s in report.sections:
        assert s.some + s.none + s.unknown == report.patients
        assert sum(s.coverage.values()) == report.patients == sum(s.asked.values())
        assert sum(s.newest.values()) <= s.some
        assert set(s.newest) <= {*(name for name, _ in AGES), "older", "undated"}
    assert all(f.affected <= f.of for f in report.findings)
    ranks = [{"high": 9, "medium": 3, "low": 1}[f.severity] * f.share for f in report.findings]
    assert ranks == sorted(ranks, reverse=True)
    assert QualityReport.from_dict(report.to_dict()) == report
    assert len(report.sections) == len(SECTIONS)


def test_a_tally_only_grows() -> None:
    with pytest.raises(ValueError, match="grows"):
        Tally([(("patients",), -1)])
    assert Tally([(("a", "b"), 2), (("a", "c"), 1), (("b",), 4)]).under("a") == {"b": 2, "c": 1}

"""What holds of all remarks: they change nothing else, they depend on the set of entries alone, they name what exists."""

from __future__ import annotations

import random
from typing import Any, get_args

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from normalizer_kit import RXNORM, SNOMED, Json, cc, chart_of, condition, observation, order, quantity, raw, resource

from adapters.normalizer import coverage_from_entries, hygiene, normalize
from adapters.normalizer.hygiene import meaning
from adapters.normalizer.hygiene.rules import drug_rules, over_rules, pattern, unlisted_rules
from models.record import AnyEntry, FlagCode
from models.terminology.categories import category_ids
from models.terminology.conditions import icd10cm_name
from models.terminology.medications import ingredients
from models.terminology.seeds import seed_rows
from service.page.words import FLAG_WORDS

ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"
PROBLEMS: tuple[Json, ...] = (
    {"code": cc("44054006", "Type 2 diabetes", SNOMED)},
    {"code": cc("E11.65", "", ICD10CM)},
    {"code": cc("73211009", "Diabetes", SNOMED)},
    {"code": cc("I10", "", ICD10CM)},
    {"code": cc("59621000", "", SNOMED)},
    {"code": cc("10509002", "Acute bronchitis", SNOMED), "onsetDateTime": "2014"},
    {"code": cc("J20.9", "", ICD10CM), "onsetDateTime": "2014-02"},
    {"code": cc("72892002", "Normal pregnancy", SNOMED), "onsetDateTime": "2022-02-01"},
    {"code": {"text": "no known problems"}},
)
DRUGS = ("insulin glargine pen", "lisinopril 10 MG", "lisinopril 20 MG", "losartan 50 MG", "amoxicillin 500 MG", "warfarin 5 MG", "metformin 500 MG")  # fmt: skip
ALLERGIES = ("Penicillin", "Lisinopril", "NKDA", "Peanut")


def _order(rid: str, name: str) -> Json:
    return order(rid, medicationCodeableConcept=cc("", name, RXNORM), authoredOn="2024-03-01")


def _allergy(rid: str, text: str) -> Json:
    return resource("AllergyIntolerance", rid, code={"text": text}, clinicalStatus=cc("active"))


def _result(rid: str, row: tuple[str, float, str]) -> Json:
    code, value, day = row
    unit = "%" if code == "4548-4" else "mL/min/{1.73_m2}"
    return observation(rid, code, valueQuantity=quantity(value, unit), effectiveDateTime=day)


results = st.tuples(
    st.sampled_from(["4548-4", "98979-8"]),
    st.sampled_from([5.0, 6.5, 7.2, 45.0, 80.0]),
    st.sampled_from(["2023-01-01", "2023-02-01", "2023-09-01", "2023"]),
)
charts = st.lists(
    st.one_of(
        st.sampled_from(PROBLEMS).map(lambda p: ("p", p)),
        st.sampled_from(DRUGS).map(lambda d: ("m", d)),
        st.sampled_from(ALLERGIES).map(lambda a: ("a", a)),
        results.map(lambda r: ("o", r)),
    ),
    max_size=14,
)


def entries_of(rows: list[tuple[str, Any]]) -> list[AnyEntry]:
    makers = {"p": lambda i, x: condition(i, **x), "m": _order, "a": _allergy, "o": _result}
    items = [(makers[kind](str(n), what), "ab"[n % 2]) for n, (kind, what) in enumerate(rows)]
    return [e for site in "ab" for e in normalize([raw(i, site=s) for i, s in items if s == site]).entries]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(charts, st.randoms(use_true_random=False))
def test_remarks_change_nothing_but_flags_and_need_no_order(rows: list[tuple[str, Any]], chance: random.Random) -> None:
    entries = entries_of(rows)
    chart = chart_of(entries)
    before = {e.id: e for e in entries}
    for entry in chart.entries:
        bare = tuple(
            f for f in entry.flags if f.code not in hygiene.CODES and f.code not in ("duplicate_of", "conflicts_with")
        )
        assert msgspec.structs.replace(entry, flags=bare) == before[entry.id]
    shuffled = list(entries)
    chance.shuffle(shuffled)
    assert chart_of(shuffled) == chart
    assert chart_of([*shuffled, *chart.entries]).entries == chart.entries  # said again: said once
    ids = {e.id for e in chart.entries}
    for entry in chart.entries:
        for flag in entry.flags:
            if flag.code in hygiene.CODES:
                assert set(flag.related) <= ids - {entry.id} and flag.rule and flag.detail
    told = {
        (e.id, r) for e in chart.entries for f in e.flags if f.code in ("same_problem", "same_drug") for r in f.related
    }
    assert told == {(b, a) for a, b in told}  # both sides know of each other


@settings(max_examples=40, deadline=None, derandomize=True)
@given(charts)
def test_every_remark_has_a_reason_that_can_be_taken_away(rows: list[tuple[str, Any]]) -> None:
    """Without the entries a remark names, it is not made."""
    entries = entries_of(rows)
    coverage = coverage_from_entries(entries, {"a", "b"})
    said = hygiene.remarks(entries, coverage, "2024-06-30T12:00:00Z")
    for entry_id, found in said.items():
        for flag in found:
            if flag.code in ("same_problem", "same_drug", "same_class", "allergy_conflict"):
                gone = {r for f in found if f.code == flag.code for r in f.related}
                left = [e for e in entries if e.id not in gone]
                again = hygiene.remarks(left, coverage, "2024-06-30T12:00:00Z").get(entry_id, ())
                assert flag.code not in {f.code for f in again}


def test_the_rules_name_only_what_exists() -> None:
    categories, drugs = set(category_ids()), ingredients()
    classes, allergens = {i.drug_class for i in drugs.values()}, {row[0] for row in seed_rows("allergens.tsv")}
    unlisted, orders = unlisted_rules(), drug_rules()
    for rule in (*unlisted.drug.values(), *unlisted.results.values()):
        assert set(rule.listed_as) <= categories and pattern(rule.listed_words) and rule.source and rule.confidence < 1
    for drug in unlisted.drug.values():
        assert set(drug.drug_classes) <= classes and set(drug.ingredients) <= set(drugs)
        assert drug.drug_classes or drug.ingredients
    for test in (t for r in unlisted.results.values() for t in r.tests):
        assert (test.at_least is None) != (test.below is None)
    for same in orders.same_class:
        assert set(same.drug_classes) <= classes and set(same.ingredients) <= set(drugs)
    assert set(orders.same_drug.two_orders_usual) <= classes
    assert set(orders.same_drug.two_orders_usual_ingredients) <= set(drugs)
    assert set(orders.allergy.cross_reactive) <= allergens
    assert categories >= meaning.ONE_DISEASE
    for ends in over_rules().values():
        assert ends.days >= 90 and ends.source and pattern(ends.words)
        firsts = [text.partition("-")[0] for text in ends.codes]
        assert all(icd10cm_name(code) for code in firsts), [c for c in firsts if not icd10cm_name(c)]
    assert set(hygiene.CODES) <= set(get_args(FlagCode)) and set(hygiene.CODES) <= set(FLAG_WORDS)

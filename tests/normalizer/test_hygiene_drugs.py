"""Remarks on orders: the same drug twice, several of a class, a drug against a recorded allergy."""

from __future__ import annotations

from typing import Any

import pytest
from normalizer_kit import NOW, RXNORM, Json, cc, chart_of, flags, order, raw, resource

from adapters.normalizer import normalize
from models.record import Allergy, Chart, Flag, Medication


def made(*items: Json, b: tuple[Json, ...] = ()) -> Chart:
    return chart_of(
        [e for site, here in (("a", items), ("b", b)) for e in normalize([raw(i, site=site) for i in here]).entries]
    )


def said(chart: Chart, code: str) -> dict[str, Flag]:
    return {e.origin.resource_id: f for e in chart.entries for f in e.flags if f.code == code}


def drug(rid: str, name: str, use: str = "", code: str = "", **fields: Any) -> Json:
    more = {"dosageInstruction": [{"text": use}]} if use else {}
    return order(rid, **({"medicationCodeableConcept": cc(code, name, RXNORM)} | more | fields))


def allergy(rid: str, text: str, **fields: Any) -> Json:
    made: Json = {
        "code": {"text": text},
        "clinicalStatus": cc("active", system="http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"),
    }
    return resource("AllergyIntolerance", rid, **(made | fields))


def test_one_drug_from_two_sites_and_in_two_strengths() -> None:
    chart = made(drug("x", "lisinopril 10 MG tablet", code="1"), b=(drug("y", "Zestril 20 MG", code="2"),))
    found = said(chart, "same_drug")
    ids = {e.origin.resource_id: e.id for e in chart.of(Medication)}
    assert {k: f.related for k, f in found.items()} == {"x": (ids["y"],), "y": (ids["x"],)}
    assert found["x"].detail == (
        "lisinopril is in 2 current orders of a, b, with different strengths, forms or instructions"
    )
    assert all(m.activity == "active" for m in chart.of(Medication))


@pytest.mark.parametrize(
    ("left", "right", "twice"),
    [
        (drug("x", "metoprolol tartrate 25 MG tablet"), drug("y", "metoprolol succinate 50 MG ER tablet", "once a day"), True),
        (drug("x", "hydrocortisone 1% cream"), drug("y", "hydrocortisone 10 MG tablet"), False),
        (drug("x", "albuterol HFA inhaler"), drug("y", "albuterol nebulizer solution"), False),
        (drug("x", "oxycodone 5 MG tablet", "as needed"), drug("y", "oxycodone ER 20 MG"), False),
        (drug("x", "warfarin 5 MG tablet"), drug("y", "warfarin 2 MG tablet"), False),
        (drug("x", "lisinopril 10 MG"), drug("y", "lisinopril / hydrochlorothiazide 20-25 MG"), False),
        (drug("x", "lisinopril 10 MG"), drug("y", "lisinopril 20 MG", status="stopped"), False),
        (drug("x", "lisinopril 10 MG"), drug("y", "lisinopril 20 MG", category=[cc("inpatient")]), False),
        (drug("x", "lisinopril 10 MG"), drug("y", "lisinopril 20 MG", doNotPerform=True), False),
        (drug("x", "lisinopril 10 MG"), drug("y", "lisinopril 20 MG", authoredOn="2020-01-01"), False),  # stale: unsure
        (drug("x", "zzz unknown 1"), drug("y", "zzz unknown 2"), False),
    ],
)  # fmt: skip
def test_two_orders_of_one_ingredient(left: Json, right: Json, twice: bool) -> None:
    assert set(said(made(left, right), "same_drug")) == ({"x", "y"} if twice else set())


def test_usual_pairs_are_a_remark_where_two_sites_order_them() -> None:
    chart = made(drug("x", "oxycodone 5 MG tablet"), b=(drug("y", "oxycodone ER 20 MG"),))
    assert set(said(chart, "same_drug")) == {"x", "y"}


def test_the_same_order_told_twice_is_a_duplicate_and_no_second_drug() -> None:
    chart = made(drug("x", "lisinopril 10 MG", "daily"), drug("y", "lisinopril 10 MG", "daily"))
    assert not said(chart, "same_drug") and sum(m.has_flag("duplicate_of") for m in chart.of(Medication)) == 1


@pytest.mark.parametrize(
    ("left", "right", "several"),
    [
        ("lisinopril 10 MG", "losartan 50 MG", True),
        ("sacubitril / valsartan 24-26 MG", "enalapril 5 MG", True),
        ("sacubitril / valsartan 24-26 MG", "carvedilol 6.25 MG", False),  # one drug of two of the class
        ("simvastatin 20 MG", "atorvastatin 40 MG", True),
        ("sertraline 50 MG", "escitalopram 10 MG", True),
        ("ibuprofen 600 MG tablet", "naproxen 500 MG tablet", True),
        ("ibuprofen 600 MG tablet", "diclofenac 1% topical gel", False),
        ("ibuprofen 600 MG tablet", "aspirin 81 MG tablet", False),
        ("warfarin 5 MG", "apixaban 5 MG", True),
        ("warfarin 5 MG", "enoxaparin 80 MG syringe", False),  # bridging
        ("sitagliptin 100 MG", "semaglutide 1 MG pen", True),
        ("insulin glargine pen", "insulin lispro pen", False),
        ("metoprolol 25 MG", "timolol 0.5% ophthalmic solution", False),
        ("omeprazole 20 MG", "famotidine 20 MG", False),
    ],
)
def test_several_of_a_class(left: str, right: str, several: bool) -> None:
    chart = made(drug("x", left), drug("y", right))
    assert set(said(chart, "same_class")) == ({"x", "y"} if several else set())


@pytest.mark.parametrize(
    ("substance", "name", "against"),
    [
        ("Penicillin", "amoxicillin 500 MG capsule", "its class (penicillins)"),
        ("Amoxicillin", "Augmentin 875 MG", "amoxicillin"),
        ("PCN", "penicillin V 500 MG", "its class (penicillins)"),
        ("Sulfa antibiotics", "sulfamethoxazole / trimethoprim", "its class (sulfonamides)"),
        ("Lisinopril", "benazepril 10 MG", "its class (ACE inhibitors)"),
        ("Aspirin", "aspirin 81 MG", "aspirin"),
        ("Codeine", "codeine 30 MG", "codeine"),
        ("Opioids", "morphine 15 MG", "its class (opioids)"),
        ("Penicillin", "cephalexin 500 MG", ""),
        ("Sulfa", "hydrochlorothiazide 25 MG", ""),
        ("Codeine", "morphine 15 MG", ""),  # side effects of one opioid say nothing of another
        ("Phenytoin", "gabapentin 300 MG", ""),
        ("Atorvastatin", "rosuvastatin 10 MG", ""),
        ("Peanut", "lisinopril 10 MG", ""),
        ("Lisinopril", "losartan 50 MG", ""),
    ],
)
def test_a_drug_against_an_allergy_is_told_on_both(substance: str, name: str, against: str) -> None:
    chart = made(allergy("al", substance), drug("m", name))
    found = said(chart, "allergy_conflict")
    assert set(found) == ({"al", "m"} if against else set())
    if against:
        ids = {e.origin.resource_id: e.id for e in chart.entries}
        assert found["m"].detail == f"an allergy or intolerance to {against} is recorded"
        assert found["m"].related == (ids["al"],) and found["al"].related == (ids["m"],)


@pytest.mark.parametrize(
    ("fields", "order_fields"),
    [
        ({"clinicalStatus": cc("resolved")}, {}),
        ({"verificationStatus": cc("refuted")}, {}),
        ({"verificationStatus": cc("entered-in-error")}, {}),
        ({}, {"status": "stopped"}),
        ({}, {"doNotPerform": True}),
    ],
)
def test_what_is_over_does_not_speak_against_anything(fields: Json, order_fields: Json) -> None:
    chart = made(allergy("al", "Penicillin", **fields), drug("m", "amoxicillin 500 MG", **order_fields))
    assert not said(chart, "allergy_conflict")


def test_how_bad_it_was_is_told_with_it() -> None:
    reaction = [{"manifestation": [{"text": "Anaphylaxis"}], "severity": "severe"}]
    chart = made(allergy("al", "Penicillin", criticality="high", reaction=reaction), drug("m", "amoxicillin 500 MG"))
    assert said(chart, "allergy_conflict")["m"].detail.endswith("(reaction severe, criticality high)")


def test_an_allergy_knows_its_class_and_contradicts_a_negative() -> None:
    none = allergy("n", "No known drug allergies")
    chart = made(allergy("al", "Penicillin"), b=(none,))
    by_id = {e.origin.resource_id: e for e in chart.of(Allergy)}
    assert by_id["al"].substance_class == "penicillins" and by_id["n"].substance_class == ""
    assert flags(by_id["al"]) >= {"conflicts_with"} and flags(by_id["n"]) >= {"conflicts_with"}
    assert not made(allergy("al", "Peanut"), b=(none,)).conflicts  # drugs only


def test_a_report_says_which_of_its_results_never_came() -> None:
    report = resource(
        "DiagnosticReport", "r", status="final", code={"text": "CBC"}, effectiveDateTime="2024-01-01",
        result=[{"reference": "Observation/1"}, {"reference": "urn:uuid:2"}, {"reference": "https://x/fhir/Observation/3/_history/1"}],
    )  # fmt: skip
    results = [
        resource("Observation", i, status="final", code={"text": "WBC"}, valueInteger=5, effectiveDateTime="2024-01-01")
        for i in ("1", "2", "3")
    ]
    assert not said(made(report, *results), "missing_results")
    assert (
        said(made(report, *results[:1]), "missing_results")["r"].detail
        == "2 of 3 results it names are not in the record"
    )
    assert not said(made(report), "missing_results")  # no results were asked for: coverage says so
    assert not said(made(report, b=tuple(results)), "missing_results")


def test_now_is_not_looked_at() -> None:
    """A chart of an earlier instant is judged by the entries given, not by the day the test runs."""
    entries = normalize([raw(drug("x", "simvastatin 20 MG")), raw(drug("y", "atorvastatin 40 MG"))]).entries
    assert chart_of(entries, as_of=NOW).entries == chart_of(entries, as_of="2030-01-01T00:00:00Z").entries


def test_two_strengths_in_words_are_two_orders() -> None:
    """The words give the ingredient's code to both; that makes them the same drug, not the same order."""
    chart = made(drug("x", "lisinopril 10 MG"), drug("y", "lisinopril 20 MG"))
    assert set(said(chart, "same_drug")) == {"x", "y"}
    assert not any(m.superseded for m in chart.of(Medication))

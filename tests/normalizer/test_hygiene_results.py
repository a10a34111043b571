"""Diagnoses that results make and no problem names: by pressure, weight, filtration, albumin in urine, lipids."""

from __future__ import annotations

from typing import Any

import pytest
from normalizer_kit import SNOMED, Json, cc, chart_of, condition, observation, quantity, raw, resource

from adapters.normalizer import normalize
from models.record import Chart, Flag

ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"
ASTHMA = condition("c")
WOMAN = resource("Patient", "p", birthDate="1960-05-01", gender="female")


def made(*items: Json, who: Json | None = WOMAN) -> Chart:
    here = [*([who] if who else []), ASTHMA, *items]
    return chart_of(normalize([raw(i) for i in here]).entries)


def said(chart: Chart) -> dict[str, Flag]:
    return {e.origin.resource_id: f for e in chart.entries for f in e.flags if f.code == "unlisted_problem"}


def measured(rid: str, code: str, value: float, unit: str, day: str, **more: Any) -> Json:
    return observation(rid, code, valueQuantity=quantity(value, unit), effectiveDateTime=day, **more)


def pressure(rid: str, high: float, low: float, day: str, **more: Any) -> Json:
    parts = [
        {"code": cc(code, system="http://loinc.org"), "valueQuantity": quantity(value, "mm[Hg]")}
        for code, value in (("8480-6", high), ("8462-4", low))
    ]
    vital = [cc("vital-signs", system="http://terminology.hl7.org/CodeSystem/observation-category")]
    return observation(rid, "85354-9", component=parts, effectiveDateTime=day, category=vital, **more)


def uacr(rid: str, value: float, day: str, unit: str = "mg/g", code: str = "9318-7") -> Json:
    return measured(rid, code, value, unit, day)


def bmi(rid: str, value: float, day: str, **more: Any) -> Json:
    return measured(rid, "39156-5", value, "kg/m2", day, **more)


def stay(rid: str, kind: str, first: str, last: str) -> Json:
    act = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": kind}
    return resource("Encounter", rid, status="finished", **{"class": act}, period={"start": first, "end": last})


HIGH = (
    pressure("1", 150, 80, "2023-01-02"),
    pressure("2", 130, 80, "2023-02-02"),
    pressure("3", 144, 92, "2023-03-02"),
)


@pytest.mark.parametrize(
    ("items", "rule", "flagged"),
    [
        (HIGH, "hypertension", {"1", "3"}),
        ((pressure("1", 130, 95, "2023-01-02"), pressure("2", 130, 91, "2023-02-02")), "hypertension", {"1", "2"}),
        ((bmi("1", 31.2, "2023-01-02"), bmi("2", 33, "2023-09-02")), "obesity", {"1", "2"}),
        ((uacr("1", 35, "2023-01-01"), uacr("2", 80, "2023-04-01")), "chronic_kidney_disease_albuminuria", {"1", "2"}),
        (
            (
                uacr("1", 35, "2023-01-01", "mg/g{creat}"),
                uacr("2", 20, "2023-03-01"),
                uacr("3", 44, "2023-06-01", code="14959-1"),
            ),
            "chronic_kidney_disease_albuminuria",
            {"1", "3"},
        ),
        (
            (uacr("1", 3.5, "2023-01-01", "mg/mmol", "14585-4"), uacr("2", 9, "2023-06-01", "mg/mmol", "14585-4")),
            "chronic_kidney_disease_albuminuria",
            {"1", "2"},
        ),
        (
            tuple(measured(str(n), "13457-7", 200, "mg/dL", f"2023-0{n}-01") for n in (1, 2)),
            "hypercholesterolemia",
            {"1", "2"},
        ),
        (
            tuple(measured(str(n), "2571-8", 610, "mg/dL", f"2023-0{n}-01") for n in (1, 2)),
            "hypertriglyceridemia",
            {"1", "2"},
        ),
    ],
)
def test_results_make_a_diagnosis_and_name_each_other(items: tuple[Json, ...], rule: str, flagged: set[str]) -> None:
    chart = made(*items)
    found = said(chart)
    assert set(found) == flagged and {f.rule for f in found.values()} == {f"unlisted.results.{rule}"}
    evidence = {
        e.id for e in chart.entries for f in e.flags if f.code == "unlisted_problem" and e.origin.resource_id in flagged
    }
    for entry in chart.entries:
        for flag in entry.flags:
            if flag.code == "unlisted_problem":
                assert set(flag.related) == evidence - {entry.id} and flag.confidence and "2023-" in flag.detail


@pytest.mark.parametrize(
    "items",
    [
        HIGH[:2],  # one day of two
        (pressure("1", 150, 95, "2023-01-02"), pressure("2", 152, 95, "2023-01-02")),  # one day
        (pressure("1", 150, 95, "2023-01-02"), pressure("2", 131, 80, "2023-01-02"), pressure("3", 150, 95, "2023-03-02")),  # measured again: normal
        (*HIGH, pressure("4", 120, 70, "2023-04-02"), pressure("5", 122, 70, "2023-05-02")),  # normal since
        (stay("e", "EMER", "2023-01-02", "2023-01-02"), *HIGH),  # one of the two in an emergency room, by its day
        (stay("e", "IMP", "2023-02-28", "2023-03-05"), *HIGH),
        (stay("e", "IMP", "2021-02-28", "2021-03-05"), HIGH[0], pressure("3", 150, 95, "2023-03-02", encounter={"reference": "Encounter/e"})),
        (pressure("1", 150, 95, "2023-01-02", status="entered-in-error"), *HIGH[1:]),
        (bmi("1", 31.2, "2023-01-02"), bmi("2", 31.4, "2023-01-02")),
        (bmi("1", 31.2, "2023-01-02"), bmi("2", 29, "2023-03-02"), bmi("3", 31, "2023-09-02")),
        (bmi("1", 31.2, "2023-01-02"), bmi("2", 33, "2023-09-02", status="entered-in-error")),
        (uacr("1", 35, "2023-01-01"), uacr("2", 80, "2023-03-31")),  # 89 days
        (uacr("1", 35, "2023-01-01"), uacr("2", 80, "2023-04-01"), uacr("3", 12, "2023-09-01")),
        (uacr("1", 35, "2023-01-01", "mg/dL"), uacr("2", 80, "2023-06-01", "mg/dL")),  # no ratio
        (uacr("1", 29, "2023-01-01"), uacr("2", 29.9, "2023-06-01")),
        tuple(measured(str(n), "13457-7", 185, "mg/dL", f"2023-0{n}-01") for n in (1, 2)),
        (measured("1", "2571-8", 610, "mg/dL", "2023-01-01"),),
    ],
)  # fmt: skip
def test_results_that_prove_nothing(items: tuple[Json, ...]) -> None:
    assert not said(made(*items))


@pytest.mark.parametrize(
    ("code", "items"),
    [
        (cc("I10", "", ICD10CM), HIGH),
        (cc("", "Elevated blood pressure reading"), HIGH),
        (cc("72892002", "Normal pregnancy"), HIGH),
        (cc("E66.9", "", ICD10CM), (bmi("1", 31, "2023-01-02"), bmi("2", 33, "2023-09-02"))),
        (cc("Z68.31", "Body mass index [BMI] 31.0-31.9, adult", ICD10CM), (bmi("1", 31, "2023-01-02"), bmi("2", 33, "2023-09-02"))),
        (cc("E11.29", "", ICD10CM), (uacr("1", 35, "2023-01-01"), uacr("2", 80, "2023-06-01"))),  # its name tells
        (cc("N18.30", "", ICD10CM), (uacr("1", 35, "2023-01-01"), uacr("2", 80, "2023-06-01"))),
        (cc("55822004", "Hyperlipidemia"), tuple(measured(str(n), "13457-7", 200, "mg/dL", f"2023-0{n}-01") for n in (1, 2))),
    ],
)  # fmt: skip
def test_what_a_problem_names_is_no_news(code: Json, items: tuple[Json, ...]) -> None:
    assert not said(made(condition("d", code=code), *items))


@pytest.mark.parametrize(
    "listed",
    [
        condition("d", code=cc("Z82.49", "Family history of ischemic heart disease and hypertension", ICD10CM)),
        condition("d", code={"text": "FH: hypertension"}),
        condition("d", code={"text": "Screening for hypertension"}),
        condition("d", code=cc("38341003", "Hypertension", SNOMED), verificationStatus=cc("refuted")),
        condition("d", code=cc("38341003", "Hypertension", SNOMED), verificationStatus=cc("entered-in-error")),
    ],
)
def test_the_familys_the_refuted_and_the_taken_back_name_nothing(listed: Json) -> None:
    assert set(said(made(listed, *HIGH))) == {"1", "3"}


def test_definitions_for_adults_say_nothing_of_children_and_of_unknown_age() -> None:
    items = (*HIGH, bmi("4", 31, "2023-01-02"), bmi("5", 33, "2023-09-02"))
    assert set(said(made(*items))) == {"1", "3", "4", "5"}
    child = resource("Patient", "p", birthDate="2010-05-01", gender="female")
    assert not said(made(*items, who=child)) and not said(made(*items, who=None))
    assert not said(made(*items, who=resource("Patient", "p", birthDate="2003", gender="female"))), "19 or 20"


def test_computed_filtration_rates_and_body_mass_feed_the_rules() -> None:
    """Creatinine of 1.4 mg/dL at 62: 42 mL/min/1.73 m2 (CKD-EPI 2021); 100 kg at 170 cm: 34.6 kg/m2."""
    creatinine = [measured(str(n), "2160-0", 1.4, "mg/dL", day) for n, day in ((1, "2023-01-02"), (2, "2023-06-02"))]
    body = [measured("3", "8302-2", 170, "cm", "2023-01-02")]
    body += [measured(str(n), "29463-7", 100, "kg", day) for n, day in ((4, "2023-01-02"), (5, "2023-06-02"))]
    chart = made(*creatinine, *body)
    found = [(e, f) for e in chart.entries for f in e.flags if f.code == "unlisted_problem"]
    by_rule = {f.rule.rpartition(".")[2]: {e.id for e, g in found if g.rule == f.rule} for _, f in found}
    assert set(by_rule) == {"chronic_kidney_disease", "obesity"}
    known = {e.id: e for e in chart.entries}
    for ids in by_rule.values():
        assert len(ids) == 2
        for one in ids:
            assert known[one].has_flag("computed_value") and known[one].origin.method == "computed"
    kidney = next(e for e in chart.entries if e.id in by_rule["chronic_kidney_disease"])
    inputs = next(f.related for f in kidney.flags if f.code == "computed_value")
    assert {known[i].origin.resource_type for i in inputs} == {"Observation", "Patient"}
    assert not said(made(creatinine[0], measured("2", "2160-0", 0.7, "mg/dL", "2023-06-02")))
    once = made(condition("d", code=cc("N18.31", "", ICD10CM)), *creatinine)
    assert not said(once)

"""Results in canonical units, words of results, local names with their specimen, estimated filtration rates."""

from __future__ import annotations

from typing import Any

import pytest
from normalizer_kit import Json, cc, chart, flags, observation, one, quantity, resource

from adapters.normalizer.estimates import CKD_EPI_2021, ckd_epi_2021
from models.record import Result
from models.terminology.systems import LOINC

LOCAL = "urn:oid:1.2.3"


def lab(code: Any = "2345-7", **fields: Any) -> Json:
    return observation(fields.pop("rid", "1"), code, category=[cc("laboratory")], **fields)


def test_a_value_has_its_canonical_one_beside_it_and_stays_as_sent() -> None:
    value = one(lab(valueQuantity=quantity(5.50, "mmol/L"))).value
    assert (value.value, value.unit, value.code) == (5.5, "mmol/L", "mmol/L")
    assert value.canonical_code == "mg/dL" and value.canonical_value == pytest.approx(99.09, abs=0.01)


def test_components_have_canonical_values_too() -> None:
    part = {"code": cc("2823-3", system=LOINC), "valueQuantity": quantity(4.1, "meq/L")}
    [component] = one(lab("24321-2", component=[part])).components
    assert (component.value.canonical_value, component.value.canonical_code) == (4.1, "mmol/L")


def test_an_unknown_unit_has_a_flag_and_no_canonical_value() -> None:
    entry = one(lab(valueQuantity={"value": 5, "unit": "bananas"}))
    assert "unknown_unit" in flags(entry) and entry.value.canonical_value is None and entry.value.canonical_code == ""


@pytest.mark.parametrize(
    ("code", "value", "unit", "implausible"),
    [
        ("2823-3", 41, "meq/L", True),
        ("2823-3", 4.1, "meq/L", False),
        ("2345-7", 500, "mmol/L", True),
        ("2345-7", 500, "mg/dL", False),
        ("8310-5", 98.6, "[degF]", False),
        ("8310-5", 98.6, "Cel", True),
        ("2345-7", 99999, "[IU]/L", False),
    ],
)
def test_limits_hold_in_the_canonical_unit(code: str, value: float, unit: str, implausible: bool) -> None:
    entry = one(observation("1", code, valueQuantity=quantity(value, unit)))
    assert ("implausible_value" in flags(entry)) == implausible


def test_a_number_sent_as_words_is_a_number_and_the_words_stay() -> None:
    entry = one(lab(valueString="<0.01 mmol/L"))
    assert (entry.value.comparator, entry.value.value, entry.value.code) == ("<", 0.01, "mmol/L")
    assert entry.value_text == "<0.01 mmol/L" and entry.value.canonical_code == "mg/dL"


@pytest.mark.parametrize("words", ["POSITIVE", "1+", "see note", "3-5 /HPF", "2:1", "No growth after 5 days"])
def test_other_words_stay_words(words: str) -> None:
    entry = one(lab("5778-6", valueString=words))
    assert entry.value is None and entry.value_text == words


def test_a_titer_is_told_as_it_was_written() -> None:
    entry = one(lab("5048-4", valueString="1:160"))
    assert entry.value.value == 160 and entry.value.as_sent == "1:160" and entry.value.canonical_code == "{titer}"


def test_a_unitless_result_of_a_unitless_test_lacks_no_unit() -> None:
    ranges = [{"low": {"value": 0.9}, "high": {"value": 1.1}}]
    assert "missing_unit" not in flags(one(lab("6301-6", valueQuantity=quantity(1.0), referenceRange=ranges)))
    assert "missing_unit" in flags(one(lab("2345-7", valueQuantity=quantity(90), referenceRange=ranges)))


def test_the_specimen_tells_two_tests_of_one_name_apart() -> None:
    local = cc("X12", "CREATININE", LOCAL)
    blood = one(lab(local, valueQuantity=quantity(1.1, "mg/dL"), specimen={"display": "Serum"}))
    urine = one(lab(local, valueQuantity=quantity(110, "mg/dL"), specimen={"display": "Urine, random"}))
    assert (blood.concept.target.code, urine.concept.target.code) == ("2160-0", "2161-8")
    assert blood.concept.mapping.method == "text_match" and blood.concept.text == "CREATININE"


def test_a_standard_code_is_never_replaced_by_a_name() -> None:
    entry = one(lab("2951-2", valueQuantity=quantity(4.1, "mmol/L")))
    assert entry.concept.target.code == "2951-2" and entry.concept.mapping.method == "standard"


@pytest.mark.parametrize(
    ("creatinine", "age", "female", "rate"),
    [(1.0, 50, False, 92), (1.0, 50, True, 69), (0.6, 30, True, 124), (2.5, 70, False, 27), (0.9, 60, False, 98), (5.0, 45, True, 10)],
)  # fmt: skip
def test_the_equation_gives_the_published_values(creatinine: float, age: int, female: bool, rate: int) -> None:
    """Against the National Kidney Foundation's calculator of the same equation."""
    assert round(ckd_epi_2021(creatinine, age, female=female)) == rate


def person(**fields: Any) -> Json:
    return resource("Patient", "p", **({"gender": "female", "birthDate": "1974-03-01"} | fields))


def creatinine(**fields: Any) -> Json:
    return lab("2160-0", **({"rid": "c", "valueQuantity": quantity(1.0, "mg/dL")} | fields))


def estimates(*items: Json) -> list[Result]:
    return [e for e in chart(*items).of(Result) if e.concept.code_in(LOINC) == CKD_EPI_2021 and "computed_value" in flags(e)]  # fmt: skip


@pytest.mark.parametrize("value", [quantity(1.0, "mg/dL"), quantity(88.4, "umol/L")])
def test_a_filtration_rate_is_estimated_and_cites_what_it_is_from(value: Json) -> None:
    [found] = estimates(person(), creatinine(valueQuantity=value))
    assert found.value.value == 69 and {"computed_value", "estimated_value"} <= flags(found)
    assert {(o.resource_type, o.resource_id, o.method) for o in found.origins} == {("Observation", "c", "computed"), ("Patient", "p", "computed")}  # fmt: skip
    assert "2021" in next(f.detail for f in found.flags if f.code == "computed_value")


@pytest.mark.parametrize(
    "items",
    [
        (creatinine(),),
        (person(gender="other"), creatinine()),
        (person(birthDate="1974"), creatinine()),
        (person(birthDate="2010-01-01"), creatinine()),
        (person(), creatinine(effectiveDateTime="2024-03")),
        (person(), creatinine(status="entered-in-error")),
        (person(), creatinine(valueQuantity=quantity(1.0, "mg/dL", comparator="<"))),
        (person(), creatinine(valueQuantity=quantity(1.0))),
        (person(), creatinine(valueQuantity=quantity(400, "mg/dL"))),
        (person(), creatinine(), lab("33914-3", rid="g", valueQuantity=quantity(60, "mL/min/{1.73_m2}"))),
        (person(), creatinine(), lab("69405-9", rid="g", valueQuantity=quantity(60, "mL/min/{1.73_m2}"))),
    ],
    ids=["no_person", "sex", "birth_year", "child", "month", "error", "bound", "no_unit", "implausible", "mdrd", "other_gfr"],
)  # fmt: skip
def test_nothing_is_estimated_from_what_does_not_allow_it(items: tuple[Json, ...]) -> None:
    assert estimates(*items) == []

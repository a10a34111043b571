"""Code systems in every spelling met, units, explicit negatives, and words that decide."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.terminology.clinical import asserts_none, is_abnormal, negative_scope, ruling_out, says_telehealth
from models.terminology.systems import CPT, CVX, ICD10CM, LOINC, RXNORM, SNOMED, UCUM, canonical_system, is_standard
from models.terminology.units import to_base, ucum_code


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("http://loinc.org", LOINC),
        ("http://loinc", LOINC),
        ("https://LOINC.org/", LOINC),
        ("http://www.loinc.org", LOINC),
        ("http://loinc.org|2.77", LOINC),
        (" http://loinc.org ", LOINC),
        ("urn:oid:2.16.840.1.113883.6.1", LOINC),
        ("URN:OID:2.16.840.1.113883.6.1", LOINC),
        ("oid:2.16.840.1.113883.6.1", LOINC),
        ("2.16.840.1.113883.6.1", LOINC),
        ("2.16.840.1.113883.6.1/", LOINC),
        ("LN", LOINC),
        ("http://snomed.info/sct/731000124108/version/20240301", SNOMED),
        ("2.16.840.1.113883.6.96", SNOMED),
        ("http://hl7.org/fhir/sid/icd-10-cm/", ICD10CM),
        ("ICD-10-CM", ICD10CM),
        ("urn:oid:2.16.840.1.113883.6.88", RXNORM),
        ("urn:oid:2.16.840.1.113883.6.59", CVX),
        ("urn:oid:2.16.840.1.113883.12.292", CVX),
        ("2.16.840.1.113883.6.12", CPT),
        ("ucum", UCUM),
    ],
)
def test_every_spelling_of_a_system_becomes_its_uri(sent: str, meant: str) -> None:
    assert canonical_system(sent) == meant


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("https://fhir.cerner.com/abc/codeSet/72", "https://fhir.cerner.com/abc/codeSet/72"),
        ("urn:oid:1.2.840.114350.1.13.1", "urn:oid:1.2.840.114350.1.13.1"),
        ("1.2.840.114350.1.13.1", "urn:oid:1.2.840.114350.1.13.1"),
        ("http://snomed.info/xsct", "http://snomed.info/xsct"),
        ("http://www.ada.org/snodent", "http://www.ada.org/snodent"),
        ("99", "99"),
        ("", ""),
    ],
)
def test_an_unknown_system_is_kept_and_is_no_standard(sent: str, kept: str) -> None:
    assert canonical_system(sent) == kept
    assert not is_standard(canonical_system(sent))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text(max_size=40))
def test_cleaning_twice_changes_nothing(text: str) -> None:
    once = canonical_system(text)
    assert canonical_system(once) == once


@pytest.mark.parametrize(
    ("section", "system", "code", "text", "none"),
    [
        ("allergies", SNOMED, "716186003", "", True),
        ("allergies", SNOMED, "409137002", "", True),
        ("allergies", "", "", "NKDA", True),
        ("allergies", "", "", "No Known Allergies.", True),
        ("allergies", "", "", "no known drug allergies", True),
        ("allergies", "", "no-known-allergies", "", True),
        ("allergies", "", "no-allergy-info", "No information about allergies", False),
        ("allergies", "", "", "No known allergies except penicillin", False),
        ("allergies", "", "", "Allergies not asked", False),
        ("allergies", SNOMED, "91936005", "Allergy to penicillin", False),
        ("problems", SNOMED, "160245001", "", True),
        ("problems", "", "", "No known problems", True),
        ("problems", SNOMED, "1287211007", "No information available", False),
        ("problems", "", "", "No shortness of breath", False),
        ("medications", SNOMED, "787481004", "", True),
        ("medications", SNOMED, "182904002", "Drug treatment unknown", False),
        ("medications", SNOMED, "716186003", "", False),
        ("medications", "", "", "no current medications", True),
    ],
)
def test_only_an_explicit_negative_is_one(section: str, system: str, code: str, text: str, none: bool) -> None:
    assert asserts_none(section, [(system, code)] if code else [], text) is none


@pytest.mark.parametrize(
    ("code", "text", "scope"),
    [("716186003", "", ""), ("409137002", "", "medication"), ("", "NKDA", "medication"), ("", "NKA", ""),
     ("429625007", "", "food"), ("", "No known food allergies", "food"), ("", "No known latex allergy", "other"),
     ("428607008", "", "environment")],
)  # fmt: skip
def test_a_negative_of_one_category_says_nothing_of_others(code: str, text: str, scope: str) -> None:
    assert negative_scope([(SNOMED, code)] if code else [], text) == scope


@pytest.mark.parametrize(
    ("said", "abnormal"),
    [("H", True), ("ll", True), ("N", False), ("NEG", False), ("POS", True), ("Abnormal high", True), ("below low normal", True),
     ("Not detected", False), ("Within normal limits", False), ("Normal", False), ("IND", None), ("W", None), ("see note", None),
     ("not normal", None), ("", None)],
)  # fmt: skip
def test_interpretations_in_codes_and_words(said: str, abnormal: bool | None) -> None:
    assert is_abnormal(said) is abnormal


@pytest.mark.parametrize(
    ("text", "said"),
    [("R/O myocardial infarction", "suspected"), ("Rule out pneumonia", "suspected"), ("Pulmonary embolism ruled out", "ruled_out"),
     ("Trigger finger", ""), ("Rupture of outflow tract", "")],
)  # fmt: skip
def test_wordings_that_exclude_a_diagnosis(text: str, said: str) -> None:
    assert ruling_out(text) == said


@pytest.mark.parametrize(
    "text", ["Video Visit", "TELEHEALTH consult", "E-visit", "Telemedicine consultation", "phone call"]
)
def test_words_that_say_telehealth(text: str) -> None:
    assert says_telehealth(text)


@pytest.mark.parametrize("text", ["Office visit", "Televisionary", "Emergency", ""])
def test_words_that_do_not(text: str) -> None:
    assert not says_telehealth(text)


@pytest.mark.parametrize(
    ("printed", "code"),
    [("mmHg", "mm[Hg]"), ("lbs", "[lb_av]"), ("10*3/uL", "10*3/uL"), ("K/uL", "10*3/uL"), ("°F", "[degF]"), ("furlong", ""), ("", "")],
)  # fmt: skip
def test_units_as_printed(printed: str, code: str) -> None:
    assert ucum_code(printed) == code


def test_body_measures_convert_exactly() -> None:
    assert to_base(100, "[lb_av]") == (pytest.approx(45.359237), "kg")
    assert to_base(70, "[in_i]") == (pytest.approx(177.8), "cm")
    assert to_base(98.6, "[degF]") == (pytest.approx(37.0), "Cel")
    assert to_base(1, "mg/dL") is None

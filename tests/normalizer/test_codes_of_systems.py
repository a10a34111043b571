"""Codes that are packages, retired or none: what becomes of them on the entries."""

from __future__ import annotations

from typing import Any

import pytest
from normalizer_kit import cc, condition, one, order, resource

from models.terminology.systems import CVX, ICD10CM, NDC, RXNORM, SNOMED


def remarks(entry: Any) -> dict[str, str]:
    return {f.code: f.detail for f in entry.flags}


def shot(code: str, text: str = "", system: str = NDC) -> Any:
    return one(
        resource(
            "Immunization", status="completed", occurrenceDateTime="2024-01-05", vaccineCode=cc(code, text, system)
        )
    )


@pytest.mark.parametrize("system", [NDC, "urn:oid:2.16.840.1.113883.6.69", "NDC"])
@pytest.mark.parametrize("code", ["58160-0842-11", "58160084211", "58160-842-11", "058160084211", "*58160-0842-11"])
def test_the_package_of_a_vaccine(system: str, code: str) -> None:
    if code.startswith("*"):
        code = "58160-*842-11"
    entry = shot(code, system=system)
    mapping = entry.concept.mapping
    assert (mapping.method, mapping.target.system, mapping.target.code) == ("map_table", CVX, "115")
    assert mapping.source.code == code == entry.concept.codings[0].code and entry.concept.code_in(NDC) == code
    assert "unmapped_code" not in remarks(entry) and "local_code_only" not in remarks(entry)


def test_a_package_beside_words_of_another_vaccine_is_remarked() -> None:
    entry = shot("58160-0842-11", "MMR")
    assert entry.concept.mapping.confidence == 0.5 and "code_text_mismatch" in remarks(entry)


def test_an_unknown_package_by_its_words_and_by_itself() -> None:
    known = shot("99999-9999-99", "Shingrix")
    assert (known.concept.mapping.method, known.concept.target.code) == ("text_match", "187")
    drug = one(order(medicationCodeableConcept=cc("55555-5555-55", "metoprolol succ ER 50 mg tab", NDC)))
    assert (drug.concept.target.system, drug.concept.target.code) == (RXNORM, "6918")
    assert drug.concept.codings[0].code == "55555-5555-55" and drug.concept.display == "metoprolol succ ER 50 mg tab"
    bare = one(order(medicationCodeableConcept=cc("55555-5555-55", system=NDC)))
    assert bare.concept.target.system == NDC and bare.concept.mapping.confidence == 1.0 and remarks(bare) == {}
    none = one(order(medicationCodeableConcept=cc("7", system=NDC)))
    assert none.concept.mapping.method == "unmapped" and {"unknown_code", "unmapped_code"} <= remarks(none).keys()


def problem(code: str, text: str = "", **more: Any) -> Any:
    return one(condition(code=cc(code, text, ICD10CM), **more))


def test_a_code_without_its_dot_is_read_with_it_and_kept_without() -> None:
    entry = problem("E119")
    assert entry.concept.target.code == "E11.9" and entry.concept.codings[0].code == "E119"
    assert (
        entry.concept.mapping.confidence == 1.0 and entry.concept.code_in(ICD10CM) == "E11.9" and remarks(entry) == {}
    )


@pytest.mark.parametrize(
    ("code", "flag", "confidence"),
    [
        ("E11.99", "unknown_code", 0.6),
        ("ZZ1.0", "unknown_code", 0.0),
        ("E11", "incomplete_code", 1.0),
        ("M51.07", "retired_code", 1.0),
    ],
)
def test_a_code_that_is_none_or_not_whole_says_so(code: str, flag: str, confidence: float) -> None:
    entry = problem(code)
    assert flag in remarks(entry) and code in remarks(entry)[flag] and entry.concept.mapping.confidence == confidence
    assert entry.concept.codings[0].code == code and "code_text_mismatch" not in remarks(entry)


def test_a_retired_code_of_its_own_time_is_no_remark() -> None:
    assert remarks(problem("M51.07", onsetDateTime="2016-03-01")) == {}


def test_a_code_that_is_none_leaves_the_word_to_the_words() -> None:
    entry = problem("ZZ1.0", "Hypertension")
    assert (entry.concept.mapping.method, entry.concept.target.code) == ("text_match", "I10")
    assert "unknown_code" in remarks(entry)


def test_code_and_words_that_contradict() -> None:
    assert "code_text_mismatch" in remarks(problem("E11.9", "Hypertension"))


def test_an_allergy_in_words_and_an_explicit_negative() -> None:
    def said(text: str) -> Any:
        return one(resource("AllergyIntolerance", code={"text": text}))

    assert said("PCN").concept.target.system == SNOMED and said("PCN").substance_class == "penicillins"
    none = said("No Known Drug Allergies (NKDA)")
    assert none.none_asserted and none.concept.target.code == "409137002" and none.substance_class == ""
    denied = said("no penicillin allergy")
    assert denied.concept.target is None and not denied.none_asserted and denied.substance_class == ""

"""ICD-10-CM names, ICD-9-CM by the GEMs, wordings, categories."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.record import Coding, Concept, Mapping
from models.terminology.categories import categories_of, category_ids, ccsr_of, codes_of, of_icd10cm, source_of
from models.terminology.conditions import (
    by_wording,
    dotted,
    dotted9,
    from_icd9,
    from_snomed,
    icd10cm_name,
    icd10cm_names,
    to_snomed,
)
from models.terminology.seeds import seed_rows
from models.terminology.systems import ICD9CM, ICD10, ICD10CM, SNOMED


@pytest.mark.parametrize(
    ("sent", "code"),
    [("E119", "E11.9"), ("e11.9", "E11.9"), (" I10 ", "I10"), ("S72001A", "S72.001A"), ("S72.001A", "S72.001A")],
)
def test_icd10_with_its_dot(sent: str, code: str) -> None:
    assert dotted(sent) == code


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("25000", "250.00"),
        ("4019", "401.9"),
        ("V4582", "V45.82"),
        ("E8889", "E888.9"),
        ("E000", "E000"),
        ("042", "042"),
    ],
)
def test_icd9_with_its_dot(sent: str, code: str) -> None:
    assert dotted9(sent) == code == dotted9(code)


def test_names_of_extended_codes_are_those_of_the_code_they_extend() -> None:
    assert icd10cm_name("S72.001A") == icd10cm_name("S72.001") != ""
    assert icd10cm_name("W19.XXXD") == icd10cm_name("W19")
    assert icd10cm_name("E11.999") == "" == icd10cm_name("not a code")


@pytest.mark.parametrize(
    ("icd9", "codes", "kind", "confidence"),
    [
        ("001.0", ("A00.0",), "equal", 0.95),
        ("250.00", ("E11.9",), "wider", 0.85),
        ("25000", ("E11.9",), "wider", 0.85),
        ("493.90", ("J45.909", "J45.998"), "choice", 0.425),
        ("V45.82", ("Z98.61",), "wider", 0.85),
    ],
)
def test_gem(icd9: str, codes: tuple[str, ...], kind: str, confidence: float) -> None:
    assert from_icd9(icd9) == (codes, kind, confidence)


def test_gem_codes_without_a_target_and_combinations() -> None:
    rows = seed_rows("icd9-gem.tsv.gz")
    none = next(code for code, _, flags in rows if flags[1] == "1")
    assert from_icd9(none) == ((), "none", 0.0)
    code = next(c for c, _, flags in rows if flags == "10112" and not any(r[0] == c and r[2][2] == "0" for r in rows))
    found = from_icd9(code)
    assert found is not None and found.kind == "combination" and len(found.codes) >= 2 and found.confidence < 0.85
    assert from_icd9("999.99") is None


def test_one_of_many_is_never_as_sure_as_one_of_one() -> None:
    for code in dict.fromkeys(row[0] for row in seed_rows("icd9-gem.tsv.gz")):
        found = from_icd9(code)
        assert found is not None and (len(found.codes) == 1) == (
            found.kind in ("equal", "wider") or len(found.codes) == 1
        )
        if found.kind == "choice":
            assert len(found.codes) * found.confidence < 0.9 and found.confidence < 0.5


@pytest.mark.parametrize(
    ("words", "code"),
    [("HTN", "I10"), ("Htn", "I10"), ("DM2", "E11.9"), ("T2DM", "E11.9"), ("Diabetes mellitus, type II", "E11.9"),
     ("Type 2 diabetes mellitus without complications", "E11.9"), ("CHF", "I50.9"), ("COPD", "J44.9"), ("CKD", "N18.9"),
     ("CKD stage III", "N18.30"), ("stage 3b CKD", "N18.32"), ("CAD", "I25.10"), ("AFib", "I48.91"), ("GERD", "K21.9"),
     ("OSA", "G47.33"), ("Essential (primary) hypertension", "I10"), ("Hypertension (disorder)", "I10"), ("Asthma, unspecified", "J45.909"),
     ("Crohn's disease", "K50.90"), ("Anaemia", "D64.9"), ("Hyperlipidemia", "E78.5"), ("ESRD", "N18.6")],
)  # fmt: skip
def test_words_that_name_one_condition(words: str, code: str) -> None:
    found = by_wording(words)
    assert [w.code for w in found] == [code] and found[0].score >= 0.9


@pytest.mark.parametrize("words", ["DM", "Diabetes", "MS", "MI", "HIV", "IBD", "CP", "AF", "RA", "PE"])
def test_words_with_several_meanings_are_never_sure(words: str) -> None:
    found = by_wording(words)
    assert found and all(w.score < 0.85 for w in found)


@pytest.mark.parametrize(
    "words",
    ["family history of asthma", "h/o diabetes", "? asthma", "asthma?", "r/o pneumonia", "no asthma", "asthma?ruled out", "asthma and COPD overlap", "", "of the",
     "negative for diabetes mellitus type 2", "at risk for hypertension", "x" * 500],
)  # fmt: skip
def test_words_that_say_more_than_a_name_name_nothing(words: str) -> None:
    assert by_wording(words) == ()


def test_every_code_of_the_seeds_exists() -> None:
    names = icd10cm_names()
    assert not [row for row in seed_rows("conditions.tsv") if row[1] not in names]
    assert not [
        row for row in seed_rows("snomed-icd10cm.tsv") if not set(row[1].split("-")[:1]) & (set(names) | {"B20"})
    ]
    bare = {code.replace(".", "") for code in names}
    assert not [(c, r) for c in category_ids() for r in codes_of(c) if not set(r) <= bare]
    assert all(source_of(c) for c in category_ids())


def concept(*codings: tuple[str, str], text: str = "") -> Concept:
    return Concept(text=text, codings=tuple(Coding(system=s, code=c) for s, c in codings))


def ours(found: Concept) -> set[str]:
    return {g.code for g in categories_of(found) if g.system == "chartbrief"}


@pytest.mark.parametrize(
    ("code", "groups"),
    [
        ("I10", {"hypertension", "hypertension_essential"}),
        ("I11.0", {"hypertension", "hypertension_with_heart_or_kidney_disease", "heart_failure"}),
        ("I13.2", {"hypertension", "hypertension_with_heart_or_kidney_disease", "heart_failure", "chronic_kidney_disease"}),
        ("I13.0", {"hypertension", "hypertension_with_heart_or_kidney_disease", "heart_failure", "chronic_kidney_disease"}),
        ("I11.9", {"hypertension", "hypertension_with_heart_or_kidney_disease"}),
        ("I16.0", {"hypertension"}),
        ("I1A.0", {"hypertension", "hypertension_essential"}),
        ("I50.22", {"heart_failure", "heart_failure_systolic"}),
        ("E10.9", {"diabetes", "diabetes_type_1"}),
        ("E11.22", {"diabetes", "diabetes_type_2", "chronic_kidney_disease"}),
        ("E13.9", {"diabetes", "diabetes_other"}),
        ("E14", set()),
        ("N18.4", {"chronic_kidney_disease", "ckd_stage_4"}),
        ("N18.32", {"chronic_kidney_disease", "ckd_stage_3"}),
        ("N18.6", {"chronic_kidney_disease", "esrd"}),
        ("N19", set()),
        ("I48.92", {"atrial_fibrillation_flutter"}),
        ("I48.0", {"atrial_fibrillation_flutter", "atrial_fibrillation"}),
        ("C50.911", {"cancer", "cancer_breast"}),
        ("C78.00", {"cancer", "cancer_metastatic"}),
        ("F17.210", {"tobacco_use"}),
        ("F11.20", {"substance_use", "opioid_use"}),
        ("B20", {"hiv"}),
        ("Z99.2", {"chronic_kidney_disease", "esrd"}),
    ],
)  # fmt: skip
def test_categories_of_icd10cm(code: str, groups: set[str]) -> None:
    assert ours(concept((ICD10CM, code))) == groups == ours(concept((ICD10, code.replace(".", ""))))


def test_categories_through_the_maps_say_how() -> None:
    assert ours(concept((ICD9CM, "250.00"))) == {"diabetes", "diabetes_type_2"}
    assert ours(concept((SNOMED, "44054006"))) == {"diabetes", "diabetes_type_2"}
    assert ours(concept((SNOMED, "73211009"))) == {"diabetes"}
    how = {g.how for g in categories_of(concept((ICD9CM, "250.00")))}
    assert how == {"ICD-9-CM 250.00 by CMS GEM (E11.9)"}


def test_a_choice_puts_into_a_category_only_what_all_of_it_share() -> None:
    assert ours(concept((ICD9CM, "493.90"))) == {"asthma"}
    row = next(r for r in seed_rows("icd9-gem.tsv.gz") if r[0] == "5859")
    assert ours(concept((ICD9CM, "585.9"))) == {"chronic_kidney_disease"} and row[1] == "N189"


def test_words_give_categories_only_where_they_are_clear_and_no_code_speaks() -> None:
    assert ours(concept(text="HTN")) == {"hypertension", "hypertension_essential"}
    assert ours(concept(text="DM")) == set()
    assert ours(concept((ICD10CM, "Z00.00"), text="HTN")) == set()


def test_a_target_found_by_a_table_counts() -> None:
    target = Coding(system=ICD10CM, code="I50.9")
    made = Concept(
        codings=(Coding(system="local", code="7"),), mapping=Mapping(method="map_table", confidence=0.95, target=target)
    )
    assert ours(made) == {"heart_failure"}


def test_ccsr_is_the_second_grouping() -> None:
    assert ccsr_of("E11.9") == "END002" and ccsr_of("I10") == "CIR007" and ccsr_of("nothing") == ""
    assert {g.code for g in categories_of(concept((ICD10CM, "I10"))) if g.system == "ccsr"} == {"CIR007"}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.text(max_size=12), st.sampled_from([ICD10CM, ICD10, ICD9CM, SNOMED, "x"]), st.text(max_size=30))
def test_no_code_and_no_words_break_it(code: str, system: str, text: str) -> None:
    for group in categories_of(concept((system, code), text=text)):
        assert group.how


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(icd10cm_names())))
def test_a_child_is_in_every_group_of_its_parent_and_parents_come_along(code: str) -> None:
    found = set(of_icd10cm(code))
    assert {g.parent for g in categories_of(concept((ICD10CM, code))) if g.parent} <= found
    if len(code) > 4:
        assert set(of_icd10cm(code[:-1].rstrip("."))) <= found


def test_the_small_map_goes_back_only_where_it_is_one_to_one() -> None:
    assert to_snomed()["J44.9"] == "13645005"
    assert "I50.9" not in to_snomed()  # two SNOMED CT codes mean it
    assert from_snomed("1") is None

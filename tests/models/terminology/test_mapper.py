"""The four steps in their order, the check of code against words, drugs, vaccines, allergens."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.record import Coding, Concept
from models.terminology.allergens import class_in, class_of
from models.terminology.conditions import icd10cm_names
from models.terminology.contradiction import contradicts
from models.terminology.mapper import ACCEPT, PREFERRED, Ask, Terminology, translate
from models.terminology.medications import drug_classes, ingredients_in
from models.terminology.ndc import ndc9, ndc11, ndc11_choices
from models.terminology.seeds import seed_rows, verified
from models.terminology.systems import CPT, CVX, ICD9CM, ICD10CM, LOINC, NDC, RXNORM, SNOMED
from models.terminology.tables import MappingTable, Row
from models.terminology.vaccines import cvx_of, groups_of, match

PLAIN = Terminology()


def ask(domain: str, text: str = "", *codings: tuple[str, str, str], unit: str = ""):  # type: ignore[no-untyped-def]
    made = tuple(Coding(system=s, code=c, display=d) for s, c, d in codings)
    return PLAIN.map(Ask(domain=domain, codings=made, text=text, unit=unit))  # type: ignore[arg-type]


def test_a_standard_code_goes_first_whatever_the_tables_say() -> None:
    table = MappingTable("t", [Row(system=LOINC, code="4548-4", target_system=LOINC, target_code="1-1")])
    asked = Ask(domain="observation", codings=(Coding(system=LOINC, code="4548-4"),))
    found = Terminology([("site", table)]).map(asked)
    assert found.mapping.method == "standard" and found.mapping.target.code == "4548-4"


def test_a_table_goes_before_the_words_and_before_a_standard_the_domain_does_not_speak() -> None:
    rows = [Row(system="loc", code="7", target_system=ICD10CM, target_code="I10")]
    made = Terminology([("site", MappingTable("t", rows))])
    local, cpt = Coding(system="loc", code="7"), Coding(system=CPT, code="99213")
    found = made.map(Ask(domain="condition", codings=(cpt, local), text="Asthma"))
    assert (found.mapping.method, found.mapping.target.code) == ("map_table", "I10")
    assert made.map(Ask(domain="condition", codings=(cpt,), text="")).mapping.method == "standard"


def test_unknown_is_kept_and_nothing_is_made_up() -> None:
    found = ask("condition", "Feels odd", ("loc", "9", "odd"))
    assert found.mapping.method == "unmapped" and found.mapping.target is None
    assert found.mapping.source.code == "9" and found.candidates == ()


def test_ambiguous_words_are_candidates_and_flagged() -> None:
    found = ask("condition", "DM")
    assert found.mapping.method == "unmapped" and found.flags == ("uncertain_mapping",)
    assert {c.target.code for c in found.candidates} == {"E11.9", "E10.9"}


@pytest.mark.parametrize(
    ("domain", "system", "code", "display", "text"),
    [
        ("condition", ICD10CM, "E11.9", "", "Asthma"),
        ("condition", ICD10CM, "E11.22", "", "COPD"),
        ("condition", ICD10CM, "J45.909", "", "Hypertension"),
        ("condition", ICD9CM, "250.00", "", "Asthma"),
        ("condition", SNOMED, "44054006", "Diabetes mellitus type 2", "Hypertension"),
        ("condition", ICD10CM, "F32.A", "", "Osteoporosis"),
        ("medication", RXNORM, "29046", "lisinopril", "Metformin 500 MG"),
        ("medication", RXNORM, "314076", "lisinopril 10 MG Oral Tablet", "Atorvastatin 20 mg tablet"),
        ("vaccine", CVX, "140", "", "MMR"),
        ("observation", LOINC, "2345-7", "", "Potassium"),
    ],
)
def test_words_that_clearly_name_something_else(domain: str, system: str, code: str, display: str, text: str) -> None:
    found = ask(domain, text, (system, code, display))
    assert found.flags == ("code_text_mismatch",) and found.mapping.confidence == 0.5
    assert found.mapping.target.code == code and found.mapping.method == "standard"


@pytest.mark.parametrize(
    ("domain", "system", "code", "display", "text"),
    [
        ("condition", ICD10CM, "E11.9", "", "T2DM"),
        ("condition", ICD10CM, "E11.9", "", "Diabetes"),
        ("condition", ICD10CM, "E10.9", "", "DM"),
        ("condition", ICD10CM, "E11.22", "", "CKD"),
        ("condition", ICD10CM, "I11.0", "", "CHF"),
        ("condition", ICD10CM, "I11.9", "", "HTN"),
        ("condition", ICD10CM, "J44.9", "", "Emphysema"),
        ("condition", ICD10CM, "I25.10", "", "Myocardial infarction"),
        ("condition", ICD10CM, "K21.9", "", "Acid reflux"),
        ("condition", ICD10CM, "D63.1", "", "CKD"),
        ("condition", ICD10CM, "Z86.73", "", "Stroke"),
        ("condition", ICD10CM, "Z79.4", "", "Type 2 diabetes"),
        ("condition", ICD10CM, "R05.9", "", "Asthma"),
        ("condition", ICD10CM, "E11.9", "", "my sugar problem"),
        ("condition", SNOMED, "1", "", "Asthma"),
        ("medication", RXNORM, "29046", "lisinopril", "Zestril 10 mg"),
        ("medication", RXNORM, "1", "oxycodone / acetaminophen", "Percocet"),
        ("medication", RXNORM, "1", "unknown drug", "metformin"),
        ("vaccine", CVX, "140", "", "Flu shot"),
        ("vaccine", CVX, "110", "", "polio"),
        ("observation", LOINC, "4548-4", "", "Hemoglobin"),
        ("observation", LOINC, "9999-9", "", "Potassium"),
    ],
)
def test_synonyms_abbreviations_parts_and_unknowns_do_not_contradict(
    domain: str, system: str, code: str, display: str, text: str
) -> None:
    assert ask(domain, text, (system, code, display)).flags == ()


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(icd10cm_names())))
def test_no_official_name_contradicts_its_own_code_or_those_above(code: str) -> None:
    coding = Coding(system=ICD10CM, code=code)
    for length in range(3, len(code) + 1):
        assert not contradicts("condition", coding, icd10cm_names().get(code[:length], ""))


def test_no_inclusion_term_contradicts_its_code() -> None:
    wrong = [
        r
        for r in seed_rows("icd10cm-terms.tsv.gz")[::5]
        if contradicts("condition", Coding(system=ICD10CM, code=r[0]), r[1])
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("text", "names"),
    [("Lisinopril 10 MG Oral Tablet", ["lisinopril"]), ("metFORMIN HCl ER 500mg", ["metformin"]), ("Zestril", ["lisinopril"]),
     ("HCTZ 25 mg", ["hydrochlorothiazide"]), ("Percocet 5-325", ["oxycodone", "acetaminophen"]),
     ("amoxicillin 875 MG / clavulanate 125 MG Oral Tablet", ["amoxicillin", "clavulanate"]),
     ("insulin glargine 100 UNT/ML", ["insulin glargine"]), ("isosorbide mononitrate 30 mg", ["isosorbide mononitrate"]),
     ("Tylenol #3", ["acetaminophen", "codeine"]), ("Toprol XL 50", ["metoprolol"]), ("nothing known", [])],
)  # fmt: skip
def test_ingredients_of_a_wording(text: str, names: list[str]) -> None:
    assert [i.name for i in ingredients_in(text)] == names


@pytest.mark.parametrize(
    ("text", "code"),
    [("Lisinopril 10 MG Oral Tablet", "29046"), ("metformin 500 mg", "6809"), ("Percocet", None), ("lisinopril / unknownol 10 MG", None),
     ("Tylenol PM", None), ("168 HR lisinopril 0.1 MG/HR / unknownol 0.2 MG/HR Patch", None),
     ("allergy to lisinopril", None), ("no metformin", None)],
)  # fmt: skip
def test_one_ingredient_is_a_code_several_are_candidates(text: str, code: str | None) -> None:
    found = ask("medication", text).mapping.target
    assert (found.code if found else None) == code


def test_a_code_nobody_compared_with_rxnorm_is_only_a_candidate() -> None:
    unchecked = [row for row in seed_rows("ingredients.tsv") if not verified(row[4])]
    assert unchecked
    for name, *_ in unchecked:
        found = ask("medication", f"{name} 10 mg")
        assert found.mapping.target is None and found.candidates


def test_what_a_drug_is_taken_for() -> None:
    assert drug_classes(Concept(text="Metformin 500 mg")) == ("antidiabetic_biguanide",)
    assert drug_classes(Concept(codings=(Coding(system=RXNORM, code="6809"),))) == ("antidiabetic_biguanide",)
    assert drug_classes(Concept(text="Janumet")) == ("antidiabetic_dpp4", "antidiabetic_biguanide")
    assert drug_classes(Concept(text="xyz")) == ()


@pytest.mark.parametrize(
    ("sent", "eleven"),
    [("0002-8215-01", "00002821501"), ("50580-449-35", "50580044935"), ("55513-2071-3", "55513207103"), ("00002821501", "00002821501"),
     ("00002-8215-01", "00002821501"), (" 0002-8215-01 ", "00002821501"), ("0002821501", ""), ("000002821501", "00002821501"),
     ("0002-821-01", ""), ("12345-1234-1", "12345123401"), ("2669", ""), ("abc", ""), ("", "")],
)  # fmt: skip
def test_ndc_in_all_layouts(sent: str, eleven: str) -> None:
    assert ndc11(sent) == eleven


def test_ten_digits_without_hyphens_may_be_three_codes() -> None:
    assert ndc11_choices("1234567890") == ("01234567890", "12345067890", "12345678900")
    assert ndc11_choices("0002-8215-01") == ("00002821501",)
    assert ndc9("0002-8215") == "000028215" == ndc9("0002-8215-01")


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.from_regex(r"[0-9]{4}-[0-9]{4}-[0-9]{2}|[0-9]{5}-[0-9]{3}-[0-9]{2}|[0-9]{5}-[0-9]{4}-[0-9]", fullmatch=True))
def test_a_hyphenated_ndc_is_one_of_what_its_digits_may_be(code: str) -> None:
    assert len(ndc11(code)) == 11 and ndc11(code) in ndc11_choices(code.replace("-", ""))
    assert ndc11(ndc11(code)) == ndc11(code)


@pytest.mark.parametrize(
    ("text", "cvx"),
    [("Flu shot", "88"), ("Tdap vaccine", "115"), ("Shingrix", "187"), ("Prevnar 20", "216"), ("MMR", "03"), ("COVID-19", "213"),
     ("hepatitis B, unspecified formulation", "45")],
)  # fmt: skip
def test_vaccines_by_name(text: str, cvx: str) -> None:
    assert [c.target.code for c in match(text)] == [cvx]
    assert match("declined " + text) == ()


def test_cvx_codes_and_groups() -> None:
    assert cvx_of("8") == "08" == cvx_of("008") and cvx_of("140") == "140"
    assert groups_of("110") == ("DTAP", "HepB", "POLIO") and groups_of("9999") == ()


@pytest.mark.parametrize(
    ("text", "group"),
    [("PCN", "penicillins"), ("Allergy to penicillin", "penicillins"), ("Amoxicillin", "penicillins"), ("Sulfa drugs", "sulfonamides"),
     ("Bactrim", "sulfonamides"), ("Ibuprofen", "nsaids"), ("latex", "latex"), ("Peanuts", "peanut"), ("codeine", "opioids"),
     ("Keflex", "cephalosporins"), ("shrimp allergy", "shellfish"), ("life", "")],
)  # fmt: skip
def test_substance_classes(text: str, group: str) -> None:
    assert class_in(text) == group == class_of(Concept(text=text))


def test_translation_says_the_map() -> None:
    mapping, candidates = translate(Coding(system=ICD9CM, code="250.00"))
    assert (mapping.method, mapping.target.code, mapping.confidence) == ("map_table", "E11.9", 0.85) and not candidates
    mapping, candidates = translate(Coding(system=ICD9CM, code="493.90"))
    assert mapping.target is None and len(candidates) == 2 and all(c.score < ACCEPT for c in candidates)


_CODINGS = st.builds(
    Coding,
    system=st.sampled_from([LOINC, SNOMED, ICD10CM, ICD9CM, RXNORM, NDC, CVX, "loc", ""]),
    code=st.one_of(st.sampled_from(["E11.9", "I10", "4548-4", "29046", "140", "250.00"]), st.text(max_size=8)),
    display=st.sampled_from(["", "Asthma", "lisinopril", "MMR", "x"]),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    domain=st.sampled_from(sorted(PREFERRED)),
    codings=st.lists(_CODINGS, max_size=3),
    text=st.one_of(st.sampled_from(["Asthma", "DM", "MMR", "metformin", "Glucose"]), st.text(max_size=40)),
)
def test_whatever_is_asked_the_answer_is_honest(domain, codings, text) -> None:  # type: ignore[no-untyped-def]
    found = PLAIN.map(Ask(domain=domain, codings=tuple(codings), text=text))
    mapping = found.mapping
    assert (mapping.target is None) == (mapping.method == "unmapped") == (mapping.confidence == 0)
    if mapping.method == "standard":
        assert mapping.source in codings and mapping.target.system == mapping.source.system
    if mapping.method == "text_match":
        assert mapping.confidence >= ACCEPT and not found.candidates

"""How people write vaccines, allergies and problems, and what may not be read out of it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.terminology.allergens import class_in
from models.terminology.clinical import asserts_none
from models.terminology.conditions import by_wording
from models.terminology.mapper import Ask, Terminology
from models.terminology.seeds import seed_rows
from models.terminology.vaccines import groups_of, match, vaccines

PLAIN = Terminology()


def target(domain: str, text: str) -> str | None:
    found = PLAIN.map(Ask(domain=domain, text=text)).mapping.target  # type: ignore[arg-type]
    return found.code if found else None


@pytest.mark.parametrize(
    ("text", "cvx", "score"),
    [("Fluzone Quad", "88", 0.88), ("Fluzone Quadrivalent PF 2019-2020", "150", 0.93), ("Tdap (Adacel)", "115", 0.93), ("Tdap #2", "115", 0.93),
     ("SHINGRIX 50 mcg/0.5 mL IM", "187", 0.93), ("Prevnar-20", "216", 0.93), ("PCV20", "216", 0.93), ("M-M-R II", "03", 0.93),
     ("Pfizer COVID bivalent", "300", 0.93), ("Moderna COVID-19 vaccine", "213", 0.88), ("COVID-19 (Pfizer) booster", "213", 0.88),
     ("seasonal flu shot", "88", 0.93), ("Influenza, seasonal, injectable", "141", 0.93), ("Hep B adult", "43", 0.93), ("HepB-adult", "43", 0.93),
     ("Hep B", "45", 0.93), ("Engerix-B", "45", 0.88), ("Hep A - Hep B", "104", 0.93), ("Havrix", "85", 0.88), ("Hep A", "85", 0.93),
     ("DTaP-IPV-Hib (Pentacel)", "120", 0.93), ("HPV (Gardasil 9)", "165", 0.93), ("Gardasil", "137", 0.88), ("zoster", "188", 0.93),
     ("zoster vaccine, live", "121", 0.93), ("DTaP, unspecified formulation", "107", 0.93), ("DTaP", "20", 0.93), ("Td (adult)", "139", 0.93),
     ("Beyfortus", "315", 0.88), ("Capvaxive", "327", 0.93), ("pneumonia shot", "109", 0.93)],
)  # fmt: skip
def test_a_group_is_a_group_and_a_product_a_product(text: str, cvx: str, score: float) -> None:
    (found,) = match(text)
    assert (found.target.code, found.score) == (cvx, score)


@pytest.mark.parametrize(
    "text",
    ["declined flu shot", "no flu shot", "flu shot refused", "history of MMR", "MMR titer", "hepatitis b surface antibody", "hepatitis",
     "TB skin test", "allergic to influenza vaccine", "Tdap (Shingrix)", "Pfizer COVID bivalent or Moderna", "flu-like illness", "x" * 300],
)  # fmt: skip
def test_what_names_no_vaccine(text: str) -> None:
    assert match(text) == ()


def test_each_word_of_the_seed_finds_its_own_vaccine_and_no_other() -> None:
    wrong = [
        (word, cvx)
        for cvx, _, _, words, _ in seed_rows("vaccines.tsv")
        for word in words.split(";")
        if word and [c.target.code for c in match(word.removeprefix("~"))] != [cvx]
    ]
    assert not wrong
    assert all(groups_of(cvx) and v.name for cvx, v in vaccines().items())


@pytest.mark.parametrize(
    ("text", "code"),
    [("penicillin allergy", "373270004"), ("PCN", "373270004"), ("PCN (hives)", "373270004"), ("allergic to sulfa", "387406002"),
     ("shellfish", "735029006"), ("Latex allergy", "111088007"), ("bee stings", "288328004"), ("anaphylaxis to peanuts", "762952008"),
     ("Amoxicillin - rash", "723"), ("NKDA", "409137002"), ("No known drug allergies", "409137002"), ("NKA", "716186003"),
     ("No Known Drug Allergies (NKDA)", "409137002"), ("denies allergies", "716186003"), ("no known allergies to medications", "409137002"),
     ("no known food allergies", "429625007"), ("no known latex allergy", "716184000")],
)  # fmt: skip
def test_allergies_in_words(text: str, code: str) -> None:
    assert target("allergen", text) == code
    assert asserts_none("allergies", [], text) == (text[:2].upper() in ("NK", "NO", "DE"))


@pytest.mark.parametrize(
    "text", ["no penicillin allergy", "not allergic to penicillin", "denies penicillin allergy", "latex allergy denied", "drug allergy",
             "allergies", "family history of peanut allergy", "rule out latex allergy"],
)  # fmt: skip
def test_what_is_no_allergy_and_no_negative_either(text: str) -> None:
    assert target("allergen", text) is None and not asserts_none("allergies", [], text)
    assert class_in(text) == ""


@pytest.mark.parametrize(
    ("words", "code"),
    [("DM type 2", "E11.9"), ("Type II DM", "E11.9"), ("CKD 3a", "N18.31"), ("CKD stage 3a", "N18.31"), ("CKD3b", "N18.32"), ("CKD IV", "N18.4"),
     ("A-fib", "I48.91"), ("atrial fib", "I48.91"), ("hx of MI", "I25.2"), ("h/o CVA", "Z86.73"), ("History of breast cancer", "Z85.3"),
     ("former smoker", "Z87.891"), ("Hypertension (CMS/HCC)", "I10"), ("COPD (chronic obstructive pulmonary disease) (HCC)", "J44.9"),
     ("Essential hypertension [I10]", "I10"), ("I10 - Essential hypertension", "I10"), ("Hypertension, unspecified type", "I10"),
     ("HTN - controlled", "I10"), ("T2DM w/ neuropathy", "E11.40"), ("HTN (hypertension)", "I10"), ("family history of diabetes", "Z83.3")],
)  # fmt: skip
def test_problems_as_clinicians_write_them(words: str, code: str) -> None:
    assert [w.code for w in by_wording(words)] == [code]


@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    before=st.sampled_from(["no ", "denies ", "negative for ", "ruled out ", "? ", "possible ", "h/o ", "history of ", "family history of ",
                            "mother has ", "at risk for ", "screening for ", "r/o ", "never had "]),
    name=st.sampled_from(["diabetes mellitus type 2", "asthma", "HTN", "COPD", "CHF", "CKD stage 3a", "GERD", "AFib", "gout", "depression"]),
    mark=st.sampled_from(["", " (HCC)", ", unspecified type", " - controlled"]),
)  # fmt: skip
def test_what_is_denied_asked_or_of_others_is_never_the_condition(before: str, name: str, mark: str) -> None:
    named = {w.code[:3] for w in by_wording(name)}
    assert named and not named & {w.code[:3] for w in by_wording(before + name + mark)}


def test_both_parts_must_name_the_same() -> None:
    assert by_wording("Asthma (gout)") == () == by_wording("HTN (see note)")

"""The codes of the seeds: digits, where each was compared, and facts that were once wrong."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from models.terminology.categories import category_ids, codes_of, of_icd10cm
from models.terminology.conditions import icd10cm_names
from models.terminology.labs import match
from models.terminology.labs.anchors import by_code
from models.terminology.medications import ingredients
from models.terminology.seeds import seed_path, seed_rows, verified
from models.terminology.vaccines import match as vaccine

KEYS = re.compile(r"\| `([a-z0-9-]+)` \|")
"""How the README of the seeds begins the row of a source."""


def rows(name: str, column: int) -> list[tuple[str, str]]:
    return [(row[0], row[column]) for row in seed_rows(name)]


SEEDS = {"lab-anchors.tsv": 12, "ingredients.tsv": 4, "vaccines.tsv": 4, "snomed-icd10cm.tsv": 4}


_D5 = ("0123456789", "1234067895", "2340178956", "3401289567", "4012395678", "5987604321", "6598710432", "7659821043", "8765932104", "9876543210")  # fmt: skip
_TURN = "1576283094"


def verhoeff(digits: str) -> bool:
    check, turned = 0, list(range(10))
    for digit in reversed(digits):
        check = int(_D5[check][turned[int(digit)]])
        turned = [turned[int(n)] for n in _TURN]
    return check == 0


def test_the_check_digit_of_every_snomed_identifier() -> None:
    assert verhoeff("73211009") and not verhoeff("73211008")
    assert not [code for code, _ in rows("snomed-icd10cm.tsv", SEEDS["snomed-icd10cm.tsv"]) if not verhoeff(code)]


@pytest.mark.parametrize("name", SEEDS)
def test_every_row_says_where_its_code_was_compared(name: str) -> None:
    known = set(KEYS.findall(seed_path("README.md").read_text(encoding="utf-8")))
    said = Counter(check.removeprefix("public:") for _, check in rows(name, SEEDS[name]))
    assert set(said) <= known
    assert said["unverified"] <= {"lab-anchors.tsv": 1, "ingredients.tsv": 3}.get(name, 0)


def test_a_test_whose_code_nobody_compared_is_only_a_candidate() -> None:
    unverified = {term.code: term for term in by_code().values() if not verified(term.check)}
    assert unverified
    for code, term in unverified.items():
        found = match(term.names[0], unit=term.unit)
        assert code in {c.target.code for c in found if c.target}
        assert len(found) > 1


def test_no_two_rows_share_a_code() -> None:
    for name in SEEDS:
        if name != "snomed-icd10cm.tsv":
            codes = [code for code, _ in rows(name, SEEDS[name])]
            assert len(codes) == len(set(codes)), name


def test_every_category_pattern_holds_existing_codes_and_its_ends_exist() -> None:
    codes = sorted(code.replace(".", "") for code in icd10cm_names())
    for id in category_ids():
        for low, high in codes_of(id):
            assert [c for c in codes if low <= c[: len(low)] and c[: len(high)] <= high], (id, low, high)
            for end in (low, high):
                assert any(c.startswith(end) for c in codes), (id, end)


@pytest.mark.parametrize(
    ("code", "category"),
    [
        ("E66.3", "obesity"),  # overweight
        ("H40.003", "glaucoma"),  # suspect
        ("D57.3", "anemia"),  # sickle-cell trait
        ("R73.9", "prediabetes"),  # hyperglycemia, once, of whatever cause
        ("G45.4", "stroke_tia"),  # transient global amnesia
        ("I80.01", "venous_thromboembolism"),  # superficial vein
        ("I13.2", "esrd"),  # stage 5 or end stage
    ],
)
def test_what_a_category_does_not_hold(code: str, category: str) -> None:
    assert category in category_ids()
    assert category not in of_icd10cm(code)


@pytest.mark.parametrize(
    ("code", "category"), [("E66.9", "obesity"), ("H40.1131", "glaucoma"), ("R73.03", "prediabetes"), ("N18.6", "esrd")]
)
def test_what_a_category_holds(code: str, category: str) -> None:
    assert category in of_icd10cm(code)


@pytest.mark.parametrize(
    ("words", "cvx"),
    [
        ("FluMist", "151"),
        ("Flublok", "88"),
        ("Spikevax", "213"),
        ("Comirnaty", "213"),
        ("tetanus toxoid", "112"),
        ("anthrax", "319"),
    ],
)
def test_a_wording_gets_no_more_than_it_says(words: str, cvx: str) -> None:
    found = vaccine(words)
    assert found and found[0].target
    assert found[0].target.code == cvx


@pytest.mark.parametrize(
    ("name", "rxcui"),
    [("levocetirizine", "356887"), ("tenofovir disoproxil", "300195"), ("isosorbide mononitrate", "28004")],
)
def test_ingredients_that_had_the_code_of_another(name: str, rxcui: str) -> None:
    assert {i.rxcui for i in ingredients().values() if i.name == name} == {rxcui}


@pytest.mark.parametrize(("code", "component"), [("2283-0", "folate rbc"), ("71773-6", "tuberculosis")])
def test_tests_that_had_the_code_of_another(code: str, component: str) -> None:
    assert component in by_code()[code].component

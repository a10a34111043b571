"""What ICD-10-CM says of a code: complete, category, retired, unknown; by the seeds and by imported releases of several years."""

from __future__ import annotations

from pathlib import Path

import pytest
import release_kit as kit
from hypothesis import given, settings
from hypothesis import strategies as st

from models.record import Coding, Concept
from models.terminology import vocabulary
from models.terminology.categories import categories_of, of_icd10cm
from models.terminology.mapper import Ask, Terminology
from models.terminology.releases.shelf import Shelf
from models.terminology.seeds import seed_rows
from models.terminology.standing import nearest, standing
from models.terminology.systems import ICD9CM, ICD10, ICD10CM, LOINC, SNOMED
from models.terminology.vocabulary import Vocabulary


def kind(code: str, date: str = "", system: str = ICD10CM) -> str:
    found = standing(Coding(system=system, code=code), date)
    return found.kind if found else ""


@pytest.mark.parametrize(
    ("code", "said"),
    [("E11.9", "complete"), ("E119", "complete"), ("e11.9", "complete"), ("I10", "complete"), ("B20", "complete"), ("I1A.0", "complete"),
     ("C4A.9", "complete"), ("S72.001A", "complete"), ("S72001A", "complete"), ("W19.XXXA", "complete"), ("E11.3211", "complete"),
     ("E11", "category"), ("I50.2", "category"), ("S72.001", "category"), ("W19", "category"),
     ("M51.07", "retired"), ("A04.7", "retired"), ("C43.11", "retired"),
     ("E11.99", "unknown"), ("E11.9XXA", "unknown"), ("S72.001Q1", "none"), ("S72.001W", "unknown"), ("I10.9", "unknown"),
     ("ZZZ.1", "none"), ("250.00", "none"), ("asthma", "none"), ("E1", "none"), ("QZ0.1", "none"), ("QA0.0101", "complete"), ("QA0", "category")],
)  # fmt: skip
def test_by_the_seeds(code: str, said: str) -> None:
    assert kind(code) == said


def test_a_code_of_2018_was_right_in_2018() -> None:
    assert [kind("M51.07", date) for date in ("2017-05-01", "2018-09-30", "2019-01-01", "")] == [
        "complete", "complete", "retired", "retired"
    ]  # fmt: skip
    assert all(kind(row[0], "2018-01") == "complete" for row in seed_rows("icd10cm-retired.tsv.gz"))


def test_the_edition_of_who_is_another_system() -> None:
    assert kind("I64", system=ICD10) == "" == kind("E14.9", system=ICD10)
    answer = Terminology().map(Ask(domain="condition", codings=(Coding(system=ICD10, code="I64"),)))
    assert (answer.mapping.confidence, answer.flags) == (1.0, ()) and answer.mapping.target.system == ICD10
    assert kind("I64") == "none", "which ICD-10-CM does not have"


@pytest.mark.parametrize(
    ("code", "text", "method", "target", "confidence", "flags"),
    [("E119", "", "standard", "E11.9", 1.0, ()),
     ("E11.99", "", "standard", "E11.99", 0.6, ("unknown_code",)),
     ("E11.99", "Asthma", "standard", "E11.99", 0.6, ("unknown_code",)),
     ("ZZ9.1", "Hypertension", "text_match", "I10", 0.93, ("unknown_code",)),
     ("ZZ9.1", "what is it", "unmapped", None, 0.0, ("unknown_code",)),
     ("E11", "", "standard", "E11", 1.0, ("incomplete_code",)),
     ("A04.7", "", "standard", "A04.7", 1.0, ("retired_code",)),
     ("E11.9", "Hypertension", "standard", "E11.9", 0.5, ("code_text_mismatch",)),
     ("E119", "Hypertension", "standard", "E11.9", 0.5, ("code_text_mismatch",))],
)  # fmt: skip
def test_the_mapper_says_what_a_code_is(
    code: str, text: str, method: str, target: str | None, confidence: float, flags: tuple[str, ...]
) -> None:
    answer = Terminology().map(Ask(domain="condition", codings=(Coding(system=ICD10CM, code=code),), text=text))
    mapping = answer.mapping
    assert (mapping.method, mapping.target.code if mapping.target else None) == (method, target)
    assert (mapping.confidence, answer.flags) == (pytest.approx(confidence, abs=0.03), flags)
    assert mapping.source is None or mapping.source.code == code, "the original stays as sent"


def test_the_nearest_known_category_is_a_candidate() -> None:
    answer = Terminology().map(Ask(domain="condition", codings=(Coding(system=ICD10CM, code="E11.99"),)))
    assert [c.target.code for c in answer.candidates] == ["E11.9"] and nearest("ZZZ.1") == ""


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.from_regex(r"[A-Z][0-9A-Z]{2}(\.[0-9A-Z]{1,4})?", fullmatch=True))
def test_a_letter_anywhere_is_no_error_and_no_category_by_accident(code: str) -> None:
    assert kind(code) in ("complete", "category", "retired", "unknown", "none")
    answer = Terminology().map(Ask(domain="condition", codings=(Coding(system=ICD10CM, code=code),)))
    assert (answer.mapping.confidence == 1.0) == (kind(code) in ("complete", "category", "retired"))
    assert of_icd10cm(code) == of_icd10cm(code.replace(".", ""))


def order(folder: Path, year: int, lines: str) -> Path:
    return kit.write(folder / f"icd10cm-order-{year}.txt", lines)


@pytest.fixture
def two_years(tmp_path: Path) -> Vocabulary:
    """2026 has X1A.0 and E11.9; 2027 divides E11.9, drops X1A.0 and brings EA1.0."""
    line = kit.order_line
    old = (
        line(1, "E11", 0, "Diabetes", "Diabetes")
        + line(2, "E119", 1, "Plain", "Plain")
        + line(3, "X1A0", 1, "Old", "Old")
    )
    new = line(1, "E11", 0, "Diabetes", "Diabetes") + line(2, "E119", 0, "Plain", "Plain")
    new += line(3, "E1190", 1, "Plain 0", "Plain 0") + line(4, "EA10", 1, "New", "New")
    shelf = Shelf(tmp_path / "shelf")
    for year, text in ((2026, old), (2027, new)):
        for version in shelf.take([order(tmp_path, year, text)]):
            shelf.put_in_force(version)
    found = Vocabulary.at(tmp_path / "shelf")
    assert found is not None
    vocabulary.use(found)
    return found


@pytest.mark.usefixtures("two_years")
def test_the_release_in_force_on_the_day_decides() -> None:
    before, after = "2026-03-01", "2026-11-01"
    assert [kind("E11.9", d) for d in (before, after)] == ["complete", "category"]
    assert [kind("EA1.0", d) for d in (before, after)] == ["unknown", "complete"]
    assert [kind("X1A.0", d) for d in (before, after)] == ["complete", "retired"]
    gone = standing(Coding(system=ICD10CM, code="X1A0"), after)
    assert gone is not None and gone.detail == "X1A.0 is in icd-10-cm@2026 (from 2025-10-01), and not in icd-10-cm@2027"
    early = standing(Coding(system=ICD10CM, code="EA1.0"), before)
    assert early is not None and "in force from 2026-10-01" in early.detail


def test_a_retired_code_of_another_system_is_flagged(tmp_path: Path) -> None:
    ask = Ask(domain="observation", codings=(Coding(system=LOINC, code="35184-1"),))
    assert Terminology().map(ask).flags == ()
    shelf = Shelf(tmp_path / "shelf")
    for version in shelf.take([kit.new_loinc(tmp_path)], effective="2025-08-12"):
        shelf.put_in_force(version)
    vocabulary.use(Vocabulary.at(tmp_path / "shelf"))
    answer = Terminology().map(ask)
    assert answer.flags == ("retired_code",) and answer.mapping.confidence == 1.0
    assert [c.target.code for c in answer.candidates] == ["1558-6"], "and what to use instead is a candidate"


def test_imported_releases_give_the_categories(tmp_path: Path) -> None:
    def groups(system: str, code: str) -> dict[str, str]:
        return {g.code: g.how for g in categories_of(Concept(codings=(Coding(system=system, code=code),)))}

    assert "CIR007" in groups(ICD10CM, "I10") and groups(SNOMED, "300000001") == {}
    shelf = Shelf(tmp_path / "shelf")
    gem = kit.write(tmp_path / "2018_I9gem.txt", "4019  E119    10000\n")
    ccsr = kit.write(tmp_path / "DXCCSR_v2027-1.csv", kit.CCSR_OTHER)
    for file in (ccsr, gem, kit.snomed(tmp_path)):
        for version in shelf.take([file]):
            shelf.put_in_force(version)
    vocabulary.use(Vocabulary.at(tmp_path / "shelf"))
    assert "CIR099" in groups(ICD10CM, "I10") and "CIR007" not in groups(ICD10CM, "I10")
    assert "CIR007" in groups(ICD10CM, "I11.9") or groups(ICD10CM, "I11.9"), "what it lacks the seed answers"
    assert "diabetes" in groups(ICD9CM, "401.9"), "the imported map, not the shipped one"
    assert "hypertension" in groups(SNOMED, "59621000")
    assert "map to ICD-10-CM" in groups(SNOMED, "59621000")["hypertension"]

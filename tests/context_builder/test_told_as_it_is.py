"""Facts that are easy to tell wrongly: a negative that no longer stands, a dose in codes, a status nobody knows, a future date."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from clinic import chart, concept, entry, lab, note, person, quantity

from context_builder import ContextDocument, ContextRequest, build_context, summarize
from context_builder.document import Statement
from context_builder.verify import verify
from models.record import Allergy, AnyEntry, Coding, Concept, Dosage, Flag, Medication, Problem

SNOMED = "http://snomed.info/sct"


def told(*entries: AnyEntry, as_of: str | None = None) -> ContextDocument:
    return build_context(chart([person(), *entries]), ContextRequest(as_of=as_of))


def negative(code: str, activity: str = "active") -> Allergy:
    what = Concept(codings=(Coding(system=SNOMED, code=code),))
    return entry(Allergy, "nka", what, activity=activity, none_asserted=True)


def shown(document: ContextDocument, text: str, key: str) -> bool:
    return bool(verify([Statement(text=text, cites=(key,))], document).shown)


@pytest.mark.parametrize(
    ("code", "words"),
    [("716186003", "No known allergies"), ("409137002", "No known drug allergies"), ("429625007", "No known food allergies")],
)  # fmt: skip
def test_a_negative_that_came_as_a_bare_code_is_worded_and_denies_no_more_than_the_code(code: str, words: str) -> None:
    document = told(negative(code))
    assert f"[A1] {words} (asserted by north" in document.text and code not in document.text


def test_a_negative_that_is_over_denies_nothing_any_more() -> None:
    stands, over = told(negative("716186003")), told(negative("716186003", "historical"))
    assert shown(stands, "No known allergies.", "A1")
    assert "no longer stated" in over.text and "no longer stated" in summarize(over).text
    assert not over.facts[-1].negated
    assert not shown(over, "No known allergies.", "A1")


def drug(*dosages: Dosage) -> str:
    """The printed line of a drug with these instructions."""
    document = told(entry(Medication, "m", "drug", status="active", activity="active", dosages=dosages))
    return next(line for line in document.text.splitlines() if "[M1]" in line)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("with food", "2 tablets, twice a day; with food"),
        ("as directed", "2 tablets, twice a day; as directed"),
        ("5 tablets twice a day", "2 tablets; 5 tablets twice a day"),
        ("Take 2 tablets twice a day", "drug; Take 2 tablets twice a day"),
        ("Take two tablets twice a day", "drug; Take two tablets twice a day"),
    ],
)
def test_a_coded_dose_is_told_where_the_words_leave_it_out(text: str, line: str) -> None:
    assert line in drug(Dosage(text=text, dose=quantity("2", "tablets"), frequency="twice a day"))


def test_a_status_nobody_knows_stands_by_the_value() -> None:
    results = [
        lab(s or "none", f"Test {s or 'none'}", "", "7", "2026-06-01", status=s)
        for s in ("final", "unknown", "on-the-way", "preliminary")
    ]
    document = told(*results)
    said = {f.display: f.text for f in document.facts}
    assert said["Test final"] == "7" and said["Test preliminary"] == "7 preliminary"
    assert said["Test unknown"] == "7 unknown status" and said["Test on-the-way"] == "7 on-the-way"


def test_a_document_that_was_entered_in_error_is_not_shown() -> None:
    taken_back = note(
        "n", "Discharge letter", "Has HIV.", "2026-05-02", status="current", doc_status="entered-in-error"
    )
    document = told(taken_back)
    assert "Discharge" not in document.text and [o.reason for o in document.omitted] == ["entered_in_error"]


def test_a_slip_of_the_pen_in_a_date_hides_no_allergy_problem_or_drug_of_today() -> None:
    entries = [
        entry(Allergy, "a", "Penicillin", activity="active", recorded="2062-01-01"),
        entry(Problem, "p", "Asthma", activity="active", onset="2062-01-01"),
        entry(Medication, "m", "metformin", status="active", activity="active", authored="2062-01-01"),
    ]
    now, then = told(*entries), told(*entries, as_of="2026-01-01")
    assert all(word in now.text for word in ("Penicillin", "Asthma", "metformin"))
    assert {"A1", "P1", "M1"} <= set(now.must_include)
    assert [o.detail for o in then.omitted] == ["after as_of"] * 3, "of a day in the past only what was known then"


@pytest.mark.parametrize(
    ("name", "claim"),
    [("Not diabetic", "The patient is diabetic."), ("No diabetes", "Diabetes."), ("Denies chest pain", "Chest pain.")],
)
def test_a_name_that_denies_is_no_word_for_what_it_denies(name: str, claim: str) -> None:
    document = told(entry(Problem, "p", concept(name), activity="active"))
    assert shown(document, f"{name}.", "P1")
    assert not shown(document, claim, "P1")


def test_morning_is_not_evening_and_both_are_once_a_day() -> None:
    pill = entry(
        Medication, "m", "levothyroxine", status="active", activity="active",
        dosages=(Dosage(text="Take 1 tablet every morning"),),
    )  # fmt: skip
    document = told(pill)
    assert shown(document, "Levothyroxine 1 tablet every morning.", "M1")
    assert shown(document, "Levothyroxine 1 tablet once daily.", "M1")
    assert not shown(document, "Levothyroxine 1 tablet every evening.", "M1")


def test_has_had_is_true_of_what_lasts_and_of_what_is_over_but_since_when_only_of_what_lasts() -> None:
    document = told(
        entry(Problem, "p", "Asthma", activity="active", onset="2001"),
        entry(Problem, "q", "Gout", activity="historical", onset="2010", abatement="2018"),
    )
    key = {f.display: f.key for f in document.facts}
    assert shown(document, "She has had asthma since 2001.", key["Asthma"])
    assert shown(document, "She has had gout.", key["Gout"])
    assert not shown(document, "She has had gout since 2010.", key["Gout"])
    assert not shown(document, "She had asthma.", key["Asthma"])


def test_a_result_of_unknown_status_is_not_told_as_if_it_were_final() -> None:
    document = told(lab("f", "Ferritin", "", "7", "2026-06-01", "ng/mL", status="unknown"))
    assert not shown(document, "Ferritin 7 ng/mL.", document.facts[-1].key)
    said = [s for s in summarize(document).statements if "Ferritin" in s.text]
    assert [s.text for s in said] == ["Ferritin 7 ng/mL (unknown status) on 2026-06-01."]
    assert verify([Statement(text=s.text, cites=s.cites, kind=s.kind) for s in said], document).shown


def test_a_drug_against_a_recorded_allergy_says_so_in_its_line_and_in_the_summary() -> None:
    flag = Flag(code="allergy_conflict", detail="an allergy to its class is recorded", related=("a",))
    penicillin = entry(Allergy, "a1", "Penicillin", activity="active")
    document = told(penicillin, entry(Medication, "m1", "amoxicillin 500 mg", activity="active", flags=(flag,)))
    assert "[M1] amoxicillin 500 mg; see recorded allergy" in document.text
    (fact,) = (f for f in document.facts if f.key == "M1")
    assert fact.flags == ("allergy_conflict",) and shown(document, fact.text, "M1")
    assert "see recorded allergy" in summarize(document, chart=chart([person()])).text
    other = told(penicillin, entry(Medication, "m1", "lisinopril 10 mg", activity="active"))
    assert "see recorded allergy" not in other.text

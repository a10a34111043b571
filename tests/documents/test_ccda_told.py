"""What a document says of a section without entries reaches every reader in the document's own words of not knowing."""

from __future__ import annotations

from typing import get_args

import pytest
from documents_kit import (
    ALLERGIES,
    MEDICATIONS,
    NOW,
    PLAN,
    PROBLEMS,
    VITALS,
    coded,
    document,
    problem,
    read,
    related,
    section,
    statement,
)

from adapters.normalizer import Normalized, assemble, coverage_from_entries
from context_builder import summarize
from context_builder.build import build_context
from context_builder.document import ContextRequest, Purpose
from models.record import Chart, Coverage

ASTHMA = coded("value", "195967001", "Asthma", kind="CD")
NONE_KNOWN = statement(
    "act", "30", related(statement("observation", "7", coded("value", "419199007", kind="CD"), 'moodCode="EVN" negationInd="true"')),
    status="active",
)  # fmt: skip
EMPTY_TABLE = (
    "<table><thead><tr><th>Date</th><th>Plan</th></tr></thead><tbody><tr><td>No Information</td></tr></tbody></table>"
)


def chart(found: Normalized) -> Chart:
    lines = coverage_from_entries(found.entries, ("s",), quarantine=found.quarantine, told=found.coverage)
    return assemble("t", "p", found.entries, lines, as_of=NOW, ledger=found.ledger)


def line(name: str, *sections: str) -> Coverage:
    return next(c for c in chart(read(document(*sections))).coverage if c.section == name)


def allergies(purpose: str = "summary", budget: int = 2000, *sections: str) -> str:
    """What a context says under its heading of allergies."""
    text = build_context(
        chart(read(document(*sections))),
        ContextRequest(purpose=purpose, budget_tokens=budget, question="Any allergies?"),
    ).text
    return text.partition("## Allergies\n")[2].partition("\n##")[0].strip()


WAYS = {
    "text": (section(ALLERGIES, text="Allergic to bees"), "Unknown: written as text only; see section allergies 48765-2 of the document (s)"),
    "NI": (section(ALLERGIES, text="No information", more='nullFlavor="NI"'), "Unknown: the document says: no information (s)"),
    "NASK": (section(ALLERGIES, more='nullFlavor="NASK"'), "Unknown: the document says: not asked (s)"),
    "ASKU": (section(ALLERGIES, more='nullFlavor="ASKU"'), "Unknown: the document says: asked but unknown (s)"),
    "absent": ("", "Unknown: not asked (s)"),
}  # fmt: skip


@pytest.mark.parametrize("purpose", get_args(Purpose))
def test_every_purpose_tells_the_ways_of_not_knowing_apart(purpose: str) -> None:
    for sections, said in WAYS.values():
        assert said in allergies(purpose, 2000, *([sections] if sections else []))
    assert "No known allergies" in allergies(purpose, 2000, section(ALLERGIES, NONE_KNOWN))


def test_with_little_room_the_place_goes_and_the_words_stay() -> None:
    text = section(ALLERGIES, text="Allergic to bees")
    said = {b: allergies("summary", b, text) for b in (170, 190, 220, 2000)}
    assert all("written as text only" in words and "not received" not in words for words in said.values())
    assert "see section" in said[2000] and "see section" not in said[170]


def test_the_summary_says_it_too() -> None:
    sections = [s for s in (WAYS["text"][0], section(MEDICATIONS, more='nullFlavor="NI"')) if s]
    found = chart(read(document(*sections, section(VITALS, more='nullFlavor="NASK"'))))
    doc = build_context(found, ContextRequest(purpose="summary", budget_tokens=2000))
    summary = summarize(doc, chart=found)
    assert not summary.withheld
    assert "Allergies unknown: written as text only (s)" in summary.text
    assert "Medications unknown: the document says: no information (s)" in summary.text
    assert "vitals (not asked)" in doc.text and "no entry is marked current" not in summary.text


@pytest.mark.parametrize(
    ("sections", "state", "told"),
    [
        ([section(PLAN, text=EMPTY_TABLE)], "not_queried", "no information"),
        ([section(PLAN, text="No Information. Call on Monday.")], "present", "written as text only"),
        ([section(PLAN, text="None")], "present", "written as text only"),
        ([section(PLAN, text="Call on Monday"), section(PLAN, more='nullFlavor="NI"')], "present", "written as text only"),
    ],
)  # fmt: skip
def test_words_that_only_say_that_there_are_none(sections: list[str], state: str, told: str) -> None:
    found = line("care_plans", *sections)
    assert (found.state, found.told) == (state, told)


def test_entries_that_nobody_can_read_leave_the_section_to_its_words() -> None:
    odd = statement("act", "", coded("code", "1", "Something else"))
    assert line("problems", section(PROBLEMS, odd, "Gout")).told == "written as text only"
    assert line("problems", section(PROBLEMS, problem(ASTHMA), "Asthma")).told == ""


def test_a_statement_without_information_is_the_section_without_information() -> None:
    nothing = statement("act", "3", related(statement("observation", "4", ASTHMA, 'moodCode="EVN" nullFlavor="NI"')))
    found = line("problems", section(PROBLEMS, nothing, "Nothing to report"))
    assert (found.state, found.told) == ("not_queried", "no information")
    assert line("problems", section(PROBLEMS, nothing), section(PROBLEMS, problem(ASTHMA))).told == ""

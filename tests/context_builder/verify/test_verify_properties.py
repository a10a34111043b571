"""What holds for every statement and every document."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from verify_kit import FACTS, codes, document

from context_builder.document import Statement
from context_builder.verify import verify

some = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
DOC = document()
KEYS = [f.key for f in FACTS]
WORDS = [
    *sorted({w for f in FACTS for w in f"{f.display} {f.detail} {f.value} {f.unit}".split()}),
    "no", "not", "is", "was", "takes", "stopped", "since", "and", "but", ",", ".", "rising", "high", "2026-08-03", "8.1", "[P1]", "<", "\u200b", "“", "”",
]  # fmt: skip


@some
@given(st.text(min_size=1, max_size=300), st.lists(st.sampled_from([*KEYS, "Z9"]), max_size=5))
def test_any_text_is_answered_and_nothing_is_lost(text: str, cites: list[str]) -> None:
    found = verify([Statement(text=text, cites=tuple(cites))], DOC)
    assert len(found.shown) + len(found.withheld) == 1
    assert found == verify([Statement(text=text, cites=tuple(cites))], DOC)
    for shown in found.shown:
        assert set(shown.cites) <= set(cites) and shown.cites


@settings(some, max_examples=200)
@given(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=14), st.lists(st.sampled_from(KEYS), min_size=1, max_size=4)
)
def test_numbers_and_names_that_are_shown_stand_in_a_cited_fact(words: list[str], cites: list[str]) -> None:
    found = verify([Statement(text=" ".join(words), cites=tuple(cites))], DOC)
    held = " ".join(
        f"{f.display} {f.detail} {f.value} {f.unit} {f.date}"
        for f in FACTS
        if f.key in cites or f.section == "demographics"
    ).lower()
    for shown in found.shown:
        for word in shown.text.lower().replace(",", " ").split():
            if any(c.isdigit() for c in word) or word in ("metformin", "lisinopril", "asthma", "gout", "penicillin"):
                assert word.strip(".%;“”") in held


@pytest.mark.parametrize(
    "text",
    ["a " * 299, "1/" * 299, "(" * 299, "no " * 199, "1,000" * 100, "2026-" * 110, "mg/" * 190, "and, " * 110, "“" * 599, "a." * 280, "<" * 599, "-1" * 290, "\u0301" * 599],
    ids=range(13),
)  # fmt: skip
def test_work_does_not_explode_with_hostile_text(text: str) -> None:
    """Two hundred of each: a rule that is not linear would hold up the suite for minutes."""
    found = verify([Statement(text=text, cites=tuple(KEYS))] * 200, DOC)
    assert len(found.shown) + len(found.withheld) == 200


def test_shown_citations_are_those_the_sentence_speaks_of() -> None:
    found = verify([Statement(text="Hypertension is active.", cites=("A1", "P1", "M1"))], DOC)
    assert [s.cites for s in found.shown] == [("P1",)]
    assert codes("Hypertension is active.", "A1", "M1") == {"citation_unrelated"}

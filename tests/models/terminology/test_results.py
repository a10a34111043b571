"""Results told in words."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.terminology.results import read_result


@pytest.mark.parametrize(
    ("text", "kind", "value", "comparator", "code"),
    [
        ("5.2", "number", 5.2, "", ""), ("<0.01", "number", 0.01, "<", ""), (">= 1,000", "number", 1000, ">=", ""), ("less than 5", "number", 5, "<", ""),
        ("7.2 mg/dL", "number", 7.2, "", "mg/dL"), ("12 %", "number", 12, "", "%"), ("-2.1", "number", -2.1, "", ""), ("140 H", "number", 140, "", ""),
        (".5", "number", 0.5, "", ""), ("≤3", "number", 3, "<=", ""), ("1:80", "titer", 80, "", "{titer}"), (">=1:640", "titer", 640, ">=", "{titer}"),
    ],
)  # fmt: skip
def test_numbers_and_titers(text: str, kind: str, value: float, comparator: str, code: str) -> None:
    read = read_result(text)
    assert read is not None and (read.kind, read.value, read.comparator, read.code) == (kind, value, comparator, code)


def test_ranges_and_ratios() -> None:
    span, ratio = read_result("3-5 /HPF"), read_result("2:1")
    assert span and (span.kind, span.value, span.high, span.code) == ("range", 3, 5, "/[HPF]")
    assert ratio and (ratio.kind, ratio.value, ratio.high) == ("ratio", 2, 1)
    assert read_result("5-3") is None


@pytest.mark.parametrize(
    ("text", "grade"),
    [("POSITIVE", "positive"), ("Not Detected", "negative"), ("NON-REACTIVE", "negative"), ("1+", "1+"), ("+++", "3+"), ("TRACE", "trace"),
     ("3 plus", "3+"), ("Equivocal", "indeterminate"), ("Reactive", "positive"), ("None seen", "negative")],
)  # fmt: skip
def test_grades(text: str, grade: str) -> None:
    read = read_result(text)
    assert read is not None and (read.kind, read.grade, read.value) == ("ordinal", grade, None)


@pytest.mark.parametrize("text", ["3 days ago", "see note", "2 organisms", "12/25/2025", "2025-12-25", "1.2.3", "E. coli >100,000 CFU/mL isolated",
                                  "", "N/A", "positive for 2 of 3", "5 5", "1:80:3", "not positive", "x" * 100])  # fmt: skip
def test_what_is_not_clearly_a_result_is_not_read(text: str) -> None:
    assert read_result(text) is None


@given(st.text(max_size=70))
@settings(max_examples=200, derandomize=True, deadline=None)
def test_any_text_is_read_or_not(text: str) -> None:
    read = read_result(text)
    assert read is None or read.kind == "ordinal" or read.value is not None

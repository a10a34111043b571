"""Text out of RTF, C-CDA and packed attachments; what has none says why."""

from __future__ import annotations

import pytest
from documents_kit import PROBLEMS, document, section
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.documents.text import read_content

RTF = rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}{\*\generator Word;}\f0 Caf\'e9: \b asthma\b0\par Take 5\u181?g.}"


def test_rtf_gives_its_words_and_not_its_fonts() -> None:
    assert read_content(RTF, "application/rtf") == ("Café: asthma\nTake 5µg.", "")
    assert read_content(RTF, "")[0].startswith("Café")  # the bytes are believed


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (rb"{\rtf1{\pict\pngblip 89504e470d0a1a0a}}", "no text in the RTF (a picture?)"),
        (b"no rtf", "not RTF"),
    ],
)
def test_rtf_without_words_says_so(data: bytes, reason: str) -> None:
    assert read_content(data, "text/rtf") == ("", reason)


def test_the_text_of_a_document_has_its_titles_rows_and_cells() -> None:
    table = "<table><thead><tr><th>Drug</th><th>Dose</th></tr></thead><tbody><tr><td>Aspirin</td><td>81 mg</td></tr></tbody></table>"
    text, reason = read_content(document(section(PROBLEMS, text=table, title="Drugs")), "text/xml")
    assert not reason and [line for line in text.split("\n") if line] == ["Drugs", "Drug | Dose |", "Aspirin | 81 mg |"]


def test_xml_of_another_kind_is_not_guessed_at() -> None:
    assert read_content(b"<note>5 mg</note>", "text/xml") == ("", "XML of no kind we know")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.binary(max_size=300), st.sampled_from(["", "text/rtf", "text/xml", "text/plain", "text/html", "application/pdf"])
)
def test_no_bytes_break_the_reading(data: bytes, kind: str) -> None:
    for candidate in (data, RTF[:40] + data + RTF[40:], b"<ClinicalDocument xmlns='urn:hl7-org:v3'>" + data):
        text, reason = read_content(candidate, kind)
        assert bool(reason) or "\x00" not in text

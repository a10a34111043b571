"""Text out of RTF, C-CDA and packed attachments; what has none says why."""

from __future__ import annotations

import base64
import gzip
import io
import json

import pypdf
import pytest
from documents_kit import NOW, PROBLEMS, document, section
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf.generic import DictionaryObject, NameObject, StreamObject

from adapters.documents import text as text_module
from adapters.documents.text import read_content
from adapters.normalizer import normalize, parse_file

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


@pytest.mark.parametrize(
    ("data", "kind", "text"),
    [
        ("Café\nnoir".encode("utf-16"), "text/plain", "Café\nnoir"),
        ("Café".encode("utf-16-be"), "text/plain; charset=UTF-16BE", "Café"),
        ("Café".encode(), "text/plain; charset=iso-8859-1", "Café"),
        ("Café".encode("cp1252"), "text/plain; charset=utf-8", "Café"),
        ("Café".encode("cp1252"), "text/plain; charset=klingon", "Café"),
        ("Привет".encode("cp1251"), "text/plain; charset=windows-1251", "Привет"),
        (b"take\x00 5\x00 mg", "text/plain", "take 5 mg"),
        ('<html><head><meta charset="windows-1251"></head><body>Привет</body></html>'.encode("cp1251"), "text/html", "Привет"),
        (b"<p>5 mg</p>" * 3 + b"<script>alert(1)</script>", "text/html", "5 mg\n\n5 mg\n\n5 mg"),
        (b"<div>" * 1000 + b"bees" + b"</div>" * 1000 + b"<p>wasps</p>", "text/html", "bees\n\nwasps"),
        (gzip.compress("Café".encode("utf-16")), "text/plain", "Café"),
    ],
)  # fmt: skip
def test_text_is_read_as_its_bytes_show(data: bytes, kind: str, text: str) -> None:
    assert read_content(data, kind) == (text, "") == read_content(data, kind)


def test_html_that_a_parser_would_cut_short_is_said_to_be_unread() -> None:
    cut = b"<p>Allergic to bees</p>" + b"<div>" * 3000 + b"and to wasps" + b"</div>" * 3000
    assert read_content(cut, "text/html") == ("", "HTML nested too deeply")


def pdf(password: str, words: str = "") -> bytes:
    writer, out = pypdf.PdfWriter(), io.BytesIO()
    page = writer.add_blank_page(200, 200)
    if words:
        font = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
        names = DictionaryObject({NameObject(k): NameObject(v) for k, v in font.items()})
        fonts = DictionaryObject({NameObject("/F1"): writer._add_object(names)})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        stream = StreamObject()
        stream.set_data(f"BT /F1 12 Tf 10 10 Td ({words}) Tj ET".encode())
        page[NameObject("/Contents")] = writer._add_object(stream)
    writer.encrypt(password, owner_password="owner", algorithm="AES-256")
    writer.write(out)
    return out.getvalue()


def test_a_pdf_that_is_only_locked_against_editing_is_read_and_one_with_a_password_is_not() -> None:
    assert read_content(pdf("", "Seen for asthma"), "application/pdf") == ("Seen for asthma", "")
    assert read_content(pdf("secret", "Seen for asthma"), "application/pdf") == ("", "encrypted PDF")
    assert read_content(pdf(""), "") == ("", "scanned PDF, no text layer")


def test_pages_that_have_no_words_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    writer, out = pypdf.PdfWriter(pypdf.PdfReader(io.BytesIO(pdf("", "Seen for asthma")), password="")), io.BytesIO()
    scanned = writer.add_blank_page(200, 200)
    scanned[NameObject("/Resources")] = DictionaryObject({NameObject("/XObject"): DictionaryObject({NameObject("/I"): NameObject("/x")})})  # fmt: skip
    writer.add_blank_page(200, 200)
    writer.write(out)
    assert read_content(out.getvalue(), "") == ("Seen for asthma", "no text layer on page 2")
    monkeypatch.setattr(text_module, "MOST_PAGES", 1)
    assert read_content(out.getvalue(), "") == ("Seen for asthma", "pages after 1: 2")
    item = {"resourceType": "DocumentReference", "id": "d", "status": "current", "date": "2024", "content": [{"attachment": {"data": base64.b64encode(out.getvalue()).decode()}}]}  # fmt: skip
    resources, _ = parse_file(json.dumps(item).encode(), "f.json", tenant="t", site="s", retrieved=NOW)
    (note,) = normalize(resources).entries
    assert (
        note.text == "Seen for asthma" and note.has_flag("truncated_text") and not note.has_flag("unreadable_content")
    )


@pytest.mark.parametrize(
    ("data", "kind", "reason"),
    [
        (b"", "text/plain", "empty"),
        (b"%PDF-1.7\n%%EOF", "", "damaged PDF"),
        (pdf("", "words")[:-300], "application/pdf", "damaged PDF"),
        (b"hello", "application/pdf", "damaged PDF"),
        (gzip.compress(b"words")[:-6], "text/plain", "gzip: cut off"),
        (b"\x1f\x8b junk", "text/plain", "gzip: damaged"),
        (b"\x89PNG\r\n\x1a\n", "image/png", "no reader for image/png"),
        (b"\x00\x01\x02\x03" * 50, "", "no reader for an undeclared type"),
    ],
)
def test_what_has_no_text_says_why(data: bytes, kind: str, reason: str) -> None:
    assert read_content(data, kind) == ("", reason)

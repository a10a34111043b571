"""Attacks on the readers of documents (PROMISES S07, S08) and what is refused by which name."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from pathlib import Path

import pytest
from documents_kit import PROBLEMS, coded, document, problem, read, section

from adapters.documents import safe_xml
from adapters.documents.packed import BadGzip, gunzip
from adapters.documents.safe_xml import XmlRefused, parse_xml
from adapters.documents.text import read_content
from service.cli.main import main

ASTHMA = coded("value", "195967001", "Asthma", kind="CD")
LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>'
SECRET = "canary-of-the-file-system"


def with_prolog(prolog: str, body: str = "") -> bytes:
    text = document(section(PROBLEMS, problem(ASTHMA), body)).decode()
    declaration, rest = text.split("?>", 1)
    return f"{declaration}?>{prolog}{rest}".encode()


@pytest.mark.parametrize(
    "data",
    [
        with_prolog(LAUGHS, "&c;"),
        with_prolog('<!DOCTYPE x [<!ENTITY a "' + "x" * 50_000 + '">]>', "&a;" * 2000),  # quadratic
        with_prolog("<!DOCTYPE ClinicalDocument>"),
        with_prolog('<!DOCTYPE x SYSTEM "http://127.0.0.1:9/evil.dtd">'),
        with_prolog('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>', "&e;"),
        with_prolog('<!DOCTYPE x [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]>'),
        with_prolog("<!-- a comment first --><?pi first?>\n" + LAUGHS, "&c;"),
        with_prolog(LAUGHS).decode().replace("UTF-8", "UTF-16").encode("utf-16"),
        b"\xef\xbb\xbf" + with_prolog(LAUGHS),
        b'<!DOCTYPE act [<!ENTITY e "x">]><act moodCode="EVN"><code code="&e;"/></act>',
        with_prolog(
            "", '<x:include xmlns:x="http://www.w3.org/2001/XInclude" href="file:///etc/passwd" parse="text"/>'
        ),
    ],
)
def test_what_a_stranger_may_not_ask_of_a_parser_is_refused(data: bytes) -> None:
    found = read(data)
    assert not found.entries and [r.reason for r in found.quarantine] == ["unsafe_xml"] and found.ledger.balanced
    text, reason = read_content(data, "text/xml")
    assert not text and "unsafe_xml" in reason


def test_no_file_is_opened_for_an_entity(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    data = with_prolog(f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{tmp_path}/secret">]>', "&e;")
    assert SECRET not in repr(read(data).entries) and SECRET not in read_content(data, "text/xml")[0]


def test_an_undefined_entity_is_no_silent_gap() -> None:
    assert [r.reason for r in read(with_prolog("", "take &dose; mg")).quarantine] == ["not_xml"]


@pytest.mark.parametrize("levels", [101, 300, 20_000])
def test_depth_has_an_end(levels: int) -> None:
    deep = "<content>" * levels + "</content>" * levels
    found = read(document(section(PROBLEMS, problem(ASTHMA), deep)))
    assert [r.reason for r in found.quarantine] == ["too_deep"]


def test_bytes_and_elements_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_xml, "MOST_NODES", 200)
    assert [r.reason for r in read(document(section(PROBLEMS, text="<br/>" * 300))).quarantine] == ["too_large"]
    monkeypatch.setattr(safe_xml, "MOST_BYTES", 100)
    with pytest.raises(XmlRefused, match="too_large"):
        parse_xml(document())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (document()[:-30], "not_xml"),
        (document().replace(b"</title>", b"</titel>", 1), "not_xml"),
        (b"<?xml version='1.0' encoding='klingon'?><ClinicalDocument xmlns='urn:hl7-org:v3'/>", "not_xml"),
        (b"<ClinicalDocument xmlns='urn:hl7-org:v3'>\xff\xfe</ClinicalDocument>", "not_xml"),
        (b"<html><body>Please log in</body></html>", "not_json"),
        (b"<note>hello</note>", "not_a_resource"),
    ],
)
def test_broken_files_are_put_aside_with_their_reason(data: bytes, reason: str) -> None:
    found = read(data)
    assert [r.reason for r in found.quarantine] == [reason] and not found.entries and found.ledger.balanced


def test_a_refusal_names_the_line_and_nothing_that_stood_there() -> None:
    broken = document(section(PROBLEMS, text="canary Moor")).replace(b"</title>", b"</titel>", 1)
    (row,) = read(broken).quarantine
    assert row.detail == "line 1"


def test_gzip_bombs_stop_at_the_cap() -> None:
    with pytest.raises(BadGzip, match="too_large"):
        gunzip(gzip.compress(b" " * 3_000_000), 1_000_000)
    many = gzip.compress(b" " * 600_000)
    with pytest.raises(BadGzip, match="too_large"):
        gunzip(many + many, 1_000_000)
    assert gunzip(many, 1_000_000) == b" " * 600_000
    assert read_content(gzip.compress(b" " * 30_000_000), "text/plain")[1] == "gzip: too large"
    assert read_content(gzip.compress(gzip.compress(b"x" * 10_000)), "text/plain")[1] == "gzip within gzip"
    assert read_content(gzip.compress(b"words"), "text/plain") == ("words", "")


def test_archives_are_not_opened_and_their_names_are_never_paths(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("../../evil.xml", document())
    assert read_content(out.getvalue(), "application/zip") == ("", "a zip archive: not opened")


def test_names_that_a_source_gives_open_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "outside.txt").write_text(SECRET)
    inside = tmp_path / "in"
    inside.mkdir()
    evil = document(
        section(PROBLEMS, problem(ASTHMA), '<content ID="../../x">a</content>'),
        ids='<id root="../../outside" extension="../x"/>',
    )
    (inside / "a.xml").write_bytes(evil)
    reference = {
        "resourceType": "DocumentReference", "id": "d", "status": "current",
        "content": [{"attachment": {"contentType": "text/plain", "title": "../outside.txt", "url": "../outside.txt"}}],
    }  # fmt: skip
    (inside / "b.json").write_text(json.dumps(reference))
    assert main(["normalize", str(inside), "--json"]) == 0
    assert SECRET not in capsys.readouterr().out
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["a.xml", "b.json", "outside.txt"]

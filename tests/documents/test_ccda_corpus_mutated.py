"""Real documents of every set, damaged on purpose: read as far as they go, each statement accounted for, never a crash."""

from __future__ import annotations

import random
import re
from functools import cache
from pathlib import Path

import lxml.etree
import pytest
from documents_kit import CORPUS, NOW, PROBLEMS, coded, document, only, problem, read, section
from test_ccda_mutations import damage

from adapters.normalizer import Normalized, assemble, coverage_from_entries
from models.record import Note, Problem

needs_corpus = [
    pytest.mark.corpus,
    pytest.mark.skipif(not CORPUS.exists(), reason="the corpus ../shared/data is absent"),
]
SETS = [pytest.param(s, marks=needs_corpus) for s in ("ccda-onc-cures", "ccda-hl7-examples", "ccda-eicr-cdc")]
ASTHMA = coded("value", "195967001", "Asthma", kind="CD")
WHOLE = document(section(PROBLEMS, problem(ASTHMA), "Asthma"))


@cache
def chosen(folder: str, many: int = 6) -> list[bytes]:
    """Some whole documents of moderate size; others than those that the tests read by eye."""
    paths = sorted(p for p in (CORPUS / folder).rglob("*") if p.suffix.lower() == ".xml" and p.stat().st_size < 120_000)
    random.Random(4).shuffle(paths)
    found = (data for p in paths if b"<structuredBody" in (data := Path(p).read_bytes()))
    return [data for data, _ in zip(found, range(many), strict=False)]


def accounted(found: Normalized) -> None:
    assert found.ledger.balanced and (found.entries or found.quarantine)
    assert not [r for r in found.quarantine if r.reason == "unreadable"], found.quarantine
    assert all(r.reason and (r.detail or r.reason != "unreadable") for r in found.quarantine)
    told = sum("#" in name for name in found.dispositions)
    assert found.ledger.by_type.get("ClinicalStatement", {"offered": 0})["offered"] == told
    assert len({e.id for e in found.entries}) == len(found.entries)
    lines = coverage_from_entries(found.entries, ("s",), quarantine=found.quarantine, told=found.coverage)
    assemble("t", "p", found.entries, lines, as_of=NOW, ledger=found.ledger)


@pytest.mark.parametrize("folder", SETS)
def test_real_documents_damaged_at_random(folder: str) -> None:
    for number, data in enumerate(chosen(folder)):
        for blows in (3, 40):
            root = lxml.etree.fromstring(data, lxml.etree.XMLParser(remove_comments=True, remove_pis=True))
            accounted(read(damage(root, random.Random(number * 100 + blows), blows)))


def without(tag: str, data: bytes) -> bytes:
    """`data` without any element of that name."""
    root = lxml.etree.fromstring(data)
    for element in list(root.iter(f"{{urn:hl7-org:v3}}{tag}")):
        parent = element.getparent()
        if parent is not None:
            parent.remove(element)
    return lxml.etree.tostring(root)


@pytest.mark.parametrize("folder", SETS)
def test_real_documents_without_one_kind_of_element(folder: str) -> None:
    data = chosen(folder)[0]
    for tag in ("recordTarget", "templateId", "id", "code", "statusCode", "effectiveTime", "value", "text", "title"):
        accounted(read(without(tag, data)))


@pytest.mark.parametrize("folder", SETS)
def test_real_documents_in_other_bytes(folder: str) -> None:
    data = chosen(folder)[1]
    entries = read(data).entries
    text = re.sub(r"^\s*<\?xml[^>]*\?>", "", data.decode("utf-8-sig")).strip()
    wide = f'<?xml version="1.0" encoding="UTF-16"?>{text}'
    prefixed = re.sub(r"<(/?)(?=[A-Za-z])(?![\w-]+:)", r"<\1v3:", text).replace("xmlns=", "xmlns:v3=")
    for other in (
        wide.encode("utf-16"),
        wide.encode(),
        b"\xef\xbb\xbf" + text.encode(),
        f"\n{text}".encode(),
        prefixed.encode(),
    ):
        found = read(other)
        assert not found.quarantine
        assert [(type(e), e.concept) for e in found.entries if not isinstance(e, Note)] == [
            (type(e), e.concept) for e in entries if not isinstance(e, Note)
        ]
    for broken in (
        text.encode("cp1252", "replace").replace(b"</title>", b"\xe9</title>", 1),
        text.replace("urn:hl7-org:v3", "urn:other").encode(),
    ):
        found = read(broken)
        assert found.ledger.balanced and [r.reason for r in found.quarantine] in (["not_xml"], ["not_a_resource"])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (WHOLE.replace(b"urn:hl7-org:v3", b"urn:hl7-org:v2"), ""),  # a ClinicalDocument of an unknown namespace says so
        (WHOLE.replace(b"Asthma<", b"&nbsp;Asthma<"), "not_xml"),
        (WHOLE.replace(b"</text>", b"<p>" * 150 + b"</p>" * 150 + b"</text>"), "too_deep"),
        (WHOLE.replace(b"</text>", b"x" * 11_000_000 + b"</text>"), "too_large"),
        (WHOLE.replace(b"Asthma<", b"\x00<"), "not_xml"),
        (WHOLE.replace(b"UTF-8", b"UTF-32"), "not_xml"),
        (WHOLE.replace(b"Asthma<", "Asthmé<".encode("cp1252")), "not_xml"),
    ],
    ids=["namespace", "entity", "deep", "huge", "null byte", "encoding", "bytes of another encoding"],
)
def test_what_cannot_be_read_says_why(data: bytes, reason: str) -> None:
    found = read(data)
    assert found.ledger.balanced and not [e for e in found.entries if isinstance(e, Problem)]
    assert [r.reason for r in found.quarantine] == [reason or "not_a_resource"]


def test_what_is_odd_and_can_be_read() -> None:
    wide = WHOLE.replace(b'encoding="UTF-8"', b'encoding="utf-16"', 1)  # what .NET writes into a string
    windows = document(section(PROBLEMS, problem(ASTHMA), "caf\u00e9")).replace(b"UTF-8", b"windows-1252", 1)
    windows = windows.decode().encode("cp1252")
    twice = '<content ID="a">first</content><content ID="a">second</content>'
    duplicate = document(section(PROBLEMS, problem(ASTHMA.replace("></", '><originalText><reference value="#a"/></originalText></')), twice))  # fmt: skip
    assert only(read(wide), Problem).concept.display == "Asthma"
    assert "caf\u00e9" in only(read(windows), Note).text
    assert only(read(duplicate), Problem).concept.display == "first"
    long = only(read(document(section(PROBLEMS, problem(ASTHMA), "word " * 300_000))), Note)
    assert long.has_flag("truncated_text") and len(long.text) <= 1_000_000

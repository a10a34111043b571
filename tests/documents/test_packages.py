"""Zip archives of documents: every member is read, quarantined or ignored with its reason, and no archive harms the reader."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import stat
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
from documents_kit import NOW, PROBLEMS, coded, document, problem, section
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.documents import archive
from adapters.documents.archive import BadArchive, members
from adapters.normalizer import normalize
from adapters.normalizer.packages import Package, parse_package
from service.cli.main import main

CCD = document(section(PROBLEMS, problem(coded("value", "195967001", "Asthma", kind="CD")), "Asthma"))
OTHER = document(section(PROBLEMS, text="Gout"), ids='<id root="9.9.2"/>')
PATIENT = json.dumps({"resourceType": "Patient", "id": "p1", "birthDate": "1970-05-01", "identifier": [{"system": "urn:oid:1.2.3", "value": "MRN7"}]}).encode()  # fmt: skip
FOLDER = "IHE_XDM/SUBSET01/"


def packed(*named: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as made:
        for name, content in named:
            made.writestr(name, content)
    return out.getvalue()


def metadata(*listed: tuple[str, str, bytes]) -> bytes:
    """ebRIM: (file, MIME type, the bytes whose SHA-1 stands in the list)."""
    objects = "".join(
        f'<rim:ExtrinsicObject id="d{n}" mimeType="{kind}"><rim:Slot name="URI"><rim:ValueList><rim:Value>{name}</rim:Value>'
        f'</rim:ValueList></rim:Slot><rim:Slot name="hash"><rim:ValueList><rim:Value>{hashlib.sha1(content).hexdigest()}'
        "</rim:Value></rim:ValueList></rim:Slot></rim:ExtrinsicObject>"
        for n, (name, kind, content) in enumerate(listed)
    )
    return (
        '<?xml version="1.0"?><lcm:SubmitObjectsRequest xmlns:lcm="urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0" '
        'xmlns:rim="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"><rim:RegistryObjectList>'
        f"{objects}</rim:RegistryObjectList></lcm:SubmitObjectsRequest>"
    ).encode()


def xdm(*more: tuple[str | zipfile.ZipInfo, bytes], listed: bytes | None = None) -> bytes:
    return packed(
        ("README.TXT", b"From: a hospital"),
        ("INDEX.HTM", b"<html><body>hello</body></html>"),
        ("IHE_XDM/", b""),
        (f"{FOLDER}METADATA.XML", listed or metadata(("DOC00001.XML", "text/xml", CCD))),
        (f"{FOLDER}DOC00001.XML", CCD),
        (f"{FOLDER}CDA.XSL", b"<xsl:stylesheet xmlns:xsl='http://www.w3.org/1999/XSL/Transform'/>"),
        *more,
    )


def read(data: bytes, most: int = 50_000_000) -> Package:
    return parse_package(data, "x.zip", tenant="t", site="s", retrieved=NOW, most_bytes=most)


def fates(package: Package) -> dict[str, str]:
    return {m.name: m.became for m in package.members}


def test_an_xdm_package_gives_its_documents_and_a_fate_for_every_member() -> None:
    found = read(xdm())
    assert fates(found) == {
        "README.TXT": "ignored",
        "INDEX.HTM": "ignored",
        "IHE_XDM/": "ignored",
        f"{FOLDER}METADATA.XML": "ignored",
        f"{FOLDER}DOC00001.XML": "read",
        f"{FOLDER}CDA.XSL": "ignored",
    }
    assert all(m.reason for m in found.members if m.became == "ignored") and not any(m.remark for m in found.members)
    assert [r.content for r in found.resources] == [CCD] and not found.rejected and not found.missing


def test_a_listed_document_that_is_not_there_is_reported_missing_and_an_altered_one_is_said_so() -> None:
    listed = metadata(("DOC00001.XML", "text/xml", b"as it was"), ("DOC00002.XML", "text/xml", OTHER), ("s.pdf", "application/pdf", b"%PDF-"))  # fmt: skip
    found = read(xdm((f"{FOLDER}s.pdf", b"%PDF-1.4"), listed=listed))
    assert fates(found)[f"{FOLDER}DOC00002.XML".upper()] == "missing"
    remarks = {m.name: m.remark for m in found.members if m.remark}
    assert remarks == {f"{FOLDER}DOC00001.XML": "its SHA-1 is not the one METADATA.XML lists"}
    assert [(r.reason, r.detail) for r in found.rejected] == [
        ("not_a_resource", "neither FHIR nor C-CDA (application/pdf)")
    ]
    ledger = normalize(found.resources, rejected=found.rejected, missing=found.missing).ledger
    assert (
        ledger.balanced and ledger.reported_missing == 1 and ledger.by_type["ClinicalDocument"]["reported_missing"] == 1
    )


def test_a_list_that_cannot_be_read_is_quarantined_and_the_documents_are_read() -> None:
    found = read(xdm(listed=b"<!DOCTYPE x><x/>"))
    assert fates(found)[f"{FOLDER}METADATA.XML"] == "quarantined" and fates(found)[f"{FOLDER}DOC00001.XML"] == "read"
    assert [r.reason for r in found.rejected] == ["unsafe_xml"]


def test_a_plain_archive_of_fhir_and_documents_in_folders() -> None:
    lines = PATIENT + b'\n{"resourceType": "Condition", "id": "c"}\n{"broken\n'
    found = read(packed(("a/p.ndjson", lines), ("a/ccd.xml", CCD), ("b.json.gz", gzip.compress(PATIENT)), ("__MACOSX/._b", b"x"), ("notes.txt", b"words"), ("empty.json", b" ")))  # fmt: skip
    assert fates(found) == {
        "a/p.ndjson": "in_part",
        "a/ccd.xml": "read",
        "b.json.gz": "read",
        "__MACOSX/._b": "ignored",
        "notes.txt": "quarantined",
        "empty.json": "ignored",
    }
    assert [r.source for r in found.rejected] == ["x.zip!a/p.ndjson:3", "x.zip!notes.txt"]
    assert found.files == (("x.zip!a/p.ndjson", 2), ("x.zip!a/ccd.xml", 1), ("x.zip!b.json.gz", 1))


def encrypted(data: bytes) -> bytes:
    """`data` with the flag of encryption set on every member."""
    out = bytearray(data)
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = out.find(mark)
        while at >= 0:
            out[at + place] |= 1
            at = out.find(mark, at + 4)
    return bytes(out)


def link(name: str) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    made.external_attr = (stat.S_IFLNK | 0o777) << 16
    return made


@pytest.mark.parametrize(
    ("data", "became", "why"),
    [
        (encrypted(packed(("a.xml", CCD))), "quarantined", "unreadable: encrypted"),
        (packed(("a.xml", packed(("b.xml", CCD)))), "quarantined", "unreadable: an archive within the archive: not opened"),
        (packed((link("a.xml"), b"/etc/passwd")), "ignored", "a link: not followed"),
        (packed(("a.xml", CCD), method=zipfile.ZIP_LZMA), "quarantined", "unreadable: packed by a method that is not opened"),
        (packed(("a.xml", b" " * 60_000_000)), "quarantined", "too_large: more than the package may unpack to"),
        (packed(("a.xml", gzip.compress(b" " * 60_000_000))), "quarantined", "too_large: gzip: too_large"),
        (packed(("a.xml", CCD)), "read", ""),
        (packed(("a.xml", b"<!DOCTYPE x [<!ENTITY a 'b'>]><ClinicalDocument xmlns='urn:hl7-org:v3'>&a;</ClinicalDocument>")), "quarantined", "unsafe_xml"),
    ],
    ids=["encrypted", "nested", "link", "method", "bomb", "gzip bomb", "whole", "entities"],
)  # fmt: skip
def test_what_is_not_opened_says_why(data: bytes, became: str, why: str) -> None:
    found = read(data)
    assert [(m.became, m.reason) for m in found.members] == [(became, why)]
    assert bool(found.rejected) == (became == "quarantined")


def test_a_bomb_takes_nothing_from_its_neighbours_and_a_lying_header_unpacks_no_more_than_it_says() -> None:
    bomb = packed(("bomb.xml", b" " * 60_000_000), ("a.xml", CCD))
    assert fates(read(bomb)) == {"bomb.xml": "quarantined", "a.xml": "read"}
    size, small = struct.pack("<L", 60_000_000), struct.pack("<L", 1000)
    assert bomb.count(size) == 2
    assert fates(read(bomb.replace(size, small))) == {"bomb.xml": "quarantined", "a.xml": "read"}


def test_the_sum_of_all_members_has_a_ceiling() -> None:
    found = read(packed(*((f"{n}.xml", CCD) for n in range(5))), most=len(CCD) * 3)
    assert [m.became for m in found.members] == ["read"] * 3 + ["quarantined"] * 2
    assert {r.reason for r in found.rejected} == {"too_large"}


def test_members_that_overlap_are_not_read_again_and_again() -> None:
    made = packed(*((f"{n}.xml", CCD) for n in range(4)), method=zipfile.ZIP_STORED)
    first = made.find(b"PK\x01\x02")
    directory = made[first : made.find(b"PK\x05\x06")]
    one = directory[: len(directory) // 4]
    end = made[made.find(b"PK\x05\x06") :]
    many = 3000
    tail = end[:8] + struct.pack("<HHLL", many, many, len(one) * many, first) + end[20:]
    found = read(made[:first] + one * many + tail, most=len(CCD) * 10)
    assert len(found.members) == many and len(found.resources) <= 10


def test_too_many_members_are_refused_before_any_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_MEMBERS", 3)
    with pytest.raises(BadArchive, match="members"):
        list(members(packed(*((f"{n}.xml", CCD) for n in range(4))), 10**6))


def test_names_are_labels_and_never_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    hostile = ("../../evil.xml", "/etc/evil.xml", "C:\\evil.xml", "a/\u202eexe.xml", "a.xml", "a.xml")
    with pytest.warns(UserWarning, match="Duplicate"):
        data = packed(*((name, CCD) for name in hostile))
    found = read(data)
    assert [m.name for m in found.members] == ["../../evil.xml", "/etc/evil.xml", "C:\\evil.xml", "a/\ufffdexe.xml", "a.xml", "a.xml (2)"]  # fmt: skip
    assert {m.became for m in found.members} == {"read"} and not list(tmp_path.iterdir())


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=6), st.booleans())
def test_damaged_archives_end_in_members_or_quarantine(place: int, noise: bytes, cut: bool) -> None:
    whole = xdm(("more.json", PATIENT))
    at = place % len(whole)
    found = read(whole[:at] if cut else whole[:at] + noise + whole[at + len(noise) :])
    assert found.members or found.rejected
    for member in found.members:
        assert member.became == "read" or member.reason or member.remark or member.resources
    held = sum(m.resources for m in found.members)
    assert held == len(found.resources) == sum(n for _, n in found.files)


def test_the_command_tells_every_member(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(xdm(("p.json", PATIENT), ("bad.xml", CCD[:-40])))
    assert main(["normalize", str(path), "--json"]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    (package,) = told["packages"]
    became = {m["name"]: m["became"] for m in package["members"]}
    assert package["file"] == "x.zip" and became["bad.xml"] == "quarantined" and became["p.json"] == "read"
    assert [p["id"] for p in told["patients"]] == ["p1"], "the document's identifier is the Patient's"
    assert [q["source"] for q in told["quarantine"]] == ["x.zip!bad.xml"]
    assert main(["normalize", str(tmp_path)]) == 0  # in a folder too
    assert "README.TXT" in capsys.readouterr().out
    assert main(["context", "--bundle", str(path)]) == 0 and "Asthma" in capsys.readouterr().out


@pytest.mark.parametrize("data", [b"PK\x05\x06" + b"\0" * 18, packed(("a.txt", b"words")), xdm()[:-30]])
def test_an_archive_without_anything_to_read_is_an_error(data: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    assert main(["normalize", str(path), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "no_resources"


def test_an_archive_as_an_attachment_is_not_opened() -> None:
    item = {"resourceType": "DocumentReference", "id": "d", "status": "current", "content": [{"attachment": {"data": base64.b64encode(xdm()).decode()}}]}  # fmt: skip
    found = read(packed(("d.json", json.dumps(item).encode())))
    (note,) = normalize(found.resources).entries
    assert note.has_flag("unreadable_content")

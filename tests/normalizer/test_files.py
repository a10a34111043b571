"""Files of every shape: whatever stands in one becomes a resource or a rejected item with its place."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from normalizer_kit import Json, condition, observation, quantity

from adapters.normalizer import assemble, normalize, parse_file
from models.record import RawResource, Rejected

A, B, C = condition("a"), condition("b"), observation("c", valueQuantity=quantity(7.1, "%"))


def parse(data: Any, name: str = "f.json") -> tuple[list[RawResource], list[Rejected]]:
    content = data if isinstance(data, bytes) else json.dumps(data).encode()
    return parse_file(content, name, tenant="t", site="s", retrieved="")


def bundle(*members: Any, kind: str = "collection", **fields: Any) -> Json:
    return {
        "resourceType": "Bundle",
        "type": kind,
        "entry": [m if "resource" in m or "request" in m else {"resource": m} for m in members],
    } | fields


def lines(*items: Json) -> bytes:
    return b"\n".join(json.dumps(i).encode() for i in items)


@pytest.mark.parametrize("kind", ["searchset", "collection", "transaction", "batch", "document", "history", "message"])
def test_a_bundle_of_any_type(kind: str) -> None:
    found, bad = parse(bundle(A, B, C, kind=kind))
    assert [r.resource_id for r in found] == ["a", "b", "c"] and not bad


@pytest.mark.parametrize(
    "data",
    [A, [A], bundle(A), bundle(bundle(A)), {"resourceType": "Parameters", "parameter": [{"name": "x", "resource": A}]},
     json.dumps(A, indent=2).encode(), b"\xef\xbb\xbf" + lines(A), json.dumps(A).encode("utf-16"), gzip.compress(lines(A)),
     gzip.compress(lines(A)[:30]) + gzip.compress(lines(A)[30:]), b"\n\n" + lines(A) + b"\r\n\n"],
)  # fmt: skip
def test_one_resource_in_every_wrapping(data: Any) -> None:
    found, bad = parse(data)
    assert [(r.resource_type, r.resource_id) for r in found] == [("Condition", "a")] and not bad
    assert json.loads(found[0].content) == A


def test_ndjson_with_what_goes_wrong_in_it() -> None:
    content = b"\xef\xbb\xbf" + lines(A) + b"\r\n\r\nnot json\r\n" + lines(B) + b"\n[1]\n{}\n" + lines(C)[:-5]
    found, bad = parse(content, "x.ndjson")
    assert [r.resource_id for r in found] == ["a", "b"]
    assert [(r.source, r.reason) for r in bad] == [
        ("x.ndjson:3", "not_json"), ("x.ndjson:5", "not_a_resource"), ("x.ndjson:6", "not_a_resource"), ("x.ndjson:7", "not_json"),
    ]  # fmt: skip
    assert bad[-1].content == lines(C)[:-5]


def test_good_is_total_minus_bad_even_when_the_bad_come_first() -> None:
    content = b"\n".join([b"{broken"] * 40 + [lines(A), lines(B)])
    for name in ("x.ndjson", "x.json"):
        found, bad = parse(content, name)
        assert (len(found), len(bad)) == (2, 40)


def test_a_broken_document_is_one_broken_thing() -> None:
    found, bad = parse(json.dumps(bundle(A, B), indent=1).encode()[:-20])
    assert not found and len(bad) == 1 and bad[0].reason == "not_json" and bad[0].detail


@pytest.mark.parametrize(
    ("data", "reason", "detail"),
    [
        (b"", "not_json", "empty"),
        (b"<Patient xmlns='http://hl7.org/fhir'>words</Patient>", "not_a_resource", "text between"),
        (b"<Parameters xmlns='http://hl7.org/fhir'/>", "not_a_resource", "Parameters"),
        (b"<html><body>Sign in</body></html>", "not_json", "HTML"),
        (b"\xff\xfe<\x00a\x00", "not_xml", "line"),
        (b"hello", "not_json", ""),
        (b"42", "not_a_resource", "object"),
        (b'{"id": "x"}', "not_a_resource", "resourceType"),
        (b'{"resourceType": 5, "id": "x"}', "not_a_resource", "resourceType"),
        (b'{"resourceType": "OperationOutcome", "issue": []}', "operation_outcome", ""),
        (b'{"resourceType": "Parameters"}', "not_a_resource", "Parameters"),
        (b'{"resourceType": "Bundle", "entry": {}}', "not_a_resource", "entry"),
        (b'{"resourceType": "Bundle", "entry": [5]}', "not_a_resource", "entry"),
        (b'{"resourceType": "Bundle", "entry": [{"resource": 5}]}', "not_a_resource", "object"),
        (b'{"resourceType": "Bundle", "entry": [{"fullUrl": "x"}]}', "not_a_resource", "without resource"),
        (b"[" * 100_000 + b"]" * 100_000, "too_deep", ""),
        (b'{"resourceType": "Patient", "id": "x", "y": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too_deep", ""),
        (gzip.compress(b"{}" * 1000, mtime=0)[:-9], "too_large", "gzip"),
        (b"\x1f\x8bnothing", "not_json", "gzip"),
    ],
)  # fmt: skip
def test_what_is_no_resource_says_why(data: bytes, reason: str, detail: str) -> None:
    found, bad = parse(data)
    assert not found and [b.reason for b in bad] == [reason]
    assert detail in bad[0].detail and bad[0].source.startswith("f.json")


@pytest.mark.parametrize("levels", [300, 3_000, 30_000])
def test_depth_ends_in_quarantine_whichever_parser_of_whichever_python_notices(levels: int) -> None:
    found, bad = parse(b'{"resourceType": "Patient", "id": "x", "y": ' + b"[" * levels + b"]" * levels + b"}")
    read = normalize(found, rejected=bad)
    assert [q.reason for q in read.quarantine] == ["too_deep"] and not read.entries and read.ledger.balanced


def test_an_entry_that_only_asks_for_something_offers_nothing() -> None:
    found, bad = parse(bundle(A, {"request": {"method": "DELETE", "url": "Condition/9"}}, kind="transaction"))
    assert len(found) == 1 and not bad
    assert parse({"resourceType": "Bundle", "type": "searchset", "total": 0}) == ([], [])
    assert parse({"resourceType": "Bundle", "type": "searchset", "entry": None}) == ([], [])


UUID = "8e0a9c1e-55aa-4c65-9a3e-0d3a3f5a0001"


def without_id(resource: Json) -> Json:
    return {k: v for k, v in resource.items() if k != "id"}


@pytest.mark.parametrize(("url", "rid"), [(f"urn:uuid:{UUID}", UUID), ("https://ehr.example/fhir/Condition/77", "77")])
def test_an_id_that_stands_only_in_the_full_url(url: str, rid: str) -> None:
    found, bad = parse({"resourceType": "Bundle", "entry": [{"fullUrl": url, "resource": without_id(A)}]})
    assert [r.resource_id for r in found] == [rid] and not bad
    (entry,) = normalize(found).entries
    assert [f.detail for f in entry.flags if f.code == "tolerated"] == ["id"]


def test_an_id_that_was_sent_is_no_remark() -> None:
    assert all(f.detail != "id" for e in normalize(parse(bundle(A))[0]).entries for f in e.flags)


@pytest.mark.parametrize("more", [{}, {"id": ""}, {"id": 5}], ids=["absent", "empty", "a-number"])
def test_without_id_and_full_url_the_content_names_it_the_same_again_whenever_it_is_read(more: Json) -> None:
    nameless = without_id(A) | more
    (first,), bad = parse(bundle(nameless))
    assert first.resource_id.startswith("content-") and len(first.resource_id) <= 64 and not bad
    turned = json.dumps(dict(reversed(nameless.items())), indent=2).encode()
    assert parse(turned, "other.json")[0][0].resource_id == first.resource_id, "spaces and order mean nothing"
    (entry,) = normalize([first]).entries
    assert entry.has_flag("tolerated") and entry.origin.resource_id == first.resource_id
    one, other = (
        parse(f'{{"resourceType": "Observation", "valueQuantity": {{"value": {digits}}}}}'.encode())[0][0]
        for digits in ("7.1", "7.10")
    )
    assert one.resource_id != other.resource_id, "7.10 is not 7.1"


def test_two_equal_resources_without_ids_are_counted_twice_and_marked_as_duplicates() -> None:
    nameless = without_id(observation("c", valueQuantity=quantity(7.1, "%")))
    found, bad = parse(bundle(nameless, nameless, without_id(A)))
    read = normalize(found, rejected=bad)
    assert (read.ledger.offered, read.ledger.stored, len(read.entries)) == (3, 3, 3)
    chart = assemble("t", "p", read.entries, (), as_of="2026-01-01T00:00:00Z")
    copies = [e for e in chart.entries if e.has_flag("duplicate_of")]
    assert len(chart.entries) == 3 and len(copies) == 1
    assert [r.resource_id for r in parse(bundle(nameless, nameless, without_id(A)))[0]] == [
        r.resource_id for r in found
    ]


@pytest.mark.parametrize("rid", [None, "dr-1"], ids=["without-id", "with-another-id"])
@pytest.mark.parametrize("url", [f"urn:uuid:{UUID}", "https://ehr.example/no-type/1"], ids=["uuid", "address"])
def test_references_by_full_url_find_their_resource(url: str, rid: str | None) -> None:
    doctor = {"resourceType": "Practitioner", "name": [{"text": "Dr. Ann Lee"}]} | ({"id": rid} if rid else {})
    asserted = without_id(A) | {"asserter": {"reference": url}, "recorder": {"reference": url}}
    entries = [{"fullUrl": url, "resource": doctor}, {"fullUrl": "urn:uuid:x-2", "resource": asserted}]
    (entry,) = normalize(parse({"resourceType": "Bundle", "entry": entries})[0]).entries
    assert "Dr. Ann Lee" in str(entry.to_dict())


def test_a_subject_by_full_url_is_the_patient_of_that_id_and_nobody_else() -> None:
    people = [
        {"fullUrl": f"urn:uuid:{n}", "resource": {"resourceType": "Patient", "id": n.upper()}} for n in ("p-1", "p-2")
    ]
    about = [
        {"fullUrl": f"urn:uuid:c-{n}", "resource": condition(f"c-{n}", subject={"reference": f"urn:uuid:{n}"})}
        for n in ("p-1", "p-2")
    ]
    found, _ = parse({"resourceType": "Bundle", "entry": people + about})
    read = normalize(found, patient_id="P-1")
    assert sorted(e.origin.resource_id for e in read.entries) == ["P-1", "c-p-1"]
    assert [(q.reason, q.resource_id) for q in read.quarantine] == [
        ("wrong_patient", "P-2"),
        ("wrong_patient", "c-p-2"),
    ]


def test_the_only_patient_of_a_file_who_came_without_id_is_the_one_everything_refers_to() -> None:
    person, mine = {"resourceType": "Patient", "birthDate": "1960"}, condition("c", subject={"reference": "Patient/p"})
    other = condition("d", subject={"reference": "Patient/q"})
    assert [r.resource_id for r in parse(bundle(person, mine))[0]] == ["p", "c"]
    for more in ((mine, other), (person | {"gender": "male"}, mine), ()):
        assert parse(bundle(person, *more))[0][0].resource_id.startswith("content-"), "two could be meant, or none"


def test_bundles_in_bundles_end_somewhere() -> None:
    nested: Json = A
    for _ in range(12):
        nested = bundle(nested)
    found, bad = parse(nested)
    assert not found and [b.reason for b in bad] == ["too_deep"]


def test_digits_white_space_and_versions() -> None:
    text = json.dumps(bundle(C | {"meta": {"versionId": "3"}}), indent=4).replace("7.1", "7.10")
    found, _ = parse(text.encode())
    assert found[0].version == "3" and b'"value":7.10' in found[0].content and b"\n" not in found[0].content
    assert str(normalize(found).entries[0].value) == "7.10 %"  # type: ignore[union-attr]
    indented, plain = parse(json.dumps(bundle(A), indent=4).encode())[0], parse(bundle(A))[0]
    assert indented[0].content_hash == plain[0].content_hash, "indentation of a bundle makes no new version"


members = st.lists(
    st.one_of(
        st.just(lines(A)),
        st.just(lines(C)),
        st.just(lines(bundle(A, B))),
        st.binary(min_size=1, max_size=20).map(lambda b: b.replace(b"\n", b"") or b"x"),
        st.just(lines(A)[:-3]),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(members)
def test_every_line_is_accounted_for(content: list[bytes]) -> None:
    found, bad = parse(b"\n".join(content), "x.ndjson")
    offered = sum(
        {lines(bundle(A, B)): 2}.get(line, 1) for line in content if line.strip(b"\xef\xbb\xbf \r\n\t\x0b\x0c")
    )
    assert len(found) + len(bad) >= offered
    made = normalize(found, rejected=bad)
    assert made.ledger.balanced


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.binary(max_size=200), st.sampled_from(["f.json", "f.ndjson", "f.json.gz"]))
def test_no_bytes_raise(content: bytes, name: str) -> None:
    found, bad = parse(content, name)
    assert found or bad

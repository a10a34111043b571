"""Reports, notes and people: form, readable text, safe markup, names."""

from __future__ import annotations

import base64
import io

import pypdf
import pytest
from normalizer_kit import LOINC, Json, cc, flags, one, order, read, resource


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def report(**fields: object) -> Json:
    return resource(
        "DiagnosticReport",
        **({"status": "final", "code": cc("58410-2", "CBC", LOINC), "effectiveDateTime": "2024-01"} | fields),
    )


def note(**attachment: object) -> Json:
    kind = cc("34117-2", "History and physical", LOINC)
    return resource(
        "DocumentReference",
        status="current",
        type=kind,
        date="2024-01-05T10:00:00Z",
        content=[{"attachment": attachment}] if attachment else [],
    )


@pytest.mark.parametrize(
    ("fields", "form"),
    [
        ({"result": [{"reference": "Observation/1"}]}, "structured"),
        ({"conclusion": "Normal."}, "narrative"),
        ({"presentedForm": [{"contentType": "text/plain", "data": b64(b"Heart size normal.")}]}, "narrative"),
        ({"text": {"div": "<div>Impression: <b>clear</b> lungs</div>"}}, "narrative"),
        ({"result": [{"reference": "Observation/1"}], "conclusion": "Anaemia."}, "both"),
        ({"conclusionCode": [cc("709044004", "CKD")]}, "structured"),
        ({"conclusionCode": [cc("709044004", "CKD")], "conclusion": "Scarred kidneys."}, "both"),
        ({"presentedForm": [{"contentType": "image/jpeg", "data": b64(b"\xff\xd8\xff")}]}, "empty"),
        ({"presentedForm": [{"contentType": "text/plain", "url": "Binary/gone"}]}, "empty"),
        ({}, "empty"),
    ],
)
def test_structured_narrative_both_or_empty(fields: Json, form: str) -> None:
    made = one(report(**fields))
    assert made.form == form
    assert ("unreadable_content" in flags(made)) is (form == "empty" and bool(fields))


def test_a_narrative_of_a_report_is_text_and_says_where_it_stood() -> None:
    made = one(
        report(text={"div": "<div onclick='x()'>Impression:<br/><b>clear</b> lungs<script>alert(1)</script></div>"})
    )
    assert made.attachments[0].text == "Impression:\nclear lungs" and made.attachments[0].path == "text.div"


@pytest.mark.parametrize(
    ("kind", "data", "text"),
    [
        ("text/plain", "Café\r\nnotes".encode(), "Café\nnotes"),
        ("text/plain; charset=windows-1252", "Café".encode("cp1252"), "Café"),
        ("text/plain", "Café".encode("cp1252"), "Café"),
        ("text/html", b"<html><head><style>p{}</style></head><body><p>One</p><table><tr><td>a</td><td>b</td></tr></table></body></html>", "One\n\na b"),
        ("", b"plain words", "plain words"),
        ("", b"<div>words</div>", "words"),
        ("application/xhtml+xml", b"<div>5 &lt; 6 &amp; 7</div>", "5 < 6 & 7"),
    ],
)  # fmt: skip
def test_the_text_of_attachments(kind: str, data: bytes, text: str) -> None:
    found = one(note(contentType=kind, data=b64(data))).attachments[0]
    assert found.readable and found.text == text and found.size == len(data)


@pytest.mark.parametrize(
    ("attachment", "reason"),
    [
        (
            {"contentType": "application/msword", "data": b64(b"\xd0\xcf\x11\xe0 words")},
            "no reader for application/msword",
        ),
        ({"contentType": "text/plain", "data": "%%%"}, "not base64"),
        ({"contentType": "text/plain", "data": ""}, "empty"),
        ({"contentType": "text/plain", "url": "Binary/9"}, "not fetched"),
        ({"contentType": "text/plain", "url": "https://elsewhere.example/doc"}, "not fetched"),
        ({"contentType": "text/plain", "title": "only a title"}, "no content"),
        ({"contentType": "application/pdf", "data": b64(b"%PDF-1.4 broken")}, "damaged PDF"),
    ],
)
def test_what_cannot_be_read_says_why(attachment: Json, reason: str) -> None:
    made = one(note(**attachment))
    assert (made.attachments[0].readable, made.attachments[0].reason) == (False, reason)
    assert "unreadable_content" in flags(made) and made.text == ""


def test_a_scanned_pdf_is_no_empty_document() -> None:
    writer, out = pypdf.PdfWriter(), io.BytesIO()
    writer.add_blank_page(200, 200)
    writer.write(out)
    assert (
        one(note(contentType="application/pdf", data=b64(out.getvalue()))).attachments[0].reason
        == "scanned PDF, no text layer"
    )


def test_an_encrypted_pdf_says_so() -> None:
    writer, out = pypdf.PdfWriter(), io.BytesIO()
    writer.add_blank_page(200, 200)
    writer.encrypt("secret", algorithm="RC4-128")
    writer.write(out)
    assert one(note(contentType="application/pdf", data=b64(out.getvalue()))).attachments[0].reason == "encrypted PDF"


def test_a_binary_that_came_along_is_the_text_of_its_note() -> None:
    binary = {"resourceType": "Binary", "id": "b", "contentType": "text/plain", "data": b64(b"Seen and examined.")}
    made = one(note(url="https://ehr.example/fhir/Binary/b"), binary)
    assert made.text == "Seen and examined."


def test_a_note_with_its_context_and_authors() -> None:
    item = note(data=b64(b"x"), contentType="text/plain") | {
        "context": {"encounter": [{"reference": "Encounter/e"}], "period": {"start": "2024-01-04"}},
        "author": [{"display": "Dr. Okafor"}],
        "docStatus": "final",
        "category": [cc("clinical-note", "Clinical note")],
    }
    made = one(item)
    assert (made.encounter, made.period_start, made.doc_status, made.category) == (
        "Encounter/e",
        "2024-01-04",
        "final",
        "Clinical note",
    )
    assert made.authors[0].name == "Dr. Okafor" and made.date == "2024-01-05T10:00:00Z"
    assert {"missing_date", "missing_code", "unreadable_content"} <= flags(
        one(resource("DocumentReference", status="current"))
    )


def patient(**fields: object) -> Json:
    return resource(
        "Patient",
        "p",
        **(
            {"name": [{"family": "Vantongeren", "given": ["Ida", "M."]}], "birthDate": "1958-04", "gender": "female"}
            | fields
        ),
    )


def test_a_person() -> None:
    extensions = [
        {"url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race", "extension": [{"url": "ombCategory", "valueCoding": {"display": "White"}}, {"url": "text", "valueString": "White"}]},
        {"url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-ethnicity", "extension": [{"url": "ombCategory", "valueCoding": {"code": "2186-5", "display": "Not Hispanic"}}]},
        {"url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex", "valueCode": "F"},
    ]  # fmt: skip
    item = patient(
        extension=extensions,
        identifier=[{"system": "urn:oid:1.2", "value": "77", "type": cc("MR")}, {"system": "x"}],
        telecom=[{"system": "phone", "value": "555-0100"}, {"system": "email"}],
        address=[{"line": ["1 Elm St"], "city": "Springfield", "postalCode": "01101"}],
        communication=[{"language": cc("es", "Spanish")}, {"language": cc("en", "English"), "preferred": True}],
        maritalStatus=cc("M", "Married"),
        generalPractitioner=[{"reference": "Practitioner/d"}],
    )
    made = one(item, {"resourceType": "Practitioner", "id": "d", "name": [{"family": "Okafor"}]})
    assert (made.name, made.birth_date, made.gender, made.birth_sex) == ("Ida M. Vantongeren", "1958-04", "female", "F")
    assert (made.race, made.ethnicity, made.languages) == (("White",), ("Not Hispanic",), ("English", "Spanish"))
    assert [(i.value, i.type) for i in made.identifiers] == [("77", "MR")] and made.telecom == ("phone: 555-0100",)
    assert made.general_practitioners[0].name == "Okafor" and made.marital_status == "Married"


@pytest.mark.parametrize(
    ("fields", "deceased", "when"),
    [({}, None, None), ({"deceasedBoolean": False}, False, None), ({"deceasedBoolean": True}, True, None), ({"deceasedDateTime": "2023"}, True, "2023"), ({"deceasedDateTime": "unknown"}, True, None)],
)  # fmt: skip
def test_dead_alive_or_not_said(fields: Json, deceased: bool | None, when: str | None) -> None:
    made = one(patient(**fields))
    assert (made.deceased, made.deceased_date) == (deceased, when)


def test_a_missing_or_impossible_birth_date_is_flagged() -> None:
    assert "missing_date" in flags(one(patient(birthDate=None)))
    assert "future_date" in flags(one(patient(birthDate="2031-01-01")))
    assert one(patient(birthDate="1958-02-30")).birth_date is None


def test_provenance_says_who_and_the_latest_one_counts_in_any_order() -> None:
    def provenance(rid: str, when: str, who: str) -> Json:
        agent = {"type": cc("author"), "who": {"display": who}}
        return {
            "resourceType": "Provenance",
            "id": rid,
            "recorded": when,
            "target": [{"reference": "MedicationRequest/1"}],
            "agent": [agent],
        }

    older, newer = (
        provenance("a", "2024-01-01T00:00:00Z", "Dr. Old"),
        provenance("b", "2024-02-01T00:00:00Z", "Dr. New"),
    )
    for order_of_arrival in ((older, newer), (newer, older)):
        found = one(order(), *order_of_arrival).origin.provenance
        assert (found.agents, found.recorded, found.reference) == (
            ("author: Dr. New",),
            "2024-02-01T00:00:00Z",
            "Provenance/b",
        )


def test_a_target_named_by_its_uuid_is_found() -> None:
    rid = "8e0a9c1e-55aa-4c65-9a3e-0d3a3f5a0001"
    said = {
        "resourceType": "Provenance",
        "id": "a",
        "target": [{"reference": f"urn:uuid:{rid}"}],
        "agent": [{"who": {"display": "Dr. X"}}],
    }
    assert one(order(rid), said).origin.provenance.agents == ("agent: Dr. X",)
    assert one(order("other"), said).origin.provenance is None


def test_what_others_refer_to_is_support_and_the_rest_is_kept_raw() -> None:
    made = read({"resourceType": "Organization", "id": "o", "name": "X"}, resource("Claim", "c"), patient())
    became = {name.split("/")[0]: disposition for name, disposition in made.dispositions.items()}
    assert became == {"Organization": "support", "Claim": "raw_only", "Patient": "entry"}
    assert made.ledger.stored == 3

"""Documents as a whole: identity and versions, sections without entries, attached documents, folders of files."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from documents_kit import (
    ALLERGIES,
    MEDICATIONS,
    NOW,
    PROBLEMS,
    coded,
    document,
    only,
    problem,
    read,
    section,
)

from adapters.normalizer import NormalizationRules, Normalized, assemble, coverage_from_entries, normalize, parse_file
from models.record import Coverage, Demographics, Note, Problem, RawResource, Vital
from service.cli.main import main

ASTHMA, GOUT = (coded("value", c, d, kind="CD") for c, d in (("195967001", "Asthma"), ("90560007", "Gout")))
NO_ALLERGY = (
    '<act moodCode="EVN"><templateId root="2.16.840.1.113883.10.20.22.4.30"/><statusCode code="active"/><entryRelationship>'
    '<observation moodCode="EVN" negationInd="true"><templateId root="2.16.840.1.113883.10.20.22.4.7"/>'
    '<value xsi:type="CD" code="419199007" codeSystem="2.16.840.1.113883.6.96"/></observation></entryRelationship></act>'
)


def coverage(found: Normalized) -> dict[str, Coverage]:
    lines = coverage_from_entries(found.entries, ("s",), quarantine=found.quarantine, told=found.coverage)
    chart = assemble("t", "p", found.entries, lines, as_of=NOW, ledger=found.ledger)
    return {c.section: c for c in chart.coverage}


def test_a_section_without_information_is_no_negative() -> None:
    line = coverage(read(document(section(ALLERGIES, text="No information", more='nullFlavor="NI"'))))["allergies"]
    assert (line.state, line.told, line.complete) == ("not_queried", "no information", False)


def test_a_section_in_words_only_is_present_and_not_complete() -> None:
    found = read(document(section(ALLERGIES, text="Allergic to bees")))
    line = coverage(found)["allergies"]
    assert (line.state, line.told, line.complete) == ("present", "written as text only", False)
    assert "Allergic to bees" in only(found, Note).text


def test_an_explicit_negative_makes_the_section_none_asserted_unless_another_document_has_words() -> None:
    assert coverage(read(document(section(ALLERGIES, NO_ALLERGY))))["allergies"].state == "none_asserted"
    both = read_all(
        document(section(ALLERGIES, NO_ALLERGY)),
        document(section(ALLERGIES, text="Bees"), ids='<id root="9.9.2"/>'),
    )
    assert (coverage(both)["allergies"].state, coverage(both)["allergies"].told) == ("present", "written as text only")


def test_an_absent_section_says_nothing() -> None:
    assert coverage(read(document()))["problems"].state == "not_queried"


def read_all(*files: bytes, rules: NormalizationRules | None = None) -> Normalized:
    resources: list[RawResource] = []
    for index, data in enumerate(files):
        more, bad = parse_file(data, f"{index}.xml", tenant="t", site="s", retrieved=NOW)
        assert not bad
        resources += more
    return normalize(resources, rules=rules)


def test_the_same_document_gives_the_same_ids() -> None:
    one = document(section(PROBLEMS, problem(ASTHMA)))
    first, again = read(one), read(one)
    assert [e.id for e in first.entries] == [e.id for e in again.entries]
    assert len({e.id for e in first.entries}) == len(first.entries)
    assert {e.id for e in read_all(one, one).entries} == {e.id for e in first.entries}


def version(number: int, value: str) -> bytes:
    ids = f'<id root="9.9.{number}"/>'
    head = f'{ids}<setId root="7.7" extension="a"/><versionNumber value="{number}"/>'
    act = problem(value).replace("<statusCode", '<id root="5.5" extension="p1"/><statusCode', 1)
    return document(section(PROBLEMS, act), ids=head)


def test_a_new_version_replaces_the_old_one_whatever_the_order() -> None:
    for files in ([version(2, ASTHMA), version(10, GOUT)], [version(10, GOUT), version(2, ASTHMA)]):
        found = read_all(*files)
        assert (
            only(found, Problem).concept.display == "Gout"
            and len([e for e in found.entries if isinstance(e, Note)]) == 1
        )
        assert found.ledger.by_type["ClinicalDocument"]["stored"] == 2
    assert only(read(version(2, ASTHMA)), Problem).id == only(read(version(10, GOUT)), Problem).id


def test_a_document_that_names_what_it_replaces() -> None:
    old = document(section(PROBLEMS, problem(ASTHMA)))
    new = document(
        section(PROBLEMS, problem(GOUT)),
        ids='<id root="9.9.2"/>',
        related='<relatedDocument typeCode="RPLC"><parentDocument><id root="9.9.1"/></parentDocument></relatedDocument>',
    )
    assert only(read_all(old, new), Problem).concept.display == "Gout"


def test_two_statements_with_one_id_are_two_entries() -> None:
    twice = [problem(v).replace("<value", '<id root="1.1"/><value', 1) for v in (ASTHMA, GOUT)]
    found = read(document(section(PROBLEMS, "</entry><entry>".join(twice))))
    assert len({e.id for e in found.entries if isinstance(e, Problem)}) == 2


def test_an_unstructured_document_gives_the_text_of_its_body() -> None:
    body = base64.b64encode(rb"{\rtf1\ansi Seen for \b asthma\b0.\par}").decode()
    data = document().replace(
        b"<component><structuredBody></structuredBody></component>",
        f'<component><nonXMLBody><text mediaType="text/rtf" representation="B64">{body}</text></nonXMLBody></component>'.encode(),
    )
    assert only(read(data), Note).text == "Seen for asthma."


def carrier(data: bytes, birth: str = "1970-05-01", **more: Any) -> list[RawResource]:
    held = {
        "resourceType": "Bundle",
        "entry": [
            {"resource": {"resourceType": "Patient", "id": "p", "birthDate": birth}},
            {
                "resource": {
                    "resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/p"}, "onsetDateTime": "2019",
                    "clinicalStatus": {"coding": [{"code": "active"}]},
                    "code": {"coding": [{"system": "http://snomed.info/sct", "code": "195967001"}]},
                }
            },
            {
                "resource": {
                    "resourceType": "DocumentReference", "id": "d", "status": "current", "subject": {"reference": "Patient/p"},
                    "content": [{"attachment": {"contentType": "application/hl7-sdwg-ccda+xml", "data": base64.b64encode(data).decode()}}],
                }
                | more
            },
        ],
    }  # fmt: skip
    return parse_file(json.dumps(held).encode(), "b.json", tenant="t", site="s", retrieved=NOW)[0]


BOTH = document(section(PROBLEMS, f"{problem(ASTHMA)}</entry><entry>{problem(GOUT)}", text="Asthma and gout"))


def test_an_attached_document_gives_its_text_and_no_entries_by_default() -> None:
    found = normalize(carrier(BOTH))
    assert (
        "Asthma and gout" in only(found, Note).text and len([e for e in found.entries if isinstance(e, Problem)]) == 1
    )


def test_where_the_site_says_so_its_entries_too_and_what_is_known_is_a_duplicate() -> None:
    found = normalize(carrier(BOTH), rules=NormalizationRules(document_entries=True))
    chart = assemble("t", "p", found.entries, (), as_of=NOW)
    known, again, new = (
        next(e for e in chart.of(Problem) if e.origin.method == m and e.concept.codings[0].code == c)
        for m, c in (("structured", "195967001"), ("document", "195967001"), ("document", "90560007"))
    )
    assert [f.related for f in again.flags if f.code == "duplicate_of"] == [(known.id,)]
    assert not known.superseded and not new.superseded
    assert new.origin.resource_type == "DocumentReference" and new.origin.path.startswith("content[0].attachment#/Clin")
    assert found.ledger.balanced and found.ledger.by_type["ClinicalStatement"]["stored"] == 2


def test_a_measurement_of_a_document_is_the_copy_and_not_the_original() -> None:
    measured = (
        '<observation moodCode="EVN"><templateId root="2.16.840.1.113883.10.20.22.4.27"/><statusCode code="completed"/>'
        '<code code="8867-4" codeSystem="2.16.840.1.113883.6.1"/><effectiveTime value="20240601083000+0000"/>'
        '<value xsi:type="PQ" value="80" unit="/min"/></observation>'
    )
    same = {
        "resourceType": "Observation", "id": "o", "subject": {"reference": "Patient/p"}, "effectiveDateTime": "2024-06-01T08:30:00Z",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "valueQuantity": {"value": 80, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"},
    }  # fmt: skip
    resources = parse_file(json.dumps(same).encode(), "o.json", tenant="t", site="s", retrieved=NOW)[
        0
    ]  # has remarks: no status
    resources += parse_file(document(section("8716-3", measured)), "d.xml", tenant="t", site="s", retrieved=NOW)[0]
    vitals = assemble("t", "p", normalize(resources).entries, (), as_of=NOW).of(Vital)
    assert {v.origin.method: v.superseded for v in vitals} == {"structured": False, "document": True}


def test_a_document_about_somebody_born_on_another_day_is_not_read_into_the_record() -> None:
    found = normalize(carrier(BOTH, birth="1970-05-02"), rules=NormalizationRules(document_entries=True))
    assert [e.origin.method for e in found.entries if isinstance(e, Problem)] == ["structured"]
    assert [r.reason for r in found.quarantine] == ["wrong_patient"]


def test_a_document_entered_in_error_is_not_read() -> None:
    found = normalize(carrier(BOTH, status="entered-in-error"), rules=NormalizationRules(document_entries=True))
    assert [e.origin.method for e in found.entries if isinstance(e, Problem)] == ["structured"]


def test_files_of_one_person_in_one_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    patient = {
        "resourceType": "Patient",
        "id": "p1",
        "birthDate": "1970-05-01",
        "identifier": [{"system": "urn:oid:1.2.3", "value": "MRN7"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(patient))
    (tmp_path / "b.xml").write_bytes(document(section(PROBLEMS, problem(ASTHMA)), section(MEDICATIONS, text="Aspirin")))
    assert main(["normalize", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [p["id"] for p in told["patients"]] == ["p1"] and told["ledger"]["by_type"]["ClinicalStatement"][
        "stored"
    ] == 1
    assert main(["context", "--bundle", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert (
        "Asthma" in shown
        and "Unknown: written as text only; see section medications 10160-0" in shown
        and "Aspirin" in shown
    )


def test_a_file_of_its_own_is_the_patient_of_its_head(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ccd.xml"
    path.write_bytes(document(section(PROBLEMS, problem(ASTHMA))))
    assert main(["normalize", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["patients"] == [
        {"id": "MRN7", "name": "Ada Moor", "birth_date": "1970-05-01", "gender": "female", "entries": 3}
    ]
    assert main(["summary", "--bundle", str(path)]) == 0 and "Asthma" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("fragment", "problems"),
    [
        (section(PROBLEMS, problem(ASTHMA)), 1),
        (problem(ASTHMA), 1),
        (f"<entry>{problem(ASTHMA)}</entry>", 1),
        (f"{problem(ASTHMA)}{problem(GOUT)}", 2),
    ],
)
def test_fragments_without_their_document(fragment: str, problems: int) -> None:
    found = read(f'<?xml version="1.0" encoding="UTF-8"?>\n{fragment}'.encode())
    assert len([e for e in found.entries if isinstance(e, Problem)]) == problems and not found.quarantine


def test_parts_of_a_head_are_read_and_other_xml_is_put_aside() -> None:
    head = b"<recordTarget><patientRole><patient><name><given>Ada</given></name></patient></patientRole></recordTarget>"
    assert only(read(head), Demographics)
    assert [r.reason for r in read(b"<addr><city>X</city></addr>").quarantine] == ["not_a_resource"]

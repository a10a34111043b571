"""Real and certification documents: each ends as entries or in quarantine; facts read off a handful of them by eye."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path

import lxml.etree
import pytest
from documents_kit import CORPUS, only, read

from adapters.normalizer import Normalized
from models.record import (
    Allergy,
    CarePlan,
    Demographics,
    Encounter,
    Immunization,
    Medication,
    Note,
    Problem,
    Result,
    Vital,
)
from models.record.dates import is_partial_date

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not CORPUS.exists(), reason="the corpus ../shared/data is absent"),
]
SETS = ("ccda-onc-cures", "ccda-hl7-examples", "ccda-eicr-cdc")
CLASSES = [
    "act",
    "encounter",
    "observation",
    "observationMedia",
    "organizer",
    "procedure",
    "regionOfInterest",
    "substanceAdministration",
    "supply",
]


def files(folder: str) -> list[Path]:
    return sorted(p for p in (CORPUS / folder).rglob("*") if p.suffix.lower() == ".xml")


@cache
def read_set(folder: str) -> list[tuple[Path, Normalized]]:
    return [(p, read(p.read_bytes())) for p in files(folder)]


def named(folder: str, start: str) -> Normalized:
    return next(n for p, n in read_set(folder) if p.name.startswith(start))


@pytest.mark.parametrize("folder", SETS)
def test_every_document_ends_as_entries_or_in_quarantine_with_a_reason(folder: str) -> None:
    for path, found in read_set(folder):
        assert found.ledger.balanced, path.name
        assert {r.reason for r in found.quarantine} <= {"not_xml", "not_a_resource"}, path.name
        assert found.quarantine or found.ledger.by_type["ClinicalDocument"]["stored"] == 1, path.name
        assert len({e.id for e in found.entries}) == len(found.entries), path.name


@pytest.mark.parametrize("folder", ["ccda-onc-cures", "ccda-eicr-cdc"])
def test_every_statement_of_every_section_is_counted(folder: str) -> None:
    for path, found in read_set(folder):
        if found.quarantine:
            continue
        root = lxml.etree.parse(str(path)).getroot()
        v3 = "{urn:hl7-org:v3}"
        told = sum(
            child.tag in {f"{v3}{c}" for c in CLASSES}
            for s in root.iter(f"{v3}section")
            for e in s.findall(f"{v3}entry")
            for child in e
        )
        assert found.ledger.by_type.get("ClinicalStatement", {"offered": 0})["offered"] == told, path.name


def test_whole_documents_have_their_patient_and_their_text() -> None:
    for folder in SETS:
        for path, found in read_set(folder):
            if b"<recordTarget" in path.read_bytes() and not found.quarantine:
                assert [e for e in found.entries if isinstance(e, Demographics)], path.name
                assert b"<text" not in path.read_bytes() or [e for e in found.entries if isinstance(e, Note)], path.name


@pytest.mark.parametrize("folder", SETS)
def test_no_date_and_no_number_is_invented(folder: str) -> None:
    """Every date stands in the document digit by digit, and every number as it was sent."""
    dates = numbers = 0
    for path, found in read_set(folder):
        source = path.read_text("utf-8", "replace")
        for entry in found.entries:
            if entry.origin.method == "computed":
                continue
            for name in entry.__struct_fields__:
                value = getattr(entry, name)
                if name != "id" and isinstance(value, str) and len(value) >= 4 and is_partial_date(value):
                    local = re.sub(r"(Z|[+-]\d\d:\d\d)$", "", value) if "T" in value else value
                    digits = re.sub(r"\D", "", local.partition(".")[0])
                    assert re.search(rf"""=\s*["']\s*{digits}""", source), (path.name, name, value)
                    dates += 1
            measured = getattr(entry, "value", None)
            if measured is not None and not entry.value_text:
                assert re.search(rf"""value\s*=\s*["']\s*{re.escape(measured.as_sent)}\s*["']""", source), (
                    path.name,
                    measured,
                )
                numbers += 1
    assert dates > 500 and numbers > 40


def test_the_one_malformed_document_of_the_certification_set() -> None:
    bad = [(p.name, r.reason) for p, n in read_set("ccda-onc-cures") for r in n.quarantine]
    assert bad == [("NT_BadXml_r11_v2.xml", "not_xml")]


def test_a_certification_document_read_by_eye() -> None:
    found = named("ccda-onc-cures", "NT_USCDI_Sample1_r21")
    kinds = Counter(type(e).__name__ for e in found.entries)
    assert kinds["Medication"] == 6 and kinds["Allergy"] == 2 and kinds["Immunization"] == 2
    refused = [e for e in found.entries if isinstance(e, Allergy) and e.has_flag("refuted")]
    assert [e.concept.display for e in refused] == ["Clindamycin Hydrochloride"]
    assert [(e.concept.display, e.given) for e in found.entries if isinstance(e, Immunization)] == [
        ("Tetanus and diphtheria toxoids", True),
        ("influenza, intradermal, quadrivalent, preservative free", False),
    ]
    over = {e.concept.display for e in found.entries if isinstance(e, Problem) and e.activity == "historical"}
    assert over == {"Overweight", "Diabetes"}  # resolved in 2007; denied
    stay = next(e for e in found.entries if isinstance(e, Encounter) and e.encounter_class)
    assert stay.encounter_class == "IMP" and stay.diagnoses[0].name == "Anemia in Chronic Kidney Disease"
    assert any(isinstance(e, Vital) and e.value_display == "95 %" for e in found.entries)


@pytest.mark.parametrize(
    ("name", "kind", "display"),
    [
        ("No Known Problems", Problem, "No known problems"),
        ("No Known Allergies", Allergy, "No known allergies"),
        ("No Known Medication Allergies", Allergy, "No known drug allergies"),
        ("No Medications", Medication, "No known medications"),
    ],
)
def test_explicit_negatives(name: str, kind: type, display: str) -> None:
    entry = only(named("ccda-hl7-examples", name), kind)
    assert entry.none_asserted and entry.concept.display == display


def test_sections_without_information() -> None:
    for start, section in (("No Information Allergies", "allergies"), ("No Information Problems", "problems")):
        found = named("ccda-hl7-examples", start)
        assert [(c.section, c.state) for c in found.coverage] == [(section, "not_queried")]


def test_what_is_not_known_of_a_vaccination_is_not_given() -> None:
    assert only(named("ccda-hl7-examples", "Unknown Immunization Status"), Immunization).given is None


def test_a_platelet_count_in_a_unit_of_its_own() -> None:
    assert only(named("ccda-hl7-examples", "Results Unit Non-UCUM"), Result).value_display == "152 THOUS/MCL"


def test_an_rtf_note_is_read() -> None:
    notes = [e for e in named("ccda-hl7-examples", "RTF Example").entries if isinstance(e, Note)]
    assert any(n.text for n in notes)


def test_a_planned_ecg_is_no_procedure() -> None:
    assert only(named("ccda-hl7-examples", "Planned EKG"), CarePlan).activities[0].text == "EKG 12 channel panel"

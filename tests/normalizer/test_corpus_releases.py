"""Real files of DSTU2 and R5: everything is accounted for, every clinical resource gives its entry, nothing is invented."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import Any

import msgspec
import orjson
import pytest
from normalizer_kit import CORPUS, NOW

from adapters.normalizer import normalize, parse_file
from models.record import AnyEntry, RawResource
from models.record.dates import is_partial_date

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not CORPUS.exists(), reason="the corpus ../shared/data is absent"),
]
KIND_OF = {
    "Patient": "demographics", "Condition": "problem", "AllergyIntolerance": "allergy", "MedicationOrder": "medication",
    "MedicationRequest": "medication", "MedicationStatement": "medication", "Encounter": "encounter", "Procedure": "procedure",
    "Immunization": "immunization", "CarePlan": "care_plan", "DiagnosticReport": "report", "DocumentReference": "note",
}  # fmt: skip


class Read:
    """The files of a folder, each normalized by itself. `declared`: the release, or '' to let the resources tell."""

    def __init__(self, folder: str, declared: str) -> None:
        self.raws: list[RawResource] = []
        self.entries: list[AnyEntry] = []
        self.reasons: Counter[str] = Counter()
        self.unbalanced = 0
        for path in sorted((CORPUS / folder).rglob("*.json")):
            found, bad = parse_file(path.read_bytes(), path.name, tenant="t", site=path.stem, retrieved=NOW)
            if declared:
                found = [msgspec.structs.replace(r, fhir_version=declared) for r in found]
            made = normalize(found, rejected=bad)
            self.raws += list({r.key: r for r in found}.values())
            self.entries += made.entries
            self.reasons.update(q.reason for q in made.quarantine)
            self.unbalanced += not made.ledger.balanced


@cache
def read(folder: str, declared: str = "") -> Read:
    return Read(folder, declared)


def counted(folder: str) -> Counter[str]:
    """Clinical resources by type, counted without our parser. What has neither id nor fullUrl counts as often as it stands
    in a file."""
    found: Counter[str] = Counter()
    for path in sorted((CORPUS / folder).rglob("*.json")):
        document, seen = orjson.loads(path.read_bytes()), set()
        holders = {"Bundle": "entry", "Parameters": "parameter"}
        entries = document.get(holders.get(document["resourceType"], ""), [{"resource": document}])
        for entry in entries:
            item = entry.get("resource", {})
            name = (item.get("resourceType"), item.get("id") or entry.get("fullUrl", ""))
            if name[0] in KIND_OF and name not in seen:
                seen.update([name] if name[1] else [])
                found[item["resourceType"]] += 1
    return found


SETS = [("fhir-dstu2", ""), ("fhir-dstu2", "DSTU2"), ("fhir-r5/examples", ""), ("fhir-r5/examples", "R5")]


@pytest.mark.parametrize(("folder", "declared"), SETS)
def test_every_clinical_resource_gives_its_entry(folder: str, declared: str) -> None:
    found = read(folder, declared)
    assert found.unbalanced == 0
    assert set(found.reasons) <= {"operation_outcome", "not_a_resource"}, found.reasons
    made = Counter(e.origin.resource_type for e in found.entries if e.origin.resource_type != "Observation")
    wanted = counted(folder)
    assert made == wanted and wanted.total() > 5
    for entry in found.entries:
        if entry.origin.resource_type in KIND_OF:
            assert entry.to_dict()["kind"] == KIND_OF[entry.origin.resource_type]


@pytest.mark.parametrize(("folder", "release"), [("fhir-dstu2", "DSTU2"), ("fhir-r5/examples", "R5")])
def test_what_the_source_declares_and_what_its_resources_show_lead_to_the_same_record(
    folder: str, release: str
) -> None:
    def clinical(entry: AnyEntry) -> dict[str, Any]:
        return entry.to_dict() | {"flags": sorted({f.code for f in entry.flags} - {"tolerated"})}

    told, shown = ({e.id: clinical(e) for e in read(folder, d).entries} for d in (release, ""))
    assert told == shown


@pytest.mark.parametrize(("folder", "declared"), SETS)
def test_no_date_is_invented(folder: str, declared: str) -> None:
    found = read(folder, declared)
    sources = {(r.site, r.resource_type, r.resource_id): r.content.decode() for r in found.raws}
    checked = 0
    for entry in found.entries:
        origin = entry.origin
        source = sources[origin.site, origin.resource_type, origin.resource_id]
        for name in entry.__struct_fields__:
            value = getattr(entry, name)
            if isinstance(value, str) and name != "id" and re.match(r"\d{4}", value) and is_partial_date(value):
                assert f'"{value}"' in source, (origin.reference, name)
                checked += 1
    assert checked > (500 if "dstu2" in folder else 5)


def all_of_dstu2() -> dict[tuple[str, str, str], dict[str, Any]]:
    """Every resource of the DSTU2 files, those that were to get their id from a server with one of ours."""
    found = {}
    for path in sorted((CORPUS / "fhir-dstu2").rglob("*.json")):
        for number, entry in enumerate(orjson.loads(path.read_bytes())["entry"]):
            item = {"id": f"n{number}"} | entry["resource"]
            found[path.stem, item["resourceType"], item["id"]] = item
    return found


def test_statuses_negations_and_classes_of_dstu2_are_those_of_the_source() -> None:
    items = all_of_dstu2()
    raws = [
        RawResource(
            tenant="t", site=site, resource_type=kind, resource_id=found, content=orjson.dumps(item), retrieved=NOW
        )
        for (site, kind, found), item in items.items()
    ]
    made = normalize([msgspec.structs.replace(r, fhir_version="DSTU2") for r in raws])
    assert made.ledger.balanced and made.ledger.offered == len(items) and not made.quarantine
    seen: Counter[str] = Counter()
    for entry in made.entries:
        origin, said = entry.origin, entry.to_dict()
        item = items[origin.site, origin.resource_type, origin.resource_id]
        seen[origin.resource_type] += 1
        if origin.resource_type == "Immunization":
            assert said["given"] is (item["status"] == "completed" and not item["wasNotGiven"])
            assert said["occurrence"] == item["date"]
        elif origin.resource_type == "Procedure":
            assert said["done"] is (item["status"] == "completed" and not item.get("notPerformed", False))
        elif origin.resource_type == "Condition":
            statuses = (said["clinical_status"], said["verification_status"])
            assert statuses == (item["clinicalStatus"], item["verificationStatus"])
            assert said.get("recorded") == item.get("dateRecorded") and said.get("onset") == item.get("onsetDateTime")
        elif origin.resource_type == "MedicationOrder":
            told = (item["status"], item.get("dateWritten"), item.get("dateEnded"))
            assert (said["status"], said.get("authored"), said.get("end")) == told
            assert said["concept"]["codings"]
        elif origin.resource_type == "Encounter":
            wanted = {"inpatient": "IMP", "outpatient": "AMB", "ambulatory": "AMB", "emergency": "EMER"}
            assert said["encounter_class"] == wanted.get(item["class"], item["class"])
            assert len(said.get("reasons", ())) == len(item.get("reason", ()))
    kinds = Counter(kind for _, kind, _ in items if kind in KIND_OF)
    assert {k: n for k, n in seen.items() if k != "Observation"} == kinds and kinds["Immunization"] > 100

"""Real resources of several makers: everything is accounted for, and the record says what the JSON says, counted apart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
from normalizer_kit import CORPUS, NOW, chart_of

from adapters.normalizer import Normalized, normalize, parse_file
from models.record import AnyEntry, RawResource
from models.record.dates import is_partial_date

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not CORPUS.exists(), reason="the corpus ../shared/data is absent"),
]
SETS = ("fhir-synthea-r4", "fhir-uscore-examples", "fhir-uscore-inferno", "fhir-bulk-ndjson-10")
ONE_TO_ONE = {
    "Patient": {"Demographics"}, "Condition": {"Problem"}, "AllergyIntolerance": {"Allergy"}, "MedicationRequest": {"Medication"},
    "Encounter": {"Encounter"}, "Immunization": {"Immunization"}, "Procedure": {"Procedure"}, "CarePlan": {"CarePlan"},
    "DiagnosticReport": {"Report"}, "DocumentReference": {"Note"},
}  # fmt: skip


class Read:
    """One set of files, read once."""

    def __init__(self, folder: str) -> None:
        self.resources: list[RawResource] = []
        self.quarantined: list[Any] = []
        self.normalized: list[Normalized] = []
        files = sorted(
            p for p in (CORPUS / folder).rglob("*") if p.suffix in (".json", ".ndjson") and p.name != "log.ndjson"
        )
        for batch in [files] if folder.startswith(("fhir-bulk", "fhir-uscore-examples")) else [[f] for f in files]:
            found: list[RawResource] = []
            bad: list[Any] = []
            for path in batch:
                more, worse = parse_file(path.read_bytes(), path.name, tenant="t", site="s", retrieved=NOW)
                found += more
                bad += worse
            made = normalize(found, rejected=bad)
            self.resources += list({r.key: r for r in found}.values())
            self.quarantined += made.quarantine
            self.normalized.append(made)
        self.entries: list[AnyEntry] = [e for n in self.normalized for e in n.entries]
        self.json = [orjson.loads(r.content) for r in self.resources]

    def of(self, kind: str) -> Iterator[dict[str, Any]]:
        return (r for r in self.json if r["resourceType"] == kind)


@cache
def read(folder: str) -> Read:
    return Read(folder)


def offered(folder: str) -> int:
    """Resources of a set, counted without our parser."""
    seen: set[tuple[str, str, str]] = set()
    total = 0
    for path in sorted((CORPUS / folder).rglob("*")):
        if path.suffix not in (".json", ".ndjson") or path.name == "log.ndjson":
            continue
        documents = (
            [orjson.loads(line) for line in path.read_bytes().splitlines() if line.strip()]
            if path.suffix == ".ndjson"
            else [orjson.loads(path.read_bytes())]
        )
        scope = "" if folder.startswith(("fhir-bulk", "fhir-uscore-examples")) else path.name
        for document in documents:
            for item in (
                [e["resource"] for e in document.get("entry", [])]
                if document["resourceType"] == "Bundle"
                else [document]
            ):
                key = (scope, item["resourceType"], item.get("id", f"none-{total}"))
                total += key not in seen
                seen.add(key)
    return total


@pytest.mark.parametrize("folder", SETS)
def test_every_resource_is_accounted_for_and_few_are_unusable(folder: str) -> None:
    found = read(folder)
    ledgers = [n.ledger for n in found.normalized]
    assert all(ledger.balanced for ledger in ledgers)
    assert sum(ledger.offered for ledger in ledgers) >= offered(folder)
    assert sum(len(n.dispositions) for n in found.normalized) == sum(ledger.offered for ledger in ledgers)
    assert not found.quarantined, [(q.reason, q.detail, q.source) for q in found.quarantined]


@pytest.mark.parametrize("folder", SETS)
def test_each_resource_of_a_kind_gives_its_entry(folder: str) -> None:
    found = read(folder)
    for kind, names in ONE_TO_ONE.items():
        mine = [e for e in found.entries if e.origin.resource_type == kind]
        assert len(mine) == len(list(found.of(kind))), kind
        assert {type(e).__name__ for e in mine} <= names
    panels = [
        o
        for o in found.of("Observation")
        if len(o.get("component", [])) in (2, 3) and _codes(o) & {"85354-9", "55284-4", "96607-7"}
    ]
    others = len(list(found.of("Observation"))) - len(panels)
    assert sum(e.origin.resource_type == "Observation" for e in found.entries) == 2 * len(panels) + others
    assert panels or folder == "fhir-bulk-ndjson-10"


def _codes(item: dict[str, Any]) -> set[str]:
    return {c.get("code") for c in item["code"].get("coding", [])}


@pytest.mark.parametrize("folder", SETS)
def test_no_date_is_invented(folder: str) -> None:
    """Every date of an entry stands, letter by letter, in the resource it came from."""
    found = read(folder)
    sources = {(r.resource_type, r.resource_id, r.key[4]): r.content.decode() for r in found.resources}
    checked = 0
    for entry in found.entries:
        origin = entry.origin
        source = sources[origin.resource_type, origin.resource_id, origin.version]
        for name in entry.__struct_fields__:
            value = getattr(entry, name)
            if (
                name not in ("id", "status")
                and isinstance(value, str)
                and re.match(r"\d{4}", value)
                and is_partial_date(value)
            ):
                assert f'"{value}"' in source, (entry.origin.reference, name)
                checked += 1
    assert checked > 100


@pytest.mark.parametrize("folder", SETS)
def test_numbers_and_statuses_are_those_of_the_source(folder: str) -> None:
    found = read(folder)
    raw = {(r["resourceType"], r["id"]): r for r in found.json if "id" in r}
    numbers = 0
    for entry in found.entries:
        item = raw.get((entry.origin.resource_type, entry.origin.resource_id))
        if item is None:
            continue
        if isinstance(item.get("status"), str):
            assert entry.status == item["status"]
        value = getattr(entry, "value", None)
        if value is not None and not entry.origin.path and "valueQuantity" in item:
            assert value.value == item["valueQuantity"]["value"] and float(value.as_sent) == value.value
            numbers += 1
    assert numbers > 40 or folder == "fhir-bulk-ndjson-10"


@pytest.mark.parametrize("folder", SETS)
def test_one_system_has_one_spelling(folder: str) -> None:
    """Whatever spelling a source used, no two entries write the same code system differently."""
    systems = {c.system for e in read(folder).entries for c in e.concept.codings}
    plain: dict[str, set[str]] = {}
    for system in systems:
        plain.setdefault(
            system.lower().removeprefix("https://").removeprefix("http://").partition("|")[0].rstrip("/"), set()
        ).add(system)
    assert all(len(spellings) == 1 for spellings in plain.values())
    assert {s for s in systems if "loinc" in s.lower()} == (
        {"http://loinc.org"} if any("loinc" in s for s in systems) else set()
    )
    assert systems & {"http://snomed.info/sct"}


@pytest.mark.parametrize("folder", SETS[:3])
def test_charts_are_stable_and_valid(folder: str) -> None:
    for made in read(folder).normalized[:6]:
        chart = chart_of(made.entries)
        data = msgspec.json.encode(chart)
        assert msgspec.json.decode(data, type=type(chart)) == chart
        assert msgspec.json.encode(chart_of(reversed(chart.entries), chart.coverage)) == data


def test_the_folder_of_the_corpus_is_the_one_that_was_meant() -> None:
    assert (Path(CORPUS) / "README.md").exists()

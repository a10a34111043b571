"""Resources of every FHIR set: each file ends as entries or in quarantine, and so do real resources damaged on purpose."""

from __future__ import annotations

import copy
import gzip
import json
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from normalizer_kit import CORPUS, NOW, chart_of

from adapters.normalizer import Normalized, normalize, parse_file
from models.record.dates import is_partial_date

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not CORPUS.exists(), reason="the corpus ../shared/data is absent"),
]
SETS = (
    "fhir-synthea-r4",
    "fhir-uscore-examples",
    "fhir-uscore-inferno",
    "fhir-bulk-ndjson-10",
    "fhir-dstu2",
    "fhir-r5",
    "fhir-deqm-gaps",
    "risk-hccinfhir-samples",
    "hl7v2-ms",
)
EXPECTED = {"operation_outcome", "not_a_resource", "not_json"}
"""Reasons that whole files of the sets have: answers that are no record, indexes of packages."""
ODD: list[Any] = [
    None, True, 0, -1, 1e308, 10**30, "", " ", "x" * 200_000, "é\u202e\u0301\U0001f600\u0000", "\ud800", [], {}, [[]], [None],
    {"value": {"value": 1}}, "9999-99-99", "2024-02-30T25:61:61Z", ["a", 1, {}],
]  # fmt: skip


@cache
def files(folder: str) -> list[Path]:
    return sorted(p for p in (CORPUS / folder).rglob("*") if p.name.lower().endswith((".json", ".ndjson", ".json.gz")) and p.name != "log.ndjson")  # fmt: skip


def accounted(found: Normalized) -> None:
    assert found.ledger.balanced
    assert len(found.dispositions) <= found.ledger.offered
    assert not [q for q in found.quarantine if q.reason == "unreadable"], [
        (q.detail, q.source) for q in found.quarantine
    ]
    assert len({e.id for e in found.entries}) == len(found.entries)
    for entry in found.entries:
        assert entry.date is None or is_partial_date(entry.date)
    msgspec.json.encode(chart_of(found.entries))


@pytest.mark.parametrize("folder", ["fhir-deqm-gaps", "risk-hccinfhir-samples", "hl7v2-ms", "fhir-r5"])
def test_every_file_ends_as_entries_or_in_quarantine(folder: str) -> None:
    """Of the sets that no other test reads whole; of the largest every tenth file."""
    for path in files(folder)[:: 10 if folder == "hl7v2-ms" else 1]:
        resources, rejected = parse_file(path.read_bytes(), path.name, tenant="t", site="s", retrieved=NOW)
        assert resources or rejected, path.name
        found = normalize(resources, rejected=rejected)
        assert found.ledger.balanced and {q.reason for q in found.quarantine} <= EXPECTED, path.name


def resources_of(folder: str, many: int) -> Iterator[dict[str, Any]]:
    """Some resources, whatever they stand in; the same at every run."""
    chance, paths = random.Random(11), list(files(folder))
    chance.shuffle(paths)
    left = many
    for path in paths[:12]:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        rows = data.splitlines()[:200] if ".ndjson" in path.name else [data]
        held: list[Any] = []
        for row in rows:
            item = json.loads(row)
            held += (
                [
                    e["resource"]
                    for e in item.get("entry", [])
                    if e.get("resource", {}).get("resourceType") not in (None, "Bundle", "Parameters")
                ]
                if isinstance(item, dict)
                else []
            )
            held += (
                [item]
                if isinstance(item, dict) and item.get("resourceType") not in (None, "Bundle", "Parameters")
                else []
            )
        for item in chance.sample(held, min(4, len(held), left)):
            left -= 1
            yield item


def places(item: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, value in item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ():
        yield (*path, key)
        yield from places(value, (*path, key))


def damaged(item: dict[str, Any], chance: random.Random, blows: int) -> dict[str, Any]:
    """`item` with elements dropped, retyped, nested, blown up, and with text of every kind."""
    made = copy.deepcopy(item)
    for number in range(blows):
        found = [p for p in places(made) if p[0] not in ("resourceType", "id")]
        if not found:
            return made
        *way, last = chance.choice(found)
        holder: Any = made
        for step in way:
            holder = holder[step]
        blow = chance.randrange(5)
        if blow == 0:
            del holder[last]
        elif blow == 1:
            holder[last] = [holder[last]] if chance.random() < 0.5 else {"value": holder[last], "extension": []}
        elif blow == 2:
            for _ in range(3 if number else chance.choice((3, 80))):
                holder[last] = {"extension": [holder[last]]}
        elif blow == 3 and isinstance(holder[last], list | dict) and holder[last]:
            holder[last] = next(iter(holder[last].values())) if isinstance(holder[last], dict) else holder[last][0]
        else:
            holder[last] = chance.choice(ODD)
    return made


@pytest.mark.parametrize("folder", SETS)
def test_real_resources_damaged_at_random(folder: str) -> None:
    chance = random.Random(5)
    items = [damaged(r, chance, blows) for r in resources_of(folder, 14) for blows in (1, 4, 20)]
    assert len(items) > 8
    lines = b"\n".join(json.dumps(i | {"id": f"r{n}"}).encode() for n, i in enumerate(items))
    resources, rejected = parse_file(lines, "x.ndjson", tenant="t", site="s", retrieved=NOW)
    assert len(resources) + len(rejected) == len(items)
    accounted(normalize(resources, rejected=rejected))

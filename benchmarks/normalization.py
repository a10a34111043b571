"""Normalization throughput on one core, as ratios against its limit and against strict parsing.

The limit is a bare JSON parse (orjson.loads) of the same bytes: nothing that reads JSON can be faster. Strict parsing is
`fhir.resources` (R4B classes, validation included) of a sample. Mixes: all resources of the patients (claims and the like
are kept raw and skimmed), only those that become entries, the same of patients never read before (one pass: their codes are
known from others, their dates are not: what a bulk load sees), and one generated chart of 10,000 resources. Patients: the
Synthea set where it stands beside the project, else generated ones. Each repeat measures all ways one after the other, by
CPU time; the best of the repeats is printed for each way: whatever else the machine does can only add to it.
Run: python -m benchmarks.normalization
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence

import orjson

from adapters.normalizer import normalize, parse_file
from adapters.normalizer.judge import judge
from adapters.normalizer.normalize import READERS
from benchmarks.patients import AS_OF, DATA, SITE, TENANT, resources
from models.record import RawResource

REPEATS = 15
STRICT_SAMPLE = 400
PATIENTS = 8
LARGE = 10_000


def patients(first: int = 0) -> list[list[RawResource]]:
    """The raw resources of each of the patients from the `first` on."""
    bundles = sorted((DATA / "fhir-synthea-r4").glob("*.json"))[first : first + PATIENTS]
    documents = [path.read_bytes() for path in bundles]
    return [_raw(d) for d in documents] or [generated(400, first + n) for n in range(PATIENTS)]


def generated(count: int, seed: int) -> list[RawResource]:
    """The raw resources of one generated patient."""
    return _raw(b"\n".join(json.dumps(item).encode() for item in resources(count, seed)))


def _raw(document: bytes) -> list[RawResource]:
    return parse_file(document, "x.ndjson", tenant=TENANT, site=SITE, retrieved=AS_OF)[0]


def facts(charts: Sequence[list[RawResource]]) -> list[list[RawResource]]:
    """Only what becomes entries."""
    return [[raw for raw in chart if raw.resource_type in READERS] for chart in charts]


def seconds(work: Callable[[], None]) -> float:
    """CPU seconds of one call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def measure(charts: Sequence[list[RawResource]], repeats: int) -> tuple[float, float, float]:
    """Resources a second at best: bare parse, normalization, strict parsing."""
    everything = [raw for chart in charts for raw in chart]
    step = max(1, len(everything) // STRICT_SAMPLE)
    sample = everything[::step]

    def parse() -> None:
        for raw in everything:
            orjson.loads(raw.content)

    def read() -> None:
        for chart in charts:
            normalize(chart)

    def strict() -> None:
        for raw in sample:
            judge(raw.content, raw.resource_type)

    strict()  # builds the classes
    rows = [(seconds(parse), seconds(read), seconds(strict)) for _ in range(repeats)]
    parsing, reading, judging = (min(row[i] for row in rows) for i in range(3))
    return len(everything) / parsing, len(everything) / reading, len(sample) / judging


def main() -> None:
    """Measure and print."""
    charts = patients()
    mixes = [
        ("all types", charts, REPEATS),
        ("record types", facts(charts), REPEATS),
        ("unseen patients", facts(patients(PATIENTS)), 1),
        ("large chart", [generated(LARGE, 1)], REPEATS),
    ]
    print(f"{len(charts)} patients, one core, best of {REPEATS} repeats")
    print(f"{'mix':<16} {'resources':>9} {'normalize/s':>12} {'of bare parse':>14} {'x fhir.resources':>17}")
    for name, mix, repeats in mixes:
        parsing, reading, judging = measure(mix, repeats)
        count = sum(map(len, mix))
        print(f"{name:<16} {count:>9} {reading:>12,.0f} {reading / parsing:>13.0%} {reading / judging:>16.1f}x")


if __name__ == "__main__":
    main()

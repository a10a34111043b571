"""Normalization throughput on one core, as ratios against its limit and against strict parsing.

The limit is a bare JSON parse (orjson.loads) of the same bytes: nothing that reads JSON can be faster. Strict parsing is
`fhir.resources` (R4B classes, validation included) of a sample. Two mixes: all resources of the patients (claims and the
like are kept raw and skimmed), and only those that become entries. Patients: the Synthea set where it stands beside the
project, else generated ones. Each repeat measures all ways one after the other, by CPU time; the median repeat is
printed. Run: python -m benchmarks.normalization
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence

import orjson

from adapters.normalizer import normalize, parse_file
from adapters.normalizer.judge import judge
from adapters.normalizer.normalize import READERS
from benchmarks.patients import AS_OF, DATA, SITE, TENANT, resources
from models.record import RawResource

REPEATS = 7
STRICT_SAMPLE = 400
PATIENTS = 8


def patients() -> list[list[RawResource]]:
    """The raw resources of each patient."""
    bundles = sorted((DATA / "fhir-synthea-r4").glob("*.json"))[:PATIENTS]
    documents = [path.read_bytes() for path in bundles] or [
        b"\n".join(json.dumps(item).encode() for item in resources(400, seed)) for seed in range(PATIENTS)
    ]
    return [parse_file(d, "x.ndjson", tenant=TENANT, site=SITE, retrieved=AS_OF)[0] for d in documents]


def seconds(work: Callable[[], None]) -> float:
    """CPU seconds of one call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def measure(charts: Sequence[list[RawResource]]) -> tuple[float, float, float]:
    """Median resources a second: bare parse, normalization, strict parsing."""
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
    rows = [(seconds(parse), seconds(read), seconds(strict)) for _ in range(REPEATS)]
    parsing, reading, judging = (statistics.median(row[i] for row in rows) for i in range(3))
    return len(everything) / parsing, len(everything) / reading, len(sample) / judging


def main() -> None:
    """Measure and print."""
    charts = patients()
    facts = [[raw for raw in chart if raw.resource_type in READERS] for chart in charts]
    print(f"{len(charts)} patients, one core, median of {REPEATS} repeats")
    print(f"{'mix':<14} {'resources':>9} {'normalize/s':>12} {'of bare parse':>14} {'x fhir.resources':>17}")
    for name, mix in (("all types", charts), ("record types", facts)):
        parsing, reading, judging = measure(mix)
        count = sum(map(len, mix))
        print(f"{name:<14} {count:>9} {reading:>12,.0f} {reading / parsing:>13.0%} {reading / judging:>16.1f}x")


if __name__ == "__main__":
    main()

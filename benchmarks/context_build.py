"""How long a context takes: p50 and p95 for charts of 100, 1,000 and 10,000 entries, against a bare JSON dump of the chart.

CPU time of one core. The peer does nothing but write the same chart as JSON, which is the least anyone does who hands a record to a model.
Run: python -m benchmarks.context_build [--repeats N]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import msgspec

from benchmarks.patients import chart
from context_builder import ContextRequest, build_context

SIZES = (100, 1_000, 10_000)
PURPOSES = ("summary", "visit_prep", "question")
BUDGETS = (1_000, 4_000, 8_000)


def times(run: Callable[[], object], repeats: int) -> list[float]:
    """CPU seconds of each of `repeats` runs, after one that does not count; waiting for a busy machine is left out."""
    run()
    found = []
    for _ in range(repeats):
        begin = time.process_time()
        run()
        found.append(time.process_time() - begin)
    return sorted(found)


def p95(sorted_times: list[float]) -> float:
    """The 95th percentile (nearest rank)."""
    return sorted_times[min(len(sorted_times) - 1, round(0.95 * len(sorted_times)))]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=8, help="runs of each purpose and budget")
    repeats = parser.parse_args().repeats
    print(f"{'entries':>8} {'p50 ms':>9} {'p95 ms':>9} {'us/entry':>9} {'dump ms':>9} {'x dump':>7}")
    for size in SIZES:
        patient = chart(size)
        found: list[float] = []
        for purpose in PURPOSES:
            for budget in BUDGETS:
                request = ContextRequest(purpose=purpose, budget_tokens=budget, question="How is the kidney function?")
                found += times(partial(build_context, patient, request), repeats)
        found.sort()
        dump = statistics.median(times(partial(msgspec.json.encode, patient), repeats))
        middle = statistics.median(found)
        print(
            f"{len(patient.entries):>8} {middle * 1e3:>9.1f} {p95(found) * 1e3:>9.1f}"
            f" {middle / len(patient.entries) * 1e6:>9.1f} {dump * 1e3:>9.2f} {middle / dump:>7.0f}"
        )


if __name__ == "__main__":
    main()

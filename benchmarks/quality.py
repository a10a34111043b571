"""What measuring quality costs beside reading: patients a second, and as a share of normalization and assembly, on one core.

For each patient: normalize + assemble (what a refresh does anyway), then `measure` with the raw resources at hand (every
element of us_core.toml), then without (raw elements unknown), and the merge into one tally; then the report of the sum. The
patients are those of the normalization benchmark. By CPU time; the median of the repeats. The size of a site's tally is that of
its different keys: printed after one and after all patients. Run: python -m benchmarks.quality
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from adapters.normalizer import assemble, coverage_from_entries, normalize
from benchmarks.normalization import PATIENTS, patients
from benchmarks.patients import AS_OF, SITE, TENANT
from models.quality import Tally, make_report, measure
from models.record import Chart
from service.quality import raw_of

REPEATS = 5


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of one call, and what it gave."""
    began = time.process_time()
    found = work()
    return time.process_time() - began, found


def main() -> None:
    """Measure and print."""
    charts_raw = patients()

    def read() -> list[Chart]:
        made = []
        for raw in charts_raw:
            entries = normalize(raw).entries
            coverage = coverage_from_entries(entries, (SITE,))
            made.append(assemble(TENANT, "p", entries, coverage, as_of=AS_OF))
        return made

    def judge(charts: list[Chart], with_raw: bool) -> Tally:
        total = Tally()
        for chart, raw in zip(charts, charts_raw, strict=True):
            total.merge(measure(chart, raw=raw_of(raw) if with_raw else None).tally)
        return total

    rows = []
    tally, charts = Tally(), list[Chart]()
    for _ in range(REPEATS):
        reading, charts = timed(read)
        whole, tally = timed(lambda charts=charts: judge(charts, True))  # type: ignore[misc]
        bare, _ = timed(lambda charts=charts: judge(charts, False))  # type: ignore[misc]
        rows.append((reading, whole, bare))
    reading, whole, bare = (statistics.median(row[i] for row in rows) for i in range(3))
    reporting, _ = timed(lambda: make_report(tally, scope="site", name="b", made=AS_OF))
    entries = sum(len(c.entries) for c in charts)
    print(f"{PATIENTS} patients, {entries} entries, one core, median of {REPEATS} repeats")
    print(f"read (normalize + assemble)      {PATIENTS / reading:>8.1f} patients/s")
    print(f"measure, raw at hand             {PATIENTS / whole:>8.1f} patients/s  {whole / reading:>6.1%} of reading")
    print(f"measure, fields only             {PATIENTS / bare:>8.1f} patients/s  {bare / reading:>6.1%} of reading")
    print(f"report of a tally                {reporting * 1000:>8.1f} ms")
    one = len(measure(charts[0]).tally.counts)
    print(f"keys of a tally: one patient {one}, all {len(tally.counts)}")


if __name__ == "__main__":
    main()

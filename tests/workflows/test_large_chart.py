"""A chart of 10,000 laboratory results behind pages of 50, from the site's pages to the store and back.

What bounds the memory: a section's resources are held as the bytes they came as until the section is committed, and
`limits.max_resources` and `limits.max_section_bytes` end a search that brings more; the section is then `truncated`.
Pages, and what was parsed of them, are let go one by one.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from workflow_kit import RECORD, connect, measure

from adapters.profile import parse_site
from adapters.section import SectionFetch
from adapters.source import Source
from service.practice_ehr import Hospital, PracticeEhr
from service.settings import Settings
from service.store import Store

LARGE_CHART = Path(__file__).with_name("large_chart.py")
ROOT = Path(__file__).parents[2]
RESULTS, PAGE = 10_000, 50
OVERRIDES = {"paging": {"count": PAGE}, "limits": {"requests_per_second": 10_000}}
MOST_BYTES = 112_000_000
"""What a refresh of it may add to the memory of a process: 10 kB a result of 0.6 kB, for its bytes, its entry and its rows
on their way into the database. Measured: 94 to 96 MB; the parsed JSON of the pages, if it were kept, would add 34 MB."""


def result(number: int) -> dict[str, object]:
    day = f"20{number % 25:02}-{number % 12 + 1:02}-{number % 28 + 1:02}"
    return measure(f"l{number}", "laboratory", f"{number % 300}-{number % 10}", number, day)


@pytest.fixture(scope="module")
def ehr() -> Iterator[PracticeEhr]:
    others = [r for r in RECORD if not (r["resourceType"] == "Observation" and r["id"].startswith("l"))]
    record = [*others, *(result(number) for number in range(RESULTS))]
    with PracticeEhr(Hospital(key="north", resources=record)) as running:
        yield running


def fetch(ehr: PracticeEhr, **more: object) -> SectionFetch:
    site = {"name": "north", "fhir_base": ehr.base_url, "auth": "none", "allow_loopback": True}

    async def read() -> SectionFetch:
        async with Source("t1", parse_site(site | {"overrides": OVERRIDES | more})) as source:
            return await source.fetch("p1", "labs")

    return asyncio.run(read())


def test_what_is_over_the_cap_is_told_and_not_held(ehr: PracticeEhr) -> None:
    limits = {"limits": OVERRIDES["limits"] | {"max_section_bytes": 1_000_000}}
    fetched = fetch(ehr, **limits)
    assert fetched.coverage.state == "truncated" and "byte_cap" in fetched.coverage.reason
    assert sum(len(r.content) for r in fetched.resources) < 1_100_000


def test_ten_thousand_results_arrive_whole_and_in_bounded_memory(
    ehr: PracticeEhr, store: Store, settings: Settings
) -> None:
    before, patient = len(ehr.requests), connect(store, ehr, overrides=OVERRIDES)
    command = [sys.executable, str(LARGE_CHART), str(settings.home), str(settings.database_url), "t1", patient]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    ledger = told["run"]["report"]["ledger"]
    assert told["run"]["state"] == "done"
    assert ledger["offered"] == ledger["stored"] and not ledger["quarantined"] and not ledger["reported_missing"]
    labs = next(s for s in told["run"]["sections"] if s["section"] == "labs")
    assert (labs["state"], labs["offered"], labs["stored"]) == ("present", RESULTS + 1, RESULTS + 1), "and a doctor"
    chart = store.chart("t1", patient)
    held = [e for e in chart.entries if e.section == "labs"]
    assert {e.origins[0].resource_id: e.value.as_sent for e in held} == {f"l{n}": str(n) for n in range(RESULTS)}
    assert len(held) == RESULTS
    pages = [seen.page for seen in ehr.requests[before:] if seen.resource_type == "Observation" and seen.page > 1]
    assert sorted(pages) == list(range(2, RESULTS // PAGE + 1)), "each page was asked for once"
    assert told["bytes"] < MOST_BYTES, told["bytes"]

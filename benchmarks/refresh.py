"""On-demand refresh of 11 resource types over loopback HTTP: wall time against the slowest single type, requests against
the fewest possible.

A practice EHR answers each type after a delay of its own (below: chosen to look like production EHRs, not measured at
one). The limit of the first ratio is 1.0: all types together take no longer than the slowest alone. The bound is what no
order of requests can be faster than: the slowest type, or all delays together divided by the requests at once. `first` is
a client that has never asked this server, `again` one that remembers how long its answers took. The fewest possible
requests are: capability statement, smart-configuration, token, one for each page of each search, the patient, one for
each referenced resource that no search brings. Run: python -m benchmarks.refresh [--repeats N]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import orjson

from adapters.fhir.references import References, references_of
from adapters.profile import SiteConfig, parse_site
from adapters.smart.keys import KeyPair
from adapters.source import SectionFetch, Source
from models.record import SECTIONS, Section
from service.practice_ehr import Fault, Hospital, PracticeEhr, built_in_hospital

SECONDS = {
    "Patient": 0.15,
    "AllergyIntolerance": 0.25,
    "Condition": 0.35,
    "MedicationRequest": 0.60,
    "Observation": 0.80,
    "Encounter": 0.45,
    "DiagnosticReport": 0.50,
    "Immunization": 0.25,
    "Procedure": 0.35,
    "CarePlan": 0.30,
    "DocumentReference": 0.55,
    "Medication": 0.10,
    "Practitioner": 0.10,
    "Organization": 0.10,
    "Location": 0.10,
    "Binary": 0.20,
}
"""Delay of every answer about a type, searches and reads alike."""
CLIENT = "benchmark"
CONCURRENCY = (2, 4, 8)
"""4 is what profiles allow by default; a site file may say less, or more where the hospital agrees."""


def site_of(ehr: PracticeEhr, concurrency: int) -> SiteConfig:
    """The connection to a practice hospital."""
    limits = {"concurrency": concurrency, "requests_per_second": 200.0}
    return parse_site(
        {"name": "north", "vendor": "generic", "fhir_base": ehr.base_url, "client_id": CLIENT, "allow_loopback": True}
        | {"overrides": {"limits": limits}}
    )


class Refresh(NamedTuple):
    """Seconds, requests and results of one refresh."""

    seconds: float
    requests: int
    fetches: list[SectionFetch]


def refresh(ehr: PracticeEhr, key: KeyPair, patient: str, sections: tuple[Section, ...], concurrency: int) -> Refresh:
    """Open the site and read these sections."""

    async def read() -> list[SectionFetch]:
        async with Source("t1", site_of(ehr, concurrency), key=key) as source:
            return await source.fetch_patient(patient, sections)

    before, begin = len(ehr.requests), time.perf_counter()
    fetches = asyncio.run(read())
    return Refresh(time.perf_counter() - begin, len(ehr.requests) - before, fetches)


def by_type(ehr: PracticeEhr) -> dict[str, tuple[Section, ...]]:
    """Resource type -> the sections that ask for it."""
    found: dict[str, list[Section]] = defaultdict(list)
    for section, rule in site_of(ehr, 4).profile().sections.items():
        found[rule.queries[0].resource_type].append(section)
    return {kind: tuple(sections) for kind, sections in found.items()}


def fewest(ehr: PracticeEhr, fetches: list[SectionFetch]) -> int:
    """The fewest requests that bring what these fetches brought."""
    profile = site_of(ehr, 4).profile()
    assert profile.paging.count is not None
    total = 3  # capability statement, smart-configuration, token
    held, wanted = {(r.resource_type, r.resource_id) for f in fetches for r in f.resources}, References()
    searched: set[tuple[str, str]] = set()
    for fetch in fetches:
        kind = profile.sections[fetch.section].queries[0].resource_type
        own = {(r.resource_type, r.resource_id) for r in fetch.resources if r.resource_type == kind}
        searched |= own
        total += 1 if kind == "Patient" else max(1, -(-len(own) // profile.paging.count))
        total += sum(q.resource_type == kind for q in profile.sections[fetch.section].queries) - 1  # rare categories
        for raw in fetch.resources:
            references_of(orjson.loads(raw.content), ehr.base_url, frozenset(profile.hydrate), wanted)
    return total + len(((wanted.resources | set(wanted.documents)) & held) - searched)


@contextmanager
def slow(hospital: Hospital) -> Iterator[PracticeEhr]:
    """The hospital at an address of its own that nobody has asked before, with the delays."""
    with PracticeEhr(hospital) as ehr:
        ehr.faults.set(*(Fault(kind="delay", resource_type=kind, seconds=s) for kind, s in SECONDS.items()))
        yield ehr


def richest(hospital: Hospital) -> tuple[str, int]:
    """The patient with the most resources, and how many they are."""
    held: dict[str, int] = defaultdict(int)
    for row in hospital.resources:
        subject = row.get("subject") or row.get("patient") or {}
        held[str(subject.get("reference", "")).rpartition("/")[2]] += 1
    patient = max((p for p in held if p), key=lambda p: held[p])
    return patient, held[patient]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=2, help="refreshes of each kind; the median counts")
    repeats = parser.parse_args().repeats
    key = KeyPair.generate("ES384")
    hospital = built_in_hospital("generic", clients={CLIENT: [key.public_jwk()]}, patients=12)
    patient, resources = richest(hospital)
    with slow(hospital) as ehr:
        types = by_type(ehr)
    print(f"{len(types)} resource types, {resources} resources of one patient, {repeats} repeats")
    print(
        f"{'at once':>8} {'asked':>6} {'all s':>7} {'slowest s':>10} {'ratio':>6} {'bound s':>8} {'ratio':>6}"
        f"  {'slowest type':20} {'sent':>5} {'fewest':>7} {'ratio':>6}"
    )
    for concurrency in CONCURRENCY:
        first, again, alone = list[Refresh](), list[Refresh](), defaultdict[str, list[float]](list)
        for _ in range(repeats):
            with slow(hospital) as ehr:
                first.append(refresh(ehr, key, patient, SECTIONS, concurrency))
                work = sum(SECONDS.get(seen.resource_type, 0.0) for seen in ehr.requests)
                again.append(refresh(ehr, key, patient, SECTIONS, concurrency))
                for kind, sections in types.items():
                    alone[kind].append(refresh(ehr, key, patient, sections, concurrency).seconds)
                least = fewest(ehr, first[0].fetches)
        slowest = max(alone, key=lambda kind: statistics.median(alone[kind]))
        longest = statistics.median(alone[slowest])
        bound = max(longest, work / concurrency)
        for asked, runs in (("first", first), ("again", again)):
            assert all(f.coverage.state in ("present", "empty") for run in runs for f in run.fetches)
            seconds, sent = statistics.median(r.seconds for r in runs), max(r.requests for r in runs)
            print(
                f"{concurrency:>8} {asked:>6} {seconds:>7.2f} {longest:>10.2f} {seconds / longest:>6.2f} {bound:>8.2f}"
                f" {seconds / bound:>6.2f}  {slowest:20} {sent:>5} {least:>7} {sent / least:>6.2f}"
            )


if __name__ == "__main__":
    main()

"""C-CDA throughput on one core, against its limit: a bare lxml parse of the same bytes.

All whole documents of the certification set and of the real exports (../shared/data), read from raw as a commit reads them:
prolog check, parse, caps, entries, ledger. Each repeat measures both ways one after the other, by CPU time; medians.
Run: python -m benchmarks.documents
"""

from __future__ import annotations

import statistics

import lxml.etree

from adapters.normalizer import normalize, parse_file
from benchmarks.normalization import seconds
from benchmarks.patients import AS_OF, DATA, SITE, TENANT
from models.record import RawResource

REPEATS = 5


def documents() -> list[RawResource]:
    """The raw documents; those that are put aside when the file is read are left out."""
    paths = [p for s in ("ccda-onc-cures", "ccda-eicr-cdc") for p in sorted((DATA / s).rglob("*.xml"))]
    found = [parse_file(p.read_bytes(), p.name, tenant=TENANT, site=SITE, retrieved=AS_OF)[0] for p in paths]
    return [raw for one in found for raw in one]


def _parse(raw: list[RawResource]) -> None:
    for one in raw:
        lxml.etree.fromstring(one.content)


def _read(raw: list[RawResource]) -> None:
    for one in raw:
        normalize([one])


def main() -> None:
    """Print documents/s, MB/s and the ratio to the bare parse."""
    raw = documents()
    if not raw:
        print("no documents: ../shared/data is absent")
        return
    size = sum(len(r.content) for r in raw) / 1e6
    entries = sum(len(normalize([r]).entries) for r in raw)
    ours, bare = [], []
    for _ in range(REPEATS):
        bare.append(seconds(lambda: _parse(raw)))
        ours.append(seconds(lambda: _read(raw)))
    took, limit = statistics.median(ours), statistics.median(bare)
    print(f"{len(raw)} documents, {size:.1f} MB, {entries} entries")
    print(f"read:       {len(raw) / took:6.0f} documents/s  {size / took:6.1f} MB/s  {entries / took:7.0f} entries/s")
    print(f"bare parse: {len(raw) / limit:6.0f} documents/s  {size / limit:6.1f} MB/s")
    print(f"ratio: {took / limit:.1f} times the bare parse")


if __name__ == "__main__":
    main()

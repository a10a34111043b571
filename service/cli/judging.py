"""`normalize --judge`: the strict verdict of the FHIR classes beside what the tolerant reader made of each resource."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from adapters.normalizer import Normalized
from adapters.normalizer.fhir_xml import json_of
from adapters.normalizer.judge import Violation, judge
from adapters.normalizer.read import NotJson, parse
from adapters.normalizer.releases import written_in
from models.record import RawResource
from service.cli import render
from service.cli.output import stdout

MOST_ROWS = 40


def judged(resources: Iterable[RawResource], normalized: Normalized) -> dict[str, Any]:
    """Counts, and one row for each resource that the classes refuse or that the reader had to read around.

    Element paths and rules only: no value of a patient is repeated.
    """
    tolerated: dict[tuple[str, str], set[str]] = defaultdict(set)
    for entry in normalized.entries:
        for flag in entry.flags:
            if flag.code == "tolerated":
                tolerated[entry.origin.resource_type, entry.origin.resource_id].add(flag.detail)
    put_aside = {(r.resource_type, r.resource_id): r.reason for r in normalized.quarantine}
    counts: Counter[str] = Counter(valid=0, invalid=0, not_judged=0)
    rows = []
    for raw in resources:
        violations = judge(json_of(raw), raw.resource_type, _release(raw))
        verdict = "not_judged" if violations is None else "invalid" if violations else "valid"
        counts[verdict] += 1
        key = (raw.resource_type, raw.resource_id)
        if violations or key in tolerated or key in put_aside:
            rows.append(
                {
                    "resource": "/".join(key),
                    "strict": verdict,
                    "violations": [_row(v) for v in violations or ()],
                    "tolerated": sorted(tolerated.get(key, ())),
                    "became": put_aside.get(key) or normalized.dispositions.get("/".join(raw.key[2:]), "raw_only"),
                }
            )
    return {"counts": dict(counts), "resources": rows}


def _release(raw: RawResource) -> str:
    """The release to judge by: the one the resource was read as."""
    try:
        resource = parse(json_of(raw))
    except NotJson:
        return raw.fhir_version
    return written_in(resource, raw.resource_type, raw.fhir_version) if isinstance(resource, dict) else raw.fhir_version


def _row(violation: Violation) -> dict[str, str]:
    return violation.to_dict() | {"words": str(violation)}


def table(found: dict[str, Any]) -> None:
    """The verdicts for people."""
    console = stdout()
    counts, rows = found["counts"], found["resources"]
    if rows:
        made = render.table("Strict verdict", "resource", "verdict", "violations", "read around", "became")
        for row in rows[:MOST_ROWS]:
            words = "; ".join(v["words"] for v in row["violations"][:3])
            render.row(made, row["resource"], row["strict"], words, ", ".join(row["tolerated"][:3]), row["became"])
        console.print(made)
    if len(rows) > MOST_ROWS:
        console.print(f"... and {len(rows) - MOST_ROWS} more (--json lists all)")
    console.print(
        f"strict FHIR: {counts['valid']} valid, {counts['invalid']} not valid, {counts['not_judged']} not judged"
    )

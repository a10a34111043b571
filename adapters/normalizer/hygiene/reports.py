"""Reports that name results which are not in the record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adapters.normalizer.values import reference_key
from models.record import AnyEntry, Flag, Observation, Report


def missing_results(reports: Sequence[Report], entries: Sequence[AnyEntry]) -> Iterator[tuple[str, Flag]]:
    """A remark on each report of whose results some are missing, at sites that gave any results at all: where none were asked for,
    coverage says so. Contained results (`#...`) are part of the report's own resource."""
    known: dict[str, set[str]] = {}
    for entry in entries:
        if isinstance(entry, Observation):
            for origin in entry.origins:
                if origin.resource_type == "Observation":
                    known.setdefault(origin.site, set()).add(origin.resource_id)
    for report in reports:
        here = known.get(report.site)
        if not here:
            continue
        named = [r for r in report.results if not r.startswith("#")]
        lost = [r for r in named if _id(r) not in here]
        if lost:
            detail = f"{len(lost)} of {len(named)} results it names are not in the record"
            yield report.id, Flag(code="missing_results", detail=detail, rule="missing_results")


def _id(reference: str) -> str:
    """The id that a reference names, of `Observation/1` and of `urn:uuid:1`."""
    key = reference_key(reference)
    return key.removeprefix("urn:uuid:").rpartition("/")[2]

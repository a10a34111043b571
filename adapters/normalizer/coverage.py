"""Coverage of charts that were read from files: what is there, and that nobody was asked for the rest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from models.record import RESOURCE_TYPE_OF_SECTION, SECTIONS, AnyEntry, Coverage, CoverageState


def coverage_from_entries(
    entries: Sequence[AnyEntry], sites: Iterable[str], *, reason: str = "read from a file; no site was asked"
) -> tuple[Coverage, ...]:
    """`present` or `none_asserted` where there are entries; `not_queried` elsewhere (a file is no answer of a site)."""
    found = []
    for site in sorted(set(sites)):
        for section in SECTIONS:
            here = [e for e in entries if e.section == section and any(o.site == site for o in e.origins)]
            state: CoverageState = "present" if here else "not_queried"
            if here and none_asserted(here):
                state = "none_asserted"
            retrieved = max((o.retrieved for e in here for o in e.origins), default="")
            resources = {(o.resource_type, o.resource_id) for e in here for o in e.origins if o.site == site}
            found.append(
                Coverage(
                    section=section,
                    site=site,
                    state=state,
                    resource_type=RESOURCE_TYPE_OF_SECTION[section],
                    as_of=retrieved,
                    reason="" if here else reason,
                    offered=len(resources),
                    stored=len(resources),
                )
            )
    return tuple(found)


def none_asserted(entries: Sequence[AnyEntry]) -> bool:
    """Whether all that a section holds is an explicit negative that still stands."""
    standing = [e for e in entries if not e.superseded and not e.has_flag("refuted")]
    negatives = [e for e in standing if getattr(e, "none_asserted", False)]
    return bool(negatives) and len(negatives) == len(standing)

"""Coverage of charts that were read from files: what is there, and that nobody was asked for the rest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from models.record import (
    RESOURCE_TYPE_OF_SECTION,
    SECTIONS,
    TEXT_ONLY,
    Allergy,
    AnyEntry,
    Coverage,
    CoverageState,
    Rejected,
    Section,
)
from models.terminology.clinical import negative_scope

_SECTION_OF_TYPE: dict[str, Section] = {
    kind: section for section, kind in RESOURCE_TYPE_OF_SECTION.items() if kind != "Observation"
} | {"MedicationStatement": "medications", "MedicationOrder": "medications"}


def coverage_from_entries(
    entries: Sequence[AnyEntry],
    sites: Iterable[str],
    *,
    quarantine: Iterable[Rejected] = (),
    told: Iterable[Coverage] = (),
    reason: str = "read from a file; no site was asked",
) -> tuple[Coverage, ...]:
    """`present` or `none_asserted` where there are entries; `failed` where all that came is in quarantine;
    `not_queried` elsewhere (a file is no answer of a site). A quarantined Observation may belong to any of its sections
    and counts with the results. `told`: what documents say of sections that no entry of theirs speaks for: as text only
    (`present`, whatever other entries there are, and not complete), or that they have no information (`not_queried`,
    unless somebody has)."""
    rejected, said_of = list(quarantine), list(told)
    found = []
    for site in sorted(set(sites)):
        for section in SECTIONS:
            here = [e for e in entries if e.section == section and any(o.site == site for o in e.origins)]
            bad = [r for r in rejected if r.site == site and _section_of(r) == section]
            state: CoverageState = "present" if here else "not_queried"
            said = "" if here else reason
            if here and none_asserted(here) and not bad:
                state = "none_asserted"
            elif bad and not here:
                state, said = "failed", f"in quarantine: {', '.join(sorted({r.reason for r in bad}))}"
            words = [t for t in said_of if t.site == site and t.section == section]
            text_only = [t for t in words if t.told == TEXT_ONLY]
            told_by = text_only or (words if state == "not_queried" else [])
            if told_by:
                state = "present" if text_only else state
                said = "; ".join(dict.fromkeys(t.reason for t in told_by))
            retrieved = max((o.retrieved for e in here for o in e.origins), default="") or max(
                (t.as_of for t in text_only), default=""
            )
            resources = {(o.resource_type, o.resource_id) for e in here for o in e.origins if o.site == site}
            found.append(
                Coverage(
                    section=section,
                    site=site,
                    state=state,
                    resource_type=RESOURCE_TYPE_OF_SECTION[section],
                    as_of=retrieved,
                    reason=said,
                    told=", ".join(dict.fromkeys(t.told for t in told_by)),
                    offered=len(resources) + len(bad),
                    stored=len(resources),
                    quarantined=len(bad),
                )
            )
    return tuple(found)


def _section_of(rejected: Rejected) -> Section | None:
    if rejected.section is not None:
        return rejected.section
    return "labs" if rejected.resource_type == "Observation" else _SECTION_OF_TYPE.get(rejected.resource_type)


def none_asserted(entries: Sequence[AnyEntry]) -> bool:
    """Whether all that a section holds is an explicit negative of the whole section that still stands.

    "No known food allergies" alone is an entry like any other: it does not speak for the section.
    """
    standing = [e for e in entries if not e.superseded and not e.has_flag("refuted")]
    negatives = [e for e in standing if getattr(e, "none_asserted", False)]
    if not negatives or len(negatives) != len(standing):
        return False
    return any(_speaks_for_all(e) for e in negatives)


def _speaks_for_all(entry: AnyEntry) -> bool:
    if getattr(entry, "activity", "") == "historical":
        return False
    codes = [(c.system, c.code) for c in entry.concept.codings]
    return not (isinstance(entry, Allergy) and negative_scope(codes, entry.concept.display))

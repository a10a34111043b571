"""A tally as a report, its findings ranked."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from models.quality.expectations import rules
from models.quality.findings import rank
from models.quality.measure import CODING_CLASSES
from models.quality.must_support import profiles, source_version
from models.quality.parts import (
    FORMAT,
    CodingShares,
    Completeness,
    Expectation,
    QualityReport,
    Remark,
    Scope,
    SectionQuality,
)
from models.quality.tally import Tally
from models.record import SECTIONS, Section

SMALL_CELL = 11
"""Counts of patients from 1 to 10 may point to a person: CMS does not publish cells below 11 (CMS cell size suppression policy)."""


def share(count: int, of: int) -> float | None:
    """count / of, to four places; None of nothing."""
    return round(count / of, 4) if of else None


def make_report(
    tally: Tally,
    *,
    scope: Scope,
    name: str,
    made: str,
    examples: Mapping[str, tuple[str, ...]] | None = None,
) -> QualityReport:
    """The report of a tally. `examples` (entry ids) only for one patient; a site's report carries counts alone."""
    if examples and scope == "site":
        raise ValueError("a site's report names no entries")
    sections = tuple(_section(tally, s) for s in SECTIONS)
    expectations = tuple(_expectation(tally, rule) for rule in rules())
    report = QualityReport(
        format=FORMAT,
        scope=scope,
        name=name,
        made=made,
        us_core=source_version(),
        patients=tally.get("patients"),
        findings=(),
        completeness=tuple(_completeness(tally)),
        coding=tuple(_coding(tally, s) for s in SECTIONS if tally.total("coding", s)),
        expectations=expectations,
        sections=sections,
        flags=tuple(_flags(tally)),
        conflicts=tally.under("conflict"),
        patients_with_conflicts=tally.get("patients_with_conflicts"),
        resources=_resources(tally),
        quarantine=tally.under("quarantine"),
        lost=tally.under("lost"),
        small_cells=0 if scope == "patient" else _small_cells(sections, expectations),
        examples=dict(examples or {}),
        unmeasured=tally.get("unmeasured"),
    )
    return msgspec.structs.replace(report, findings=rank(report))


def _completeness(tally: Tally) -> list[Completeness]:
    rows = []
    for kind, profile in profiles().items():
        for element in profile.elements:
            present, absent, unknown = (
                tally.get("element", kind, element.path, said) for said in ("present", "absent", "unknown")
            )
            if present + absent + unknown:
                rows.append(
                    Completeness(
                        kind=kind,
                        path=element.path,
                        need=element.need,
                        when=element.when,
                        present=present,
                        absent=absent,
                        unknown=unknown,
                        of=present + absent,
                        share=share(present, present + absent),
                    )
                )
    return rows


def _coding(tally: Tally, section: Section) -> CodingShares:
    classes = {name: tally.get("coding", section, name) for name in CODING_CLASSES}
    of = sum(classes.values())
    coded = classes["standard"] + classes["map_table"] + classes["text_match"]
    return CodingShares(
        section=section,
        **classes,
        of=of,
        standard_share=share(coded, of),
        not_standard=of - coded,
        confidence=tuple(tally.get("confidence", section, str(tenth)) for tenth in range(10)),
    )


def _expectation(tally: Tally, rule: str) -> Expectation:
    met, broken, unknown = (tally.get("expectation", rule, said) for said in ("met", "broken", "unknown"))
    words = rules()[rule]
    return Expectation(
        rule=rule,
        title=words.title,
        why=words.why,
        severity=words.severity,
        met=met,
        broken=broken,
        unknown=unknown,
        of=met + broken + unknown,
        share_broken=share(broken, met + broken),
    )


def _section(tally: Tally, section: Section) -> SectionQuality:
    resources = tally.under("section_resources", section)
    return SectionQuality(
        section=section,
        some=tally.get("presence", section, "some"),
        none=tally.get("presence", section, "none"),
        unknown=tally.get("presence", section, "unknown"),
        entries=tally.get("entries", section),
        duplicates=tally.get("flag", "duplicate_of", section),
        coverage=tally.under("coverage", section),
        newest=tally.under("newest", section),
        asked=tally.under("asked", section),
        units=tally.under("unit", section),
        resources=resources | {"offered": sum(resources.values())} if resources else {},
        lost=tally.get("lost", section),
    )


def _flags(tally: Tally) -> list[Remark]:
    rows = []
    for code in tally.under("flag"):
        for section in SECTIONS:
            entries = tally.get("flag", code, section)
            if entries:
                of = tally.get("entries", section)
                rows.append(Remark(code=code, section=section, entries=entries, of=of, share=share(entries, of)))
    return sorted(rows, key=lambda r: (-r.entries, r.code, r.section))


def _resources(tally: Tally) -> dict[str, int]:
    parts = tally.under("resources")
    return parts | {"offered": sum(parts.values())} if parts else {}


def _small_cells(sections: tuple[SectionQuality, ...], expectations: tuple[Expectation, ...]) -> int:
    cells = [c for s in sections for c in (s.some, s.none, s.unknown, s.lost, *s.newest.values())]
    cells += [c for e in expectations for c in (e.met, e.broken, e.unknown)]
    return sum(0 < c < SMALL_CELL for c in cells)

"""What changed between two reports of the same thing, and alerts for what was there and is not any more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from models.quality.parts import Part, QualityReport
from models.record import Section

LOST_SHARE = 0.10
"""An alert when the share of patients with a section falls by this much (absolute). A month's new patients move a share by less."""
LEAST_PATIENTS = 10
"""Below this many patients a share moves with single persons: then only a section that nobody has any more is an alert."""
WORTH_TELLING = 0.01
"""Smaller moves of a share are not listed."""


class Change(Part, frozen=True):
    """One share then and now, with its counts. `better` by the sense of the number."""

    key: str
    what: str
    before: float | None
    after: float | None
    before_count: int
    before_of: int
    after_count: int
    after_of: int
    delta: float | None
    direction: Literal["better", "worse", "unknown"]


class Alert(Part, frozen=True):
    """Something that was given before and is not given now."""

    code: Literal["section_lost", "section_gone", "section_shrunk"]
    section: Section
    words: str
    before: int
    before_of: int
    after: int
    after_of: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready builtins."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


class Trend(Part, frozen=True):
    """Two reports compared."""

    name: str
    before: str
    after: str
    alerts: tuple[Alert, ...]
    changes: tuple[Change, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready builtins."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


class NotComparable(Exception):
    """The reports are about different things."""

    code = "not_comparable"


def compare(before: QualityReport, after: QualityReport) -> Trend:
    """What changed. Raises NotComparable for reports of different scope, name or format of lists."""
    if (before.scope, before.us_core) != (after.scope, after.us_core) or (
        before.scope != "files" and before.name != after.name
    ):
        raise NotComparable(
            f"{before.scope} report against {after.scope} report, or another site, patient or US Core version"
        )
    flags = {(f.code, f.section) for report in (before, after) for f in report.flags}
    then, now = _shares(before, flags), _shares(after, flags)
    changes = [
        change
        for key in sorted(then.keys() | now.keys())
        if (change := _change(key, then.get(key), now.get(key))) is not None
    ]
    changes.sort(key=lambda c: (c.direction != "worse", -(abs(c.delta) if c.delta is not None else 0), c.key))
    return Trend(
        name=after.name, before=before.made, after=after.made, alerts=alerts(after, before), changes=tuple(changes)
    )


def alerts(report: QualityReport, before: QualityReport | None = None) -> tuple[Alert, ...]:
    """Sections that patients lost since their last refresh, and with an earlier report those that are gone or shrunk."""
    found = []
    earlier = {s.section: s for s in before.sections} if before else {}
    for s in report.sections:
        title = s.section.replace("_", " ")
        if s.lost:
            words = f"{title}: {s.lost} of {report.patients} patients had some at their last refresh and now have none"
            found.append(_alert("section_lost", s.section, words, s.lost, report.patients, 0, report.patients))
        old = earlier.get(s.section)
        if before is None or old is None or not old.some:
            continue
        counts = (old.some, before.patients, s.some, report.patients)
        if not s.some:
            how = "they were answered with nothing" if s.none and not s.unknown else "unknown whether there are none"
            words = f"{title}: {old.some} of {before.patients} patients had some, nobody has now ({how})"
            found.append(_alert("section_gone", s.section, words, *counts))
        elif min(before.patients, report.patients) >= LEAST_PATIENTS:
            fall = old.some / before.patients - s.some / report.patients
            if round(fall, 9) >= LOST_SHARE:
                words = f"{title}: patients with some fell from {old.some} of {before.patients} to {s.some} of {report.patients}"
                found.append(_alert("section_shrunk", s.section, words, *counts))
    return tuple(found)


def _alert(
    code: Literal["section_lost", "section_gone", "section_shrunk"],
    section: Section,
    words: str,
    before: int,
    before_of: int,
    after: int,
    after_of: int,
) -> Alert:
    return Alert(
        code=code, section=section, words=words, before=before, before_of=before_of, after=after, after_of=after_of
    )


Counted = tuple[str, int, int, bool]
"""What it is, numerator, denominator, whether more is better."""


def _shares(report: QualityReport, flags: Iterable[tuple[str, Section]]) -> dict[str, Counted]:
    """All shares of a report; `flags` are those to look for, carried by an entry or by none."""
    found: dict[str, Counted] = {}
    for row in report.completeness:
        found[f"completeness/{row.kind}/{row.path}"] = (f"{row.kind}: {row.path} present", row.present, row.of, True)
    for c in report.coding:
        found[f"coding/{c.section}"] = (f"{c.section}: with a standard code", c.of - c.not_standard, c.of, True)
    for e in report.expectations:
        found[f"expectation/{e.rule}"] = (e.title, e.broken, e.met + e.broken, False)
    for s in report.sections:
        found[f"presence/{s.section}"] = (f"{s.section}: patients with some", s.some, s.some + s.none, True)
        found[f"duplicates/{s.section}"] = (f"{s.section}: duplicates", s.duplicates, s.entries, False)
        asked = s.asked.get("within", 0) + s.asked.get("older", 0)
        found[f"stale/{s.section}"] = (
            f"{s.section}: answers older than the target",
            s.asked.get("older", 0),
            asked,
            False,
        )
    carried = {(f.code, f.section): f.entries for f in report.flags}
    entries = {s.section: s.entries for s in report.sections}
    for code, section in flags:
        counted = (f"{section}: {code}", carried.get((code, section), 0), entries[section], False)
        found[f"flag/{code}/{section}"] = counted
    found["quarantine"] = (
        "resources in quarantine",
        report.resources.get("quarantined", 0),
        report.resources.get("offered", 0),
        False,
    )
    found["conflicts"] = ("patients with conflicts", report.patients_with_conflicts, report.patients, False)
    return found


def _change(key: str, then: Counted | None, now: Counted | None) -> Change | None:
    what, good = (now or then or ("", 0, 0, True))[0], (now or then or ("", 0, 0, True))[3]
    before = then[1] / then[2] if then and then[2] else None
    after = now[1] / now[2] if now and now[2] else None
    if before is None and after is None:
        return None
    delta = None if before is None or after is None else round(after - before, 4)
    if delta is not None and abs(delta) < WORTH_TELLING:
        return None
    return Change(
        key=key,
        what=what,
        before=None if before is None else round(before, 4),
        after=None if after is None else round(after, 4),
        before_count=then[1] if then else 0,
        before_of=then[2] if then else 0,
        after_count=now[1] if now else 0,
        after_of=now[2] if now else 0,
        delta=delta,
        direction="unknown" if delta is None else "better" if (delta > 0) == good else "worse",
    )

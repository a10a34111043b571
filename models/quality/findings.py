"""What to fix first: the report's numbers turned into ranked findings, with words from findings.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from models.quality.expectations import ANSWERED, Severity
from models.quality.parts import Finding, QualityReport

WEIGHT: dict[Severity, int] = {"high": 9, "medium": 3, "low": 1}
"""Rank = weight x share affected: a medium finding on all entries stands with a high one on a third of them."""
VITAL_SECTIONS = frozenset({"allergies", "problems", "medications", "labs", "vitals"})
"""Sections that decide treatment; gaps in the others count one step less."""
ONE_STEP_LESS: dict[Severity, Severity] = {"high": "medium", "medium": "low", "low": "low"}
MOST_PATHS = 5
"""Elements named in one line."""
BY_FLAG = (
    "implausible_value",
    "future_date",
    "before_birth",
    "code_text_mismatch",
    "stale_active",
    "duplicate_of",
    "allergy_conflict",
    "unlisted_problem",
    "missing_results",
    "same_drug",
)


@cache
def _words() -> dict[str, dict[str, Any]]:
    return tomllib.loads((Path(__file__).parent / "findings.toml").read_text(encoding="utf-8"))


def rank(report: QualityReport) -> tuple[Finding, ...]:
    """All findings, the gravest first: what was lost, then by rank, ties by how many are affected, then by key."""
    found = [f for f in _all(report) if f.affected]
    return tuple(
        sorted(found, key=lambda f: (not f.key.startswith("lost/"), -WEIGHT[f.severity] * f.share, -f.affected, f.key))
    )


def _all(report: QualityReport) -> Iterator[Finding]:
    yield from _sections(report)
    yield from _accounts(report)
    yield from _expectations(report)
    yield from _entries(report)


def _finding(
    report: QualityReport,
    kind: str,
    affected: int,
    of: int,
    unit: str,
    *,
    key: str = "",
    section: str = "",
    example: str = "",
    words: Mapping[str, str] | None = None,
) -> Iterator[Finding]:
    row = _words()[kind]
    if not affected or not of or affected / of < row["least"]:
        return
    severity: Severity = row["severity"]
    if section and section not in VITAL_SECTIONS and kind != "lost":
        severity = ONE_STEP_LESS[severity]
    yield Finding(
        key=key or (f"{kind}/{section}" if section else kind),
        severity=severity,
        title=row["title"].format(section=section.replace("_", " ").capitalize(), **(words or {})),
        affected=affected,
        of=of,
        share=round(affected / of, 4),
        unit=unit,
        effect=row["effect"],
        fix=row["fix"],
        examples=report.examples.get(example, ()),
    )


def _sections(report: QualityReport) -> Iterator[Finding]:
    for s in report.sections:
        yield from _finding(report, "lost", s.lost, report.patients, "patients", section=s.section)
        open_states = {k: n for k, n in s.coverage.items() if k not in ANSWERED and k != "stale"}
        if report.scope != "files":  # a file is no answer of a site: what it does not hold, nobody was asked for
            states = ", ".join(f"{k.replace('_', ' ')} {n}" for k, n in open_states.items())
            lines = sum(s.coverage.values())
            gaps = sum(open_states.values())
            yield from _finding(
                report, "unread", gaps, lines, "answers of a site", section=s.section, words={"states": states}
            )
            asked = s.asked.get("older", 0) + s.asked.get("within", 0)
            yield from _finding(report, "stale", s.asked.get("older", 0), asked, "answers of a site", section=s.section)
        numbers = sum(s.units.values())
        yield from _finding(report, "units", numbers - s.units.get("ucum", 0), numbers, "numbers", section=s.section)


def _accounts(report: QualityReport) -> Iterator[Finding]:
    offered = report.resources.get("offered", 0)
    reasons = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in report.quarantine.items())
    quarantined = report.resources.get("quarantined", 0)
    yield from _finding(report, "quarantine", quarantined, offered, "resources", words={"reasons": reasons})
    everybody = report.patients + report.unmeasured
    yield from _finding(report, "unmeasured", report.unmeasured, everybody, "patients")
    yield from _finding(report, "missing", report.resources.get("reported_missing", 0), offered, "resources")
    kinds = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in report.conflicts.items())
    yield from _finding(
        report, "conflict", report.patients_with_conflicts, report.patients, "patients", words={"kinds": kinds}
    )


def _expectations(report: QualityReport) -> Iterator[Finding]:
    for e in report.expectations:
        if e.broken:
            yield Finding(
                key=f"expectation/{e.rule}",
                severity=e.severity,
                title=e.title,
                affected=e.broken,
                of=e.met + e.broken,
                share=round(e.broken / (e.met + e.broken), 4),
                unit="patients",
                effect=e.why,
                fix="Ask the source for what is missing; where it has none, that is a finding for the clinician.",
                examples=report.examples.get(f"expectation/{e.rule}/broken", ()),
            )


def _entries(report: QualityReport) -> Iterator[Finding]:
    for row in report.completeness:
        if row.need == "mandatory":
            key, name = f"element/{row.kind}/{row.path}", row.kind.replace("_", " ")
            words = {"path": row.path if not row.path.startswith("Observation") else f"{row.path} ({name})"}
            unit = f"{name} entries"
            yield from _finding(report, "mandatory", row.absent, row.of, unit, key=key, example=key, words=words)
    for need in ("must_support", "uscdi"):
        for kind in dict.fromkeys(row.kind for row in report.completeness):
            yield from _elements(report, need, kind)
    for c in report.coding:
        parts = {"local code": c.local_code, "words only": c.words_only, "nothing": c.nothing}
        worst = max(("local_code", "words_only", "nothing"), key=lambda name: getattr(c, name))
        yield from _finding(
            report,
            "coding",
            c.not_standard,
            c.of,
            "entries",
            section=c.section,
            example=f"coding/{c.section}/{worst}",
            words={"parts": ", ".join(f"{name} {n}" for name, n in parts.items() if n)},
        )
    for flag in report.flags:
        if flag.code in BY_FLAG:
            yield from _finding(
                report,
                flag.code,
                flag.entries,
                flag.of,
                "entries",
                section=flag.section,
                example=f"flag/{flag.code}/{flag.section}",
            )


def _elements(report: QualityReport, need: str, kind: str) -> Iterator[Finding]:
    """The elements of a kind that are absent too often, as one finding: they have one cause, the source's mapping."""
    least = _words()[need]["least"]
    rows = [r for r in report.completeness if r.need == need and r.kind == kind and r.of and r.absent / r.of >= least]
    rows.sort(key=lambda r: (-r.absent / r.of, r.path))
    paths = ", ".join(f"{r.path.partition('.')[2]} {r.absent} of {r.of}" for r in rows[:MOST_PATHS])
    more = f" and {len(rows) - MOST_PATHS} more" if len(rows) > MOST_PATHS else ""
    yield from _finding(
        report,
        need,
        sum(r.absent for r in rows),
        sum(r.of for r in rows),
        "expected elements",
        key=f"{need}/{kind}",
        words={"kind": kind.replace("_", " ").capitalize(), "paths": paths + more},
    )

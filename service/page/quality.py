"""The quality report as one self-contained page: no script, nothing to load, everything escaped."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from models.quality import QualityReport, Trend
from models.quality.parts import CodingShares, SectionQuality
from models.record.coverage import CoverageState
from service.page import plots
from service.page.routes import templates
from service.page.words import SECTION_TITLES

STATE_CSS: dict[CoverageState, str] = {
    "present": "good",
    "none_asserted": "good2",
    "empty": "good3",
    "stale": "warn",
    "truncated": "warn",
    "filtered": "warn",
    "not_queried": "unknown",
    "not_supported": "bad2",
    "not_authorized": "bad2",
    "failed": "bad",
}
CODING_CSS = (
    ("good", "standard", "standard code sent"),
    ("good2", "map_table", "by mapping table"),
    ("good3", "text_match", "by words"),
    ("warn", "local_code", "local code only"),
    ("bad2", "words_only", "words only"),
    ("bad", "nothing", "nothing"),
)
AGE_CSS = (
    ("good", "week", "up to a week"),
    ("good2", "month", "up to a month"),
    ("good3", "quarter", "up to 3 months"),
    ("map", "year", "up to a year"),
    ("warn", "five_years", "up to 5 years"),
    ("bad2", "older", "older"),
    ("unknown", "undated", "undated, or in the future"),
)
WHEN_WORDS = {
    "": "",
    "died": "of the dead",
    "resolved": "of resolved ones",
    "problem_list": "of problems and concerns",
    "encounter_diagnosis": "of encounter diagnoses",
    "has_no_parts": "without components, members or a reason",
    "measured": "of numbers",
    "inpatient": "of stays",
    "not_done": "of those not given",
}
MOST_CHANGES = 40


def quality_page(report: QualityReport, trend: Trend | None = None) -> str:
    """The page."""
    kinds = [(kind, list(rows)) for kind, rows in groupby(report.completeness, key=lambda row: row.kind)]
    return (
        templates()
        .get_template("quality.html")
        .render(
            report=report,
            trend=trend,
            kinds=kinds,
            sections=[s for s in report.sections if s.entries or s.coverage],
            titles=SECTION_TITLES,
            when=WHEN_WORDS,
            bar=plots.bar,
            histogram=plots.histogram,
            coding=coding,
            presence=presence,
            coverage=coverage,
            newest=newest,
            percent=percent,
            coding_legend=CODING_CSS,
            age_legend=AGE_CSS,
            most_changes=MOST_CHANGES,
        )
    )


def percent(share: float | None) -> str:
    """A share for people; never 0 % of nothing, and never rounded to all or none."""
    if share is None:
        return "unknown"
    if 0 < share < 0.001:
        return "< 0.1 %"
    if 0.999 < share < 1:
        return "> 99.9 %"
    return f"{share * 100:.1f} %" if share not in (0, 1) else f"{share * 100:.0f} %"


def coding(row: CodingShares) -> Any:
    """How a section's entries are coded."""
    return plots.stack([(css, getattr(row, name), words) for css, name, words in CODING_CSS])


def presence(row: SectionQuality) -> Any:
    """Patients with some, with none, of whom it is unknown."""
    return plots.stack(
        [("good", row.some, "have some"), ("warn", row.none, "have none"), ("unknown", row.unknown, "unknown")]
    )


def coverage(row: SectionQuality) -> Any:
    """What the sites answered."""
    return plots.stack([(css, row.coverage.get(state, 0), state.replace("_", " ")) for state, css in STATE_CSS.items()])


def newest(row: SectionQuality) -> Any:
    """How old the newest fact is."""
    return plots.stack([(css, row.newest.get(name, 0), words) for css, name, words in AGE_CSS])

"""What is to be remarked about a chart as a whole: flags with their evidence, never an edit.

The rules are data with their sources (over.toml, unlisted.toml, drugs.toml). Every check is a pure function of the set of entries and of
the instant the chart speaks for; a remark names the entries it rests on (docs/decisions/0020-remarks-on-the-chart.md).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from adapters.normalizer.hygiene import drugs, meaning, over, reports, unlisted
from adapters.normalizer.hygiene import results as measured
from adapters.normalizer.hygiene.pills import Pill, pill_of
from models.record import Allergy, AnyEntry, Coverage, Flag, FlagCode, Medication, Observation, Problem, Report

CODES: tuple[FlagCode, ...] = (
    "same_problem",
    "likely_over",
    "unlisted_problem",
    "same_drug",
    "same_class",
    "allergy_conflict",
    "missing_results",
)
"""Flags that are set here and nowhere else; they are set anew for every chart."""
MOST_RELATED = 50


def remarks(entries: Sequence[AnyEntry], coverage: Iterable[Coverage], as_of: str) -> dict[str, tuple[Flag, ...]]:
    """Entry id -> its remarks, in a stable order. What was taken back or is a repeat is neither remarked nor evidence."""
    standing = [e for e in entries if not e.superseded]
    problems = [meaning.listed(e) for e in standing if isinstance(e, Problem) and _asserted(e)]
    pills: list[Pill] = [pill_of(e) for e in standing if isinstance(e, Medication) and _taken(e)]
    allergies = [
        e for e in standing if isinstance(e, Allergy) and e.activity != "historical" and not e.none_asserted
        and not e.has_flag("refuted", "negated")
    ]  # fmt: skip
    results = [e for e in standing if isinstance(e, Observation)]
    answered = unlisted.answered(entries, coverage)
    found: dict[str, set[Flag]] = defaultdict(set)
    for entry_id, flag in (
        *meaning.same(problems),
        *over.likely_over(problems, as_of),
        *unlisted.by_drugs(problems, [p for p in pills if p.entry.site in answered], as_of),
        *measured.by_results(problems, [e for e in results if e.site in answered], standing),
        *drugs.same_drug(pills),
        *drugs.same_class(pills),
        *drugs.against_allergies(pills, allergies),
        *reports.missing_results([e for e in standing if isinstance(e, Report)], entries),
    ):
        found[entry_id].add(flag)
    return {i: tuple(sorted(flags, key=lambda f: (f.code, f.rule, f.detail, f.related))) for i, flags in found.items()}


def _asserted(entry: Problem) -> bool:
    return not entry.none_asserted and not entry.has_flag("refuted", "negated")


def _taken(entry: Medication) -> bool:
    """A current order for use at home; orders of a hospital stay end with it and have reasons of their own."""
    if entry.activity != "active" or entry.none_asserted or entry.do_not_perform:
        return False
    return entry.category != "inpatient" and not entry.has_flag("negated", "refuted")

"""Conditions that end by their nature, and are still called active long after (over.toml)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from adapters.normalizer.hygiene.meaning import Listed
from adapters.normalizer.hygiene.rules import Over, over_rules, pattern
from models.record import Flag, Problem
from models.record.dates import bounds
from models.terminology.conditions import dotted
from models.terminology.systems import ICD10, ICD10CM

_NEVER = (
    "chronic|recurren|history|\\bh/?o\\b|\\bhx\\b|family|sequel|late effect|status post|\\bs/p\\b|persist|\\blong\\b|\\brisk\\b|post-?(covid|viral|"
    "infect|acute|traumatic)|subacute|screening|exposure|contact with|suspected|immun|vaccin|carrier|congenital|old\\b",
)
"""Beside these words it is not the acute condition, or not the patient's."""


def likely_over(problems: Sequence[Listed], as_of: str) -> Iterator[tuple[str, Flag]]:
    """A remark on each problem that is called active and by its nature is over.

    The time counts from the latest date that the resource gives; a date that may lie within the time silences the rule.
    """
    now = bounds(as_of)[0]
    never = pattern(_NEVER)
    for problem in problems:
        entry = problem.entry
        if entry.activity != "active" or entry.clinical_status in ("recurrence", "relapse"):
            continue
        dates = [bounds(d)[1] for d in (entry.onset, entry.recorded) if d]
        if not dates or (never and never.search(problem.words)):
            continue
        for id, rule in over_rules().items():
            if max(dates) < now - timedelta(days=rule.days) and _matches(rule, problem):
                since = max((d for d in (entry.onset, entry.recorded) if d), key=lambda d: (bounds(d)[1], d))
                detail = f"{rule.name} is called active since {since[:10]}; such a one is over after {rule.days} days"
                yield entry.id, Flag(code="likely_over", detail=detail, rule=f"over.{id}", confidence=rule.confidence)
                break


def _matches(rule: Over, problem: Listed) -> bool:
    unless = pattern(rule.not_words)
    if unless and unless.search(problem.words):
        return False
    if rule.not_seventh and any(s in rule.not_seventh for s in _sevenths(problem.entry)):
        return False
    if problem.codes:
        return all(_within(code, rule.codes) for code in problem.codes)
    words = pattern(rule.words)
    return any(words.search(w) for w in problem.words.split(" | ")) if words else False


def _within(code: str, ranges: tuple[str, ...]) -> bool:
    bare = code.replace(".", "")
    for text in ranges:
        low, _, high = text.replace(".", "").partition("-")
        high = high or low
        if low <= bare[: len(low)] and bare[: len(high)] <= high:
            return True
    return False


def _sevenths(entry: Problem) -> list[str]:
    codes = (dotted(c.code) for c in entry.concept.codings if c.system in (ICD10CM, ICD10) and c.code)
    return [code[7] for code in codes if len(code) == 8]

"""Conditions that current drugs or results speak of, and that no problem of the record names (unlisted.toml).

Precision goes before completeness: a problem that may be meant silences a rule, whatever its state; a drug whose order gives another reason is no
evidence; and at a site whose problem list was not read in full, nothing is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from adapters.normalizer.hygiene.meaning import Listed
from adapters.normalizer.hygiene.pills import Pill, Way
from adapters.normalizer.hygiene.rules import DrugRule, ResultRule, Test, pattern, unlisted_rules
from adapters.normalizer.hygiene.rules import Listed as Named
from models.record import AnyEntry, Coverage, Flag, Observation, Problem
from models.record.dates import bounds, sort_key
from models.terminology.systems import LOINC
from models.terminology.units import to_base

_ANSWERED = ("present", "none_asserted", "empty")
_NO_RESULT = ("entered-in-error", "cancelled", "unknown", "registered")
_WAYS: tuple[Way, ...] = ("oral", "injected", "inhaled", "nebulized", "patch")
_MOST_RELATED = 50


def answered(entries: Iterable[AnyEntry], coverage: Iterable[Coverage]) -> frozenset[str]:
    """Sites whose problem list is known: it was read in full. A site without a line in the coverage counts by its problems."""
    lines = [c for c in coverage if c.section == "problems"]
    known = {c.site for c in lines if c.state in _ANSWERED and not c.missing and not c.quarantined}
    spoken_of = {c.site for c in lines}
    return frozenset(known | {e.site for e in entries if isinstance(e, Problem) and e.site not in spoken_of})


def by_drugs(problems: Sequence[Listed], pills: Sequence[Pill], as_of: str) -> Iterator[tuple[str, Flag]]:
    """A remark on each current order whose only reason is a condition that no problem names."""
    now = bounds(as_of)[0]
    for id, rule in unlisted_rules().drug.items():
        evidence = [p for p in pills if _speaks(rule, p) and not _short(p, rule.taken_days, now)]
        if not evidence or _is_listed(rule, problems):
            continue
        ids = sorted({p.entry.id for p in evidence})[: _MOST_RELATED + 1]
        for pill in evidence:
            names = ", ".join(i.name for i in pill.ingredients if _means(rule, pill, i.name))
            yield (
                pill.entry.id,
                Flag(
                    code="unlisted_problem",
                    detail=f"{names} is ordered, and no problem names {rule.name}",
                    related=tuple(i for i in ids if i != pill.entry.id),
                    rule=f"unlisted.drug.{id}",
                    confidence=rule.confidence,
                ),
            )


def _means(rule: DrugRule, pill: Pill, name: str) -> bool:
    return any(
        i.name == name and (i.drug_class in rule.drug_classes or i.name in rule.ingredients) for i in pill.ingredients
    )


def _speaks(rule: DrugRule, pill: Pill) -> bool:
    """Whether one of its ingredients does, and the order names no other reason."""
    if pill.route not in _WAYS or not any(_means(rule, pill, i.name) for i in pill.ingredients):
        return False
    reasons = [c.display for c in pill.entry.reason if c.display]
    words = pattern(rule.listed_words)
    return not reasons or any(words.search(r) for r in reasons if words)


def _short(pill: Pill, days: int, now: datetime) -> bool:
    """Whether the order may be younger than `days`; one without a date may be."""
    begin = pill.entry.start or pill.entry.authored
    return days > 0 and (not begin or bounds(begin)[1] > now - timedelta(days=days))


def _is_listed(rule: Named, problems: Sequence[Listed]) -> bool:
    words, ids = pattern(rule.listed_words), set(rule.listed_as)
    return any(p.ids & ids or (words is not None and words.search(p.words)) for p in problems)


def by_results(problems: Sequence[Listed], results: Sequence[Observation]) -> Iterator[tuple[str, Flag]]:
    """A remark on the two results that make a diagnosis no problem names."""
    tests = {
        code: (id, test) for id, rule in unlisted_rules().results.items() for test in rule.tests for code in test.loinc
    }
    measured: dict[str, list[tuple[Observation, Test, bool]]] = {}
    for entry in results:
        code = entry.concept.code_in(LOINC)
        if code in tests:
            id, test = tests[code]
            beyond = _beyond(entry, test)
            if beyond is not None:
                measured.setdefault(id, []).append((entry, test, beyond))
    for id, rows in measured.items():
        rule = unlisted_rules().results[id]
        rows.sort(key=lambda row: (sort_key(row[0].date), row[0].id))
        pair = _pair(rule, rows)
        if pair is None or _is_listed(rule, problems):
            continue
        (first, one, _), (last, other, _) = pair
        told = f"{one.name} on {_day(first)} and {other.name} on {_day(last)}"
        for entry, twin in ((first, last), (last, first)):
            yield (
                entry.id,
                Flag(
                    code="unlisted_problem",
                    detail=f"{told} meet the definition of {rule.name}, and no problem names it",
                    related=(twin.id,),
                    rule=f"unlisted.results.{id}",
                    confidence=rule.confidence,
                ),
            )


def _day(entry: Observation) -> str:
    return (entry.date or "")[:10]


def _beyond(entry: Observation, test: Test) -> bool | None:
    """Whether the result is beyond the limit; None where that cannot be said (no day, other unit, a bound on the wrong side)."""
    value = entry.value
    if value is None or value.value is None or len(entry.date or "") < 10:
        return None
    if entry.status in _NO_RESULT or entry.has_flag("implausible_value", "negated", "unread_modifier", "future_date"):
        return None
    unit = value.code or value.unit
    number = value.value
    if unit != test.unit:
        base, limit = to_base(number, unit), to_base(1.0, test.unit)
        if base is None or limit is None or base[1] != limit[1]:
            return None
        number = base[0] / limit[0]
    if test.at_least is not None:
        if value.comparator in ("<", "<="):
            return None if number > test.at_least else False
        return number >= test.at_least
    if test.below is None:
        return None
    if value.comparator in (">", ">="):
        return None if number < test.below else False
    return number < test.below


def _pair(
    rule: ResultRule, rows: list[tuple[Observation, Test, bool]]
) -> tuple[tuple[Observation, Test, bool], tuple[Observation, Test, bool]] | None:
    """The latest result beyond the limit and the earliest that confirms it."""
    if rule.uninterrupted:
        last_good = max((_day(entry) for entry, _, beyond in rows if not beyond), default="")
        run = [row for row in rows if row[2] and _day(row[0]) > last_good]
    else:
        run = [row for row in rows if row[2]]
    for first in run[:-1]:
        gap = bounds(_day(run[-1][0]))[0] - bounds(_day(first[0]))[0]
        if rule.apart_days:
            if gap > timedelta(days=rule.apart_days):
                return first, run[-1]
        elif gap >= timedelta(days=1) or first[1].name.split(" ")[0] != run[-1][1].name.split(" ")[0]:
            return first, run[-1]
    return None

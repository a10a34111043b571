"""Results that make a diagnosis which no problem of the record names (unlisted.toml).

What counts as evidence is narrow: a final number with a day and a unit that fits, of a patient known to be old enough, and where a
rule says so not taken in an emergency room or during a stay.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from adapters.normalizer.hygiene.meaning import Listed
from adapters.normalizer.hygiene.rules import ResultRule, Test, unlisted_rules
from adapters.normalizer.hygiene.unlisted import is_listed
from adapters.normalizer.values import reference_key
from models.record import AnyEntry, Demographics, Encounter, Flag, Observation
from models.record.dates import age_years, sort_key
from models.terminology.systems import LOINC

_NO_RESULT = ("entered-in-error", "cancelled", "unknown", "registered")
_ACUTE = frozenset({"EMER", "IMP", "ACUTE", "NONAC", "OBSENC", "SS"})
"""Classes of contacts in which pain and illness raise a blood pressure (ACC/AHA 2017, section 4: readings of a quiet visit)."""
_ANNOTATION = re.compile(r"\{(creat\w*|hb)\}", re.I)


class Row(NamedTuple):
    """A result with its test, its number in the test's unit, and whether that is beyond the limit."""

    entry: Observation
    test: Test
    number: float
    beyond: bool

    @property
    def day(self) -> str:
        """Its day."""
        return (self.entry.date or "")[:10]


def by_results(
    problems: Sequence[Listed], results: Sequence[Observation], everything: Sequence[AnyEntry]
) -> Iterator[tuple[str, Flag]]:
    """A remark on each of the results that together make a diagnosis no problem names."""
    rules = unlisted_rules().results
    tests: dict[str, list[tuple[str, Test]]] = defaultdict(list)
    for id, rule in rules.items():
        for test in rule.tests:
            for code in test.loinc:
                tests[code].append((id, test))
    birth, acute = _birth(everything), _acute(everything)
    measured: dict[str, list[Row]] = defaultdict(list)
    for entry in results:
        for id, test in tests.get(entry.concept.code_in(LOINC) or "", ()):
            row, rule = _row(entry, test), rules[id]
            if row is not None and _old_enough(rule, birth, entry) and not (rule.ambulatory and acute(entry)):
                measured[id].append(row)
    for id, rows in measured.items():
        rule = rules[id]
        rows.sort(key=lambda row: (sort_key(row.entry.date), row.entry.id))
        evidence = _repeated(rule, rows) if rule.of_last_days else _pair(rule, rows)
        if not evidence or is_listed(rule, problems):
            continue
        told = " and ".join(f"{row.test.name} on {row.day}" for row in evidence)
        ids = sorted({row.entry.id for row in evidence})
        for entry_id in ids:
            yield (
                entry_id,
                Flag(
                    code="unlisted_problem",
                    detail=f"{told} meet the definition of {rule.name}, and no problem names it",
                    related=tuple(i for i in ids if i != entry_id),
                    rule=f"unlisted.results.{id}",
                    confidence=rule.confidence,
                ),
            )


def _birth(entries: Sequence[AnyEntry]) -> str:
    """The birth date; '' where none is told, or several."""
    told = {e.birth_date for e in entries if isinstance(e, Demographics) and e.birth_date and not e.superseded}
    return told.pop() if len(told) == 1 else ""


def _old_enough(rule: ResultRule, birth: str, entry: Observation) -> bool:
    """Whether the patient surely had the age from which the definition holds."""
    if not rule.min_age:
        return True
    age = age_years(birth, entry.date or "") if birth else None
    return age is not None and age >= rule.min_age


def _acute(entries: Sequence[AnyEntry]) -> Callable[[Observation], bool]:
    """Whether a result was taken in an emergency room or during a stay: by the contact it names, else by its day."""
    contacts = {
        (e.site, e.origin.resource_id): e
        for e in entries
        if isinstance(e, Encounter) and not e.has_flag("entered_in_error")
    }
    stays = [
        (e.site, e.start[:10], (e.end or e.start)[:10])
        for e in contacts.values()
        if e.encounter_class in _ACUTE and e.start and len(e.start) >= 10
    ]

    def answer(entry: Observation) -> bool:
        named = (
            contacts.get((entry.site, reference_key(entry.encounter).rpartition("/")[2])) if entry.encounter else None
        )
        if named is not None:
            return named.encounter_class in _ACUTE
        day = (entry.date or "")[:10]
        return any(site == entry.site and first <= day <= last for site, first, last in stays)

    return answer


def _row(entry: Observation, test: Test) -> Row | None:
    """The result by the test; None where nothing can be said (no day, other unit, a bound on the wrong side)."""
    value = entry.value
    if value is None or value.value is None or len(entry.date or "") < 10:
        return None
    if entry.status in _NO_RESULT or entry.has_flag("implausible_value", "negated", "unread_modifier", "future_date"):
        return None
    units = ((value.value, value.code or value.unit), (value.canonical_value, value.canonical_code))
    number = next((n for n, unit in units if n is not None and unit and _bare(unit) == _bare(test.unit)), None)
    if number is None:
        return None
    if test.at_least is not None:
        if value.comparator in ("<", "<="):
            return None if number > test.at_least else Row(entry, test, number, False)
        return Row(entry, test, number, number >= test.at_least)
    if test.below is None:
        return None
    if value.comparator in (">", ">="):
        return None if number < test.below else Row(entry, test, number, False)
    return Row(entry, test, number, number < test.below)


def _bare(unit: str) -> str:
    """A unit without the annotation that names what it is per."""
    return _ANNOTATION.sub("", unit)


def _pair(rule: ResultRule, rows: list[Row]) -> list[Row]:
    """The latest result beyond the limit and the earliest that confirms it."""
    last_good = max((row.day for row in rows if not row.beyond), default="")
    if rule.uninterrupted:
        run = [row for row in rows if row.beyond and row.day > last_good]
    else:
        run = [row for row in rows if row.beyond]
        if rule.still and run and run[-1].day <= last_good:
            return []
    for first in run[:-1]:
        gap = date.fromisoformat(run[-1].day) - date.fromisoformat(first.day)
        if rule.apart_days:
            if gap >= timedelta(days=rule.apart_days):
                return [first, run[-1]]
        elif gap or first.test.name.split(" ")[0] != run[-1].test.name.split(" ")[0]:
            return [first, run[-1]]
    return []


def _repeated(rule: ResultRule, rows: list[Row]) -> list[Row]:
    """Of the last days with readings, those beyond the limit, where they are two or more. The lowest reading of each
    kind counts for a day: a pressure is measured again because the first was high (CMS165, guidance)."""
    lowest: dict[str, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        known = lowest[row.day].get(row.test.name)
        if known is None or row.number < known.number:
            lowest[row.day][row.test.name] = row
    days = sorted(lowest)[-rule.of_last_days :]
    beyond = [[row for row in lowest[day].values() if row.beyond] for day in days]
    found = [rows_of_day for rows_of_day in beyond if rows_of_day]
    return [row for rows_of_day in found for row in rows_of_day] if len(found) >= 2 else []

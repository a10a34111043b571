"""Lists that should not be empty (expectations.toml), judged on one chart. What was not asked is unknown, never missing."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

from models.record import AnyEntry, Demographics, Observation, Problem, Section
from models.record.base import Value
from models.record.dates import age_years
from models.terminology.categories import categories_of
from models.terminology.systems import LOINC

Severity = Literal["high", "medium", "low"]
Outcome = Literal["met", "broken", "unknown"]
ANSWERED = frozenset({"present", "none_asserted", "empty"})
"""Coverage states in which a section that holds nothing is known to hold nothing."""


class When(Value, frozen=True):
    """Who is meant; all that is given must hold."""

    min_age: int | None = None
    max_age: int | None = None
    has: tuple[Section, ...] = ()
    category: str = ""


class Expect(Value, frozen=True):
    """What should be there; any of it is enough."""

    sections: tuple[Section, ...] = ()
    loinc: tuple[str, ...] = ()
    category: str = ""


class Rule(Value, frozen=True):
    """One expectation with its reason."""

    title: str
    why: str
    when: When
    expect: Expect
    asks: tuple[Section, ...]
    severity: Severity


@cache
def rules() -> dict[str, Rule]:
    """Id -> rule, in the order of the file."""
    data = tomllib.loads((Path(__file__).parent / "expectations.toml").read_text(encoding="utf-8"))
    return {name: Rule.from_dict(table) for name, table in data.items()}


class Facts:
    """What the rules ask of a chart's standing entries."""

    def __init__(self, entries: Sequence[AnyEntry], as_of: str) -> None:
        standing = [e for e in entries if not e.superseded]
        told = [e for e in standing if not getattr(e, "none_asserted", False)]
        self.sections = {e.section for e in standing}
        self.with_entries = {e.section for e in told}
        births = {e.birth_date for e in standing if isinstance(e, Demographics) and e.birth_date}
        dead = any(isinstance(e, Demographics) and (e.deceased or e.deceased_date) for e in standing)
        self.age = age_years(births.pop(), as_of) if len(births) == 1 and not dead else None
        self.codes = {
            code
            for e in standing
            if isinstance(e, Observation)
            for concept in (e.concept, *(c.concept for c in e.components))
            if (code := concept.code_in(LOINC))
        }
        self.categories: dict[str, list[str]] = {}
        self.active_categories: dict[str, list[str]] = {}
        for e in told:
            if isinstance(e, Problem) and not e.has_flag("refuted", "negated"):
                for group in e.categories or categories_of(e.concept):
                    if group.system == "chartbrief":
                        self.categories.setdefault(group.code, []).append(e.id)
                        if e.activity == "active":
                            self.active_categories.setdefault(group.code, []).append(e.id)

    def because(self, when: When) -> tuple[str, ...] | None:
        """The entries that make the rule apply; None where it does not, or nobody can say (no exact age)."""
        if when.min_age is not None and (self.age is None or self.age < when.min_age):
            return None
        if when.max_age is not None and (self.age is None or self.age > when.max_age):
            return None
        if not set(when.has) <= self.with_entries:
            return None
        found: list[str] = []
        if when.category:
            found += self.active_categories.get(when.category, ())
        if when.category and not found:
            return None
        return tuple(dict.fromkeys(found))

    def meets(self, expect: Expect) -> bool:
        """Whether any of what is expected is there."""
        return (
            bool(self.sections & set(expect.sections))
            or not self.codes.isdisjoint(expect.loinc)
            or expect.category in self.categories
        )


def judge(facts: Facts, answered: Mapping[Section, bool]) -> dict[str, tuple[Outcome, tuple[str, ...]]]:
    """For each rule that applies: how it came out, and the entries that make it apply.

    `answered`: whether each section was asked at all its sites and answered in full.
    """
    found: dict[str, tuple[Outcome, tuple[str, ...]]] = {}
    for name, rule in rules().items():
        because = facts.because(rule.when)
        if because is None:
            continue
        if facts.meets(rule.expect):
            found[name] = ("met", because)
        else:
            found[name] = ("broken" if all(answered.get(s, False) for s in rule.asks) else "unknown", because)
    return found

"""From a weight to a decision: thresholds and vetoes, as data (data/rules.toml), each with its words.

The weights add up as if the fields were independent. In families they are not: twins share birth date, family name,
home and telephone, and score like one person. So a weight never links by itself; the rules say what must not be missing
and what must not be there.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from models.identity.comparisons import LEVELS
from models.identity.words import DATA
from models.record.base import Value

Decision = Literal["match", "review", "no_match"]
RANK: dict[Decision, int] = {"no_match": 0, "review": 1, "match": 2}
SUPPORT = ("number", "contact", "little", "none")
AGES = ("adult", "minor")
Levels = Annotated[dict[str, tuple[str, ...]], msgspec.Meta(description="Field -> levels.")]


def _all_in(levels: dict[str, str], wanted: Levels) -> bool:
    return all(levels[field] in allowed for field, allowed in wanted.items())


class Rule(Value, frozen=True, forbid_unknown_fields=True):
    """What a pair of these levels may at best become."""

    code: str
    words: str
    cap: Literal["review", "no_match"]
    when: Levels
    unless: tuple[Levels, ...] = ()
    contradicts: bool = False

    def holds(self, levels: dict[str, str]) -> bool:
        """Whether the rule applies to a pair of these levels."""
        return _all_in(levels, self.when) and not any(_all_in(levels, excuse) for excuse in self.unless)


class Facts(Value, frozen=True):
    """What the levels do not tell of a pair."""

    adult: bool
    """Both are known to be too old to be registered under a parent's number."""
    little: bool
    """Nobody in the files tells a street, a telephone, a number or a document."""


class Thresholds(Value, frozen=True, forbid_unknown_fields=True):
    """log2 of the odds from which a pair is a match, or is worth a look."""

    match: float
    review: float


class Rules(Value, frozen=True, forbid_unknown_fields=True):
    """All that decides."""

    thresholds: Thresholds
    support: dict[str, Levels]
    rule: tuple[Rule, ...]

    def derived(self, levels: dict[str, str], facts: Facts) -> dict[str, str]:
        """The levels with `support` and `age`."""
        support = next(
            (name for name, told in self.support.items() if any(levels[f] in wanted for f, wanted in told.items())),
            "little" if facts.little else "none",
        )
        return levels | {"support": support, "age": "adult" if facts.adult else "minor"}

    def decide(self, weight: float, levels: dict[str, str], facts: Facts) -> tuple[Decision, tuple[Rule, ...]]:
        """The decision, and the rules that held."""
        decision: Decision = "match"
        if weight < self.thresholds.match:
            decision = "review" if weight >= self.thresholds.review else "no_match"
        known = self.derived(levels, facts)
        held = tuple(r for r in self.rule if r.holds(known))
        for rule in held:
            decision = min(decision, rule.cap, key=lambda d: RANK[d])
        return decision, held


@cache
def rules(path: Path = DATA / "rules.toml") -> Rules:
    """The shipped rules; raises ValueError where they name a field or level that is not compared."""
    found = msgspec.convert(tomllib.loads(path.read_text("utf-8")), Rules)
    known = {name: {label for label, _ in levels} for name, levels in LEVELS.items()}
    known |= {"support": set(SUPPORT), "age": set(AGES)}
    excuses = (excuse for r in found.rule for excuse in r.unless)
    for table in (*(r.when for r in found.rule), *excuses, *found.support.values()):
        for field, levels in table.items():
            if not set(levels) <= known.get(field, set()):
                raise ValueError(
                    f"rules.toml: {field} has no such level: {sorted(set(levels) - known.get(field, set()))}"
                )
    return found

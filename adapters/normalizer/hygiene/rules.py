"""The rules as data: what the three files beside this module may say. An unknown key fails to load."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
_HERE = Path(__file__).parent


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every rule says: how sure a remark by it is, and whose definition it follows."""

    source: str
    confidence: float = 1.0


class Over(Rule, frozen=True):
    """A condition that ends. See over.toml."""

    name: str
    days: int
    codes: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    not_words: tuple[str, ...] = ()
    not_seventh: str = ""


class Listed(Rule, frozen=True):
    """A condition that something speaks of, and what counts as naming it."""

    name: str
    listed_as: tuple[str, ...]
    listed_words: tuple[str, ...]


class DrugRule(Listed, frozen=True):
    """Drugs with one indication."""

    drug_classes: tuple[str, ...] = ()
    ingredients: tuple[str, ...] = ()
    taken_days: int = 0


class Test(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A measurement with its limit, in one unit (UCUM)."""

    name: str
    loinc: tuple[str, ...]
    unit: str
    at_least: float | None = None
    below: float | None = None


class ResultRule(Listed, frozen=True):
    """Two results that make a diagnosis. See unlisted.toml."""

    tests: tuple[Test, ...]
    apart_days: int
    uninterrupted: bool
    still: bool = False
    of_last_days: int = 0
    min_age: int = 0
    ambulatory: bool = False


class Unlisted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """unlisted.toml."""

    drug: dict[str, DrugRule]
    results: dict[str, ResultRule]


class SameDrug(Rule, frozen=True):
    """When two orders of one ingredient are ordinary."""

    two_orders_usual: tuple[str, ...]
    two_orders_usual_ingredients: tuple[str, ...]


class SameClass(Rule, frozen=True):
    """Drugs of which one is enough. `together`: combinations that count as one drug."""

    name: str
    drug_classes: tuple[str, ...] = ()
    ingredients: tuple[str, ...] = ()
    together: tuple[tuple[str, ...], ...] = ()


class AllergyRule(Rule, frozen=True):
    """Between which substances an allergy carries over."""

    cross_reactive: tuple[str, ...]


class Drugs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """drugs.toml."""

    same_drug: SameDrug
    same_class: tuple[SameClass, ...]
    allergy: AllergyRule


def _load(name: str, shape: type[T]) -> T:
    data: dict[str, Any] = tomllib.loads((_HERE / name).read_text(encoding="utf-8"))
    return msgspec.convert(data, shape)


@cache
def over_rules() -> dict[str, Over]:
    """Conditions that end."""
    return _load("over.toml", dict[str, Over])


@cache
def unlisted_rules() -> Unlisted:
    """Conditions that drugs and results speak of."""
    return _load("unlisted.toml", Unlisted)


@cache
def drug_rules() -> Drugs:
    """What two orders may have in common."""
    return _load("drugs.toml", Drugs)


@cache
def pattern(words: tuple[str, ...]) -> re.Pattern[str] | None:
    """One expression for all of `words`; None for none."""
    return re.compile("|".join(f"(?:{w})" for w in words), re.I) if words else None

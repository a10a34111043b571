"""Proportion of days covered (PDC): how much of a time a patient had a drug at hand.

Definition: Pharmacy Quality Alliance, PDC measures (as in CMS Part D star ratings): days covered by at least one fill, from the first fill in the
period to the end of the period; a fill that overlaps the one before of the same ingredient begins when that one ends; at least two fills on
different days, and at least 91 days from the first fill to the end. 0.8 and more is called adherent.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from math import floor
from typing import Annotated, Literal

from msgspec import Meta

from models.record import Medication
from models.record.base import Value
from models.record.supply import Supply, day_after, supplies
from models.terminology.medications import ingredients_of

ADHERENT = 0.8
LEAST_DAYS = 91
LEAST_FILLS = 2


class Adherence(Value, frozen=True):
    """PDC of one ingredient in a period."""

    ingredient: Annotated[str, Meta(description="Name of the ingredient.")]
    first: Annotated[str, Meta(description="First day counted: that of the first fill in the period.")]
    last: Annotated[str, Meta(description="Last day of the period.")]
    days: Annotated[int, Meta(description="Days from the first to the last.")]
    covered: Annotated[int, Meta(description="Days of these with the drug at hand.")]
    fills: Annotated[int, Meta(description="Fills on different days in the period.")]
    basis: Annotated[
        Literal["dispensed", "ordered"],
        Meta(description="dispensed: fills that happened; ordered: what was authorized, an upper bound."),
    ]
    orders: Annotated[tuple[str, ...], Meta(description="Ids of the orders behind it.")]

    @property
    def proportion(self) -> float:
        """Covered days / days, 0 to 1."""
        return self.covered / self.days

    @property
    def meets_definition(self) -> bool:
        """Whether PQA would count the patient: enough fills, enough days, and fills that happened."""
        return self.basis == "dispensed" and self.fills >= LEAST_FILLS and self.days >= LEAST_DAYS


def days_covered(orders: Iterable[Medication], begin: str, end: str) -> tuple[Adherence, ...]:
    """PDC of each known ingredient with a fill between the days `begin` and `end` (YYYY-MM-DD, both inclusive), by name.

    Where any order of an ingredient has dispenses, only dispenses count: an order beside them would count a fill twice.
    """
    fills: dict[str, list[tuple[Supply, str]]] = {}
    for order in orders:
        found = supplies(order)
        if not found:
            continue
        stop = order.end[:10] if order.end and len(order.end) >= 10 and found[0].basis != "dispensed" else ""
        for ingredient in ingredients_of(order.concept):
            rows = fills.setdefault(ingredient.name, [])
            rows += [(cut, order.id) for s in found for cut in _each(s, stop)]
    made = (
        _covered(name, rows, date.fromisoformat(begin), date.fromisoformat(end)) for name, rows in sorted(fills.items())
    )
    return tuple(m for m in made if m is not None)


def _each(supply: Supply, stop: str) -> Iterable[Supply]:
    """The fills of a supply one by one; an order that was stopped has none after that day."""
    first, left = date.fromisoformat(supply.begin), supply.days * supply.fills
    if stop:
        left = min(left, float((date.fromisoformat(stop) - first).days + 1))
    at = first
    while left >= 1:
        days = min(supply.days, left)
        yield Supply(begin=at.isoformat(), days=days, basis=supply.basis)
        at, left = day_after(at, max(floor(supply.days), 1)), left - max(floor(supply.days), 1)


def _covered(name: str, rows: list[tuple[Supply, str]], begin: date, end: date) -> Adherence | None:
    dispensed = [row for row in rows if row[0].basis == "dispensed"]
    counted = sorted(dispensed or rows, key=lambda row: (row[0].begin, row[0].days, row[1]))
    inside = [row for row in counted if begin <= date.fromisoformat(row[0].begin) <= end]
    if not inside:
        return None
    first = date.fromisoformat(inside[0][0].begin)
    free, covered = first, 0
    for supply, _ in inside:
        at = max(date.fromisoformat(supply.begin), free)
        after = day_after(at, floor(supply.days))
        covered += max(0, (min(after, day_after(end, 1)) - at).days)
        free = max(free, after)
    return Adherence(
        ingredient=name,
        first=first.isoformat(),
        last=end.isoformat(),
        days=(end - first).days + 1,
        covered=covered,
        fills=len({supply.begin for supply, _ in inside}),
        basis="dispensed" if dispensed else "ordered",
        orders=tuple(sorted({order for _, order in inside})),
    )

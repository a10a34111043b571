"""How long an order lasts: the period covered by its supply, for adherence and refills.

An order says either the days one fill lasts (`days_supply`) or how much is dispensed and how it is used; refills repeat it. That is what
was *authorized*: whether it was fetched only dispenses tell (`Medication.dispenses`). Nothing is assumed: an order as needed, with
doses from-to, with several steps, or counted in other things than are dispensed has no period unless its days are stated.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Literal

from msgspec import Meta

from models.record.base import Value
from models.record.coding import Quantity
from models.record.statements import Medication

SupplyBasis = Literal["dispensed", "days_supply", "quantity"]
_MOST_DAYS = 400
"""Days one fill can last: US pharmacies dispense at most a year; more is a slip of the pen."""
_MOST_FILLS = 25
"""Fills one order can have: US prescriptions end after a year, the shortest common supply is 14 days."""
_COUNTED = {"tab": "tablet", "tbl": "tablet", "cap": "capsule", "dose": "dose", "ea": "each"}


class Supply(Value, frozen=True):
    """A run of days a drug was at hand for."""

    begin: Annotated[str, Meta(description="First day, YYYY-MM-DD.")]
    days: Annotated[float, Meta(description="Days covered by one fill.")]
    fills: Annotated[int, Meta(ge=1, description="Fills, one after the other: the first and the refills.")] = 1
    basis: Annotated[SupplyBasis, Meta(description="What it rests on.")] = "days_supply"

    @property
    def end(self) -> str:
        """The last day covered when every fill is fetched and used as told."""
        return day_after(date.fromisoformat(self.begin), max(int(self.days * self.fills) - 1, 0)).isoformat()


def day_after(first: date, days: int) -> date:
    """`days` days after `first`; the last day there is where the calendar ends (seen: orders of the year 9999)."""
    try:
        return first + timedelta(days=days)
    except OverflowError:
        return date.max


def supplies(order: Medication) -> tuple[Supply, ...]:
    """The periods an order covers: one for each dispense where dispenses are known, else one for what it authorizes."""
    if order.none_asserted or order.do_not_perform or order.superseded:
        return ()
    if order.dispenses:
        found = []
        for fill in order.dispenses:
            days = _plausible(fill.days_supply) or _days_of(order, fill.quantity)
            if fill.when and len(fill.when) >= 10 and days:
                found.append(Supply(begin=fill.when[:10], days=days, basis="dispensed"))
        return tuple(sorted(found, key=lambda s: (s.begin, s.days)))
    begin = order.start or order.authored
    days = _plausible(order.days_supply) or _days_of(order, order.quantity)
    if not begin or len(begin) < 10 or not days:
        return ()
    fills = 1 + min(order.refills or 0, _MOST_FILLS - 1)
    basis: SupplyBasis = "days_supply" if _plausible(order.days_supply) else "quantity"
    return (Supply(begin=begin[:10], days=days, fills=fills, basis=basis),)


def covered_days(order: Medication) -> float | None:
    """Days that the order's supplies cover together, not beyond its end; None when it does not say."""
    found = supplies(order)
    if not found:
        return None
    total = sum(s.days * s.fills for s in found)
    if order.end and len(order.end) >= 10:
        used = (date.fromisoformat(order.end[:10]) - date.fromisoformat(found[0].begin)).days + 1
        return max(0.0, min(total, float(used)))
    return total


def _plausible(days: float | None) -> float | None:
    return days if days is not None and 0 < days <= _MOST_DAYS else None


def _days_of(order: Medication, quantity: Quantity | None) -> float | None:
    """Days a quantity lasts: quantity / (dose x times a day), both counted in the same thing."""
    if quantity is None or not quantity.value or len(order.dosages) != 1:
        return None
    dosage = order.dosages[0]
    dose = dosage.dose
    if dosage.as_needed or dosage.per_day is None or dose is None or not dose.value or dose.value < 0:
        return None
    if _thing(dose) != _thing(quantity):
        return None
    return _plausible(round(quantity.value / (dose.value * dosage.per_day), 2))


def _thing(quantity: Quantity) -> str:
    """What is counted or measured: 'tablet' for {tbl}, tab, TABS; the unit itself for others."""
    bare = (quantity.unit or quantity.code).strip("{}[] ").casefold()
    singular = bare.removesuffix("s") if len(bare) > 3 else bare
    return _COUNTED.get(singular, singular)

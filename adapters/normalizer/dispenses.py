"""MedicationDispense: what the pharmacy handed over, kept with the order it fills.

No entry of its own: a dispense is no further drug on the list, it says that and when an order was filled. One that names no
order stays raw (its disposition is `support`, as that of all that others refer to).
"""

from __future__ import annotations

from adapters.normalizer.read import Json, Reader
from adapters.normalizer.values import quantity_of, reference_key
from models.record import Dispense
from models.record.dates import sort_key

_HAPPENED = frozenset({"completed", "in-progress", ""})
"""Of these only `completed` is surely handed over; the others count where a day of handing over is given."""


def dispense_of(resource: Json, name: str) -> list[tuple[str, Dispense]]:
    """What was handed over, for each order that it fills; none when it was cancelled, stopped or entered in error."""
    reader = Reader(resource)
    status = reader.text(resource, "status")
    handed = reader.date(resource, "whenHandedOver")
    when = handed or reader.date(resource, "whenPrepared")
    if status not in _HAPPENED or (status != "completed" and not handed):
        return []
    orders = [
        key
        for item in reader.objs(resource, "authorizingPrescription")
        if (key := reference_key(reader.text(item, "reference")))
    ]
    days = reader.number(reader.obj(resource, "daysSupply"), "value")
    made = Dispense(
        reference=name,
        when=when,
        days_supply=days if days is not None and days > 0 else None,
        quantity=quantity_of(reader, resource, "quantity"),
    )
    return [(order, made) for order in dict.fromkeys(orders)]


def in_order_of_time(dispenses: list[Dispense]) -> tuple[Dispense, ...]:
    """Each once, the earliest first, whatever the order of arrival."""
    return tuple(sorted(set(dispenses), key=lambda d: (sort_key(d.when), d.reference)))

"""The chart: one patient's entries from all sites, with what is known to be unknown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, TypeVar

from msgspec import Meta

from models.record.base import Value
from models.record.coverage import Coverage, Section
from models.record.dates import sort_key
from models.record.entries import AnyEntry, Demographics, Entry
from models.record.raw import Ledger

E = TypeVar("E", bound=Entry)

ConflictKind = Literal[
    "active_vs_stopped",  # a medication or problem current in one place, over in another
    "allergy_vs_none",  # an allergy here, "no known allergies" there
    "different_values",  # the same measurement, same time, different values
    "different_dose",  # the same drug with different instructions
    "demographics",  # birth date, sex or death differ
]


class Conflict(Value, frozen=True):
    """Sources that disagree. Both stay; neither is resolved silently."""

    kind: Annotated[ConflictKind, Meta(description="What sort of disagreement.")]
    entry_ids: Annotated[tuple[str, ...], Meta(min_length=2, description="The entries that disagree.")]
    detail: Annotated[str, Meta(description="What they disagree about, in words.")] = ""


class Chart(Value, frozen=True):
    """One patient's record. Entries are in a canonical order, so equal facts give equal bytes."""

    tenant: Annotated[str, Meta(description="Tenant that owns the record.")]
    patient_id: Annotated[str, Meta(description="Chartbrief's id of the person within the tenant.")]
    as_of: Annotated[str, Meta(description="The instant the chart speaks for, ISO 8601 UTC.")]
    entries: Annotated[tuple[AnyEntry, ...], Meta(description="All entries, in canonical order.")] = ()
    coverage: Annotated[tuple[Coverage, ...], Meta(description="What happened with each section at each site.")] = ()
    conflicts: Annotated[tuple[Conflict, ...], Meta(description="Sources that disagree.")] = ()
    ledger: Annotated[Ledger, Meta(description="The account of the resources behind the chart.")] = Ledger()

    @property
    def demographics(self) -> tuple[Demographics, ...]:
        """The person's data, one entry for each site that knows them."""
        return self.of(Demographics)

    def of(self, kind: type[E]) -> tuple[E, ...]:
        """Entries of one class, in chart order."""
        return tuple(e for e in self.entries if isinstance(e, kind))

    def in_section(self, section: Section) -> tuple[AnyEntry, ...]:
        """Entries of one section, in chart order."""
        return tuple(e for e in self.entries if e.section == section)

    def get(self, entry_id: str) -> AnyEntry | None:
        """The entry with this id."""
        return next((e for e in self.entries if e.id == entry_id), None)

    @property
    def sites(self) -> tuple[str, ...]:
        """Sites that gave, or were asked for, anything."""
        return tuple(sorted({c.site for c in self.coverage} | {o.site for e in self.entries for o in e.origins}))


def canonical_order(entries: Iterable[AnyEntry]) -> tuple[AnyEntry, ...]:
    """Newest first within each section, ties by id: independent of the order of arrival."""
    by_id = sorted(entries, key=lambda e: e.id)
    by_date = sorted(by_id, key=lambda e: sort_key(e.date), reverse=True)
    return tuple(sorted(by_date, key=lambda e: e.section))

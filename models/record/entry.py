"""What all entries of a chart share."""

from __future__ import annotations

import hashlib
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from models.record.base import Value
from models.record.coding import Concept
from models.record.coverage import Section
from models.record.dates import PartialDate
from models.record.flags import Flag, FlagCode
from models.record.origin import Origin


def entry_id(site: str, resource_type: str, resource_id: str, path: str = "") -> str:
    """The stable id of an entry: the same resource and path give the same id in every run and version."""
    return hashlib.sha256(f"{site}|{resource_type}|{resource_id}|{path}".encode()).hexdigest()[:16]


class Entry(Value, frozen=True):
    """What all entries share."""

    section: ClassVar[Section]

    id: Annotated[str, Meta(description="Stable id (see entry_id).")]
    origins: Annotated[tuple[Origin, ...], Meta(min_length=1, description="Where it came from; one or more.")]
    concept: Annotated[Concept, Meta(description="What it is: originals and our reading.")] = Concept()
    status: Annotated[str, Meta(description="The FHIR status exactly as sent (after trimming); empty if absent.")] = ""
    flags: Annotated[tuple[Flag, ...], Meta(description="Quality remarks.")] = ()
    notes: Annotated[tuple[str, ...], Meta(description="Annotation texts (Resource.note).")] = ()

    @property
    def origin(self) -> Origin:
        """The first (for most entries the only) origin."""
        return self.origins[0]

    @property
    def site(self) -> str:
        """Site of the first origin."""
        return self.origins[0].site

    @property
    def date(self) -> PartialDate | None:
        """The date by which this entry is ordered and windowed; None when the source gave none."""
        return None

    @property
    def superseded(self) -> bool:
        """True for entries kept but never to be read as current facts (entered in error, duplicates)."""
        return self.has_flag("entered_in_error", "duplicate_of")

    def has_flag(self, *codes: FlagCode) -> bool:
        """Whether any of `codes` is set."""
        return any(flag.code in codes for flag in self.flags)


Activity = Literal["active", "historical", "uncertain"]
"""`active`: the record supports it as current; `historical`: over; `uncertain`: the sources do not let us say."""

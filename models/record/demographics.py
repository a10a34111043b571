"""The person: Patient."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from models.record.base import Value
from models.record.coding import NamedRef
from models.record.coverage import Section
from models.record.dates import PartialDate
from models.record.entry import Entry


class Address(Value, frozen=True):
    """A postal address as sent."""

    lines: Annotated[tuple[str, ...], Meta(description="Street lines in order.")] = ()
    city: Annotated[str, Meta(description="City.")] = ""
    state: Annotated[str, Meta(description="State or province.")] = ""
    postal_code: Annotated[str, Meta(description="Postal code.")] = ""
    country: Annotated[str, Meta(description="Country.")] = ""
    use: Annotated[str, Meta(description="home, work, temp, old, billing.")] = ""


class Identifier(Value, frozen=True):
    """A business identifier (MRN and the like)."""

    system: Annotated[str, Meta(description="Namespace URI of the identifier.")] = ""
    value: Annotated[str, Meta(description="The identifier itself.")] = ""
    type: Annotated[str, Meta(description="Type code, e.g. MR, SS, DL.")] = ""


class PersonName(Value, frozen=True):
    """A person's name as sent."""

    family: Annotated[str, Meta(description="Family name.")] = ""
    given: Annotated[tuple[str, ...], Meta(description="Given names in order, middle names too.")] = ()
    prefix: Annotated[tuple[str, ...], Meta(description="Titles before the name.")] = ()
    suffix: Annotated[tuple[str, ...], Meta(description="Parts after the name (Jr., MD).")] = ()
    use: Annotated[str, Meta(description="official, usual, nickname, maiden, old, ...")] = ""
    text: Annotated[str, Meta(description="The whole name as the source prints it.")] = ""

    def __str__(self) -> str:
        parts = (*self.prefix, *self.given, self.family, *self.suffix)
        return " ".join(p for p in parts if p) or self.text


class Demographics(Entry, frozen=True, tag_field="kind", tag="demographics"):
    """Patient."""

    section: ClassVar[Section] = "demographics"

    names: Annotated[tuple[PersonName, ...], Meta(description="All names the source holds.")] = ()
    birth_date: Annotated[PartialDate | None, Meta(description="Date of birth, as precise as known.")] = None
    gender: Annotated[
        str, Meta(description="Administrative gender: male, female, other, unknown; empty if absent.")
    ] = ""
    birth_sex: Annotated[str, Meta(description="US Core birth sex code (M, F, UNK, ...).")] = ""
    deceased: Annotated[bool | None, Meta(description="None when the source does not say.")] = None
    deceased_date: Annotated[PartialDate | None, Meta(description="Date of death.")] = None
    race: Annotated[tuple[str, ...], Meta(description="US Core race, text or OMB displays.")] = ()
    ethnicity: Annotated[tuple[str, ...], Meta(description="US Core ethnicity, text or OMB displays.")] = ()
    languages: Annotated[tuple[str, ...], Meta(description="Language codes or names; the preferred one first.")] = ()
    marital_status: Annotated[str, Meta(description="Marital status in words.")] = ""
    identifiers: Annotated[tuple[Identifier, ...], Meta(description="Business identifiers (MRN and the like).")] = ()
    addresses: Annotated[tuple[Address, ...], Meta(description="Postal addresses.")] = ()
    telecom: Annotated[tuple[str, ...], Meta(description="'system: value', e.g. 'phone: 555-0100'.")] = ()
    general_practitioners: Annotated[tuple[NamedRef, ...], Meta(description="Nominated primary care providers.")] = ()
    active: Annotated[bool | None, Meta(description="Whether the site still uses this record of the person.")] = None

    @property
    def name(self) -> str:
        """The official or usual name; else the first that is not called old; else the first."""
        for uses in (("official",), ("usual",), ("", "nickname", "temp", "anonymous")):
            for name in self.names:
                if name.use in uses:
                    return str(name)
        return str(self.names[0]) if self.names else ""

    @property
    def date(self) -> PartialDate | None:
        return self.birth_date

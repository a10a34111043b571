"""Codes, concepts and quantities: what the source said, and what we take it to mean and how surely."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from models.record.base import Value

MappingMethod = Literal["standard", "map_table", "text_match", "unmapped"]
"""`standard`: the source sent a standard code; `map_table`: a maintained table translated a local code;
`text_match`: the wording decided; `unmapped`: kept as sent, meaning unknown."""

Confidence = Annotated[float, Meta(ge=0, le=1, description="How sure the mapping is, 0 to 1.")]


class Coding(Value, frozen=True):
    """One code of one code system."""

    system: Annotated[str, Meta(description="Canonical system URI (http://loinc.org), or the one sent if unknown.")] = (
        ""
    )
    code: Annotated[str, Meta(description="The code.")] = ""
    display: Annotated[str, Meta(description="The source's wording for the code.")] = ""
    version: Annotated[str, Meta(description="Code system version, if given.")] = ""
    user_selected: Annotated[bool, Meta(description="The clinician chose this coding (FHIR userSelected).")] = False
    system_as_sent: Annotated[str, Meta(description="The system exactly as received, when it was rewritten.")] = ""


class Mapping(Value, frozen=True):
    """Which code we take a concept to mean, by which method, how surely."""

    method: Annotated[MappingMethod, Meta(description="How the target was found.")]
    confidence: Confidence
    target: Annotated[Coding | None, Meta(description="The standard code; None when unmapped.")] = None
    source: Annotated[Coding | None, Meta(description="The original coding that was mapped, if any.")] = None
    source_text: Annotated[str, Meta(description="The original wording that was matched, if text decided.")] = ""
    table: Annotated[str, Meta(description="Name and version of the mapping table or vocabulary used.")] = ""


class Concept(Value, frozen=True):
    """A coded idea: everything the source sent, and our reading of it beside it. Originals are never overwritten."""

    text: Annotated[str, Meta(description="CodeableConcept.text as sent.")] = ""
    codings: Annotated[tuple[Coding, ...], Meta(description="All codings as sent (system URIs cleaned).")] = ()
    mapping: Annotated[Mapping | None, Meta(description="Our reading; None for concepts we do not map.")] = None

    @property
    def target(self) -> Coding | None:
        """The standard code we use for this concept, if there is one."""
        return self.mapping.target if self.mapping else None

    @property
    def display(self) -> str:
        """The best English wording: the source's text, the target's display, any display, else the bare code.

        The clinician's own wording wins; a target found by table or text supplies a name only where none was sent.
        """
        target = self.target
        if self.text:
            return self.text
        if target and target.display:
            return target.display
        for coding in self.codings:
            if coding.display:
                return coding.display
        for coding in self.codings:
            if coding.code:
                return coding.code
        return ""

    def code_in(self, system: str) -> str | None:
        """The code of this concept in `system` (canonical URI): our target first, then the originals."""
        if self.mapping and self.mapping.target and self.mapping.target.system == system:
            return self.mapping.target.code
        return next((c.code for c in self.codings if c.system == system and c.code), None)

    def __bool__(self) -> bool:
        return bool(self.text or self.codings)


class Grouping(Value, frozen=True):
    """A group a concept belongs to, computed from its codes: a condition category, a CCSR category."""

    system: Annotated[str, Meta(description="Whose grouping: chartbrief or ccsr.")]
    code: Annotated[str, Meta(description="Id of the group, e.g. diabetes_type_2, END002.")]
    name: Annotated[str, Meta(description="The group in words.")] = ""
    parent: Annotated[str, Meta(description="Id of the group that holds this one.")] = ""
    how: Annotated[str, Meta(description="Which code put it there, and by which map.")] = ""


class Quantity(Value, frozen=True):
    """A number with its unit, as sent; `canonical_*` is our conversion beside it."""

    value: Annotated[float | None, Meta(description="The number.")] = None
    unit: Annotated[str, Meta(description="Unit as printed by the source.")] = ""
    code: Annotated[str, Meta(description="UCUM code, as sent or recognized; empty when unknown.")] = ""
    comparator: Annotated[str, Meta(description="<, <=, >=, > or ad, when the number is a bound.")] = ""
    as_sent: Annotated[str, Meta(description="The number's digits exactly as received (7.0 is not 7).")] = ""
    canonical_value: Annotated[float | None, Meta(description="Number in the analyte's canonical unit.")] = None
    canonical_code: Annotated[str, Meta(description="UCUM code of the canonical unit.")] = ""

    def __str__(self) -> str:
        digits = self.as_sent or (f"{self.value:g}" if self.value is not None else "")
        unit = self.unit or self.code
        return f"{self.comparator}{digits} {unit}".strip()


class ReferenceRange(Value, frozen=True):
    """A reference range as the source gave it."""

    low: Annotated[Quantity | None, Meta(description="Lower bound.")] = None
    high: Annotated[Quantity | None, Meta(description="Upper bound.")] = None
    text: Annotated[str, Meta(description="Range in words.")] = ""
    applies_to: Annotated[str, Meta(description="For whom it holds (type, sex, age) in words.")] = ""

    def __str__(self) -> str:
        if self.text:
            return self.text
        low = (self.low.as_sent or f"{self.low.value:g}") if self.low and self.low.value is not None else ""
        high = (self.high.as_sent or f"{self.high.value:g}") if self.high and self.high.value is not None else ""
        if low and high:
            return f"{low}-{high}"
        return f">={low}" if low else (f"<={high}" if high else "")


class NamedRef(Value, frozen=True):
    """Somebody or something named: practitioner, organization, location, by the name the source gave."""

    reference: Annotated[str, Meta(description="Reference as sent, e.g. Practitioner/12.")] = ""
    name: Annotated[str, Meta(description="Name, from the reference's display or the resolved resource.")] = ""
    role: Annotated[str, Meta(description="What it did here: requester, performer, author, recorder, ...")] = ""

"""Observation: vital signs, results, social history and assessments."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from models.record.base import Value
from models.record.coding import Concept, NamedRef, Quantity, ReferenceRange
from models.record.coverage import Section
from models.record.dates import PartialDate
from models.record.entry import Entry


class Component(Value, frozen=True):
    """One component of a panel that is kept whole."""

    concept: Annotated[Concept, Meta(description="What was observed.")]
    value: Annotated[Quantity | None, Meta(description="Numeric value.")] = None
    value_concept: Annotated[Concept | None, Meta(description="Coded value.")] = None
    value_text: Annotated[str, Meta(description="Value in words.")] = ""
    absent_reason: Annotated[str, Meta(description="Why there is no value.")] = ""
    interpretation: Annotated[str, Meta(description="Interpretation code as sent.")] = ""


class Observation(Entry, frozen=True):
    """What vitals, results, social history and assessments share."""

    value: Annotated[Quantity | None, Meta(description="Numeric value.")] = None
    value_concept: Annotated[Concept | None, Meta(description="Coded value.")] = None
    value_text: Annotated[str, Meta(description="Text, ratio, range, time or boolean value in words.")] = ""
    absent_reason: Annotated[str, Meta(description="dataAbsentReason: why there is no value.")] = ""
    effective: Annotated[
        PartialDate | None, Meta(description="When it was true of the patient (start of a period).")
    ] = None
    effective_end: Annotated[PartialDate | None, Meta(description="End of the period, for period observations.")] = None
    issued: Annotated[PartialDate | None, Meta(description="When it was released.")] = None
    category: Annotated[str, Meta(description="Observation category code as sent or derived; empty if unknown.")] = ""
    interpretation: Annotated[str, Meta(description="Interpretation code: N, H, L, HH, LL, A, ... as sent.")] = ""
    abnormal: Annotated[
        bool | None, Meta(description="From interpretation, else from the reference range; None when neither says.")
    ] = None
    reference_ranges: Annotated[tuple[ReferenceRange, ...], Meta(description="Reference ranges as sent.")] = ()
    components: Annotated[
        tuple[Component, ...], Meta(description="Components of a panel that is kept whole, or that qualify a pressure.")
    ] = ()
    performer: Annotated[tuple[NamedRef, ...], Meta(description="Who measured or is responsible.")] = ()
    specimen: Annotated[str, Meta(description="Specimen, by display or reference.")] = ""
    method: Annotated[str, Meta(description="Method in words.")] = ""
    body_site: Annotated[str, Meta(description="Body site in words.")] = ""
    has_member: Annotated[tuple[str, ...], Meta(description="References of member observations.")] = ()
    encounter: Annotated[str, Meta(description="Encounter reference.")] = ""

    @property
    def date(self) -> PartialDate | None:
        return self.effective or self.issued

    @property
    def value_display(self) -> str:
        """The value in words; empty when there is none."""
        if self.value is not None:
            return str(self.value)
        if self.value_concept is not None:
            return self.value_concept.display
        return self.value_text


class Vital(Observation, frozen=True, tag_field="kind", tag="vital"):
    """A vital sign. Blood pressure panels are split: one entry for systolic, one for diastolic."""

    section: ClassVar[Section] = "vitals"


class Result(Observation, frozen=True, tag_field="kind", tag="result"):
    """A laboratory or other diagnostic result."""

    section: ClassVar[Section] = "labs"


class SocialHistory(Observation, frozen=True, tag_field="kind", tag="social_history"):
    """Smoking, alcohol, occupation and the like."""

    section: ClassVar[Section] = "social_history"


class Assessment(Observation, frozen=True, tag_field="kind", tag="assessment"):
    """A survey, score, examination or screening answer."""

    section: ClassVar[Section] = "assessments"

"""Contacts, immunizations, procedures and plans of care."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from models.record.base import Value
from models.record.coding import Concept, NamedRef
from models.record.coverage import Section
from models.record.dates import PartialDate
from models.record.entry import Activity, Entry


class Encounter(Entry, frozen=True, tag_field="kind", tag="encounter"):
    """A contact with care. `concept` is its type."""

    section: ClassVar[Section] = "encounters"

    encounter_class: Annotated[str, Meta(description="AMB, IMP, EMER, VR, HH, ... (v3 ActCode), however spelled.")] = ""
    telehealth: Annotated[bool | None, Meta(description="Held remotely; None when nothing says.")] = None
    start: Annotated[PartialDate | None, Meta(description="Begin.")] = None
    end: Annotated[PartialDate | None, Meta(description="End.")] = None
    length_hours: Annotated[
        float | None, Meta(description="End minus start, when both are exact; else the length sent.")
    ] = None
    length_days: Annotated[int | None, Meta(description="Midnights between its first and its last day.")] = None
    reasons: Annotated[tuple[Concept, ...], Meta(description="Reasons as sent.")] = ()
    diagnoses: Annotated[tuple[NamedRef, ...], Meta(description="Referenced Conditions/Procedures with use.")] = ()
    disposition: Annotated[str, Meta(description="Discharge disposition in words.")] = ""
    disposition_code: Annotated[
        str, Meta(description="HL7's discharge-disposition code (home, hosp, snf, exp, ...), also from claims' codes.")
    ] = ""
    participants: Annotated[tuple[NamedRef, ...], Meta(description="Who took part, with role.")] = ()
    location: Annotated[tuple[NamedRef, ...], Meta(description="Where.")] = ()
    service_provider: Annotated[NamedRef | None, Meta(description="Responsible organization.")] = None

    @property
    def date(self) -> PartialDate | None:
        return self.start or self.end


class Immunization(Entry, frozen=True, tag_field="kind", tag="immunization"):
    """Immunization. `given` is False for not-done and refused: never counted as care."""

    section: ClassVar[Section] = "immunizations"

    given: Annotated[bool | None, Meta(description="True only for status completed; None when status is absent.")] = (
        None
    )
    status_reason: Annotated[str, Meta(description="Why it was not done.")] = ""
    occurrence: Annotated[PartialDate | None, Meta(description="When it was given (or should have been).")] = None
    occurrence_text: Annotated[str, Meta(description="Time in words, when it is no date.")] = ""
    dose_number: Annotated[str, Meta(description="Number within the series, as sent.")] = ""
    lot: Annotated[str, Meta(description="Lot number.")] = ""
    primary_source: Annotated[bool | None, Meta(description="False: reported, not recorded by who gave it.")] = None
    performer: Annotated[tuple[NamedRef, ...], Meta(description="Who gave it.")] = ()
    encounter: Annotated[str, Meta(description="Encounter reference.")] = ""

    @property
    def date(self) -> PartialDate | None:
        return self.occurrence


class Procedure(Entry, frozen=True, tag_field="kind", tag="procedure"):
    """Procedure. `done` is False for not-done: never counted as care."""

    section: ClassVar[Section] = "procedures"

    done: Annotated[bool | None, Meta(description="True for completed, False for not-done; None otherwise.")] = None
    status_reason: Annotated[str, Meta(description="Why it has its status, in words.")] = ""
    performed: Annotated[PartialDate | None, Meta(description="When it was done (start of a period).")] = None
    performed_end: Annotated[PartialDate | None, Meta(description="End of the period.")] = None
    performed_text: Annotated[str, Meta(description="Time in words or as age, when it is no date.")] = ""
    reasons: Annotated[tuple[Concept, ...], Meta(description="Indications as sent.")] = ()
    body_site: Annotated[str, Meta(description="Body site in words.")] = ""
    outcome: Annotated[str, Meta(description="Outcome in words.")] = ""
    performer: Annotated[tuple[NamedRef, ...], Meta(description="Who did it.")] = ()
    encounter: Annotated[str, Meta(description="Encounter reference.")] = ""

    @property
    def date(self) -> PartialDate | None:
        return self.performed


class PlannedActivity(Value, frozen=True):
    """One activity of a care plan."""

    text: Annotated[str, Meta(description="What is planned.")] = ""
    status: Annotated[str, Meta(description="Status as sent.")] = ""
    scheduled: Annotated[str, Meta(description="When, in words.")] = ""


class CarePlan(Entry, frozen=True, tag_field="kind", tag="care_plan"):
    """CarePlan. `concept` is its category or title."""

    section: ClassVar[Section] = "care_plans"

    activity: Annotated[Activity, Meta(description="Our reading of status and period.")] = "uncertain"
    title: Annotated[str, Meta(description="Title.")] = ""
    description: Annotated[str, Meta(description="Description.")] = ""
    intent: Annotated[str, Meta(description="proposal, plan, order, option, as sent.")] = ""
    start: Annotated[PartialDate | None, Meta(description="Begin of its period.")] = None
    end: Annotated[PartialDate | None, Meta(description="End of its period.")] = None
    activities: Annotated[tuple[PlannedActivity, ...], Meta(description="Planned activities.")] = ()
    goals: Annotated[tuple[str, ...], Meta(description="Goal texts (resolved) or references.")] = ()
    addresses: Annotated[tuple[NamedRef, ...], Meta(description="Problems it addresses.")] = ()
    narrative: Annotated[str, Meta(description="Text of the narrative when the plan is in words only.")] = ""
    author: Annotated[tuple[NamedRef, ...], Meta(description="Who made it.")] = ()

    @property
    def date(self) -> PartialDate | None:
        return self.start

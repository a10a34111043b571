"""Problems, medications and allergies: statements that hold over time."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from models.record.base import Value
from models.record.coding import Concept, Grouping, NamedRef, Quantity
from models.record.coverage import Section
from models.record.dates import PartialDate
from models.record.entry import Activity, Entry


class Problem(Entry, frozen=True, tag_field="kind", tag="problem"):
    """Condition: a problem-list item, an encounter diagnosis or a health concern."""

    section: ClassVar[Section] = "problems"

    activity: Annotated[Activity, Meta(description="Our reading of status, verification and abatement.")] = "uncertain"
    activity_reason: Annotated[str, Meta(description="Which fields decided, in words.")] = ""
    clinical_status: Annotated[str, Meta(description="active, recurrence, remission, resolved, ... as sent.")] = ""
    verification_status: Annotated[str, Meta(description="confirmed, provisional, refuted, ... as sent.")] = ""
    category: Annotated[str, Meta(description="problem-list-item, encounter-diagnosis, health-concern, sdoh.")] = ""
    categories: Annotated[tuple[Grouping, ...], Meta(description="Condition categories, computed from the codes.")] = ()
    severity: Annotated[str, Meta(description="Severity in words.")] = ""
    body_site: Annotated[str, Meta(description="Body site in words.")] = ""
    onset: Annotated[PartialDate | None, Meta(description="When it began.")] = None
    onset_text: Annotated[str, Meta(description="Onset as age, range or words, when it is no date.")] = ""
    abatement: Annotated[PartialDate | None, Meta(description="When it ended.")] = None
    abatement_text: Annotated[str, Meta(description="End as age, range or words, when it is no date.")] = ""
    recorded: Annotated[PartialDate | None, Meta(description="When it was first written down.")] = None
    recorder: Annotated[NamedRef | None, Meta(description="Who wrote it down or asserted it.")] = None
    encounter: Annotated[str, Meta(description="Encounter reference.")] = ""
    none_asserted: Annotated[bool, Meta(description="An explicit negative: 'no known problems'.")] = False

    @property
    def date(self) -> PartialDate | None:
        return self.onset or self.recorded


class Dosage(Value, frozen=True):
    """One dosage instruction."""

    text: Annotated[str, Meta(description="The instruction as written, or built from the structured parts.")] = ""
    dose: Annotated[Quantity | None, Meta(description="Dose of one administration.")] = None
    route: Annotated[str, Meta(description="Route in words.")] = ""
    frequency: Annotated[str, Meta(description="Timing in words, e.g. '2 times a day'.")] = ""
    as_needed: Annotated[bool | None, Meta(description="Taken only when needed (PRN); None when not said.")] = None
    per_day: Annotated[
        float | None, Meta(description="Administrations a day; None when the timing leaves it open.")
    ] = None


class Dispense(Value, frozen=True):
    """One fill of an order, as the pharmacy reports it."""

    reference: Annotated[str, Meta(description="The MedicationDispense, Type/id.")]
    when: Annotated[PartialDate | None, Meta(description="When it was handed over, else prepared.")] = None
    days_supply: Annotated[float | None, Meta(description="Days it lasts.")] = None
    quantity: Annotated[Quantity | None, Meta(description="How much was given.")] = None


class Medication(Entry, frozen=True, tag_field="kind", tag="medication"):
    """MedicationRequest / MedicationOrder / MedicationStatement with its Medication resolved."""

    section: ClassVar[Section] = "medications"

    activity: Annotated[Activity, Meta(description="Our reading of status, dates and age of the order.")] = "uncertain"
    activity_reason: Annotated[str, Meta(description="Which fields decided, in words.")] = ""
    intent: Annotated[str, Meta(description="proposal, plan, order, ... as sent.")] = ""
    category: Annotated[str, Meta(description="inpatient, outpatient, community, discharge.")] = ""
    reported: Annotated[bool | None, Meta(description="Reported by patient or others rather than ordered.")] = None
    authored: Annotated[PartialDate | None, Meta(description="When it was written.")] = None
    start: Annotated[PartialDate | None, Meta(description="First day of use, when stated.")] = None
    end: Annotated[PartialDate | None, Meta(description="Last day of use, when stated.")] = None
    dosages: Annotated[tuple[Dosage, ...], Meta(description="Dosage instructions in order.")] = ()
    reason: Annotated[tuple[Concept, ...], Meta(description="Indication, as sent.")] = ()
    requester: Annotated[NamedRef | None, Meta(description="Who ordered it.")] = None
    refills: Annotated[int | None, Meta(description="Repeats allowed.")] = None
    quantity: Annotated[Quantity | None, Meta(description="Quantity to dispense.")] = None
    days_supply: Annotated[float | None, Meta(description="Expected supply in days, of one fill.")] = None
    dispenses: Annotated[tuple[Dispense, ...], Meta(description="Its fills, where the source tells them.")] = ()
    status_reason: Annotated[str, Meta(description="Why it has its status, in words.")] = ""
    do_not_perform: Annotated[bool, Meta(description="The order says NOT to give it.")] = False
    none_asserted: Annotated[bool, Meta(description="An explicit negative: 'no current medications'.")] = False
    encounter: Annotated[str, Meta(description="Encounter reference.")] = ""

    @property
    def date(self) -> PartialDate | None:
        return self.authored or self.start


class Reaction(Value, frozen=True):
    """One recorded reaction to a substance."""

    manifestations: Annotated[tuple[Concept, ...], Meta(description="Signs and symptoms.")] = ()
    severity: Annotated[str, Meta(description="mild, moderate or severe, as sent.")] = ""
    onset: Annotated[PartialDate | None, Meta(description="When it showed.")] = None
    description: Annotated[str, Meta(description="The event in words.")] = ""


class Allergy(Entry, frozen=True, tag_field="kind", tag="allergy"):
    """AllergyIntolerance."""

    section: ClassVar[Section] = "allergies"

    activity: Annotated[Activity, Meta(description="Our reading of status and verification.")] = "uncertain"
    activity_reason: Annotated[str, Meta(description="Which fields decided, in words.")] = ""
    clinical_status: Annotated[str, Meta(description="active, inactive, resolved, as sent.")] = ""
    verification_status: Annotated[str, Meta(description="confirmed, unconfirmed, refuted, ... as sent.")] = ""
    type: Annotated[str, Meta(description="allergy or intolerance, as sent.")] = ""
    categories: Annotated[tuple[str, ...], Meta(description="food, medication, environment, biologic.")] = ()
    substance_class: Annotated[
        str, Meta(description="Class of the substance, e.g. penicillins, computed; empty when unknown.")
    ] = ""
    criticality: Annotated[
        str, Meta(description="low, high, unable-to-assess: risk of a future reaction, as sent.")
    ] = ""
    reactions: Annotated[tuple[Reaction, ...], Meta(description="Recorded reactions.")] = ()
    onset: Annotated[PartialDate | None, Meta(description="When it was identified.")] = None
    recorded: Annotated[PartialDate | None, Meta(description="When it was written down.")] = None
    recorder: Annotated[NamedRef | None, Meta(description="Who wrote it down.")] = None
    none_asserted: Annotated[bool, Meta(description="An explicit negative: 'no known (drug) allergies'.")] = False

    @property
    def date(self) -> PartialDate | None:
        return self.recorded or self.onset

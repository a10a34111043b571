"""The entries of a chart, one class per kind of fact. `kind` tags each in JSON."""

from __future__ import annotations

import hashlib
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from models.record.base import Value
from models.record.coding import Concept, NamedRef, Quantity, ReferenceRange
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


class Address(Value, frozen=True):
    """A postal address as sent."""

    lines: tuple[str, ...] = ()
    city: str = ""
    state: str = ""
    postal_code: str = ""
    country: str = ""
    use: str = ""


class Identifier(Value, frozen=True):
    """A business identifier (MRN and the like)."""

    system: str = ""
    value: str = ""
    type: Annotated[str, Meta(description="Type code, e.g. MR, SS, DL.")] = ""


class PersonName(Value, frozen=True):
    """A person's name as sent."""

    family: str = ""
    given: tuple[str, ...] = ()
    prefix: tuple[str, ...] = ()
    suffix: tuple[str, ...] = ()
    use: str = ""
    text: str = ""

    def __str__(self) -> str:
        parts = (*self.prefix, *self.given, self.family, *self.suffix)
        return " ".join(p for p in parts if p) or self.text


class Demographics(Entry, frozen=True, tag_field="kind", tag="demographics"):
    """Patient."""

    section: ClassVar[Section] = "demographics"

    names: tuple[PersonName, ...] = ()
    birth_date: PartialDate | None = None
    gender: Annotated[
        str, Meta(description="Administrative gender: male, female, other, unknown; empty if absent.")
    ] = ""
    birth_sex: Annotated[str, Meta(description="US Core birth sex code (M, F, UNK, ...).")] = ""
    deceased: Annotated[bool | None, Meta(description="None when the source does not say.")] = None
    deceased_date: PartialDate | None = None
    race: Annotated[tuple[str, ...], Meta(description="US Core race, text or OMB displays.")] = ()
    ethnicity: tuple[str, ...] = ()
    languages: Annotated[tuple[str, ...], Meta(description="Language codes or names; the preferred one first.")] = ()
    marital_status: str = ""
    identifiers: tuple[Identifier, ...] = ()
    addresses: tuple[Address, ...] = ()
    telecom: Annotated[tuple[str, ...], Meta(description="'system: value', e.g. 'phone: 555-0100'.")] = ()
    general_practitioners: tuple[NamedRef, ...] = ()
    active: bool | None = None

    @property
    def name(self) -> str:
        """The official or usual name; else the first."""
        for use in ("official", "usual", ""):
            for name in self.names:
                if name.use == use:
                    return str(name)
        return str(self.names[0]) if self.names else ""

    @property
    def date(self) -> PartialDate | None:
        return self.birth_date


Activity = Literal["active", "historical", "uncertain"]
"""`active`: the record supports it as current; `historical`: over; `uncertain`: the sources do not let us say."""


class Problem(Entry, frozen=True, tag_field="kind", tag="problem"):
    """Condition: a problem-list item, an encounter diagnosis or a health concern."""

    section: ClassVar[Section] = "problems"

    activity: Annotated[Activity, Meta(description="Our reading of status, verification and abatement.")] = "uncertain"
    activity_reason: Annotated[str, Meta(description="Which fields decided, in words.")] = ""
    clinical_status: Annotated[str, Meta(description="active, recurrence, remission, resolved, ... as sent.")] = ""
    verification_status: Annotated[str, Meta(description="confirmed, provisional, refuted, ... as sent.")] = ""
    category: Annotated[str, Meta(description="problem-list-item, encounter-diagnosis, health-concern, sdoh.")] = ""
    severity: str = ""
    body_site: str = ""
    onset: PartialDate | None = None
    onset_text: Annotated[str, Meta(description="Onset as age, range or words, when it is no date.")] = ""
    abatement: PartialDate | None = None
    abatement_text: str = ""
    recorded: PartialDate | None = None
    recorder: NamedRef | None = None
    encounter: Annotated[str, Meta(description="Encounter reference.")] = ""
    none_asserted: Annotated[bool, Meta(description="An explicit negative: 'no known problems'.")] = False

    @property
    def date(self) -> PartialDate | None:
        return self.onset or self.recorded


class Dosage(Value, frozen=True):
    """One dosage instruction."""

    text: Annotated[str, Meta(description="The instruction as written, or built from the structured parts.")] = ""
    dose: Quantity | None = None
    route: str = ""
    frequency: Annotated[str, Meta(description="Timing in words, e.g. '2 per 1 d'.")] = ""
    as_needed: bool | None = None


class Medication(Entry, frozen=True, tag_field="kind", tag="medication"):
    """MedicationRequest / MedicationOrder / MedicationStatement with its Medication resolved."""

    section: ClassVar[Section] = "medications"

    activity: Activity = "uncertain"
    activity_reason: Annotated[str, Meta(description="Which fields decided, in words.")] = ""
    intent: str = ""
    category: str = ""
    reported: Annotated[bool | None, Meta(description="Reported by patient or others rather than ordered.")] = None
    authored: PartialDate | None = None
    start: PartialDate | None = None
    end: PartialDate | None = None
    dosages: tuple[Dosage, ...] = ()
    reason: Annotated[tuple[Concept, ...], Meta(description="Indication, as sent.")] = ()
    requester: NamedRef | None = None
    refills: int | None = None
    quantity: Annotated[Quantity | None, Meta(description="Quantity to dispense.")] = None
    days_supply: Annotated[float | None, Meta(description="Expected supply in days.")] = None
    status_reason: str = ""
    do_not_perform: Annotated[bool, Meta(description="The order says NOT to give it.")] = False
    none_asserted: Annotated[bool, Meta(description="An explicit negative: 'no current medications'.")] = False
    encounter: str = ""

    @property
    def date(self) -> PartialDate | None:
        return self.authored or self.start


class Reaction(Value, frozen=True):
    """One recorded reaction to a substance."""

    manifestations: tuple[Concept, ...] = ()
    severity: str = ""
    onset: PartialDate | None = None
    description: str = ""


class Allergy(Entry, frozen=True, tag_field="kind", tag="allergy"):
    """AllergyIntolerance."""

    section: ClassVar[Section] = "allergies"

    activity: Activity = "uncertain"
    activity_reason: str = ""
    clinical_status: str = ""
    verification_status: str = ""
    type: Annotated[str, Meta(description="allergy or intolerance, as sent.")] = ""
    categories: Annotated[tuple[str, ...], Meta(description="food, medication, environment, biologic.")] = ()
    criticality: str = ""
    reactions: tuple[Reaction, ...] = ()
    onset: PartialDate | None = None
    recorded: PartialDate | None = None
    recorder: NamedRef | None = None
    none_asserted: Annotated[bool, Meta(description="An explicit negative: 'no known (drug) allergies'.")] = False

    @property
    def date(self) -> PartialDate | None:
        return self.recorded or self.onset


class Component(Value, frozen=True):
    """One component of a panel that is kept whole."""

    concept: Concept
    value: Quantity | None = None
    value_concept: Concept | None = None
    value_text: str = ""
    absent_reason: str = ""
    interpretation: str = ""


class Observation(Entry, frozen=True):
    """What vitals, results, social history and assessments share."""

    value: Annotated[Quantity | None, Meta(description="Numeric value.")] = None
    value_concept: Annotated[Concept | None, Meta(description="Coded value.")] = None
    value_text: Annotated[str, Meta(description="Text, ratio, range, time or boolean value in words.")] = ""
    absent_reason: Annotated[str, Meta(description="dataAbsentReason: why there is no value.")] = ""
    effective: PartialDate | None = None
    effective_end: PartialDate | None = None
    issued: PartialDate | None = None
    category: Annotated[str, Meta(description="Observation category code as sent or derived; empty if unknown.")] = ""
    interpretation: Annotated[str, Meta(description="Interpretation code: N, H, L, HH, LL, A, ... as sent.")] = ""
    abnormal: Annotated[
        bool | None, Meta(description="From interpretation, else from the reference range; None when neither says.")
    ] = None
    reference_ranges: tuple[ReferenceRange, ...] = ()
    components: tuple[Component, ...] = ()
    performer: tuple[NamedRef, ...] = ()
    specimen: str = ""
    method: str = ""
    body_site: str = ""
    has_member: Annotated[tuple[str, ...], Meta(description="References of member observations.")] = ()
    encounter: str = ""

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


class Encounter(Entry, frozen=True, tag_field="kind", tag="encounter"):
    """A contact with care. `concept` is its type."""

    section: ClassVar[Section] = "encounters"

    encounter_class: Annotated[str, Meta(description="AMB, IMP, EMER, VR, HH, ... (v3 ActCode), as read.")] = ""
    telehealth: Annotated[bool | None, Meta(description="Held remotely; None when nothing says.")] = None
    start: PartialDate | None = None
    end: PartialDate | None = None
    length_hours: Annotated[float | None, Meta(description="End minus start, when both are exact.")] = None
    reasons: tuple[Concept, ...] = ()
    diagnoses: Annotated[tuple[NamedRef, ...], Meta(description="Referenced Conditions/Procedures with use.")] = ()
    disposition: str = ""
    participants: tuple[NamedRef, ...] = ()
    location: tuple[NamedRef, ...] = ()
    service_provider: NamedRef | None = None

    @property
    def date(self) -> PartialDate | None:
        return self.start or self.end


ReportForm = Literal["structured", "narrative", "both", "empty"]


class Report(Entry, frozen=True, tag_field="kind", tag="report"):
    """DiagnosticReport."""

    section: ClassVar[Section] = "reports"

    form: Annotated[ReportForm, Meta(description="Results, narrative, both, or neither readable.")] = "empty"
    category: str = ""
    effective: PartialDate | None = None
    issued: PartialDate | None = None
    conclusion: str = ""
    conclusion_codes: tuple[Concept, ...] = ()
    results: Annotated[tuple[str, ...], Meta(description="References of its Observations.")] = ()
    attachments: tuple[Attachment, ...] = ()
    performer: tuple[NamedRef, ...] = ()
    encounter: str = ""

    @property
    def date(self) -> PartialDate | None:
        return self.effective or self.issued


class Immunization(Entry, frozen=True, tag_field="kind", tag="immunization"):
    """Immunization. `given` is False for not-done and refused: never counted as care."""

    section: ClassVar[Section] = "immunizations"

    given: Annotated[bool | None, Meta(description="True only for status completed; None when status is absent.")] = (
        None
    )
    status_reason: str = ""
    occurrence: PartialDate | None = None
    occurrence_text: str = ""
    dose_number: str = ""
    lot: str = ""
    primary_source: bool | None = None
    performer: tuple[NamedRef, ...] = ()
    encounter: str = ""

    @property
    def date(self) -> PartialDate | None:
        return self.occurrence


class Procedure(Entry, frozen=True, tag_field="kind", tag="procedure"):
    """Procedure. `done` is False for not-done: never counted as care."""

    section: ClassVar[Section] = "procedures"

    done: Annotated[bool | None, Meta(description="True for completed, False for not-done; None otherwise.")] = None
    status_reason: str = ""
    performed: PartialDate | None = None
    performed_end: PartialDate | None = None
    performed_text: str = ""
    reasons: tuple[Concept, ...] = ()
    body_site: str = ""
    outcome: str = ""
    performer: tuple[NamedRef, ...] = ()
    encounter: str = ""

    @property
    def date(self) -> PartialDate | None:
        return self.performed


class PlannedActivity(Value, frozen=True):
    """One activity of a care plan."""

    text: str = ""
    status: str = ""
    scheduled: str = ""


class CarePlan(Entry, frozen=True, tag_field="kind", tag="care_plan"):
    """CarePlan. `concept` is its category or title."""

    section: ClassVar[Section] = "care_plans"

    activity: Activity = "uncertain"
    title: str = ""
    description: str = ""
    intent: str = ""
    start: PartialDate | None = None
    end: PartialDate | None = None
    activities: tuple[PlannedActivity, ...] = ()
    goals: Annotated[tuple[str, ...], Meta(description="Goal texts (resolved) or references.")] = ()
    addresses: Annotated[tuple[NamedRef, ...], Meta(description="Problems it addresses.")] = ()
    narrative: Annotated[str, Meta(description="Text of the narrative when the plan is in words only.")] = ""
    author: tuple[NamedRef, ...] = ()

    @property
    def date(self) -> PartialDate | None:
        return self.start


class Attachment(Value, frozen=True):
    """One piece of content of a document or report."""

    content_type: str = ""
    title: str = ""
    url: Annotated[str, Meta(description="Where the source keeps it; never followed without egress.")] = ""
    text: Annotated[str, Meta(description="Readable text, when it could be extracted.")] = ""
    readable: Annotated[bool, Meta(description="Whether `text` is what the document says.")] = False
    reason: Annotated[str, Meta(description="Why it is not readable: not fetched, scanned, unknown type, ...")] = ""
    size: int | None = None
    path: Annotated[str, Meta(description="Path of the content inside the resource.")] = ""


class Note(Entry, frozen=True, tag_field="kind", tag="note"):
    """DocumentReference. `concept` is its document type."""

    section: ClassVar[Section] = "notes"

    authored: PartialDate | None = None
    period_start: PartialDate | None = None
    period_end: PartialDate | None = None
    doc_status: str = ""
    category: str = ""
    description: str = ""
    attachments: tuple[Attachment, ...] = ()
    authors: tuple[NamedRef, ...] = ()
    encounter: str = ""

    @property
    def date(self) -> PartialDate | None:
        return self.authored or self.period_start

    @property
    def text(self) -> str:
        """All readable text of the document."""
        return "\n\n".join(a.text for a in self.attachments if a.readable)


AnyEntry = (
    Demographics
    | Problem
    | Medication
    | Allergy
    | Vital
    | Result
    | SocialHistory
    | Assessment
    | Encounter
    | Report
    | Immunization
    | Procedure
    | CarePlan
    | Note
)

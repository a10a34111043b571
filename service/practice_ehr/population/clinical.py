"""Encounters, conditions, allergies, immunizations, procedures, plans and goals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from service.practice_ehr.population.catalog import CVX, ICD10CM, RXNORM, SNOMED, diagnosis, row
from service.practice_ehr.population.elements import HL7, Json, coding, concept, instant, reference
from service.practice_ehr.population.record import Record

CLASSES = {"AMB": "ambulatory", "VR": "virtual", "EMER": "emergency", "IMP": "inpatient encounter"}
MINUTES = {"AMB": 25, "VR": 15, "EMER": 260, "IMP": 3 * 24 * 60}
REASONS_NOT_GIVEN = {"PATOBJ": "patient objection", "IMMUNE": "immunity", "MEDPREC": "medical precaution"}


def usual_minutes(kind: str) -> int:
    """How long a contact of this kind usually lasts."""
    return MINUTES[row("encounters", kind)[0]]


def diagnosis_concept(key: str, text: str = "") -> Json:
    """A condition with both its codes."""
    found = diagnosis(key)
    icd = coding(ICD10CM, found.icd10, found.icd10_display)
    return concept(coding(SNOMED, found.snomed, found.display), icd, text=text or found.display)


def encounter(
    record: Record,
    kind: str,
    moment: datetime,
    *,
    reason: str = "",
    minutes: int,
    disposition: tuple[str, str] | None = None,
    doctor: int = 0,
) -> Json:
    """A contact; `reason` is a condition key. `disposition` is a code and display of discharge-disposition."""
    cls, code, display = row("encounters", kind)
    end = moment + timedelta(minutes=minutes)
    hospitalization = None
    if disposition:
        hospitalization = {"dischargeDisposition": concept(coding(f"{HL7}/discharge-disposition", *disposition))}
    performer = concept(coding(f"{HL7}/v3-ParticipationType", "PPRF", "primary performer"))
    return record.add(
        "Encounter",
        end,
        status="finished",
        class_=coding(f"{HL7}/v3-ActCode", cls, CLASSES[cls]),
        type=[concept(coding(SNOMED, code, display))],
        subject=record.subject,
        participant=[{"type": [performer], "individual": record.doctor(doctor)}],
        period={"start": instant(moment), "end": instant(end)},
        reasonCode=[diagnosis_concept(reason)] if reason else None,
        hospitalization=hospitalization,
        location=None if cls == "VR" else [{"location": reference(record.location, record.location["name"])}],
        serviceProvider=reference(record.organization, record.hospital.name),
    )


def condition(
    record: Record,
    key: str,
    recorded: datetime,
    *,
    onset: date | None = None,
    status: str = "active",
    verification: str = "confirmed",
    abated: date | None = None,
    visit: Json | None = None,
    text: str = "",
) -> Json:
    """A problem-list item, or with `visit` the diagnosis of that encounter. `onset` of a problem is a date or a year's first day."""
    kind = ("encounter-diagnosis", "Encounter Diagnosis") if visit else ("problem-list-item", "Problem List Item")
    clinical = concept(coding(f"{HL7}/condition-clinical", status, status.capitalize()))
    verified = concept(coding(f"{HL7}/condition-ver-status", verification, verification.capitalize()))
    return record.add(
        "Condition",
        recorded,
        profile="us-core-condition-encounter-diagnosis" if visit else "us-core-condition-problems-health-concerns",
        # con-5: a condition entered in error has no clinical status
        clinicalStatus=None if verification == "entered-in-error" else clinical,
        verificationStatus=verified,
        category=[concept(coding(f"{HL7}/condition-category", *kind))],
        code=diagnosis_concept(key, text),
        subject=record.subject,
        encounter=reference(visit) if visit else None,
        onsetDateTime=onset.isoformat() if onset else None,
        abatementDateTime=abated.isoformat() if abated else None,
        recordedDate=recorded.date().isoformat(),
        recorder=record.doctor(0),
    )


def resolve(problem: Json, day: date) -> None:
    """The problem is over on the list of that hospital."""
    problem["clinicalStatus"] = concept(coding(f"{HL7}/condition-clinical", "resolved", "Resolved"))
    problem["abatementDateTime"] = day.isoformat()


def allergy(
    record: Record,
    key: str,
    recorded: datetime,
    *,
    reactions: Sequence[str] = (),
    severity: str = "",
    criticality: str = "",
    status: str = "active",
    verification: str = "confirmed",
) -> Json:
    """An allergy or intolerance; the keys `none` and `none_drug` are explicit negatives."""
    system, code, display, kind, type_ = row("allergens", key)
    shown = [concept(coding(SNOMED, *row("reactions", r))) for r in reactions]
    reaction: Json = {"manifestation": shown} | ({"severity": severity} if severity else {})
    in_error = verification == "entered-in-error"
    clinical = concept(coding(f"{HL7}/allergyintolerance-clinical", status, status.capitalize()))
    return record.add(
        "AllergyIntolerance",
        recorded,
        clinicalStatus=None if in_error else clinical,
        verificationStatus=concept(
            coding(f"{HL7}/allergyintolerance-verification", verification, verification.capitalize())
        ),
        type=type_,
        category=[kind] if kind else None,
        criticality=criticality,
        code=concept(coding(RXNORM if system == "R" else SNOMED, code, display)),
        patient=record.subject,
        recordedDate=recorded.date().isoformat(),
        recorder=record.doctor(0),
        reaction=[reaction] if shown else None,
    )


def immunization(record: Record, key: str, moment: datetime, *, refused: str = "", visit: Json | None = None) -> Json:
    """A vaccine given, or with `refused` (an ActReason code) not given."""
    code, display = row("vaccines", key)
    reason = concept(coding(f"{HL7}/v3-ActReason", refused, REASONS_NOT_GIVEN[refused])) if refused else None
    return record.add(
        "Immunization",
        moment,
        status="not-done" if refused else "completed",
        statusReason=reason,
        vaccineCode=concept(coding(CVX, code, display)),
        patient=record.subject,
        encounter=reference(visit) if visit else None,
        occurrenceDateTime=instant(moment),
        primarySource=True,
        lotNumber=None if refused else f"L{moment:%y%m}{code}",
        performer=None if refused else [{"actor": record.doctor(0)}],
    )


def procedure(
    record: Record,
    key: str,
    moment: datetime,
    *,
    reason: str = "",
    not_done: str = "",
    visit: Json | None = None,
    text: str = "",
) -> Json:
    """A procedure done, or with `not_done` (the reason in words) not done."""
    code, display = row("procedures", key)
    return record.add(
        "Procedure",
        moment,
        status="not-done" if not_done else "completed",
        statusReason={"text": not_done} if not_done else None,
        code=concept(coding(SNOMED, code, display), text=text),
        subject=record.subject,
        encounter=reference(visit) if visit else None,
        performedDateTime=instant(moment),
        performer=None if not_done else [{"actor": record.doctor(0)}],
        reasonCode=[diagnosis_concept(reason)] if reason else None,
    )


def care_plan(
    record: Record,
    title: str,
    moment: datetime,
    activities: Sequence[str],
    *,
    goal: str = "",
    addresses: Sequence[Json] = (),
) -> Json:
    """A care plan, with a goal of its own when one is given."""
    goals = [_goal(record, goal, moment, addresses)] if goal else []
    details = [{"detail": {"status": "in-progress", "description": a}} for a in activities]
    items = "".join(f"<li>{a}</li>" for a in activities)
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{title}</p><ul>{items}</ul></div>'
    return record.add(
        "CarePlan",
        moment,
        text={"status": "generated", "div": div},
        status="active",
        intent="plan",
        category=[concept(coding("http://hl7.org/fhir/us/core/CodeSystem/careplan-category", "assess-plan", "Assessment and Plan of Treatment"))],
        title=title,
        subject=record.subject,
        period={"start": moment.date().isoformat()},
        author=record.doctor(0),
        addresses=[reference(a, a["code"]["text"]) for a in addresses],
        goal=[reference(g, goal) for g in goals],
        activity=details,
    )  # fmt: skip


def _goal(record: Record, text: str, moment: datetime, addresses: Sequence[Json]) -> Json:
    return record.add(
        "Goal",
        moment,
        lifecycleStatus="active",
        description={"text": text},
        subject=record.subject,
        startDate=moment.date().isoformat(),
        addresses=[reference(a, a["code"]["text"]) for a in addresses],
    )


def provenance(record: Record, targets: Sequence[Json], moment: datetime) -> Json:
    """Who wrote these resources."""
    kind = concept(coding(f"{HL7}/provenance-participant-type", "author", "Author"))
    return record.add(
        "Provenance",
        moment,
        target=[reference(t) for t in targets],
        recorded=instant(moment),
        agent=[
            {"type": kind, "who": record.doctor(0), "onBehalfOf": reference(record.organization, record.hospital.name)}
        ],
    )

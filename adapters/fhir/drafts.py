"""What we may write into an EHR, as FHIR R4 made from plain values. Pure; every draft passes fhir.resources or is refused.

Each new resource carries an identifier made of what it says (system `urn:chartbrief:written`), so that the same write twice
is one resource: it is what a conditional create, or a search before a create, looks for.
"""

from __future__ import annotations

import base64
import hashlib
import re
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from adapters.normalizer.judge import judge
from models.record import Value
from models.terminology.analytes import limits

WRITTEN = "urn:chartbrief:written"
LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
_PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_OPERATION = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
AUTHOR = "Chartbrief"
MOST_TEXT = 200_000
"""Characters of a document or note that we write."""
MOST_NOTE = 4_000
PLAN_STATES = ("draft", "active", "on-hold", "revoked", "completed", "entered-in-error", "unknown")
"""https://hl7.org/fhir/R4/valueset-request-status.html"""
_INSTANT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")
_NUMBER = re.compile(r"^\d{1,6}(\.\d{1,6})?$")
_READ = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
_WRITE = msgspec.json.Encoder(decimal_format="number")
Interaction = Literal["create", "update"]


class BadDraft(Exception):
    """The values cannot be written as they are. `code` is stable; the message quotes no value."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Vital(NamedTuple):
    """A vital sign of US Core, with the UCUM units it may be written in and how they turn into the first."""

    code: str
    display: str
    units: dict[str, tuple[float, float]]


VITALS: dict[str, Vital] = {
    "heart-rate": Vital("8867-4", "Heart rate", {"/min": (1, 0)}),
    "respiratory-rate": Vital("9279-1", "Respiratory rate", {"/min": (1, 0)}),
    "oxygen-saturation": Vital("2708-6", "Oxygen saturation in Arterial blood", {"%": (1, 0)}),
    "body-temperature": Vital("8310-5", "Body temperature", {"Cel": (1, 0), "[degF]": (5 / 9, -160 / 9)}),
    "body-weight": Vital("29463-7", "Body weight", {"kg": (1, 0), "g": (0.001, 0), "[lb_av]": (0.45359237, 0)}),
    "body-height": Vital("8302-2", "Body height", {"cm": (1, 0), "m": (100, 0), "[in_i]": (2.54, 0)}),
    "bmi": Vital("39156-5", "Body mass index (BMI) [Ratio]", {"kg/m2": (1, 0)}),
}
"""https://hl7.org/fhir/us/core/StructureDefinition-us-core-vital-signs.html ; unit -> (factor, offset) to the first unit."""
_PRESSURE = (("8480-6", "Systolic blood pressure"), ("8462-4", "Diastolic blood pressure"))


class Draft(Value, frozen=True):
    """A resource to create."""

    resource_type: str
    content: Annotated[bytes, Meta(description="The resource as JSON.")]
    identifier: Annotated[str, Meta(description="Value of our identifier, of system urn:chartbrief:written.")]
    patient: Annotated[str, Meta(description="The site's id of the patient.")]
    by_patient: bool = False


class PlanChange(Value, frozen=True):
    """What to add to a CarePlan, or change in it. Nothing else of it is touched."""

    care_plan: Annotated[str, Meta(description="The site's id of the CarePlan.")]
    patient: str
    at: Annotated[str, Meta(description="Instant with time zone.")]
    note: str = ""
    activity: str = ""
    status: str = ""


def observation(
    patient: str, vital: str, value: str, at: str, *, unit: str = "", patient_reported: bool = False
) -> Draft:
    """A vital sign. `value`: a number as measured (its digits are kept), or `120/80` for `blood-pressure`.

    Raises BadDraft: `unknown_vital`, `invalid_value`, `invalid_unit`, `implausible_value`, `invalid_instant`.
    """
    _instant(at)
    if vital == "blood-pressure":
        body = _pressure(value, unit)
    else:
        known = VITALS.get(vital)
        if known is None:
            raise BadDraft("unknown_vital", f"there are: {', '.join([*VITALS, 'blood-pressure'])}")
        body = {"code": _concept(known.code, known.display), "valueQuantity": _quantity(known.code, known, value, unit)}
    resource = {
        "resourceType": "Observation",
        "status": "final",
        "category": [{"coding": [{"system": _CATEGORY, "code": "vital-signs", "display": "Vital Signs"}]}],
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": at,
    } | body
    if patient_reported:
        # US Core: who performed it tells that it is patient-reported.
        resource["performer"] = [{"reference": f"Patient/{patient}"}]
    return _draft(resource, patient, patient_reported)


def document(patient: str, text: str, at: str, *, title: str = "Summary") -> Draft:
    """A summary as a plain-text document, marked as made by a machine and preliminary.

    Raises BadDraft: `empty_text`, `text_too_long`, `invalid_instant`.
    """
    _instant(at)
    body = _printable(text, MOST_TEXT).encode()
    name = _printable(title, 200)
    resource = {
        "resourceType": "DocumentReference",
        "status": "current",
        "docStatus": "preliminary",
        "type": _concept("34133-9", "Summary of episode note"),
        "category": [
            {
                "coding": [
                    {
                        "system": "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category",
                        "code": "clinical-note",
                    }
                ]
            }
        ],
        "subject": {"reference": f"Patient/{patient}"},
        "date": at,
        "author": [{"display": AUTHOR}],
        "description": "Made by a machine from the record, not reviewed by a clinician.",
        "content": [
            {
                "attachment": {
                    "contentType": "text/plain; charset=utf-8",
                    "data": base64.b64encode(body).decode("ascii"),
                    "size": len(body),
                    "hash": base64.b64encode(hashlib.sha1(body, usedforsecurity=False).digest()).decode("ascii"),
                    "title": name,
                    "creation": at,
                }
            }
        ],
    }
    return _draft(resource, patient, apart=("date", "content"), also=(name, hashlib.sha256(body).hexdigest()))


def changed_plan(current: bytes, change: PlanChange) -> bytes | None:
    """A CarePlan with the change made; None when it is there already. Numbers keep the digits the site wrote.

    Raises BadDraft: `wrong_resource`, `wrong_patient`, `nothing_to_change`, `invalid_status`, `text_too_long`, and
    `invalid_resource` when the result would not be valid, also where the site's own plan was not.
    """
    _instant(change.at)
    if not (change.note or change.activity or change.status):
        raise BadDraft("nothing_to_change", "a note, an activity or a status is needed")
    if change.status and change.status not in PLAN_STATES:
        raise BadDraft("invalid_status", f"a CarePlan's status is one of: {', '.join(PLAN_STATES)}")
    try:
        plan = _READ.decode(current)
    except msgspec.MsgspecError:
        raise BadDraft("wrong_resource", "the site's CarePlan is not JSON") from None
    if plan.get("resourceType") != "CarePlan" or plan.get("id") != change.care_plan:
        raise BadDraft("wrong_resource", "the site gave another resource than the CarePlan asked for")
    subject = plan.get("subject")
    reference = str(subject.get("reference") or "") if isinstance(subject, dict) else ""
    if reference.split("/")[-2:] != ["Patient", change.patient]:
        raise BadDraft("wrong_patient", "the CarePlan is another patient's")
    changed = False
    if change.status and plan.get("status") != change.status:
        plan["status"], changed = change.status, True
    if change.note:
        text = _printable(change.note, MOST_NOTE)
        if not any(isinstance(n, dict) and n.get("text") == text for n in _list(plan, "note")):
            plan["note"] = [*_list(plan, "note"), {"authorString": AUTHOR, "time": change.at, "text": text}]
            changed = True
    if change.activity:
        text = _printable(change.activity, MOST_NOTE)
        if not any(_description(a) == text for a in _list(plan, "activity")):
            added = {"detail": {"status": "not-started", "description": text}}
            plan["activity"], changed = [*_list(plan, "activity"), added], True
    return _judged(plan) if changed else None


def provenance(resource_type: str, resource_id: str, interaction: Interaction, at: str, patient: str = "") -> bytes:
    """Who wrote a resource, when and how; `patient`: who reported it, where that was the patient."""
    agents = [{"type": _participant("assembler"), "who": {"display": AUTHOR}}]
    if patient:
        agents.insert(0, {"type": _participant("author"), "who": {"reference": f"Patient/{patient}"}})
    return _judged(
        {
            "resourceType": "Provenance",
            "target": [{"reference": f"{resource_type}/{resource_id}"}],
            "recorded": at,
            "activity": {"coding": [{"system": _OPERATION, "code": interaction.upper()}]},
            "agent": agents,
        }
    )


def _draft(
    resource: dict[str, Any],
    patient: str,
    by_patient: bool = False,
    apart: tuple[str, ...] = (),
    also: tuple[str, ...] = (),
) -> Draft:
    """The draft, with an identifier of all it says but `apart`, and of `also`."""
    says = {k: v for k, v in resource.items() if k not in apart}
    digest = hashlib.sha256(_WRITE.encode([says, also])).hexdigest()[:32]
    whole = {"resourceType": resource["resourceType"], "identifier": [{"system": WRITTEN, "value": digest}]} | resource
    return Draft(
        resource_type=resource["resourceType"],
        content=_judged(whole),
        identifier=digest,
        patient=patient,
        by_patient=by_patient,
    )


def _judged(resource: dict[str, Any]) -> bytes:
    content = _WRITE.encode(resource)
    violations = judge(content, resource["resourceType"])
    if violations:
        raise BadDraft("invalid_resource", "; ".join(map(str, violations[:5])))
    return content


def _pressure(value: str, unit: str) -> dict[str, Any]:
    parts = value.split("/")
    if len(parts) != 2:
        raise BadDraft("invalid_value", "a blood pressure is two numbers: 120/80")
    kind = Vital("", "", {"mm[Hg]": (1, 0)})
    components = [
        {"code": _concept(code, display), "valueQuantity": _quantity(code, kind, part, unit)}
        for (code, display), part in zip(_PRESSURE, parts, strict=True)
    ]
    if Decimal(parts[0]) <= Decimal(parts[1]):
        raise BadDraft("implausible_value", "the systolic pressure is not above the diastolic one")
    return {"code": _concept("85354-9", "Blood pressure panel with all children optional"), "component": components}


def _quantity(code: str, vital: Vital, value: str, unit: str) -> dict[str, Any]:
    unit = unit or next(iter(vital.units))
    if unit not in vital.units:
        raise BadDraft("invalid_unit", f"the UCUM unit is one of: {', '.join(vital.units)}")
    try:
        number = Decimal(value) if _NUMBER.match(value) else None
    except InvalidOperation:
        number = None
    if number is None:
        raise BadDraft("invalid_value", "the value is no plain number")
    factor, offset = vital.units[unit]
    bounds = limits(code)
    if bounds is not None and not bounds[0] <= float(number) * factor + offset <= bounds[1]:
        raise BadDraft("implausible_value", "outside what a living patient can have: check value and unit")
    return {"value": number, "unit": unit, "system": UCUM, "code": unit}


def _concept(code: str, display: str) -> dict[str, Any]:
    return {"coding": [{"system": LOINC, "code": code, "display": display}], "text": display}


def _participant(code: str) -> dict[str, Any]:
    return {"coding": [{"system": _PARTICIPANT, "code": code}]}


def _instant(text: str) -> None:
    if not _INSTANT.match(text):
        raise BadDraft("invalid_instant", "an instant with seconds and time zone is needed: 2026-11-24T09:30:00-06:00")


def _printable(text: str, most: int) -> str:
    found = "".join(c for c in text if c in "\n\t" or c.isprintable()).strip()
    if not found:
        raise BadDraft("empty_text", "there is no text to write")
    if len(found) > most:
        raise BadDraft("text_too_long", f"more than {most} characters")
    return found


def _list(resource: dict[str, Any], name: str) -> list[Any]:
    value = resource.get(name)
    return value if isinstance(value, list) else []


def _description(activity: Any) -> str:
    detail = activity.get("detail") if isinstance(activity, dict) else None
    return str(detail.get("description") or "") if isinstance(detail, dict) else ""

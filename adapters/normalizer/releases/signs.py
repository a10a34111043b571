"""Which FHIR release a resource is written in, by the elements only that release has.

Only signs that cannot be a slip of an R4 source decide (a plain code where a CodeableConcept belongs is read around, it
condemns nothing). What DSTU2 and STU3 write alike and R4 does not is given to DSTU2, which is read.
Element names: the resource pages of https://hl7.org/fhir/DSTU2, /STU3, /R4 and /R5 and their "R3 Diff", "R4 diff" tables.
"""

from __future__ import annotations

from collections.abc import Callable

from adapters.normalizer.read import Json

FOREIGN_TYPES = {"MedicationOrder": "DSTU2"}
"""Types of clinical facts that R4 knows by another name."""

_ELEMENTS: dict[str, dict[str, str]] = {
    "AllergyIntolerance": {"substance": "DSTU2", "reporter": "DSTU2", "assertedDate": "STU3", "participant": "R5"},
    "CarePlan": {"progress": "DSTU2", "custodian": "R5"},
    "Condition": {
        "dateRecorded": "DSTU2",
        "notes": "DSTU2",
        "assertedDate": "STU3",
        "context": "STU3",
        "participant": "R5",
    },
    "DiagnosticReport": {"codedDiagnosis": "DSTU2", "image": "DSTU2", "context": "STU3"},
    "DocumentReference": {"indexed": "DSTU2", "created": "DSTU2", "class": "DSTU2", "period": "R5", "attester": "R5"},
    "Encounter": {
        "patient": "DSTU2",
        "indication": "DSTU2",
        "admission": "R5",
        "actualPeriod": "R5",
        "plannedStartDate": "R5",
        "virtualService": "R5",
    },
    "Immunization": {
        "wasNotGiven": "DSTU2",
        "reported": "DSTU2",
        "vaccinationProtocol": "DSTU2",
        "notGiven": "STU3",
        "informationSource": "R5",
        "basedOn": "R5",
    },
    "Medication": {"product": "DSTU2"},
    "MedicationRequest": {"context": "STU3", "informationSource": "R5", "effectiveDosePeriod": "R5"},
    "MedicationStatement": {
        "patient": "DSTU2",
        "wasNotTaken": "DSTU2",
        "reasonNotTaken": "DSTU2",
        "reasonForUseCodeableConcept": "DSTU2",
        "taken": "STU3",
        "adherence": "R5",
    },
    "Observation": {"comments": "DSTU2", "comment": "STU3", "related": "DSTU2", "context": "STU3", "triggeredBy": "R5"},
    "Patient": {"careProvider": "DSTU2"},
    "Procedure": {
        "notPerformed": "DSTU2",
        "reasonNotPerformed": "DSTU2",
        "notes": "DSTU2",
        "notDone": "STU3",
        "context": "STU3",
        "occurrenceDateTime": "R5",
        "occurrencePeriod": "R5",
        "occurrenceString": "R5",
        "occurrenceAge": "R5",
        "occurrenceRange": "R5",
    },
}
"""Type -> element that R4 does not have there -> a release that has it. The first that stands in a resource decides."""

_NAMES = {kind: frozenset(elements) for kind, elements in _ELEMENTS.items()}

_SHAPES: dict[str, Callable[[Json], str]] = {
    "AllergyIntolerance": lambda r: "R5" if isinstance(r.get("type"), dict) else "",
    "CarePlan": lambda r: (  # `intent` is required from STU3 on
        "R5" if _linked(r.get("addresses")) else ("STU3" if "intent" in r else "DSTU2") if "context" in r else ""
    ),
    "Condition": lambda r: "DSTU2" if "patient" in r and "subject" not in r else "",
    "DocumentReference": lambda r: "R5" if isinstance(r.get("context"), list) else "",
    "Encounter": lambda r: (
        "DSTU2" if isinstance(r.get("class"), str) else "R5" if isinstance(r.get("class"), list) else ""
    ),
    "Immunization": lambda r: "R5" if _linked(r.get("reason")) else "",
    "MedicationRequest": lambda r: "R5" if _linked(r.get("medication")) or _linked(r.get("reason")) else "",
    "MedicationStatement": lambda r: "R5" if _linked(r.get("medication")) or _linked(r.get("reason")) else "",
    "Patient": lambda r: "DSTU2" if _old_name(r.get("name")) else "",
    "Practitioner": lambda r: "DSTU2" if isinstance(r.get("name"), dict) or _old_name(r.get("name")) else "",
    "Procedure": lambda r: "R5" if _linked(r.get("reason")) else "",
}
"""Type -> what the shape of an element says where its name is the same in several releases."""


def foreign_release(resource: Json, kind: str) -> str:
    """The release other than R4 that `resource` is surely written in; '' when it may be R4."""
    names = _NAMES.get(kind)
    if names is not None and not names.isdisjoint(resource):
        return next(release for name, release in _ELEMENTS[kind].items() if name in resource)
    shape = _SHAPES.get(kind)
    return shape(resource) if shape else FOREIGN_TYPES.get(kind, "")


def _linked(value: object) -> bool:
    """Whether a value is a CodeableReference, or a list with one."""
    if isinstance(value, list):
        return any(_linked(v) for v in value)
    return isinstance(value, dict) and ("concept" in value or isinstance(value.get("reference"), dict))


def _old_name(value: object) -> bool:
    """Whether a list of names has one whose family name is a list, as in DSTU2."""
    return isinstance(value, list) and any(isinstance(n, dict) and isinstance(n.get("family"), list) for n in value)

"""Which FHIR release a resource is written in, by the elements only that release has.

This reader speaks R4 and R4B. A resource of another release is not garbage and not guessed at: it goes to quarantine as
`unsupported_version`, its bytes kept, so that a reader of that release can take it from there. Only signs that cannot be a
slip of an R4 source decide (a plain code where a CodeableConcept belongs is read around, it condemns nothing).
Element names: the resource pages of https://hl7.org/fhir/DSTU2, /STU3, /R4 and /R5 and their "R3 Diff", "R4 diff" tables.
"""

from __future__ import annotations

from collections.abc import Callable

from adapters.normalizer.read import Json

FOREIGN = frozenset({"DSTU2", "STU3", "R5"})
"""Releases a source may declare that are not read yet."""
FOREIGN_TYPES = {"MedicationOrder": "DSTU2"}
"""Types of clinical facts that R4 knows by another name."""

_ELEMENTS: dict[str, dict[str, str]] = {
    "AllergyIntolerance": {"substance": "DSTU2", "assertedDate": "STU3"},
    "CarePlan": {"context": "STU3", "progress": "DSTU2"},
    "Condition": {"dateRecorded": "DSTU2", "assertedDate": "STU3", "context": "STU3"},
    "DiagnosticReport": {"codedDiagnosis": "STU3", "context": "STU3"},
    "DocumentReference": {"indexed": "STU3", "created": "STU3"},
    "Encounter": {"admission": "R5", "actualPeriod": "R5", "virtualService": "R5"},
    "Immunization": {"wasNotGiven": "DSTU2", "notGiven": "STU3", "informationSource": "R5"},
    "MedicationRequest": {"context": "STU3"},
    "MedicationStatement": {"wasNotTaken": "DSTU2", "taken": "STU3"},
    "Observation": {"comments": "DSTU2", "comment": "STU3", "related": "STU3", "context": "STU3"},
    "Procedure": {
        "notPerformed": "DSTU2",
        "notDone": "STU3",
        "context": "STU3",
        "occurrenceDateTime": "R5",
        "occurrencePeriod": "R5",
        "occurrenceString": "R5",
    },
}
"""Type -> element that R4 does not have there -> a release that has it."""

_SHAPES: dict[str, Callable[[Json], str]] = {
    "AllergyIntolerance": lambda r: "R5" if isinstance(r.get("type"), dict) else "",
    "Condition": lambda r: "DSTU2" if "patient" in r and "subject" not in r else "",
    "DocumentReference": lambda r: "R5" if isinstance(r.get("context"), list) else "",
    "Encounter": lambda r: (
        "DSTU2" if isinstance(r.get("class"), str) else "R5" if isinstance(r.get("class"), list) else ""
    ),
    "MedicationRequest": lambda r: "R5" if _is_codeable_reference(r.get("medication")) else "",
    "MedicationStatement": lambda r: "R5" if _is_codeable_reference(r.get("medication")) else "",
}
"""Type -> what the shape of an element says where its name is the same in several releases."""


def foreign_release(resource: Json, kind: str) -> str:
    """The release other than R4 that `resource` is surely written in; '' when it may be R4."""
    if kind in FOREIGN_TYPES:
        return FOREIGN_TYPES[kind]
    for name, release in _ELEMENTS.get(kind, {}).items():
        if name in resource:
            return release
    shape = _SHAPES.get(kind)
    return shape(resource) if shape else ""


def _is_codeable_reference(value: object) -> bool:
    return isinstance(value, dict) and ("concept" in value or isinstance(value.get("reference"), dict))

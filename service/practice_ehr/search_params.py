"""The search parameters this server understands, per resource type: kind of value and where it stands in the resource."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

Kind = Literal["token", "date", "string", "reference", "literal"]


@dataclass(frozen=True)
class Param:
    """One search parameter."""

    name: str
    kind: Kind
    paths: tuple[str, ...]

    @property
    def fhir_type(self) -> str:
        """SearchParamType for the capability statement."""
        return "token" if self.kind == "literal" else self.kind


_COMMON = "_id:token:id _lastUpdated:date:meta.lastUpdated"
_SUBJECT = "patient:reference:subject subject:reference:subject encounter:reference:encounter status:token:status"
_PATIENT = "patient:reference:patient"
# name:kind:path|path...
_BY_TYPE = {
    "Patient": "identifier:token:identifier family:string:name.family given:string:name.given "
    "name:string:name.family|name.given|name.text|name.prefix|name.suffix birthdate:date:birthDate gender:token:gender "
    "telecom:token:telecom address-postalcode:string:address.postalCode",
    "Observation": f"{_SUBJECT} category:token:category code:token:code "
    "date:date:effectiveDateTime|effectivePeriod|effectiveInstant issued:date:issued identifier:token:identifier",
    "Condition": "patient:reference:subject|patient subject:reference:subject encounter:reference:encounter category:token:category "
    "clinical-status:token:clinicalStatus clinicalstatus:token:clinicalStatus verification-status:token:verificationStatus code:token:code "
    "onset-date:date:onsetDateTime|onsetPeriod recorded-date:date:recordedDate abatement-date:date:abatementDateTime",
    "MedicationRequest": f"{_SUBJECT} intent:token:intent authoredon:date:authoredOn date:date:authoredOn "
    "category:token:category code:token:medicationCodeableConcept medication:reference:medicationReference",
    "MedicationOrder": f"{_PATIENT} status:token:status datewritten:date:dateWritten",
    "MedicationStatement": "patient:reference:subject|patient subject:reference:subject status:token:status "
    "effective:date:effectiveDateTime|effectivePeriod effectivedate:date:effectiveDateTime|effectivePeriod",
    "Medication": "code:token:code status:token:status",
    "Encounter": "patient:reference:subject|patient subject:reference:subject status:token:status class:token:class type:token:type "
    "date:date:period identifier:token:identifier",
    "DiagnosticReport": f"{_SUBJECT} category:token:category code:token:code date:date:effectiveDateTime|effectivePeriod "
    "issued:date:issued identifier:token:identifier",
    "AllergyIntolerance": f"{_PATIENT} status:token:status clinical-status:token:clinicalStatus criticality:token:criticality code:token:code "
    "category:token:category type:token:type verification-status:token:verificationStatus date:date:recordedDate",
    "Immunization": f"{_PATIENT} date:date:occurrenceDateTime|date status:token:status vaccine-code:token:vaccineCode",
    "Procedure": f"{_SUBJECT} category:token:category code:token:code date:date:performedDateTime|performedPeriod",
    "CarePlan": f"{_SUBJECT} category:token:category intent:token:intent date:date:period identifier:token:identifier",
    "CareTeam": "patient:reference:subject subject:reference:subject status:token:status category:token:category",
    "Goal": "patient:reference:subject subject:reference:subject lifecycle-status:token:lifecycleStatus "
    "category:token:category start-date:date:startDate",
    "DocumentReference": "patient:reference:subject subject:reference:subject status:token:status category:token:category "
    "type:token:type date:date:date created:date:created period:date:context.period encounter:reference:context.encounter "
    "identifier:token:identifier",
    "ServiceRequest": f"{_SUBJECT} category:token:category code:token:code intent:token:intent authored:date:authoredOn",
    "EpisodeOfCare": f"{_PATIENT} status:token:status type:token:type date:date:period",
    "Provenance": "target:reference:target",
    "Practitioner": "identifier:token:identifier family:string:name.family given:string:name.given "
    "name:string:name.family|name.given|name.text",
    "PractitionerRole": "practitioner:reference:practitioner organization:reference:organization",
    "Organization": "identifier:token:identifier name:string:name|alias",
    "Location": "identifier:token:identifier name:string:name|alias",
    "Device": f"{_PATIENT} type:token:type",
    "Coverage": "patient:reference:beneficiary status:token:status",
    "RelatedPerson": _PATIENT,
    "Specimen": "patient:reference:subject subject:reference:subject",
    "Binary": "",
}
# Parameters about the caller's place, not about the resource: every resource matches.
_LITERAL = ("ah-practice", "ah-chart-sharing-group")


@cache
def params_of(resource_type: str) -> dict[str, Param]:
    """Parameters of a type, by name."""
    found = {}
    for row in f"{_COMMON} {_BY_TYPE.get(resource_type, '')}".split():
        name, kind, paths = row.split(":", 2)
        found[name] = Param(name, kind, tuple(paths.split("|")))  # type: ignore[arg-type]  # the table above is literal
    for name in _LITERAL:
        found[name] = Param(name, "literal", ())
    return found


def values_at(resource: Any, path: str) -> Iterator[Any]:
    """Every value a dotted path leads to; lists on the way are walked."""
    head, _, rest = path.partition(".")
    value = resource.get(head) if isinstance(resource, dict) else None
    for item in value if isinstance(value, list) else [value]:
        if item is None:
            continue
        if rest:
            yield from values_at(item, rest)
        else:
            yield item


def known_types() -> frozenset[str]:
    """Types with a row in the table; others are only named `other` in the request log."""
    return frozenset(_BY_TYPE)

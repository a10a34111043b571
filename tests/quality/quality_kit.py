"""Tiny charts for the quality tests, as record values: what is counted can be counted by hand."""

from __future__ import annotations

from typing import Any

from models.record import (
    SECTIONS,
    Allergy,
    AnyEntry,
    Chart,
    Coding,
    Concept,
    Coverage,
    Demographics,
    Encounter,
    Mapping,
    Medication,
    Origin,
    Problem,
    Quantity,
    Result,
)

NOW = "2026-03-04T10:00:00Z"
ICD, RXNORM, LOINC = (
    "http://hl7.org/fhir/sid/icd-10-cm",
    "http://www.nlm.nih.gov/research/umls/rxnorm",
    "http://loinc.org",
)


def origin(kind: str, number: str, site: str = "north") -> tuple[Origin, ...]:
    return (Origin(tenant="t", site=site, resource_type=kind, resource_id=number, retrieved=NOW),)


def coded(system: str, code: str, text: str = "", method: Any = "standard", confidence: float = 1.0) -> Concept:
    target = Coding(system=system, code=code)
    mapping = Mapping(method=method, confidence=confidence, target=target)
    return Concept(text=text, codings=(target,), mapping=mapping)


def words(text: str) -> Concept:
    return Concept(text=text, mapping=Mapping(method="unmapped", confidence=0.0))


def local(code: str = "X1") -> Concept:
    codings = (Coding(system="urn:local", code=code),)
    return Concept(codings=codings, mapping=Mapping(method="unmapped", confidence=0.0))


def person(birth: str = "1940-01-01", site: str = "north", **more: Any) -> Demographics:
    return Demographics(id=f"d{site}", origins=origin("Patient", "p", site), birth_date=birth, **more)


def visit(number: str = "1", **more: Any) -> Encounter:
    return Encounter(id=f"e{number}", origins=origin("Encounter", number), start="2026-02-01", **more)


def problem(number: str = "1", concept: Concept | None = None, **more: Any) -> Problem:
    made: dict[str, Any] = {"activity": "active", "clinical_status": "active", "category": "problem-list-item"} | more
    return Problem(
        id=f"p{number}",
        origins=origin("Condition", number),
        concept=coded(ICD, "E11.9", "Diabetes") if concept is None else concept,
        **made,
    )


def drug(number: str = "1", concept: Concept | None = None, **more: Any) -> Medication:
    made: dict[str, Any] = {"activity": "active", "status": "active"} | more
    concept = words("lisinopril 10 mg") if concept is None else concept
    return Medication(id=f"m{number}", origins=origin("MedicationRequest", number), concept=concept, **made)


def allergy(number: str = "1", **more: Any) -> Allergy:
    return Allergy(id=f"a{number}", origins=origin("AllergyIntolerance", number), concept=words("penicillin"), **more)


def result(number: str = "1", code: str = "4548-4", unit: str = "%", **more: Any) -> Result:
    made: dict[str, Any] = {"effective": "2026-01-05", "value": Quantity(value=7.1, unit=unit, code=unit)} | more
    return Result(id=f"r{number}", origins=origin("Observation", number), concept=coded(LOINC, code), **made)


def chart(*entries: AnyEntry, state: Any = "empty", states: dict[str, Any] | None = None, **more: Any) -> Chart:
    """Sections with entries are present, the others in `state` (or as `states` says)."""
    filled = {e.section for e in entries}
    lines = tuple(
        Coverage(section=s, site="north", state=(states or {}).get(s, "present" if s in filled else state), as_of=NOW)
        for s in SECTIONS
    )
    return Chart(tenant="t", patient_id="p", as_of=NOW, entries=tuple(entries), coverage=lines, **more)

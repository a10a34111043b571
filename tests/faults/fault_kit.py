"""Practice hospitals with a small record of our own, and a source that waits in no real time."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import Any

from adapter_kit import Clock, key_pair, opened, site_at

from adapters.source import SectionFetch
from models.record import SECTIONS
from service.practice_ehr import Dress, PracticeEhr, load_dress

Json = dict[str, Any]
CANARY = ("Canarybird", "Zephyrine", "CANARY-555-77", "1957-08-19", "canary-pt-9")
PATIENT = CANARY[4]
SUBJECT = {"reference": f"Patient/{PATIENT}"}
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
PRACTICE = {"required_params": {"ah-practice": "Organization/a-1.Practice-80000"}}


def about(kind: str, found: str, **more: Any) -> Json:
    subject = {"patient": SUBJECT} if kind in ("AllergyIntolerance", "Immunization") else {"subject": SUBJECT}
    return {"resourceType": kind, "id": f"{found}-of-{PATIENT}"} | subject | more


def observation(found: str, category: str, **more: Any) -> Json:
    return about(
        "Observation", found, status="final", category=[{"coding": [{"system": CATEGORY, "code": category}]}],
        code={"coding": [{"system": "http://loinc.org", "code": "8867-4"}], "text": "Pulse"},
        effectiveDateTime=f"20{10 + int(found[1:]) % 16}-03-01", valueQuantity={"value": 70, "unit": "/min"}, **more,
    )  # fmt: skip


def record(vitals: int = 12) -> list[Json]:
    """One patient with something in every section, a drug by reference, a doctor, a document."""
    return [
        {
            "resourceType": "Patient", "id": PATIENT, "name": [{"family": CANARY[0], "given": [CANARY[1]]}],
            "identifier": [{"system": "urn:oid:1.2.3", "value": CANARY[2]}], "birthDate": CANARY[3], "gender": "female",
        },
        *(observation(f"v{i}", "vital-signs") for i in range(vitals)),
        *(observation(f"l{i}", "laboratory") for i in range(4)),
        observation("s0", "social-history"), observation("q0", "survey"),
        observation("g0", "imaging"), observation("x0", "exam"),
        *(about("Condition", f"c{i}", code={"text": f"Problem {i}"}, onsetDateTime="2015") for i in range(5)),
        about("AllergyIntolerance", "a0", code={"text": "Penicillin"}),
        about("MedicationRequest", "m0", status="active", intent="order", medicationReference={"reference": "Medication/drug"},
              requester={"reference": "Practitioner/doctor"}),
        {"resourceType": "Medication", "id": "drug", "code": {"text": "metformin"}},
        {"resourceType": "Practitioner", "id": "doctor", "name": [{"family": "Doc"}]},
        about("Encounter", "e0", status="finished", period={"start": "2020-01-01"}, **{"class": {"code": "AMB"}}),
        about("DiagnosticReport", "r0", status="final", code={"text": "Panel"}, effectiveDateTime="2020-01-01",
              category=[{"coding": [{"code": "LAB"}]}], result=[{"reference": f"Observation/l0-of-{PATIENT}"}]),
        about("Immunization", "i0", status="completed", vaccineCode={"text": "Flu"}, occurrenceDateTime="2020-10-01"),
        about("Procedure", "p0", status="completed", code={"text": "Biopsy"}, performedDateTime="2019-01-01"),
        about("CarePlan", "cp0", status="active", intent="plan", category=[{"coding": [
            {"system": "http://hl7.org/fhir/us/core/CodeSystem/careplan-category", "code": "assess-plan"}]}]),
        about("DocumentReference", "d0", status="current", date="2020-01-01T00:00:00Z", type={"text": "Note"},
              content=[{"attachment": {"contentType": "text/plain", "url": "Binary/doc"}}]),
        {"resourceType": "Binary", "id": "doc", "contentType": "text/plain", "data": "SGVsbG8="},
    ]  # fmt: skip


def hospital(dress: Dress | str = "generic", *, auth: bool = False, vitals: int = 12, **more: Any) -> PracticeEhr:
    vendor = (dress if isinstance(dress, Dress) else load_dress(dress)).profile
    key = key_pair("RS384" if vendor == "eclinicalworks" else "ES384")
    return PracticeEhr(
        "north", record(vitals), dress=dress, clients={"client-1": [key.public_jwk()]} if auth else None, **more
    )


@asynccontextmanager
async def at(ehr: PracticeEhr, clock: Clock | None = None, *, page: int | None = None, **limits: Any):
    """An open source of a practice hospital, with its dress's profile; `page`: resources on a page."""
    dress = ehr.state.dress
    vendor = dress.profile
    overrides: Json = {"paging": {"count": page}} if page else {}
    overrides |= PRACTICE if vendor == "athenahealth" else {}
    site = site_at(
        ehr.base_url,
        vendor,
        auth="none" if ehr.state.open else "backend",
        overrides=overrides,
        limits=limits,
        variant=dress.variant,
    )
    async with opened(site, clock) as source:
        yield source


async def refresh(ehr: PracticeEhr, clock: Clock | None = None, **more: Any) -> dict[str, SectionFetch]:
    async with at(ehr, clock, **more) as source:
        return {f.section: f for f in await source.fetch_patient(PATIENT, SECTIONS)}


def contents(fetches: dict[str, SectionFetch]) -> set[tuple[str, str, str]]:
    """What a refresh brought, wherever it stood: type, id, content."""
    return {(r.resource_type, r.resource_id, r.content_hash) for f in fetches.values() for r in f.resources}


def keys(fetch: SectionFetch) -> list[str]:
    return [f"{r.resource_type}/{r.resource_id}" for r in fetch.resources]


def wanted(fetches: dict[str, SectionFetch]) -> int:
    return sum(f.coverage.offered for f in fetches.values())

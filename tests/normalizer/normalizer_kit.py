"""Tiny resources and readers for the normalizer's tests. Everything here is invented."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from adapters.normalizer import NormalizationRules, Normalized, assemble, coverage_from_entries, normalize
from models.record import AnyEntry, Chart, Coverage, RawResource

Json = dict[str, Any]
LOINC, SNOMED, RXNORM, UCUM = (
    "http://loinc.org",
    "http://snomed.info/sct",
    "http://www.nlm.nih.gov/research/umls/rxnorm",
    "http://unitsofmeasure.org",
)
NOW = "2024-06-30T12:00:00Z"
CORPUS = Path(__file__).resolve().parents[3] / "shared" / "data"


def cc(code: str = "", text: str = "", system: str = SNOMED, display: str = "") -> Json:
    """A CodeableConcept."""
    made: Json = (
        {"coding": [{"system": system, "code": code} | ({"display": display} if display else {})]} if code else {}
    )
    return made | ({"text": text} if text else {})


def quantity(value: Any, unit: str = "", **more: Any) -> Json:
    return {"value": value} | ({"unit": unit, "code": unit, "system": UCUM} if unit else {}) | more


def resource(kind: str, rid: str = "1", **fields: Any) -> Json:
    """A resource about Patient/p (unless it is a Patient or says otherwise); a field set to None is left out."""
    about = {} if kind in ("Patient", "Practitioner", "Organization", "Location", "Medication", "Binary") else {
        "patient" if kind in ("AllergyIntolerance", "Immunization") else "subject": {"reference": "Patient/p"}
    }  # fmt: skip
    made = {"resourceType": kind, "id": rid} | about | fields
    return {k: v for k, v in made.items() if v is not None}


def observation(rid: str = "1", code: str | Json | None = "4548-4", **fields: Any) -> Json:
    coded = cc(code, system=LOINC) if isinstance(code, str) else code
    made: Json = {"status": "final", "code": coded, "effectiveDateTime": "2024-03-01"}
    return resource("Observation", rid, **(made | fields))


def condition(
    rid: str = "1", text: str = "Asthma", clinical: str = "active", verified: str = "confirmed", **fields: Any
) -> Json:
    made: Json = {
        "code": cc("195967001", text),
        "clinicalStatus": cc(clinical, system="http://terminology.hl7.org/CodeSystem/condition-clinical")
        if clinical
        else None,
        "verificationStatus": cc(verified, system="http://terminology.hl7.org/CodeSystem/condition-ver-status")
        if verified
        else None,
        "onsetDateTime": "2019",
    }
    return resource("Condition", rid, **(made | fields))


def order(rid: str = "1", **fields: Any) -> Json:
    made: Json = {
        "status": "active",
        "intent": "order",
        "authoredOn": "2024-05-01",
        "medicationCodeableConcept": cc("860975", "metformin 500 mg tablet", RXNORM),
    }
    return resource("MedicationRequest", rid, **(made | fields))


def raw(item: Json, *, content: bytes | None = None, retrieved: str = NOW, site: str = "s", **more: Any) -> RawResource:
    meta = item.get("meta")
    version = meta.get("versionId", "") if isinstance(meta, dict) else ""
    return RawResource(
        tenant="t",
        site=site,
        resource_type=item["resourceType"],
        resource_id=item["id"],
        content=content if content is not None else json.dumps(item).encode(),
        version=version,
        retrieved=retrieved,
        **more,
    )


def read(*items: Json, rules: NormalizationRules | None = None, patient_id: str | None = None) -> Normalized:
    """Normalize; the ledger must balance and every resource must have become something, whatever the test is about."""
    made = normalize([raw(i) for i in items], rules=rules, patient_id=patient_id)
    assert made.ledger.balanced
    assert made.ledger.offered == len(made.dispositions)
    return made


def one(item: Json, *others: Json, rules: NormalizationRules | None = None) -> Any:
    """The single entry that `item` becomes (`others` may be what it refers to)."""
    made = read(item, *others, rules=rules)
    mine = [
        e for e in made.entries if e.origin.resource_id == item["id"] and e.origin.resource_type == item["resourceType"]
    ]
    assert len(mine) == 1, (mine, made.quarantine)
    return mine[0]


def chart(*items: Json, as_of: str = NOW) -> Chart:
    return chart_of(read(*items).entries, as_of=as_of)


def chart_of(entries: Iterable[AnyEntry], coverage: Iterable[Coverage] | None = None, as_of: str = NOW) -> Chart:
    kept = list(entries)
    lines = coverage_from_entries(kept, {e.site for e in kept}) if coverage is None else coverage
    return assemble("t", "p", kept, lines, as_of=as_of)


def flags(entry: AnyEntry) -> set[str]:
    return {f.code for f in entry.flags}

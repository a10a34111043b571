"""One patient's record at a practice hospital, and what the tests of the refresh need."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import msgspec

from adapters.profile import SiteConfig
from models.record import Chart
from service.practice_ehr import PracticeEhr
from service.store import Store

Json = dict[str, Any]
SUBJECT = {"reference": "Patient/p1"}


def _concept(system: str, code: str, text: str) -> Json:
    return {"coding": [{"system": system, "code": code, "display": text}], "text": text}


def measure(key: str, category: str, code: str, value: float, day: str) -> Json:
    kind = _concept("http://terminology.hl7.org/CodeSystem/observation-category", category, category)
    return {
        "resourceType": "Observation",
        "id": key,
        "status": "final",
        "category": [kind],
        "code": _concept("http://loinc.org", code, f"Measure {code}"),
        "subject": SUBJECT,
        "effectiveDateTime": day,
        "valueQuantity": {"value": value, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"},
        "performer": [{"reference": "Practitioner/d1"}],
    }


RECORD: list[Json] = [
    {
        "resourceType": "Patient",
        "id": "p1",
        "name": [{"family": "Alder", "given": ["Zoë"]}],
        "gender": "female",
        "birthDate": "1950-03-04",
    },
    {"resourceType": "Practitioner", "id": "d1", "name": [{"family": "Birch", "given": ["Bo"]}]},
    {"resourceType": "Medication", "id": "m1", "code": {"text": "Lisinopril 10 mg"}},
    *(
        {
            "resourceType": "Condition",
            "id": f"c{i}",
            "clinicalStatus": _concept("http://terminology.hl7.org/CodeSystem/condition-clinical", "active", "Active"),
            "code": _concept("http://snomed.info/sct", str(44054006 + i), f"Problem {i}"),
            "subject": SUBJECT,
            "onsetDateTime": f"201{i}",
            "recorder": {"reference": "Practitioner/d1"},
        }
        for i in range(4)
    ),
    {
        "resourceType": "MedicationRequest",
        "id": "r1",
        "status": "active",
        "intent": "order",
        "medicationReference": {"reference": "Medication/m1"},
        "subject": SUBJECT,
        "authoredOn": "2024-05-10",
    },
    {
        "resourceType": "AllergyIntolerance",
        "id": "a1",
        "code": _concept("http://snomed.info/sct", "91936005", "Penicillin"),
        "patient": SUBJECT,
    },
    *(measure(f"v{i}", "vital-signs", "8867-4", 60 + i, f"2024-0{i}-01") for i in range(1, 6)),
    *(measure(f"l{i}", "laboratory", f"2345-{i}", i, f"2025-0{i}-01") for i in range(1, 6)),
]


def connect(store: Store, ehr: PracticeEhr, tenant: str = "t1", patient: str = "p1", **more: Any) -> str:
    """Connect the hospital as a site of its own name, with a sealed client key; returns our patient id."""
    name, closed = ehr.hospital.key, ehr.hospital.clients is not None
    more.setdefault("overrides", {"limits": {"requests_per_second": 1000}})
    config = {"client_id": f"{tenant}-{name}", "auth": "backend" if closed else "none", "allow_loopback": True}
    store.put_site(tenant, SiteConfig(name=name, fhir_base=ehr.base_url, **config, **more))
    if closed:
        ehr.register(f"{tenant}-{name}", [store.client_key(tenant, name).public_jwk()])
    return store.register_patient(tenant, name, patient)


def until(what: Callable[[], Any], seconds: float = 90) -> Any:
    """Wait until `what()` is true; returns it."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
    return found


def facts(chart: Chart) -> bytes:
    """The chart's bytes without whose it is and when it was read."""

    def timeless(value: Any) -> Any:
        if isinstance(value, dict):
            left_out = ("retrieved", "as_of", "tenant", "patient_id")
            return {k: timeless(v) for k, v in value.items() if k not in left_out}
        return [timeless(v) for v in value] if isinstance(value, list) else value

    return json.dumps(timeless(json.loads(msgspec.json.encode(chart))), indent=1).encode()

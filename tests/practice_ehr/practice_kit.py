"""Small patients, a backend client and HTTP helpers for the practice EHR's tests."""

from __future__ import annotations

import time
import uuid
from typing import Any

import httpx
from joserfc import jwk, jwt

from service.practice_ehr import Dress, PracticeEhr, dress_names, load_dress

Json = dict[str, Any]
LOINC, UCUM, SNOMED, RXNORM = (
    "http://loinc.org",
    "http://unitsofmeasure.org",
    "http://snomed.info/sct",
    "http://www.nlm.nih.gov/research/umls/rxnorm",
)


def concept(system: str, code: str, text: str) -> Json:
    return {"coding": [{"system": system, "code": code, "display": text}], "text": text}


def patient(key: str, family: str, born: str) -> Json:
    return {
        "resourceType": "Patient",
        "id": key,
        "identifier": [{"system": "urn:oid:1.2.3.4", "value": f"MRN-{key}"}],
        "name": [{"family": family, "given": ["Zoë", "Ann"]}],
        "gender": "female",
        "birthDate": born,
    }


def observation(
    key: str, who: str, day: str, value: float, category: str = "vital-signs", code: str = "8867-4"
) -> Json:
    return {
        "resourceType": "Observation",
        "id": key,
        "status": "final",
        "category": [concept("http://terminology.hl7.org/CodeSystem/observation-category", category, category)],
        "code": concept(LOINC, code, f"Measure {code}"),
        "subject": {"reference": f"Patient/{who}"},
        "effectiveDateTime": day,
        "valueQuantity": {"value": value, "unit": "/min", "system": UCUM, "code": "/min"},
    }


def record(who: str, family: str = "Alder", born: str = "1950-03-04", measures: int = 25) -> list[Json]:
    """One patient's record: each resource names its patient in its id, so that a leak is seen at once."""
    subject = {"reference": f"Patient/{who}"}
    note = "SGVsbG8sIG5vdGUu"  # "Hello, note."
    rows = [patient(who, family, born)]
    rows += [
        observation(f"{who}-v{i:03}", who, f"2024-{1 + i % 12:02}-{1 + i % 28:02}", 60 + i) for i in range(measures)
    ]
    rows += [observation(f"{who}-l{i}", who, f"2025-0{i}-01", i, "laboratory", f"2345-{i}") for i in range(1, 6)]
    rows += [
        {
            "resourceType": "Condition",
            "id": f"{who}-c{i}",
            "clinicalStatus": concept("http://terminology.hl7.org/CodeSystem/condition-clinical", status, status),
            "code": concept(SNOMED, str(44054006 + i), f"Problem {i}"),
            "subject": subject,
            "onsetDateTime": f"20{10 + i}",
        }
        for i, status in enumerate(["active", "active", "resolved", "active", "inactive", "active", "active"])
    ]
    rows += [
        {
            "resourceType": "MedicationRequest",
            "id": f"{who}-m{i}",
            "status": "active",
            "intent": "order",
            "medicationCodeableConcept": concept(RXNORM, str(860975 + i), f"Drug {i}"),
            "subject": subject,
            "authoredOn": f"2024-05-{10 + i}",
        }
        for i in range(3)
    ]
    rows += [
        {
            "resourceType": "AllergyIntolerance",
            "id": f"{who}-a1",
            "criticality": "high",
            "code": concept(SNOMED, "91936005", "Penicillin"),
            "patient": subject,
        },
        {
            "resourceType": "CarePlan",
            "id": f"{who}-p1",
            "status": "active",
            "intent": "plan",
            "category": [concept("http://hl7.org/fhir/us/core/CodeSystem/careplan-category", "assess-plan", "Plan")],
            "subject": subject,
        },
        {
            "resourceType": "DocumentReference",
            "id": f"{who}-d1",
            "status": "current",
            "type": concept(LOINC, "11506-3", "Progress note"),
            "subject": subject,
            "date": "2024-06-01T10:00:00-05:00",
            "content": [{"attachment": {"contentType": "text/plain", "url": f"Binary/{who}-b1"}}],
        },
        {"resourceType": "Binary", "id": f"{who}-b1", "contentType": "text/plain", "data": note},
        {
            "resourceType": "Provenance",
            "id": f"{who}-pr1",
            "target": [{"reference": f"Condition/{who}-c0"}],
            "recorded": "2024-06-01T10:00:00Z",
            "agent": [{"who": {"display": "System"}}],
        },
    ]
    return rows


# One client: each new one costs a TLS context. No kept connections: the faults break them.
HTTP = httpx.Client(timeout=10, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))
RESOURCES = [*record("alder"), *record("birch", "Birch", "1950-03", measures=7)]


def dress_where(**changes: Any) -> Dress:
    """The plain dress with tables changed, for one behaviour at a time."""
    data = load_dress("generic").model_dump()
    for key, value in changes.items():
        data[key] = data[key] | value if isinstance(value, dict) else value
    return Dress.model_validate(data)


class Client:
    """A backend client with its own key."""

    def __init__(self, alg: str = "ES384", client_id: str = "client-1") -> None:
        self.client_id, self.alg, self.kid = client_id, alg, uuid.uuid4().hex
        self.key: Any = (
            jwk.ECKey.generate_key("P-384", auto_kid=False)
            if alg == "ES384"
            else jwk.RSAKey.generate_key(2048, auto_kid=False)
        )

    @property
    def jwk(self) -> Json:
        return self.key.as_dict(private=False) | {"kid": self.kid, "alg": self.alg}

    def assertion(
        self, audience: str, header: Json | None = None, key: Any = None, alg: str = "", **claims: Any
    ) -> str:
        now = int(time.time())
        body: Json = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": audience,
            "iat": now,
            "exp": now + 240,
            "jti": uuid.uuid4().hex,
        }
        body = {k: v for k, v in (body | claims).items() if v is not None}
        head = {"alg": alg or self.alg, "kid": self.kid, "typ": "JWT"} | (header or {})
        return jwt.encode(head, body, key or self.key, algorithms=[head["alg"]])

    def request(self, ehr: PracticeEhr, assertion: str, scope: str = "system/*.read", **changes: str) -> httpx.Response:
        form = {
            "grant_type": "client_credentials",
            "scope": scope,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion,
        } | changes
        return HTTP.post(ehr.token_url, data=form)

    def headers(self, ehr: PracticeEhr, scope: str = "system/*.read") -> dict[str, str]:
        answer = self.request(ehr, self.assertion(ehr.token_url), scope)
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def get(ehr: PracticeEhr, path: str, **more: Any) -> httpx.Response:
    return HTTP.get(path if path.startswith("http") else f"{ehr.base_url}/{path}", **more)


def link(bundle: Json, relation: str = "next") -> str:
    return next((str(row["url"]) for row in bundle["link"] if row["relation"] == relation), "")


def walk(ehr: PracticeEhr, path: str, limit: int = 200, **more: Any) -> list[Json]:
    """All pages of a search."""
    pages = [get(ehr, path, **more).raise_for_status().json()]
    while link(pages[-1]) and len(pages) < limit:
        pages.append(get(ehr, link(pages[-1]), **more).raise_for_status().json())
    return pages


def ids(pages: list[Json], mode: str = "match") -> list[str]:
    return [e["resource"]["id"] for p in pages for e in p.get("entry", []) if e["search"]["mode"] == mode]


def needed(dress: Dress, resource_type: str) -> dict[str, str]:
    """What a search in this dress must bring besides the patient."""
    found = {}
    for rule in dress.required:
        if resource_type in rule.types or ("*" in rule.types and resource_type not in rule.except_types):
            value = rule.value.format(tenant=dress.tenant) or {"Observation": "vital-signs"}.get(
                resource_type, "assess-plan"
            )
            found[rule.any_of[0]] = value
    return found


DRESSES = dress_names()

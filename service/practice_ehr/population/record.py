"""What one hospital writes down of one synthetic patient: builders of plain US-Core-like R4 resources."""

from __future__ import annotations

import base64
import hashlib
import tomllib
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

Json = dict[str, Any]
CODES: dict[str, Any] = tomllib.loads(Path(__file__).with_name("codes.toml").read_text(encoding="utf-8"))
LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"
RXNORM, CVX = "http://www.nlm.nih.gov/research/umls/rxnorm", "http://hl7.org/fhir/sid/cvx"
ICD10, UCUM = "http://hl7.org/fhir/sid/icd-10-cm", "http://unitsofmeasure.org"
THO = "http://terminology.hl7.org/CodeSystem/"
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"


@dataclass(frozen=True)
class Place:
    """A hospital that writes records."""

    key: str
    name: str
    mrn_system: str
    clinicians: tuple[str, ...]


HOSPITALS: dict[str, Place] = {
    "epic": Place(
        "epic",
        "Lakeside General Hospital",
        "urn:oid:2.16.840.1.113883.19.5.1",
        ("Dr. Amara Okafor", "Dr. Jonas Lindqvist"),
    ),
    "oracle_health": Place(
        "oracle_health",
        "River Valley Medical Center",
        "urn:oid:2.16.840.1.113883.19.5.2",
        ("Dr. Priya Raman", "Dr. Tomás Herrera"),
    ),
    "athenahealth": Place(
        "athenahealth", "Hillside Family Practice", "urn:oid:2.16.840.1.113883.19.5.3", ("Dr. Mei Tanaka",)
    ),
}
"""The three practice hospitals; OIDs under HL7's example arc."""


def concept(system: str, code: str, display: str, *more: tuple[str, str, str]) -> Json:
    """A CodeableConcept with one or more codings; the first display is the text."""
    codings = [{"system": s, "code": c, "display": d} for s, c, d in ((system, code, display), *more)]
    return {"coding": codings, "text": display}


def status(system: str, code: str) -> Json:
    """A CodeableConcept of an HL7 status code system."""
    return {"coding": [{"system": THO + system, "code": code}]}


def number(value: float, decimals: int) -> float | int:
    """A number with so many decimals, as JSON prints it."""
    return round(value, decimals) if decimals else round(value)


@dataclass
class Recorder:
    """Collects the resources of one patient at one hospital; ids are stable and unique at the hospital."""

    patient: str
    place: Place
    resources: list[Json] = field(default_factory=list)
    _count: int = 0

    def ident(self, kind: str) -> str:
        """The next id."""
        self._count += 1
        return f"{kind[:3].lower()}-{hashlib.sha256(f'{self.place.key}|{self.patient}|{self._count}'.encode()).hexdigest()[:14]}"

    @property
    def patient_id(self) -> str:
        """The Patient's id at this hospital."""
        return "pat-" + hashlib.sha256(f"{self.place.key}|{self.patient}".encode()).hexdigest()[:12]

    @property
    def subject(self) -> Json:
        """Reference to the patient."""
        return {"reference": f"Patient/{self.patient_id}"}

    def add(self, kind: str, body: Json, ident: str | None = None) -> Json:
        """Keep one resource."""
        resource = {"resourceType": kind, "id": ident or self.ident(kind), **body}
        self.resources.append(resource)
        return resource

    def clinician(self, index: int = 0) -> Json:
        """Reference to a clinician of the hospital (by reference only: the name has to be fetched)."""
        index %= len(self.place.clinicians)
        return {"reference": f"Practitioner/prac-{self.place.key.replace('_', '-')}-{index}"}

    def staff(self) -> None:
        """The organization, the location and the clinicians."""
        tag = self.place.key.replace("_", "-")
        self.add("Organization", {"active": True, "name": self.place.name}, f"org-{tag}")
        self.add("Location", {"status": "active", "name": f"{self.place.name}, main building"}, f"loc-{tag}")
        for index, name in enumerate(self.place.clinicians):
            given, family = name.removeprefix("Dr. ").split(" ", 1)
            body = {
                "active": True,
                "name": [{"use": "official", "family": family, "given": [given], "prefix": ["Dr."]}],
            }
            self.add("Practitioner", body, f"prac-{tag}-{index}")

    def encounter(
        self,
        day: date,
        kind: str,
        reason: str | None = None,
        *,
        hours: float = 0.5,
        hour: int = 9,
        end_day: date | None = None,
    ) -> str:
        """A contact; returns its reference. Kinds: visit, video, emergency, inpatient."""
        codes = {
            "visit": ("AMB", "ambulatory", "185349003", "Encounter for check up"),
            "video": ("VR", "virtual", "448337001", "Telemedicine consultation with patient"),
            "emergency": ("EMER", "emergency", "50849002", "Emergency room admission"),
            "inpatient": ("IMP", "inpatient encounter", "32485007", "Hospital admission"),
        }
        code, word, snomed, name = codes[kind]
        start = f"{day}T{hour:02d}:00:00Z"
        minutes = int(hours * 60)
        end = f"{end_day or day}T{min(23, hour + minutes // 60):02d}:{minutes % 60:02d}:00Z"
        body: Json = {
            "status": "finished",
            "class": {"system": THO + "v3-ActCode", "code": code, "display": word},
            "type": [concept(SNOMED, snomed, name)],
            "subject": self.subject,
            "period": {"start": start, "end": end},
            "participant": [{"individual": self.clinician()}],
            "serviceProvider": {"reference": f"Organization/org-{self.place.key.replace('_', '-')}"},
            "location": [{"location": {"reference": f"Location/loc-{self.place.key.replace('_', '-')}"}}],
        }
        if reason:
            row = CODES["problems"][reason]
            body["reasonCode"] = [concept(SNOMED, row[0], row[1])]
        if kind == "inpatient":
            body["hospitalization"] = {"dischargeDisposition": concept(THO + "discharge-disposition", "home", "Home")}
        return f"Encounter/{self.add('Encounter', body)['id']}"

    def problem(
        self,
        key: str,
        onset: date | str,
        *,
        ended: date | None = None,
        encounter: str | None = None,
        verification: str = "confirmed",
    ) -> Json:
        """A Condition with SNOMED CT and ICD-10-CM codes."""
        snomed, name, icd, icd_name = CODES["problems"][key]
        body: Json = {
            "clinicalStatus": status("condition-clinical", "resolved" if ended else "active"),
            "verificationStatus": status("condition-ver-status", verification),
            "category": [status("condition-category", "encounter-diagnosis" if encounter else "problem-list-item")],
            "code": concept(SNOMED, snomed, name, (ICD10, icd, icd_name)),
            "subject": self.subject,
            "onsetDateTime": str(onset),
            "recordedDate": str(onset) if len(str(onset)) == 10 else f"{onset}-06-15",
            "recorder": self.clinician(),
        }
        if ended:
            body["abatementDateTime"] = str(ended)
        if encounter:
            body["encounter"] = {"reference": encounter}
        if verification == "entered-in-error":
            body.pop("clinicalStatus")
        return self.add("Condition", body)

    def drug(
        self,
        key: str,
        day: date,
        *,
        state: str = "active",
        days: int = 90,
        refills: int = 3,
        reason: str | None = None,
        encounter: str | None = None,
        sig: str | None = None,
    ) -> Json:
        """A MedicationRequest."""
        code, name, instruction, per_day = CODES["drugs"][key]
        dosage: Json = {"text": sig or instruction}
        if "as needed" in instruction:
            dosage["asNeededBoolean"] = True
        elif "weekly" not in instruction and "units" not in instruction:
            dosage["timing"] = {"repeat": {"frequency": per_day, "period": 1, "periodUnit": "d"}}
        body: Json = {
            "status": state,
            "intent": "order",
            "category": [concept(THO + "medicationrequest-category", "community", "Community")],
            "medicationCodeableConcept": concept(RXNORM, code, name),
            "subject": self.subject,
            "authoredOn": str(day),
            "requester": self.clinician(),
            "dosageInstruction": [dosage],
            "dispenseRequest": {
                "numberOfRepeatsAllowed": refills,
                "quantity": {"value": days * per_day, "unit": "each"},
                "expectedSupplyDuration": {"value": days, "unit": "day", "system": UCUM, "code": "d"},
            },
        }
        if reason:
            row = CODES["problems"][reason]
            body["reasonCode"] = [concept(SNOMED, row[0], row[1])]
        if encounter:
            body["encounter"] = {"reference": encounter}
        return self.add("MedicationRequest", body)

    def lab(self, key: str, value: float, when: str, encounter: str | None = None, *, state: str = "final") -> Json:
        """A laboratory result with reference range and interpretation."""
        code, name, unit, low, high, decimals = CODES["labs"][key]
        flag = "H" if value > high else "L" if value < low else "N"
        words = {"H": "High", "L": "Low", "N": "Normal"}[flag]
        quantity = {"value": number(value, decimals), "unit": unit, "system": UCUM, "code": unit}
        body: Json = {
            "status": state,
            "category": [concept(THO + "observation-category", "laboratory", "Laboratory")],
            "code": concept(LOINC, code, name),
            "subject": self.subject,
            "effectiveDateTime": when,
            "issued": when,
            "valueQuantity": quantity,
            "interpretation": [concept(THO + "v3-ObservationInterpretation", flag, words)],
            "referenceRange": [{"low": {"value": low, "unit": unit}, "high": {"value": high, "unit": unit}}],
        }
        if encounter:
            body["encounter"] = {"reference": encounter}
        return self.add("Observation", body)

    def panel(self, key: str, values: dict[str, float], day: date, encounter: str | None = None) -> Json:
        """A lab panel: its results and the DiagnosticReport that groups them."""
        code, name, members = CODES["panels"][key]
        when = f"{day}T08:15:00Z"
        results = [self.lab(m, values[m], when, encounter) for m in members if m in values]
        return self.add(
            "DiagnosticReport",
            {
                "status": "final",
                "category": [concept(THO + "v2-0074", "LAB", "Laboratory")],
                "code": concept(LOINC, code, name),
                "subject": self.subject,
                "effectiveDateTime": when,
                "issued": when,
                "result": [{"reference": f"Observation/{r['id']}"} for r in results],
            },
        )

    def vital(self, key: str, value: float, when: str, encounter: str | None = None) -> Json:
        """A vital sign."""
        code, name, unit, decimals = CODES["vitals"][key]
        quantity = {"value": number(value, decimals), "unit": unit, "system": UCUM, "code": unit}
        return self._vital(concept(LOINC, code, name), when, encounter, {"valueQuantity": quantity})

    def pressure(self, systolic: float, diastolic: float, when: str, encounter: str | None = None) -> Json:
        """A blood pressure panel."""

        def part(code: str, name: str, value: float) -> Json:
            quantity = {"value": round(value), "unit": "mmHg", "system": UCUM, "code": "mm[Hg]"}
            return {"code": concept(LOINC, code, name), "valueQuantity": quantity}

        parts = [
            part("8480-6", "Systolic blood pressure", systolic),
            part("8462-4", "Diastolic blood pressure", diastolic),
        ]
        return self._vital(concept(LOINC, "85354-9", "Blood pressure panel"), when, encounter, {"component": parts})

    def _vital(self, code: Json, when: str, encounter: str | None, value: Json) -> Json:
        body: Json = {
            "status": "final",
            "category": [concept(THO + "observation-category", "vital-signs", "Vital Signs")],
            "code": code,
            "subject": self.subject,
            "effectiveDateTime": when,
            **value,
        }
        if encounter:
            body["encounter"] = {"reference": encounter}
        return self.add("Observation", body)

    def social(self, code: str, name: str, answer: tuple[str, str], day: date) -> Json:
        """A social history observation with a coded answer."""
        return self.add(
            "Observation",
            {
                "status": "final",
                "category": [concept(THO + "observation-category", "social-history", "Social History")],
                "code": concept(LOINC, code, name),
                "subject": self.subject,
                "effectiveDateTime": str(day),
                "valueCodeableConcept": concept(SNOMED, *answer),
            },
        )

    def score(self, code: str, name: str, value: int, day: date) -> Json:
        """A questionnaire's total."""
        return self.add(
            "Observation",
            {
                "status": "final",
                "category": [concept(THO + "observation-category", "survey", "Survey")],
                "code": concept(LOINC, code, name),
                "subject": self.subject,
                "effectiveDateTime": str(day),
                "valueQuantity": {"value": value, "unit": "{score}", "system": UCUM, "code": "{score}"},
            },
        )

    def allergy(
        self, code: tuple[str, str, str], reaction: tuple[str, str] | None, day: date, *, severity: str = "moderate"
    ) -> Json:
        """An AllergyIntolerance; without reaction for an explicit negative."""
        body: Json = {
            "clinicalStatus": status("allergyintolerance-clinical", "active"),
            "verificationStatus": status("allergyintolerance-verification", "confirmed"),
            "code": concept(*code),
            "patient": self.subject,
            "recordedDate": str(day),
        }
        if reaction:
            body |= {
                "type": "allergy",
                "category": ["medication"],
                "criticality": "high" if severity == "severe" else "low",
                "reaction": [{"manifestation": [concept(SNOMED, *reaction)], "severity": severity}],
            }
        return self.add("AllergyIntolerance", body)

    def vaccine(self, key: str, day: date, *, refused: bool = False) -> Json:
        """An Immunization, given or refused."""
        code, name = CODES["vaccines"][key]
        body: Json = {
            "status": "not-done" if refused else "completed",
            "vaccineCode": concept(CVX, code, name),
            "patient": self.subject,
            "occurrenceDateTime": str(day),
            "primarySource": True,
        }
        if refused:
            body["statusReason"] = concept(THO + "v3-ActReason", "PATOBJ", "patient objection")
        return self.add("Immunization", body)

    def procedure(self, code: tuple[str, str], day: date, *, done: bool = True, why_not: str = "") -> Json:
        """A Procedure, done or not."""
        body: Json = {
            "status": "completed" if done else "not-done",
            "code": concept(SNOMED, *code),
            "subject": self.subject,
            "performedDateTime": str(day),
        }
        if not done:
            body["statusReason"] = {"text": why_not}
        return self.add("Procedure", body)

    def narrative_report(
        self, code: tuple[str, str], category: tuple[str, str], text: str, day: date, conclusion: str = ""
    ) -> Json:
        """A DiagnosticReport in words."""
        body: Json = {
            "status": "final",
            "category": [concept(THO + "v2-0074", *category)],
            "code": concept(LOINC, *code),
            "subject": self.subject,
            "effectiveDateTime": f"{day}T14:00:00Z",
            "issued": f"{day}T16:30:00Z",
            "presentedForm": [{"contentType": "text/plain", "data": encoded(text), "title": code[1]}],
        }
        if conclusion:
            body["conclusion"] = conclusion
        return self.add("DiagnosticReport", body)

    def note(
        self,
        code: tuple[str, str],
        text: str,
        day: date,
        encounter: str | None = None,
        *,
        kind: str = "text/plain",
        as_binary: bool = False,
    ) -> Json:
        """A DocumentReference with its text inside, or in a Binary that has to be fetched."""
        attachment: Json = {"contentType": kind, "title": code[1], "creation": str(day)}
        if as_binary:
            binary = self.add("Binary", {"contentType": kind, "data": encoded(text)})
            attachment["url"] = f"Binary/{binary['id']}"
        else:
            attachment["data"] = encoded(text)
        body: Json = {
            "status": "current",
            "type": concept(LOINC, *code),
            "category": [
                concept(
                    US_CORE.replace("StructureDefinition", "CodeSystem") + "us-core-documentreference-category",
                    "clinical-note",
                    "Clinical Note",
                )
            ],
            "subject": self.subject,
            "date": f"{day}T17:00:00Z",
            "author": [self.clinician()],
            "content": [{"attachment": attachment}],
        }
        if encounter:
            body["context"] = {"encounter": [{"reference": encounter}]}
        return self.add("DocumentReference", body)

    def plan(self, title: str, steps: list[str], start: date, addresses: Json | None = None) -> Json:
        """A CarePlan."""
        lines = "".join(f"<li>{s}</li>" for s in steps)
        body: Json = {
            "status": "active",
            "intent": "plan",
            "title": title,
            "category": [
                concept(
                    US_CORE.replace("StructureDefinition", "CodeSystem") + "careplan-category",
                    "assess-plan",
                    "Assessment and Plan of Treatment",
                ),
                concept(SNOMED, "38717003", "Longitudinal care plan"),
            ],
            "text": {
                "status": "generated",
                "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{title}</p><ul>{lines}</ul></div>',
            },
            "subject": self.subject,
            "period": {"start": str(start)},
            "activity": [{"detail": {"status": "in-progress", "description": s}} for s in steps],
        }
        if addresses:
            body["addresses"] = [{"reference": f"Condition/{addresses['id']}"}]
        return self.add("CarePlan", body)

    def provenance(self, target: Json, day: date) -> Json:
        """Who recorded a resource."""
        return self.add(
            "Provenance",
            {
                "target": [{"reference": f"{target['resourceType']}/{target['id']}"}],
                "recorded": f"{day}T17:05:00Z",
                "agent": [
                    {
                        "type": concept(THO + "provenance-participant-type", "author", "Author"),
                        "who": {"display": self.place.clinicians[0]},
                    }
                ],
            },
        )


def encoded(text: str) -> str:
    """Base64 of UTF-8 text."""
    return base64.b64encode(text.encode()).decode()


def spaced(first: date, last: date, days: int, jitter: list[int]) -> list[date]:
    """Days from `first` to `last`, about `days` apart."""
    found, day, index = [], first, 0
    while day <= last:
        found.append(day)
        day += timedelta(days=days + jitter[index % len(jitter)])
        index += 1
    return found

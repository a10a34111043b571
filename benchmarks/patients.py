"""Generated FHIR R4 patients of any size, so that a benchmark runs on a machine that has nothing else.

One long-term patient of a clinic: problems, prescriptions with refills, visits with vital signs, panels with reference
ranges, vaccinations, reports with conclusions, notes. The same seed and size give the same resources.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from adapters.normalizer import assemble, coverage_from_entries, normalize
from models.record import Chart, RawResource

TODAY = date(2026, 11, 1)
AS_OF = "2026-11-01T12:00:00Z"
TENANT, SITE = "benchmark", "clinic"
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
"""The independent test data, where it stands beside the project."""

Json = dict[str, Any]

_LOINC, _SNOMED = "http://loinc.org", "http://snomed.info/sct"
_RXNORM, _CVX = "http://www.nlm.nih.gov/research/umls/rxnorm", "http://hl7.org/fhir/sid/cvx"
_PROBLEMS = (
    ("44054006", "Type 2 diabetes mellitus"),
    ("38341003", "Essential hypertension"),
    ("709044004", "Chronic kidney disease"),
    ("55822004", "Hyperlipidemia"),
    ("49436004", "Atrial fibrillation"),
    ("13645005", "Chronic obstructive lung disease"),
    ("84114007", "Heart failure"),
    ("40930008", "Hypothyroidism"),
    ("239873007", "Osteoarthritis of knee"),
    ("35489007", "Depressive disorder"),
)
_DRUGS = (
    ("860975", "metformin hydrochloride 500 MG Oral Tablet", "Take 1 tablet by mouth twice daily"),
    ("314076", "lisinopril 10 MG Oral Tablet", "Take 1 tablet by mouth daily"),
    ("617310", "atorvastatin 20 MG Oral Tablet", "Take 1 tablet by mouth at bedtime"),
    ("1364430", "apixaban 5 MG Oral Tablet", "Take 1 tablet by mouth twice daily"),
    ("866924", "metoprolol tartrate 25 MG Oral Tablet", "Take 1 tablet by mouth twice daily"),
    ("966222", "levothyroxine sodium 0.075 MG Oral Tablet", "Take 1 tablet by mouth every morning"),
)
_VITALS = (
    ("8480-6", "Systolic blood pressure", "mm[Hg]", 104, 168),
    ("8462-4", "Diastolic blood pressure", "mm[Hg]", 58, 98),
    ("8867-4", "Heart rate", "/min", 55, 104),
    ("29463-7", "Body weight", "kg", 78, 92),
    ("59408-5", "Oxygen saturation", "%", 91, 99),
)
_LABS = (
    ("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "%", 5.6, 9.8, 4.0, 5.6),
    ("2345-7", "Glucose [Mass/volume] in Serum or Plasma", "mg/dL", 80, 260, 70, 99),
    ("2160-0", "Creatinine [Mass/volume] in Serum or Plasma", "mg/dL", 0.8, 2.2, 0.7, 1.2),
    ("98979-8", "Glomerular filtration rate predicted (CKD-EPI 2021)", "mL/min/{1.73_m2}", 28, 95, 60, 120),
    ("2823-3", "Potassium [Moles/volume] in Serum or Plasma", "mmol/L", 3.3, 5.6, 3.5, 5.1),
    ("2951-2", "Sodium [Moles/volume] in Serum or Plasma", "mmol/L", 130, 146, 136, 145),
    ("718-7", "Hemoglobin [Mass/volume] in Blood", "g/dL", 9.5, 15.5, 12.0, 15.5),
    ("13457-7", "Cholesterol in LDL [Mass/volume] in Serum or Plasma by calculation", "mg/dL", 60, 170, 0, 100),
    ("1742-6", "Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma", "U/L", 10, 70, 7, 40),
    ("777-3", "Platelets [#/volume] in Blood by Automated count", "10*3/uL", 120, 400, 150, 400),
)
_NOTE = (
    "Subjective: the patient reports feeling well, no chest pain. Walks thirty minutes a day. Home readings reviewed. "
    "Objective: lungs clear, no edema. Assessment and plan: continue the present treatment, repeat the panel in three "
    "months, foot examination at the next visit. Counselled about diet and salt."
)
_NOTE_BASE64 = base64.b64encode(_NOTE.encode()).decode()


def _code(system: str, code: str, display: str) -> Json:
    return {"coding": [{"system": system, "code": code, "display": display}], "text": display}


_MARKS = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
_CHECK_UP = _code(_SNOMED, "185349003", "Encounter for check up")
_REVIEW = _code(_SNOMED, "428191000124101", "Documentation of current medications")
_FLU = _code(_CVX, "140", "Influenza, seasonal, injectable, preservative free")
_CT = _code(_LOINC, "24627-2", "Chest CT")
_PROGRESS = _code(_LOINC, "11506-3", "Progress note")
_CONCLUSION = "No acute cardiopulmonary process. Stable small nodule in the right upper lobe."


def resources(entries: int, seed: int = 1) -> list[Json]:
    """A patient whose chart has about `entries` entries, one resource each."""
    rng = random.Random(f"{seed}:{entries}")
    made = list(_lasting(rng))
    visits = _visits(rng)
    while len(made) < entries:
        made.extend(next(visits))
    return made[:entries]


def chart(entries: int, seed: int = 1) -> Chart:
    """The chart of such a patient."""
    return chart_of(resources(entries, seed))


def chart_of(found: list[Json], as_of: str = AS_OF) -> Chart:
    """The chart of one patient's resources."""
    raw = [
        RawResource(
            tenant=TENANT,
            site=SITE,
            resource_type=r["resourceType"],
            resource_id=r["id"],
            content=json.dumps(r).encode(),
            retrieved=as_of,
        )
        for r in found
    ]
    normalized = normalize(raw)
    coverage = coverage_from_entries(normalized.entries, (SITE,))
    return assemble(TENANT, "p1", normalized.entries, coverage, as_of=as_of, ledger=normalized.ledger)


def _base(kind: str, number: str) -> Json:
    return {"resourceType": kind, "id": f"{kind.lower()}-{number}", "meta": {"versionId": "1"}}


def _lasting(rng: random.Random) -> Iterator[Json]:
    yield _base("Patient", "p1") | {
        "name": [{"use": "official", "family": "Example", "given": ["Erin"]}],
        "gender": "female",
        "birthDate": "1956-04-12",
    }
    subject = {"subject": {"reference": "Patient/patient-p1"}}
    yield _base("AllergyIntolerance", "1") | {
        "patient": subject["subject"],
        "clinicalStatus": _code(
            "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "active", "Active"
        ),
        "verificationStatus": _code(
            "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification", "confirmed", "Confirmed"
        ),
        "code": _code(_SNOMED, "764146007", "Penicillin"),
        "criticality": "high",
        "reaction": [{"manifestation": [_code(_SNOMED, "247472004", "Hives")]}],
    }
    for index, (code, display) in enumerate(_PROBLEMS):
        yield (
            _base("Condition", str(index))
            | subject
            | {
                "clinicalStatus": _code("http://terminology.hl7.org/CodeSystem/condition-clinical", "active", "Active"),
                "category": [
                    _code("http://terminology.hl7.org/CodeSystem/condition-category", "problem-list-item", "Problem")
                ],
                "code": _code(_SNOMED, code, display),
                "onsetDateTime": f"{2004 + index}-0{rng.randint(1, 9)}-15",
            }
        )
    for index, (code, display, text) in enumerate(_DRUGS):
        yield _prescription(rng, f"c{index}", code, display, text, "active", TODAY - timedelta(days=30 + 20 * index))


def _prescription(rng: random.Random, number: str, code: str, display: str, text: str, status: str, day: date) -> Json:
    return _base("MedicationRequest", number) | {
        "subject": {"reference": "Patient/patient-p1"},
        "status": status,
        "intent": "order",
        "medicationCodeableConcept": _code(_RXNORM, code, display),
        "authoredOn": day.isoformat(),
        "dosageInstruction": [{"text": text}],
        "dispenseRequest": {"numberOfRepeatsAllowed": rng.randint(0, 3)},
    }


def _visits(rng: random.Random) -> Iterator[list[Json]]:
    """One visit after the other, newest first; a big chart is a long life, not a busy week."""
    number, day = 0, TODAY - timedelta(days=9)
    while True:
        number += 1
        at = f"{day.isoformat()}T09:{rng.randint(10, 59)}:00Z"
        own = f"v{number}"
        visit = [_event("Encounter", own, status="finished", type=[_CHECK_UP], period={"start": at, "end": at})]
        visit[0]["class"] = {"code": "AMB"}
        visit += _vital_signs(rng, own, at)
        if number % 2:
            visit += _panel(rng, own, at)
        if number % 3 == 0:
            visit.append(_event("Procedure", own, status="completed", code=_REVIEW, performedDateTime=at))
        if number % 4 == 0:
            visit.append(_prescription(rng, own, *rng.choice(_DRUGS), "completed", day))
        if number % 5 == 0:
            visit.append(
                _event("DiagnosticReport", own, status="final", code=_CT, effectiveDateTime=at, conclusion=_CONCLUSION)
            )
        if number % 6 == 0:
            shot = _event("Immunization", own, status="completed", vaccineCode=_FLU, occurrenceDateTime=day.isoformat())
            shot["patient"] = shot.pop("subject")
            visit.append(shot)
        content = [{"attachment": {"contentType": "text/plain", "data": _NOTE_BASE64}}]
        visit.append(_event("DocumentReference", own, status="current", type=_PROGRESS, date=at, content=content))
        yield visit
        day -= timedelta(days=rng.randint(12, 40))


def _event(kind: str, number: str, **fields: Any) -> Json:
    return _base(kind, number) | {"subject": {"reference": "Patient/patient-p1"}} | fields


def _vital_signs(rng: random.Random, own: str, at: str) -> Iterator[Json]:
    for code, display, unit, low, high in _VITALS:
        yield _observation(f"{own}-{code}", "vital-signs", code, display, at, rng.randint(low, high), unit)


def _panel(rng: random.Random, own: str, at: str) -> Iterator[Json]:
    for code, display, unit, low, high, normal_low, normal_high in _LABS:
        value = round(rng.uniform(low, high), 1)
        made = _observation(f"{own}-{code}", "laboratory", code, display, at, value, unit)
        mark = "H" if value > normal_high else "L" if value < normal_low else "N"
        made["interpretation"] = [_code(_MARKS, mark, mark)]
        made["referenceRange"] = [{"low": {"value": normal_low}, "high": {"value": normal_high}}]
        yield made


def _observation(number: str, category: str, code: str, display: str, at: str, value: float, unit: str) -> Json:
    return _base("Observation", number) | {
        "subject": {"reference": "Patient/patient-p1"},
        "status": "final",
        "category": [_code("http://terminology.hl7.org/CodeSystem/observation-category", category, category)],
        "code": _code(_LOINC, code, display),
        "effectiveDateTime": at,
        "valueQuantity": {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit},
    }

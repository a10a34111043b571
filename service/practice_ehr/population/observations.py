"""Observations and the panels they are reported in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from service.practice_ehr.population.catalog import LOINC, SNOMED, Measure, measure, panel, tables
from service.practice_ehr.population.elements import HL7, Json, coding, concept, instant, quantity, reference
from service.practice_ehr.population.record import Record

SMOKING = {
    "never": ("266919005", "Never smoked tobacco"),
    "former": ("8517006", "Ex-smoker"),
    "daily": ("449868002", "Smokes tobacco daily"),
}
CATEGORIES = {
    "vital-signs": "Vital Signs",
    "laboratory": "Laboratory",
    "social-history": "Social History",
    "survey": "Survey",
}
INTERPRETATIONS = {"N": "Normal", "H": "High", "L": "Low", "HH": "Critical high", "LL": "Critical low"}
CRITICAL = {"potassium": (2.8, 6.0), "sodium": (120, 158), "hemoglobin": (7.0, 20.0), "glucose": (50, 400)}


def category(code: str) -> list[Json]:
    """The category of an Observation."""
    return [concept(coding(f"{HL7}/observation-category", code, CATEGORIES[code]))]


def interpretation(found: Measure, value: float) -> str:
    """N, L, H, LL or HH by the range; empty where there is no range."""
    if found.low is None and found.high is None:
        return ""
    low, high = CRITICAL.get(found.key, (float("-inf"), float("inf")))
    if value < low:
        return "LL"
    if value > high:
        return "HH"
    if found.low is not None and value < found.low:
        return "L"
    return "H" if found.high is not None and value > found.high else "N"


def reference_range(found: Measure) -> list[Json]:
    """The usual range as the laboratory prints it."""
    bounds: Json = {}
    if found.low is not None:
        bounds["low"] = quantity(found.low, found.unit, found.ucum)
    if found.high is not None:
        bounds["high"] = quantity(found.high, found.unit, found.ucum)
    low, high = found.low, found.high
    text = f"{low:g}-{high:g}" if low is not None and high is not None else f">={low:g}" if low is not None else f"<={high:g}" if high is not None else ""  # fmt: skip
    return [bounds | {"text": f"{text} {found.unit}"}] if bounds else []


def lab(
    record: Record, key: str, value: float, moment: datetime, encounter: Json | None = None, **more: object
) -> Json:
    """One laboratory result."""
    found = measure(key)
    mark = interpretation(found, value)
    coded = [concept(coding(f"{HL7}/v3-ObservationInterpretation", mark, INTERPRETATIONS[mark]))] if mark else None
    return record.add(
        "Observation",
        moment + timedelta(hours=3),
        profile="us-core-observation-lab",
        **{"status": "final"} | more,
        category=category("laboratory"),
        code=concept(coding(LOINC, found.loinc, found.display)),
        subject=record.subject,
        encounter=reference(encounter) if encounter else None,
        effectiveDateTime=instant(moment),
        issued=instant(moment + timedelta(hours=3)),
        performer=[reference(record.organization, record.hospital.name)],
        valueQuantity=quantity(value, found.unit, found.ucum),
        interpretation=coded,
        referenceRange=reference_range(found),
    )


def lab_panel(
    record: Record, key: str, values: Mapping[str, float], moment: datetime, encounter: Json | None = None
) -> list[Json]:
    """The results of a panel and the DiagnosticReport that holds them."""
    found = panel(key)
    results = [lab(record, member, values[member], moment, encounter) for member in found.members]
    record.add(
        "DiagnosticReport",
        moment + timedelta(hours=3),
        profile="us-core-diagnosticreport-lab",
        status="final",
        category=[concept(coding(f"{HL7}/v2-0074", "LAB", "Laboratory"))],
        code=concept(coding(LOINC, found.loinc, found.display)),
        subject=record.subject,
        encounter=reference(encounter) if encounter else None,
        effectiveDateTime=instant(moment),
        issued=instant(moment + timedelta(hours=3)),
        performer=[reference(record.organization, record.hospital.name)],
        result=[reference(r, measure(m).display) for r, m in zip(results, found.members, strict=True)],
    )
    return results


def vitals(record: Record, values: Mapping[str, float], moment: datetime, encounter: Json, *, bmi: bool) -> None:
    """Vital signs of a visit: blood pressure as a panel with components, the others one by one."""
    shared: Json = {
        "status": "final",
        "category": category("vital-signs"),
        "subject": record.subject,
        "encounter": reference(encounter),
        "effectiveDateTime": instant(moment),
        "issued": instant(moment),
        "performer": [record.doctor(0)],
    }
    if "systolic" in values:
        parts = [_component(key, values[key]) for key in ("systolic", "diastolic")]
        code = concept(
            coding(LOINC, "85354-9", "Blood pressure panel with all children optional"), text="Blood pressure"
        )
        record.add("Observation", moment, profile="us-core-blood-pressure", code=code, component=parts, **shared)
    measured = dict(values)
    if bmi and {"weight", "height"} <= measured.keys():
        measured["bmi"] = round(measured["weight"] / (measured["height"] / 100) ** 2, 1)
    for key, value in measured.items():
        if key in ("systolic", "diastolic"):
            continue
        found = measure(key)
        codes = [coding(LOINC, found.loinc, found.display)]
        if key == "spo2":
            codes.insert(0, coding(LOINC, "59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry"))
        amount = quantity(value, found.unit, found.ucum)
        record.add(
            "Observation", moment, profile="us-core-vital-signs", code=concept(*codes), valueQuantity=amount, **shared
        )


def _component(key: str, value: float) -> Json:
    found = measure(key)
    code = concept(coding(LOINC, found.loinc, found.display))
    return {"code": code, "valueQuantity": quantity(value, found.unit, found.ucum)}


def social_history(record: Record, moment: datetime, *, smoking: str, drinks: bool, pack_years: int = 0) -> None:
    """Smoking status and alcohol use as asked on that day."""
    shared: Json = {
        "status": "final",
        "category": category("social-history"),
        "subject": record.subject,
        "effectiveDateTime": instant(moment),
        "issued": instant(moment),
    }
    record.add(
        "Observation", moment, profile="us-core-smokingstatus", **shared,
        code=concept(coding(LOINC, "72166-2", "Tobacco smoking status")),
        valueCodeableConcept=concept(coding(SNOMED, *SMOKING[smoking])),
    )  # fmt: skip
    alcohol = ("228276006", "Occasional drinker") if drinks else ("105542008", "Current non-drinker of alcohol")
    record.add(
        "Observation", moment, profile="us-core-simple-observation", **shared,
        code=concept(coding(LOINC, "11331-6", "History of Alcohol use")),
        valueCodeableConcept=concept(coding(SNOMED, *alcohol)),
    )  # fmt: skip
    if pack_years:
        record.add(
            "Observation", moment, profile="us-core-smokingstatus", **shared,
            code=concept(coding(SNOMED, "401201003", "Cigarette pack-years")),
            valueQuantity=quantity(pack_years, "{PackYears}", "{PackYears}"),
        )  # fmt: skip


def pregnancy_status(record: Record, moment: datetime, encounter: Json) -> Json:
    """That the person is pregnant, as asked on that day."""
    return record.add(
        "Observation",
        moment,
        profile="us-core-observation-pregnancystatus",
        status="final",
        category=category("social-history"),
        code=concept(coding(LOINC, "82810-3", "Pregnancy status")),
        subject=record.subject,
        encounter=reference(encounter),
        effectiveDateTime=instant(moment),
        issued=instant(moment),
        valueCodeableConcept=concept(coding(SNOMED, "77386006", "Pregnant")),
    )


def phq9(record: Record, scores: Sequence[int], moment: datetime, encounter: Json) -> Json:
    """The nine answers and the panel with the total; returns the total's Observation."""
    table = tables()["phq9"]
    shared: Json = {
        "status": "final",
        "category": category("survey"),
        "subject": record.subject,
        "encounter": reference(encounter),
        "effectiveDateTime": instant(moment),
        "issued": instant(moment),
    }
    members = []
    for (loinc, display), score in zip(table["items"], scores, strict=True):
        answer = coding(LOINC, *table["answers"][score])
        item = record.add(
            "Observation", moment, profile="us-core-observation-screening-assessment", **shared,
            code=concept(coding(LOINC, loinc, display)), valueCodeableConcept=concept(answer),
        )  # fmt: skip
        members.append(reference(item, display))
    total = record.add(
        "Observation", moment, profile="us-core-observation-screening-assessment", **shared,
        code=concept(coding(LOINC, "44261-6", "Patient Health Questionnaire 9 item (PHQ-9) total score [Reported]"), text="PHQ-9 total score"),
        valueQuantity=quantity(sum(scores), "{score}", "{score}"),
    )  # fmt: skip
    record.add(
        "Observation", moment, profile="us-core-observation-screening-assessment", **shared,
        code=concept(coding(LOINC, "44249-1", "PHQ-9 quick depression assessment panel [Reported.PHQ]")),
        hasMember=[*members, reference(total, "PHQ-9 total score")],
    )  # fmt: skip
    return total

"""The words: notes and reports made from the facts of the day. Some say more than the coded record does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from service.practice_ehr.population.catalog import diagnosis, measure

if TYPE_CHECKING:
    from service.practice_ehr.population.care import Care, Visit

NEGATIVES = (
    "Denies chest pain, syncope, fever and chills.",
    "No chest pain, no shortness of breath at rest, no melena.",
    "Negative for fever, cough, dysuria and leg swelling.",
    "No headache, visual change or focal weakness.",
)
EXAMS = (
    "Alert, no distress. Lungs clear. Heart regular, no murmur. Abdomen soft. No edema.",
    "Well appearing. Neck supple, no bruit. Lungs clear to auscultation bilaterally. Trace ankle edema.",
    "Comfortable. Chest clear. S1 S2 normal. No calf tenderness. Gait steady.",
)
OPENINGS = (
    "{name} is a {age}-year-old {sex} who comes for {why}.",
    "{age}-year-old {sex} seen today for {why}.",
    "Seen for {why}. {name} is {age} years old.",
)
VISIT_WORDS = {
    "wellness": "a yearly check-up", "office": "a new complaint", "follow_up": "follow-up", "consult": "consultation",
    "well_child": "a well child visit", "prenatal": "prenatal care", "telehealth": "a video visit",
    "emergency": "emergency evaluation", "inpatient": "admission",
}  # fmt: skip


def progress_note(care: Care, visit: Visit) -> str:
    """HPI, history, examination, results, assessment and plan."""
    body = care.body
    why = VISIT_WORDS[visit.kind] + (f" of {diagnosis(visit.reason).display.lower()}" if visit.reason else "")
    sex = "woman" if body.female else "man"
    if body.age < 18:
        sex = "girl" if body.female else "boy"
    opening = care.pick(*OPENINGS).format(name=visit.record.persona.name, age=body.age, sex=sex, why=why)
    parts = [
        f"DATE OF SERVICE: {visit.moment:%m/%d/%Y}\n{visit.record.hospital.name}",
        "HISTORY OF PRESENT ILLNESS\n" + " ".join([opening, *visit.history, care.pick(*NEGATIVES)]),
        "PAST MEDICAL HISTORY\n" + (", ".join(care.problem_names(visit.hospital)) or "Unremarkable") + ".",
        f"FAMILY HISTORY\n{care.family_history}",
        "MEDICATIONS\n" + medication_list(care),
    ]
    if visit.vitals:
        v = visit.vitals
        pressure = f"BP {v['systolic']:.0f}/{v['diastolic']:.0f}, HR {v['heart_rate']:.0f}, SpO2 {v['spo2']:.0f}%, weight {v['weight']:.1f} kg."
        parts.append(f"PHYSICAL EXAMINATION\n{pressure} {care.pick(*EXAMS)}")
    if visit.labs:
        parts.append("RESULTS\n" + results(visit))
    parts.append("ASSESSMENT AND PLAN\n" + plan(visit))
    parts.append(f"Electronically signed by {visit.record.doctor(0)['display']}")
    return "\n\n".join(parts)


def medication_list(care: Care) -> str:
    """What the person takes, as the note of any hospital would list it."""
    return "\n".join(f"- {c.drug.text}" for _, c in sorted(care.courses.items())) or "None."


def results(visit: Visit) -> str:
    """The results worth a word, by their short names."""
    short = {
        "a1c": "HbA1c", "creatinine": "Creatinine", "egfr": "eGFR", "potassium": "Potassium", "ldl": "LDL", "tsh": "TSH",
        "uacr": "Urine albumin/creatinine", "ntprobnp": "NT-proBNP", "hemoglobin": "Hemoglobin", "inr": "INR", "glucose": "Glucose",
        "troponin": "Troponin I", "ferritin": "Ferritin", "psa": "PSA",
    }  # fmt: skip
    shown = [
        f"{name} {visit.labs[key]:g} {measure(key).unit if key != 'inr' else ''}".strip()
        for key, name in short.items()
        if key in visit.labs
    ]
    return ", ".join(shown) + "."


def plan(visit: Visit) -> str:
    """Numbered plan lines."""
    lines = visit.plan or ["Doing well; continue current care. Return in one year."]
    return "\n".join(f"{i}. {line}" for i, line in enumerate(lines, start=1))


def imaging(
    exam: str, indication: str, findings: Sequence[str], impression: Sequence[str], *, comparison: str = "None."
) -> str:
    """A report of radiology, cardiology or pathology with its usual sections."""
    numbered = "\n".join(f"{i}. {line}" for i, line in enumerate(impression, start=1))
    return (
        f"EXAM: {exam}\n\nINDICATION: {indication}\n\nCOMPARISON: {comparison}\n\n"
        f"FINDINGS:\n{chr(10).join(findings)}\n\nIMPRESSION:\n{numbered}\n"
    )


def chest_ct_with_nodule(indication: str, size_mm: int) -> str:
    """No embolism; a nodule found by chance, which no problem list knows."""
    return imaging(
        "CT chest with intravenous contrast",
        indication,
        [
            "Pulmonary arteries: no filling defect to the segmental level.",
            f"Lungs: {size_mm} mm solid nodule in the right upper lobe. No consolidation. Mild bibasilar atelectasis.",
            "Pleura: small bilateral effusions.",
            "Mediastinum: no enlarged lymph nodes. Coronary artery calcification is present.",
            "Upper abdomen: possible 12 mm cyst of the left kidney, incompletely characterized.",
        ],
        [
            "No pulmonary embolism.",
            f"Incidental {size_mm} mm right upper lobe nodule. CT follow-up in 6 to 12 months is recommended.",
            "Small bilateral pleural effusions, likely related to heart failure.",
        ],
    )


def chest_xray(indication: str, *, effusion: bool = False, consolidation: str = "") -> str:
    """A plain film."""
    lungs = f"Patchy opacity in the {consolidation}." if consolidation else "No focal consolidation. No pneumothorax."
    impression = [f"Opacity in the {consolidation}, pneumonia is favored; atelectasis cannot be excluded."] if consolidation else ["No acute cardiopulmonary process."]  # fmt: skip
    if effusion:
        impression = ["Cardiomegaly with pulmonary vascular congestion and small effusions. No pneumonia identified."]
    heart = "Cardiac silhouette is enlarged." if effusion else "Cardiac silhouette is normal in size."
    return imaging("XR chest, 2 views", indication, [lungs, heart, "No acute osseous abnormality."], impression)


def echo(indication: str, ejection_fraction: int, *, valve: str = "Mild mitral regurgitation.") -> str:
    """An echocardiogram; the ejection fraction stands only here."""
    reduced = ejection_fraction < 50
    function = "mildly reduced" if ejection_fraction >= 41 else "moderately reduced"
    words = f"Left ventricular systolic function is {function if reduced else 'normal'}; ejection fraction is estimated at {ejection_fraction}%."
    return imaging(
        "Transthoracic echocardiogram",
        indication,
        [words, "Left atrium is moderately dilated." if reduced else "Left atrium is normal in size.", valve, "No pericardial effusion. No intracardiac thrombus seen."],
        [f"LVEF {ejection_fraction}%.", valve],
    )  # fmt: skip


def discharge_summary(care: Care, visit: Visit, *, diagnosis_line: str, course: Sequence[str], medications: Sequence[str], follow_up: Sequence[str]) -> str:  # fmt: skip
    """A discharge summary with the changes of medication in words."""
    changed = "\n".join(f"- {line}" for line in medications)
    todo = "\n".join(f"- {line}" for line in follow_up)
    return (
        f"DISCHARGE SUMMARY\n{visit.record.hospital.name}\n\nADMITTED: {visit.moment:%m/%d/%Y}\n\n"
        f"PRINCIPAL DIAGNOSIS\n{diagnosis_line}\n\nHOSPITAL COURSE\n{' '.join(course)}\n\n"
        f"RESULTS ON ADMISSION\n{results(visit)}\n\nMEDICATION CHANGES\n{changed}\n\nFOLLOW-UP\n{todo}\n\n"
        f"CONDITION AT DISCHARGE\nStable, ambulatory, oriented.\n\nElectronically signed by {visit.record.doctor(0)['display']}"
    )


SCREENING_REPORTS = {
    "mammogram": imaging(
        "Screening mammogram, bilateral",
        "Screening.",
        [
            "Scattered areas of fibroglandular density.",
            "No suspicious mass, calcification or architectural distortion.",
        ],
        ["BI-RADS 1: negative. Routine screening in one to two years."],
        comparison="None available.",
    ),
    "bone_density": imaging(
        "DXA of lumbar spine and hip",
        "Postmenopausal screening.",
        ["Lumbar spine L1 to L4: T-score -1.6.", "Left femoral neck: T-score -1.9."],
        ["Low bone mass (osteopenia). No osteoporosis by WHO criteria."],
    ),
}


def obstetric_ultrasound(weeks: int) -> str:
    """A fetal ultrasound without anything unusual."""
    return imaging(
        "Obstetric ultrasound",
        f"Pregnancy, {weeks} weeks by last menstrual period.",
        [
            "Single live intrauterine pregnancy, fetal heart activity present.",
            "Fetal anatomy: no abnormality seen." if weeks >= 18 else "Crown-rump length agrees with dates.",
            "Placenta: no previa.",
        ],
        [f"Single live pregnancy of {weeks} weeks. No abnormality identified."],
    )

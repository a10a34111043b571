"""Narratives, written from the facts of the day. Some hold what no list has: that is what they are for."""

from __future__ import annotations

from datetime import date


def clinic_note(
    name: str,
    day: date,
    age: int,
    sex: str,
    problems: list[str],
    drugs: list[str],
    pressure: tuple[float, float],
    labs: dict[str, float],
    plan: list[str],
) -> str:
    """A progress note."""
    listed = "\n".join(f"{i}. {p}" for i, p in enumerate(problems, 1)) or "None."
    steps = "\n".join(f"- {p}" for p in plan)
    return f"""PROGRESS NOTE
Date of service: {day}

HISTORY OF PRESENT ILLNESS
{name} is a {age}-year-old {sex} seen for follow-up. Denies chest pain, shortness of breath at rest, and syncope.
Reports taking medications most days; misses the evening dose about once a week. No hypoglycemia.

FAMILY HISTORY
Father had a myocardial infarction at 61. Mother has type 2 diabetes. No family history of colon cancer.

PROBLEM LIST
{listed}

MEDICATIONS
{chr(10).join("- " + d for d in drugs) or "None."}

OBJECTIVE
Blood pressure {pressure[0]:.0f}/{pressure[1]:.0f} mmHg. Hemoglobin A1c {labs["hba1c"]}%. Creatinine {labs["creatinine"]} mg/dL, eGFR {labs["egfr"]}.
Lungs clear. No peripheral edema. Feet: sensation intact, no ulcers.

ASSESSMENT AND PLAN
{steps}
"""


def echo(day: date, ejection_fraction: int) -> str:
    """An echocardiogram."""
    return f"""TRANSTHORACIC ECHOCARDIOGRAM
Study date: {day}
INDICATION: Dyspnea on exertion. Rule out heart failure.
FINDINGS:
Left ventricle is mildly dilated. Left ventricular ejection fraction is estimated at {ejection_fraction}%.
Mild mitral regurgitation. No aortic stenosis. No pericardial effusion. No thrombus.
Moderate left atrial enlargement.
IMPRESSION:
1. Reduced left ventricular systolic function, ejection fraction {ejection_fraction}%.
2. Mild mitral regurgitation.
"""


def chest_ct(day: date, size_mm: int) -> str:
    """A chest CT with something nobody was looking for."""
    return f"""CT CHEST WITHOUT CONTRAST
Exam date: {day}
INDICATION: Cough for six weeks. History of pneumonia.
COMPARISON: None available.
FINDINGS:
LUNGS: There is a {size_mm} mm solid nodule in the right upper lobe. No consolidation. No pleural effusion.
MEDIASTINUM: No enlarged lymph nodes. Heart size is normal.
UPPER ABDOMEN: Hepatic steatosis. No adrenal mass. No gallstones.
IMPRESSION:
1. {size_mm} mm right upper lobe nodule, likely benign. Follow-up CT in 6 to 12 months is recommended.
2. No evidence of pneumonia.
3. Hepatic steatosis.
"""


def discharge(name: str, admitted: date, left: date, problem: str, ejection_fraction: int, drugs: list[str]) -> str:
    """A discharge summary."""
    return f"""DISCHARGE SUMMARY
Admitted: {admitted}   Discharged: {left}

PRINCIPAL DIAGNOSIS: {problem}
HOSPITAL COURSE:
{name} was admitted with three days of worsening dyspnea and leg swelling. Chest radiograph showed pulmonary vascular
congestion without focal consolidation. Troponin was negative; myocardial infarction was ruled out. Echocardiogram
showed an ejection fraction of {ejection_fraction}%. Treated with intravenous furosemide with good response.
There was no evidence of pneumonia. Possible obstructive sleep apnea; outpatient sleep study suggested.

DISCHARGE MEDICATIONS:
{chr(10).join("- " + d for d in drugs)}

FOLLOW-UP: Primary care in 7 days. Return if weight rises by more than 2 kg in 3 days.
"""


def phone_note(day: date) -> str:
    """A short note in HTML, as patient portals write them."""
    return f"""<html><body><h2>Telephone encounter</h2><p>{day}</p>
<p>Patient called about a dry cough since starting lisinopril. No swelling of lips or tongue.</p>
<table><tr><th>Question</th><th>Answer</th></tr><tr><td>Fever</td><td>No</td></tr><tr><td>Sputum</td><td>No</td></tr></table>
<p>Advised to discuss a change to losartan at the next visit.</p></body></html>"""

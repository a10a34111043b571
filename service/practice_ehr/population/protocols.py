"""What a doctor decides at a visit: one small state machine for each chronic disease."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from service.practice_ehr.population import clinical
from service.practice_ehr.population.catalog import drug

if TYPE_CHECKING:
    from service.practice_ehr.population.care import Care, Visit

# What comes after what; the last of each is kept. A step that replaces names the drug that it replaces.
DIABETES = (
    ("metformin_500", ""),
    ("metformin_1000", "metformin_500"),
    ("empagliflozin_10", ""),
    ("semaglutide", ""),
    ("glargine", ""),
)
PRESSURE = (
    ("lisinopril_10", ""), ("lisinopril_20", "lisinopril_10"), ("amlodipine_5", ""),
    ("hydrochlorothiazide_25", ""), ("amlodipine_10", "amlodipine_5"),
)  # fmt: skip
LIPIDS = (("atorvastatin_20", ""), ("atorvastatin_40", "atorvastatin_20"), ("atorvastatin_80", "atorvastatin_40"))
THYROID = (
    ("levothyroxine_50", ""),
    ("levothyroxine_75", "levothyroxine_50"),
    ("levothyroxine_100", "levothyroxine_75"),
)
MOOD = (("sertraline_50", ""), ("sertraline_100", "sertraline_50"))
MIN_WEEKS_BETWEEN_STEPS = 8


def decide(care: Care, visit: Visit) -> None:
    """Run every protocol that has something to go by; each adds lines to the plan of the visit."""
    diabetes(care, visit)
    blood_pressure(care, visit)
    lipids(care, visit)
    thyroid(care, visit)
    mood(care, visit)
    kidney(care, visit)


def step_up(care: Care, visit: Visit, ladder: tuple[tuple[str, str], ...], reason: str) -> str:
    """Take the next step of a ladder; returns it in words, or nothing when there is none or it is too early."""
    taken = {c.drug.ingredient for c in care.courses.values()}
    for key, replaces in ladder:
        found = drug(key)
        if key in care.courses:
            since = visit.moment.date() - care.courses[key].start
            if since < timedelta(weeks=MIN_WEEKS_BETWEEN_STEPS):
                return ""
            continue
        higher = found.ingredient in taken and (not replaces or replaces not in care.courses)
        if higher or {key, found.ingredient} & care.avoid or (care.body.gfr < 30 and found.ingredient == "metformin"):
            continue
        if replaces and care.courses[replaces].record is not visit.record:
            return ""  # whoever prescribes a drug raises its dose
        if replaces:
            care.stop(replaces, visit.moment, "Dose increased")
        care.start(key, visit, reason)
        return f"{'increase to' if replaces else 'start'} {found.text}"
    return ""


def diabetes(care: Care, visit: Visit) -> None:
    """HbA1c over target: one step. eGFR under 30: metformin stops."""
    if "a1c" in visit.labs and care.body.has("diabetes"):
        value = visit.labs["a1c"]
        step = step_up(care, visit, DIABETES, "diabetes") if value > 7.4 else ""
        visit.plan.append(
            f"Type 2 diabetes: HbA1c {value:g}%, {'above' if value > 7.4 else 'at'} goal; {step or 'continue current regimen'}."
        )
    if visit.labs.get("egfr", 99) < 30:
        for key in [k for k, c in care.courses.items() if c.drug.ingredient == "metformin"]:
            care.stop(key, visit.moment, "eGFR below 30")
            visit.plan.append("Metformin stopped because eGFR is below 30.")


def blood_pressure(care: Care, visit: Visit) -> None:
    """Systolic over 138: one step."""
    value = visit.vitals.get("systolic")
    if value is None or not care.body.has("hypertension") or visit.kind in ("emergency", "inpatient"):
        return
    ladder = (("losartan_100", "losartan_50"), *PRESSURE[2:]) if care.takes("losartan") else PRESSURE
    step = step_up(care, visit, ladder, "hypertension") if value > 138 else ""
    reading = f"{value:.0f}/{visit.vitals['diastolic']:.0f}"
    visit.plan.append(
        f"Hypertension: {reading} mmHg today, {step or ('recheck at next visit' if value > 138 else 'controlled, no change')}."
    )


def lipids(care: Care, visit: Visit) -> None:
    """LDL over goal: one step; the goal is lower with diabetes or coronary disease."""
    value = visit.labs.get("ldl")
    if value is None or not (care.body.has("hyperlipidemia") or care.body.has("diabetes")):
        return
    goal = 85 if care.body.has("coronary_disease") or care.body.has("diabetes") else 120
    step = step_up(care, visit, LIPIDS, "hyperlipidemia") if value > goal else ""
    visit.plan.append(f"Lipids: LDL {value:.0f} mg/dL; {step or 'continue'}.")


def thyroid(care: Care, visit: Visit) -> None:
    """TSH over range: one step."""
    value = visit.labs.get("tsh")
    if value is None or not care.body.has("hypothyroidism"):
        return
    step = step_up(care, visit, THYROID, "hypothyroidism") if value > 4.5 else ""
    visit.plan.append(f"Hypothyroidism: TSH {value:g}; {step or 'continue levothyroxine'}.")


def mood(care: Care, visit: Visit) -> None:
    """PHQ-9 of 10 and more: one step. Under 5 for a year on treatment: it ends and the problem is resolved."""
    if visit.phq9 is None or not care.body.has("depression"):
        return
    current = next((k for k in care.courses if k.startswith("sertraline")), "")
    if visit.phq9 >= 10:
        step = step_up(care, visit, MOOD, "depression")
        visit.plan.append(
            f"Depression: PHQ-9 {visit.phq9}, symptomatic; {step or 'continue, refer for therapy'}. Denies suicidal ideation."
        )
    elif visit.phq9 < 5 and current and (visit.moment.date() - care.courses[current].start).days > 400:
        care.stop(current, visit.moment, "In remission")
        del care.body.onsets["depression"]
        problem = care.problems.get((visit.hospital, "depression"))
        if problem:
            clinical.resolve(problem, visit.moment.date())
        visit.plan.append(f"Depression: PHQ-9 {visit.phq9}, in remission for a year; taper and stop the SSRI.")
    else:
        visit.plan.append(f"Depression: PHQ-9 {visit.phq9}; continue current treatment.")


STAGES = (("ckd4", 30.0), ("ckd3b", 45.0), ("ckd3a", 60.0))


def kidney(care: Care, visit: Visit) -> None:
    """The stage of chronic kidney disease on the problem list follows the eGFR, once it is clearly under a limit."""
    value = visit.labs.get("egfr")
    if value is None or not care.body.has("chronic_kidney_disease") or visit.kind in ("emergency", "inpatient"):
        return
    stage = next((key for key, limit in STAGES if value < limit - 1), "")
    listed = [key for key, _ in STAGES if (visit.hospital, key) in care.problems]
    order = [key for key, _ in STAGES]
    if stage and (not listed or order.index(stage) < min(order.index(k) for k in listed)):
        for key in listed:
            clinical.resolve(care.problems[(visit.hospital, key)], visit.moment.date())
        care.problem(visit.hospital, stage, visit.moment.date(), known=False)
        visit.plan.append(
            f"Chronic kidney disease: eGFR {value:.0f}, now stage {stage[3:]}; avoid NSAIDs, repeat in three months."
        )
    elif value < 60:
        visit.plan.append(f"Chronic kidney disease: eGFR {value:.0f}, potassium {visit.labs['potassium']:g}; monitor.")

"""The star of the demo: one woman, three hospitals, and what they do not tell each other."""

from __future__ import annotations

import random
from datetime import date, timedelta

from service.practice_ehr.population import clinical, documents, narratives, observations, prevention
from service.practice_ehr.population.body import ckd_epi_2021
from service.practice_ehr.population.care import Care, Visit
from service.practice_ehr.population.elements import at
from service.practice_ehr.population.people import COMMUNITY, FAMILY, SPECIALISTS, Persona

STAR_KEY = "p01"
STORY = (
    "Diabetes, kidney disease, atrial fibrillation and heart failure across three hospitals that disagree about "
    "lisinopril, anticoagulation, metformin dose, allergies and depression; an incidental lung nodule nobody follows."
)
PCP, CARDIOLOGY = FAMILY, SPECIALISTS
HOME = ("01", "Discharged to home care or self care (routine discharge)")
FULL = ("cmp", "lipid", "a1c", "uacr", "tsh")
HALF = ("bmp", "a1c")


def star(rng: random.Random, today: date) -> Care:
    """Ten years at the family doctor's, then cardiology, then an admission that changes much and reaches nobody."""
    persona = Persona(
        STAR_KEY, "Eleanor", "Whitfield", date(today.year - 71, 4, 17), "female", middle="Ruth", marital="W", smoking="former",
        street="2217 Monroe Street",
        differs={CARDIOLOGY: {"given": "Elinor", "family": "Whitfeld"}, COMMUNITY: {"street": "9 Riverside Court"}},
    )  # fmt: skip
    care = Care(persona, rng, today - timedelta(days=4000), today, height=163.0, weight=86.0, gfr=74.0, gfr_loss_per_year=4.2,
                base_systolic=120.0, base_ldl=152.0, hemoglobin=13.1)  # fmt: skip
    care.pack_years = 12
    care.family_history = "Mother with breast cancer at 68. Father died of myocardial infarction at 64. No family history of colon cancer."
    care.body.onsets |= {
        "hypertension": care.ago(11),
        "diabetes": care.ago(10.9),
        "chronic_kidney_disease": care.ago(10),
        "hypothyroidism": care.ago(8.4),
        "depression": care.ago(6.8),
    }
    _family_doctor(care)
    _heart(care)
    return care


def _family_doctor(care: Care) -> None:
    first = care.visit(PCP, care.ago(10.4), "wellness", panels=FULL, history=["New to this practice."], decide=False)
    if first is None:
        return
    day = first.moment.date()
    care.problem(PCP, "hypertension", day, onset=care.ago(11))
    care.problem(PCP, "hyperlipidemia", day)
    diabetes = care.problem(PCP, "diabetes", day)
    clinical.allergy(
        first.record, "penicillin", first.moment, reactions=["hives"], severity="moderate", criticality="high"
    )
    care.start("lisinopril_10", first, "hypertension")
    care.start("atorvastatin_20", first, "hyperlipidemia")
    care.start("metformin_500", first, "diabetes")
    first.plan += [
        "Type 2 diabetes, newly diagnosed: start metformin.",
        "Hypertension: start lisinopril.",
        "Hyperlipidemia: start atorvastatin.",
    ]
    care.write(first)
    plan = clinical.care_plan(
        first.record, "Diabetes self management plan", first.moment, ["Home glucose checks", "Diet and exercise counseling"],
        goal="HbA1c below 7.5%", addresses=[diabetes],
    )  # fmt: skip
    clinical.provenance(first.record, [diabetes, plan], first.moment)
    half_years = [10.0, 9.5, 9.0, 8.5, 8.0, 7.5, 7.0, 6.5, 6.0, 5.5, 5.0, 4.5, 4.0, 3.5]
    for index, years in enumerate(half_years):
        _checkup(care, years, yearly=index % 2 == 1)


def _checkup(care: Care, years: float, *, yearly: bool) -> None:
    history: list[str] = []
    if years == 8.0:
        history.append("Reports fatigue, constipation and cold intolerance.")
    if years == 6.5:
        history.append("Low mood since the death of her husband; sleeps badly.")
    panels = FULL if yearly else HALF + (("tsh",) if years <= 8.0 else ())
    mood = years <= 6.5 and "depression" in care.body.onsets
    visit = care.visit(PCP, care.ago(years), "wellness" if yearly else "follow_up", "diabetes", panels, history=history,
                       screen_mood=mood, bmi=yearly)  # fmt: skip
    if visit is None:
        return
    day = visit.moment.date()
    if years == 8.0:
        care.problem(PCP, "hypothyroidism", day, onset=care.ago(8.4))
    if years == 6.5:
        care.problem(PCP, "depression", day, onset=care.ago(6.8))
    if yearly:
        clinical.procedure(visit.record, "foot_exam", visit.moment, reason="diabetes", visit=visit.encounter)
        _prevention(care, visit, years)
    if yearly or history:
        care.write(visit, form="html" if years in (7.5, 4.5) else "text")


def _prevention(care: Care, visit: Visit, years: float) -> None:
    prevention.vaccines(care, visit)
    if years == 9.5:
        _colonoscopy(care, visit)
    if years in (6.5, 4.5):
        text = narratives.imaging(
            "Screening mammogram, bilateral", "Screening. Mother with breast cancer.",
            ["Breasts are heterogeneously dense.", "No suspicious mass, calcification or architectural distortion."],
            ["BI-RADS 1: negative. Routine screening in one to two years."], comparison="None available.",
        )  # fmt: skip
        moment = visit.moment + timedelta(days=9)
        documents.narrative_report(visit.record, "mammogram", text, moment)
        clinical.procedure(visit.record, "mammography", moment)
    if years == 5.5:
        clinical.procedure(visit.record, "retinal_screening", visit.moment + timedelta(days=30), reason="diabetes")
    if years == 3.5:
        clinical.procedure(visit.record, "colonoscopy", visit.moment, not_done="Patient declined; surveillance after polyp is due",
                           visit=visit.encounter)  # fmt: skip


def _colonoscopy(care: Care, visit: Visit) -> None:
    moment = visit.moment + timedelta(days=40)
    clinical.procedure(visit.record, "colonoscopy", moment)
    text = narratives.imaging(
        "Surgical pathology", "Screening colonoscopy, 8 mm sessile polyp of the sigmoid colon.",
        ["Sigmoid colon, polypectomy: fragments of colonic mucosa, 0.8 cm in aggregate."],
        ["Tubular adenoma. Negative for high-grade dysplasia.", "Surveillance colonoscopy in 5 years is advised."],
    )  # fmt: skip
    documents.narrative_report(visit.record, "pathology", text, moment + timedelta(days=3), doctor=2)
    care.problem(PCP, "colon_polyp", (moment + timedelta(days=3)).date())


def _heart(care: Care) -> None:
    consult = care.visit(CARDIOLOGY, care.ago(3.2), "consult", "atrial_fibrillation", ("bmp", "ntprobnp", "inr"),
                         history=["Palpitations for two months. ECG shows atrial fibrillation, rate 96."], decide=False, bmi=False)  # fmt: skip
    if consult is None:
        return
    day = consult.moment.date()
    care.problem(CARDIOLOGY, "atrial_fibrillation", day, onset=care.ago(3.4))
    care.problem(CARDIOLOGY, "hypertension", day, onset=care.ago(11))
    care.problem(CARDIOLOGY, "depression", day, onset=care.ago(6.8), known=False)
    clinical.allergy(
        consult.record, "sulfonamide", consult.moment, reactions=["rash"], severity="mild", criticality="low"
    )
    clinical.procedure(consult.record, "ecg", consult.moment, visit=consult.encounter)
    care.start("warfarin_5", consult, "atrial_fibrillation")
    care.start("metoprolol_25", consult, "atrial_fibrillation")
    care.reported("lisinopril_20", consult, "hypertension")
    consult.plan += [
        "Atrial fibrillation, CHA2DS2-VASc 5: start warfarin, INR goal 2 to 3. Rate control with metoprolol."
    ]
    care.write(consult, document="consult")
    documents.narrative_report(
        consult.record,
        "echo",
        narratives.echo("Atrial fibrillation.", 52),
        consult.moment + timedelta(days=6),
        doctor=0,
    )
    for week in (1, 2, 4, 8, 14, 22, 34, 48):
        if week == 14:
            _checkup(care, 3.0, yearly=False)
        if week == 48:
            _checkup(care, 2.5, yearly=True)
        care.visit(CARDIOLOGY, day + timedelta(weeks=week), "follow_up", "atrial_fibrillation", ("inr",), decide=False, bmi=False,
                   minutes=10)  # fmt: skip
    _admission(care)
    _afterwards(care)


def _admission(care: Care) -> None:
    day = care.ago(1.9)
    care.body.advance(day)
    care.body.onsets["heart_failure"] = day - timedelta(days=40)
    care.body.ejection_fraction, care.body.fluid = 38.0, 6.0
    healthy, care.body.gfr = care.body.gfr, ckd_epi_2021(2.05, care.body.age, female=True)
    care.body.ntprobnp, care.body.potassium_excess = 1400.0, 1.3
    stay = care.visit(COMMUNITY, day, "inpatient", "heart_failure", ("cmp", "cbc", "ntprobnp", "troponin", "inr"), hour=18,
                      minutes=4 * 1440 + 900, disposition=HOME, decide=False, bmi=False)  # fmt: skip
    if stay is None:
        return
    record, moment = stay.record, stay.moment
    clinical.allergy(record, "none", moment)
    for key in ("heart_failure", "atrial_fibrillation", "diabetes"):
        care.problem(COMMUNITY, key, moment.date(), onset=care.body.onsets[key])
    for key in ("heart_failure", "acute_kidney_injury", "hyperkalemia"):
        clinical.condition(record, key, moment, onset=moment.date(), visit=stay.encounter)
    clinical.condition(record, "copd", moment, onset=moment.date(), verification="entered-in-error")
    why = "Dyspnea and tachycardia; evaluate for pulmonary embolism."
    ct = narratives.chest_ct_with_nodule(why, 7)
    documents.narrative_report(record, "chest_ct", ct, moment + timedelta(hours=3), visit=stay.encounter)
    documents.note(record, "radiology", ct, moment + timedelta(hours=5), stay.encounter, doctor=1)
    echo = narratives.echo("Acute heart failure.", 38, valve="Moderate mitral regurgitation.")
    documents.narrative_report(record, "echo", echo, moment + timedelta(days=1), visit=stay.encounter, doctor=2)
    _labs_in_hospital(care, stay)
    _discharge(care, stay)
    care.body.gfr, care.body.fluid, care.body.potassium_excess = healthy - 4, 0.0, 0.0


def _labs_in_hospital(care: Care, stay: Visit) -> None:
    """Potassium and creatinine fall from day to day."""
    for day, share in ((1, 0.7), (2, 0.35), (3, 0.15)):
        moment = at(stay.moment.date() + timedelta(days=day), 6)
        potassium = 4.5 + (stay.labs["potassium"] - 4.5) * share
        creatinine = 1.5 + (stay.labs["creatinine"] - 1.5) * share
        observations.lab(stay.record, "potassium", round(potassium, 1), moment, stay.encounter)
        observations.lab(stay.record, "creatinine", round(creatinine, 2), moment, stay.encounter)


def _discharge(care: Care, stay: Visit) -> None:
    leaving = stay.moment + timedelta(days=4, hours=14)
    for key in [k for k, c in care.courses.items() if c.drug.ingredient == "lisinopril"]:
        care.stop(key, leaving, "", told=False, renewed=True)
        care.reported(key, stay, "hypertension", status="stopped", why="Hyperkalemia and acute kidney injury")
    care.stop("warfarin_5", leaving, "", told=False, renewed=True)
    care.reported("warfarin_5", stay, "atrial_fibrillation", status="stopped", why="Changed to apixaban")
    care.stop("metoprolol_25", leaving, "", told=False, renewed=True)
    care.avoid |= {"lisinopril", "metformin_1000", "hydrochlorothiazide"}
    if "metformin_1000" in care.courses:
        care.stop("metformin_1000", leaving, "", told=False, renewed=True)
    late = Visit(stay.record, stay.encounter, leaving - timedelta(hours=1), stay.kind, stay.reason)
    for key, reason in (("apixaban_5", "atrial_fibrillation"), ("carvedilol_6", "heart_failure"),
                        ("furosemide_40", "heart_failure"), ("metformin_500", "diabetes")):  # fmt: skip
        care.start(key, late, reason)
    care.stop("furosemide_40", leaving, "", told=False)
    text = narratives.discharge_summary(
        care, stay,
        diagnosis_line="Acute on chronic heart failure with reduced ejection fraction (LVEF 38%).",
        course=[
            "Presented with two weeks of dyspnea, orthopnea and weight gain.",
            "CT was negative for pulmonary embolism and showed a 7 mm right upper lobe nodule.",
            "Diuresed with intravenous furosemide, net negative 6 liters.",
            f"Hyperkalemia ({stay.labs['potassium']:g} mmol/L) and acute kidney injury resolved after lisinopril was stopped.",
            "No evidence of acute coronary syndrome. Pneumonia was ruled out.",
        ],
        medications=[
            "STOP lisinopril (hyperkalemia).", "STOP warfarin; START apixaban 5 mg twice daily.", "STOP metoprolol; START carvedilol 6.25 mg twice daily.",
            "START furosemide 40 mg daily.", "REDUCE metformin to 500 mg twice daily (kidney function).",
        ],
        follow_up=["Repeat potassium and creatinine in one week.", "CT chest in 6 to 12 months for the lung nodule.", "Cardiology in two weeks."],
    )  # fmt: skip
    documents.note(stay.record, "discharge", text, leaving, stay.encounter, form="binary")


def _afterwards(care: Care) -> None:
    check = care.visit(CARDIOLOGY, care.ago(1.84), "follow_up", "heart_failure", ("bmp", "ntprobnp"), decide=False,
                       history=["Recently in hospital for heart failure; no discharge papers available."])  # fmt: skip
    if check is not None:
        care.problem(CARDIOLOGY, "heart_failure", check.moment.date(), onset=care.body.onsets["heart_failure"])
        care.start("furosemide_20", check, "heart_failure")
        check.plan.append("Heart failure, improving: furosemide 20 mg daily. INR clinic for warfarin.")
        care.write(check)
        _same_sample_twice(care, check)
    later = care.visit(CARDIOLOGY, care.ago(1.2), "follow_up", "heart_failure", ("bmp", "ntprobnp"), decide=False)
    if later is not None:
        report = narratives.echo("Heart failure, follow-up.", 45)
        documents.narrative_report(
            later.record, "echo", report, later.moment + timedelta(hours=1), visit=later.encounter, doctor=0
        )
        care.body.ejection_fraction = 45.0
        later.plan.append("Heart failure: EF improved, continue.")
        care.write(later)
    for years, yearly in ((1.5, True), (1.0, False), (0.5, True)):
        _checkup(care, years, yearly=yearly)
    call = care.visit(
        PCP,
        care.ago(0.12),
        "telehealth",
        "hypertension",
        history=["Feels well, walks daily. Weight stable at home."],
        decide=False,
    )
    if call is not None:
        call.plan += ["Hypertension and diabetes: stable. Continue medications as listed. Labs before next visit."]
        care.write(call)


def _same_sample_twice(care: Care, visit: Visit) -> None:
    """The community hospital ran this sample and files it too; its potassium disagrees with what the clinic typed."""
    record = care.record(COMMUNITY, visit.moment.date())
    moment = visit.moment + timedelta(minutes=20)
    for key in ("potassium", "creatinine", "egfr"):
        value = visit.labs[key] + (0.5 if key == "potassium" else 0.0)
        observations.lab(record, key, round(value, 2), moment)
    # Typed under the wrong patient, then withdrawn; servers still return it.
    observations.lab(record, "glucose", 512.0, moment, status="entered-in-error")

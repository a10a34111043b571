"""Grown-ups with chronic diseases; some go to two hospitals, which do not tell each other everything."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta

from service.practice_ehr.population import clinical, documents, narratives, observations
from service.practice_ehr.population.care import Care, Visit
from service.practice_ehr.population.elements import at
from service.practice_ehr.population.follow_up import follow
from service.practice_ehr.population.people import COMMUNITY, FAMILY, SPECIALISTS, Persona

HOME = ("01", "Discharged to home care or self care (routine discharge)")


def begin(persona: Persona, rng: random.Random, today: date, years: float, **body: object) -> Care:
    """A person's care with a body fit for sex; followed from `years` ago."""
    female = persona.female
    shape: dict[str, object] = {
        "height": 163.0 + 7 * (rng.random() - 0.5) if female else 177.0 + 8 * (rng.random() - 0.5),
        "weight": (70.0 if female else 84.0) + 18 * (rng.random() - 0.4),
        "hemoglobin": 13.4 if female else 14.9,
        "gfr": 96.0 + 8 * (rng.random() - 0.5),
    }
    shape["height"] = round(float(shape["height"]))  # type: ignore[arg-type]
    care = Care(persona, rng, today - timedelta(days=round(years * 365.25) + 30), today, **(shape | body))
    if persona.smoking != "never":
        care.pack_years = 5 + int(rng.random() * 30)
    return care


def diabetes_and_kidney(persona: Persona, rng: random.Random, today: date) -> Care:
    """Diabetes with kidney disease at the family doctor's. The kidney specialist changed lisinopril to losartan because
    of a cough and wrote an intolerance down; the family doctor goes on renewing lisinopril."""
    care = begin(persona, rng, today, 9, weight=96.0, gfr=62.0, gfr_loss_per_year=3.4, base_ldl=146.0)
    onsets = {"diabetes": 11, "hypertension": 10, "hyperlipidemia": 9, "chronic_kidney_disease": 8}

    def nothing_known(care: Care) -> None:
        clinical.allergy(care.record(FAMILY, care.ago(7.9)), "none_drug", morning(care, 7.9))

    def specialist(care: Care) -> None:
        visit = care.visit(SPECIALISTS, care.ago(2.2), "consult", "diabetes", ("cmp", "uacr"), decide=False,
                           history=["Dry cough for months.", "Referred for falling eGFR."])  # fmt: skip
        if visit is None:
            return
        day = visit.moment.date()
        care.problem(SPECIALISTS, "hypertension", day, onset=care.ago(10), known=False)
        care.problem(SPECIALISTS, "ckd3a" if visit.labs["egfr"] >= 45 else "ckd3b", day, known=False)
        for key in [k for k, c in care.courses.items() if c.drug.ingredient == "lisinopril"]:
            care.stop(key, visit.moment, "", told=False, renewed=True)
            care.reported(key, visit, "hypertension", status="stopped", why="Cough")
        care.avoid.add("lisinopril")
        clinical.condition(visit.record, "diabetes", visit.moment, onset=care.ago(11), visit=visit.encounter)
        care.start("losartan_50", visit, "hypertension")
        visit.plan.append("Cough from lisinopril: change to losartan 50 mg daily. Repeat potassium in two weeks.")
        care.write(visit, document="consult")

    def again(care: Care) -> None:
        visit = care.visit(SPECIALISTS, care.ago(1.2), "follow_up", "hypertension", ("cmp", "uacr"))
        if visit is not None:
            care.write(visit)

    follow(care, FAMILY, 8, onsets, {7.9: nothing_known, 2.2: specialist, 1.2: again})
    return care


def lungs_and_heart(persona: Persona, rng: random.Random, today: date) -> Care:
    """COPD and coronary disease. The family doctor knows a penicillin allergy; the ward that treated an exacerbation
    wrote "no known allergies", another phone number, and twice the metoprolol."""
    care = begin(persona, rng, today, 8, base_systolic=124.0, base_ldl=150.0)
    care.pack_years = 40
    onsets = {"hypertension": 12, "coronary_disease": 8, "copd": 6.2, "prostate_enlargement": 4.2}

    def allergic(care: Care) -> None:
        clinical.allergy(care.record(FAMILY, care.ago(6.9)), "penicillin", morning(care, 6.9), reactions=["anaphylaxis"],
                         severity="severe", criticality="high")  # fmt: skip

    def exacerbation(care: Care) -> None:
        stay = care.visit(COMMUNITY, care.ago(1.4), "inpatient", "copd_exacerbation", ("cmp", "cbc", "troponin"), hour=17,
                          disposition=HOME, decide=False, bmi=False,
                          history=["Worsening cough and wheeze for four days; fever denied."])  # fmt: skip
        if stay is None:
            return
        clinical.allergy(stay.record, "none", stay.moment)
        care.problem(COMMUNITY, "copd", stay.moment.date(), onset=care.ago(6.2), known=False)
        clinical.condition(stay.record, "copd_exacerbation", stay.moment, onset=stay.moment.date(), visit=stay.encounter,
                           status="resolved", abated=(stay.moment + timedelta(days=6)).date())  # fmt: skip
        text = narratives.chest_xray("Dyspnea and cough.", consolidation="")
        documents.narrative_report(
            stay.record, "chest_xray", text, stay.moment + timedelta(hours=1), visit=stay.encounter
        )
        care.reported("metoprolol_50", stay, "coronary_disease")
        care.start(
            "prednisone_20", stay, "copd_exacerbation", days=5, sig="Take 2 tablets by mouth once daily for 5 days"
        )
        care.start("azithromycin_250", stay, "copd_exacerbation", days=5)
        summary(care, stay, "Acute exacerbation of COPD.",
                ["Treated with nebulized bronchodilators, steroids and azithromycin.", "Pneumonia was ruled out by radiograph.",
                 "Troponin was not elevated."],
                ["START prednisone 40 mg daily for five days.", "START azithromycin 250 mg daily for five days.",
                 "Continue tiotropium."], ["Primary care in one week.", "Stop smoking."])  # fmt: skip

    follow(care, FAMILY, 7, onsets, {6.9: allergic, 1.4: exacerbation})
    return care


def summary(
    care: Care, stay: Visit, diagnosis: str, course: list[str], changes: list[str], todo: list[str], *, days: int = 3
) -> None:
    """The discharge summary of a stay, as a Binary."""
    text = narratives.discharge_summary(
        care, stay, diagnosis_line=diagnosis, course=course, medications=changes, follow_up=todo
    )
    documents.note(stay.record, "discharge", text, stay.moment + timedelta(days=days), stay.encounter, form="binary")


def failing_heart(persona: Persona, rng: random.Random, today: date) -> Care:
    """Atrial fibrillation and heart failure with the cardiologists; the community hospital still lists warfarin."""
    care = begin(persona, rng, today, 7, gfr=66.0, gfr_loss_per_year=2.2)
    care.body.ejection_fraction = 36.0
    onsets = {"hypertension": 15, "atrial_fibrillation": 6.4, "heart_failure": 3.3, "osteoporosis": 5.4}
    care.avoid.add("apixaban")

    def warfarin(care: Care) -> None:
        visit = care.visit(COMMUNITY, care.ago(5.8), "follow_up", "atrial_fibrillation", ("inr", "bmp"), decide=False)
        if visit is not None:
            care.problem(COMMUNITY, "atrial_fibrillation", visit.moment.date(), onset=care.ago(6.4), known=False)
            care.start("warfarin_5", visit, "atrial_fibrillation")
            visit.plan.append("Atrial fibrillation: start warfarin, INR goal 2 to 3.")
            care.write(visit)

    def changed(care: Care) -> None:
        visit = care.visit(
            SPECIALISTS, care.ago(3.2), "consult", "heart_failure", ("bmp", "ntprobnp", "inr"), decide=False
        )
        if visit is None:
            return
        care.avoid.discard("apixaban")
        care.stop("warfarin_5", visit.moment, "", told=False, renewed=True)
        care.start("apixaban_5", visit, "atrial_fibrillation")
        care.start("spironolactone_25", visit, "heart_failure")
        clinical.procedure(
            visit.record, "echocardiography", visit.moment, reason="heart_failure", visit=visit.encounter
        )
        documents.narrative_report(visit.record, "echo", narratives.echo("Dyspnea, edema.", 36), visit.moment, doctor=0)
        visit.plan.append("LVEF 36%: start spironolactone. Change warfarin to apixaban 5 mg twice daily.")
        care.write(visit, document="consult")

    def nothing_known(care: Care) -> None:
        clinical.allergy(care.record(SPECIALISTS, care.ago(5.9)), "none", morning(care, 5.9))

    follow(care, SPECIALISTS, 6, onsets, {5.9: nothing_known, 5.8: warfarin, 3.2: changed})
    return care


def pregnancy(persona: Persona, rng: random.Random, today: date) -> Care:
    """Asthma, then a pregnancy: prenatal care at one hospital, the delivery at the other, which knows her by her
    earlier name and has asthma as resolved."""
    care = begin(persona, rng, today, 4, height=160.0, weight=61.0, hemoglobin=12.6, base_ldl=98.0)

    def allergy(care: Care) -> None:
        clinical.allergy(care.record(FAMILY, care.ago(3.4)), "grass_pollen", morning(care, 3.4), reactions=["wheezing"],
                         severity="mild", criticality="low")  # fmt: skip

    follow(care, FAMILY, 3.5, {"asthma": 12}, {3.4: allergy}, until=2.4)
    last_period = care.ago(2.0)
    expected: Visit | None = None
    problem = None
    for week in (8, 12, 16, 20, 24, 28, 31, 34, 36, 38):
        care.body.weight = 61.0 + max(0, week - 8) * 0.42
        visit = care.visit(FAMILY, last_period + timedelta(weeks=week), "prenatal", "pregnancy",
                           ("cbc",) if week in (8, 28) else (), decide=False, bmi=False,
                           history=["Fetal movement felt. No bleeding."] if week > 18 else ["Nausea, no bleeding."])  # fmt: skip
        if visit is None:
            return care
        expected = expected or visit
        problem = problem or care.problem(FAMILY, "pregnancy", visit.moment.date(), onset=last_period)
        if week == 8:
            observations.pregnancy_status(visit.record, visit.moment, visit.encounter)
        if week in (8, 20):
            text = narratives.obstetric_ultrasound(week)
            clinical.procedure(
                visit.record, "obstetric_ultrasound", visit.moment, reason="pregnancy", visit=visit.encounter
            )
            documents.narrative_report(visit.record, "obstetric_ultrasound", text, visit.moment, doctor=2)
        if week == 28:
            clinical.immunization(visit.record, "tdap", visit.moment, visit=visit.encounter)
        visit.plan.append(f"Pregnancy, {week} weeks: normal course.")
        if week in (8, 20, 28, 36):
            care.write(visit)
    _delivery(care, last_period)
    if problem is not None:
        clinical.resolve(problem, last_period + timedelta(weeks=40))
    del care.body.onsets["pregnancy"]
    care.body.weight = 64.0
    after = care.visit(FAMILY, last_period + timedelta(weeks=46), "follow_up", "", decide=False, screen_mood=True,
                       history=["Six weeks after delivery. Sleeps little, mood good."])  # fmt: skip
    if after is not None:
        care.write(after)
    follow(care, FAMILY, 0.9, {}, until=0.3)
    return care


def _delivery(care: Care, last_period: date) -> None:
    stay = care.visit(COMMUNITY, last_period + timedelta(weeks=40), "inpatient", "pregnancy", ("cbc",), hour=5, minutes=2 * 1440 + 300,
                      disposition=HOME, decide=False, bmi=False)  # fmt: skip
    if stay is None:
        return
    clinical.allergy(stay.record, "none_drug", stay.moment)
    clinical.condition(stay.record, "asthma", stay.moment, onset=care.ago(12), status="resolved",
                       abated=care.ago(5))  # fmt: skip
    clinical.procedure(
        stay.record, "normal_delivery", stay.moment + timedelta(hours=9), reason="pregnancy", visit=stay.encounter
    )
    care.start("ibuprofen_600", stay, "", days=7)
    summary(care, stay, "Term pregnancy, spontaneous vaginal delivery.", ["Uncomplicated labor; healthy newborn, 3,350 g."],
            ["START ibuprofen 600 mg as needed for seven days."], ["Postpartum visit in six weeks."], days=2)  # fmt: skip


def anemia_and_mood(persona: Persona, rng: random.Random, today: date) -> Care:
    """Iron deficiency, hypothyroidism and a depressive episode that remits; one hospital only."""
    care = begin(persona, rng, today, 7, base_ldl=124.0, levothyroxine_need=94.0)

    def nothing_known(care: Care) -> None:
        clinical.allergy(care.record(COMMUNITY, care.ago(5.9)), "none", morning(care, 5.9))

    follow(
        care,
        COMMUNITY,
        6,
        {"hypothyroidism": 5.1, "iron_deficiency_anemia": 3.6, "depression": 3.1},
        {5.9: nothing_known},
    )
    return care


def smoker(persona: Persona, rng: random.Random, today: date) -> Care:
    """COPD with the specialists; one night in the emergency department of the community hospital, which suspects a
    pneumonia that no list knows of afterwards."""
    care = begin(persona, rng, today, 7)
    care.pack_years = 52

    def emergency(care: Care) -> None:
        visit = care.visit(COMMUNITY, care.ago(2.1), "emergency", "copd_exacerbation", ("bmp", "cbc", "troponin"), hour=2,
                           decide=False, bmi=False, history=["Short of breath since the evening; cough with yellow sputum."])  # fmt: skip
        if visit is None:
            return
        clinical.condition(
            visit.record, "copd_exacerbation", visit.moment, onset=visit.moment.date(), visit=visit.encounter
        )
        film = narratives.chest_xray("Dyspnea, cough.", consolidation="right lower lobe")
        documents.narrative_report(
            visit.record, "chest_xray", film, visit.moment + timedelta(hours=1), visit=visit.encounter
        )
        care.start(
            "prednisone_20", visit, "copd_exacerbation", days=5, sig="Take 2 tablets by mouth once daily for 5 days"
        )
        care.start("azithromycin_250", visit, "copd_exacerbation", days=5)
        visit.plan.append("COPD exacerbation, possible right lower lobe pneumonia: prednisone and azithromycin, home.")
        care.write(visit, document="emergency")

    follow(care, SPECIALISTS, 6, {"copd": 7, "hypertension": 14}, {2.1: emergency})
    return care


def morning(care: Care, years: float) -> datetime:
    """Half past nine, so many years ago."""
    return at(care.ago(years), 9, 30)

"""People with short records: a healthy young man and a child with vaccines."""

from __future__ import annotations

import random
from datetime import date, timedelta

from service.practice_ehr.population import clinical
from service.practice_ehr.population.care import Care
from service.practice_ehr.population.people import Persona

# (months of age, vaccines): the routine schedule
SCHEDULE = (
    (0, ("hepb_ped",)),
    (2, ("hepb_ped", "dtap", "ipv", "hib", "pcv13", "rotavirus")),
    (4, ("dtap", "ipv", "hib", "pcv13", "rotavirus")),
    (6, ("hepb_ped", "dtap", "ipv", "pcv13", "influenza")),
    (12, ("mmr", "varicella", "hepa_ped", "hib", "pcv13")),
    (18, ("dtap", "hepa_ped", "influenza")),
    (48, ("dtap", "ipv", "mmr", "varicella")),
)
# (months, kg, cm): around the median of the WHO and CDC growth charts
GROWTH = (
    (0, 3.4, 50.0),
    (2, 5.4, 58.0),
    (4, 6.8, 63.0),
    (6, 7.7, 67.0),
    (12, 9.5, 75.5),
    (18, 10.8, 82.0),
    (48, 16.2, 102.5),
    (72, 20.8, 116.0),
)


def healthy_young_man(persona: Persona, rng: random.Random, today: date, hospital: str) -> Care:
    """Two visits in six years. Nobody ever asked about allergies."""
    care = Care(
        persona,
        rng,
        today - timedelta(days=2400),
        today,
        height=181.0,
        weight=77.0,
        base_ldl=96.0,
        hemoglobin=15.2,
        gfr=112.0,
    )
    care.family_history = "Parents healthy. No family history of sudden death or diabetes."
    sprain = care.visit(
        hospital,
        care.ago(5.1),
        "office",
        "ankle_sprain",
        history=["Twisted the right ankle playing basketball."],
        decide=False,
    )
    if sprain is not None:
        care.start("ibuprofen_600", sprain, "ankle_sprain", days=10)
        clinical.condition(sprain.record, "ankle_sprain", sprain.moment, onset=sprain.moment.date(), status="resolved",
                           abated=sprain.moment.date() + timedelta(days=28), visit=sprain.encounter)  # fmt: skip
        sprain.plan.append("Ankle sprain, no fracture by Ottawa rules: rest, ice, ibuprofen for ten days.")
        care.write(sprain)
    checkup = care.visit(hospital, care.ago(1.3), "wellness", panels=("cbc",))
    if checkup is not None:
        clinical.immunization(checkup.record, "tdap", checkup.moment, visit=checkup.encounter)
        clinical.immunization(checkup.record, "influenza", checkup.moment, refused="PATOBJ", visit=checkup.encounter)
        care.write(checkup)
    return care


def vaccinated_child(persona: Persona, rng: random.Random, today: date, hospital: str) -> Care:
    """Well child visits with the vaccines of the schedule and growth; nothing else."""
    care = Care(persona, rng, persona.birth_date, today, height=50.0, weight=3.4, base_systolic=90.0, hemoglobin=12.4)
    care.family_history = "Mother with seasonal allergies."
    for months, vaccines in SCHEDULE:
        day = persona.birth_date + timedelta(days=round(months * 30.44) + (2 if months == 0 else 5))
        care.body.weight, care.body.height = grown(months)
        visit = care.visit(hospital, day, "well_child", decide=False, bmi=months >= 24)
        if visit is None:
            break
        for vaccine in vaccines:
            refused = "PATOBJ" if vaccine == "influenza" and months == 18 else ""
            clinical.immunization(visit.record, vaccine, visit.moment, refused=refused, visit=visit.encounter)
    return care


def grown(months: float) -> tuple[float, float]:
    """Weight in kg and height in cm at this age, between the points of GROWTH."""
    for (m0, w0, h0), (m1, w1, h1) in zip(GROWTH, GROWTH[1:], strict=False):
        if months <= m1:
            share = (months - m0) / (m1 - m0)
            return round(w0 + (w1 - w0) * share, 1), round(h0 + (h1 - h0) * share, 1)
    return GROWTH[-1][1], GROWTH[-1][2]

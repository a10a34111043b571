"""The young: a healthy young man with almost nothing on record, and children with vaccines, growth and small illnesses."""

from __future__ import annotations

import itertools
import random
from datetime import date, timedelta

from service.practice_ehr.population import clinical
from service.practice_ehr.population.care import Care, Visit
from service.practice_ehr.population.people import Persona

# months of age -> vaccines: the CDC's routine schedule for children and adolescents, a usual way through it
SCHEDULE = {
    0: ("hepb_ped",),
    2: ("hepb_ped", "dtap", "ipv", "hib", "pcv13", "rotavirus"),
    4: ("dtap", "ipv", "hib", "pcv13", "rotavirus"),
    6: ("hepb_ped", "dtap", "ipv", "pcv13", "rotavirus"),
    12: ("mmr", "varicella", "hepa_ped", "hib", "pcv13"),
    18: ("dtap", "hepa_ped"),
    48: ("dtap", "ipv", "mmr", "varicella"),
    132: ("tdap", "hpv9", "menacwy"),
    144: ("hpv9",),
    192: ("menacwy",),
}
YEARLY = tuple(range(24, 217, 12))
# (months, kg, cm): around the medians of the WHO (to 24 months) and CDC growth charts
GROWTH = (
    (0, 3.4, 50.0), (2, 5.4, 58.0), (4, 6.8, 63.0), (6, 7.7, 67.0), (12, 9.5, 75.5), (18, 10.8, 82.0), (48, 16.2, 102.5),
    (72, 20.8, 116.0), (96, 25.6, 128.0), (120, 32.0, 138.5), (144, 40.0, 149.5), (168, 50.0, 161.0), (192, 59.0, 169.0),
    (216, 64.0, 172.0),
)  # fmt: skip


def healthy_young_man(persona: Persona, rng: random.Random, today: date, hospital: str) -> Care:
    """Two visits in six years. Nobody ever asked about allergies."""
    start = today - timedelta(days=2400)
    care = Care(persona, rng, start, today, height=181.0, weight=77.0, base_ldl=96.0, hemoglobin=15.2, gfr=112.0)
    care.family_history = "Parents healthy. No family history of sudden death or diabetes."
    why = ["Twisted the right ankle playing basketball."]
    sprain = care.visit(hospital, care.ago(5.1), "office", "ankle_sprain", history=why, decide=False)
    if sprain is not None:
        care.start("ibuprofen_600", sprain, "ankle_sprain", days=10)
        day = sprain.moment.date()
        healed = day + timedelta(days=28)
        clinical.condition(
            sprain.record,
            "ankle_sprain",
            sprain.moment,
            onset=day,
            status="resolved",
            abated=healed,
            visit=sprain.encounter,
        )
        sprain.plan.append("Ankle sprain, no fracture by Ottawa rules: rest, ice, ibuprofen for ten days.")
        care.write(sprain)
    checkup = care.visit(hospital, care.ago(1.3), "wellness", panels=("cbc",))
    if checkup is not None:
        clinical.immunization(checkup.record, "tdap", checkup.moment, visit=checkup.encounter)
        clinical.immunization(checkup.record, "influenza", checkup.moment, refused="PATOBJ", visit=checkup.encounter)
        care.write(checkup)
    return care


def growing_child(persona: Persona, rng: random.Random, today: date, hospital: str, *, asthma: bool = False) -> Care:
    """Well child visits with growth and the vaccines of the schedule; an ear infection; with `asthma` from six years on
    also an allergy to peanuts."""
    care = Care(persona, rng, persona.birth_date, today, height=50.0, weight=3.4, base_systolic=94.0, hemoglobin=12.4,
                gfr=105.0, gfr_loss_per_year=0.0)  # fmt: skip
    care.family_history = "Mother with seasonal allergies."
    for months in sorted({*SCHEDULE, *YEARLY}):
        care.body.weight, care.body.height = grown(months)
        day = persona.birth_date + timedelta(days=round(months * 30.44) + (2 if months == 0 else 5))
        visit = care.visit(hospital, day, "well_child", decide=False, bmi=months >= 24)
        if visit is None:
            break
        _vaccinate(care, visit, months)
        if months == 12 and not asthma:
            clinical.allergy(visit.record, "none", visit.moment)
        if months == 24:
            _ear_infection(care, hospital, visit.moment.date() + timedelta(days=70))
        if months == 72 and asthma:
            _asthma(care, visit)
        if months >= 24:
            visit.plan.append("Growth and development on track.")
            care.write(visit)
    return care


def _vaccinate(care: Care, visit: Visit, months: int) -> None:
    for vaccine in SCHEDULE.get(months, ()):
        clinical.immunization(visit.record, vaccine, visit.moment, visit=visit.encounter)
    if months >= 12:
        refused = "PATOBJ" if care.rng.random() < 0.25 else ""
        clinical.immunization(visit.record, "influenza", visit.moment, refused=refused, visit=visit.encounter)


def _ear_infection(care: Care, hospital: str, day: date) -> None:
    why = ["Fever and ear pulling since yesterday."]
    sick = care.visit(hospital, day, "office", "otitis_media", history=why, decide=False, bmi=False)
    if sick is None:
        return
    day = sick.moment.date()
    over = day + timedelta(days=14)
    clinical.condition(
        sick.record,
        "otitis_media",
        sick.moment,
        onset=day,
        status="resolved" if over <= care.today else "active",
        abated=over if over <= care.today else None,
        visit=sick.encounter,
    )
    care.start("amoxicillin_liquid", sick, "otitis_media", days=10, sig="Take 5 mL by mouth twice daily for 10 days")
    sick.plan.append("Acute otitis media: amoxicillin for ten days.")
    care.write(sick)


def _asthma(care: Care, visit: Visit) -> None:
    clinical.allergy(visit.record, "peanut", visit.moment, reactions=["hives"], severity="moderate", criticality="high")
    care.problem(visit.hospital, "asthma", visit.moment.date())
    care.start("fluticasone", visit, "asthma")
    care.start("albuterol", visit, "asthma", as_needed=True, sig="Inhale 2 puffs every 4 to 6 hours as needed")
    visit.plan.append("Asthma: start low-dose fluticasone and albuterol as needed.")


def grown(months: float) -> tuple[float, float]:
    """Weight in kg and height in cm at this age, between the points of GROWTH."""
    for (m0, w0, h0), (m1, w1, h1) in itertools.pairwise(GROWTH):
        if months <= m1:
            share = (months - m0) / (m1 - m0)
            return round(w0 + (w1 - w0) * share, 1), round(h0 + (h1 - h0) * share, 1)
    return GROWTH[-1][1], GROWTH[-1][2]

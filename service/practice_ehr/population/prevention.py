"""What is due at an adult's check-up by age and sex: vaccines and cancer screening, given, done or declined.

Ages and intervals follow the CDC adult schedule and the USPSTF recommendations as of 2025, coarsely.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from service.practice_ehr.population import clinical, documents, narratives
from service.practice_ehr.population.body import age_on
from service.practice_ehr.population.elements import at

if TYPE_CHECKING:
    from service.practice_ehr.population.care import Care, Visit

DECLINED = 0.12
FIRST_COVID_VACCINE, FIRST_PCV20 = date(2021, 3, 1), date(2022, 2, 1)


@dataclass(frozen=True)
class Screening:
    """A screening procedure: ages in completed years, both included; `report` is the key of its narrative report."""

    procedure: str
    ages: tuple[int, int]
    every_years: float
    women_only: bool = False
    report: str = ""


SCREENINGS = (
    Screening("colonoscopy", (45, 75), 10),
    Screening("mammography", (40, 74), 2, women_only=True, report="mammogram"),
    Screening("cervical_smear", (21, 65), 3, women_only=True),
    Screening("bone_density", (65, 90), 50, women_only=True, report="bone_density"),
)


def check_up(care: Care, visit: Visit) -> None:
    """Vaccines and screening of one check-up."""
    vaccines(care, visit)
    for screening in SCREENINGS:
        _screen(care, visit, screening)


def vaccines(care: Care, visit: Visit) -> None:
    """The vaccines that are due; influenza in autumn even when the visit is in spring."""
    age, day = care.body.age, visit.moment.date()
    if age < 18:
        return
    season = visit.moment if visit.moment.month >= 9 else at(date(day.year, 10, 12), 10)
    influenza = "influenza_high_dose" if age_on(care.persona.birth_date, season.date()) >= 65 else "influenza"
    if _due(care, "influenza", season.date(), 0.75) and care.past(season):
        refused = "PATOBJ" if care.rng.random() < DECLINED else ""
        _give(care, visit, influenza, season, refused=refused, name="influenza")
    if _due(care, "tdap", day, 10):
        _give(care, visit, "tdap", visit.moment)
    if age >= 50 and _due(care, "zoster", day, 100):
        _give(care, visit, "zoster", visit.moment)
        _give(care, visit, "zoster", visit.moment + timedelta(days=91))
    if age >= 65 and _due(care, "pneumococcal", day, 100):
        _give(care, visit, "pcv20" if day >= FIRST_PCV20 else "pcv13", visit.moment, name="pneumococcal")
    if day >= FIRST_COVID_VACCINE and _due(care, "covid", day, 100):
        _give(care, visit, "covid", visit.moment)
        _give(care, visit, "covid", visit.moment + timedelta(days=21))


def _due(care: Care, name: str, day: date, every_years: float) -> bool:
    last = care.last_done.get(name)
    return last is None or (day - last).days > every_years * 365


def _give(care: Care, visit: Visit, key: str, moment: datetime, *, refused: str = "", name: str = "") -> None:
    if not care.past(moment):
        return
    same_day = moment.date() == visit.moment.date()
    made_at = moment + timedelta(minutes=18)
    clinical.immunization(visit.record, key, made_at, refused=refused, visit=visit.encounter if same_day else None)
    care.last_done[name or key] = moment.date()


def _screen(care: Care, visit: Visit, due: Screening) -> None:
    low, high = due.ages
    if not low <= care.body.age <= high or (due.women_only and not care.body.female):
        return
    if not _due(care, due.procedure, visit.moment.date(), due.every_years):
        return
    care.last_done[due.procedure] = visit.moment.date()
    if care.rng.random() < DECLINED:
        clinical.procedure(
            visit.record, due.procedure, visit.moment, not_done="Patient declined", visit=visit.encounter
        )
        return
    moment = visit.moment + timedelta(days=10 + int(care.rng.random() * 20))
    if not care.past(moment + timedelta(days=1)):
        return
    clinical.procedure(visit.record, due.procedure, moment)
    if due.report:
        text = narratives.SCREENING_REPORTS[due.report]
        documents.narrative_report(visit.record, due.report, text, moment)

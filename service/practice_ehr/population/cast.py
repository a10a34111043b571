"""Who is in the population: twelve people written by hand, any number drawn at random, and the canary."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, timedelta

from service.practice_ehr.population import clinical, documents, story_adults
from service.practice_ehr.population.care import Care
from service.practice_ehr.population.follow_up import follow
from service.practice_ehr.population.people import COMMUNITY, FAMILY, HOSPITALS, SPECIALISTS, Persona, drawn
from service.practice_ehr.population.story_star import STAR_KEY, STORY, star
from service.practice_ehr.population.story_young import growing_child, healthy_young_man

Story = Callable[[random.Random, date], Care]


def fixed(today: date) -> list[tuple[str, str, Story]]:
    """The cast: key, story in words, and how the story is lived."""
    year = today.year
    man = Persona("p02", "Tomás", "Delgado", date(year - 24, 2, 3), "male", hispanic=True, language="es", marital="S")
    child = Persona("p03", "Amara", "Nwosu", date(year - 5, 6, 21), "female", race="black", marital="S", drinking=False)
    kidney = Persona("p04", "Hector", "Ramirez", date(year - 63, 9, 12), "male", hispanic=True, smoking="former",
                     street="77 Mill Pond Lane", differs={SPECIALISTS: {"street": "4 Station Road", "city": "Janesville"}})  # fmt: skip
    lungs = Persona("p05", "Walter", "Novak", date(year - 68, 1, 30), "male", smoking="former", street="1530 Third Avenue",
                    differs={COMMUNITY: {"phone": "608-555-0177", "given": "Walt"}})  # fmt: skip
    heart = Persona("p06", "Harriet", "Whitaker", date(year - 79, 8, 2), "female", marital="W", street="12 Sunset Terrace",
                    differs={COMMUNITY: {"birth_date": date(year - 79, 2, 8)}})  # fmt: skip
    mother = Persona("p07", "Linh", "Tran", date(year - 32, 5, 9), "female", race="asian", language="vi", street="801 Willow Street",
                     drinking=False, differs={COMMUNITY: {"family": "Nguyen", "marital": "S"}})  # fmt: skip
    tired = Persona("p08", "Denise", "Okafor", date(year - 44, 10, 18), "female", race="black", marital="D")
    boy = Persona("p09", "Omar", "Haddad", date(year - 15, 3, 27), "male", marital="S", drinking=False)
    smoker = Persona("p10", "Gunnar", "Sorensen", date(year - 71, 7, 7), "male", smoking="daily")
    sugar = Persona("p11", "Rajesh", "Chaudhry", date(year - 55, 11, 2), "male", race="asian", drinking=False)
    healthy = Persona("p12", "Ruth", "Kaplan", date(year - 58, 4, 4), "female", marital="M")
    return [
        (STAR_KEY, STORY, star),
        (
            "p02",
            "Healthy young man with almost nothing on record; nobody asked about allergies.",
            lambda r, t: healthy_young_man(man, r, t, FAMILY),
        ),
        (
            "p03",
            "Child with vaccines, growth and one ear infection.",
            lambda r, t: growing_child(child, r, t, SPECIALISTS),
        ),
        (
            "p04",
            "Diabetes and kidney disease; lisinopril active here, stopped for cough there.",
            lambda r, t: story_adults.diabetes_and_kidney(kidney, r, t),
        ),
        (
            "p05",
            "COPD and coronary disease; penicillin allergy here, no known allergies there; two doses of metoprolol.",
            lambda r, t: story_adults.lungs_and_heart(lungs, r, t),
        ),
        (
            "p06",
            "Heart failure and atrial fibrillation; apixaban here, warfarin there; the birth date typed the other way round.",
            lambda r, t: story_adults.failing_heart(heart, r, t),
        ),
        (
            "p07",
            "Pregnancy and delivery at two hospitals under two names; asthma active here, resolved there.",
            lambda r, t: story_adults.pregnancy(mother, r, t),
        ),
        (
            "p08",
            "Hypothyroidism, iron deficiency and a depressive episode that remits.",
            lambda r, t: story_adults.anemia_and_mood(tired, r, t),
        ),
        (
            "p09",
            "Adolescent with asthma, an allergy to peanuts and all vaccines.",
            lambda r, t: growing_child(boy, r, t, SPECIALISTS, asthma=True),
        ),
        (
            "p10",
            "Smoker with COPD; a night in the emergency department of another hospital.",
            lambda r, t: story_adults.smoker(smoker, r, t),
        ),
        (
            "p11",
            "Prediabetes that became diabetes.",
            _chronic(sugar, COMMUNITY, {"prediabetes": 6, "diabetes": 2.3, "hyperlipidemia": 7}),
        ),
        ("p12", "Healthy, comes for screening and vaccines.", _chronic(healthy, COMMUNITY, {})),
    ]


def _chronic(persona: Persona, hospital: str, onsets: dict[str, float], years: float = 6) -> Story:
    def live(rng: random.Random, today: date) -> Care:
        care = story_adults.begin(persona, rng, today, years + 1)
        follow(care, hospital, years, onsets)
        return care

    return live


# condition -> chance that a drawn person of middle age has it
COMMON = {
    "hypertension": 0.45, "hyperlipidemia": 0.4, "diabetes": 0.25, "chronic_kidney_disease": 0.18, "hypothyroidism": 0.12,
    "depression": 0.15, "asthma": 0.1, "copd": 0.08, "coronary_disease": 0.12, "atrial_fibrillation": 0.08,
    "iron_deficiency_anemia": 0.06,
}  # fmt: skip


def draw(key: str) -> Story:
    """A person drawn at random: mostly grown-ups with what grown-ups have, now and then a child, some at two hospitals."""

    def live(rng: random.Random, today: date) -> Care:
        keys = tuple(HOSPITALS)
        hospital = keys[int(rng.random() * 3)]
        kind = rng.random()
        if kind < 0.15:
            return growing_child(drawn(key, rng, today, ages=(0.6, 17)), rng, today, hospital, asthma=kind < 0.04)
        if kind < 0.2:
            return healthy_young_man(drawn(key, rng, today, ages=(22, 38), gender="male"), rng, today, hospital)
        persona = drawn(key, rng, today, ages=(38, 86))
        onsets = {k: round(0.5 + rng.random() * 9, 1) for k, chance in COMMON.items() if rng.random() < chance}
        care = story_adults.begin(persona, rng, today, 8, gfr=80.0 - 20 * ("chronic_kidney_disease" in onsets),
                                  gfr_loss_per_year=2.8 if "chronic_kidney_disease" in onsets else 0.8,
                                  base_ldl=110 + 45 * rng.random())  # fmt: skip
        other = keys[int(rng.random() * 3)]
        events = {}
        if other != hospital and rng.random() < 0.6:
            events[round(0.6 + rng.random() * 2, 2)] = lambda c: _seen_elsewhere(c, hospital, other)
        allergic = rng.random()
        events[6.9] = lambda c: _allergies(c, hospital, allergic)
        follow(care, hospital, 7, onsets, events)
        return care

    return live


def _allergies(care: Care, hospital: str, chance: float) -> None:
    day = care.ago(6.9)
    moment = story_adults.morning(care, 6.9)
    if chance < 0.55:
        clinical.allergy(care.record(hospital, day), "none", moment)
    elif chance < 0.75:
        clinical.allergy(care.record(hospital, day), "sulfonamide", moment, reactions=["rash"], severity="mild")
    elif chance < 0.85:
        clinical.allergy(care.record(hospital, day), "ibuprofen", moment, reactions=["hives"], criticality="low")


def _seen_elsewhere(care: Care, home: str, hospital: str) -> None:
    """A consultation at another hospital, which has allergies and drugs from hearsay."""
    day = min(care.today - timedelta(days=30), care.body.today + timedelta(days=40))
    visit = care.visit(hospital, day, "consult", "", ("bmp",), decide=False, history=["Second opinion."])
    if visit is None:
        return
    clinical.allergy(visit.record, "none", visit.moment)
    for course in list(care.courses.values())[:2]:
        if course.record is not visit.record:
            care.reported(course.drug.key, visit, course.reason)
    for where, key in list(care.problems):
        if where == home and key in care.body.onsets:
            care.problem(hospital, key, visit.moment.date(), onset=care.body.onsets[key], known=False)
            break
    care.write(visit, document="consult")


CANARY_KEY = "cnryxqz"
CANARY_TOKENS = (
    "Zzyzxcanary", "Xqzcanary", "Quetzalcanary", "77 Canarystreetxqz Road", "Canarytownxqz", "+1-555-0199-77341",
    "zz.canary.xqz@example.org", "CANARYMRN1XQZ", "CANARYMRN2XQZ", "CANARYMRN3XQZ", "Canarynotexqz", "1933-03-29",
    CANARY_KEY,
)  # fmt: skip
"""Every identifying string of the canary: names, street, town, phone, mail, record numbers, a word of a note, birth date,
and the key her resource ids begin with."""


def canary(rng: random.Random, today: date) -> Care:
    """An old woman known to every hospital, with a note that names her."""
    given, middle, family, street, city, phone, email, *rest = CANARY_TOKENS
    persona = Persona(
        CANARY_KEY, given, family, date(1933, 3, 29), "female", middle=middle, street=street, city=city, phone=phone,
        email=email, mrns=dict(zip(HOSPITALS, rest, strict=False)), marital="W",
    )  # fmt: skip
    care = story_adults.begin(persona, rng, today, 5)
    follow(care, FAMILY, 4, {"hypertension": 12, "diabetes": 9})
    for index, hospital in enumerate((COMMUNITY, SPECIALISTS)):
        visit = care.visit(hospital, today - timedelta(days=40 - 9 * index), "consult", "hypertension", ("bmp",))
        if visit is not None:
            words = f"Seen today: {persona.name}, known as Canarynotexqz, of {street}."
            documents.note(visit.record, "consult", words, visit.moment, visit.encounter, form=("text", "html")[index])
    return care

"""Generate the population: the same seed gives the same people in every process."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date

from service.practice_ehr.population.care import Care
from service.practice_ehr.population.elements import Json
from service.practice_ehr.population.people import HOSPITALS, Persona
from service.practice_ehr.population.story_star import STAR_KEY, star
from service.practice_ehr.population.story_star import STORY as STAR_STORY
from service.practice_ehr.population.story_young import healthy_young_man, vaccinated_child

TODAY = date(2026, 11, 1)


@dataclass(frozen=True)
class SyntheticPatient:
    """One person and what each hospital recorded."""

    key: str
    name: str
    birth_date: date
    gender: str
    story: str
    hospitals: tuple[str, ...]
    care: Care

    def resources(self, hospital: str) -> list[Json]:
        """Everything that hospital recorded, as plain R4, with the staff and places it refers to; KeyError where unknown."""
        return copy.deepcopy(self.care.records[hospital].everything())

    def mrn(self, hospital: str) -> str:
        """The record number there; KeyError where the person is unknown."""
        return self.care.records[hospital].persona.mrn(hospital)


def generate(seed: int = 7, patients: int = 12, today: date = TODAY) -> list[SyntheticPatient]:
    """The first `patients` people of the population of `seed`, as of `today`. The star comes first."""
    cast = _cast(today)
    return [_live(seed, key, story, make, today) for key, story, make in cast[:patients]]


def hospital_resources(patients: Iterable[SyntheticPatient], hospital: str) -> list[Json]:
    """What one hospital holds about these people; staff and places, which they share, once."""
    found: dict[tuple[str, str], Json] = {}
    for patient in patients:
        if hospital in patient.hospitals:
            for resource in patient.resources(hospital):
                found.setdefault((resource["resourceType"], resource["id"]), resource)
    return list(found.values())


Story = Callable[[random.Random, date], Care]


def _cast(today: date) -> list[tuple[str, str, Story]]:
    man = Persona(
        "p02", "Tomás", "Delgado", date(today.year - 24, 2, 3), "male", hispanic=True, language="es", marital="S"
    )
    child = Persona(
        "p03", "Amara", "Nwosu", date(today.year - 5, 6, 21), "female", race="black", marital="S", drinking=False
    )
    return [
        (STAR_KEY, STAR_STORY, star),
        (
            "p02",
            "Healthy young man with almost nothing on record; nobody asked about allergies.",
            lambda r, t: healthy_young_man(man, r, t, "epic"),
        ),
        ("p03", "Child with vaccines and growth only.", lambda r, t: vaccinated_child(child, r, t, "athenahealth")),
    ]


def _live(seed: int, key: str, story: str, make: Story, today: date) -> SyntheticPatient:
    care = make(random.Random(f"{seed}:{key}"), today)
    care.finish()
    persona = care.persona
    hospitals = tuple(h for h in HOSPITALS if h in care.records)
    return SyntheticPatient(key, persona.name, persona.birth_date, persona.gender, story, hospitals, care)


def canary(seed: int = 7, today: date = TODAY) -> SyntheticPatient:
    """A person whose every identifying string is unmistakable; to be searched for where no such string may be."""
    mrns = {h: f"CANARYMRN{i}XQZ" for i, h in enumerate(HOSPITALS, start=1)}
    persona = Persona(
        "canary", "Zzyzxcanary", "Quetzalcoatlcanary", date(1933, 3, 29), "female", middle="Xqzcanary",
        street="77 Canarystreetxqz Road", mrns=mrns,
    )  # fmt: skip

    def make(rng: random.Random, day: date) -> Care:
        return healthy_young_man(persona, rng, day, "epic")

    return _live(seed, "canary", "Unmistakable strings: none of them may reach a log.", make, today)

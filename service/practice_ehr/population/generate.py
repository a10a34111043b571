"""Generate the population: the same seed gives the same people in every process, on every supported Python.

The first twelve people are a fixed cast, written to show what charts can hold; their measurements depend on the seed.
Further ones are drawn: who they are, what they have and where they go.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

import orjson

from service.practice_ehr.dress import dress_names, load_dress
from service.practice_ehr.population import cast
from service.practice_ehr.population.care import Care
from service.practice_ehr.population.elements import Json
from service.practice_ehr.population.people import HOSPITALS

TODAY = date(2026, 11, 1)
"""The day the population was last seen. Fixed, so that a demonstration shows the same chart whenever it is run."""
SEED = 7
PATIENTS = 24
"""So many people give each of the three hospitals about a dozen."""


@dataclass(frozen=True)
class SyntheticPatient:
    """One person and what each hospital recorded."""

    key: str
    given: str
    family: str
    birth_date: date
    gender: str
    story: str
    hospitals: tuple[str, ...]
    care: Care = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        """Given and family name, as the person spells it."""
        return f"{self.given} {self.family}"

    def resources(self, hospital: str) -> list[Json]:
        """Everything that hospital recorded, as plain R4, with the staff and places it refers to.

        `hospital` is a key of HOSPITALS, or the name of a dress; KeyError where the person is unknown.
        """
        copied: list[Json] = orjson.loads(orjson.dumps(self.care.records[hospital_key(hospital)].everything()))
        return copied

    def mrn(self, hospital: str) -> str:
        """The record number there; KeyError where the person is unknown."""
        return self.identifier(hospital)[1]

    def patient_id(self, hospital: str) -> str:
        """Id of the Patient resource there; KeyError where the person is unknown."""
        return str(self.care.records[hospital_key(hospital)].patient["id"])

    def identifier(self, hospital: str) -> tuple[str, str]:
        """System and value of the record number there; KeyError where the person is unknown."""
        found = self.care.records[hospital_key(hospital)].patient["identifier"][0]
        return str(found["system"]), str(found["value"])

    def name_at(self, hospital: str) -> tuple[str, str]:
        """Given and family name as they were typed there; KeyError where the person is unknown."""
        persona = self.care.records[hospital_key(hospital)].persona
        return persona.given, persona.family


def hospital_key(key: str) -> str:
    """A key of HOSPITALS as it is; for the name of a dress the hospital that wears it. LookupError for anything else."""
    if key in HOSPITALS:
        return key
    if key in dress_names():
        return load_dress(key).hospital
    raise LookupError(f"no hospital of that name; there are: {', '.join(HOSPITALS)} (or a dress: {dress_names()})")


def generate(seed: int = SEED, patients: int = PATIENTS, today: date = TODAY) -> list[SyntheticPatient]:
    """The first `patients` people of the population of `seed`, as of `today`. The star comes first.

    More people never change those before them; another `today` shifts every date, births included.
    """
    if patients < 0:
        raise ValueError("the number of patients is negative")
    return list(_people(seed, patients, today))


@lru_cache(maxsize=4)
def _people(seed: int, patients: int, today: date) -> tuple[SyntheticPatient, ...]:
    fixed = [_live(seed, key, story, make, today) for key, story, make in cast.fixed(today)[:patients]]
    more = range(len(fixed) + 1, patients + 1)
    return (*fixed, *(_live(seed, f"p{n:02d}", "Drawn at random.", cast.draw(f"p{n:02d}"), today) for n in more))


def hospital_resources(hospital: str, seed: int = SEED, patients: int = PATIENTS, today: date = TODAY) -> list[Json]:
    """What one hospital holds of a population of so many people; staff and places, which they share, once.

    `hospital` is a key of HOSPITALS, or the name of a dress; LookupError for anything else.
    """
    key = hospital_key(hospital)
    found: dict[tuple[str, str], Json] = {}
    for patient in _people(seed, patients, today):
        if key in patient.hospitals:
            for resource in patient.resources(key):
                found.setdefault((resource["resourceType"], resource["id"]), resource)
    return list(found.values())


def canary(seed: int = SEED, today: date = TODAY) -> SyntheticPatient:
    """A person known to all hospitals whose identifying strings are unmistakable: `cast.CANARY_TOKENS`, none of which
    may ever stand in a log, a metric, an error or a URL that is kept."""
    return _live(seed, cast.CANARY_KEY, "Unmistakable strings.", cast.canary, today)


Story = Callable[[random.Random, date], Care]


def _live(seed: int, key: str, story: str, make: Story, today: date) -> SyntheticPatient:
    care = make(random.Random(f"{seed}:{key}"), today)  # noqa: S311  seeded on purpose
    care.finish()
    p = care.persona
    hospitals = tuple(h for h in HOSPITALS if h in care.records)
    return SyntheticPatient(key, p.given, p.family, p.birth_date, p.gender, story, hospitals, care)

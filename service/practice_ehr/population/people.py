"""Who the synthetic people and hospitals are. Names, addresses and numbers are invented; phone numbers are of the 555-01 range."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

RACES = {
    "white": ("2106-3", "White"),
    "black": ("2054-5", "Black or African American"),
    "asian": ("2028-9", "Asian"),
    "native": ("1002-5", "American Indian or Alaska Native"),
}
LANGUAGES = {"en": "English", "es": "Spanish", "vi": "Vietnamese"}
# The first of these is the family doctor's, the second has the wards, the third the specialists.
FAMILY, COMMUNITY, SPECIALISTS = "lakeshore", "river-valley", "prairie"


def npi(nine_digits: str) -> str:
    """A National Provider Identifier: nine digits and the Luhn check digit over them with the prefix 80840 (CMS)."""
    total = 0
    for index, digit in enumerate(reversed(f"80840{nine_digits}")):
        doubled = int(digit) * (2 if index % 2 == 0 else 1)
        total += doubled // 10 + doubled % 10
    return f"{nine_digits}{-total % 10}"


@dataclass(frozen=True)
class HospitalInfo:
    """One hospital of the population: its letter in ids, its name and numbers. `mrn_system` is an OID of its own."""

    key: str
    letter: str
    name: str
    mrn_system: str
    city: str
    state: str
    postal_code: str
    physicians: tuple[tuple[str, str, str], ...]


HOSPITALS: dict[str, HospitalInfo] = {
    h.key: h
    for h in (
        HospitalInfo(
            FAMILY,
            "e",
            "Lakeshore Health",
            "urn:oid:1.2.840.114350.1.13.9991.2.7.5.737384.14",
            "Madison",
            "WI",
            "53703",
            (
                ("Priya", "Raman", "Internal medicine"),
                ("Daniel", "Kowalski", "Radiology"),
                ("Grace", "Obi", "Obstetrics"),
            ),
        ),
        HospitalInfo(
            COMMUNITY,
            "o",
            "River Valley Medical Center",
            "urn:oid:2.16.840.1.113883.3.13.6.99920",
            "Janesville",
            "WI",
            "53545",
            (
                ("Marcus", "Hale", "Hospital medicine"),
                ("Yuki", "Tanabe", "Radiology"),
                ("Oleg", "Brandt", "Cardiology"),
            ),
        ),
        HospitalInfo(
            SPECIALISTS,
            "a",
            "Prairie Specialty Group",
            "urn:oid:2.16.840.1.113883.3.564.99.14402",
            "Beloit",
            "WI",
            "53511",
            (
                ("Susan", "Ferreira", "Cardiology"),
                ("Ahmed", "Siddiq", "Family medicine"),
                ("Lena", "Vogel", "Pathology"),
            ),
        ),
    )
}


@dataclass(frozen=True)
class Persona:
    """One person as registration desks know them. `differs`: hospital -> fields typed differently there.

    `phone` and `email` are made from name and record number when they are empty, `city` is the hospital's.
    """

    key: str
    given: str
    family: str
    birth_date: date
    gender: str
    race: str = "white"
    hispanic: bool = False
    language: str = "en"
    marital: str = "M"
    middle: str = ""
    street: str = "118 Larkspur Lane"
    city: str = ""
    phone: str = ""
    email: str = ""
    smoking: str = "never"
    drinking: bool = True
    mrns: Mapping[str, str] = field(default_factory=dict)
    differs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Given and family name."""
        return f"{self.given} {self.family}"

    @property
    def female(self) -> bool:
        """Sex at birth; the population keeps it equal to the administrative gender."""
        return self.gender == "female"

    def mrn(self, hospital: str) -> str:
        """The record number there: set by hand, or seven digits made from key and hospital."""
        if hospital in self.mrns:
            return self.mrns[hospital]
        number = 0
        for letter in f"{self.key}|{hospital}":
            number = (number * 131 + ord(letter)) % 8_999_999
        return str(1_000_000 + number)

    def known_as(self, hospital: str) -> Persona:
        """The same person as typed at that hospital."""
        return replace(self, **self.differs.get(hospital, {}))


WOMEN = (
    "Margaret", "Linh", "Rosa", "Denise", "Harriet", "Keiko", "Abigail", "Yolanda", "Ingrid", "Fatima", "Joanne", "Teresa",
    "Claudia", "Naomi", "Beatrice", "Sunita", "Carla", "Ruth", "Monique", "Helen",
)  # fmt: skip
MEN = (
    "Walter", "Hector", "Dmitri", "Samuel", "Terrence", "Hiroshi", "Patrick", "Luis", "Gunnar", "Omar", "Raymond", "Ernest",
    "Victor", "Isaac", "Leonard", "Rajesh", "Carlos", "Frank", "Andre", "Hugh",
)  # fmt: skip
FAMILIES = (
    "Abbott", "Okafor", "Lindqvist", "Ramirez", "Chaudhry", "Novak", "Pierce", "Tran", "Hollis", "Castellano", "Meyer", "Bright",
    "Yamamoto", "Delacroix", "Sorensen", "Whitaker", "Grant", "Petrov", "Mbeki", "Ortega", "Fields", "Larsen", "Quinn", "Burke",
    "Haddad", "Iverson", "Kaplan", "Moreno", "Stone", "Vance",
)  # fmt: skip
STREETS = ("Oakridge Drive", "Willow Street", "Third Avenue", "Prairie View Road", "Mill Pond Lane", "Sunset Terrace")


def drawn(key: str, rng: random.Random, today: date, *, ages: tuple[float, float], gender: str = "") -> Persona:
    """A person drawn at random, of an age between the two (in years) on `today`."""
    gender = gender or ("female" if rng.random() < 0.53 else "male")
    years = ages[0] + rng.random() * (ages[1] - ages[0])
    chance = rng.random()
    return Persona(
        key,
        _one(rng, WOMEN if gender == "female" else MEN),
        _one(rng, FAMILIES),
        today - timedelta(days=round(years * 365.25)),
        gender,
        race="white" if chance < 0.7 else "black" if chance < 0.84 else "asian" if chance < 0.97 else "native",
        hispanic=rng.random() < 0.14,
        marital="S" if years < 24 else _one(rng, ("M", "M", "M", "S", "D", "W" if years > 60 else "M")),
        street=f"{100 + int(rng.random() * 8900)} {_one(rng, STREETS)}",
        smoking="never" if years < 18 else _one(rng, ("never", "never", "never", "former", "former", "daily")),
        drinking=years >= 21 and rng.random() < 0.6,
    )


def _one(rng: random.Random, choices: tuple[str, ...]) -> str:
    return choices[int(rng.random() * len(choices))]

"""Who the synthetic people and hospitals are. Names, addresses and numbers are invented; phone numbers are of the 555-01 range."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date

RACES = {
    "white": ("2106-3", "White"),
    "black": ("2054-5", "Black or African American"),
    "asian": ("2028-9", "Asian"),
    "native": ("1002-5", "American Indian or Alaska Native"),
}
LANGUAGES = {"en": "English", "es": "Spanish", "vi": "Vietnamese"}


@dataclass(frozen=True)
class HospitalInfo:
    """One practice hospital: key of its dress, its name and numbers. `mrn_system` is an OID of its own."""

    key: str
    letter: str
    name: str
    mrn_system: str
    npi: str
    city: str
    state: str
    postal_code: str
    physicians: tuple[tuple[str, str, str], ...]


HOSPITALS: dict[str, HospitalInfo] = {
    h.key: h
    for h in (
        HospitalInfo(
            "epic", "e", "Lakeshore Health", "urn:oid:1.2.840.114350.1.13.9991.2.7.5.737384.14", "1992999015",
            "Madison", "WI", "53703",
            (("Priya", "Raman", "Internal medicine"), ("Daniel", "Kowalski", "Radiology"), ("Grace", "Obi", "Obstetrics")),
        ),
        HospitalInfo(
            "oracle_health", "o", "River Valley Medical Center", "urn:oid:2.16.840.1.113883.3.13.6.99920", "1992999023",
            "Janesville", "WI", "53545",
            (("Marcus", "Hale", "Hospital medicine"), ("Yuki", "Tanabe", "Radiology"), ("Oleg", "Brandt", "Cardiology")),
        ),
        HospitalInfo(
            "athenahealth", "a", "Prairie Specialty Group", "urn:oid:2.16.840.1.113883.3.564.99.14402", "1992999031",
            "Beloit", "WI", "53511",
            (("Susan", "Ferreira", "Cardiology"), ("Ahmed", "Siddiq", "Family medicine"), ("Lena", "Vogel", "Pathology")),
        ),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Persona:
    """One person as the registration desk of a hospital knows them. `misspelled`: hospital -> (given, family) as typed there."""

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
    smoking: str = "never"
    drinking: bool = True
    mrns: dict[str, str] = field(default_factory=dict)
    misspelled: dict[str, tuple[str, str]] = field(default_factory=dict)

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
        """The same person with the name as typed at that hospital."""
        given, family = self.misspelled.get(hospital, (self.given, self.family))
        return replace(self, given=given, family=family)

"""The code tables of the population (codes.toml), read once."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"
CVX = "http://hl7.org/fhir/sid/cvx"
UCUM = "http://unitsofmeasure.org"


@dataclass(frozen=True)
class Measure:
    """A laboratory test or vital sign. `low` and `high`: bounds of the usual range, None where there is none."""

    key: str
    loinc: str
    display: str
    unit: str
    ucum: str
    low: float | None
    high: float | None
    decimals: int


@dataclass(frozen=True)
class Panel:
    """An orderable with its members."""

    key: str
    loinc: str
    display: str
    members: tuple[str, ...]


@dataclass(frozen=True)
class Diagnosis:
    """A condition in SNOMED CT and ICD-10-CM."""

    key: str
    snomed: str
    display: str
    icd10: str
    icd10_display: str


@dataclass(frozen=True)
class Drug:
    """A drug as prescribed. `per_day`: doses a day; one seventh is weekly."""

    key: str
    rxnorm: str
    display: str
    text: str
    ingredient: str
    amount: float
    unit: str
    form: str
    per_day: float


def _bound(value: float) -> float | None:
    return None if value == -1 else float(value)


@cache
def tables() -> dict[str, Any]:
    """codes.toml as it stands."""
    return tomllib.loads((Path(__file__).parent / "codes.toml").read_text(encoding="utf-8"))


def row(table: str, key: str) -> list[Any]:
    """One row of a table; KeyError for an unknown key."""
    found: list[Any] = tables()[table][key]
    return found


@cache
def measure(key: str) -> Measure:
    """A laboratory test or vital sign by key."""
    table = "labs" if key in tables()["labs"] else "vitals"
    loinc, display, unit, ucum, low, high, decimals = row(table, key)
    return Measure(key, loinc, display, unit, ucum, _bound(low), _bound(high), decimals)


@cache
def panel(key: str) -> Panel:
    """A panel by key."""
    loinc, display, members = row("panels", key)
    return Panel(key, loinc, display, tuple(members))


@cache
def diagnosis(key: str) -> Diagnosis:
    """A condition by key."""
    return Diagnosis(key, *row("conditions", key))


@cache
def drug(key: str) -> Drug:
    """A drug by key."""
    return Drug(key, *row("drugs", key))

"""Local names of tests -> LOINC.

`match` is the seam: what a wording with its unit, specimen and value may mean, best first, scores between 0 and 1. Here are the
anchors: exact names of vital signs and of the commonest tests. A name that several tests share is sure only with a unit that
tells them apart.
"""

from __future__ import annotations

from functools import cache

from models.record import Coding, Quantity
from models.terminology.candidates import Candidate
from models.terminology.clinical import VITAL_LOINC
from models.terminology.seeds import seed_rows
from models.terminology.systems import LOINC
from models.terminology.units import ucum_code
from models.terminology.words import bag


@cache
def _anchors() -> dict[str, tuple[tuple[str, str, frozenset[str]], ...]]:
    """Key of a name -> (LOINC, our name, UCUM units that confirm it; none: the name is enough)."""
    found: dict[str, list[tuple[str, str, frozenset[str]]]] = {}
    for code, name in VITAL_LOINC.items():
        found.setdefault(bag(name), []).append((code, name, frozenset()))
    for code, name, words, units in seed_rows("lab-anchors.tsv"):
        for wording in dict.fromkeys((name, *words.split(";"))):
            if wording:
                found.setdefault(bag(wording), []).append((code, name, frozenset(u for u in units.split(";") if u)))
    return {key: tuple(rows) for key, rows in found.items()}


def match(text: str, unit: str = "", specimen: str = "", value: Quantity | None = None) -> tuple[Candidate, ...]:
    """The tests that a whole wording names. A unit that does not fit rules a test out; a missing one makes it unsure."""
    rows = _anchors().get(bag(text), ()) if len(text) <= 120 else ()
    code = ucum_code(unit) or unit or (value.code if value else "")
    other = specimen.strip() and bag(specimen) not in _BLOOD
    found = []
    for loinc, name, units in rows:
        if units and code and code not in units:
            continue
        score = 0.93 if not units or (code and not other) else 0.7
        found.append(
            Candidate(target=Coding(system=LOINC, code=loinc, display=name), score=score, why="name of the test")
        )
    return tuple(found)


_BLOOD = frozenset({"blood", "serum", "plasma", "plasma serum", "ser", "plas", "bld", "blood venous", "blood whole"})


@cache
def _names() -> dict[str, frozenset[str]]:
    """LOINC -> the keys of all its names."""
    found: dict[str, set[str]] = {}
    for key, rows in _anchors().items():
        for code, _, _ in rows:
            found.setdefault(code, set()).add(key)
    return {code: frozenset(keys) for code, keys in found.items()}


def differ(code: str, text: str) -> bool:
    """Whether `text` is the whole name of other tests of the seed and shares no word with any name of this one."""
    mine, key = _names().get(code), bag(text)
    if not mine or key in mine or key not in _anchors():
        return False
    return not any(set(key.split()) & set(name.split()) for name in mine)

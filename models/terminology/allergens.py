"""Substance classes of allergies: which class a wording, or the ingredient behind a code, belongs to (seeds/allergens.tsv)."""

from __future__ import annotations

from functools import cache

from models.record import Coding, Concept
from models.terminology.candidates import Candidate
from models.terminology.medications import Ingredient, ingredients_in, ingredients_of
from models.terminology.seeds import seed_rows
from models.terminology.systems import RXNORM
from models.terminology.words import plain

_OF_DRUG_CLASS = {
    "penicillin": "penicillins",
    "cephalosporin": "cephalosporins",
    "sulfonamide": "sulfonamides",
    "macrolide": "macrolides",
    "fluoroquinolone": "fluoroquinolones",
    "tetracycline": "tetracyclines",
    "nsaid": "nsaids",
    "opioid": "opioids",
    "ace_inhibitor": "ace_inhibitors",
    "statin": "statins",
    "anticonvulsant": "anticonvulsants",
    "insulin": "insulins",
}
_AROUND = frozenset(
    {"allergy", "allergies", "allergic", "to", "reaction", "intolerance", "hypersensitivity", "drug", "food", "the"}
)


@cache
def _words() -> dict[str, str]:
    return {plain(w): row[0] for row in seed_rows("allergens.tsv") for w in row[1].split(";")}


@cache
def category_of(substance_class: str) -> str:
    """FHIR's category of a substance class: medication, food, environment, biologic; '' for an unknown class."""
    return next((row[2] for row in seed_rows("allergens.tsv") if row[0] == substance_class), "")


def _substance(text: str) -> str:
    return " ".join(word for word in plain(text).split() if word not in _AROUND)


def class_in(text: str) -> str:
    """The class that a whole wording names, "allergy to" and the like put aside; '' otherwise."""
    words = _words()
    key = _substance(text)
    found = words.get(key) or words.get(key.removesuffix("s"))
    if found:
        return found
    return _one_class(ingredients_in(key))


def _one_class(found: tuple[Ingredient, ...]) -> str:
    """The one class among the ingredients; those without a class do not hinder it."""
    classes = {_OF_DRUG_CLASS.get(i.drug_class, "") for i in found} - {""}
    return next(iter(classes)) if len(classes) == 1 else ""


def class_of(concept: Concept) -> str:
    """The substance class of an allergy: by its words and displays, else by the ingredient behind an RXCUI; '' when unknown."""
    for wording in (concept.text, *(c.display for c in concept.codings)):
        found = class_in(wording) if wording else ""
        if found:
            return found
    return _one_class(ingredients_of(concept))


def match(text: str) -> tuple[Candidate, ...]:
    """The drug a whole wording names, as an RxNorm ingredient. Foods and the like have no code in the seed."""
    found = ingredients_in(_substance(text))
    sure = len(found) == 1 and plain(found[0].name) == _substance(text)
    return tuple(
        Candidate(
            target=Coding(system=RXNORM, code=i.rxcui, display=i.name),
            score=0.9 if sure and i.checked else 0.6,
            why="substance in the wording",
        )
        for i in found
    )

"""Substance classes of allergies: which class a wording, or the ingredient behind a code, belongs to (seeds/allergens.tsv)."""

from __future__ import annotations

from functools import cache

from models.record import Coding, Concept
from models.terminology.candidates import Candidate
from models.terminology.clinical import asserts_none, negative_scope
from models.terminology.medications import Ingredient, ingredients_in, ingredients_of
from models.terminology.seeds import seed_rows
from models.terminology.systems import RXNORM, SNOMED
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
    [
        "allergy",
        "allergies",
        "allergic",
        "to",
        "reaction",
        "reactions",
        "intolerance",
        "intolerant",
        "hypersensitivity",
        "sensitivity",
        "drug",
        "food",
        "the",
        "anaphylaxis",
        "anaphylactic",
        "hives",
        "rash",
        "itching",
        "swelling",
        "urticaria",
        "angioedema",
        "nausea",
        "vomiting",
        "from",
        "causes",
        "caused",
        "by",
        "severe",
        "mild",
        "moderate",
        "documented",
        "reported",
    ]
)
"""What stands around a substance: that it is an allergy, its reaction, its severity."""
NAMED = 0.92
NEGATIVE = 0.95
"""Stated; docs/terminology.md has what was measured."""
_NEGATIVE = {
    "": ("716186003", "no known allergy"),
    "medication": ("409137002", "no known drug allergy"),
    "food": ("429625007", "no known food allergy"),
    "environment": ("428607008", "no known environmental allergy"),
    "latex": ("716184000", "no known latex allergy"),
    "insect": ("428197003", "no known insect allergy"),
}
"""SNOMED CT codes of explicit negatives (US Core and IPS value sets), by what they are limited to."""


_DENIED = frozenset({"no", "not", "denies", "denied", "without", "never", "negative", "possible", "family"})


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
    if plain(text).partition(" ")[0] in _DENIED:
        return ""
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


@cache
def _codes() -> dict[str, Coding]:
    return {
        plain(words): Coding(system=SNOMED, code=code, display=name)
        for code, name, said in seed_rows("allergen-codes.tsv")
        for words in said.split(";")
    }


def _negative(text: str) -> Coding | None:
    """The code of an explicit negative ("NKDA"); None for a wording that is none."""
    if not asserts_none("allergies", [], text):
        return None
    scope = negative_scope([], text)
    if scope == "other":
        scope = "latex" if "latex" in text.lower() else "insect"
    code, name = _NEGATIVE[scope]
    return Coding(system=SNOMED, code=code, display=name)


def match(text: str) -> tuple[Candidate, ...]:
    """The substance a whole wording names: SNOMED CT for classes, foods and the like, RxNorm for an ingredient; and the explicit
    negatives. "No penicillin allergy" names neither."""
    negative = _negative(text)
    if negative is not None:
        return (Candidate(target=negative, score=NEGATIVE, why="explicit negative"),)
    words = plain(text).split()
    if words and (words[0] in _DENIED or words[:2] == ["rule", "out"]):
        return ()
    coded = _codes().get(_substance(text))
    if coded is not None:
        return (Candidate(target=coded, score=NAMED, why="substance in the wording"),)
    found = ingredients_in(_substance(text))
    sure = len(found) == 1 and plain(found[0].name) == _substance(text)
    return tuple(
        Candidate(
            target=Coding(system=RXNORM, code=i.rxcui, display=i.name),
            score=NAMED if sure and i.checked else 0.6,
            why="substance in the wording",
        )
        for i in found
    )

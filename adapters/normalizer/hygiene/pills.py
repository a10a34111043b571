"""A current order with what is in it and which way it is taken."""

from __future__ import annotations

import re
from functools import cache
from typing import Literal, NamedTuple

from models.record import Medication
from models.terminology.allergens import class_in
from models.terminology.medications import Ingredient, ingredients_of

Way = Literal["oral", "injected", "inhaled", "nebulized", "nasal", "eye", "ear", "skin", "patch", "vaginal", "rectal"]
_WAYS: dict[Way, re.Pattern[str]] = {
    "eye": re.compile(r"ophth|\beyes?\b|ocular", re.I),
    "ear": re.compile(r"\botic\b|\bears?\b", re.I),
    "nasal": re.compile(r"\bnasal|nostril|intranasal", re.I),
    "nebulized": re.compile(r"nebul", re.I),
    "inhaled": re.compile(r"inhal|\bpuffs?\b|\bhfa\b|metered|actuat|aerosol|respimat|diskus|ellipta", re.I),
    "patch": re.compile(r"\bpatch|transdermal", re.I),
    "vaginal": re.compile(r"vagin", re.I),
    "rectal": re.compile(r"rectal|supposit|enema", re.I),
    "skin": re.compile(r"topical|cream|ointment|lotion|shampoo|\bgel\b|\bfoam\b", re.I),
    "injected": re.compile(
        r"inject|\bpen\b|subcut|intramusc|intraven|\biv\b|\bim\b|\bsq\b|syringe|\bvials?\b|cartridge", re.I
    ),
}
"""Words of a name, route or instruction -> the way; the first that fits."""


class Pill(NamedTuple):
    """An order, its known ingredients and the way it is taken (by mouth where nothing says otherwise)."""

    entry: Medication
    ingredients: tuple[Ingredient, ...]
    route: Way


def pill_of(entry: Medication) -> Pill:
    """`entry` with what is in it."""
    concept = entry.concept
    wordings = (
        concept.text,
        *(c.display for c in concept.codings),
        *(d.route for d in entry.dosages),
        *(d.text for d in entry.dosages),
    )
    words = " | ".join(w for w in wordings if w)
    way: Way = next((name for name, pattern in _WAYS.items() if pattern.search(words)), "oral")
    return Pill(entry, ingredients_of(concept), way)


@cache
def allergen_class(ingredient: str) -> str:
    """The substance class of allergies that an ingredient of the seed belongs to; ''."""
    return class_in(ingredient)

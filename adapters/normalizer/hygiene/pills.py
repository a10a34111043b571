"""A current order with what is in it and which way it is taken."""

from __future__ import annotations

import re
from functools import cache
from typing import Literal, NamedTuple

from models.record import Medication
from models.terminology.allergens import class_in
from models.terminology.medications import Ingredient, ingredients_of

Way = Literal["oral", "injected", "inhaled", "nebulized", "nasal", "eye", "ear", "skin", "patch", "vaginal", "rectal"]
_WAYS: tuple[tuple[Way, re.Pattern[str]], ...] = tuple(
    (way, re.compile(words, re.I))
    for way, words in (
        ("eye", r"ophth|\beyes?\b|ocular"),
        ("ear", r"\botic\b|\bears?\b"),
        ("nasal", r"\bnasal|nostril|intranasal"),
        ("nebulized", r"nebul"),
        ("inhaled", r"inhal|\bpuffs?\b|\bhfa\b|metered|actuat|aerosol|respimat|diskus|ellipta"),
        ("patch", r"\bpatch|transdermal"),
        ("vaginal", r"vagin"),
        ("rectal", r"rectal|supposit|enema"),
        ("skin", r"topical|cream|ointment|lotion|shampoo|\bgel\b|\bfoam\b"),
        ("injected", r"inject|\bpen\b|subcut|intramusc|intraven|\biv\b|\bim\b|\bsq\b|syringe|\bvials?\b|cartridge"),
    )
)


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
    way: Way = next((name for name, pattern in _WAYS if pattern.search(words)), "oral")
    return Pill(entry, ingredients_of(concept), way)


@cache
def allergen_class(ingredient: str) -> str:
    """The substance class of allergies that an ingredient of the seed belongs to; ''."""
    return class_in(ingredient)

"""Ingredients of a medication by its wording, their RxNorm codes and what they are taken for.

A seed of common ingredients (seeds/ingredients.tsv) and brands. A wording with one known ingredient names it; a combination
names several and no single code. RXCUIs that nobody compared with RxNorm are candidates only.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from models.record import Coding, Concept
from models.terminology import vocabulary
from models.terminology.candidates import Candidate
from models.terminology.seeds import seed_rows, verified
from models.terminology.systems import RXNORM
from models.terminology.words import plain


class Ingredient(NamedTuple):
    """A substance with what it is taken for."""

    name: str
    rxcui: str
    drug_class: str
    checked: bool


_NOT_TAKEN = re.compile(
    r"\b(allerg\w*|intoleran\w*|adverse|no|not|never|stop\w*|discontinu\w*|d/c|dc ?d|declin\w*|refus\w*|avoid|hold|without|free|antibod\w+|level)\b"
)
"""Beside these words an ingredient is spoken of, not prescribed."""


NAMED = 0.95
"""One ingredient in the words. Measured (benchmarks/terminology): 586 of 591, low 0.980; the others are right by another name of the
same (Tylenol, vitamin B12). Not more than for a drug named wholly, of which it says less."""


@cache
def ingredients() -> dict[str, Ingredient]:
    """Name -> ingredient."""
    return {row[0]: Ingredient(row[0], row[1], row[2], verified(row[4])) for row in seed_rows("ingredients.tsv")}


@cache
def _names() -> dict[str, tuple[str, ...]]:
    """Words -> the ingredients they name: ingredients, their other names, brands, brands of combinations."""
    found: dict[str, tuple[str, ...]] = {}
    for name, _, _, brands, *_ in seed_rows("ingredients.tsv"):
        for words in (name, *brands.split(",")):
            if words:
                found[plain(words)] = (name,)
    for words, parts in seed_rows("drug-names.tsv"):
        found[plain(words)] = tuple(parts.split("+"))
    return found


@cache
def _longest() -> int:
    return max(len(words.split()) for words in _names())


@cache
def _of_rxcui() -> dict[str, str]:
    return {i.rxcui: i.name for i in ingredients().values() if i.checked}


def ingredients_in(text: str) -> tuple[Ingredient, ...]:
    """The known ingredients that a wording names, in its order; brands of combinations give all their parts."""
    words, names, found, at = plain(text).split(), _names(), dict[str, None](), 0
    while at < len(words):
        for size in range(min(_longest(), len(words) - at), 0, -1):
            parts = names.get(" ".join(words[at : at + size]))
            if parts:
                found.update(dict.fromkeys(parts))
                at += size - 1
                break
        at += 1
    return tuple(ingredients()[name] for name in found)


def spoken_of(text: str) -> bool:
    """Whether the words speak of a drug without saying that it is taken: an allergy, a level, "stopped"."""
    return bool(_NOT_TAKEN.search(plain(text)))


def match(text: str) -> tuple[Candidate, ...]:
    """The ingredients as candidates: one that was checked is sure enough to use, several are a combination."""
    found = ingredients_in(text)
    alone = len(found) == 1 and not spoken_of(text) and not _further_substance(text)
    return tuple(
        Candidate(
            target=Coding(system=RXNORM, code=i.rxcui, display=i.name),
            score=NAMED if alone and i.checked else 0.7 if alone else 0.5,
            why="ingredient in the wording" if alone else "one of several ingredients, or not said to be taken",
        )
        for i in found
    )


_STRENGTH = re.compile(
    r"\d\s*(mg|mcg|g|unit|units|%|ml)\b[^/]*/\s*[a-z]{4,}|[a-z]{4,}\s*[/+]\s*[a-z]{3,}|\band\b|\bwith\b"
    r"|\s/\s*[a-z]{4,}|\b(pm|dm|hct|plus|cold|sinus)\b",  # "MG/HR / norelgestromin"; "Tylenol PM", "Robitussin DM"
    re.I,
)


def _further_substance(text: str) -> bool:
    """Whether the wording speaks of a second substance, which the seed may not know: "lisinopril / xyz"."""
    return bool(_STRENGTH.search(text))


def differ(target: Coding, text: str) -> bool:
    """Whether `text` names only other ingredients than the code does (by the code's own display, or our RXCUIs)."""
    named = {i.name for i in ingredients_in(text)}
    if not named:
        return False
    known = _of_rxcui().get(target.code) if target.system == RXNORM else None
    means = {known} if known else {i.name for i in ingredients_in(target.display)}
    return bool(means) and not named & means


def drug_classes(concept: Concept) -> tuple[str, ...]:
    """What a medication is taken for: classes of its ingredients, by code where it is known, else by words."""
    return tuple(dict.fromkeys(i.drug_class for i in ingredients_of(concept)))


def ingredients_of(concept: Concept) -> tuple[Ingredient, ...]:
    """The known ingredients of a medication: by RXCUI (what a package was translated to, too; of a clinical drug by the imported
    RxNorm), else by its words."""
    rxcuis = dict.fromkeys(
        c.code for c in (*concept.codings, *([concept.target] if concept.target else [])) if c.system == RXNORM
    )
    known = _of_rxcui()
    names = [known[code] for code in rxcuis if code in known] or _by_release(tuple(rxcuis))
    if names:
        return tuple(ingredients()[name] for name in dict.fromkeys(names))
    shown = concept.target.display if concept.target else ""
    wordings = (concept.text, *(c.display for c in concept.codings), shown)
    return next((found for w in wordings if (found := ingredients_in(w))), ())


def _by_release(rxcuis: tuple[str, ...]) -> list[str]:
    """The seed's names of the ingredients that the imported RxNorm gives to drugs."""
    imported = vocabulary.in_use()
    if imported is None:
        return []
    entries = [e for code in rxcuis for e in imported.ingredients(code)]
    return [name for e in entries for name in (_of_rxcui().get(e.code, e.display.lower()),) if name in ingredients()]

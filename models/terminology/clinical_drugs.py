"""A medication's words -> the clinical drug of the imported RxNorm: ingredients, strengths and dose form, where exactly one drug has them.

"metoprolol succ ER 50 mg tab" -> metoprolol succinate 50 MG Extended Release Oral Tablet. Tablets and capsules only: of what is
inhaled, injected or applied the strength in the words is often another one than RxNorm's.
"""

from __future__ import annotations

import re

from models.record import Coding
from models.terminology.candidates import Candidate
from models.terminology.medications import ingredients_in, spoken_of
from models.terminology.systems import RXNORM
from models.terminology.vocabulary import Vocabulary

SURE = 0.9
"""Stated: no labelled set with an open RxNorm release exists to measure it."""
_FORM = {
    "Oral Tablet": re.compile(r"\b(tab|tabs|tablet|tablets)\b", re.I),
    "Oral Capsule": re.compile(r"\b(cap|caps|capsule|capsules)\b", re.I),
}
_RELEASE = {
    "Extended Release": re.compile(r"\b(er|xr|xl|sr|cr|la|cd|xt|extended[- ]release|24 ?hr?|12 ?hr?)\b", re.I),
    "Delayed Release": re.compile(r"\b(dr|ec|delayed[- ]release|enteric[- ]coated)\b", re.I),
    "Disintegrating": re.compile(r"\b(odt|disintegrating)\b", re.I),
    "Chewable": re.compile(r"\b(chew|chewable|chewtabs?)\b", re.I),
}
_SLOW = "Extended Release"
"""Often left out in words: where the same strength comes with and without it, words without it leave it open."""
_OTHER_ROUTE = re.compile(
    r"\b(inhal\w*|hfa|neb\w*|patch|cream|ointment|gel|drops?|spray|inj\w*|pen|vial|syringe|suspension|susp|solution|soln|syrup|elixir"
    r"|liquid|iv|im|supp\w*|lotion|topical|ophth\w*|otic|nasal|transdermal|kit|pack|powder)\b",
    re.I,
)
_AMOUNT = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)(?:\s*(mg|mcg|g)\b)?(?!\s*(?:hr?|%|times|x|days?|refills?)\b|\w)", re.I)
_PAIR = re.compile(
    r"(?<![\w.])(\d+(?:\.\d+)?)\s*(?:mg|mcg)?\s*[-/]\s*(\d+(?:\.\d+)?)(?:\s*[-/]\s*(\d+(?:\.\d+)?))?\s*(mg|mcg)?\b",
    re.I,
)
_STRENGTH = re.compile(r"(\d+(?:\.\d+)?) MG\b")
_SALTS = {"succ": "succinate", "succinate": "succinate", "tart": "tartrate", "tartrate": "tartrate"}
"""Salts that are different drugs of one ingredient."""
_MG = {"mg": 1.0, "mcg": 0.001, "g": 1000.0, "": 1.0}


def match(imported: Vocabulary, text: str, date: str = "") -> tuple[Candidate, ...]:
    """The one clinical drug (SCD) that the words describe; () where they leave it open."""
    index, named = imported.index("rxnorm", date), ingredients_in(text)
    amounts = _amounts(text, len(named))
    if index is None or not named or not amounts or spoken_of(text) or _OTHER_ROUTE.search(text):
        return ()
    wanted = {e.code for i in named for e in index.by_words(i.name) if e.kind == "IN"}
    if len(wanted) != len(named):
        return ()
    forms = [form for form, words in _FORM.items() if words.search(text)]
    kinds = {kind: bool(words.search(text)) for kind, words in _RELEASE.items()}
    salts = {_SALTS[word] for word in re.findall(r"[a-z]+", text.lower()) if word in _SALTS}
    found = []
    for code in sorted(index.descendants(next(iter(wanted)), "toward_ingredient")):
        entry = index.find(code)
        if entry is None or entry.kind != "SCD" or entry.status == "inactive":
            continue
        name = entry.display
        fits = sorted(float(n) for n in _STRENGTH.findall(name)) == amounts
        fits = fits and any(form.rpartition(" ")[2] in name for form in forms or _FORM) and "Oral" in name
        fits = fits and all((kind in name) == there for kind, there in kinds.items() if there or kind != _SLOW)
        fits = fits and all(salt in name.lower() for salt in salts)
        if fits and {e.code for e in imported.ingredients(code, date)} == wanted:
            found.append(entry)
    if len(found) != 1:
        return ()
    target = Coding(system=RXNORM, code=found[0].code, display=found[0].display)
    why = f"ingredient, strength and form in {index.manifest.name}"
    return (Candidate(target=target, score=SURE, why=why),)


def _amounts(text: str, count: int) -> list[float]:
    """As many strengths in mg as there are ingredients, ascending; [] where there are more or fewer."""
    pair = _PAIR.search(text) if count > 1 else None
    if pair is not None:
        factor = _MG[(pair[4] or "").lower()]
        found = [float(n) * factor for n in pair.groups()[:3] if n]
    else:
        found = [float(n) * _MG[(unit or "").lower()] for n, unit in _AMOUNT.findall(text)]
    return sorted(round(n, 6) for n in found) if len(found) == count else []

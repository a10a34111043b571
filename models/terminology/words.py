"""Clinical wordings made comparable: case, accents, punctuation, plurals of style, roman stages, abbreviations.

Two keys: `plain` keeps the order of the words, `bag` does not ("diabetes mellitus type 2" = "type 2 diabetes mellitus").
Only words that add nothing are dropped; a word that changes the meaning (with, without, no, history, family) stays, so a
wording with one more word than a known name is never that name.
"""

from __future__ import annotations

import re
import unicodedata

_DROPPED = frozenset(
    {"the", "a", "an", "of", "nos", "unspecified", "disorder", "finding", "diagnosis", "dx", "and", "or"}
)
_DROPPED_TAIL = re.compile(
    r"\s*\((disorder|finding|situation|diagnosis|procedure|substance|product|observable entity)\)\s*$", re.I
)
_APOSTROPHE = re.compile(r"['’`]s?\b")
_APOSTROPHES = frozenset("'’`")
_NOT_WORD = re.compile(r"[^a-z0-9%+]+")
_ROMAN = {"i": "1", "ii": "2", "iii": "3", "iv": "4", "v": "5", "iiia": "3a", "iiib": "3b"}
_COUNTED = frozenset({"type", "stage", "grade", "class", "factor"})
_EXPANDED = {
    "htn": "hypertension",
    "dm2": "type 2 diabetes mellitus",
    "t2dm": "type 2 diabetes mellitus",
    "dm1": "type 1 diabetes mellitus",
    "t1dm": "type 1 diabetes mellitus",
    "chf": "congestive heart failure",
    "copd": "chronic obstructive pulmonary disease",
    "ckd": "chronic kidney disease",
    "esrd": "end stage renal disease",
    "cad": "coronary artery disease",
    "afib": "atrial fibrillation",
    "gerd": "gastro esophageal reflux disease",
    "osa": "obstructive sleep apnea",
    "hld": "hyperlipidemia",
    "uti": "urinary tract infection",
    "dvt": "deep vein thrombosis",
    "bph": "benign prostatic hyperplasia",
    "w": "with",
    "wo": "without",
    "hx": "history",
    "renal": "kidney",
    "oesophageal": "esophageal",
    "anaemia": "anemia",
    "haemorrhage": "hemorrhage",
    "tumour": "tumor",
    "oedema": "edema",
    "diarrhoea": "diarrhea",
    "hypertensive": "hypertension",
}
"""Abbreviations with one meaning on a US problem list, and spellings that differ by country or form."""
_SLASHED = {
    "w/o": "without",
    "w/": "with ",
    "h/o": "history ",
    "s/p": "status post ",
    "r/o": "rule out ",
    "f/h": "family history ",
}


def plain(text: str) -> str:
    """The words in order, lower case, expanded; '' when there are none."""
    low = (_DROPPED_TAIL.sub("", text) if text.rstrip().endswith(")") else text).lower()
    if not low.isascii():
        low = unicodedata.normalize("NFKD", low).encode("ascii", "ignore").decode()
    if _APOSTROPHES.intersection(text):
        low = _APOSTROPHE.sub("", low)
    if "/" in low:
        for short, long in _SLASHED.items():
            low = low.replace(short, long)
    words: list[str] = []
    for word in _NOT_WORD.split(low):
        if word and (words and words[-1] in _COUNTED):
            words.append(_ROMAN.get(word, word))
        elif word:
            words.extend(_EXPANDED.get(word, word).split())
    return " ".join(words)


def bag(text: str) -> str:
    """The words that mean something, each once, in alphabetic order."""
    return " ".join(sorted({word for word in plain(text).split() if word not in _DROPPED}))


_STEM = re.compile(r"(ies|es|s|ic|al|ous|ary|osis|itis|emia|ia|y|e)$")


def stems(text: str) -> frozenset[str]:
    """Stems of the longer words: enough to see that two wordings speak of the same thing, too coarse to say they are equal."""
    return frozenset(_STEM.sub("", word)[:6] for word in plain(text).split() if len(word) > 3 and word not in _COMMON)


_COMMON = frozenset(
    [
        "with",
        "without",
        "unspecified",
        "other",
        "type",
        "stage",
        "disease",
        "disorder",
        "syndrome",
        "acute",
        "chronic",
        "primary",
        "secondary",
        "essential",
        "due",
        "from",
        "left",
        "right",
        "both",
        "upper",
        "lower",
        "initial",
        "encounter",
        "subsequent",
        "elsewhere",
        "classified",
        "specified",
        "mild",
        "moderate",
        "severe",
        "history",
        "personal",
        "family",
        "status",
        "post",
        "uncomplicated",
        "complication",
        "complications",
        "infection",
        "injury",
        "single",
        "recurrent",
        "episode",
        "benign",
        "malignant",
        "neoplasm",
        "part",
        "site",
        "multiple",
        "pain",
        "following",
        "condition",
        "problem",
        "active",
        "controlled",
        "uncontrolled",
    ]
)
"""Words that two different conditions share."""

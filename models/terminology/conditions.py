"""Conditions: names of ICD-10-CM, ICD-9-CM by the GEMs, a small map of SNOMED CT, and wordings.

Sources of the files: seeds/README.md. Everything is read when first asked for (ICD-10-CM names: 90 ms, 20 MB).
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import NamedTuple

from models.terminology.seeds import seed_rows
from models.terminology.words import bag

_BRACKETS = re.compile(r"\([^)]*\)|\[[^]]*\]")


class Equivalent(NamedTuple):
    """What a code of another system says in ICD-10-CM."""

    codes: tuple[str, ...]
    kind: str
    """`equal`, `wider` (the target says less), `choice` (one of several, unknown which), `combination` (all together),
    `range` (a range of codes, its first and last), `none` (CMS: no ICD-10-CM code means this)."""
    confidence: float


def dotted(code: str) -> str:
    """ICD-10-CM with its dot: E119 -> E11.9. Case, spaces and a dot already there do not matter."""
    bare = code.strip().upper().replace(".", "")
    return f"{bare[:3]}.{bare[3:]}" if len(bare) > 3 else bare


def dotted9(code: str) -> str:
    """ICD-9-CM with its dot: 25000 -> 250.00, V4582 -> V45.82, E8889 -> E888.9."""
    bare = code.strip().upper().replace(".", "")
    place = 4 if bare.startswith("E") else 3
    return f"{bare[:place]}.{bare[place:]}" if len(bare) > place else bare


@cache
def icd10cm_names() -> dict[str, str]:
    """Code (with dot) -> name, 7th characters left out."""
    return {row[0]: row[1] for row in seed_rows("icd10cm.tsv.gz")}


def icd10cm_name(code: str) -> str:
    """The official name; of a code with a 7th character, that of the code it extends; '' when there is no such code."""
    names, code = icd10cm_names(), dotted(code)
    found = names.get(code)
    if found is None and len(code) == 8:
        found = names.get(code[:7].rstrip("X").rstrip("."))
    return found or ""


@cache
def _gem() -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for code, target, flags in seed_rows("icd9-gem.tsv.gz"):
        found.setdefault(code, []).append((target, flags))
    return found


@lru_cache(maxsize=4096)
def from_icd9(code: str) -> Equivalent | None:
    """The ICD-10-CM codes that CMS's general equivalence mappings give; None for a code they do not know.

    The GEMs' flags decide: identical meaning 0.95; approximate, one target 0.85; one of several 0.85 shared among them;
    a combination (several codes together say what one said) 0.8, the codes of its first scenario; no map: none.
    """
    return by_gem(_gem().get(code.strip().upper().replace(".", ""), []))


def by_gem(rows: list[tuple[str, str]]) -> Equivalent | None:
    """What the rows of one ICD-9-CM code (target, five flags) say together; None without rows."""
    if not rows:
        return None
    if all(flags[1] == "1" for _, flags in rows):
        return Equivalent((), "none", 0.0)
    together = [(target, flags) for target, flags in rows if flags[2] == "1"]
    alone = [target for target, flags in rows if flags[1] == "0" and flags[2] == "0"]
    if len(alone) == 1:
        exact = next(flags for target, flags in rows if target == alone[0])[0] == "0"
        return Equivalent((dotted(alone[0]),), "equal" if exact else "wider", 0.95 if exact else 0.85)
    if alone:
        return Equivalent(tuple(dotted(c) for c in alone), "choice", round(0.85 / len(alone), 4))
    first: dict[str, str] = {}
    for target, flags in together:
        if flags[3] == together[0][1][3]:
            first.setdefault(flags[4], target)
    return Equivalent(tuple(dotted(first[place]) for place in sorted(first)), "combination", 0.8)


@cache
def _snomed() -> dict[str, Equivalent]:
    found = {}
    for code, target, kind, *_ in seed_rows("snomed-icd10cm.tsv"):
        codes = tuple(target.split("-")) if kind == "range" else (target,)
        found[code] = Equivalent(codes, kind, {"equal": 0.95, "wider": 0.85}.get(kind, 0.7))
    return found


def from_snomed(code: str) -> Equivalent | None:
    """Our own small map of common chronic diseases; None for the rest (import a map: docs/terminology.md)."""
    return _snomed().get(code)


@cache
def to_snomed() -> dict[str, str]:
    """ICD-10-CM -> SNOMED CT where our map says they are equal and only one is."""
    found: dict[str, set[str]] = {}
    for code, target, kind, *_ in seed_rows("snomed-icd10cm.tsv"):
        if kind == "equal":
            found.setdefault(target, set()).add(code)
    return {target: next(iter(codes)) for target, codes in found.items() if len(codes) == 1}


class Wording(NamedTuple):
    """An ICD-10-CM code that a wording names."""

    code: str
    score: float
    why: str


@cache
def _everyday() -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for term, code, kind in seed_rows("conditions.tsv"):
        found.setdefault(bag(term), []).append((code, kind))
    return found


@cache
def _official() -> dict[str, str | None]:
    """Key of a name -> its code; None where names of unrelated codes have the same words."""
    found: dict[str, str | None] = {}
    for files in ("icd10cm.tsv.gz", "icd10cm-terms.tsv.gz"):
        here: dict[str, str | None] = {}
        for code, name in seed_rows(files):
            keys = [bag(name)]
            if "(" in name or "[" in name:
                keys.append(bag(_BRACKETS.sub(" ", name)))
            for key in keys:
                known = here.get(key, "")
                if known == "" or (known and code.startswith(known)):
                    here[key] = known or code
                elif known and known.startswith(code):
                    here[key] = code
                else:
                    here[key] = None
        for key, owner in here.items():  # a code's own name goes before another's inclusion term
            found.setdefault(key, owner)
    found.pop("", None)
    return found


def by_wording(text: str) -> tuple[Wording, ...]:
    """The codes that a wording names exactly, best first; several mean that the wording is ambiguous.

    Only whole wordings count: "history of asthma", "no diabetes", "rule out MI", "? COPD" name nothing here. What EHRs put around a
    name is put aside: "(HCC)", the code itself, "unspecified type", "controlled"; of "COPD (chronic obstructive pulmonary disease)"
    both parts must name the same.
    """
    if len(text) > 200 or _ASKED.search(text):
        return ()
    for wording in dict.fromkeys((text, _tidied(text))):
        found = _by_name(wording)
        if found:
            return found
    return _by_both(_tidied(text))


_ASKED = re.compile(r"^\W*\?|\?\W*$|\?\?")
"""A question: "? asthma", "pneumonia?"."""
_MARKS = re.compile(r"[(\[]\s*(?:(?:CMS|RAF)\s*[-/]?\s*)?(?:HCC|RAF|CMS|Multi|Chronic|CODE)\s*[)\]]", re.I)
"""Marks that EHRs put behind a problem for risk adjustment and the like."""
_CODE = r"[A-Z][0-9A-Z]{2}(?:\.[0-9A-Z]{1,4})?"
_OWN_CODE = re.compile(
    rf"[(\[]\s*(?:ICD-?10(?:-CM)?\s*:?\s*)?{_CODE}\s*[)\]]|^\s*{_CODE}\s*[-:]\s+|\s[-:]\s*{_CODE}\s*$"
)
"""A code written into the wording; what ICD-10-CM does not have is a word."""
_BARE_CODE = re.compile(_CODE)
_EMPTY_PART = re.compile(
    r"\s*[,-]\s*(?:unspecified(?:\s+\w+){0,4}|(?:well[- ])?controlled|stable|chronic condition)\s*(?=,|$)", re.I
)


def _tidied(text: str) -> str:
    text = _MARKS.sub(" ", text)
    text = _OWN_CODE.sub(lambda m: " " if icd10cm_name(_BARE_CODE.findall(m[0])[-1]) else m[0], text)
    return " ".join(_EMPTY_PART.sub("", text).split())


_TWICE = re.compile(r"([^()]{2,})\(([^()]{2,})\)\s*")


def _by_both(text: str) -> tuple[Wording, ...]:
    """An abbreviation and what it stands for: the code that both name, the more exact of two in one category."""
    parts = _TWICE.fullmatch(text)
    outer, inner = (_by_name(parts[1]), _by_name(parts[2])) if parts else ((), ())
    shared = [a for a in outer for b in inner if a.code == b.code]
    if len(shared) == 1:
        return tuple(w for w in inner if w.code == shared[0].code)[:1] if shared[0].score < _CLEAR else tuple(shared)
    if len(outer) == len(inner) == 1 and outer[0].code[:3] == inner[0].code[:3]:
        exact = max(outer[0], inner[0], key=lambda w: (not w.code.endswith("9"), len(w.code)))
        return (exact,) if min(outer[0].score, inner[0].score) >= _CLEAR else ()
    return ()


_CLEAR = 0.9
EVERYDAY = 0.93
"""Measured (benchmarks/terminology): 98 of 100, low 0.930; both errors are old ICD-9-CM codes beside newer words."""
OFFICIAL = 0.95
"""Measured: 1,155 of 1,159, low 0.991; not more than an everyday name of certain meaning deserves beside a chosen code."""


def _by_name(text: str) -> tuple[Wording, ...]:
    key = bag(text)
    if not key:
        return ()
    rows = _everyday().get(key)
    if rows:
        sure = [code for code, kind in rows if kind == "name"]
        if sure:
            return tuple(Wording(code, EVERYDAY, "everyday name") for code in dict.fromkeys(sure))
        share = round(0.8 / len(rows), 2) if len(rows) > 1 else 0.6
        return tuple(Wording(code, share, "abbreviation with several meanings") for code, _ in rows)
    code = _official().get(key)
    return (Wording(code, OFFICIAL, "name in ICD-10-CM"),) if code else ()

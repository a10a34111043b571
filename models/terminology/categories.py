"""Condition categories: which group of diseases a code belongs to, and how we know.

Two groupings: our own hierarchy over ICD-10-CM ranges (seeds/categories.toml, each with its source) and the first category of
AHRQ's CCSR for ICD-10-CM diagnoses. ICD-9-CM goes through CMS's GEMs, SNOMED CT through our small map, words through
exact names. A code that may mean one of several is in a category only where all of them are. An imported CCSR, GEM or SNOMED CT
release answers before the seeds.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from functools import cache, lru_cache

from models.record import Coding, Concept, Grouping
from models.terminology.conditions import Equivalent, by_gem, by_wording, dotted, dotted9, from_icd9, from_snomed
from models.terminology.seeds import seed_path, seed_rows
from models.terminology.systems import ICD9CM, ICD10, ICD10CM, SNOMED, system_name
from models.terminology.vocabulary import Vocabulary, in_use

Category = Grouping
_SURE = 0.9
"""A wording below this is ambiguous, and ambiguous words put nobody into a category."""

_CCSR_CHAPTERS = {
    "BLD": "Blood and immune mechanism",
    "CIR": "Circulatory system",
    "DEN": "Dental",
    "DIG": "Digestive system",
    "EAR": "Ear and mastoid",
    "END": "Endocrine, nutritional and metabolic",
    "EXT": "External causes",
    "EYE": "Eye and adnexa",
    "FAC": "Factors influencing health status",
    "GEN": "Genitourinary system",
    "INF": "Infectious and parasitic",
    "INJ": "Injury and poisoning",
    "MAL": "Congenital malformations",
    "MBD": "Mental, behavioral and neurodevelopmental",
    "MUS": "Musculoskeletal system",
    "NEO": "Neoplasms",
    "NVS": "Nervous system",
    "PNL": "Perinatal period",
    "PRG": "Pregnancy and childbirth",
    "RSP": "Respiratory system",
    "SKN": "Skin",
    "SYM": "Symptoms and signs",
}
"""The body systems of CCSR, by the first letters of a category (AHRQ, CCSR for ICD-10-CM user guide)."""


class _Row:
    __slots__ = ("id", "name", "parent", "ranges", "source")

    def __init__(self, id: str, row: dict[str, str | list[str]]) -> None:
        self.id, self.name, self.parent = id, str(row["name"]), str(row.get("parent", ""))
        self.source = str(row["source"])
        self.ranges = tuple(_range(text) for text in row["codes"])


def _range(text: str) -> tuple[str, str]:
    low, _, high = text.replace(".", "").partition("-")
    return low, high or low


@cache
def _rows() -> dict[str, _Row]:
    data = tomllib.loads(seed_path("categories.toml").read_text(encoding="utf-8"))
    return {id: _Row(id, row) for id, row in data.items()}


def category_ids() -> tuple[str, ...]:
    """All our categories, in the order of their file."""
    return tuple(_rows())


def source_of(category: str) -> str:
    """Where the code list of one of our categories comes from. KeyError for an unknown one."""
    return _rows()[category].source


def codes_of(category: str) -> tuple[tuple[str, str], ...]:
    """The ranges (first and last code, no dot) of one of our categories. KeyError for an unknown one."""
    return _rows()[category].ranges


@lru_cache(maxsize=8192)
def of_icd10cm(code: str, last: str = "") -> tuple[str, ...]:
    """Our categories of an ICD-10-CM code, or those that hold a whole range of codes; parents before children."""
    low, high = dotted(code).replace(".", ""), (dotted(last or code)).replace(".", "")
    found: dict[str, None] = {}
    for id, row in _rows().items():
        if any(a <= low[: len(a)] and high[: len(b)] <= b and len(low) >= 3 for a, b in row.ranges):
            if row.parent:
                found.setdefault(row.parent)
            found.setdefault(id)
    return tuple(found)


@cache
def _ccsr() -> dict[str, str]:
    return {row[0]: row[1] for row in seed_rows("ccsr.tsv.gz")}


@lru_cache(maxsize=8192)
def ccsr_of(code: str) -> str:
    """CCSR's first category of an ICD-10-CM code (a code may have more); '' when it has none."""
    bare, table = dotted(code).replace(".", ""), _ccsr()
    for length in range(len(bare), 2, -1):
        if bare[:length] in table:
            return table[bare[:length]]
    return ""


def _ccsr_now(imported: Vocabulary | None, code: str, date: str) -> str:
    """CCSR's first category by the imported release in force, else by the seed; '' when it has none."""
    found = imported.ccsr(dotted(code), date) if imported else None
    return ccsr_of(code) if found is None else found


@lru_cache(maxsize=8192)
def _of(imported: Vocabulary | None, system: str, code: str, date: str) -> tuple[Grouping, ...]:
    """The groupings that one coding gives."""
    how = f"{system_name(system)} {code}"
    if system in (ICD10CM, ICD10):
        return _groups((code,), how, imported, date)
    said: Equivalent | None = None
    if system == ICD9CM:
        gem = imported.gem(dotted9(code), date) if imported else None
        said = from_icd9(code) if gem is None else by_gem(gem)
        how = f"{how} by CMS GEM"
    elif system == SNOMED:
        said, how = _from_snomed(imported, code, date, how)
    if said is None or not said.codes:
        return ()
    if said.kind == "range":
        return tuple(_own(id, f"{how} ({'-'.join(said.codes)})") for id in of_icd10cm(*said.codes))
    how = f"{how} ({', '.join(said.codes)})"
    groups = _groups(said.codes, how, imported, date)
    if said.kind != "choice":
        return groups
    each = [{(g.system, g.code) for g in _groups((code,), how, imported, date)} for code in said.codes]
    return tuple(g for g in groups if (g.system, g.code) in set.intersection(*each))


def _from_snomed(imported: Vocabulary | None, code: str, date: str, how: str) -> tuple[Equivalent | None, str]:
    """SNOMED CT by the map of its imported release (several targets that depend on more are a choice), else by our small one."""
    mapping, several = imported.translate(Coding(system=SNOMED, code=code), date) if imported else (None, ())
    if mapping is not None and mapping.target is not None:
        return Equivalent((mapping.target.code,), "wider", mapping.confidence), f"{how} by {mapping.table}"
    ours = from_snomed(code)
    if ours is None and several:
        codes = tuple(c.target.code for c in several)
        return Equivalent(codes, "choice", several[0].score), f"{how} by {several[0].why}"
    return ours, f"{how} by our map"


def _groups(codes: Iterable[str], how: str, imported: Vocabulary | None, date: str = "") -> tuple[Grouping, ...]:
    found: dict[tuple[str, str], Grouping] = {}
    for code in codes:
        for id in of_icd10cm(code):
            found.setdefault(("chartbrief", id), _own(id, how))
    for code in codes:
        ccsr = _ccsr_now(imported, code, date)
        if ccsr:
            name = _CCSR_CHAPTERS.get(ccsr[:3], "")
            found.setdefault(("ccsr", ccsr), Grouping(system="ccsr", code=ccsr, name=name, how=how))
    return tuple(found.values())


def _own(id: str, how: str) -> Grouping:
    row = _rows()[id]
    return Grouping(system="chartbrief", code=id, name=row.name, parent=row.parent, how=how)


def categories_of(concept: Concept, date: str = "") -> tuple[Grouping, ...]:
    """The groups a condition belongs to: by every code of it that has one, else by its wording where that is unambiguous.

    `how` says from which code and by which map. Ours come first, then CCSR's. `date` of the entry chooses among imported versions.
    """
    imported = in_use()
    day = date[:10] if imported is not None and imported.dated else ""
    codings = [*([concept.target] if concept.target else []), *concept.codings]
    found: dict[tuple[str, str], Grouping] = {}
    coded = False
    for coding in codings:
        if coding.code and coding.system in (ICD10CM, ICD10, ICD9CM, SNOMED):
            coded = True
            for group in _of(imported, coding.system, coding.code, day):
                found.setdefault((group.system, group.code), group)
    if not found and not coded and concept.text:
        words = by_wording(concept.text)
        if len(words) == 1 and words[0].score >= _SURE:
            for group in _groups((words[0].code,), f"wording, {words[0].why} ({words[0].code})", imported, day):
                found[(group.system, group.code)] = group
    return tuple(sorted(found.values(), key=lambda g: g.system == "ccsr"))

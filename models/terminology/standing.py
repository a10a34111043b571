"""Does ICD-10-CM have a code: complete, a category above complete codes, retired, or not known. And how the code is written.

Imported releases answer first, by the date of the entry; the seeds (April 2026, and the codes of 2018 that are gone) otherwise. Nothing
here assumes that the second character is a digit. WHO's ICD-10 is another system: its codes are never judged by ICD-10-CM.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Literal, NamedTuple

from models.record import Coding, FlagCode
from models.terminology import vocabulary
from models.terminology.conditions import dotted, icd10cm_name, icd10cm_names
from models.terminology.releases.base import Entry
from models.terminology.seeds import seed_rows
from models.terminology.systems import CVX, ICD10CM, NDC
from models.terminology.vaccines import cvx_of

UNKNOWN = 0.6
"""Of a code whose category is known and which itself is not: a typing error, or newer than what we have."""
_SHIPPED = "April 2026 (shipped)"
_BEFORE_GONE = "2018-10"
"""Until then all codes of icd10cm-retired.tsv.gz could be billed."""
_SHAPE = re.compile(r"[A-Z][0-9A-Z][0-9A-Z](\.[0-9A-Z]{1,4})?")

Kind = Literal["complete", "category", "retired", "unknown", "none"]


class Standing(NamedTuple):
    """`none`: it is no code of this system at all, not even its category is; `unknown`: its category is one."""

    kind: Kind
    code: str
    """As the system writes it."""
    detail: str = ""
    """Why, with the release that says so."""

    @property
    def flag(self) -> FlagCode | None:
        """The remark it deserves."""
        return _FLAG[self.kind]


_FLAG: dict[Kind, FlagCode | None] = {
    "complete": None,
    "category": "incomplete_code",
    "retired": "retired_code",
    "unknown": "unknown_code",
    "none": "unknown_code",
}


def written(coding: Coding) -> Coding:
    """The code as its system writes it: E119 -> E11.9, CVX 8 -> 08. The same object where nothing changes."""
    code = coding.code
    if coding.system == ICD10CM:
        code = dotted(code)
    elif coding.system == CVX:
        code = cvx_of(code)
    return coding if code == coding.code else Coding(system=coding.system, code=code, display=coding.display)


def standing(coding: Coding, date: str = "") -> Standing | None:
    """What ICD-10-CM says of a code on the day of its entry; None for other systems."""
    if coding.system != ICD10CM:
        return None
    return _icd10cm(vocabulary.in_use(), dotted(coding.code), date[:10])


def retired_elsewhere(coding: Coding, date: str = "") -> Standing | None:
    """A code of another system that its imported release calls retired. CVX is not among them: an inactive CVX is right for a
    vaccine given earlier."""
    imported = vocabulary.in_use()
    if imported is None or coding.system in (ICD10CM, CVX, NDC):
        return None
    return _retired_in(imported, coding.system, coding.code, date[:10])


@lru_cache(maxsize=8192)
def _retired_in(imported: vocabulary.Vocabulary, system: str, code: str, date: str) -> Standing | None:
    entry = imported.find(system, code, date)
    if entry is None or entry.status != "inactive":
        return None
    return Standing("retired", code, f"{code} is inactive in {imported.release_of(system, date)}")


@lru_cache(maxsize=8192)
def _icd10cm(imported: vocabulary.Vocabulary | None, code: str, date: str) -> Standing:
    if imported is not None and imported.index("icd-10-cm", date) is not None:
        said = _by_release(imported, code, date)
        if said is not None:
            return said
    return _by_seeds(code, date)


def _by_release(imported: vocabulary.Vocabulary, code: str, date: str) -> Standing | None:
    """What the release in force on the day says, else the others; None where none of them knows the code."""
    name = imported.release_of(ICD10CM, date)
    entry = imported.find(ICD10CM, code, date)
    if entry is not None:
        return _of_entry(entry, code, name)
    others = [(v, e) for v, e in imported.everywhere(ICD10CM, code) if e.status != "inactive"]
    if not others:
        return None
    other = others[-1][0]
    begins = other.in_force.begins if other.in_force else ""
    if date and begins > date:
        return Standing(
            "unknown", code, f"{code} is in {other.manifest.name}, in force from {begins}, and not in {name}"
        )
    return Standing("retired", code, f"{code} is in {other.manifest.name} (from {begins}), and not in {name}")


def _of_entry(entry: Entry, code: str, name: str) -> Standing:
    if entry.status == "inactive":
        return Standing("retired", code, f"{code} is inactive in {name}")
    if entry.kind == "header" or (entry.kind != "billable" and code in _categories()):
        return Standing("category", code, f"{code} is a category in {name}: the codes below it say more")
    return Standing("complete", code)


def _by_seeds(code: str, date: str) -> Standing:
    if code in _retired():
        if date and date < _BEFORE_GONE:
            return Standing("complete", code)
        return Standing("retired", code, f"{code} was a code in 2018 and is none in ICD-10-CM {_SHIPPED}")
    if code in icd10cm_names():
        if code in _categories():
            return Standing(
                "category", code, f"{code} is a category in ICD-10-CM {_SHIPPED}: the codes below it say more"
            )
        return Standing("complete", code)
    base = code[:7].rstrip("X").rstrip(".") if len(code) == 8 else ""
    if base and code[7] in _sevenths().get(base, ""):
        return Standing("complete", code)
    known = _SHAPE.fullmatch(code) is not None and bool(icd10cm_name(code[:3]))
    return Standing("unknown" if known else "none", code, f"{code[:12]} is not in ICD-10-CM {_SHIPPED}")


@cache
def _retired() -> frozenset[str]:
    return frozenset(row[0] for row in seed_rows("icd10cm-retired.tsv.gz"))


@cache
def _sevenths() -> dict[str, str]:
    return {row[0]: row[1] for row in seed_rows("icd10cm-sevenths.tsv.gz")}


@cache
def _categories() -> frozenset[str]:
    """Codes with codes below them, or with a 7th character still to come."""
    above = {code[:-1].rstrip(".") for code in icd10cm_names() if len(code) > 3}
    return frozenset(above.union(_sevenths()))


def nearest(code: str) -> str:
    """The longest known beginning of a code that ICD-10-CM does not have; '' when not even its category is known."""
    code = dotted(code)
    return next((code[:n].rstrip(".") for n in range(len(code) - 1, 2, -1) if icd10cm_name(code[:n].rstrip("."))), "")

"""Results told in words, read: "<0.01", "3-5", ">=1:80", "POSITIVE", "1+", "TRACE", "5.2 mg/dL", "2.5 H".

The words stay; a reading stands beside them. What is not clearly one of these is read as nothing.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from models.terminology.units import ucum_code

Kind = Literal["number", "range", "titer", "ratio", "ordinal"]


class Reading(NamedTuple):
    """What the words of a result say."""

    kind: Kind
    value: float | None = None
    comparator: str = ""
    digits: str = ""
    """The number as written."""
    unit: str = ""
    """As written."""
    code: str = ""
    """UCUM code of the unit; '' when unknown."""
    high: float | None = None
    """Upper end of a range; the second term of a ratio."""
    grade: str = ""
    """negative, trace, 1+ .. 4+, positive, indeterminate."""


_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+"
_COMPARATORS = {"<": "<", "<=": "<=", "=<": "<=", "≤": "<=", ">": ">", ">=": ">=", "=>": ">=", "≥": ">=", "": ""}
_WORDS = {"less than": "<", "greater than": ">", "more than": ">", "under": "<", "over": ">", "at least": ">="}
_ONE = re.compile(
    rf"(?P<sign><=|=<|>=|=>|<|>|≤|≥|less than|greater than|more than|at least|)\s*(?P<minus>-?)(?P<number>{_NUMBER})"
    r"\s*(?P<unit>[a-z%°µμ\[/#(][^\d,;]{0,1}[\w\[\]{}/%.*^() '-]{0,24})?\s*",
    re.I,
)
_SPAN = re.compile(
    rf"(?P<low>{_NUMBER})\s*(?:-|–|to)\s*(?P<high>{_NUMBER})\s*(?P<unit>[a-z%/#\[][\w\[\]/%.*^ ]{{0,24}})?", re.I
)
_TITER = re.compile(r"(?P<sign><=|=<|>=|=>|<|>|≤|≥|)\s*1\s*:\s*(?P<number>\d{1,7})\s*(?:titer|titre)?", re.I)
_RATIO = re.compile(rf"(?P<top>{_NUMBER})\s*:\s*(?P<bottom>{_NUMBER})")
_GRADES = (
    (re.compile(r"(?:\+|positive |pos )?([1-4])\s*(?:\+|plus)|\+([1-4])"), ""),
    (re.compile(r"trace|tr|trace (?:amount|positive)|trace[ -](?:intact|lysed)"), "trace"),
    (re.compile(r"not detected|none detected|undetected|not det|nd|negative|neg|non[ -]?reactive|nr|absent|none|none seen|not seen"), "negative"),
    (re.compile(r"detected|positive|pos|reactive|present|rare|few|moderate|many|large|small"), "positive"),
    (re.compile(r"indeterminate|equivocal|borderline|inconclusive|ind|gray zone|grey zone"), "indeterminate"),
)  # fmt: skip
_SIGNS = {"++++": "4+", "+++": "3+", "++": "2+", "+": "1+"}
_FLAG = re.compile(r"\s*[\[(]?\s*\b(?:HH|LL|H|L|A|HIGH|LOW)\b\s*[\])]?\s*[*]?\s*$")
MOST = 60
"""Characters of a result that is worth reading; longer ones are a comment."""


def read_result(text: str) -> Reading | None:
    """The reading of a result's words, or None."""
    words = " ".join(text.split())
    if not words or len(words) > MOST:
        return None
    graded = _grade(words.lower().strip(" .*()"))
    if graded:
        return Reading("ordinal", grade=graded)
    titer = _TITER.fullmatch(words)
    if titer:
        return Reading("titer", float(titer["number"]), _COMPARATORS[titer["sign"]], titer["number"], "", "{titer}")
    span = _SPAN.fullmatch(words)
    if span:
        low, high, unit = _float(span["low"]), _float(span["high"]), (span["unit"] or "").strip()
        if low <= high:
            return Reading("range", low, "", span["low"], unit, ucum_code(unit), high)
        return None
    ratio = _RATIO.fullmatch(words)
    if ratio:
        return Reading("ratio", _float(ratio["top"]), digits=ratio["top"], high=_float(ratio["bottom"]))
    return _one(_FLAG.sub("", words)) or _one(words)


def _one(words: str) -> Reading | None:
    found = _ONE.fullmatch(words)
    if not found:
        return None
    unit = (found["unit"] or "").strip()
    code = ucum_code(unit)
    if unit and not code:  # "3 days ago", "2 organisms": no unit, no result
        return None
    sign = found["sign"].lower()
    digits = found["minus"] + found["number"].replace(",", "")
    return Reading("number", float(digits), _WORDS.get(sign) or _COMPARATORS[sign], digits, unit, code)


def _float(digits: str) -> float:
    return float(digits.replace(",", ""))


def _grade(low: str) -> str:
    if low in _SIGNS:
        return _SIGNS[low]
    for pattern, grade in _GRADES:
        found = pattern.fullmatch(low)
        if found:
            return grade or f"{found[1] or found[2]}+"
    return ""

"""Birth dates: many ways to write one, and the ones that are typed when nobody knows it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

from models.record.base import Value

DEFAULTS = frozenset(
    {"1900-01-01", "1901-01-01", "1800-01-01", "1753-01-01", "1850-01-01", "1899-12-30", "1899-12-31", "1904-01-01"}
    | {"1970-01-01", "1111-11-11", "1910-10-10", "1911-11-11"}
)
"""The first day of registration systems, spreadsheets and clocks, and what is quickly typed."""
ADULT_YEARS = 26
"""Until then a child is covered by a parent's insurance (45 CFR 147.120), and may be registered under a parent's number."""
OLDEST_YEARS = 130
"""Nobody has lived longer than 122 years; charts of the dead are kept."""
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


class Birth(Value, frozen=True):
    """A birth date as it is compared."""

    day: str = ""
    """YYYY-MM-DD, where the whole date is known and may be believed."""
    partial: str = ""
    """YYYY-MM or YYYY, where that is all. The first of January is taken for `only the year is known`."""
    remark: str = ""
    """Why there is none, or less than was sent: default, implausible, unreadable."""


def day_first(values: Iterable[str]) -> bool:
    """Whether a column writes the day before the month: some value leaves no other reading, and none contradicts it."""
    first = second = 0
    for value in values:
        found = re.fullmatch(r"\s*(\d{1,2})[-/. ](\d{1,2})[-/. ](\d{2}|\d{4})\b.*", value)
        if found:
            first += 12 < int(found[1]) <= 31
            second += 12 < int(found[2]) <= 31
    return first > 0 and second == 0


def standardize(text: str, *, today: date, day_first: bool = False) -> Birth:
    """What was written -> a Birth; `today` bounds what is plausible."""
    text = text.strip()
    if not text:
        return Birth()
    year, month, day = _read(text.casefold(), day_first, today)
    if not year:
        return Birth(remark="unreadable")
    if f"{year:04d}-{month or 1:02d}-{day or 1:02d}" in DEFAULTS or year in (1, 1111, 9999):
        return Birth(remark="default")
    try:
        when = date(year, month or 1, day or 1)
    except ValueError:
        return Birth(remark="unreadable")
    if when > today or year < today.year - OLDEST_YEARS:
        return Birth(remark="implausible")
    if month and day and (month, day) != (1, 1):
        return Birth(day=when.isoformat())
    if month and not day:
        return Birth(partial=f"{year:04d}-{month:02d}")
    return Birth(partial=f"{year:04d}", remark="default" if month else "")


def adult(birth: Birth, today: date) -> bool:
    """Whether somebody is too old to be registered under a parent's number (ADULT_YEARS); no where it is not known."""
    known = birth.day or birth.partial
    return bool(known) and f"{int(known[:4]) + ADULT_YEARS:04d}{known[4:] or '-12-31'}" <= today.isoformat()


def _read(text: str, day_first: bool, today: date) -> tuple[int, int, int]:
    """Year, month, day; 0 where not given; year 0 where it cannot be read."""
    if found := re.match(r"(\d{4})(?:[-/.](\d{1,2})(?:[-/.](\d{1,2})(?!\d))?)?(?:[t ].*)?$", text):
        return int(found[1]), int(found[2] or 0), int(found[3] or 0)
    if found := re.match(r"(\d{4})(\d{2})(\d{2})?(?:\d{4,6})?(?:\.\d+)?(?:[+-]\d{4})?$", text):  # HL7 v2 too
        return int(found[1]), int(found[2]), int(found[3] or 0)
    if found := re.match(r"(\d{1,2})[-/. ](\d{1,2})[-/. ](\d{4}|\d{2})(?:[t ].*)?$", text):
        one, two, year = int(found[1]), int(found[2]), _century(found[3], today)
        month, day = (two, one) if (day_first or one > 12) and two <= 12 else (one, two)
        return year, month, day
    if found := re.match(r"(\d{1,2})[-/. ]?([a-z]{3,9})[-/., ]*(\d{4}|\d{2})(?:[t ].*)?$", text):
        return _century(found[3], today), _month(found[2]), int(found[1])
    if found := re.match(r"([a-z]{3,9})[-/. ]*(\d{1,2})(?:st|nd|rd|th)?[-/., ]+(\d{4}|\d{2})(?:[t ].*)?$", text):
        return _century(found[3], today), _month(found[1]), int(found[2])
    if found := re.match(r"(\d{1,2})[-/.](\d{4})$", text):
        return int(found[2]), int(found[1]), 0
    return 0, 0, 0


def _month(word: str) -> int:
    return _MONTHS.index(word[:3]) + 1 if word[:3] in _MONTHS else 13


def _century(year: str, today: date) -> int:
    if len(year) == 4:
        return int(year)
    return int(year) + (2000 if int(year) <= today.year % 100 else 1900)


def swapped(day: str) -> str:
    """The date with day and month exchanged; empty where that is no date, or the same one."""
    if not day or day[5:7] == day[8:10] or int(day[8:10]) > 12:
        return ""
    return f"{day[:4]}-{day[8:10]}-{day[5:7]}"

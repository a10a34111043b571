"""Partial dates: a year is a year, not January 1st.

A `PartialDate` is the FHIR R4 `dateTime` text exactly as precise as the source gave it: `2019`, `2019-03`,
`2019-03-04` or `2019-03-04T10:15:00+01:00` (https://hl7.org/fhir/R4/datatypes.html#dateTime). It stays text from the
adapter to the screen; the functions here answer questions about it as an interval, so that no caller is tempted to
invent the missing parts.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Literal

import msgspec

Precision = Literal["year", "month", "day", "time"]

PATTERN = (
    r"^\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01])"
    r"(T([01]\d|2[0-3]):[0-5]\d(:([0-5]\d|60)(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})?)?)?)?$"
)

PartialDate = Annotated[
    str,
    msgspec.Meta(
        pattern=PATTERN,
        description="A date as precise as the source gave it: YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm[:ss][zone].",
        examples=["2019", "2019-03", "2019-03-04", "2019-03-04T10:15:00+01:00"],
    ),
]

_PATTERN = re.compile(PATTERN.removesuffix("$"))
_LEAP_SECOND = re.compile(r":60(?=[.+-]|$)")
_NANOSECONDS = re.compile(r"\.(\d{7,9})")


def is_partial_date(text: object) -> bool:
    """True when `text` is a valid FHIR date, dateTime or instant, and a day that exists (no 31 February)."""
    return isinstance(text, str) and _exists(text)


@lru_cache(maxsize=16_384)
def _exists(text: str) -> bool:
    """One chart repeats its dates; fullmatch, because `$` would let a line feed through."""
    if not _PATTERN.fullmatch(text):
        return False
    try:
        bounds(text)
    except ValueError:
        return False
    return True


def precision(value: str) -> Precision:
    """How precise `value` is."""
    length = len(value)
    if length == 4:
        return "year"
    if length == 7:
        return "month"
    return "day" if length == 10 else "time"


@lru_cache(maxsize=16_384)
def bounds(value: str) -> tuple[datetime, datetime]:
    """The first and the last instant (UTC, inclusive) that `value` may mean.

    A date without a zone is read as UTC: sources give calendar dates without one, and a day's uncertainty is
    already part of the interval for anything but a full time. Raises ValueError on text that is not a date.
    """
    how = precision(value)
    if how == "time":
        text = value.replace("Z", "+00:00")
        if (
            ":60" in text and len(text) > 16 and _LEAP_SECOND.search(text, 13)
        ):  # FHIR allows a leap second; Python does not
            text = text[:13] + text[13:].replace(":60", ":59", 1)
        fraction = _NANOSECONDS.search(text) if "." in text else None
        if fraction:
            text = text.replace(fraction.group(1), fraction.group(1)[:6])
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        return moment, moment
    year = int(value[:4])
    if year == 0:
        raise ValueError("year 0000 does not exist")
    if how == "year":
        first, last = date(year, 1, 1), date(year, 12, 31)
    elif how == "month":
        month = int(value[5:7])
        first, last = date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1])
    else:
        first = last = date.fromisoformat(value)
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    end = datetime(last.year, last.month, last.day, 23, 59, 59, 999999, tzinfo=UTC)
    return start, end


@lru_cache(maxsize=16_384)
def sort_key(value: str | None) -> tuple[str, int]:
    """A total, deterministic order: by the earliest instant, then the more precise first, undated first of all."""
    if not value:
        return ("", 0)
    return (bounds(value)[0].strftime("%Y-%m-%dT%H:%M:%S.%f"), -len(value))


def surely_before(left: str, right: str) -> bool:
    """True only when every instant of `left` is before every instant of `right`."""
    return bounds(left)[1] < bounds(right)[0]


def within_days(value: str, as_of: str, days: int) -> bool:
    """True when `value` may lie in the `days` days that end with `as_of` (an unsure date counts as inside)."""
    end = bounds(as_of)[1]
    first, last = bounds(value)
    return last >= end - timedelta(days=days) and first <= end


def age_years(birth: str, as_of: str) -> int | None:
    """Completed years between two partial dates, or None when the precision cannot decide it."""

    def completed(born: datetime, now: datetime) -> int:
        return now.year - born.year - ((now.month, now.day) < (born.month, born.day))

    born_first, born_last = bounds(birth)
    now_first, now_last = bounds(as_of)
    youngest, oldest = completed(born_last, now_first), completed(born_first, now_last)
    return youngest if youngest == oldest and youngest >= 0 else None

"""Observations as a table: a row for each analyte and unit, a column for each of the newest days, a trend line."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from models.record import Observation
from models.record.dates import bounds
from service.page.sparkline import Point, Sparkline, sparkline
from service.page.words import day

MOST_COLUMNS = 6
MOST_TREND_POINTS = 40
MOST_DECIMALS = 3
INTERPRETATION_WORDS = {
    "H": "high",
    "HH": "critically high",
    "L": "low",
    "LL": "critically low",
    "A": "abnormal",
    "AA": "critically abnormal",
    "POS": "positive",
    "N": "",
    "NEG": "negative",
    "IND": "indeterminate",
}


@dataclass(frozen=True)
class Cell:
    """One value of one day, shortened and exact. `more` counts further values of that day; the panel lists them."""

    text: str
    exact: str
    word: str
    abnormal: bool
    entry_ids: tuple[str, ...]
    keys: tuple[str, ...]
    date: str
    more: int = 0


@dataclass(frozen=True)
class Row:
    """One analyte in one unit."""

    name: str
    unit: str
    reference: str
    trend: Sparkline | None
    cells: tuple[Cell | None, ...]
    older: int


@dataclass(frozen=True)
class Pivot:
    """The table; `days` are its column heads, newest first."""

    days: tuple[str, ...]
    rows: tuple[Row, ...]
    total: int


def pivot(observations: Sequence[Observation], keys_of: Callable[[str], tuple[str, ...]]) -> Pivot:
    """Build the table from entries that are neither duplicates nor taken back by their source."""
    usable = [o for o in observations if not o.superseded and o.date]
    groups: dict[tuple[str, str], list[Observation]] = defaultdict(list)
    for observation in usable:
        groups[(_analyte(observation), _unit(observation))].append(observation)
    days = tuple(sorted({day(o.date) for o in usable}, reverse=True)[:MOST_COLUMNS])
    rows = [_row(name, unit, members, days, keys_of) for (name, unit), members in groups.items()]
    rows.sort(key=lambda r: (not any(c and c.abnormal for c in r.cells), -sum(c is not None for c in r.cells), r.name))
    return Pivot(days=days, rows=tuple(rows), total=len(usable))


def shortened(number: str) -> str:
    """A number for a narrow column: 32.47383534828001 as 32.474. Anything with fewer digits stays as it was sent."""
    head, point, digits = number.rpartition(".")
    if not point or not digits.isdigit() or len(digits) <= MOST_DECIMALS:
        return number
    comparator = head[: len(head) - len(head.lstrip("<>= "))]
    try:
        return f"{comparator}{float(number.removeprefix(comparator)):.{MOST_DECIMALS}f}"
    except ValueError:
        return number


def _row(
    name: str,
    unit: str,
    members: list[Observation],
    days: tuple[str, ...],
    keys_of: Callable[[str], tuple[str, ...]],
) -> Row:
    by_day: dict[str, list[Observation]] = defaultdict(list)
    for member in members:
        by_day[day(member.date)].append(member)
    cells = tuple(_cell(by_day[d], keys_of) if d in by_day else None for d in days)
    newest = max(members, key=lambda o: bounds(o.date or "0001")[1])
    ranges = newest.reference_ranges
    low = ranges[0].low.value if ranges and ranges[0].low else None
    high = ranges[0].high.value if ranges and ranges[0].high else None
    points = [_point(m) for m in members]
    usable = sorted((p for p in points if p), key=lambda p: p.at)[-MOST_TREND_POINTS:]
    return Row(
        name=newest.concept.display or name,
        unit=unit,
        reference=str(ranges[0]) if ranges else "",
        trend=sparkline(usable, low=low, high=high, label=f"{len(usable)} values"),
        cells=cells,
        older=sum(len(v) for d, v in by_day.items() if d not in days),
    )


def _cell(members: list[Observation], keys_of: Callable[[str], tuple[str, ...]]) -> Cell:
    latest = max(members, key=lambda o: (bounds(o.date or "0001")[0], o.id))
    value = latest.value
    text = exact = latest.value_display
    if value is not None:
        exact = str(value).removesuffix(_unit(latest)).strip()
        text = shortened(exact)
    if not text:
        text = exact = f"no value ({latest.absent_reason})" if latest.absent_reason else "no value"
    return Cell(
        text=text,
        exact=exact,
        word=INTERPRETATION_WORDS.get(latest.interpretation, latest.interpretation)
        or ("abnormal" if latest.abnormal else ""),
        abnormal=latest.abnormal is True,
        entry_ids=tuple(m.id for m in members),
        keys=tuple(k for m in members for k in keys_of(m.id)),
        date=latest.date or "",
        more=len(members) - 1,
    )


def _point(observation: Observation) -> Point | None:
    value = observation.value
    if value is None or value.value is None or not math.isfinite(value.value) or not observation.date:
        return None
    return Point(bounds(observation.date)[0].timestamp(), value.value, observation.abnormal is True)


def _analyte(observation: Observation) -> str:
    target = observation.concept.target
    return f"{target.system}|{target.code}" if target else observation.concept.display.casefold()


def _unit(observation: Observation) -> str:
    return (observation.value.unit or observation.value.code) if observation.value else ""

"""Vitals and labs as a date x test table, with trend lines for what lies further back and plain lines for the rest.

Measured elsewhere: such a table is answered from more correctly, with fewer tokens, than a line per result. A table
full of holes costs more than it gives, so sparse things are printed by date instead.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

from context_builder.facts import Candidate
from context_builder.facts_events import CELL_CHARS, abnormal_mark, observed_value, unsettled
from context_builder.facts_text import clean
from context_builder.facts_words import TIGHTEST, Level, Printed, Wording, day, display_of
from models.record.entries import Observation

MAX_TRENDS = 8
_MIN_FILL = 0.34
_STEADY = 0.1

RowKey = tuple[int, str, str]


class Pivot(NamedTuple):
    """The printed lines of a block and the wording of each fact in them."""

    lines: list[str]
    printed: list[tuple[Candidate, Printed]]


class Cell(NamedTuple):
    """One result, ready for a table."""

    candidate: Candidate
    row: RowKey
    day: str
    printed: Printed
    mark: str

    @property
    def cited(self) -> str:
        """The cell's text with its key."""
        return f"{self.printed.text} [{self.candidate.key}]"


def cell_of(candidate: Candidate, level: Level, order: dict[str, int], how: Wording) -> Cell | None:
    """The result as a table cell; None when it needs a line of its own (no value, long text, components, negated)."""
    entry = candidate.entry
    assert isinstance(entry, Observation)
    if not entry.value_display or entry.has_flag("negated", "unread_modifier"):
        return None
    value, unit = observed_value(entry, level)
    if len(value) > CELL_CHARS:
        return None
    computed = "calc" if entry.origin.method == "computed" else ""
    mark = " ".join(m for m in (abnormal_mark(entry), computed, unsettled(entry)) if m)
    label = candidate.label or display_of(entry.concept, level) or "Unnamed test"
    unit = "" if unit.casefold() == label.casefold() else unit
    text = f"{value} {mark}".strip()
    reference = clean(str(entry.reference_ranges[0]), 40) if entry.reference_ranges else ""
    detail = f"{mark}; reference {reference}".strip("; ") if reference and level == 0 else mark
    printed = Printed(label, text, text, value, unit, detail, entry.status, False)
    rank = order.get(candidate.analyte, len(order))
    return Cell(candidate, (rank, label, unit), day(entry.date, how.calendar), printed, mark)


def pivot(
    candidates: list[Candidate],
    level: Level,
    columns: int,
    trends: frozenset[str],
    cell: Callable[[Candidate, Level], Cell | None],
    words: Callable[[Candidate, Level], Printed],
) -> Pivot:
    """Print the selected results of one block; `cell` and `words` give each as a table cell and as a line."""
    cells: list[Cell] = []
    lines: list[str] = []
    printed: list[tuple[Candidate, Printed]] = []
    for candidate in candidates:
        made = cell(candidate, level)
        if made is None:
            said = words(candidate, level)
            lines.append(f"- [{candidate.key}] {said.line}")
            printed.append((candidate, said))
        else:
            cells.append(made)
            printed.append((candidate, made.printed))
    days = _table_days(cells, columns) if level < TIGHTEST else []
    columned = set(days)
    inside = [c for c in cells if c.day in columned]
    outside = [c for c in cells if c.day not in columned]
    table = _table(inside, days, level) if inside else []
    trend_lines, outside = _trends(inside, outside, trends) if table else ([], outside)
    return Pivot([*table, *trend_lines, *_by_date(outside), *lines], printed)


def _table_days(cells: list[Cell], columns: int) -> list[str]:
    """The newest days worth a column, newest first; none when a table would be mostly holes."""
    per_day: dict[str, set[RowKey]] = defaultdict(set)
    for cell in cells:
        if cell.day:
            per_day[cell.day].add(cell.row)
    days = sorted((d for d, rows in per_day.items() if len(rows) > 1), reverse=True)[:columns]
    while len(days) > 1:
        rows = set().union(*(per_day[d] for d in days))
        if sum(len(per_day[d]) for d in days) >= _MIN_FILL * len(rows) * len(days):
            return days
        days.pop()
    return []


def _table(cells: list[Cell], days: list[str], level: Level) -> list[str]:
    rows: dict[RowKey, dict[str, list[Cell]]] = defaultdict(lambda: defaultdict(list))
    for cell in cells:
        rows[cell.row][cell.day].append(cell)
    ranges = level == 0 and any("reference" in c.printed.detail for c in cells)
    head = ["Test", "Unit", *(["Latest reference"] if ranges else []), *days]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for key in sorted(rows):
        by_day = rows[key]
        newest = next(by_day[d][0] for d in days if by_day.get(d))
        reference = newest.printed.detail.partition("reference ")[2]
        values = ["; ".join(c.cited for c in by_day[d]) if d in by_day else "" for d in days]
        parts = [key[1], key[2], *([reference] if ranges else []), *values]
        lines.append("| " + " | ".join(parts) + " |")
    return lines


def _trends(inside: list[Cell], outside: list[Cell], trends: frozenset[str]) -> tuple[list[str], list[Cell]]:
    """Trend lines: for the measurements named for it with at least two older values, then, as long as there are fewer
    than MAX_TRENDS, for others with at least three. Returns the cells not printed by them."""
    older: dict[RowKey, list[Cell]] = defaultdict(list)
    for cell in outside:
        if cell.day and cell.candidate.entry.value is not None:  # type: ignore[union-attr]
            older[cell.row].append(cell)
    named = {row for row, past in older.items() if past[0].candidate.analyte in trends}
    latest = {cell.row: cell for cell in reversed(inside)}
    lines: list[str] = []
    told: set[str] = set()
    for row in sorted(older, key=lambda row: (row not in named, row)):
        enough = 2 if row in named else 3
        if len(lines) == MAX_TRENDS or len(older[row]) < enough or row not in latest:
            continue
        past = sorted(older[row], key=lambda c: (c.day, c.candidate.key))
        points = ", ".join(f"{c.day} {c.cited}" for c in past)
        unit = f" ({row[2]})" if row[2] else ""
        newest = latest[row]
        lines.append(f"- Trend {row[1]}{unit}: {points}; latest [{newest.candidate.key}] {_direction(past[0], newest)}")
        told.update(c.candidate.key for c in past)
    return lines, [c for c in outside if c.candidate.key not in told]


def _direction(first: Cell, last: Cell) -> str:
    """How the latest value stands to the first, in words; our arithmetic, so no new number is printed."""
    before, after = first.candidate.entry.value, last.candidate.entry.value  # type: ignore[union-attr]
    if before is None or after is None or before.value is None or after.value is None:
        return "in the table"
    if before.comparator or after.comparator:
        return "in the table"
    if abs(after.value - before.value) <= _STEADY * abs(before.value):
        return "about the same as the first"
    return "higher than the first" if after.value > before.value else "lower than the first"


def _by_date(cells: list[Cell]) -> list[str]:
    """One line a day, newest first: `2024-05-01: HbA1c 7.2 % H [L1]; ...`."""
    per_day: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        per_day[cell.day].append(cell)
    lines = []
    for date in sorted(per_day, reverse=True):
        said = []
        for cell in sorted(per_day[date], key=lambda c: (c.row, c.candidate.key)):
            unit = f" {cell.row[2]}" if cell.row[2] else ""
            mark = f" {cell.mark}" if cell.mark else ""
            said.append(f"{cell.row[1]} {cell.printed.value}{mark}{unit} [{cell.candidate.key}]")
        lines.append(f"- {date or 'undated'}: {'; '.join(said)}")
    return lines

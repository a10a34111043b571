"""The words all facts share: how a fact is printed at three levels of compactness, 0 roomy, 1 compact, 2 tightest.

Everything that came from outside passes `clean`; numbers are printed as sent, long decimals rounded (see `rounded`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from context_builder.facts import Calendar
from context_builder.facts_text import clean, clean_passage, rounded, without_tag
from models.record.coding import Concept, Quantity
from models.record.entries import AnyEntry

Level = int
TIGHTEST: Level = 2
DISPLAY_CHARS = (140, 90, 64)
DETAIL_CHARS = (160, 90, 60)

# UCUM as people print it. Only units whose UCUM code has brackets or braces, which our own markup needs.
_PRINTED_UNITS = {
    "mm[Hg]": "mmHg",
    "mL/min/{1.73_m2}": "mL/min/1.73m2",
    "Cel": "°C",
    "[degF]": "°F",
    "[lb_av]": "lb",
    "[oz_av]": "oz",
    "[in_i]": "in",
    "[ft_i]": "ft",
    "[IU]/L": "IU/L",
    "m[IU]/L": "mIU/L",
    "u[IU]/mL": "uIU/mL",
}


class Printed(NamedTuple):
    """One fact in words. `line` is what stands after the key; `text` is the part of it that is the fact itself.

    `head` and `when` are the line without and with only its date, for kinds of facts of which repeats share one line;
    `suffix` names the sites.
    """

    display: str
    line: str
    text: str
    value: str = ""
    unit: str = ""
    detail: str = ""
    status: str = ""
    negated: bool = False
    head: str = ""
    when: str = ""
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Wording:
    """What the wording of a line depends on besides the entry."""

    calendar: Calendar
    as_of: str
    sites: dict[str, str]
    fence: str
    excerpt_chars: tuple[int, int, int]
    terms: tuple[str, ...] = ()

    def site_suffix(self, entries: Iterable[AnyEntry], level: Level) -> str:
        """` (A, B)` when several sites speak in this chart and there is room for it."""
        if len(self.sites) < 2 or level >= TIGHTEST:
            return ""
        letters = sorted({self.sites[o.site] for e in entries for o in e.origins if o.site in self.sites})
        return f" ({', '.join(letters)})" if letters else ""

    def fenced(self, passage: str) -> str:
        """Free text of a source, tagged as quoted data. `clean` leaves no tag in it that could end the quotation."""
        return f"<{self.fence}>{passage}</{self.fence}>"


def day(value: str | None, calendar: Calendar) -> str:
    """A partial date as sent, without its time of day; empty for no date and for text that is none."""
    return value[:10] if value and calendar.span(value) else ""


def display_of(concept: Concept, level: Level) -> str:
    """The concept's wording; its code when there are no words."""
    return clean(without_tag(concept.display), DISPLAY_CHARS[level])


def digits_of(quantity: Quantity) -> str:
    """The digits exactly as sent, with their comparator."""
    digits = quantity.as_sent or (f"{quantity.value:g}" if quantity.value is not None else "")
    return clean(f"{quantity.comparator}{digits}", 40)


def number(quantity: Quantity) -> str:
    """Comparator and digits as printed."""
    digits = quantity.as_sent or (f"{quantity.value:g}" if quantity.value is not None else "")
    return clean(f"{quantity.comparator}{rounded(digits)}", 40)


def unit_of(quantity: Quantity) -> str:
    """The unit as people print it; annotations such as `{score}` are no unit."""
    unit = quantity.unit or quantity.code
    unit = _PRINTED_UNITS.get(unit, unit)
    if unit.startswith("{") and unit.endswith("}"):
        return ""
    return clean(unit, 40)


def join(*parts: str) -> str:
    """The non-empty parts, separated by `; `."""
    return "; ".join(part for part in parts if part)


def since(begin: str | None, end: str | None, level: Level, calendar: Calendar, *, over: bool = False) -> str:
    """`since X`, `X to Y`, `until Y`; of what is over without a known end, `from X`.

    At the tightest level the year alone; an end after as_of is not told.
    """
    first, last = day(begin, calendar), "" if calendar.after(end) else day(end, calendar)
    if level >= TIGHTEST:
        first, last = first[:4], last[:4]
    if first and last:
        return first if first == last else f"{first} to {last}"
    if first:
        return f"from {first}" if over else f"since {first}"
    return f"until {last}" if last else ""


def span_of(start: str | None, end: str | None, calendar: Calendar) -> str:
    """The day of an event, or its first and last."""
    first, last = day(start, calendar), "" if calendar.after(end) else day(end, calendar)
    return f"{first} to {last}" if first and last and first != last else first or last


def plain(
    display: str, *details: str, status: str, negated: bool, value: str = "", unit: str = "", when: str = ""
) -> Printed:
    """A fact in one line: its name, what is known about it, and its date last."""
    known = join(*details)
    head = join(display, known)
    line = join(head, when)
    return Printed(display, line, line, value, unit, join(known, when), status, negated, head, when)


def with_excerpt(
    name: str, lead: str, body: str, status: str, negated: bool, level: Level, how: Wording
) -> Printed | None:
    """A title line (the fact's detail) and, fenced as data, the passage of `body` that fits the level; None when there is no passage."""
    passage = excerpt(body, how.excerpt_chars[level], how.terms)
    if not passage:
        return None
    line = f"{lead}: {how.fenced(passage)}"
    return Printed(name, line, passage, "", "", lead, status, negated)


# Where writers put what they conclude, best first. The sections' LOINC names: 19005-8 impression, 51847-2 assessment and
# plan, 51848-0 assessment, 8648-8 hospital course, 18776-5 plan of care.
_CONCLUSIONS = tuple(
    re.compile(rf"(?im)^[ \t#*]*(?:{heading})[ \t#*]*(?::|$)")
    for heading in (
        "impressions?|conclusions?",
        "assessment (?:and|&) plan|assessment/plan|a/p|assessments?",
        "hospital course|summary",
        "plan(?: of (?:care|treatment))?|recommendations?",
    )
)


_MOST_SEARCHED = 200_000
"""Characters of a narrative in which the place to quote is looked for."""


def excerpt(body: str, limit: int, terms: tuple[str, ...] = ()) -> str:
    """One safe line of at most `limit` characters: the part around the first of `terms`, else what the writer concludes,
    else the beginning. A cut is marked with an ellipsis."""
    begin = 0
    body = body[:_MOST_SEARCHED]
    if len(body) > limit:
        lowered = body.lower()
        hits = [at for term in terms if (at := lowered.find(term)) >= 0]
        if hits:
            begin = max(0, min(hits) - limit // 3)
        else:
            found = (pattern.search(body) for pattern in _CONCLUSIONS)
            begin = next((match.start() for match in found if match), 0)
    passage = clean_passage(body[begin:], limit)
    return f"…{passage}" if begin and passage else passage

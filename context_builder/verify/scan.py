"""One pass over a canonical text: words, amounts with unit and comparator, dates, relative dates, marks, separators."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, NamedTuple

from context_builder.verify.words import fold, lexicon, stem, unit_of

Kind = Literal[
    "word",
    "number",
    "date",
    "relative",
    "age",
    "frequency",
    "mark",
    "trend",
    "range",
    "side",
    "quote",
    "strong",
    "weak",
]
QUOTE = "\ue000"
"""Stands for one whole fact quoted word by word; the character after it tells which (chr(0xE100 + index))."""

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul", "august aug",
            "september sep sept", "october oct", "november nov", "december dec",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
NUMBER_WORDS = {
    word: number
    for number, word in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"],
        start=0,
    )
}
_COUNT = "|".join(NUMBER_WORDS)
_UNIT_OF_TIME = r"(?P<{0}>day|week|month|year)s?"
_TOKEN = re.compile(
    r"(?P<quote>\ue000[\ue100-\uf8ff])"
    r"|(?P<iso>(?<![\d.\-])\d{4}-\d{2}(?:-\d{2}(?:t\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:z|[+-]\d{2}:\d{2})?)?)?(?![\d\-]))"
    rf"|(?P<dmy>(?<![\w.])\d{{1,2}}(?:st|nd|rd|th)? (?:of )?(?:{_MONTH})\.?,? \d{{4}}(?!\d))"
    rf"|(?P<mdy>(?<!\w)(?:{_MONTH})\.? \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}(?!\d))"
    rf"|(?P<md>(?<!\w)(?:{_MONTH})\.? \d{{1,2}}(?= (?:to|and|until|through|-) (?:{_MONTH})\.? \d{{1,2}},? (?P<md_year>\d{{4}})(?!\d)))"
    rf"|(?P<my>(?<!\w)(?:{_MONTH})\.?,? (?:of )?\d{{4}}(?!\d))"
    r"|(?P<us>(?<![\d./])\d{1,2}/\d{1,2}/\d{4}(?![\d/]))"
    rf"|(?P<ago>(?<![\w.])(?P<ago_n>\d{{1,4}}|an?|{_COUNT}) {_UNIT_OF_TIME.format('ago_u')} (?:ago|earlier)(?!\w))"
    rf"|(?P<within>(?<!\w)(?:in|within|over|during|for) the (?:last|past) (?:(?P<in_n>\d{{1,4}}|{_COUNT}) )?{_UNIT_OF_TIME.format('in_u')}(?!\w))"
    r"|(?P<calendar>(?<!\w)(?:today|yesterday|recently|(?<!most )recent|(?:last|this) (?:week|month|year))(?!\w))"
    r"|(?P<age>(?<![\w.])(?:aged? (?P<age_a>\d{1,3})(?![\d.])|(?P<age_b>\d{1,3})(?:-year-old|-years-old| years? old| years? of age)))"
    r"|(?P<number>(?:(?P<comparator><=|>=|<|>) ?)?(?P<digits>(?<![\w.])[+-]?\d{1,18}(?:,\d{3})*(?:\.\d{1,18})?))"
    r"|(?P<word>[^\W\d_][^\W_]*(?:'[^\W\d_]+)?)"
    r"|(?P<strong>[.;!?](?=\s|$))"
    r"|(?P<weak>[,/](?=\s)|&)"
)
_STRONG_WORDS = frozenset(["but", "while", "whereas", "however", "although", "though"])
_WEAK_WORDS = frozenset(["and", "or", "nor"])
_SIDES = {
    "left": "left", "left-sided": "left", "right": "right", "right-sided": "right", "bilateral": "both", "bilaterally": "both",
}  # fmt: skip
_COMPARATORS = {
    "less than": "<", "fewer than": "<", "below": "<", "under": "<", "more than": ">", "greater than": ">", "over": ">", "above": ">",
    "at least": ">=", "no less than": ">=", "at most": "<=", "up to": "<=", "no more than": "<=", "not more than": "<=",
}  # fmt: skip
_COMPARING = re.compile(
    rf"(?<![\w-])(?:{'|'.join(sorted(map(re.escape, _COMPARATORS), key=len, reverse=True))})(?= [\d.])"
)
_BEFORE_A_YEAR = frozenset(
    [
        "in",
        "since",
        "from",
        "until",
        "till",
        "to",
        "by",
        "of",
        "during",
        "before",
        "after",
        "between",
        "and",
        "early",
        "late",
        "around",
        "year",
        "through",
        "on",
    ]
)
_SHY_UNITS = frozenset(["in", "m", "d", "h", "l", "g", "y", "u", "1", "pg", "cap", "points"])
"""Units that are also words or signs: read as units only where nothing follows that would make them a word."""


class Token(NamedTuple):
    """One piece of a text. What `value`, `unit` and `more` hold depends on the kind."""

    kind: Kind
    text: str
    at: int
    value: float = 0.0
    unit: str = ""
    more: str = ""
    slash: bool = False
    """number: comparator. date: partial ISO date. relative: `ago`, `within` or the calendar phrase. mark, trend, range,
    side, frequency: their meaning. word: its stem. `slash`: a number written right after another one, as in `142/88`."""


@lru_cache(maxsize=512)
def units_pattern(extra: frozenset[str] = frozenset()) -> re.Pattern[str]:
    """What may stand after a number as its unit: the lexicon's spellings and `extra` (folded, lower case)."""
    known = sorted({*lexicon().units, *extra} - {""}, key=lambda u: (-len(u), u))
    usual = "|".join(re.escape(u) for u in known if u not in _SHY_UNITS)
    shy = "|".join(re.escape(u) for u in known if u in _SHY_UNITS and u != "1")
    return re.compile(
        rf"[ -]?(?:(?:{usual})(?![\w])|(?:{shy})(?=$|[),;]|\.(?:\s|$)|/(?=\s)| (?:on|at|to|and|by|is|was)(?!\w)))"
    )


def folded_units(units: Iterable[str]) -> frozenset[str]:
    """The units of facts as `units_pattern` wants them."""
    return frozenset(f for u in units if (f := fold(u).lower()) and f not in lexicon().units and not f.isdigit())


def scan(text: str, units: re.Pattern[str] | None = None) -> list[Token]:
    """The tokens of a canonical text, in order."""
    units = units or units_pattern()
    claims = _claims(text)
    tokens: list[Token] = []
    at = 0
    previous = ""
    while match := _TOKEN.search(text, at):
        start = match.start()
        claim = claims.get(start)
        if claim is not None and match.lastgroup not in ("iso", "quote"):
            tokens.append(claim)
            at = start + len(claim.text)
            previous = claim.text if claim.more.startswith("comparator") else claim.text.rpartition(" ")[2]
            continue
        token, end = _read(match, start, text, previous, units)
        tokens.append(token)
        at = max(end, start + 1)
        previous = token.text
    return tokens


def _claims(text: str) -> dict[int, Token]:
    """Frequencies, comparators and claim phrases by the place at which they begin; the longer one wins."""
    known = lexicon()
    found: dict[int, Token] = {}
    lists: tuple[tuple[Kind, re.Pattern[str], dict[str, str]], ...] = (
        ("frequency", known.frequencies.pattern, dict(known.frequencies.meaning)),
        ("mark", known.marks.pattern, dict(known.marks.meaning)),
        ("trend", known.trend.pattern, dict(known.trend.meaning)),
        ("range", known.range.pattern, dict(known.range.meaning)),
    )
    for kind, pattern, meaning in lists:
        for match in pattern.finditer(text):
            held = found.get(match.start())
            if held is None or len(match[0]) > len(held.text):
                found[match.start()] = Token(kind, match[0], match.start(), more=meaning[match[0]])
    for match in _COMPARING.finditer(text):
        found[match.start()] = Token("word", match[0], match.start(), more=f"comparator {_COMPARATORS[match[0]]}")
    return found


def _read(match: re.Match[str], start: int, text: str, previous: str, units: re.Pattern[str]) -> tuple[Token, int]:
    kind, said, end = match.lastgroup or "word", match[0].strip(), match.end()
    if kind == "word" or kind == "age":
        if match["age"]:
            years = match["age_a"] or match["age_b"]
            return Token("age", said, start, value=float(years)), end
        return _word(said, start), end
    if kind == "quote":
        return Token("quote", said, start, value=float(ord(said[1]) - 0xE100)), end
    if kind in ("strong", "weak"):
        return Token("strong" if kind == "strong" else "weak", said, start), end
    if match["digits"]:
        return _number(match, start, text, previous, units)
    if match["ago"] or match["within"]:
        how = "ago" if match["ago"] else "within"
        count, unit = (match["ago_n"], match["ago_u"]) if match["ago"] else (match["in_n"] or "1", match["in_u"])
        number = float(count) if count.isdigit() else float(NUMBER_WORDS.get(count, 1))
        return Token("relative", said, start, value=number, unit=unit, more=how), end
    if match["calendar"]:
        return Token("relative", said, start, more=said), end
    return Token("date", said, start, more=_date(match)), end


def _word(said: str, start: int) -> Token:
    if said in _SIDES:
        return Token("side", said, start, more=_SIDES[said])
    if said in _STRONG_WORDS:
        return Token("strong", said, start)
    if said in _WEAK_WORDS:
        return Token("weak", said, start)
    if said in NUMBER_WORDS and said not in ("one", "zero"):
        return Token("number", said, start, value=float(NUMBER_WORDS[said]))
    return Token("word", said, start, more=stem(said))


def _number(match: re.Match[str], start: int, text: str, previous: str, units: re.Pattern[str]) -> tuple[Token, int]:
    digits, end = match["digits"], match.end()
    value = float(digits.replace(",", ""))
    unit_match = units.match(text, end)
    slash = start > 1 and text[start - 1] == "/" and text[start - 2].isdigit()
    comparator = match["comparator"] or _COMPARATORS.get(previous, "")
    if unit_match:
        unit = unit_of(unit_match[0].lstrip(" -"))
        return Token("number", digits, start, value, unit, comparator, slash), unit_match.end()
    looks_like_a_year = len(digits) == 4 and digits.isdigit() and 1900 <= value < 2100
    if looks_like_a_year and not comparator and (previous in _BEFORE_A_YEAR or text[start - 1 : start] == "("):
        return Token("date", digits, start, more=digits), end
    return Token("number", digits, start, value, "", comparator, slash), end


def _date(match: re.Match[str]) -> str:
    """The partial ISO date of a date in words or digits; US order for slashes."""
    if match["iso"]:
        return match[0]
    if match["us"]:
        month, day, year = match["us"].split("/")
        return f"{year}-{int(month):02}-{int(day):02}"
    parts = re.findall(r"[a-z]+|\d+", match[0])
    if match["md"]:  # `February 3 to February 5, 2026`: the year is told once
        parts.append(match["md_year"])
    year = parts[-1]
    month_number = next(_MONTHS[p] for p in parts if p in _MONTHS)
    days = [p for p in parts[:-1] if p.isdigit()]
    return f"{year}-{month_number:02}" + (f"-{int(days[0]):02}" if days else "")

"""Claims about several facts, recomputed from the cited values: trend, range, order, number of things."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from context_builder.document import Fact
from context_builder.verify.amounts import counted
from context_builder.verify.bind import Clause, Piece, is_own_wording
from context_builder.verify.reasons import Reason
from context_builder.verify.scan import Token
from context_builder.verify.views import View
from context_builder.verify.words import canonical, lexicon, unit_of
from models.record.dates import bounds, is_partial_date

STEADY = 0.1
"""A change of at most a tenth is `stable` (as in the context's own trend lines, context_builder/pivot.py)."""

_DATED = ("labs", "vitals")
_LATEST = frozenset(["latest", "newest", "last"])
_EARLIEST = frozenset(["first", "earliest", "oldest"])
_OPPOSITE = {"up": "down", "down": "up"}


def measurement(fact: Fact) -> tuple[str, str, str]:
    """What makes two results values of one measurement."""
    return fact.section, canonical(fact.display), unit_of(fact.unit) if fact.unit else ""


def trend(clause: Clause, facts: Sequence[Fact]) -> Iterator[Reason]:
    """Rising, falling, stable, better, worse: as the cited dated values of one measurement say."""
    for piece in clause.pieces:
        for token in piece.of("trend"):
            if any(is_own_wording(token, piece, v) for v in piece.subjects):
                continue
            yield from _direction(token, piece, clause, facts)


def _direction(token: Token, piece: Piece, clause: Clause, facts: Sequence[Fact]) -> Iterator[Reason]:
    series: dict[tuple[str, str, str], list[View]] = defaultdict(list)
    for view in piece.subjects or clause.subjects:
        if view.value is not None and is_partial_date(view.fact.date):
            series[measurement(view.fact)].append(view)
    if not series or any(len(points) < 2 for points in series.values()):
        yield Reason("trend_unsupported", token.text)
        return
    for key, points in series.items():
        points.sort(key=lambda v: bounds(v.fact.date)[0])
        wanted = _wanted(token, key[1])
        if not wanted:
            yield Reason("trend_unsupported", token.text)
            continue
        told = [n for n in clause.of("number") if any(a.says(n.value, n.text) for v in points for a in v.amounts)]
        if _followed_by_than(token, piece) and len(told) >= 2:
            found = _compare(told[1].value, told[0].value)
        else:
            first, last = points[0].value, points[-1].value
            assert first is not None and last is not None
            found = _compare(first, last)
            if not clause.of("date") and _newer(points[-1].fact, facts):
                yield Reason("trend_mismatch", f"{token.text}: a newer value is not cited")
                continue
        if len(told) <= 2 and not _ends_agree(token, told, points, clause):
            yield Reason("trend_mismatch", f"{token.text}: another value begins or ends it")
            continue
        exact = found[0] if wanted != "steady" else found[1]
        if exact != wanted:
            yield Reason("trend_mismatch", token.text)


def _ends_agree(token: Token, told: Sequence[Token], points: Sequence[View], clause: Clause) -> bool:
    """`from 7.2 to 8.1`, `up from 7.2`, `rose to 8.1`: the older value after `from`, the newer one after `to`."""
    if token.more == "steady":
        return True
    tokens = [t for p in clause.pieces for t in p.tokens]
    for before, number in pairwise(tokens):
        if number not in told:
            continue
        if before.kind == "trend" and not before.text.endswith(("from", "to")):
            return False  # `rose 8.1`: by, or to?
        end = points[0] if before.text.endswith("from") else points[-1] if before.text.endswith("to") else None
        if end is not None and not any(a.says(number.value, number.text) for a in end.amounts):
            return False
    return True


def _compare(before: float, after: float) -> tuple[str, str]:
    """Direction by sign, and direction with a tenth's tolerance."""
    sign = "steady" if before == after else ("up" if after > before else "down")
    return sign, ("steady" if abs(after - before) <= STEADY * abs(before) else sign)


def _wanted(token: Token, name: str) -> str:
    if token.more not in ("better", "worse"):
        return token.more
    known = lexicon()
    good = "down" if name in known.better_lower else "up" if name in known.better_higher else ""
    return good if token.more == "better" or not good else _OPPOSITE[good]


def _followed_by_than(token: Token, piece: Piece) -> bool:
    at = next(i for i, t in enumerate(piece.tokens) if t is token)
    return any(t.text == "than" for t in piece.tokens[at + 1 : at + 3])


def _newer(fact: Fact, facts: Sequence[Fact]) -> bool:
    key, date = measurement(fact), bounds(fact.date)[1]
    return any(
        is_partial_date(f.date) and f.section == fact.section and bounds(f.date)[0] > date and measurement(f) == key
        for f in facts
    )


def ranges(piece: Piece) -> Iterator[Reason]:
    """High, low, normal: as the source marked the value, or as its own printed range says."""
    for token in piece.of("range"):
        measured = [v for v in piece.subjects if v.section in ("labs", "vitals")]
        if any(
            is_own_wording(token, piece, v) or (v not in measured and token.text in v.words) for v in piece.subjects
        ):
            continue
        numbers = list(piece.of("number"))
        told = [v for v in measured if any(a.says(n.value, n.text) for n in numbers for a in v.amounts)] or measured
        if not told or any(not _in_range(token.more, v.interpretation) for v in told):
            yield Reason("range_mismatch", token.text)


def _in_range(told: str, held: str) -> bool:
    return told == held or (told == "abnormal" and held in ("high", "low"))


def order(clause: Clause, facts: Sequence[Fact], complete: frozenset[str]) -> Iterator[Reason]:
    """Latest, first, before, after: as the dates say. `complete`: sections of which nothing was left out."""
    for piece in clause.pieces:
        for at, token in enumerate(piece.tokens):
            now = token.kind == "mark" and token.more == "current" and any(v.section in _DATED for v in piece.subjects)
            if (token.kind != "word" and not now) or any(is_own_wording(token, piece, v) for v in piece.subjects):
                continue
            most_recent = token.text == "recent" and at > 0 and piece.tokens[at - 1].text == "most"
            if now or token.text in _LATEST or most_recent:
                if not any(_is_extreme(v.fact, facts, newest=True) for v in piece.subjects):
                    yield Reason("order_mismatch", token.text)
            elif token.text in _EARLIEST:
                known = all(v.section in complete for v in piece.subjects)
                if not known or not any(_is_extreme(v.fact, facts, newest=False) for v in piece.subjects):
                    yield Reason("order_mismatch", token.text)
            elif token.text in ("before", "after") and not _sequence(token, at, piece, clause):
                yield Reason("order_mismatch", token.text)


def _is_extreme(fact: Fact, facts: Sequence[Fact], *, newest: bool) -> bool:
    """Whether no other fact of the measurement (or, for events, of the section) is newer, or older."""
    if not is_partial_date(fact.date):
        return False
    of_measurement = fact.section in ("labs", "vitals")
    key, own = measurement(fact), bounds(fact.date)
    for other in facts:
        if other.section != fact.section or not is_partial_date(other.date):
            continue
        if of_measurement and measurement(other) != key:
            continue
        span = bounds(other.date)
        if span[0] > own[1] if newest else span[1] < own[0]:
            return False
    return True


def _sequence(token: Token, at: int, piece: Piece, clause: Clause) -> bool:
    """`X before 2020-01-01` and `X before Y`, by the facts' dates."""
    dates = [t.more for t in piece.tokens[at + 1 :] if t.kind == "date"]
    dated = [v for v in piece.subjects if is_partial_date(v.fact.date)]
    if dates and is_partial_date(dates[0]):
        left, right = [bounds(v.fact.date) for v in dated], [bounds(dates[0])]
    else:
        words = [t.more for t in piece.tokens]
        left = [bounds(v.fact.date) for v in dated if v.name & set(words[:at])]
        right = [bounds(v.fact.date) for v in dated if v.name & set(words[at:])]
    if not left or not right:
        return False
    if token.text == "before":
        return all(a[1] < b[0] for a in left for b in right)
    return all(a[0] > b[1] for a in left for b in right)


def counts(clause: Clause, facts: Sequence[Fact], complete: frozenset[str]) -> Iterator[Reason]:
    """`three visits`: as many as are cited; without a time, as many as there are."""
    for piece in clause.pieces:
        for token in piece.of("number"):
            noun = counted(token, piece)
            if noun:
                yield from _count(token, noun, clause, facts, complete)
        for token in piece.of("word"):
            if token.text == "both" and len(clause.subjects) != 2:
                yield Reason("count_mismatch", "both")
            elif token.text in ("several", "multiple", "many") and len(clause.subjects) < 2:
                yield Reason("count_mismatch", token.text)


def _count(
    token: Token, noun: str, clause: Clause, facts: Sequence[Fact], complete: frozenset[str]
) -> Iterator[Reason]:
    sections = lexicon().kinds[noun]
    cited = [v for v in clause.subjects if v.section in sections]
    if token.value != len(cited):
        yield Reason("count_mismatch", f"{token.text} {noun}: {len(cited)} cited")
        return
    if clause.of("date", "relative"):
        return
    states = {v.fact.status for v in cited}
    held = [f for f in facts if f.section in sections and f.status in states]
    if len(held) != len(cited) or not all(v.section in complete for v in cited):
        yield Reason("count_mismatch", f"{token.text} {noun}: {len(held)} or more on record")

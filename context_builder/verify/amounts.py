"""Numbers, units, comparators, dates and frequencies: each must be a cited fact's own, and belong together there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from context_builder.verify.bind import Clause, Piece
from context_builder.verify.reasons import Reason
from context_builder.verify.scan import Token
from context_builder.verify.views import STATEFUL, Amount, View, token_key
from context_builder.verify.words import lexicon
from models.record.dates import bounds, is_partial_date

_ENDING = frozenset(["until", "till", "ended", "stopped", "resolved", "discontinued", "through", "over", "completed"])
_STARTING = frozenset(["since", "started", "began", "begun", "onset", "starting", "start", "from"])
_LASTING = frozenset(["since", "until", "till", "through", "started", "began", "begun", "ended"])
_BETWEEN = frozenset(["on", "in", "at", "was", "were", "is", "the", "of"])
_RANGE = frozenset(["range", "reference", "limit", "limits"])
RECENT_DAYS = 183
"""What `recently` may mean: half a year before as_of. A rule of ours, on the short side on purpose."""


def amounts(piece: Piece, clause: Clause, as_of: str) -> Iterator[Reason]:
    """The reasons of one piece's numbers, dates and frequencies."""
    subjects = piece.subjects
    numbers = [t for t in piece.of("number", "age") if not _part_of_name(t, piece, subjects)]
    numbers = [t for t in numbers if not counted(t, piece)]
    dates = piece.of("date")
    of_range = [n for n in numbers if _of_range(n, piece)]
    values = [n for n in numbers if n not in of_range]
    for number in numbers:
        yield from _number(number, piece, subjects, number in of_range)
    for date in dates:
        if not any(v.dated(date.more) for v in subjects):
            yield Reason("unsupported_date", date.text)
        else:
            yield from _role(date, piece, subjects)
    if len(subjects) > 1 and values and dates:
        yield from _together(values, dates, subjects)
    for date in dates:
        yield from _spread(date, piece, clause)
    for number in numbers:
        if _next_word(number, piece) in ("time", "times"):
            yield Reason("frequency_mismatch", f"{number.text} times")
    yield from _repeated(dates, clause)
    yield from _backwards(piece)
    for token in piece.of("relative"):
        if not any(_relative(token, v, as_of) for v in subjects):
            yield Reason("unsupported_date", token.text)
    for token in piece.of("frequency"):
        if not any(token.more in v.frequencies for v in subjects):
            held = {f for v in subjects for f in v.frequencies}
            yield Reason("frequency_mismatch" if held else "unsupported_term", token.text)


def _backwards(piece: Piece) -> Iterator[Reason]:
    """`from` a later day `to` an earlier one."""
    for first, begin, second, end in zip(
        piece.tokens, piece.tokens[1:], piece.tokens[2:], piece.tokens[3:], strict=False
    ):
        words = (first.text, second.text) in (
            ("from", "to"),
            ("from", "until"),
            ("between", "and"),
            ("from", "through"),
        )
        if words and begin.kind == end.kind == "date" and begin.more[: len(end.more)] > end.more:
            yield Reason("date_mismatch", f"from {begin.text} to {end.text}")


def _next_word(token: Token, piece: Piece) -> str:
    at = next(i for i, t in enumerate(piece.tokens) if t is token)
    return piece.tokens[at + 1].text if at + 1 < len(piece.tokens) else ""


def _spread(date: Token, piece: Piece, clause: Clause) -> Iterator[Reason]:
    """A date told once for a list (`A and B since 2014`; `On 2014-01-01, A and B`) must be each one's."""
    at = next(i for i, p in enumerate(clause.pieces) if p is piece)
    place = next(i for i, t in enumerate(piece.tokens) if t is date)
    reached: list[Piece] = []
    for before in reversed(clause.pieces[:at]):
        if not piece.named or not before.named or before.of("date", "relative") or before.has_predicate:
            break
        if not {v.section for v in before.subjects} & {v.section for v in piece.subjects}:
            break
        reached.append(before)
    if not piece.named or place < piece.first_name:
        for after in clause.pieces[at + 1 :]:
            if not after.named or after.of("date", "relative"):
                break
            reached.append(after)
    for other in reached:
        numbers = [n for n in other.of("number") if not _part_of_name(n, other, other.subjects)]
        held = any(v.dated(date.more) for v in other.subjects)
        if not held or not all(_both(slot, date, other.subjects) for slot in _slots(numbers)):
            yield Reason("date_mismatch", f"{date.text} for all of a list")
            return


def _repeated(dates: Sequence[Token], clause: Clause) -> Iterator[Reason]:
    """A day told twice in one list needs two facts of that day."""
    told = [t.more for t in clause.of("date")]
    for date in dates:
        times = told.count(date.more)
        if times > 1 and sum(v.dated(date.more) for v in clause.subjects) < times and len(date.more) > 7:
            yield Reason("date_mismatch", f"{date.text}, {times} times")


def _of_range(number: Token, piece: Piece) -> bool:
    """Whether a number is told as an end of the reference range: the words stand before it in its piece."""
    at = next(i for i, t in enumerate(piece.tokens) if t is number)
    return any(w in _RANGE for t in piece.tokens[:at] for w in t.text.split() if t.kind != "date")


def counted(token: Token, piece: Piece) -> str:
    """The counted noun (`visits`) that follows a bare whole number within two words; empty for other numbers."""
    if token.kind != "number" or token.unit or token.more or "." in token.text:
        return ""
    at = next(i for i, t in enumerate(piece.tokens) if t is token)
    for following in piece.tokens[at + 1 : at + 4]:
        if following.kind in ("number", "date", "quote"):
            return ""
        if following.text in lexicon().kinds and following.text.endswith("s") and following.text not in _NOT_COUNTED:
            return following.text
    return ""


_NOT_COUNTED = frozenset(["doses", "is", "his", "takes"])


def supports(view: View, number: Token, piece: Piece, *, in_range: bool = False) -> str:
    """Whether a fact holds a number as told: `yes`, or what is wrong with it: `unit`, `comparator`, `number`."""
    held: Sequence[Amount] = view.reference_amounts if in_range else view.amounts
    if number.kind == "age":
        held = [a for a in held if view.section == "demographics"]
        return "yes" if any(a.value == number.value for a in held) else "number"
    worst = "number"
    words = piece.words
    for amount in held:
        if not amount.says(number.value, number.text):
            continue
        if amount.near and not amount.near & words and words & (view.name - amount.near):
            continue  # the strength of another ingredient
        if number.unit and number.unit != amount.unit:
            worst = "unit" if worst == "number" else worst
        elif number.more != amount.comparator:
            worst = "comparator"
        else:
            return "yes"
    return worst


def _number(number: Token, piece: Piece, subjects: Sequence[View], in_range: bool) -> Iterator[Reason]:
    found = [supports(v, number, piece, in_range=in_range) for v in subjects]
    if "yes" in found:
        return
    told = f"{number.more}{number.text}{f' {number.unit}' if number.unit else ''}"
    bare = number.kind == "number" and not number.unit and not number.more
    if bare and len(number.text) == 4 and any(v.dated(number.text) for v in subjects):
        return  # a year told without a preposition
    if "comparator" in found:
        yield Reason("comparator_mismatch", told)
    elif "unit" in found:
        yield Reason("unit_mismatch", told)
    else:
        yield Reason("unsupported_number", told)


def _part_of_name(token: Token, piece: Piece, subjects: Sequence[View]) -> bool:
    """Whether a number is part of a name (`type 2`, `stage 3`): its neighbour here is its neighbour there."""
    if token.unit or token.more or token.kind != "number":
        return False
    at = next(i for i, t in enumerate(piece.tokens) if t is token)
    key = token_key(token)
    after = token_key(piece.tokens[at + 1]) if at + 1 < len(piece.tokens) else "?"
    before = token_key(piece.tokens[at - 1]) if at else "?"
    named = [v for v in subjects if before in v.name or after in v.name or before in v.words]
    return any(
        ((before, key) in v.bigrams and not before.isdigit()) or ((key, after) in v.bigrams and after in v.name)
        for v in named
    )


def _together(numbers: Sequence[Token], dates: Sequence[Token], subjects: Sequence[View]) -> Iterator[Reason]:
    """Of several facts, a number and the date told with it must be one fact's."""
    slots = _slots(numbers)
    if len(slots) == len(dates):
        pairs = list(zip(slots, dates, strict=True))
    elif len(dates) == 1:
        pairs = [(slot, dates[0]) for slot in slots]
    else:
        pairs = []
        for slot in slots:
            if not any(_both(slot, date, subjects) for date in dates):
                yield Reason("date_mismatch", slot[0].text)
    for slot, date in pairs:
        if not _both(slot, date, subjects):
            yield Reason("date_mismatch", f"{slot[0].text} on {date.text}")


def _slots(numbers: Sequence[Token]) -> list[list[Token]]:
    """Numbers written as one (`142/88`) stay together."""
    slots: list[list[Token]] = []
    for number in numbers:
        if slots and number.slash:
            slots[-1].append(number)
        else:
            slots.append([number])
    return slots


def _both(slot: Sequence[Token], date: Token, subjects: Sequence[View]) -> bool:
    dated = [v for v in subjects if v.dated(date.more)]
    return all(any(a.says(n.value, n.text) for v in dated for a in v.amounts) for n in slot)


def pressure_pairs(piece: Piece) -> Iterator[Reason]:
    """`142/88`: one panel that holds both, or a systolic and a diastolic fact of one moment, in that order."""
    for slot in _slots(piece.of("number")):
        if len(slot) != 2:
            continue
        high, low = slot
        whole = [v for v in piece.subjects if supports(v, high, piece) == "yes" == supports(v, low, piece)]
        upper = [
            v for v in piece.subjects if "systolic" in v.name and any(a.says(high.value, high.text) for a in v.amounts)
        ]
        lower = [
            v for v in piece.subjects if "diastolic" in v.name and any(a.says(low.value, low.text) for a in v.amounts)
        ]
        same = any(a.fact.date == b.fact.date for a in upper for b in lower)
        if not same and not whole:
            yield Reason("unsupported_number", f"{high.text}/{low.text}")


def _role(date: Token, piece: Piece, subjects: Sequence[View]) -> Iterator[Reason]:
    """A start must not be told as an end, nor an end as a start."""
    at = next(i for i, t in enumerate(piece.tokens) if t is date)
    before = [w for t in piece.tokens[max(0, at - 4) : at] for w in t.text.split() if t.kind in ("word", "mark")]
    before = [w for w in before if w not in _BETWEEN]
    word = before[-1] if before else ""
    told = [v for v in subjects if v.section in STATEFUL and v.dated(date.more)]
    if not told:
        if word in _LASTING and not any(v.section == "encounters" or word in v.words for v in subjects):
            yield Reason("date_mismatch", f"{word} {date.text}")  # one day's result or event does not last
        return
    starts = any(d.startswith(date.more) for v in told for d in v.starts)
    ends = any(d.startswith(date.more) for v in told for d in v.ends)
    if (word in _ENDING and starts and not ends) or (word in _STARTING and ends and not starts):
        yield Reason("date_mismatch", f"{word} {date.text}")


def _relative(token: Token, view: View, as_of: str) -> bool:
    """Whether one of the fact's dates lies where `token` says, seen from as_of."""
    now = bounds(as_of)[1]
    spans = [bounds(d) for d in (view.fact.date, view.fact.end_date) if is_partial_date(d)]
    first, last = _window(token, now)
    return any(begin <= last and first <= end for begin, end in spans)


def _window(token: Token, now: datetime) -> tuple[datetime, datetime]:
    """The time a relative date means; a count of months is as exact as half a month."""
    days = {"day": 1.0, "week": 7.0, "month": 30.44, "year": 365.25}.get(token.unit, 0.0)
    if token.more == "ago":
        centre, slack = now - timedelta(days=min(days * token.value, 60_000)), timedelta(days=max(1.0, days / 2))
        return centre - slack, centre + slack
    if token.more == "within":
        return now - timedelta(days=min(days * token.value, 60_000)), now
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if token.more == "today":
        return today, now
    if token.more == "yesterday":
        return today - timedelta(days=1), today
    if token.more in ("recently", "recent"):
        return now - timedelta(days=RECENT_DAYS), now
    which, _, unit = token.more.partition(" ")
    if unit == "week":
        return (now - timedelta(days=7), now) if which == "this" else (now - timedelta(days=14), now)
    begin = today.replace(month=1, day=1) if unit == "year" else today.replace(day=1)
    if which == "this":
        return begin, now
    end = begin - timedelta(seconds=1)
    start = end.replace(day=1, hour=0, minute=0, second=0)
    if unit == "year":
        start = start.replace(month=1)
    return start, end

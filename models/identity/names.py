"""Names: prefixes, suffixes, two family names, nicknames, and the names newborns go by before they have one."""

from __future__ import annotations

import re
from collections.abc import Iterable

from models.identity.words import fold, full_names, word_set, words
from models.record.base import Value

_NEWBORN_WORD = re.compile(r"\d?[a-z]{2,}s?-?(boy|girl|babyboy|babygirl)")
"""`Judysgirl`, `2Judysgirl`: the mother's given name and the sex, as US hospitals name newborns since 2019."""
_ORDER = {"1": "a", "2": "b", "3": "c", "4": "d", "i": "a", "one": "a", "two": "b", "three": "c"}


class Name(Value, frozen=True):
    """A person's name as it is compared: lower-case letters, nothing but the name."""

    given: str = ""
    middle: str = ""
    family: str = ""
    suffix: str = ""
    forms: tuple[str, ...] = ()
    """Names the given name may stand for."""
    givens: tuple[str, ...] = ()
    """Given names that the record itself tells for the person: this one, preferred and earlier ones."""
    families: tuple[str, ...] = ()
    """The family name, its parts, and former ones."""
    newborn: bool = False
    birth_order: str = ""
    """Which of several newborns: a, b, c."""


def standardize(
    given: str = "",
    middle: str = "",
    family: str = "",
    suffix: str = "",
    *,
    whole: str = "",
    former: Iterable[str] = (),
    nicknames: Iterable[str] = (),
) -> Name:
    """The parts as sent (`whole`: where there is only one field) -> a Name. What says nothing is left out.

    `former`: other family names of the same person; `nicknames`: their other given names.
    """
    if whole and not (given or family):
        given, family, suffix = _split(whole, suffix)
    if "," in family and not given:
        given, family, suffix = _split(family, suffix)
    first, from_given = _tokens(given, given=True)
    last, from_family = _tokens(family)
    between, from_middle = _tokens(middle, given=True)
    order = ""
    newborn = _is_newborn(first)
    if not newborn and not first and last and _is_newborn(last[:-1]):  # the whole name in the family field
        newborn, first, last = True, last[:-1], last[-1:]
    if newborn:
        order = next((_ORDER.get(t, t) for t in (*reversed(first), *between) if _is_order(t)), "")
        if not order and first and first[0][0].isdigit():
            order = _ORDER.get(first[0][0], "")
        first, between = [], []
    joined = _joined_family(last)
    if joined == "doe" and first[:1] in (["john"], ["jane"], ["johnny"]):
        first, last, joined = [], [], ""  # how a person without a name is registered
    parts = {p for p in _parts(last) if len(p) > 1} | ({joined} if joined else set())
    for other in former:
        old, _ = _tokens(other)
        parts |= {p for p in _parts(old) if len(p) > 1} | ({_joined_family(old)} if old else set())
    name = _closed(first[0]) if first else ""
    second = " ".join(first[1:] + between)
    forms = set(full_names(name)) if name else set()
    givens = {name} if len(name) > 1 else set()
    if name and second and len(second) > 1:
        forms.add(name + _closed(second.split()[0]))  # Mary Ann, Maryann
    for nickname in nicknames:
        alias, _ = _tokens(nickname, given=True)
        if alias and len(alias[0]) > 1 and not _is_newborn(alias):
            givens.add(_closed(alias[0]))
    return Name(
        given=name,
        middle=_closed(second.split()[0]) if second else "",
        family=joined,
        suffix=_suffix(suffix) or from_family or from_given or from_middle,
        forms=tuple(sorted(f for f in forms | givens if len(f) > 1)),
        givens=tuple(sorted(givens)),
        families=tuple(sorted(parts)),
        newborn=newborn,
        birth_order=order if newborn else "",
    )


def _split(whole: str, suffix: str) -> tuple[str, str, str]:
    """`Last, First Middle` or `First Middle Last` -> given, family, suffix."""
    if "," in whole:
        family, _, rest = whole.partition(",")
        head, _, tail = rest.partition(",")
        if _suffix(head):  # Smith, Jr., John
            return tail, family, suffix or head
        return head, family, suffix or tail
    tokens = whole.split()
    while len(tokens) > 1 and (_suffix(tokens[-1]) or fold(tokens[-1]) in word_set("names", "degrees")):
        suffix = suffix or _suffix(tokens.pop())
    begin = len(tokens) - 1
    while begin > 1 and fold(tokens[begin - 1]) in word_set("names", "particles"):
        begin -= 1
    return " ".join(tokens[:begin]), " ".join(tokens[begin:]), suffix


def _suffix(text: str) -> str:
    found: dict[str, str] = words("names")["suffixes"]
    return found.get(fold(text).replace(" ", ""), "")


def _tokens(text: str, *, given: bool = False) -> tuple[list[str], str]:
    """The words of a name that are part of it, and the suffix among them. A word in brackets is another name: left out.

    `given`: a single letter at the end is an initial, not the fifth of a name.
    """
    plain = re.sub(r"\(.*?\)|\[.*?\]|\".*?\"", " ", text)
    folded = fold(plain)
    if folded.replace("-", " ").strip() in word_set("names", "empty"):
        return [], ""
    tokens = [t.strip("-#/") for t in folded.split()]
    tokens = [t for t in tokens if t]
    if len(tokens) > 1 and tokens[0] in word_set("names", "prefixes"):
        tokens = tokens[1:]
    suffix = ""
    while len(tokens) > 1:
        last = tokens[-1]
        if last in word_set("names", "degrees"):
            tokens.pop()
        elif (
            (found := words("names")["suffixes"].get(last))
            and not (last.isdigit() or (given and len(last) == 1))
            and not _is_newborn(tokens[:-1])
        ):
            suffix = suffix or found
            tokens.pop()
        else:
            break
    return [t for t in tokens if t not in word_set("names", "empty")], suffix


def _is_order(token: str) -> bool:
    return token in _ORDER or token in ("a", "b", "c", "d")


def _is_newborn(tokens: list[str]) -> bool:
    """`Baby Boy`, `BB`, `Newborn A`, `Girl of Jane`, `Judysgirl`."""
    if not tokens:
        return False
    sure = word_set("names", "newborn")
    closed = [t.replace("-", "") for t in tokens]
    if tokens[0] in sure or closed[0] in sure:
        return True
    if "twin" in tokens[:2] and len(tokens) > 1 and all(_is_order(t) for t in tokens if t != "twin"):
        return True
    return _NEWBORN_WORD.fullmatch(closed[0]) is not None or any(
        t in ("babyboy", "babygirl", "newborn") or (t == "baby" and i < 2) for i, t in enumerate(closed)
    )


def _closed(token: str) -> str:
    return token.replace("-", "").replace("/", "").replace("#", "")


def _joined_family(tokens: list[str]) -> str:
    return "".join(_closed(t) for t in tokens)


def _parts(tokens: list[str]) -> list[str]:
    """The names within a family name: of `garcia-lopez` both, of `de la cruz` the last."""
    particles = word_set("names", "particles")
    found: list[str] = []
    for token in tokens:
        found += [p for p in re.split(r"[-/]", token) if p and p not in particles]
    return found

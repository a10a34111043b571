"""Who is who: pairs of people with a decision and its reason, and the groups that matches make.

Matching is pure and depends on the people alone: not on their order, and not on who else is in the file, save in three
ways that make it more careful. A number or contact that many different people give is nobody's (`_common`). Name, birth
date and town are enough only where the files have nothing else for anybody (`_little`). And a
chain is only as good as all of it: where A matches B and B matches C, but A and C contradict each other, they are not
put together; and where it is not plain which of the two B is, none of them is linked (`_unchained`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from itertools import combinations

import msgspec

from models.identity.person import Person
from models.identity.rules import RANK, Decision, Facts, Rules, rules
from models.identity.scoring import Scored, Scorer
from models.record.base import Value

MANY = 4
"""A number, telephone or e-mail address given by so many people of different birth dates tells nobody apart."""
LARGEST_CHAIN = 12
"""Records that matches string together. More of one person in one go is less likely than a defect of the data."""
CHAINED = "chain"
CHAIN_WORDS = "linked through others with a record that contradicts one of them"
DOUBTFUL_WORDS = "nearly as much speaks for another person, whom a record of this one contradicts"
MARGIN = 7.0
"""Bits by which a link has to be stronger than one that had to go: odds of 128 to 1 for this person and not the other."""
TOO_LONG_WORDS = "too many records strung together to be one person's"
Key = tuple[str, str]
_WORDS = {
    "swapped": "exchanged", "part": "a part in common", "spelling": "one slip apart", "lookalike": "alike",
    "middle": "as middle name", "initial": "initial the same", "nickname": "nickname", "newborn": "of a newborn",
    "alias": "another name of the person", "home": "same home", "near": "same home but for a slip in its number",
    "street": "same street", "building": "same building", "zip": "same zip code", "city": "same city",
    "decade": "one digit apart, by decades", "apart": "different", "two": "two digits apart", "digit": "one digit apart", "close": "nearly the same", "partial": "the known part the same",
    "last4": "last four digits the same", "slip": "one digit apart", "other": "another",
}  # fmt: skip
_FIELDS = {
    "given": "given name", "family": "family name", "middle": "middle name", "birth": "birth date",
    "number": "social security number", "record": "record number", "document": "document number",
    "member": "insurance number", "email": "e-mail",
}  # fmt: skip


class Pair(Value, frozen=True):
    """Two records, and what is thought of them. `left` and `right` are keys (source, id), in the order handed in."""

    left: tuple[str, str]
    right: tuple[str, str]
    weight: float
    """log2 of the odds that it is one person."""
    decision: Decision
    codes: tuple[str, ...]
    """The rules that held."""
    reason: str
    """Levels, weights and rules in words. No value of a record is in it."""
    contradicted: bool = False

    @property
    def probability(self) -> float:
        """The weight as a probability, 0 to 1. Of the model alone, before any rule."""
        return 1 / (1 + math.pow(2, -max(min(self.weight, 60.0), -60.0)))


class Matches(Value, frozen=True):
    """All pairs that are worth telling, best first, and the groups (two or more) that `match` makes."""

    pairs: tuple[Pair, ...]
    groups: tuple[tuple[tuple[str, str], ...], ...]

    def of(self, decision: Decision) -> tuple[Pair, ...]:
        """The pairs of one decision."""
        return tuple(p for p in self.pairs if p.decision == decision)


def match(left: Iterable[Person], right: Iterable[Person] | None = None, *, rulebook: Rules | None = None) -> Matches:
    """Find who is who within `left`, or between `left` and `right`. Two records of one key are one: the first counts."""
    book = rulebook or rules()
    one = _once(left)
    two = None if right is None else _once(right)
    common = _common([*one, *(two or ())])
    little = _little([*one, *(two or ())])
    one = [_without(p, common) for p in one]
    two = None if two is None else [_without(p, common) for p in two]
    with Scorer() as scorer:
        scored = scorer.candidates(one, two)
        others = one if two is None else two
        pairs = [judge(s, one[s.left], others[s.right], book, little=little) for s in scored]
        pairs = _unchained(pairs, {p.key: p for p in [*one, *(two or ())]}, scorer, book)
    told = [p for p in pairs if p.decision != "no_match" or p.weight >= book.thresholds.review]
    told.sort(key=lambda p: (-RANK[p.decision], -p.weight, p.left, p.right))
    return Matches(pairs=tuple(told), groups=tuple(_groups(p for p in told if p.decision == "match")))


def candidates_for(person: Person, people: Sequence[Person], scorer: Scorer | None = None) -> list[Pair]:
    """One person against each of `people` (who may be one: Directory.near), all that are worth telling, best first.

    `scorer`: one that is open already.
    """
    book = rules()
    common = _common(people)
    known = [_without(p, common) for p in _once(people)]
    asked = _without(person, common)
    with nullcontext(scorer) if scorer else Scorer() as used:
        pairs = [(0, i) for i in range(len(known))]
        scored = used.pairs([asked], known, pairs, lowest=book.thresholds.review)
    judged = [judge(s, asked, known[s.right], book) for s in scored]
    return sorted(judged, key=lambda p: (-RANK[p.decision], -p.weight, p.right))


def judge(scored: Scored, left: Person, right: Person, book: Rules, *, little: bool = False) -> Pair:
    """The decision about a scored pair, with its reason. `little`: nobody in the files tells more than name, birth and town."""
    facts = Facts(adult=left.adult and right.adult, little=little)
    decision, held = book.decide(scored.weight, scored.levels, facts)
    return Pair(
        left=left.key,
        right=right.key,
        weight=scored.weight,
        decision=decision,
        codes=tuple(r.code for r in held),
        reason=_reason(scored, [r.words for r in held]),
        contradicted=any(r.contradicts for r in held),
    )


def _little(people: Iterable[Person]) -> bool:
    """Whether these files have no more to compare: nobody's street, telephone, number or document is told."""
    return not any(
        p.place.street or p.phones or p.national or p.national4 or p.documents or p.more_places for p in people
    )


def _reason(scored: Scored, held: Sequence[str]) -> str:
    parts = [
        f"{_FIELDS.get(name, name)} {_WORDS.get(level, level)} ({scored.shares[name]:+.1f})"
        for name, level in scored.levels.items()
        if level != "missing"
    ]
    return "; ".join([", ".join(parts), *held])


def _once(people: Iterable[Person]) -> list[Person]:
    """In one order, however they came."""
    return [p for _, p in sorted({p.key: p for p in [*people][::-1]}.items())]


def _common(people: Sequence[Person]) -> frozenset[tuple[str, str]]:
    """Numbers and contacts that too many people of different birth dates and names have given."""
    given: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for person in people:
        born = person.birth.day or person.birth.partial
        if not (born and person.name.given):
            continue
        for kind in ("phones", "emails", "records", "documents", "members"):
            for value in getattr(person, kind):
                given[kind, value].add((born, person.name.given[:1]))
        if person.national:
            given["national", person.national].add((born, person.name.given[:1]))
    return frozenset(
        key
        for key, people_of in given.items()
        if min(len({b for b, _ in people_of}), len({n for _, n in people_of})) >= MANY
    )


def _without(person: Person, common: frozenset[tuple[str, str]]) -> Person:
    if not common:
        return person
    kept = {
        kind: tuple(v for v in getattr(person, kind) if (kind, v) not in common)
        for kind in ("phones", "emails", "records", "documents", "members")
    }
    if ("national", person.national) in common:
        kept |= {"national": "", "national4": ""}  # type: ignore[dict-item]
    return msgspec.structs.replace(person, **kept)


def _groups(pairs: Iterable[Pair]) -> list[tuple[tuple[str, str], ...]]:
    """Records that matches connect."""
    head: dict[tuple[str, str], tuple[str, str]] = {}

    def top(key: tuple[str, str]) -> tuple[str, str]:
        while head.setdefault(key, key) != key:
            head[key] = head[head[key]]
            key = head[key]
        return key

    for pair in pairs:
        one, two = sorted((top(pair.left), top(pair.right)))
        head[two] = one
    groups: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for key in sorted(head):
        groups[top(key)].append(key)
    return [tuple(keys) for _, keys in sorted(groups.items())]


def _unchained(pairs: list[Pair], people: dict[Key, Person], scorer: Scorer, book: Rules) -> list[Pair]:
    """Matches that would put two records together which contradict each other, or string too many, become reviews."""
    groups = [g for g in _groups(p for p in pairs if p.decision == "match") if len(g) > 2]
    demoted: dict[frozenset[Key], str] = {}
    small = [g for g in groups if len(g) <= LARGEST_CHAIN]
    long = {key for group in groups if len(group) > LARGEST_CHAIN for key in group}
    judged = {frozenset((p.left, p.right)): p for p in pairs}
    strung = [people[key] for group in small for key in group]
    for s in scorer.within([[people[key] for key in group] for group in small]):
        pair = judge(s, strung[s.left], strung[s.right], book)
        judged.setdefault(frozenset((pair.left, pair.right)), pair)
    for group in small:
        within = [judged[frozenset(two)] for two in combinations(group, 2)]
        apart = {frozenset((p.left, p.right)) for p in within if p.contradicted or p.decision == "no_match"}
        if apart:
            demoted |= _cut([p for p in within if p.decision == "match"], apart)
    demoted |= {frozenset((p.left, p.right)): TOO_LONG_WORDS for p in pairs if p.left in long}
    return [
        p
        if p.decision != "match" or not (words := demoted.get(frozenset((p.left, p.right))))
        else msgspec.structs.replace(p, decision="review", codes=(*p.codes, CHAINED), reason=f"{p.reason}; {words}")
        for p in pairs
    ]


def _cut(links: list[Pair], apart: set[frozenset[Key]]) -> dict[frozenset[Key], str]:
    """Which links of a group have to go so that nobody is together with who contradicts them, and why.

    The strongest links first, as long as no pair of `apart` comes together (complete linkage). A record that was nearly as
    strongly (MARGIN) linked to one record as to another which contradicts that one belongs to neither: both links go.
    """
    side: dict[Key, set[Key]] = {key: {key} for p in links for key in (p.left, p.right)}
    gone: list[Pair] = []
    for link in sorted(links, key=lambda p: (-p.weight, p.left, p.right)):
        one, other = side[link.left], side[link.right]
        if one is other:
            continue
        if any(frozenset((a, b)) in apart for a in one for b in other):
            gone.append(link)
            continue
        one |= other
        side |= dict.fromkeys(other, one)
    found = {frozenset((p.left, p.right)): CHAIN_WORDS for p in gone}
    pulls: dict[Key, list[tuple[Key, float]]] = defaultdict(list)
    for p in gone:
        pulls[p.left].append((p.right, p.weight))
        pulls[p.right].append((p.left, p.weight))
    for p in links:
        for key, partner in ((p.left, p.right), (p.right, p.left)):
            if any(frozenset((partner, z)) in apart and p.weight < weight + MARGIN for z, weight in pulls[key]):
                found.setdefault(frozenset((p.left, p.right)), DOUBTFUL_WORDS)
    return found

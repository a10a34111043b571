"""Names of hospitals as people write them: without accents, case, legal forms; St. is Saint, Univ is University.

A name fits as well as its rarest words do: each word of the question counts by how few organizations have it (inverse
document frequency, Spärck Jones 1972), and a word may be a beginning or a near spelling of the one on the list.
"""

from __future__ import annotations

import difflib
import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache

from adapters.directory.lists import Endpoint
from models.record import Value

SAME = {
    "st": "saint",
    "ste": "saint",
    "sainte": "saint",
    "saints": "saint",
    "sts": "saint",
    "mt": "mount",
    "ft": "fort",
    "hosp": "hospital",
    "hospitals": "hospital",
    "hsp": "hospital",
    "univ": "university",
    "uni": "university",
    "med": "medical",
    "mem": "memorial",
    "meml": "memorial",
    "ctr": "center",
    "cntr": "center",
    "cen": "center",
    "centre": "center",
    "centers": "center",
    "reg": "regional",
    "regl": "regional",
    "hlth": "health",
    "sys": "system",
    "systems": "system",
    "svc": "service",
    "svcs": "service",
    "services": "service",
    "gen": "general",
    "comm": "community",
    "cmty": "community",
    "cnty": "county",
    "co": "county",
    "childrens": "children",
    "womens": "women",
    "assoc": "associates",
    "assocs": "associates",
    "phys": "physicians",
    "grp": "group",
    "clin": "clinic",
    "clinics": "clinic",
    "inst": "institute",
    "natl": "national",
    "ped": "pediatrics",
    "peds": "pediatrics",
    "ortho": "orthopedics",
    "orthopaedics": "orthopedics",
    "paediatrics": "pediatrics",
    "va": "veterans",
}
EMPTY = frozenset(
    {"the", "of", "and", "at", "for", "in", "a", "inc", "llc", "llp", "pllc", "pc", "pa", "ltd", "corp", "dba"}
)
LEAST = 0.6
"""Share of the question, by weight of its words, that a hit must hold."""
PREFIX, NEAR = 0.9, 0.75
"""What a beginning and a near spelling of a word count, against 1 for the word."""
PLACE = 0.8
"""What a word found in city or state counts: a place tells hospitals of one name apart, but names none."""
NEAR_RATIO = 0.82
SHORTEST_NEAR = 5
"""Shorter words are too alike to guess from."""
_WORD = re.compile(r"[a-z0-9]+")


class Hit(Value, frozen=True):
    """An endpoint that a question fits, 0 < score <= 1, and the lists that have it, newest first (name, date)."""

    score: float
    endpoint: Endpoint
    lists: tuple[tuple[str, str], ...] = ()


@lru_cache(maxsize=200_000)
def words(text: str) -> tuple[str, ...]:
    """The telling words of a name, in one spelling. A name of nothing but empty words keeps them."""
    plain = text.casefold()
    if not plain.isascii():
        plain = "".join(c for c in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(c))
    plain = plain.replace("'", "").replace("\u2019", "").replace("\u2018", "")
    found = [SAME.get(w, w) for w in _WORD.findall(plain)]
    return tuple(dict.fromkeys(w for w in found if w not in EMPTY)) or tuple(dict.fromkeys(found))


class _Index:
    """The words of all endpoints: in names, and in places."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self.size = len(endpoints)
        self.names: dict[str, set[int]] = defaultdict(set)
        self.places: dict[str, set[int]] = defaultdict(set)
        self.texts: list[list[tuple[str, ...]]] = []
        for number, endpoint in enumerate(endpoints):
            texts = [words(endpoint.name), *map(words, endpoint.aliases)]
            self.texts.append(texts)
            for word in {w for text in texts for w in text}:
                self.names[word].add(number)
            if endpoint.city or endpoint.state:
                for word in words(f"{endpoint.city} {endpoint.state}"):
                    self.places[word].add(number)

    def weight(self, word: str) -> float:
        """How telling a word is; one that no name has is as telling as one that a single name has."""
        return 1.0 + math.log((1 + self.size) / (1 + len(self.names.get(word, ()))))

    def like(self, word: str) -> dict[str, float]:
        """Words of the lists that `word` may stand for, with what they count."""
        found = {word: 1.0} if word in self.names else {}
        if len(word) >= 3:
            found |= {w: PREFIX for w in self.names if w != word and w.startswith(word)}
        if not found and len(word) >= SHORTEST_NEAR:
            alike = [w for w in self.names if w[0] == word[0] and abs(len(w) - len(word)) <= 2]
            found |= dict.fromkeys(difflib.get_close_matches(word, alike, n=5, cutoff=NEAR_RATIO), NEAR)
        return found


def find(endpoints: Sequence[Endpoint], question: str, limit: int = 20) -> list[Hit]:
    """The endpoints whose name, alias or place fits the question, best first; none when nothing fits well enough."""
    asked = words(question)
    if not asked:
        return []
    index = _Index(endpoints)
    weights = [index.weight(w) for w in asked]
    total = sum(weights)
    held: dict[int, list[float]] = defaultdict(lambda: [0.0] * len(asked))
    used: dict[int, set[str]] = defaultdict(set)
    for place, word in enumerate(asked):
        for like, worth in sorted(index.like(word).items(), key=lambda item: -item[1]):
            for number in index.names[like]:
                if worth > held[number][place]:
                    held[number][place] = worth
                    used[number].add(like)
        for number in index.places.get(word, ()):
            held[number][place] = max(held[number][place], PLACE)
    hits = []
    for number, parts in held.items():
        share = sum(w * p for w, p in zip(weights, parts, strict=True)) / total
        if share >= LEAST:
            hits.append(Hit(score=round(share * _fullness(index, number, used[number]), 3), endpoint=endpoints[number]))
    hits.sort(key=lambda h: (-h.score, _order(h.endpoint), h.endpoint.name, h.endpoint.fhir_base))
    return hits[:limit]


def _fullness(index: _Index, number: int, used: set[str]) -> float:
    """How much of the name (or of the alias that fits best) the question named: 0.75 for almost nothing, 1 for all."""
    best = 0.0
    for text in index.texts[number]:
        whole = sum(index.weight(w) for w in text)
        best = max(best, sum(index.weight(w) for w in text if w in used) / whole if whole else 0.0)
    return 0.75 + 0.25 * best


def _order(endpoint: Endpoint) -> int:
    """R4 first: it is what a new connection should use."""
    return {"R4": 0, "R4B": 1, "R5": 2, "": 3, "STU3": 4, "DSTU2": 5}.get(endpoint.release, 3)


def merged(
    lists: Iterable[tuple[str, str, Sequence[Endpoint]]],
) -> tuple[list[Endpoint], dict[str, tuple[tuple[str, str], ...]]]:
    """Endpoints of several lists (name, date, endpoints), each once as its newest list has it, and id -> lists."""
    found: dict[str, Endpoint] = {}
    where: dict[str, list[tuple[str, str]]] = defaultdict(list)
    # A date of a list's own beats the day on which one without a date was imported.
    for name, date, endpoints in sorted(lists, key=lambda row: (row[1][:1].isdigit(), row[1]), reverse=True):
        for endpoint in endpoints:
            found.setdefault(endpoint.id, endpoint)
            where[endpoint.id].append((name, date))
    return list(found.values()), {key: tuple(rows) for key, rows in where.items()}

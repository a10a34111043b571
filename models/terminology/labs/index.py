"""From component words to tests: an inverted index of character trigrams over the seed's (or a release's) names.

Cosine similarity of TF-IDF weighted trigrams, in plain Python: 2,500 names need no library, and the normalizer starts without one.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from models.terminology.labs.anchors import LabTerm
from models.terminology.labs.wording import Wording, read

IN_BLOOD = frozenset({"serum/plasma", "serum", "plasma", "blood"})


class Known(NamedTuple):
    """One test under one of its names."""

    term: LabTerm
    said: Wording
    place: int
    """Which of the test's names it is; 0 the component."""


class Index:
    """Names of tests by key and by trigrams. Built once from `terms`; read by many threads."""

    def __init__(self, terms: Iterable[LabTerm]) -> None:
        self.terms = tuple(terms)
        self.by_key: dict[str, list[Known]] = defaultdict(list)
        for term in self.terms:
            told: set[tuple[str, Wording]] = set()
            for place, name in enumerate((term.component, *term.names)):
                said = read(name.replace(" unspecified method", ""))
                if said.key() and (said.key(), said._replace(words=())) not in told:
                    told.add((said.key(), said._replace(words=())))
                    self.by_key[said.key()].append(Known(term, said, place))
        self.keys = tuple(self.by_key)
        self.in_blood = frozenset(k for k, held in self.by_key.items() if any(h.term.system in IN_BLOOD for h in held))
        """Names that a test in blood has: where no specimen is told, that is meant."""
        counts = [Counter(trigrams(key)) for key in self.keys]
        seen = Counter(gram for count in counts for gram in count)
        total = len(counts)
        self._weight = {gram: math.log((1 + total) / (1 + n)) + 1 for gram, n in seen.items()}
        self._postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for place, count in enumerate(counts):
            length = math.sqrt(sum((n * self._weight[g]) ** 2 for g, n in count.items())) or 1.0
            for gram, n in count.items():
                self._postings[gram].append((place, n * self._weight[gram] / length))
        words = Counter(word for key in self.keys for word in set(key.split()))
        self.word_weight = {word: math.log((1 + total) / (1 + n)) for word, n in words.items()}
        self.rare = math.log(1 + total)
        """Weight of a word that no name has."""

    def similar(self, key: str, most: int = 24) -> list[tuple[str, float]]:
        """The names most similar to `key`, with their cosine, best first; equal ones in a fixed order."""
        count = Counter(trigrams(key))
        length = math.sqrt(sum((n * self._weight.get(g, 1.0)) ** 2 for g, n in count.items())) or 1.0
        scores: dict[int, float] = defaultdict(float)
        for gram, n in count.items():
            part = n * self._weight.get(gram, 1.0) / length
            for place, weight in self._postings.get(gram, ()):
                scores[place] += part * weight
        best = sorted(scores.items(), key=lambda pair: (-pair[1], self.keys[pair[0]]))[:most]
        return [(self.keys[place], score) for place, score in best]


def trigrams(key: str) -> list[str]:
    """Trigrams of each word, bounds marked: 'na' gives ' na', 'na '."""
    found: list[str] = []
    for word in key.split():
        padded = f" {word} "
        found += [padded[i : i + 3] for i in range(len(padded) - 2)] if len(padded) > 2 else [padded]
    return found

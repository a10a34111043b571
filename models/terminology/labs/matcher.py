"""Ranks the tests that a local name may mean and says how surely the first is right.

Score of a test = weights x features (features.py). Probability of the first = a logistic function of its score, its lead over the
second and its own features, fitted on generated names with tests outside the seed among them (benchmarks/loinc.py --train); weights
and coefficients ship as seeds/lab-model.json.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

from models.terminology.labs import features
from models.terminology.labs.anchors import LabTerm, seed_terms
from models.terminology.labs.index import Index
from models.terminology.labs.wording import Wording, read
from models.terminology.seeds import seed_path
from models.terminology.units import ucum_code

MOST = 5
"""Candidates returned."""


class Model(NamedTuple):
    """The fitted numbers."""

    weights: tuple[float, ...]
    intercept: float
    coefficients: tuple[float, ...]
    accept: float


class Ranked(NamedTuple):
    """One test, its score, and its features in the order of features.NAMES."""

    term: LabTerm
    score: float
    features: tuple[float, ...]


@cache
def shipped_model() -> Model:
    """The model of the seed."""
    held = json.loads(seed_path("lab-model.json").read_text(encoding="utf-8"))
    return Model(
        weights=tuple(held["weights"][name] for name in features.NAMES),
        intercept=held["intercept"],
        coefficients=tuple(held["coefficients"][name] for name in SURE),
        accept=held["accept"],
    )


@cache
def seed_matcher() -> Matcher:
    """The matcher over the seed's tests; built when first asked (0.1 s)."""
    return Matcher(seed_terms(), shipped_model())


SURE = ("score", "lead", "query", "name", "exact", "unit", "system", "against", "words", "rank", "share")
"""What the probability looks at, in order."""


class Matcher:
    """Names -> tests over any tests: the seed's, or a release's."""

    def __init__(self, terms: Iterable[LabTerm], model: Model) -> None:
        self.index, self.model = Index(terms), model

    def rank(self, text: str, unit: str = "", specimen: str = "", value: float | None = None) -> list[Ranked]:
        """The tests, best first; ties in the order of their codes."""
        asked = read(text[:200])
        key = asked.key()
        words = frozenset(asked.words)
        code = ucum_code(unit) or unit
        system = _specimen(specimen)
        best: dict[str, Ranked] = {}
        near = self.index.similar(key)
        if key in self.index.by_key and all(k != key for k, _ in near):
            near.append((key, 1.0))
        for name, cosine in near:
            for known in self.index.by_key[name]:
                found = features.of(self.index, asked, words, code, system, value, known, cosine)
                score = sum(w * f for w, f in zip(self.model.weights, found, strict=True))
                held = best.get(known.term.code)
                if held is None or score > held.score:
                    best[known.term.code] = Ranked(known.term, score, found)
        return sorted(best.values(), key=lambda r: (-r.score, r.term.rank, r.term.code))

    def sureness(self, ranked: list[Ranked]) -> list[float]:
        """The features of SURE for the first of `ranked`."""
        first = ranked[0]
        second = ranked[1].score if len(ranked) > 1 else first.score - 6
        f = dict(zip(features.NAMES, first.features, strict=True))
        against = sum(
            min(0.0, f[name]) for name in ("system", "unit", "property", "method", "scale", "timing", "range")
        )
        met = [10.0 ** -(r.term.rank / 2) * math.exp(min(0.0, r.score - first.score)) for r in ranked[:8]]
        return [
            first.score,
            min(6.0, first.score - second),
            f["query"],
            f["name"],
            f["exact"],
            f["unit"],
            f["system"],
            against,
            min(f["query"], f["name"], f["trigrams"]),
            f["rank"],
            met[0] / sum(met),
        ]

    def probability(self, ranked: list[Ranked]) -> float:
        """How likely the first of `ranked` is right."""
        if not ranked:
            return 0.0
        total = self.model.intercept + sum(
            c * f for c, f in zip(self.model.coefficients, self.sureness(ranked), strict=True)
        )
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, total))))


def _specimen(text: str) -> str:
    said: Wording = read(f"x {text}") if text.strip() else Wording()
    return said.system

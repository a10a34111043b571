"""Local names of tests -> LOINC: how often the first candidate is right, how honest the probability is, what is accepted.

Prints, for each set, unweighted and weighted by volume: top-1, top-5, expected calibration error, precision and coverage at the
threshold, false accepts among tests outside the seed, names a second. Sets: generated names with a matcher that was given only part
of the seed (unseen names, unseen tests); the hand-written list of tests/; the coded observations of ../shared/data (codes of the
seed, words beside them), skipped where that folder is absent.

`python -m benchmarks.loinc --train` fits the probability anew (scikit-learn) and writes seeds/lab-model.json.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.lab_names import VOLUME, Named, generate, thinned
from models.terminology.labs import features
from models.terminology.labs.anchors import by_code, seed_terms
from models.terminology.labs.matcher import SURE, Matcher, seed_matcher, shipped_model
from models.terminology.seeds import seed_path
from models.terminology.systems import LOINC, canonical_system

ROOT = Path(__file__).parent.parent
HAND = ROOT / "tests/models/terminology/labs/local-names.tsv"
CORPUS = ROOT.parent / "shared" / "data"
TRAIN, CHECK, REPORT = (11, 12, 13, 14), (21, 22), (31, 33)
"""Generator seeds: to fit, to choose the threshold, to report. Never shared."""


class Asked(NamedTuple):
    """A labelled name."""

    text: str
    unit: str
    specimen: str
    value: float | None
    codes: frozenset[str]
    weight: float


class Score(NamedTuple):
    """What one set gives."""

    names: int
    top1: float
    top5: float
    ece: float
    precision: float
    coverage: float
    outside: float


def hand_written() -> list[Asked]:
    """The hand-written list."""
    found = []
    for line in HAND.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            text, unit, specimen, value, codes, volume = line.split("\t")
            right = frozenset() if codes == "-" else frozenset(codes.split("|"))
            found.append(Asked(text, unit, specimen, float(value) if value else None, right, VOLUME[6 - int(volume)]))
    return found


def generated(seeds: Iterable[int], amount: int) -> list[tuple[Matcher, list[Asked]]]:
    """For each generator seed a matcher and names. Odd ones: over a thinned seed, so that many names are unseen; even ones: the whole."""
    made = []
    for seed in seeds:
        terms, gone = thinned(seed) if seed % 2 else (seed_terms(), frozenset[str]())
        names = [_asked(n) for n in generate(seed, amount, gone)]
        made.append((Matcher(terms, shipped_model()), names))
    return made


def _asked(n: Named) -> Asked:
    return Asked(n.text, n.unit, n.specimen, n.value, frozenset({n.code} if n.code else ()), n.weight)


def corpus() -> list[Asked]:
    """Distinct (words, unit, code) of the laboratory results in the FHIR corpora whose code the seed has; weight: how often met."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for path in sorted(CORPUS.glob("fhir-*/**/*.json")):
        if path.stat().st_size > 20_000_000:
            continue
        try:
            _observations(json.loads(path.read_text(encoding="utf-8", errors="replace")), counts)
        except (ValueError, RecursionError):
            continue
    return [Asked(text, unit, "", None, frozenset({code}), n) for (text, unit, code), n in sorted(counts.items())]


def _observations(item: Any, counts: Counter[tuple[str, str, str]]) -> None:
    if isinstance(item, list):
        for one in item:
            _observations(one, counts)
        return
    if not isinstance(item, dict):
        return
    code, held = item.get("code"), item.get("valueQuantity")
    if isinstance(code, dict) and ("valueQuantity" in item or item.get("resourceType") == "Observation"):
        unit = str(held.get("unit") or held.get("code") or "") if isinstance(held, dict) else ""
        codings = [c for c in code.get("coding") or [] if isinstance(c, dict)]
        for coding in codings:
            loinc = coding.get("code")
            if canonical_system(str(coding.get("system", ""))) == LOINC and loinc in by_code():
                told = {str(code.get("text") or "")} | {str(c.get("display") or "") for c in codings}
                for text in told - {""}:
                    counts[(text, unit, str(loinc))] += 1
    for value in item.values():
        if isinstance(value, dict | list):
            _observations(value, counts)


def measure(matcher: Matcher, names: Iterable[Asked], accept: float, *, weighted: bool) -> Score:
    """Accuracy over names of the seed; precision and coverage over all; `outside`: share of the others that is accepted."""
    total = first = five = accepted = right = outside = taken = every = 0.0
    bins: dict[int, list[float]] = {}
    count = 0
    for name in names:
        weight = name.weight if weighted else 1.0
        ranked = matcher.rank(name.text, name.unit, name.specimen, name.value)
        sure = matcher.probability(ranked)
        hit = bool(ranked) and ranked[0].term.code in name.codes
        count += 1
        every += weight
        held = bins.setdefault(min(9, int(sure * 10)), [0.0, 0.0, 0.0])
        held[0] += weight
        held[1] += weight * sure
        held[2] += weight * hit
        if sure >= accept:
            accepted += weight
            right += weight * hit
        if name.codes:
            total += weight
            first += weight * hit
            five += weight * any(r.term.code in name.codes for r in ranked[:5])
        else:
            outside += weight
            taken += weight * (sure >= accept)
    ece = sum(abs(p - h) for _, p, h in bins.values()) / every if every else 0.0
    part = lambda a, b: a / b if b else 0.0  # noqa: E731 - a quotient
    return Score(
        count,
        part(first, total),
        part(five, total),
        ece,
        part(right, accepted),
        part(accepted, every),
        part(taken, outside),
    )


def train(amount: int = 4000) -> dict[str, Any]:
    """Fit the probability on generated names; choose the lowest threshold at which 98% of what is accepted is right."""
    from sklearn.linear_model import LogisticRegression

    rows, hits, weights = [], [], []
    for matcher, names in generated(TRAIN, amount):
        for name in names:
            ranked = matcher.rank(name.text, name.unit, name.specimen, name.value)
            if ranked:
                rows.append(matcher.sureness(ranked))
                hits.append(ranked[0].term.code in name.codes)
                weights.append(name.weight**0.5)
    fitted = LogisticRegression(C=1.0, max_iter=5000).fit(rows, hits, sample_weight=weights)
    model = json.loads(seed_path("lab-model.json").read_text(encoding="utf-8"))
    model["intercept"] = round(float(fitted.intercept_[0]), 4)
    model["coefficients"] = {n: round(float(c), 4) for n, c in zip(SURE, fitted.coef_[0], strict=True)}
    seed_path("lab-model.json").write_text(json.dumps(model, indent=1) + "\n", encoding="utf-8")
    shipped_model.cache_clear()
    told = []
    for matcher, names in generated(CHECK, amount):
        for name in names:
            ranked = matcher.rank(name.text, name.unit, name.specimen, name.value)
            told.append((matcher.probability(ranked), bool(ranked) and ranked[0].term.code in name.codes, name.weight))
    told.sort(reverse=True)
    right, every, accept = 0.0, 0.0, 0.99
    for sure, hit, weight in told:
        right += hit * weight
        every += weight
        if right / every >= 0.98:
            accept = sure
    model["accept"] = max(0.85, round(accept, 3))
    seed_path("lab-model.json").write_text(json.dumps(model, indent=1) + "\n", encoding="utf-8")
    shipped_model.cache_clear()
    seed_matcher.cache_clear()
    return dict(model)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", action="store_true", help="fit the probability anew")
    parser.add_argument("--misses", action="store_true", help="print what is wrong in the hand-written and corpus sets")
    args = parser.parse_args()
    if args.train:
        print(json.dumps(train()))
    accept = shipped_model().accept
    print(f"threshold {accept}; features {', '.join(features.NAMES)}")
    print(f"{'set':34}{'names':>7}{'top-1':>8}{'top-5':>8}{'ECE':>7}{'precision':>11}{'coverage':>10}{'outside':>9}")
    sets: list[tuple[str, Matcher, list[Asked]]] = []
    for number, (matcher, names) in enumerate(generated(REPORT, 3000), 1):
        sets.append((f"generated {number}, 40% of names unseen", matcher, names))
    sets.append(("generated, whole seed", seed_matcher(), [_asked(n) for n in generate(41, 3000)]))
    sets.append(("hand-written", seed_matcher(), hand_written()))
    sets.append(("corpora", seed_matcher(), corpus()))
    for title, matcher, names in sets:
        if not names:
            print(f"{title:34}   absent")
            continue
        for weighted in (False, True):
            s = measure(matcher, names, accept, weighted=weighted)
            label = f"{title}{' (volume)' if weighted else ''}"
            print(
                f"{label[:45]:45}{s.names:6}{s.top1:8.3f}{s.top5:8.3f}{s.ece:7.3f}{s.precision:8.3f}{s.coverage:9.3f}{s.outside:9.3f}"
            )
    names = [n for _, _, some in sets for n in some]
    began = time.perf_counter()
    for name in names[:2000]:
        seed_matcher().rank(name.text, name.unit, name.specimen, name.value)
    print(
        f"{2000 / (time.perf_counter() - began):.0f} names/s on one core, each name once; the normalizer remembers wordings"
    )
    if args.misses:
        for _, matcher, some in sets[-2:]:
            for name in some:
                ranked = matcher.rank(name.text, name.unit, name.specimen, name.value)
                sure = matcher.probability(ranked)
                if ranked and ((ranked[0].term.code not in name.codes) if name.codes else sure >= accept):
                    first = ranked[0].term
                    print(
                        f"{name.text!r} {name.unit!r} {sorted(name.codes)} -> {first.code} {first.title()} {sure:.2f}"
                    )


if __name__ == "__main__":
    main()

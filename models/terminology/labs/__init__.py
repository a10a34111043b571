"""Local names of tests -> LOINC.

`match` is the seam: what a wording with its unit, specimen and value may mean. One candidate when it is sure enough to be used
(ACCEPT, chosen so that at least 95% of what is accepted is right; see benchmarks/loinc.py), else the best few with their
probabilities. `LabTerm` is what an index is built from: our seed, or the rows of an imported release.
"""

from __future__ import annotations

from functools import lru_cache

from models.record import Coding, Quantity
from models.terminology.candidates import Candidate
from models.terminology.labs.anchors import LabTerm, by_code
from models.terminology.labs.features import NAMES as _NAMES
from models.terminology.labs.matcher import MOST, Matcher, Ranked, seed_matcher
from models.terminology.labs.wording import read
from models.terminology.systems import LOINC

__all__ = ["LabTerm", "Matcher", "differ", "match", "match_with"]

MOST_TEXT = 200
"""Characters of a name; longer ones are narrative."""


def match(text: str, unit: str = "", specimen: str = "", value: Quantity | None = None) -> tuple[Candidate, ...]:
    """What a local name may mean, by the seed's tests."""
    return match_with(seed_matcher(), text, unit, specimen, value)


def match_with(
    matcher: Matcher, text: str, unit: str = "", specimen: str = "", value: Quantity | None = None
) -> tuple[Candidate, ...]:
    """The same over any matcher's tests."""
    if not text.strip() or len(text) > MOST_TEXT:
        return ()
    number = value.value if value is not None and not value.comparator else None
    unit = unit or (value.code or value.unit if value is not None else "")
    ranked = matcher.rank(text, unit, specimen, number)
    sure = matcher.probability(ranked)
    if not ranked or sure < LEAST:
        return ()
    if sure >= matcher.model.accept and not _refused(ranked[0]):
        return (_candidate(ranked[0], sure),)
    first = min(sure, matcher.model.accept - 0.01)
    rest = ranked[1:MOST]
    total = sum(2.0 ** (r.score - ranked[0].score) for r in rest) or 1.0
    others = [(r, (1 - first) * 2.0 ** (r.score - ranked[0].score) / total) for r in rest]
    return (_candidate(ranked[0], first), *(_candidate(r, min(first, p)) for r, p in others))


LEAST = 0.1
"""Below this nothing of the seed is meant."""


def _refused(first: Ranked) -> bool:
    """Another specimen, another kind of unit or of property is never accepted, however alike the words are; nor is a code that
    nobody compared with its meaning."""
    if first.term.check == "unverified":
        return True
    said = dict(zip(_NAMES, first.features, strict=True))
    return min(said["system"], said["unit"], said["property"], said["scale"]) <= -0.9 or said["range"] <= -0.9


def _candidate(ranked: Ranked, score: float) -> Candidate:
    said = dict(zip(_NAMES, ranked.features, strict=True))
    agrees = [name for name in ("unit", "system", "property", "method", "timing") if said[name] > 0.5]
    why = "name of the test" if said["exact"] else "words of the name"
    return Candidate(
        target=Coding(system=LOINC, code=ranked.term.code, display=ranked.term.title()),
        score=round(score, 4),
        why=", ".join([why, *agrees]),
    )


@lru_cache(maxsize=4096)
def differ(code: str, text: str) -> bool:
    """Whether `text` is the whole name of other tests of the seed and shares no word with any name of this one.

    Short names (AP, PT, TG) mean too many things to contradict a code.
    """
    term = by_code().get(code)
    said = read(text)
    key = said.key()
    if term is None or len(key) < SHORTEST or key not in seed_matcher().index.by_key:
        return False
    if any(known.term.code == code for known in seed_matcher().index.by_key[key]):
        return False
    words = set(said.words)
    return not any(words & set(read(name).words) for name in (term.component, *term.names))


SHORTEST = 5
"""Letters of a name that can contradict a code."""

"""Text as the verifier compares it: folded, canonical in its common synonyms, cut into words. Linear in its length."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources

INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff9-\ufffb\ue000-\uf8ff\U000e0000-\U000e01ef\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
_TAGS = re.compile(
    r"\s{0,3}\((?:disorder|finding|procedure|situation|substance|product|regime/therapy|morphologic abnormality|"
    r"observable entity|qualifier value|event|person|medicinal product|clinical drug|record artifact|context-dependent category)\)",
    re.IGNORECASE,
)
_DASHES = str.maketrans(dict.fromkeys("‐‑‒–—―−﹣－", "-") | dict.fromkeys("’‘ʼ", "'") | {"≤": "<=", "≥": ">="})
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class Phrases:
    """Phrases found in a text in one pass, the longest first, each with what it stands for."""

    pattern: re.Pattern[str]
    meaning: Mapping[str, str]

    @classmethod
    def of(cls, groups: Mapping[str, Iterable[str]]) -> Phrases:
        """From meaning -> phrases; the first group that has a phrase keeps it."""
        meaning: dict[str, str] = {}
        for name, said in groups.items():
            for phrase in said:
                meaning.setdefault(phrase, name)
        ordered = sorted(meaning, key=lambda p: (-len(p), p))
        body = "|".join(re.escape(p) for p in ordered)
        return cls(re.compile(rf"(?<![\w-])(?:{body})(?![\w-])"), meaning)


@dataclass(frozen=True)
class Lexicon:
    """The data files, read once."""

    plain: frozenset[str]
    drugs: frozenset[str]
    conditions: frozenset[str]
    generic: frozenset[str]
    better_lower: frozenset[str]
    better_higher: frozenset[str]
    units: Mapping[str, str]
    aliases: Phrases
    frequencies: Phrases
    marks: Phrases
    trend: Phrases
    range: Phrases
    kinds: Mapping[str, tuple[str, ...]]
    qualifiers: tuple[Phrases, ...]
    male: frozenset[str]
    female: frozenset[str]
    others: Phrases
    titles: frozenset[str]
    instructions: Phrases


@cache
def lexicon() -> Lexicon:
    """The shipped lexicon."""
    folder = resources.files("context_builder.data")
    plain = folder.joinpath("plain_words.txt").read_text("utf-8")
    terms = tomllib.loads(folder.joinpath("terms.toml").read_text("utf-8"))
    aliases = {wording: (wording, *said) for wording, said in terms["aliases"].items()}
    kinds: dict[str, list[str]] = {}
    for section, said in terms["kinds"].items():
        for word in said:
            kinds.setdefault(word, []).append(section)
    return Lexicon(
        plain=frozenset(stem(w) for line in plain.splitlines() for w in line.partition("#")[0].split()),
        drugs=frozenset(stem(w) for w in terms["drugs"].split()),
        conditions=frozenset(stem(w) for w in terms["conditions"].split()),
        generic=frozenset(stem(w) for w in terms["generic"].split()),
        better_lower=frozenset(terms["better"]["lower"]),
        better_higher=frozenset(terms["better"]["higher"]),
        units={v.lower(): unit for unit, said in terms["units"].items() for v in (unit, *said)},
        aliases=Phrases.of(aliases),
        frequencies=Phrases.of(terms["frequencies"]),
        marks=Phrases.of(terms["marks"]),
        trend=Phrases.of(terms["trend"]),
        range=Phrases.of(terms["range"]),
        kinds={word: tuple(sections) for word, sections in kinds.items()},
        qualifiers=tuple(Phrases.of({said[0]: said}) for said in terms["qualifiers"]),
        male=frozenset(terms["people"]["sex_male"]),
        female=frozenset(terms["people"]["sex_female"]),
        others=Phrases.of({"other": terms["people"]["others"]}),
        titles=frozenset(terms["people"]["titles"]),
        instructions=Phrases.of({"instruction": terms["instructions"]["phrases"]}),
    )


def fold(text: str) -> str:
    """NFKC, no invisible characters, one kind of dash and quote, single spaces; case kept."""
    text = unicodedata.normalize("NFKC", INVISIBLE.sub("", text)).translate(_DASHES)
    return _SPACE.sub(" ", _TAGS.sub("", text)).strip()


@lru_cache(maxsize=4096)
def canonical(text: str) -> str:
    """Folded, lower case, common synonyms replaced by one wording."""
    aliases = lexicon().aliases
    return aliases.pattern.sub(lambda found: aliases.meaning[found[0]], fold(text).lower())


@lru_cache(maxsize=16_384)
def stem(word: str) -> str:
    """A word without the plural's and the genitive's ending; short words as they are."""
    word = word.removesuffix("'s")
    if len(word) > 4:
        for ending, replacement in (("ies", "y"), ("sses", "ss"), ("ss", "ss"), ("us", "us"), ("is", "is"), ("s", "")):
            if word.endswith(ending):
                return word[: len(word) - len(ending)] + replacement
    return word


def unit_of(text: str) -> str:
    """The canonical name of a unit as written; the folded text itself for one that is not in the lexicon."""
    folded = fold(text).lower()
    return lexicon().units.get(folded, folded)

"""Text as the verifier compares it: folded, canonical in its common synonyms, cut into words."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib import resources

INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e01ef\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_TAGS = re.compile(
    r"\s*\((?:disorder|finding|procedure|situation|substance|product|regime/therapy|morphologic abnormality|"
    r"observable entity|qualifier value|event|person|medicinal product|clinical drug)\)",
    re.IGNORECASE,
)
_DASHES = str.maketrans(dict.fromkeys("‐‑‒–—―−﹣－", "-") | dict.fromkeys("’‘ʼ", "'") | {"≤": "<=", "≥": ">="})
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class Lexicon:
    """The data files, read once."""

    plain: frozenset[str]
    drugs: frozenset[str]
    conditions: frozenset[str]
    aliases: tuple[tuple[re.Pattern[str], str], ...]
    units: dict[str, str]
    frequencies: tuple[tuple[str, re.Pattern[str]], ...]
    qualifiers: tuple[re.Pattern[str], ...]
    generic: frozenset[str]
    better_lower: frozenset[str]
    better_higher: frozenset[str]


def _phrases(phrases: list[str]) -> re.Pattern[str]:
    ordered = sorted(phrases, key=len, reverse=True)
    body = "|".join(re.escape(p).replace(r"\ ", r"\s+") for p in ordered)
    return re.compile(rf"(?<![\w-])(?:{body})(?![\w-])")


@cache
def lexicon() -> Lexicon:
    """The shipped lexicon."""
    folder = resources.files("context_builder.data")
    plain = folder.joinpath("plain_words.txt").read_text("utf-8")
    terms = tomllib.loads(folder.joinpath("terms.toml").read_text("utf-8"))
    words = {w for line in plain.splitlines() for w in line.partition("#")[0].split()}
    return Lexicon(
        plain=frozenset(words),
        drugs=frozenset(terms["drugs"].split()),
        conditions=frozenset(terms["conditions"].split()),
        aliases=tuple((_phrases(said), canonical) for canonical, said in terms["aliases"].items()),
        units={v.lower(): canonical for canonical, said in terms["units"].items() for v in (canonical, *said)},
        frequencies=tuple((name, _phrases(said)) for name, said in terms["frequencies"].items()),
        qualifiers=tuple(_phrases(said) for said in terms["qualifiers"]),
        generic=frozenset(terms["generic"].split()),
        better_lower=frozenset(terms["better"]["lower"]),
        better_higher=frozenset(terms["better"]["higher"]),
    )


def fold(text: str) -> str:
    """NFKC, no invisible characters, one kind of dash and quote, single spaces; case kept."""
    text = unicodedata.normalize("NFKC", INVISIBLE.sub("", text)).translate(_DASHES)
    return _SPACE.sub(" ", _TAGS.sub("", text)).strip()


def canonical(text: str) -> str:
    """Folded, lower case, common synonyms replaced by one wording."""
    text = fold(text).lower()
    for pattern, wording in lexicon().aliases:
        text = pattern.sub(wording, text)
    return text


def stem(word: str) -> str:
    """A word without its commonest English endings; short words as they are."""
    word = word.removesuffix("'s")
    if len(word) > 4:
        for ending, replacement in (("ies", "y"), ("sses", "ss"), ("ss", "ss"), ("s", "")):
            if word.endswith(ending):
                return word[: len(word) - len(ending)] + replacement
    return word


def words_of(text: str) -> list[str]:
    """Stems of the words in a canonical text, in order."""
    return [stem(word) for word in WORD.findall(text)]

"""The room's own small tables: names with their frequencies, nicknames, words of addresses, column names."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"
RARE_GIVEN, RARE_FAMILY = 0.4e-5, 1.0e-5
"""Share of people with a name that is in none of the tables: below the rarest name each of them has."""

_LETTERS = str.maketrans(
    {"ß": "ss", "ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "’": "'", "ʼ": "'"}
)


@cache
def words(section: str) -> dict[str, Any]:
    """A section of words.toml."""
    found: dict[str, Any] = tomllib.loads((DATA / "words.toml").read_text("utf-8"))[section]
    return found


@cache
def word_set(section: str, name: str) -> frozenset[str]:
    """A list of words.toml as a set."""
    return frozenset(words(section)[name])


@cache
def headers() -> dict[str, str]:
    """Spelling of a column name -> what the column holds."""
    table = tomllib.loads((DATA / "headers.toml").read_text("utf-8"))
    return {spelling: field for field, spellings in table.items() for spelling in spellings}


def _rows(name: str) -> list[list[str]]:
    lines = (DATA / name).read_text("utf-8").splitlines()
    return [line.split("\t") for line in lines if line and not line.startswith("#")]


@cache
def given_shares() -> dict[str, float]:
    """Given name -> share of people who have it."""
    return {row[0]: float(row[1]) / 1e5 for row in _rows("given_names.tsv")[1:]}


@cache
def family_shares() -> dict[str, float]:
    """Family name -> share of people who have it."""
    return {row[0]: float(row[1]) / 1e5 for row in _rows("surnames.tsv")[1:]}


@cache
def _full_names() -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {}
    for full, forms in _rows("nicknames.tsv"):
        for form in (full, *forms.split()):
            found.setdefault(form, set()).add(full)
    return {form: tuple(sorted(names)) for form, names in found.items()}


@cache
def nicknamed() -> frozenset[str]:
    """Names that others are short for: `julia`, not `jules`."""
    return frozenset(row[0] for row in _rows("nicknames.tsv"))


def full_names(given: str) -> tuple[str, ...]:
    """The names a given name may stand for, itself among them: `alex` -> alex, alexander, alexandra, alexis."""
    return tuple(sorted({given, *_full_names().get(given, ())}))


def root(given: str) -> str:
    """The commonest name that a given name may stand for: what nicknames have in common."""
    return max(full_names(given), key=lambda n: (given_shares().get(n, 0.0), n)) if given else ""


def fold(text: str) -> str:
    """Lower case, without accents, apostrophes closed up, other punctuation as blanks; other scripts stay as they are."""
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    plain = "".join(c for c in decomposed if not unicodedata.combining(c))
    plain = re.sub(r"(?<=\w)['`´.](?=\w)", "", plain)
    return " ".join("".join(c if c.isalnum() or c in "-#/" else " " for c in plain).split())

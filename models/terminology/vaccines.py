"""Vaccines: CVX codes, the groups they protect in, and the words for them (seeds/vaccines.tsv)."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from models.record import Coding
from models.terminology.candidates import Candidate
from models.terminology.seeds import seed_rows
from models.terminology.systems import CVX
from models.terminology.words import bag


class Vaccine(NamedTuple):
    """A CVX code."""

    cvx: str
    groups: tuple[str, ...]
    name: str


@cache
def vaccines() -> dict[str, Vaccine]:
    """CVX (two or three digits) -> vaccine."""
    return {row[0]: Vaccine(row[0], tuple(row[1].split("+")), row[2]) for row in seed_rows("vaccines.tsv")}


def cvx_of(code: str) -> str:
    """A CVX code as CDC writes it: at least two digits ("8" is "08", "008" too)."""
    bare = code.strip().lstrip("0")
    return bare.zfill(2) if bare.isdigit() else code.strip()


def groups_of(code: str) -> tuple[str, ...]:
    """The vaccine groups of a CVX code; () for one the seed does not know."""
    found = vaccines().get(cvx_of(code))
    return found.groups if found else ()


@cache
def _words() -> dict[str, str]:
    found: dict[str, str] = {}
    for cvx, _, _, words, _ in seed_rows("vaccines.tsv"):
        for wording in words.split(";"):
            found.setdefault(_key(wording), cvx)
    return found


_EMPTY = frozenset(
    {"vaccine", "vaccination", "immunization", "virus", "vacc", "dose", "shot", "formulation", "injection"}
)


def _key(text: str) -> str:
    return " ".join(word for word in bag(text).split() if word not in _EMPTY)


def match(text: str) -> tuple[Candidate, ...]:
    """The vaccine that a whole wording names; () otherwise. A wording of a group gives CDC's "unspecified" code of it."""
    cvx = _words().get(_key(text))
    if cvx is None:
        return ()
    return (
        Candidate(
            target=Coding(system=CVX, code=cvx, display=vaccines()[cvx].name), score=0.92, why="name of the vaccine"
        ),
    )


def differ(code: str, text: str) -> bool:
    """Whether `text` names a vaccine of other groups than the code's."""
    named, means = match(text), groups_of(code)
    return bool(named and means) and not set(groups_of(named[0].target.code)) & set(means)

"""Vaccines: CVX codes, the groups they protect in, the words for them (seeds/vaccines.tsv), their packages (seeds/vaccine-ndc.tsv)."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from models.record import Coding
from models.terminology.candidates import Candidate
from models.terminology.ndc import ndc9
from models.terminology.seeds import seed_rows
from models.terminology.systems import CVX
from models.terminology.words import plain

NAMED = 0.93
"""A wording that is the name of one vaccine, or of a group: CDC has an "unspecified" code for each. Measured: 59 of 59, low 0.939."""
OF_GROUP = 0.88
"""Stated (6 of 6 were right). A brand that stands for several vaccines of one group (Havrix for children and adults): the group's unspecified code."""


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
def _products() -> dict[str, str]:
    return {row[0]: row[1] for row in seed_rows("vaccine-ndc.tsv")}


def of_package(code: str) -> Coding | None:
    """The vaccine in a package or product (NDC in any layout that is known), by the seed; None where it does not know it."""
    cvx = _products().get(ndc9(code))
    known = vaccines().get(cvx or "")
    return Coding(system=CVX, code=cvx, display=known.name if known else "") if cvx else None


@cache
def _words() -> dict[str, tuple[str, bool]]:
    """Key of a wording -> CVX, and whether it is a brand of several vaccines of that group."""
    found: dict[str, tuple[str, bool]] = {}
    for cvx, _, _, words, _ in seed_rows("vaccines.tsv"):
        for wording in words.split(";"):
            several = wording.startswith("~")
            found.setdefault(_key(_spaced(wording.removeprefix("~"))), (cvx, several))
    return found


_EMPTY = frozenset(
    [
        "the",
        "of",
        "an",
        "and",
        "or",
        "nos",
        "vaccine",
        "vaccines",
        "vaccination",
        "immunization",
        "immunisation",
        "virus",
        "vacc",
        "vac",
        "vax",
        "dose",
        "doses",
        "shot",
        "shots",
        "formulation",
        "unspecified",
        "injection",
        "inj",
        "im",
        "sq",
        "subq",
        "intramuscular",
        "subcutaneous",
        "suspension",
        "susp",
        "solution",
        "soln",
        "syringe",
        "prefilled",
        "prefill",
        "vial",
        "sdv",
        "mdv",
        "single",
        "multi",
        "administered",
        "given",
        "series",
        "booster",
        "first",
        "second",
        "third",
        "fourth",
        "sanofi",
        "pasteur",
        "gsk",
        "glaxosmithkline",
        "merck",
        "seqirus",
        "wyeth",
        "novartis",
        "medimmune",
        "ml",
        "mcg",
        "kit",
        "us",
        "inc",
        "years",
        "yrs",
        "yr",
        "up",
        "older",
    ]
)
"""Words that do not tell two vaccines of the seed apart once its other words are there: route, package, maker, place in a series.
`_key` is used for both sides, so a name of the seed keeps its meaning without them."""
_NOISE = re.compile(
    r"\b(?:19|20)\d\d\s*[-/]\s*(?:(?:19|20)?\d\d)\b"  # the season of an influenza vaccine
    r"|#\s*\d+|\bdose\s*\d+\b|\b\d(?:st|nd|rd|th)\b"  # its place in a series
    r"|\b\d+(?:\.\d+)?\s*(?:ml|cc)\b|\b\d+(?:\.\d+)?\s*mcg(?:\s*/\s*\d*(?:\.\d+)?\s*ml)?\b"
    r"|\b\d+\s*(?:yrs?|years?)?\s*\+|\b\d+\s*yrs?\s+(?:and|&)\s+(?:up|older)\b",
    re.I,
)
_SPELLED = {
    "quad": "quadrivalent",
    "iiv4": "quadrivalent influenza",
    "tri": "trivalent",
    "hd": "high dose",
    "hepb": "hepatitis b",
    "hepa": "hepatitis a",
    "hep": "hepatitis",
    "ped": "pediatric",
    "peds": "pediatric",
    "child": "pediatric",
    "adolescent": "pediatric",
    "flu": "influenza",
    "covid19": "covid 19",
    "sarscov2": "covid 19",
    "sars": "covid",
    "coronavirus": "covid",
    "pneumo": "pneumococcal",
    "pneumonia": "pneumococcal",
    "mening": "meningococcal",
    "meningitis": "meningococcal",
    "chickenpox": "varicella",
    "shingles": "zoster",
    "pf": "preservative free",
    "biontech": "pfizer",
    "adults": "adult",
    "boosterix": "boostrix",
    "prevnar20": "prevnar 20",
    "prevnar13": "prevnar 13",
    "gardasil9": "gardasil 9",
    "pneumovax23": "pneumovax 23",
}
"""Spellings met on immunization lists."""


def _spaced(text: str) -> str:
    return re.sub(r"(\d)(mcg|ml)\b", r"\1 \2", text, flags=re.I)


def _key(text: str) -> str:
    words = plain(text.replace("-", " ")).split()
    spelled = " ".join(_SPELLED.get(word, word) for word in words).split()
    kept = {word for word in spelled if word not in _EMPTY}
    if "covid" in kept:
        kept -= {"cov", "2", "19"}
    return " ".join(sorted(kept)) + (" (unspecified)" if kept and "unspecified" in words else "")


UNSPECIFIED = frozenset(
    [
        "17",
        "26",
        "45",
        "85",
        "88",
        "89",
        "90",
        "91",
        "107",
        "108",
        "109",
        "112",
        "122",
        "129",
        "137",
        "139",
        "147",
        "151",
        "152",
        "164",
        "167",
        "184",
        "188",
        "213",
        "304",
        "314",
        "315",
        "319",
    ]
)
"""CDC's codes of unspecified formulations."""
_BRACKETED = re.compile(r"([^()]+)\(([^()]+)\)\s*")


def _named(text: str) -> tuple[str, bool] | None:
    """The CVX of a wording; of "Tdap (Adacel)" the one that both parts agree on, the more specific of the two."""
    words = _words()
    keys = (
        _key(_spaced(text)),
        _key(_NOISE.sub(" ", text)),
    )  # a strength tells some vaccines apart, and is noise beside others
    found = next(
        (hit for key in keys if (hit := words.get(key) or words.get(key.removesuffix(" (unspecified)")))), None
    )
    parts = None if found else _BRACKETED.fullmatch(text)
    if parts is None:
        return found
    outer, inner = _named(parts[1]), _named(parts[2])
    if outer is None or inner is None or not set(groups_of(outer[0])) & set(groups_of(inner[0])):
        return None
    specific = [each for each in (inner, outer) if each[0] not in UNSPECIFIED]
    if len({cvx for cvx, _ in specific}) > 1:
        return None
    return specific[0] if specific else inner


def match(text: str) -> tuple[Candidate, ...]:
    """The vaccine that a whole wording names; () otherwise. A wording of a group gives CDC's "unspecified" code of it."""
    found = _named(text) if len(text) <= 200 else None
    if found is None:
        return ()
    cvx, several = found
    return (
        Candidate(
            target=Coding(system=CVX, code=cvx, display=vaccines()[cvx].name),
            score=OF_GROUP if several else NAMED,
            why="brand of several vaccines of this group" if several else "name of the vaccine",
        ),
    )


def differ(code: str, text: str) -> bool:
    """Whether `text` names a vaccine of other groups than the code's."""
    named, means = match(text), groups_of(code)
    return bool(named and means) and not set(groups_of(named[0].target.code)) & set(means)

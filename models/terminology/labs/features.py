"""What speaks for one test: how well the words cover each other, and how the axes agree. Numbers between -1 and 1."""

from __future__ import annotations

from functools import lru_cache

from models.terminology.labs.anchors import LabTerm
from models.terminology.labs.index import IN_BLOOD, Index, Known
from models.terminology.labs.wording import Wording
from models.terminology.units import unit_of

NAMES = ("query", "name", "trigrams", "exact", "system", "unit", "same_unit", "property", "method", "scale", "timing", "range", "rank", "place")  # fmt: skip
"""Features in order."""

_TURNING = frozenset(
    [
        "free",
        "total",
        "direct",
        "indirect",
        "ionized",
        "igg",
        "igm",
        "iga",
        "ige",
        "ab",
        "ag",
        "dna",
        "rna",
        "rrna",
        "ratio",
        "beta",
        "alpha",
        "gamma",
        "core",
        "surface",
        "sulfate",
        "reverse",
        "uptake",
        "unsaturated",
        "saturation",
        "binding",
        "clearance",
        "hydroxy",
        "dihydroxy",
        "non",
        "corrected",
        "index",
        "culture",
        "crystal",
        "cast",
        "stain",
        "gene",
        "mutation",
        "receptor",
        "inhibitor",
        "metabolite",
        "kappa",
        "lambda",
        "fetal",
        "acid",
        "resin",
        "subclass",
        "excess",
        "deficit",
        "partial",
        "immature",
        "segmented",
        "band",
        "conjugated",
        "unconjugated",
        "black",
        "nonblack",
        "monoclonal",
        "average",
        "hdl",
        "ldl",
        "vldl",
        "mb",
        "nuclear",
        "urea",
        "reticulocyte",
    ]
)
"""Words that turn one test into another: missing on one side they weigh double."""
_LIGHT = frozenset({"total", "level", "ab", "virus", "hemoglobin", "ige", "i", "t4", "s", "igg"})
_ALIKE = (
    frozenset({"serum/plasma", "serum", "plasma"}),
    frozenset({"urine", "urine sediment"}),
    frozenset({"respiratory", "specimen", "throat", "sputum"}),
    frozenset({"vaginal", "cervix", "specimen"}),
)
_BLOODS = frozenset({"blood", "arterial blood", "venous blood", "capillary blood"})


def covers(index: Index, asked: frozenset[str], name: frozenset[str]) -> tuple[float, float]:
    """(share of the asked words that the name has, share of the name's words that were asked), weighted by rarity."""
    return _share(index, asked, name), _share(index, name, asked)


def _share(index: Index, words: frozenset[str], others: frozenset[str]) -> float:
    total = held = 0.0
    joined = "".join(sorted(others))
    for word in words:
        weight = index.word_weight.get(word, index.rare)
        credit = 1.0 if word in others else max((alike(word, o) for o in others), default=0.0)
        if not credit and len(word) > 4 and word in joined:
            credit = 0.7
        if not credit and (word in _TURNING or any(c.isdigit() for c in word)) and word not in _LIGHT:
            weight *= 2
        elif not credit and word in _LIGHT:
            weight *= 0.3
        total += weight
        held += weight * credit
    return held / total if total else 0.0


@lru_cache(maxsize=65536)
def alike(a: str, b: str) -> float:
    """How surely two different words are one: an abbreviation of three letters or more, or a slip of the pen."""
    if a == b:
        return 1.0
    short, long = (a, b) if len(a) <= len(b) else (b, a)
    if short.isdigit() or long.isdigit() or _ROMAN.issuperset(short) or _ROMAN.issuperset(long):
        return 0.0
    if len(short) >= 3 and long.startswith(short):
        return 0.9 if len(short) >= 4 else 0.75
    if len(short) >= 4 and len(long) - len(short) <= 1 and short[0] == long[0] and _one_edit(short, long):
        return 0.85
    if len(short) >= 8 and len(long) - len(short) <= 2 and _distance(short, long) <= 2:
        return 0.8
    if 3 <= len(short) <= 6 and len(long) >= 7 and short[0] == long[0] and _contraction(short, long):
        return 0.6
    return 0.0


_ROMAN = frozenset("ivx")


def _one_edit(short: str, long: str) -> bool:
    for i, (x, y) in enumerate(zip(short, long, strict=False)):
        if x != y:
            if len(short) != len(long):
                return short[i:] == long[i + 1 :]
            swapped = short[i : i + 2] == long[i + 1 : i + 2] + long[i : i + 1] and short[i + 2 :] == long[i + 2 :]
            return short[i + 1 :] == long[i + 1 :] or swapped
    return True


def _distance(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


def _contraction(short: str, long: str) -> bool:
    """'amphtm' for amphetamine: its letters in order, consonants mostly."""
    rest = iter(long)
    return all(letter in rest for letter in short) and sum(c in "aeiou" for c in short) <= len(short) // 2


def system_fit(told: str, known: Known, in_blood: bool) -> float:
    """The specimen told against the test's: 1 the same, less within a family, -1 another. Not told: blood is meant, if it can be."""
    term = known.term
    if term.system in ("patient", "inhaled gas"):
        return 0.0
    if not told:
        own = known.said.system or (term.system if known.place == 0 else "")
        return -0.5 if in_blood and own and own not in IN_BLOOD else 0.0
    if told == term.system:
        return 1.0
    if any(told in family and term.system in family for family in _ALIKE):
        return 0.8
    if told in _BLOODS and term.system in _BLOODS:
        return 0.3 if told == "blood" else -0.3
    if told == "blood" and term.system in ("serum/plasma", "serum", "plasma"):
        return -0.15
    if told in ("serum/plasma", "plasma", "serum") and term.system in ("blood", "red cells"):
        return -0.4
    if term.system in ("urine+serum",) and told == "urine":
        return 0.6
    if term.system == "specimen" and told not in ("blood", "serum/plasma"):
        return 0.0
    return -1.0


def unit_fit(code: str, term: LabTerm) -> tuple[float, float]:
    """(kind of the unit against the test's, 1 for the very unit). No unit says little; a unit beside a finding speaks against it."""
    if not code:
        return (0.0 if term.scale == "qn" and term.unit not in _UNITLESS else 0.3), 0.0
    if not term.unit:
        return -0.6, 0.0
    if code == term.unit:
        return 1.0, 1.0
    told, own = unit_of(code), unit_of(term.unit)
    if told is None or own is None:
        return (0.0 if told is None else -0.3), 0.0
    if told.kind == own.kind:
        near = 0.3 <= told.factor / own.factor <= 3.4 and own.kind != "1"
        return 1.0, 0.8 if near else 0.0
    if told.kind.replace("eq", "mol") == own.kind.replace("eq", "mol"):  # mEq/L of a monovalent ion is mmol/L
        return 1.0, 0.8
    plain = {told.kind.split("{")[0].replace("eq", "mol"), own.kind.split("{")[0].replace("eq", "mol")}
    if len(plain) == 1 or plain == {"1", "g/g"}:
        return 0.8, 0.0
    if _loose(told.kind) == _loose(own.kind):
        return 0.8, 0.0
    if own.kind in _LOOSE_KINDS and told.kind in ("1", *_LOOSE_KINDS):
        return 0.3, 0.0
    return -1.0, 0.0


_UNITLESS = frozenset(
    {"{INR}", "{ratio}", "[pH]", "{specific_gravity}", "{index}", "{score}", "{titer}", "{s_co_ratio}"}
)
_LOOSE_KINDS = frozenset(
    {"{INR}", "{index}", "{score}", "[pH]", "{specific_gravity}", "/100{WBCs}", "{s_co_ratio}", "1", "L/s"}
)


def _loose(kind: str) -> str:
    """Arbitrary units are printed U, IU, AU alike; a clearance per surface is printed without it."""
    for own in ("[IU]", "[arb'U]", "[GPL'U]", "[MPL'U]", "[APL'U]"):
        kind = kind.replace(own, "U")
    return kind.replace("/1.73m2", "").replace("{creat}", "")


_FRACTIONS = frozenset(
    {"number_fraction", "mass_fraction", "volume_fraction", "enzyme_fraction", "saturation", "relative_activity"}
)


def property_fit(told: str, term: LabTerm) -> float:
    """The property told in the name against the test's."""
    if not told:
        return 0.0
    if told == "fraction":
        return 1.0 if term.property in _FRACTIONS or term.unit == "%" else -1.0
    if told == term.property:
        return 1.0
    if {told, term.property} <= {"ratio", "mass_ratio", "substance_ratio", "mass_fraction"}:
        return 0.3
    return -1.0


_DEFAULTS = frozenset(
    {"automated", "naa", "immunoassay", "calculated", "culture", "microscopy", "test strip", "antigen"}
)


def method_fit(asked: Wording, term: LabTerm) -> float:
    """Methods told against the test's own: agreement 1; one says what the other does not, -0.5."""
    told = asked.method
    own = frozenset(part.strip() for part in term.method.split(",")) if term.method else frozenset()
    if asked.formal and not told:
        return 0.3 if not own else -0.6
    heard = told - {"estimated"} if "estimated" not in own else told
    said = " ".join(own)
    agreed = {m for m in heard if m in own or m in said or (m == "rapid" and "antigen" in own)}
    missing = heard - agreed - _SILENT
    unasked = [m for m in own if m not in _DEFAULTS and not any(a in m for a in agreed)]
    return max(-1.0, min(1.0, 0.8 * bool(agreed) - 0.5 * bool(missing) - 0.4 * bool(unasked)))


_SILENT = frozenset({"immunoassay", "automated", "screen", "rapid", "third generation", "glucometer"})
"""Methods that a name may tell without meaning another test."""


def scale_fit(asked: Wording, code: str, number: bool, term: LabTerm) -> float:
    """Quantitative, ordinal, titer: what the name or the value says against the test's scale."""
    if asked.scale:
        return 1.0 if asked.scale == term.scale else -1.0
    if number and term.scale in ("nom", "ord"):
        return -0.5
    return 0.0


def timing_fit(asked: Wording, term: LabTerm) -> float:
    """Collection over 24 hours and challenges: both silent 0, agreement 1, one-sided -1."""
    fit = 0.0
    day = term.time == "24 h"
    if (asked.time == "24 h") != day:
        fit -= 0.8
    elif day:
        fit += 0.6
    if asked.challenge or term.challenge:
        told, own = set(asked.challenge.split()), set(term.challenge.split())
        if not told or not own:
            fit -= 0.7 if own else 0.35
        else:
            fit += 0.8 if told & own - {"h", "after", "dose"} or told <= own else -0.8
    return max(-1.0, min(1.0, fit))


def range_fit(value: float | None, code: str, term: LabTerm) -> float:
    """Whether the value could be this test's, in its canonical unit."""
    if value is None or term.low is None or term.high is None:
        return 0.0
    told, own = unit_of(code), unit_of(term.unit)
    if told is not None and own is not None and told.kind == own.kind:
        value = (value * told.factor + told.offset - own.offset) / own.factor
    elif code and code != term.unit:
        return 0.0
    return 0.3 if term.low <= value <= term.high else -1.0


def of(
    index: Index, asked: Wording, words: frozenset[str], code: str, system: str, value: float | None, known: Known, cosine: float
) -> tuple[float, ...]:  # fmt: skip
    """The features of one candidate, in the order of NAMES."""
    term = known.term
    own = frozenset(known.said.words)
    query, name = (1.0, 1.0) if own == words else covers(index, words, own)
    fit, same = unit_fit(code, term)
    return (
        query,
        name,
        cosine,
        1.0 if own == words else 0.0,
        system_fit(asked.system or system, known, known.said.key() in index.in_blood),
        fit,
        same,
        property_fit(asked.prop, term),
        method_fit(asked, term),
        scale_fit(asked, code, value is not None, term),
        timing_fit(asked, term),
        range_fit(value, code, term),
        (5 - min(term.rank, 5)) / 4,
        min(known.place, 8) / 8,
    )

"""What a problem means in ICD-10-CM, whatever it was coded in, and which problems of a list are one.

Two problems are one where their codes mean the same code, where both name a disease of which a person has one (type 2 diabetes
in its stages and complications), or where one names that disease less precisely ("diabetes"). A problem repeated in one coding at one
site is no remark: those are visits and episodes. Both stay; the more specific one is named.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import chain

import msgspec

from models.record import Coding, Flag, Problem
from models.record.dates import bounds
from models.terminology.conditions import by_wording, dotted, from_icd9, from_snomed
from models.terminology.systems import ICD9CM, ICD10, ICD10CM, SNOMED, system_name

_SURE = 0.9
_EPISODE = timedelta(days=30)
"""Begins of one episode of a disease, told by two sources, lie no further apart."""
_MOST_RELATED = 50
ONE_DISEASE = frozenset(
    [
        "diabetes_type_1",
        "diabetes_type_2",
        "hypertension_essential",
        "hypertension_with_heart_or_kidney_disease",
        "heart_failure",
        "coronary_artery_disease",
        "atrial_fibrillation",
        "copd",
        "asthma",
        "chronic_kidney_disease",
        "sleep_apnea",
        "depression",
        "bipolar",
        "schizophrenia",
        "dementia",
        "parkinsons",
        "multiple_sclerosis",
        "epilepsy",
        "obesity",
        "hypothyroidism",
        "osteoporosis",
        "rheumatoid_arthritis",
        "lupus",
        "gout",
        "cirrhosis",
        "hepatitis_b",
        "hepatitis_c",
        "hiv",
        "gerd",
        "celiac",
        "prediabetes",
    ]
)
"""Our categories of diseases that a person has once, whatever their stage: codes within one are one problem. Not among them: what comes
by place or side (cancers, arthritis of joints, neuropathies), and groups of several diseases (hyperlipidemia, anemia, anxiety)."""
_GENERAL = {"diabetes": ("diabetes_type_1", "diabetes_type_2")}
"""Category -> the diseases in it, one of which a code that names only the category means."""


class Listed(msgspec.Struct, frozen=True):
    """A problem with what its codes and words mean. `codes`: ICD-10-CM codes, dotted; `exact`: those that say no less than the source."""

    entry: Problem
    words: str
    codes: tuple[str, ...]
    exact: tuple[str, ...]
    ids: frozenset[str]
    """Our categories it is in."""


def listed(entry: Problem) -> Listed:
    """`entry` with its meaning."""
    codes: dict[str, bool] = {}
    concept = entry.concept
    codings = chain([concept.target] if concept.target else (), concept.codings)
    for coding in dict.fromkeys((c.system, c.code, c.display) for c in codings):
        for code, sure in _in_icd10cm(*coding):
            codes[code] = codes.get(code, False) or sure
    if not codes and concept.text:
        codes = dict(_in_icd10cm("", "", concept.text))
    wordings = dict.fromkeys(w for w in (concept.text, *(c.display for c in concept.codings)) if w)
    return Listed(
        entry,
        " | ".join(wordings).casefold(),
        tuple(codes),
        tuple(code for code, sure in codes.items() if sure),
        frozenset(g.code for g in entry.categories if g.system == "chartbrief"),
    )


def _in_icd10cm(system: str, code: str, display: str) -> Iterator[tuple[str, bool]]:
    """What a coding means in ICD-10-CM, and whether that says as much."""
    if system in (ICD10CM, ICD10) and code:
        yield _without_seventh(dotted(code)), True
        return
    said = from_icd9(code) if system == ICD9CM else from_snomed(code) if system == SNOMED else None
    if said is not None:
        if said.kind in ("equal", "wider"):
            yield said.codes[0], said.kind == "equal"
        return
    if display:
        names = by_wording(display)
        if len(names) == 1 and names[0].score >= _SURE:
            yield names[0].code, True


def _without_seventh(code: str) -> str:
    """Of an injury, the code without the character that tells the phase of its care."""
    return code[:7].rstrip("X").rstrip(".") if len(code) == 8 and code[0] in "ST" else code


def exact_key(entry: Problem) -> str:
    """The one code that the problem means, in whatever system it was coded; '' where that is not sure."""
    found = dict.fromkeys(listed(entry).exact)
    return f"{ICD10CM}|{next(iter(found))}" if len(found) == 1 else ""


def same(problems: Sequence[Listed]) -> Iterator[tuple[str, Flag]]:
    """A remark on each of several current problems that are one, told by several sites or in several code systems."""
    current = [p for p in problems if p.entry.activity != "historical"]
    told: set[tuple[str, tuple[str, ...]]] = set()
    for members in _groups(current):
        for one in members:
            others = [o for o in members if o is not one and _apart(one.entry, o.entry)]
            related = tuple(sorted({o.entry.id for o in others})[:_MOST_RELATED])
            if not others or (one.entry.id, related) in told:
                continue
            told.add((one.entry.id, related))
            yield (
                one.entry.id,
                Flag(
                    code="same_problem",
                    detail=_detail(one, others),
                    related=related,
                    rule="same_problem",
                    confidence=0.9,
                ),
            )


def _groups(problems: Sequence[Listed]) -> Iterable[list[Listed]]:
    diseases: dict[str, list[Listed]] = defaultdict(list)
    general: dict[str, list[Listed]] = defaultdict(list)
    codes: dict[str, list[Listed]] = defaultdict(list)
    for problem in problems:
        one = problem.ids & ONE_DISEASE
        vague = [
            g for g in _GENERAL if g in problem.ids and not problem.ids & set(_GENERAL[g]) and len(problem.ids) == 1
        ]
        if len(one) == 1:
            diseases[next(iter(one))].append(problem)
        elif vague:
            general[vague[0]].append(problem)
        else:
            for key in _keys(problem):
                codes[key].append(problem)
    for name, members in general.items():
        named = [d for d in _GENERAL[name] if d in diseases]
        if len(named) == 1:
            diseases[named[0]] += members
        elif not named:
            diseases[name] += members
    return [*diseases.values(), *(episode for members in codes.values() for episode in _episodes(members))]


def _keys(problem: Listed) -> Iterator[str]:
    """What makes problems equal that no disease group holds: the code they mean, else the code as sent."""
    if problem.exact:
        yield from problem.exact
    elif not problem.codes:
        yield from {f"{c.system}|{c.code}" for c in problem.entry.concept.codings if c.code and c.system}


def _episodes(members: list[Listed]) -> Iterator[list[Listed]]:
    """Those that began together; those without a begin go with any."""
    dated = sorted((p for p in members if p.entry.date), key=lambda p: (bounds(p.entry.date or "")[0], p.entry.id))
    undated = [p for p in members if not p.entry.date]
    run: list[Listed] = []
    for problem in dated:
        if run and bounds(problem.entry.date or "")[0] - bounds(run[-1].entry.date or "")[1] > _EPISODE:
            yield [*run, *undated]
            run = []
        run.append(problem)
    yield [*run, *undated]


def _systems(entry: Problem) -> frozenset[str]:
    return frozenset(c.system for c in entry.concept.codings if c.code)


def _apart(left: Problem, right: Problem) -> bool:
    """Told by another site, or in other code systems."""
    return left.site != right.site or not _systems(left) & _systems(right)


def _precision(problem: Listed) -> int:
    """How much a problem says: the length of its ICD-10-CM code, a last 9 or 0 (unspecified) not counted."""
    return max((len(c.replace(".", "").rstrip("90")) for c in problem.codes), default=0)


def _label(problem: Listed) -> str:
    entry = problem.entry
    coding: Coding | None = entry.concept.target or next((c for c in entry.concept.codings if c.code), None)
    return f"{system_name(coding.system)} {coding.code} at {entry.site}" if coding else f"words at {entry.site}"


def _detail(one: Listed, others: list[Listed]) -> str:
    labels = sorted({_label(o) for o in others})
    told = ", ".join(labels[:3]) + (f" and {len(labels) - 3} more" if len(labels) > 3 else "")
    ranked = sorted([one, *others], key=_precision, reverse=True)
    if _precision(ranked[0]) == _precision(ranked[1]):
        return f"the same problem as {told}"
    best = "this one" if ranked[0] is one else _label(ranked[0])
    return f"the same problem as {told}; the more specific: {best}"

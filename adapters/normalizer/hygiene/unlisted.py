"""Conditions that current drugs speak of, and that no problem of the record names (unlisted.toml). Results: results.py.

Precision goes before completeness: a problem that may be meant silences a rule, whatever its state; a drug whose order gives another reason is no
evidence; and at a site whose problem list was not read in full, nothing is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from adapters.normalizer.hygiene.meaning import Listed
from adapters.normalizer.hygiene.pills import Pill, Way
from adapters.normalizer.hygiene.rules import DrugRule, pattern, unlisted_rules
from adapters.normalizer.hygiene.rules import Listed as Named
from models.record import AnyEntry, Coverage, Flag, Problem
from models.record.dates import bounds
from models.terminology.conditions import icd10cm_name

_ANSWERED = ("present", "none_asserted", "empty")
_WAYS: tuple[Way, ...] = ("oral", "injected", "inhaled", "nebulized", "patch")
_MOST_RELATED = 50


def answered(entries: Iterable[AnyEntry], coverage: Iterable[Coverage]) -> frozenset[str]:
    """Sites whose problem list is known: it was read in full. A site without a line in the coverage counts by its problems."""
    lines = [c for c in coverage if c.section == "problems"]
    known = {c.site for c in lines if c.state in _ANSWERED and not c.missing and not c.quarantined}
    spoken_of = {c.site for c in lines}
    return frozenset(known | {e.site for e in entries if isinstance(e, Problem) and e.site not in spoken_of})


def by_drugs(problems: Sequence[Listed], pills: Sequence[Pill], as_of: str) -> Iterator[tuple[str, Flag]]:
    """A remark on each current order whose only reason is a condition that no problem names."""
    now = bounds(as_of)[0]
    for id, rule in unlisted_rules().drug.items():
        evidence = [p for p in pills if _speaks(rule, p) and not _short(p, rule.taken_days, now)]
        if not evidence or is_listed(rule, problems):
            continue
        ids = sorted({p.entry.id for p in evidence})[: _MOST_RELATED + 1]
        for pill in evidence:
            names = ", ".join(i.name for i in pill.ingredients if _means(rule, pill, i.name))
            yield (
                pill.entry.id,
                Flag(
                    code="unlisted_problem",
                    detail=f"{names} is ordered, and no problem names {rule.name}",
                    related=tuple(i for i in ids if i != pill.entry.id),
                    rule=f"unlisted.drug.{id}",
                    confidence=rule.confidence,
                ),
            )


def _means(rule: DrugRule, pill: Pill, name: str) -> bool:
    return any(
        i.name == name and (i.drug_class in rule.drug_classes or i.name in rule.ingredients) for i in pill.ingredients
    )


def _speaks(rule: DrugRule, pill: Pill) -> bool:
    """Whether one of its ingredients does, and the order names no other reason."""
    if pill.route not in _WAYS or not any(_means(rule, pill, i.name) for i in pill.ingredients):
        return False
    reasons = [c.display for c in pill.entry.reason if c.display]
    words = pattern(rule.listed_words)
    return not reasons or any(words.search(r) for r in reasons if words)


def _short(pill: Pill, days: int, now: datetime) -> bool:
    """Whether the order may be younger than `days`; one without a date may be."""
    begin = pill.entry.start or pill.entry.authored
    return days > 0 and (not begin or bounds(begin)[1] > now - timedelta(days=days))


def is_listed(rule: Named, problems: Sequence[Listed]) -> bool:
    """Whether a problem is, or may be, the condition. What runs in the family or was screened for is no problem of the patient."""
    words, ids = pattern(rule.listed_words), set(rule.listed_as)
    own = (p for p in problems if not _not_theirs(p))
    return any(p.ids & ids or (words is not None and _says(words, p)) for p in own)


def _says(words: re.Pattern[str], problem: Listed) -> bool:
    """Whether its own words do, or the names of its codes."""
    return any(words.search(name) for name in (problem.words, *(icd10cm_name(c) for c in problem.codes)))


_NOT_THEIRS = re.compile(r"\b(family (medical )?history|fhx?|fam(ily)? hx|screening|at risk)\b")
_NOT_THEIRS_CODES = ("Z80", "Z81", "Z82", "Z83", "Z84", "Z13")
"""ICD-10-CM: family history (Z80-Z84), encounter for screening (Z13)."""


def _not_theirs(problem: Listed) -> bool:
    return any(c.startswith(_NOT_THEIRS_CODES) for c in problem.codes) or bool(_NOT_THEIRS.search(problem.words))

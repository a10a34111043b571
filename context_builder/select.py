"""Which facts must be shown, and in which order the others may follow."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from context_builder.facts import PREFIX_BLOCKS, Calendar, Candidate, Sorted, activity_at, free_text
from context_builder.policies_schema import Analyte, Analytes, Policy
from models.record.chart import Conflict
from models.record.entries import AnyEntry, CarePlan, Encounter, Medication, Note, Observation, Procedure, Report

LOINC = "http://loinc.org"
CRITICAL = ("HH", "LL", "AA", "HU", "LU")
# Conflicts that change what is done today; differing values compete by score once there are more than a few.
GRAVE = ("active_vs_stopped", "allergy_vs_none", "different_dose", "demographics")
MAX_VALUE_CONFLICTS = 5
MEASURED = ("vitals", "labs", "social_history", "assessments")
LASTING = ("past_problems", "procedures", "immunizations")

_WORD = re.compile(r"[a-z0-9]+")
_STOP_WORDS = """the and for with was were has have had his her their what when which who how why does did are any this
    that from patient ever been last latest most recent there about show tell list give please can you into"""
_STOP = frozenset(_WORD.findall(_STOP_WORDS))


def question_terms(question: str | None) -> tuple[str, ...]:
    """The words of a question that can match something, shortened to their stem."""
    words = dict.fromkeys(w for w in _WORD.findall((question or "").lower()) if len(w) > 2 and w not in _STOP)
    return tuple(w[:-1] if len(w) > 4 and w.endswith("s") else w for w in words)[:32]


def name_analytes(candidates: Iterable[Candidate], analytes: Analytes) -> None:
    """Recognize known measurements by their LOINC code."""
    known: dict[tuple[str, str], Analyte] = {(a.section, code): a for a in analytes.analyte for code in a.loinc}
    for candidate in candidates:
        if candidate.block not in MEASURED:
            continue
        code = candidate.entry.concept.code_in(LOINC) or ""
        analyte = known.get(("social_history" if candidate.block == "assessments" else candidate.block, code))
        if analyte:
            candidate.analyte = analyte.name
            variant = analyte.variants.get(code)
            candidate.label = f"{analyte.name} ({variant})" if variant else analyte.name
            candidate.words = analyte.words


def mark_musts(sorted_: Sorted, conflicts: Iterable[Conflict], policy: Policy, calendar: Calendar) -> None:
    """Set `must` on everything an honest context cannot leave out."""
    for candidate in sorted_.candidates:
        candidate.must = candidate.block in PREFIX_BLOCKS
    _must_latest(sorted_.candidates, policy)
    _must_abnormal(sorted_.candidates, policy, calendar)
    for conflict in grave_conflicts(conflicts, sorted_, calendar, policy):
        for entry_id in conflict.entry_ids:
            if entry_id in sorted_.by_entry:
                sorted_.by_entry[entry_id].must = True


def grave_conflicts(
    conflicts: Iterable[Conflict], sorted_: Sorted, calendar: Calendar, policy: Policy
) -> list[Conflict]:
    """The conflicts that are always shown: all that change care, and the newest few between values."""
    grave: list[Conflict] = []
    values: list[tuple[float, tuple[str, ...], Conflict]] = []
    for conflict in conflicts:
        sides = [sorted_.by_entry[i] for i in conflict.entry_ids if i in sorted_.by_entry]
        if len(sides) < 2:
            continue
        ages = [a for s in sides if (a := calendar.age_days(s.entry.date)) is not None]
        if conflict.kind in GRAVE:
            grave.append(conflict)
        elif ages and min(ages) <= policy.must.critical_days:
            values.append((min(ages), conflict.entry_ids, conflict))
    values.sort(key=lambda v: v[:2])
    return grave + [conflict for *_, conflict in values[:MAX_VALUE_CONFLICTS]]


def _must_latest(candidates: list[Candidate], policy: Policy) -> None:
    """The latest value of each analyte the policy names; candidates come newest first."""
    wanted = set(policy.must.latest)
    for candidate in candidates:
        if candidate.analyte in wanted and _has_value(candidate.entry):
            candidate.must = True
            wanted.discard(candidate.analyte)


def _must_abnormal(candidates: list[Candidate], policy: Policy, calendar: Calendar) -> None:
    """The latest of each test when it is abnormal and recent; critical ones from further back."""
    seen: set[object] = set()
    for candidate in candidates:
        entry = candidate.entry
        if candidate.block not in ("vitals", "labs") or not isinstance(entry, Observation) or not _has_value(entry):
            continue
        test = _what(candidate)
        if test in seen:
            continue
        seen.add(test)
        age = calendar.age_days(entry.date)
        critical = entry.interpretation.upper() in CRITICAL
        limit = policy.must.critical_days if critical else policy.must.abnormal_days
        if age is not None and age <= limit and (critical or entry.abnormal):
            candidate.must = True


def rank(candidates: list[Candidate], policy: Policy, calendar: Calendar, terms: tuple[str, ...]) -> list[Candidate]:
    """The facts that are not must-include, best first: the floor of each section, then by score."""
    score = policy.score
    weights: dict[str, float] = {str(k): v for k, v in policy.weight.items()}
    floor_of: dict[str, int] = {str(k): v for k, v in policy.floor.items()}
    repeats: dict[object, int] = defaultdict(int)
    per_block: dict[str, int] = defaultdict(int)
    floors: list[Candidate] = []
    rest: list[tuple[float, int, Candidate]] = []
    bonus = score.question if terms else 0.0
    for index, candidate in enumerate(candidates):
        what = _what(candidate)
        earlier = repeats[what]
        repeats[what] = earlier + 1
        if candidate.must:
            per_block[candidate.block] += 1
            continue
        entry = candidate.entry
        age = calendar.age_days(entry.date)
        value = 0.1 if age is None else 0.5 ** (age / score.half_life_days)
        if candidate.block in LASTING:
            value = max(value, score.lasting)
        value += _bonus(candidate, policy, calendar)
        value = value * weights.get(candidate.block, 1.0) / (1 + score.repeat_discount * earlier)
        if bonus:
            value += bonus * _match(candidate, terms)
        candidate.score = value
        floor = floor_of.get(candidate.block, 0)
        news = earlier == 0 or candidate.block in ("encounters", "notes")
        if per_block[candidate.block] < floor and news and _says_something(entry):
            per_block[candidate.block] += 1
            floors.append(candidate)
        else:
            rest.append((-value, index, candidate))
    rest.sort(key=lambda r: r[:2])
    _choose_quotes([*floors, *(c for *_, c in rest)], policy)
    if bonus:  # what the question is about goes even before the floors
        asked = [c for *_, c in rest if c.score >= bonus]
        return [*asked, *floors, *(c for *_, c in rest if c.score < bonus)]
    return [*floors, *(c for *_, c in rest)]


def _choose_quotes(candidates: list[Candidate], policy: Policy) -> None:
    """Only the best few narratives are quoted. Measured on reference charts: without a limit the openings of old notes,
    which repeat each other, took half of a 4,000-token summary."""
    told = [c for c in candidates if free_text(c.entry)]
    for candidate in sorted(told, key=lambda c: -c.score)[policy.quotes :]:
        candidate.quoted = False


def _says_something(entry: AnyEntry) -> bool:
    return not isinstance(entry, Observation) or _has_value(entry)


def _bonus(candidate: Candidate, policy: Policy, calendar: Calendar) -> float:
    entry, score = candidate.entry, policy.score
    if isinstance(entry, Observation):
        value = score.abnormal if entry.abnormal else 0.0
        if candidate.analyte:
            value += score.analyte
        return value if _has_value(entry) else value - 0.5
    if isinstance(entry, CarePlan):
        return score.active if activity_at(entry, calendar) == "active" else 0.0
    if isinstance(entry, Report):
        return score.narrative if entry.conclusion_codes or free_text(entry) else -0.3
    if isinstance(entry, Note):
        return score.narrative if entry.text else -0.3
    return 0.0


def _has_value(entry: AnyEntry) -> bool:
    return isinstance(entry, Observation) and bool(entry.value_display or entry.components)


def _what(candidate: Candidate) -> object:
    """What a fact is about, to tell repeats from news."""
    if candidate.block == "notes":
        return candidate.block
    return (candidate.block, candidate.label or candidate.entry.concept.display)


def _match(candidate: Candidate, terms: tuple[str, ...]) -> float:
    """Share of the question's words that the fact contains, weighed so that one good match already counts."""
    text = _searched(candidate).lower()
    hits = sum(1 for term in terms if term in text or term.startswith(candidate.words))
    return (hits / len(terms)) ** 0.5 if hits else 0.0


def _searched(candidate: Candidate) -> str:
    entry = candidate.entry
    parts = [candidate.analyte, candidate.block.replace("_", " "), entry.concept.display, entry.date or ""]
    if isinstance(entry, Observation):
        parts.append(entry.value_display)
    elif isinstance(entry, Note):
        parts += [entry.description, entry.text]
    elif isinstance(entry, Report):
        parts += [entry.conclusion, *(c.display for c in entry.conclusion_codes)]
    elif isinstance(entry, CarePlan):
        parts += [entry.title, entry.description, entry.narrative, *(a.text for a in entry.activities)]
    elif isinstance(entry, Encounter | Procedure):
        parts += [c.display for c in entry.reasons]
    elif isinstance(entry, Medication):
        parts += [*(c.display for c in entry.reason), *(d.text for d in entry.dosages)]
    return " ".join(parts)

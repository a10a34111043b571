"""From chart entries to candidate facts: what may be shown, what may not and why, what belongs together, which key.

Every entry of the chart ends in exactly one place: in a `Candidate`, which may be shown, or in `Sorted.omitted`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from context_builder.document import OmitReason
from models.record.chart import Chart
from models.record.coverage import SECTIONS, Coverage
from models.record.dates import bounds
from models.record.entries import (
    Allergy,
    AnyEntry,
    CarePlan,
    Demographics,
    Encounter,
    Immunization,
    Medication,
    Note,
    Observation,
    Problem,
    Procedure,
    Report,
)

LETTERS = {
    "demographics": "D",
    "allergies": "A",
    "problems": "P",
    "medications": "M",
    "vitals": "V",
    "labs": "L",
    "social_history": "S",
    "assessments": "Q",
    "encounters": "E",
    "reports": "R",
    "immunizations": "I",
    "procedures": "X",
    "care_plans": "C",
    "notes": "N",
}
PREFIX_BLOCKS = ("demographics", "allergies", "problems", "medications")
CURRENT = ("active", "uncertain")
_DAY = 86_400.0


class Withheld(NamedTuple):
    """Why an entry is not in the text."""

    reason: OmitReason
    detail: str = ""


class Calendar:
    """Partial dates as seconds, each text read once."""

    def __init__(self, as_of: str) -> None:
        self._seen: dict[str, tuple[float, float] | None] = {}
        span = self.span(as_of)
        if span is None:
            raise ValueError("as_of is not a date")
        self.end = span[1]

    def span(self, value: str | None) -> tuple[float, float] | None:
        """First and last second that `value` may mean; None for no date and for text that is none."""
        if not value:
            return None
        if value not in self._seen:
            try:
                first, last = bounds(value)
            except ValueError:
                self._seen[value] = None
            else:
                self._seen[value] = (first.timestamp(), last.timestamp())
        return self._seen[value]

    def after(self, value: str | None) -> bool:
        """Whether `value` is surely later than as_of."""
        span = self.span(value)
        return span is not None and span[0] > self.end

    def age_days(self, value: str | None) -> float | None:
        """Days from `value` to as_of (0 for a date that reaches past it); None when undated."""
        span = self.span(value)
        return None if span is None else max(0.0, (self.end - span[0]) / _DAY)

    def older_than(self, value: str | None, days: int) -> bool:
        """Whether `value` surely lies before the window; undated things do not."""
        span = self.span(value)
        return span is not None and span[1] < self.end - days * _DAY


@dataclass(slots=True, eq=False)
class Candidate:
    """One fact that may be shown. `entries` agree with each other; the first is the one that is printed.

    `analyte` is the known measurement it is one of, `label` how that is printed, `words` what it is asked for by; `quoted` says whether its free text may
    be quoted, or only its title shown.
    """

    entries: list[AnyEntry]
    block: str
    key: str = ""
    analyte: str = ""
    label: str = ""
    words: tuple[str, ...] = ()
    quoted: bool = True
    must: bool = False
    score: float = 0.0
    duplicates: list[AnyEntry] = field(default_factory=list)

    @property
    def entry(self) -> AnyEntry:
        """The entry that is printed."""
        return self.entries[0]

    @property
    def weight(self) -> int:
        """How many chart entries it stands for."""
        return len(self.entries) + len(self.duplicates)

    def all_entries(self) -> list[AnyEntry]:
        """Every chart entry it stands for."""
        return [*self.entries, *self.duplicates]


class Sorted(NamedTuple):
    """The chart, sorted into what may be shown and what may not."""

    candidates: list[Candidate]
    omitted: list[tuple[AnyEntry, Withheld]]
    by_entry: dict[str, Candidate]


@dataclass(frozen=True, slots=True)
class Limits:
    """What the request and the policy leave out before anything is weighed."""

    sections: frozenset[str] | None
    window_days: int | None
    blocks_left_out: frozenset[str]
    now: bool = False
    """The request speaks for the moment the chart was read: whatever a source told is known by then, so an allergy, a
    problem or a drug with a date in the future (a slip of the pen, a clock that is off) is not left out for it."""


def ordered(entries: Iterable[AnyEntry], calendar: Calendar) -> list[AnyEntry]:
    """Each id once, newest first within its section, whatever the order of arrival (as Chart.canonical_order)."""
    unique: dict[str, AnyEntry] = {}
    for entry in entries:
        twin = unique.setdefault(entry.id, entry)
        if twin is not entry and repr(entry) < repr(twin):
            unique[entry.id] = entry

    def place(entry: AnyEntry) -> tuple[str, float, int, str]:
        date = entry.date
        span = calendar.span(date)
        return (entry.section, -span[0] if span else float("inf"), len(date or ""), entry.id)

    return sorted(unique.values(), key=place)


def sort_out(chart: Chart, calendar: Calendar, limits: Limits) -> Sorted:
    """Sort the entries of `chart`; candidates come in chart order with their keys."""
    in_conflict = {entry_id for conflict in chart.conflicts for entry_id in conflict.entry_ids}
    omitted: list[tuple[AnyEntry, Withheld]] = []
    duplicates: list[AnyEntry] = []
    candidates: list[Candidate] = []
    groups: dict[object, Candidate] = {}
    for entry in ordered(chart.entries, calendar):
        withheld = _withheld(entry, calendar, limits)
        if withheld is not None:
            omitted.append((entry, withheld))
            continue
        if entry.has_flag("duplicate_of"):
            duplicates.append(entry)
            continue
        block = block_of(entry, calendar)
        if block in limits.blocks_left_out and entry.id not in in_conflict:
            omitted.append((entry, Withheld("policy", "section has no weight for this purpose")))
            continue
        identity = _identity(entry, block) if entry.id not in in_conflict else None
        twin = groups.get(identity) if identity is not None else None
        if twin is not None and _dates_agree(twin.entry, entry):
            twin.entries.append(entry)
            continue
        candidate = Candidate([entry], block)
        candidates.append(candidate)
        if identity is not None and twin is None:
            groups[identity] = candidate
    by_entry = {entry.id: candidate for candidate in candidates for entry in candidate.entries}
    for entry in duplicates:
        kept = _kept(entry, by_entry)
        if kept is None:
            omitted.append((entry, Withheld("duplicate", "the entry it repeats is not in this context")))
        else:
            kept.duplicates.append(entry)
            by_entry[entry.id] = kept
    _number(candidates)
    return Sorted(candidates, omitted, by_entry)


def block_of(entry: AnyEntry, calendar: Calendar) -> str:
    """Where in the text a fact is printed: its section, or `past_problems` / `past_medications`."""
    if isinstance(entry, Problem):
        if entry.none_asserted and activity_at(entry, calendar) != "historical":
            return "problems"
        minor = entry.category == "encounter-diagnosis" and activity_at(entry, calendar) == "uncertain"
        return "problems" if activity_at(entry, calendar) in CURRENT and not minor else "past_problems"
    if isinstance(entry, Medication):
        current = activity_at(entry, calendar) in CURRENT or (entry.none_asserted and entry.activity != "historical")
        return "medications" if current else "past_medications"
    return entry.section


def free_text(entry: AnyEntry) -> str:
    """What a note, a report or a plan that is in words only says; the rest of such an entry is its title."""
    if isinstance(entry, Note):
        return entry.text
    if isinstance(entry, Report):
        return entry.conclusion or "\n".join(a.text for a in entry.attachments if a.readable)
    if isinstance(entry, CarePlan) and not any(a.text for a in entry.activities):
        return entry.narrative or entry.description
    return ""


def activity_at(entry: Problem | Medication | Allergy | CarePlan, calendar: Calendar) -> str:
    """The entry's activity; what ended only after as_of cannot be called over then."""
    if entry.activity == "historical" and calendar.after(ended(entry)):
        return "uncertain"
    return entry.activity


def ended(entry: AnyEntry) -> str | None:
    """The date at which the fact ended, if the source gave one."""
    if isinstance(entry, Problem):
        return entry.abatement
    if isinstance(entry, Medication | Encounter | CarePlan):
        return entry.end
    if isinstance(entry, Observation):
        return entry.effective_end
    if isinstance(entry, Procedure):
        return entry.performed_end
    return None


def _withheld(entry: AnyEntry, calendar: Calendar, limits: Limits) -> Withheld | None:
    if _is_error(entry):
        return Withheld("entered_in_error", "the source took it back")
    if limits.sections is not None and entry.section not in limits.sections and entry.section != "demographics":
        return Withheld("policy", "section not requested")
    if _is_refuted(entry):
        return Withheld("superseded", "refuted by the source")
    if _has_nothing_to_print(entry):
        return Withheld("unreadable", "neither code, text nor value")
    if isinstance(entry, Demographics):
        return None
    if calendar.after(entry.date) and not (limits.now and isinstance(entry, Allergy | Problem | Medication)):
        return Withheld("window", "after as_of")
    if limits.window_days is not None and _outside_window(entry, calendar, limits.window_days):
        return Withheld("window", "older than the window")
    if isinstance(entry, Observation) and entry.has_member and not entry.components and not entry.value_display:
        return Withheld("policy", "panel without a value of its own; its members are entries")
    return None


def _outside_window(entry: AnyEntry, calendar: Calendar, days: int) -> bool:
    """Allergies, current problems and medications and plans under way have no window."""
    if isinstance(entry, Allergy):
        return False
    if isinstance(entry, Problem | Medication | CarePlan):
        lasts = activity_at(entry, calendar) in CURRENT
        return not lasts and calendar.older_than(ended(entry) or entry.date, days)
    return calendar.older_than(ended(entry) or entry.date, days)


def _is_error(entry: AnyEntry) -> bool:
    if entry.has_flag("entered_in_error") or entry.status == "entered-in-error":
        return True
    if isinstance(entry, Note):
        return entry.doc_status == "entered-in-error"
    return isinstance(entry, Problem | Allergy) and entry.verification_status == "entered-in-error"


def _is_refuted(entry: AnyEntry) -> bool:
    if isinstance(entry, Problem | Allergy):
        return entry.has_flag("refuted") or entry.verification_status == "refuted"
    return entry.has_flag("refuted")


def _has_nothing_to_print(entry: AnyEntry) -> bool:
    if entry.concept.display.strip():
        return False
    if isinstance(entry, Demographics):
        return not (entry.names or entry.birth_date or entry.gender)
    if isinstance(entry, Problem | Medication | Allergy):
        return not entry.none_asserted and not isinstance(entry, Allergy)
    if isinstance(entry, CarePlan):
        return not (entry.title or entry.description or entry.narrative or entry.activities)
    if isinstance(entry, Note):
        return not (entry.description or entry.text)
    if isinstance(entry, Report):
        return not (entry.conclusion or entry.conclusion_codes)
    return not (isinstance(entry, Encounter) and entry.date)


def _identity(entry: AnyEntry, block: str) -> object | None:
    """What has to be equal for two entries to be one fact; None for kinds that never merge."""
    if isinstance(entry, Demographics):
        return ("demographics", entry.name.casefold(), entry.birth_date, entry.gender, entry.deceased)
    if not isinstance(entry, Problem | Medication | Allergy) or entry.none_asserted:
        return None
    target, mapping = entry.concept.target, entry.concept.mapping
    worded = isinstance(entry, Medication) and mapping is not None and mapping.method == "text_match"
    # a drug's words give its ingredient alone: 10 mg and 20 mg are not one order
    name = (target.system, target.code) if target and not worded else entry.concept.display.strip().casefold()
    common = (block, name, entry.activity, entry.has_flag("negated"))
    if isinstance(entry, Problem):
        return (*common, entry.verification_status, entry.severity, entry.body_site)
    if isinstance(entry, Medication):
        if block != "medications":
            return None
        return (*common, entry.do_not_perform, entry.status, tuple(d.text.casefold() for d in entry.dosages))
    reactions = frozenset(m.display.casefold() for r in entry.reactions for m in r.manifestations)
    return (*common, entry.verification_status, entry.criticality, reactions)


def _dates_agree(left: AnyEntry, right: AnyEntry) -> bool:
    """Problems and allergies agree when neither date contradicts the other; repeated orders always do."""
    if isinstance(left, Medication | Demographics):
        return True
    if isinstance(left, Problem) and isinstance(right, Problem):
        pairs = ((left.onset, right.onset), (left.abatement, right.abatement))
    else:
        pairs = ((left.date, right.date), (None, None))
    return all(not a or not b or a.startswith(b[:10]) or b.startswith(a[:10]) for a, b in pairs)


def _kept(entry: AnyEntry, by_entry: dict[str, Candidate]) -> Candidate | None:
    """The candidate of the entry that `entry` repeats."""
    for flag in entry.flags:
        if flag.code == "duplicate_of":
            for related in flag.related:
                if related in by_entry and by_entry[related].entry.section == entry.section:
                    return by_entry[related]
    return None


def _number(candidates: list[Candidate]) -> None:
    """Keys by section letter and chart order, before anything is selected: the budget does not change them."""
    counters: dict[str, int] = {}
    for candidate in candidates:
        letter = LETTERS[candidate.entry.section]
        counters[letter] = counters.get(letter, 0) + 1
        candidate.key = f"{letter}{counters[letter]}"


def status_of(entry: AnyEntry, calendar: Calendar) -> tuple[str, bool]:
    """The status of a fact in the words of the context document, and whether it is a negative."""
    negated = entry.has_flag("negated")
    if isinstance(entry, Problem | Medication | Allergy):
        if entry.none_asserted and activity_at(entry, calendar) == "historical":
            return "historical", False  # it was said once: nothing is denied any more
        if entry.none_asserted:
            return "none_asserted", True
        if isinstance(entry, Medication) and entry.do_not_perform:
            return "not_done", True
        words = {"active": "current", "historical": "historical", "uncertain": "uncertain"}
        return words[activity_at(entry, calendar)], negated
    if isinstance(entry, Immunization | Procedure):
        happened = entry.given if isinstance(entry, Immunization) else entry.done
        if happened is False or negated:
            return "not_done", True
        return ("completed" if happened else entry.status or "uncertain"), False
    if isinstance(entry, CarePlan):
        words = {"active": "current", "historical": "historical", "uncertain": "uncertain"}
        return words[activity_at(entry, calendar)], negated
    return ("not_done" if negated else entry.status), negated


def coverage_rows(chart: Chart, limits: Limits) -> tuple[Coverage, ...]:
    """The chart's coverage in a stable order, completed: a section nobody reported on was not asked."""

    known = {(row.section, row.site) for row in chart.coverage}
    filled = {(entry.section, origin.site) for entry in chart.entries for origin in entry.origins}
    sites = chart.sites or ("",)
    silent = [
        Coverage(section=section, site=site, state="not_queried")
        for section in SECTIONS
        for site in sites
        if (section, site) not in known and (section, site) not in filled
    ]
    rows = [row for row in (*chart.coverage, *silent) if limits.sections is None or row.section in limits.sections]
    place = {section: index for index, section in enumerate(SECTIONS)}
    return tuple(sorted(rows, key=lambda r: (place[r.section], r.site, r.state, r.resource_type, r.reason, r.as_of)))

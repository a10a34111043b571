"""How measurements and events are worded: observations, visits, reports, vaccinations, procedures, plans, notes."""

from __future__ import annotations

from collections.abc import Callable

from context_builder.facts import Candidate, ended, free_text, status_of
from context_builder.facts_text import clean, without_tag
from context_builder.facts_words import (
    DETAIL_CHARS,
    DISPLAY_CHARS,
    TIGHTEST,
    Level,
    Printed,
    Wording,
    day,
    display_of,
    join,
    number,
    plain,
    since,
    span_of,
    unit_of,
    with_excerpt,
)
from models.record.entries import CarePlan, Encounter, Immunization, Note, Observation, Procedure, Report

CELL_CHARS = 28
"""The longest value that stands in a table; free text beyond it is quoted."""
SETTLED = ("final", "amended", "")
"""Statuses of a measurement that need no word (a missing one is a flag); any other, known or not, stands by the value."""
_CODE_WORDS = {
    "AMB": "ambulatory",
    "IMP": "inpatient",
    "EMER": "emergency",
    "VR": "virtual",
    "HH": "home health",
    "ACUTE": "inpatient acute",
    "NONAC": "inpatient non-acute",
    "OBSENC": "observation",
    "SS": "short stay",
}


def _observation(candidate: Candidate, level: Level, how: Wording) -> Printed:
    entry = candidate.entry
    assert isinstance(entry, Observation)
    status, negated = status_of(entry, how.calendar)
    value, unit = observed_value(entry, level)
    name = candidate.label or display_of(entry.concept, level) or "Unnamed observation"
    mark = abnormal_mark(entry)
    note = unsettled(entry)
    when = day(entry.date, how.calendar)
    if _is_free_text(entry) and len(value) > CELL_CHARS:
        lead = join(name, note, when)
        return Printed(name, f"{lead}: {how.fenced(value)}", value, "", "", lead, status, negated)
    said = join(" ".join(p for p in (value, unit, mark) if p), note)
    head = f"{'NOT present: ' if negated else ''}{name}: {said}"
    line = join(head, when)
    return Printed(name, line, line, value, unit, join(mark, note), status, negated, head, when)


def _is_free_text(entry: Observation) -> bool:
    """Whether the value is words somebody typed, not a number or a code."""
    return entry.value is None and entry.value_concept is None and bool(entry.value_text)


def observed_value(entry: Observation, level: Level) -> tuple[str, str]:
    """Value as printed and its unit; components joined when the panel has no value of its own."""
    if entry.value is not None and (entry.value.as_sent or entry.value.value is not None):
        return number(entry.value), unit_of(entry.value)
    text = without_tag(entry.value_concept.display) if entry.value_concept else entry.value_text
    if text:
        return clean(text, DETAIL_CHARS[level]), ""
    parts = []
    for component in entry.components[: 12 if level == 0 else 6]:
        said = component.value_text
        if component.value:
            said = f"{number(component.value)} {unit_of(component.value)}".strip()
        elif component.value_concept:
            said = without_tag(component.value_concept.display)
        parts.append(f"{clean(without_tag(component.concept.display), 50)} {clean(said, 60)}")
    if parts:
        more = len(entry.components) - len(parts)
        return "; ".join(parts) + (f"; and {more} more" if more > 0 else ""), ""
    reason = clean(entry.absent_reason, 40)
    return f"no value ({reason})" if reason else "no value", ""


def unsettled(entry: Observation) -> str:
    """The status of a measurement that is not settled; empty for one that is."""
    if entry.status in SETTLED:
        return ""
    return "unknown status" if entry.status == "unknown" else clean(entry.status, 20)


def abnormal_mark(entry: Observation) -> str:
    """The interpretation as sent unless it says normal; `abnormal` when only the reference range says so."""
    code = clean(entry.interpretation, 24)
    if code and code.upper() not in ("N", "NORMAL"):
        return code
    return "abnormal" if entry.abnormal and not code else ""


def _encounter(candidate: Candidate, level: Level, how: Wording) -> Printed:
    entry = candidate.entry
    assert isinstance(entry, Encounter)
    status, negated = status_of(entry, how.calendar)
    kind = clean(_CODE_WORDS.get(entry.encounter_class, entry.encounter_class), 30)
    name = display_of(entry.concept, level) or kind or "Encounter"
    reasons = ", ".join(without_tag(c.display) for c in entry.reasons if c.display)
    odd = clean(entry.status, 20) if entry.status not in ("finished", "completed", "") else ""
    where = entry.service_provider.name if entry.service_provider else ""
    return plain(
        name,
        kind if kind != name and level < TIGHTEST and entry.encounter_class != "AMB" else "",
        "telehealth" if entry.telehealth else "",
        odd,
        f"for {clean(reasons, DETAIL_CHARS[level])}" if reasons else "",
        clean(entry.disposition, 60) if level == 0 else "",
        clean(where, 50) if level == 0 else "",
        when=span_of(entry.start, entry.end, how.calendar),
        status=status,
        negated=negated,
    )


def _report(candidate: Candidate, level: Level, how: Wording) -> Printed:
    entry = candidate.entry
    assert isinstance(entry, Report)
    status, negated = status_of(entry, how.calendar)
    codes = clean(", ".join(without_tag(c.display) for c in entry.conclusion_codes if c.display), DETAIL_CHARS[level])
    note = "" if entry.status in ("final", "") else clean(entry.status, 20)
    name = display_of(entry.concept, level) or "Report"
    when = day(entry.date, how.calendar)
    body = free_text(entry) if candidate.quoted else ""
    quoted = with_excerpt(name, join(name, note, codes, when), body, status, negated, level, how)
    return quoted or plain(name, note, codes, when=when, status=status, negated=negated)


def _note(candidate: Candidate, level: Level, how: Wording) -> Printed:
    entry = candidate.entry
    assert isinstance(entry, Note)
    status, negated = status_of(entry, how.calendar)
    name = display_of(entry.concept, level) or clean(entry.description, DISPLAY_CHARS[level]) or "Document"
    authors = ", ".join(a.name for a in entry.authors if a.name)
    odd = ", ".join(clean(s, 20) for s in (entry.status, entry.doc_status) if s not in ("current", "final", ""))
    body = free_text(entry)
    unread = "" if body else "text not readable here"
    author = clean(authors, 60) if level == 0 else ""
    when = day(entry.date, how.calendar)
    lead = join(name, odd, author, when)
    quoted = with_excerpt(name, lead, body if candidate.quoted else "", status, negated, level, how)
    return quoted or plain(name, odd, unread, author, when=when, status=status, negated=negated)


def _immunization(candidate: Candidate, level: Level, how: Wording) -> Printed:
    entry = candidate.entry
    assert isinstance(entry, Immunization)
    status, negated = status_of(entry, how.calendar)
    state = "NOT given" if negated else ("" if entry.given else "not confirmed as given")
    return plain(
        display_of(entry.concept, level) or "Unnamed vaccine",
        state,
        clean(entry.status_reason, 60) if negated else "",
        f"dose {clean(entry.dose_number, 12)}" if entry.dose_number and level < TIGHTEST else "",
        when=day(entry.occurrence, how.calendar) or clean(entry.occurrence_text, 40),
        status=status,
        negated=negated,
    )


def _procedure(candidate: Candidate, level: Level, how: Wording) -> Printed:
    entry = candidate.entry
    assert isinstance(entry, Procedure)
    status, negated = status_of(entry, how.calendar)
    odd = clean(entry.status, 20) if entry.status not in ("completed", "", "not-done") else ""
    reasons = ", ".join(without_tag(c.display) for c in entry.reasons if c.display)
    return plain(
        display_of(entry.concept, level) or "Unnamed procedure",
        "NOT done" if negated else odd,
        clean(entry.status_reason, 60) if negated else "",
        f"for {clean(reasons, 60)}" if reasons and level == 0 else "",
        clean(entry.body_site, 40) if level < TIGHTEST else "",
        clean(entry.outcome, 60) if level == 0 else "",
        when=span_of(entry.performed, entry.performed_end, how.calendar) or clean(entry.performed_text, 40),
        status=status,
        negated=negated,
    )


def _care_plan(candidate: Candidate, level: Level, how: Wording) -> Printed:
    entry = candidate.entry
    assert isinstance(entry, CarePlan)
    status, negated = status_of(entry, how.calendar)
    name = clean(entry.title, DISPLAY_CHARS[level]) or display_of(entry.concept, level)
    name = name or clean(entry.description, DISPLAY_CHARS[level]) or "Care plan"
    steps = ", ".join(dict.fromkeys(without_tag(a.text) for a in entry.activities if a.text))
    goals = ", ".join(dict.fromkeys(g for g in entry.goals if g))
    state = {"current": "", "historical": "over", "uncertain": "status uncertain"}.get(status, status)
    when = since(entry.start, ended(entry), level, how.calendar, over=status == "historical")
    words = free_text(entry) if candidate.quoted else ""
    if words and name != clean(words, DISPLAY_CHARS[level]):
        quoted = with_excerpt(name, join(name, state, when), words, status, negated, level, how)
        if quoted:
            return quoted
    return plain(
        name,
        state,
        f"activities: {clean(steps, DETAIL_CHARS[level])}" if steps else "",
        f"goals: {clean(goals, DETAIL_CHARS[level])}" if goals and level < TIGHTEST else "",
        when=when,
        status=status,
        negated=negated,
    )


EVENT_WRITERS: dict[str, Callable[[Candidate, Level, Wording], Printed]] = {
    "vitals": _observation,
    "labs": _observation,
    "social_history": _observation,
    "assessments": _observation,
    "encounters": _encounter,
    "reports": _report,
    "immunizations": _immunization,
    "procedures": _procedure,
    "care_plans": _care_plan,
    "notes": _note,
}

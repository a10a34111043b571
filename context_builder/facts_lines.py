"""How one fact is worded, at three levels of compactness: 0 roomy, 1 compact, 2 tightest.

Everything that came from outside passes `clean`; numbers are printed as sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from context_builder.facts import Calendar, Candidate, ended, status_of
from context_builder.facts_text import clean, clean_passage
from models.record.coding import Concept, Quantity
from models.record.dates import age_years
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

Level = int
TIGHTEST: Level = 2
_DISPLAY = (140, 90, 64)
_DETAIL = (160, 90, 60)
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


class Printed(NamedTuple):
    """One fact in words. `line` is what stands after the key; `text` is the part of it that is the fact itself."""

    display: str
    line: str
    text: str
    value: str = ""
    unit: str = ""
    detail: str = ""
    status: str = ""
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Wording:
    """What the wording of a line depends on besides the entry."""

    calendar: Calendar
    as_of: str
    sites: dict[str, str]
    fence: str
    excerpt_chars: tuple[int, int, int]
    terms: tuple[str, ...] = ()

    def site_suffix(self, entries: Iterable[AnyEntry], level: Level) -> str:
        """` (A, B)` when several sites speak in this chart and there is room for it."""
        if len(self.sites) < 2 or level >= TIGHTEST:
            return ""
        letters = sorted({self.sites[o.site] for e in entries for o in e.origins if o.site in self.sites})
        return f" ({', '.join(letters)})" if letters else ""


def day(value: str | None, calendar: Calendar) -> str:
    """A partial date as sent, without its time of day; empty for no date and for text that is none."""
    return value[:10] if value and calendar.span(value) else ""


def display_of(concept: Concept, level: Level) -> str:
    """The concept's wording; its code when there are no words."""
    return clean(concept.display, _DISPLAY[level])


def number(quantity: Quantity) -> str:
    """Comparator and digits exactly as sent."""
    digits = quantity.as_sent or (f"{quantity.value:g}" if quantity.value is not None else "")
    return clean(f"{quantity.comparator}{digits}", 40)


def unit_of(quantity: Quantity) -> str:
    """The unit as sent, else its UCUM code."""
    return clean(quantity.unit or quantity.code, 40)


def join(*parts: str) -> str:
    """The non-empty parts, separated by `; `."""
    return "; ".join(part for part in parts if part)


def wording(candidate: Candidate, level: Level, how: Wording) -> Printed:
    """The fact in words at `level`."""
    printed = _WRITERS[candidate.block](candidate, level, how)
    suffix = how.site_suffix(candidate.entries, level)
    return printed._replace(line=printed.line + suffix) if suffix else printed


def _since(begin: str | None, end: str | None, level: Level, calendar: Calendar) -> str:
    """`since X`, `X to Y`, `until Y`; at the tightest level the year alone; an end after as_of is not told."""
    first, last = day(begin, calendar), "" if calendar.after(end) else day(end, calendar)
    if level >= TIGHTEST:
        first, last = first[:4], last[:4]
    if first and last:
        return first if first == last else f"{first} to {last}"
    return f"since {first}" if first else (f"until {last}" if last else "")


def _plain(display: str, *details: str, status: str, negated: bool, value: str = "", unit: str = "") -> Printed:
    detail = join(*details)
    line = join(display, detail)
    return Printed(display, line, line, value, unit, detail, status, negated)


def _person(candidate: Candidate, level: Level, how: Wording) -> Printed:
    entry = candidate.entry
    assert isinstance(entry, Demographics)
    years = age_years(entry.birth_date, how.as_of) if how.calendar.span(entry.birth_date) and entry.birth_date else None
    born = f"born {day(entry.birth_date, how.calendar)}" if day(entry.birth_date, how.calendar) else ""
    death = day(entry.deceased_date, how.calendar)
    died = f"died {death}" if death and not how.calendar.after(entry.deceased_date) else ""
    if not died and entry.deceased and not death:
        died = "deceased"
    alive = not died
    age = f"age {years}" if years is not None and alive else ""
    sex = clean(entry.gender, 20) or "sex not given"
    language = f"language {clean(entry.languages[0], 20)}" if entry.languages and level == 0 else ""
    return _plain(clean(entry.name, 80) or "Name not given", born, age, sex, died, language, status="", negated=False)


def _allergy(candidate: Candidate, level: Level, how: Wording) -> Printed:
    entry = candidate.entry
    assert isinstance(entry, Allergy)
    status, negated = status_of(entry, how.calendar)
    when = day(entry.date, how.calendar)
    if entry.none_asserted:
        site = clean(entry.site, 40)
        asserted = f"asserted by {site}" + (f" on {when}" if when else ", undated")
        name = display_of(entry.concept, level) or "No known allergies"
        return Printed(name, f"{name} ({asserted})", f"{name} ({asserted})", "", "", asserted, status, negated)
    reactions = [
        clean(join(", ".join(m.display for m in r.manifestations) or r.description, r.severity), _DETAIL[level])
        for r in entry.reactions
    ]
    state = "" if status == "current" else {"historical": "no longer active", "uncertain": "status uncertain"}[status]
    verified = clean(entry.verification_status, 30) if entry.verification_status not in ("", "confirmed") else ""
    if not entry.verification_status and level == 0:
        verified = "verification not stated"
    criticality = clean(entry.criticality, 20)
    return _plain(
        display_of(entry.concept, level) or "Allergy to an unnamed substance",
        f"reaction: {' | '.join(reactions).replace('|', '/')}" if any(reactions) else "",
        f"criticality {criticality}" if criticality and (level < TIGHTEST or criticality == "high") else "",
        verified,
        state,
        f"recorded {when}" if when and level == 0 else "",
        status=status,
        negated=negated,
    )


def _problem(candidate: Candidate, level: Level, how: Wording) -> Printed:
    entry = candidate.entry
    assert isinstance(entry, Problem)
    status, negated = status_of(entry, how.calendar)
    if entry.none_asserted:
        return _none_asserted(entry, "No known problems", status, how)
    dates = {e.onset for e in candidate.entries if isinstance(e, Problem) and e.onset}
    onset = max(dates, key=lambda d: (len(d), d)) if dates else None
    state = {"current": "", "historical": "over", "uncertain": "status uncertain"}[status]
    if negated:
        state = "NOT present"
    clinical = entry.clinical_status if entry.clinical_status in ("recurrence", "relapse", "remission") else ""
    verified = clean(entry.verification_status, 30) if entry.verification_status not in ("", "confirmed") else ""
    recorded = f"recorded {day(entry.recorded, how.calendar)}" if level == 0 and not onset and entry.recorded else ""
    return _plain(
        display_of(entry.concept, level),
        state or clinical,
        verified,
        clean(entry.severity, 30) if level < TIGHTEST else "",
        clean(entry.body_site, 40) if level < TIGHTEST else "",
        _since(onset, entry.abatement, level, how.calendar) or recorded,
        status=status,
        negated=negated,
    )


def _none_asserted(entry: AnyEntry, words: str, status: str, how: Wording) -> Printed:
    """An explicit negative, in the source's own words when it has some, always with who asserted it."""
    when = day(entry.date, how.calendar)
    asserted = f"asserted by {clean(entry.site, 40)}" + (f" on {when}" if when else ", undated")
    name = display_of(entry.concept, 1) or words
    return Printed(name, f"{name} ({asserted})", f"{name} ({asserted})", "", "", asserted, status, True)


def _medication(candidate: Candidate, level: Level, how: Wording) -> Printed:
    entry = candidate.entry
    assert isinstance(entry, Medication)
    status, negated = status_of(entry, how.calendar)
    if entry.none_asserted:
        return _none_asserted(entry, "No current medications", status, how)
    dosage = "; then ".join(d.text for d in entry.dosages if d.text)
    if not dosage and entry.dosages:
        first = entry.dosages[0]
        dose = f"{number(first.dose)} {unit_of(first.dose)}".strip() if first.dose else ""
        dosage = " ".join(p for p in (dose, first.route, first.frequency) if p)
    as_needed = any(d.as_needed for d in entry.dosages) and "need" not in dosage.lower()
    state = {"current": "", "historical": "stopped", "uncertain": "may not be current", "not_done": "Do NOT give"}
    over = entry.status if status == "historical" and entry.status in ("completed", "cancelled", "stopped") else ""
    ordered = [d for e in candidate.entries if (d := day(e.date, how.calendar))]
    when = _since(entry.start or entry.authored, entry.end, level, how.calendar)
    if len(ordered) > 1 and min(ordered)[:10] != max(ordered)[:10]:
        when = f"ordered {min(ordered)} to {max(ordered)}" if level < TIGHTEST else ""
    reasons = ", ".join(c.display for c in entry.reason)
    return _plain(
        display_of(entry.concept, level) or "Unnamed medication",
        over or ("NOT to be taken" if negated and status != "not_done" else state[status]),
        clean(entry.activity_reason, 80) if status == "uncertain" and level == 0 else "",
        clean(dosage, _DETAIL[level]),
        "as needed" if as_needed else "",
        "patient-reported" if entry.reported else "",
        f"for {clean(reasons, 60)}" if reasons and level == 0 else "",
        when if level < TIGHTEST or status == "historical" else "",
        status=status,
        negated=negated,
    )


def _observation(candidate: Candidate, level: Level, how: Wording) -> Printed:
    entry = candidate.entry
    assert isinstance(entry, Observation)
    status, negated = status_of(entry, how.calendar)
    value, unit = observed_value(entry, level)
    name = display_of(entry.concept, level) or "Unnamed observation"
    mark = abnormal_mark(entry)
    note = clean(entry.status, 20) if entry.status in ("preliminary", "registered", "cancelled", "corrected") else ""
    said = join(" ".join(p for p in (value, unit, mark) if p), note, day(entry.date, how.calendar))
    line = f"{'NOT present: ' if negated else ''}{name}: {said}"
    return Printed(name, line, line, value, unit, join(mark, note), status, negated)


def observed_value(entry: Observation, level: Level) -> tuple[str, str]:
    """Value as printed and its unit; components joined when the panel has no value of its own."""
    if entry.value is not None and (entry.value.as_sent or entry.value.value is not None):
        return number(entry.value), unit_of(entry.value)
    text = entry.value_concept.display if entry.value_concept else entry.value_text
    if text:
        return clean(text, _DETAIL[level]), ""
    parts = []
    for component in entry.components[: 12 if level == 0 else 6]:
        said = str(component.value) if component.value else component.value_text
        if component.value_concept:
            said = component.value_concept.display
        parts.append(f"{clean(component.concept.display, 50)} {clean(said, 60)}")
    if parts:
        more = len(entry.components) - len(parts)
        return "; ".join(parts) + (f"; and {more} more" if more > 0 else ""), ""
    reason = clean(entry.absent_reason, 40)
    return f"no value ({reason})" if reason else "no value", ""


def abnormal_mark(entry: Observation) -> str:
    """The interpretation as sent unless it says normal; `abnormal` when only the reference range says so."""
    code = clean(entry.interpretation, 12)
    if code and code.upper() not in ("N", "NORMAL"):
        return code
    return "abnormal" if entry.abnormal and not code else ""


def _encounter(candidate: Candidate, level: Level, how: Wording) -> Printed:
    entry = candidate.entry
    assert isinstance(entry, Encounter)
    status, negated = status_of(entry, how.calendar)
    kind = clean(_CODE_WORDS.get(entry.encounter_class, entry.encounter_class), 30)
    name = display_of(entry.concept, level) or kind or "Encounter"
    reasons = ", ".join(c.display for c in entry.reasons if c.display)
    odd = clean(entry.status, 20) if entry.status not in ("finished", "completed", "") else ""
    where = entry.service_provider.name if entry.service_provider else ""
    return _plain(
        name,
        kind if kind != name and level < TIGHTEST and entry.encounter_class != "AMB" else "",
        "telehealth" if entry.telehealth else "",
        odd,
        f"for {clean(reasons, _DETAIL[level])}" if reasons else "",
        clean(entry.disposition, 60) if level == 0 else "",
        clean(where, 50) if level == 0 else "",
        _event_span(entry.start, entry.end, how.calendar),
        status=status,
        negated=negated,
    )


def _event_span(start: str | None, end: str | None, calendar: Calendar) -> str:
    first, last = day(start, calendar), "" if calendar.after(end) else day(end, calendar)
    return f"{first} to {last}" if first and last and first != last else first or last


def _report(candidate: Candidate, level: Level, how: Wording) -> Printed:
    entry = candidate.entry
    assert isinstance(entry, Report)
    status, negated = status_of(entry, how.calendar)
    codes = ", ".join(c.display for c in entry.conclusion_codes if c.display)
    body = entry.conclusion or "\n".join(a.text for a in entry.attachments if a.readable)
    note = "" if entry.status in ("final", "") else clean(entry.status, 20)
    name = display_of(entry.concept, level) or "Report"
    lead = join(name, note, clean(codes, _DETAIL[level]), day(entry.date, how.calendar))
    detail = join(note, clean(codes, _DETAIL[level]))
    return _with_excerpt(name, lead, body, detail, status, negated, level, how)


def _note(candidate: Candidate, level: Level, how: Wording) -> Printed:
    entry = candidate.entry
    assert isinstance(entry, Note)
    status, negated = status_of(entry, how.calendar)
    name = display_of(entry.concept, level) or clean(entry.description, _DISPLAY[level]) or "Document"
    authors = ", ".join(a.name for a in entry.authors if a.name)
    odd = clean(entry.doc_status, 20) if entry.doc_status not in ("final", "") else ""
    unread = "" if entry.text else "text not readable here"
    author = clean(authors, 60) if level == 0 else ""
    lead = join(name, odd, unread, author, day(entry.date, how.calendar))
    return _with_excerpt(name, lead, entry.text, join(odd, unread, author), status, negated, level, how)


def _with_excerpt(
    name: str, lead: str, body: str, detail: str, status: str, negated: bool, level: Level, how: Wording
) -> Printed:
    """A title line and, fenced as data, the passage of `body` that fits the level."""
    passage = excerpt(body, how.excerpt_chars[level], how.terms)
    if not passage:
        return Printed(name, lead, lead, "", "", detail, status, negated)
    return Printed(
        name, f"{lead}: <{how.fence}>{passage}</{how.fence}>", passage, "", "", join(lead, detail), status, negated
    )


def excerpt(body: str, limit: int, terms: tuple[str, ...] = ()) -> str:
    """The beginning of `body`, or the part around the first of `terms`, as one safe line."""
    begin = 0
    if terms and len(body) > limit:
        lowered = body.lower()
        hits = [at for term in terms if (at := lowered.find(term)) >= 0]
        begin = max(0, min(hits) - limit // 3) if hits else 0
    passage = clean_passage(body[begin:] if begin else body, limit)
    return f"…{passage}" if begin and passage else passage


def _immunization(candidate: Candidate, level: Level, how: Wording) -> Printed:
    entry = candidate.entry
    assert isinstance(entry, Immunization)
    status, negated = status_of(entry, how.calendar)
    state = "NOT given" if negated else ("" if entry.given else "not confirmed as given")
    return _plain(
        display_of(entry.concept, level) or "Unnamed vaccine",
        state,
        clean(entry.status_reason, 60) if negated else "",
        f"dose {clean(entry.dose_number, 12)}" if entry.dose_number and level < TIGHTEST else "",
        day(entry.occurrence, how.calendar) or clean(entry.occurrence_text, 40),
        status=status,
        negated=negated,
    )


def _procedure(candidate: Candidate, level: Level, how: Wording) -> Printed:
    entry = candidate.entry
    assert isinstance(entry, Procedure)
    status, negated = status_of(entry, how.calendar)
    odd = clean(entry.status, 20) if entry.status not in ("completed", "", "not-done") else ""
    reasons = ", ".join(c.display for c in entry.reasons if c.display)
    return _plain(
        display_of(entry.concept, level) or "Unnamed procedure",
        "NOT done" if negated else odd,
        clean(entry.status_reason, 60) if negated else "",
        f"for {clean(reasons, 60)}" if reasons and level == 0 else "",
        clean(entry.body_site, 40) if level < TIGHTEST else "",
        clean(entry.outcome, 60) if level == 0 else "",
        _event_span(entry.performed, entry.performed_end, how.calendar) or clean(entry.performed_text, 40),
        status=status,
        negated=negated,
    )


def _care_plan(candidate: Candidate, level: Level, how: Wording) -> Printed:
    entry = candidate.entry
    assert isinstance(entry, CarePlan)
    status, negated = status_of(entry, how.calendar)
    name = clean(entry.title, _DISPLAY[level]) or display_of(entry.concept, level)
    name = name or clean(entry.description, _DISPLAY[level]) or "Care plan"
    steps = ", ".join(a.text for a in entry.activities if a.text)
    goals = ", ".join(g for g in entry.goals if g)
    return _plain(
        name,
        {"current": "", "historical": "over", "uncertain": "status uncertain"}.get(status, status),
        f"activities: {clean(steps, _DETAIL[level])}" if steps else "",
        f"goals: {clean(goals, _DETAIL[level])}" if goals and level < TIGHTEST else "",
        clean_passage(entry.narrative, _DETAIL[level]) if entry.narrative and not steps else "",
        _since(entry.start, ended(entry), level, how.calendar),
        status=status,
        negated=negated,
    )


_WRITERS: dict[str, Callable[[Candidate, Level, Wording], Printed]] = {
    "demographics": _person,
    "allergies": _allergy,
    "problems": _problem,
    "past_problems": _problem,
    "medications": _medication,
    "past_medications": _medication,
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

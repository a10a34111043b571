"""How the facts of the stable prefix are worded: the person, allergies, problems, medications."""

from __future__ import annotations

from collections.abc import Callable

from context_builder.facts import Candidate, status_of
from context_builder.facts_events import EVENT_WRITERS
from context_builder.facts_text import clean
from context_builder.facts_words import (
    DETAIL_CHARS,
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
    unit_of,
)
from models.record.dates import age_years
from models.record.entries import Allergy, AnyEntry, Demographics, Medication, Problem

_SEXES = {"M": "male", "F": "female", "248153007": "male", "248152002": "female"}


def wording(candidate: Candidate, level: Level, how: Wording) -> Printed:
    """The fact in words at `level`."""
    printed = _WRITERS[candidate.block](candidate, level, how)
    suffix = how.site_suffix(candidate.entries, level)
    return printed._replace(line=printed.line + suffix, suffix=suffix) if suffix else printed


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
    birth_sex = _SEXES.get(entry.birth_sex, clean(entry.birth_sex, 20))
    sex = clean(entry.gender, 20) or (f"birth sex {birth_sex}" if birth_sex else "sex not given")
    if birth_sex and entry.gender and birth_sex != entry.gender:
        sex += f" (birth sex {birth_sex})"
    language = f"language {clean(entry.languages[0], 40)}" if entry.languages and level == 0 else ""
    return plain(clean(entry.name, 80) or "Name not given", born, age, sex, died, language, status="", negated=False)


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
        clean(join(", ".join(m.display for m in r.manifestations) or r.description, r.severity), DETAIL_CHARS[level])
        for r in entry.reactions
    ]
    state = "" if status == "current" else {"historical": "no longer active", "uncertain": "status uncertain"}[status]
    verified = clean(entry.verification_status, 30) if entry.verification_status not in ("", "confirmed") else ""
    criticality = clean(entry.criticality, 20)
    return plain(
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
    return plain(
        display_of(entry.concept, level),
        state or clinical,
        verified,
        clean(entry.severity, 30) if level < TIGHTEST else "",
        clean(entry.body_site, 40) if level < TIGHTEST else "",
        when=since(onset, entry.abatement, level, how.calendar, over=status == "historical") or recorded,
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
    when = _course(entry, status, level, how)
    if len(ordered) > 1 and min(ordered) != max(ordered):
        when = f"ordered {min(ordered)} to {max(ordered)}"
    reasons = ", ".join(c.display for c in entry.reason)
    return plain(
        display_of(entry.concept, level) or "Unnamed medication",
        over or ("NOT to be taken" if negated and status != "not_done" else state[status]),
        clean(entry.activity_reason, 80) if status == "uncertain" and level == 0 else "",
        clean(dosage, DETAIL_CHARS[level]),
        "as needed" if as_needed else "",
        "patient-reported" if entry.reported else "",
        f"for {clean(reasons, 60)}" if reasons and level == 0 else "",
        when=when if level < TIGHTEST or status == "historical" else "",
        status=status,
        negated=negated,
    )


def _course(entry: Medication, status: str, level: Level, how: Wording) -> str:
    """From when to when. The day an order was written is not the day somebody began to take the drug."""
    if entry.start or not entry.authored:
        return since(entry.start, entry.end, level, how.calendar, over=status == "historical")
    cut = 4 if level >= TIGHTEST else 10
    written = day(entry.authored, how.calendar)[:cut]
    end = "" if how.calendar.after(entry.end) else day(entry.end, how.calendar)[:cut]
    return ", ".join(p for p in (f"ordered {written}" if written else "", f"until {end}" if end else "") if p)


_WRITERS: dict[str, Callable[[Candidate, Level, Wording], Printed]] = {
    "demographics": _person,
    "allergies": _allergy,
    "problems": _problem,
    "past_problems": _problem,
    "medications": _medication,
    "past_medications": _medication,
    **EVENT_WRITERS,
}

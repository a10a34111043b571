"""How the facts of the stable prefix are worded: the person, allergies, problems, medications."""

from __future__ import annotations

import re
from collections.abc import Callable

from context_builder.facts import Candidate, status_of
from context_builder.facts_events import EVENT_WRITERS
from context_builder.facts_text import clean, numbers_in
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
from models.record.entries import Allergy, AnyEntry, Demographics, Dosage, Medication, Problem
from models.terminology.clinical import negative_scope

_SEXES = {"M": "male", "F": "female", "248153007": "male", "248152002": "female"}


def wording(candidate: Candidate, level: Level, how: Wording) -> Printed:
    """The fact in words at `level`."""
    printed = _WRITERS[candidate.block](candidate, level, how)
    if candidate.entry.has_flag("unread_modifier"):
        printed = _modified(printed)
    suffix = how.site_suffix(candidate.entries, level)
    return printed._replace(line=printed.line + suffix, suffix=suffix) if suffix else printed


_MODIFIED = "meaning changed at the source, see there"


def _modified(printed: Printed) -> Printed:
    """FHIR forbids to act on a resource whose modifierExtension one cannot read; it may even say the opposite."""
    return printed._replace(
        line=f"{printed.line}; {_MODIFIED}",
        text=f"{printed.text}; {_MODIFIED}",
        detail=join(printed.detail, _MODIFIED),
        head="",
    )


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
        return _none_asserted(entry, none_of(entry), status, how)
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
    if status == "historical":
        asserted = f"no longer stated; {asserted}"
    name = display_of(entry.concept, 1)
    name = name if any(c.isalpha() for c in name) else words
    line = f"{name} ({asserted})"
    return Printed(name, line, line, "", "", asserted, status, status != "historical")


_NONE_OF = {
    "": "No known allergies",
    "medication": "No known drug allergies",
    "food": "No known food allergies",
    "environment": "No known environmental allergies",
    "other": "No known allergies of one kind",
}


def none_of(entry: Allergy) -> str:
    """What an explicit negative denies that came as a bare code; "no known drug allergies" says nothing of peanuts."""
    return _NONE_OF[negative_scope([(c.system, c.code) for c in entry.concept.codings], entry.concept.display)]


def _instruction(dosage: Dosage) -> str:
    """How it is to be taken: as written, led by the coded amount and timing where the words leave the amount out.

    `as directed` and `with food` beside a coded dose are common; words that name another amount than the code are told
    beside it, and the reader sees both.
    """
    amount = f"{number(dosage.dose)} {unit_of(dosage.dose)}".strip() if dosage.dose else ""
    if not dosage.text:
        return " ".join(p for p in (amount, dosage.route, dosage.frequency) if p)
    value = dosage.dose.value if dosage.dose else None
    spelled = {_SPELLED[word] for word in _WORD.findall(dosage.text.lower()) if word in _SPELLED}
    if value is None or value in spelled or value in numbers_in(dosage.text):
        return dosage.text
    timing = "" if dosage.frequency.lower() in dosage.text.lower() else dosage.frequency
    return "; ".join((", ".join(p for p in (amount, timing) if p), dosage.text))


_WORD = re.compile(r"[a-z]+")
_SPELLED = {"half": 0.5, "a": 1.0, "an": 1.0, "one": 1.0, "two": 2.0, "three": 3.0, "four": 4.0}
"""Small amounts as instructions spell them."""


def _medication(candidate: Candidate, level: Level, how: Wording) -> Printed:
    entry = candidate.entry
    assert isinstance(entry, Medication)
    status, negated = status_of(entry, how.calendar)
    if entry.none_asserted:
        return _none_asserted(entry, "No current medications", status, how)
    dosage = "; then ".join(said for d in entry.dosages if (said := _instruction(d)))
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
        "see recorded allergy" if entry.has_flag("allergy_conflict") and not negated else "",
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

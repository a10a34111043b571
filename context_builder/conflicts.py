"""Sources that disagree, in words: what about, and what each side says. Nothing is resolved."""

from __future__ import annotations

from collections.abc import Sequence

from context_builder.facts import Candidate, ended, status_of
from context_builder.facts_events import observed_value
from context_builder.facts_lines import none_of
from context_builder.facts_text import clean
from context_builder.facts_words import TIGHTEST, Level, Wording, day, display_of
from models.record.chart import Conflict
from models.record.entries import Allergy, Demographics, Medication, Observation, Problem

_WORDS = {
    "active_vs_stopped": "Current in one source, over in another",
    "allergy_vs_none": "An allergy in one source, no known allergies in another",
    "different_values": "Different values for the same measurement",
    "different_dose": "Different instructions for the same drug",
    "demographics": "Identity data differ",
}
_SIDE_CHARS = (140, 110, 80)


def conflict_text(conflict: Conflict, sides: Sequence[Candidate], level: Level, how: Wording) -> str:
    """What the sources disagree about; each side in the order of `sides`, as far as the level has room."""
    words = _WORDS[conflict.kind]
    subject = _subject(conflict, sides, level)
    told = " / ".join(clean(_side(conflict, side, level, how), _SIDE_CHARS[level]) for side in sides)
    return ": ".join(p for p in (words, subject, told) if p)


def _subject(conflict: Conflict, sides: Sequence[Candidate], level: Level) -> str:
    """The drug, problem or measurement it is about, named once when the sides share it."""
    if conflict.kind in ("allergy_vs_none", "demographics", "different_dose"):
        return ""  # each side names its own
    return sides[0].label or display_of(sides[0].entry.concept, max(level, 1))


def _side(conflict: Conflict, candidate: Candidate, level: Level, how: Wording) -> str:
    """What one side says, and who says it."""
    entry = candidate.entry
    where = f"at {clean(entry.site, 40)}"
    if isinstance(entry, Observation):
        value, unit = observed_value(entry, TIGHTEST)
        return " ".join(p for p in (value, unit, where, day(entry.date, how.calendar)) if p)
    if isinstance(entry, Demographics):
        born = day(entry.birth_date, how.calendar)
        parts = [f"born {born}" if born else "", clean(entry.gender, 20), "deceased" if entry.deceased else ""]
        return " ".join(p for p in (", ".join(p for p in parts if p), where) if p)
    if isinstance(entry, Medication) and not entry.none_asserted:
        dose = clean("; then ".join(d.text for d in entry.dosages if d.text), 60) if level < TIGHTEST else ""
        what = display_of(entry.concept, level) if conflict.kind == "different_dose" else _state(candidate, how)
        return ", ".join(p for p in (f"{what} {where}", dose) if p)
    if isinstance(entry, Problem) and not entry.none_asserted:
        end = "" if how.calendar.after(ended(entry)) else day(ended(entry), how.calendar)
        return ", ".join(p for p in (f"{_state(candidate, how)} {where}", f"until {end}" if end else "") if p)
    if isinstance(entry, Allergy) and entry.none_asserted:
        name = display_of(entry.concept, 1)
        return f"{name if any(c.isalpha() for c in name) else none_of(entry)} {where}"
    return f"{display_of(entry.concept, 1)} {where}"


def _state(candidate: Candidate, how: Wording) -> str:
    status, negated = status_of(candidate.entry, how.calendar)
    if negated:
        return "not taken" if isinstance(candidate.entry, Medication) else "not present"
    over = "stopped" if isinstance(candidate.entry, Medication) else "over"
    return {"historical": over, "uncertain": "status uncertain"}.get(status, status)

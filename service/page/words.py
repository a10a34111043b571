"""How the page words what it knows: sections, coverage states, absence, ages of data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from models.record import Coverage, CoverageState, Section

SECTION_TITLES: dict[Section, str] = {
    "demographics": "Identity",
    "allergies": "Allergies",
    "problems": "Problems",
    "medications": "Medications",
    "vitals": "Vital signs",
    "labs": "Laboratory",
    "social_history": "Social history",
    "assessments": "Assessments",
    "encounters": "Encounters",
    "reports": "Reports",
    "immunizations": "Immunizations",
    "procedures": "Procedures",
    "care_plans": "Care plans",
    "notes": "Notes",
}
STATE_WORDS: dict[CoverageState, str] = {
    "present": "received",
    "none_asserted": "source states none",
    "empty": "asked, nothing returned",
    "not_supported": "not offered by site",
    "not_authorized": "access not permitted",
    "failed": "could not be read",
    "not_queried": "not asked",
    "stale": "out of date",
    "truncated": "cut short, more exists",
    "filtered": "left out by policy",
}
STATE_TONE: dict[CoverageState, str] = {
    "present": "good",
    "none_asserted": "good",
    "empty": "calm",
    "not_supported": "unsure",
    "not_authorized": "bad",
    "failed": "bad",
    "not_queried": "unsure",
    "stale": "warn",
    "truncated": "warn",
    "filtered": "warn",
}

KIND_TITLES = {
    "identity": "Who",
    "coverage": "What could not be read",
    "allergy": "Allergies",
    "conflict": "Contradictions",
    "problem": "Problems",
    "medication": "Medications",
    "result": "Results",
    "finding": "Findings",
    "event": "Events",
    "gap": "Open care",
}
FLAG_WORDS = {
    "stale_active": "active, but old",
    "conflicts_with": "contradicted",
    "allergy_conflict": "drug against a recorded allergy",
    "same_problem": "listed in several places",
    "likely_over": "active, but probably over",
    "unlisted_problem": "no problem named for it",
    "same_drug": "same drug twice",
    "same_class": "several of one class",
    "missing_results": "results missing",
    "future_date": "dated in the future",
    "implausible_value": "implausible",
    "invalid_date": "unreadable date",
    "uncertain_mapping": "code uncertain",
    "unknown_code": "code unknown to its system",
    "computed_value": "calculated",
    "status_conflict": "status unclear",
    "refuted": "ruled out",
    "negated": "not done",
    "entered_in_error": "entered in error",
    "duplicate_of": "duplicate",
}
REASON_WORDS = {
    "budget": "no room in the budget",
    "window": "older than the window",
    "duplicate": "the same fact is already shown",
    "superseded": "a newer fact replaces it",
    "entered_in_error": "taken back by its source",
    "policy": "left out by policy",
    "unreadable": "could not be read",
}
ACTIVITY_WORDS = {"active": "current", "uncertain": "uncertain", "historical": "past"}


def absence(section: Section, coverage: Sequence[Coverage]) -> str:
    """What to say where a section has no entries. Only an explicit statement of a source is worded as a negative."""
    lines = [c for c in coverage if c.section == section]
    title = SECTION_TITLES[section].lower()
    if not lines:
        return f"Nothing is known about {title}: no site was asked."
    asserted = [c.site for c in lines if c.state == "none_asserted"]
    others = [c for c in lines if c.state != "none_asserted"]
    said = [f"{', '.join(asserted)}: the source states that there are none"] if asserted else []
    said += [f"{c.site}: {STATE_WORDS[c.state]}{f' ({c.reason})' if c.reason else ''}" for c in others]
    return f"No {title} to show. " + "; ".join(said) + "."


def ago(instant: str, now: datetime) -> str:
    """How long ago, in the largest fitting unit; the instant itself where it cannot be read."""
    if not instant:
        return "never"
    try:
        then = datetime.fromisoformat(instant.replace("Z", "+00:00"))
    except ValueError:
        return instant
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    seconds = max(int((now - then).total_seconds()), 0)
    for size, word in ((86_400 * 365, "year"), (86_400 * 30, "month"), (86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {word}{'s' if count != 1 else ''} ago"
    return "just now"


def day(value: str | None) -> str:
    """A date as precise as it is known, without its clock time."""
    return value[:10] if value else ""

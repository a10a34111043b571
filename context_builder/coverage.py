"""What is not known, in words. Absence is never worded as a negative: only `none_asserted` is one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from context_builder.facts_lines import Level, Wording, day
from context_builder.facts_text import clean
from models.record.coverage import Coverage

_STATES = {
    "failed": "Query failed (unknown)",
    "not_authorized": "Access refused (unknown)",
    "truncated": "Cut off by a limit, there may be more",
    "stale": "May be out of date",
    "not_queried": "Not asked (unknown)",
    "not_supported": "Not offered by the site (unknown)",
    "filtered": "Left out by policy",
    "empty": "Asked, nothing returned",
    "none_asserted": "Asserted by the source to be none",
}
_LOST = "Incomplete"
_REASON_CHARS = (60, 30, 0)


def words(section: str) -> str:
    """A section's name as printed."""
    return section.replace("_", " ")


def silence(section: str, rows: Sequence[Coverage], how: Wording) -> str:
    """What to say where a section of the prefix has no fact to show."""
    parts = [f"{clean(row.site, 40) or 'the record'}: {_said(row, how)}" for row in rows if row.section == section]
    said = "; ".join(parts) or "nothing is known about this section"
    return f"- {words(section).capitalize()} - {said}."


def _said(row: Coverage, how: Wording) -> str:
    """What happened at one site, for a section that shows no fact."""
    when = day(row.as_of, how.calendar)
    if row.state == "none_asserted":
        what = {"allergies": "No known allergies", "problems": "No known problems"}.get(row.section, "none")
        return f"{what} (asserted by {clean(row.site, 40)}{f' on {when}' if when else ''})"
    if row.state == "present":
        return "answered, but no entry can be shown here"
    if row.state == "empty":
        return "asked, nothing returned; this does not say there is none"
    said = _STATES[row.state].removesuffix(" (unknown)").lower()
    return f"{said}; status unknown"


def coverage_block(rows: Sequence[Coverage], level: Level, how: Wording) -> list[str]:
    """The coverage lines: everything that is not fully present, grouped by what happened."""
    grouped: dict[str, dict[tuple[str, str], list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row.section == "demographics" and row.state in ("empty", "not_queried"):
            continue
        site = how.sites.get(row.site, "") if len(how.sites) > 1 else ""
        if row.state != "present":
            grouped[_STATES[row.state]][(_detail(row, level, how), words(row.section))].append(site)
        if row.missing or row.quarantined:
            lost = [f"{row.missing} not received"] if row.missing else []
            lost += [f"{row.quarantined} unreadable"] if row.quarantined else []
            grouped[_LOST][(", ".join(lost), words(row.section))].append(site)
    titles = (*_STATES.values(), _LOST)
    return [f"- {title}: {'; '.join(_group(grouped[title]))}." for title in titles if title in grouped]


def _detail(row: Coverage, level: Level, how: Wording) -> str:
    """Why, or since when, as far as the level has room."""
    limit = _REASON_CHARS[level]
    reason = clean(row.reason, limit) if limit else ""
    when = day(row.as_of, how.calendar) if row.state in ("stale", "none_asserted") else ""
    return ", ".join(p for p in (f"as of {when}" if when else "", reason) if p)


def _group(sections: dict[tuple[str, str], list[str]]) -> list[str]:
    """Sections that share sites and detail, in one piece: `labs, notes (A, B: HTTP 503)`."""
    merged: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (detail, section), sites in sections.items():
        merged[(", ".join(sorted({s for s in sites if s})), detail)].append(section)
    pieces = []
    for (letters, detail), names in merged.items():
        note = ": ".join(p for p in (letters, detail) if p)
        pieces.append(", ".join(dict.fromkeys(names)) + (f" ({note})" if note else ""))
    return pieces

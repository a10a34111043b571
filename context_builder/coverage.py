"""What is not known, in words. Absence is never worded as a negative: only `none_asserted` is one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from context_builder.facts_text import clean
from context_builder.facts_words import Level, Wording, day
from models.record.coverage import Coverage

_STATES = {
    "failed": "Could not be read (unknown)",
    "not_authorized": "Access refused (unknown)",
    "truncated": "Cut off by a limit, there may be more",
    "stale": "May be out of date",
    "not_queried": "Not asked (unknown)",
    "not_supported": "Not offered by the site (unknown)",
    "filtered": "Left out by policy",
    "empty": "Asked, nothing returned",
    "none_asserted": "Asserted by the source to be none",
}
_DOCUMENTS = "Said by the document not to be known"
_AS_TEXT = "Written as text only, not as entries"
_LOST = "Incomplete"
_PARTLY = "Asked in part, the rest is unknown"
_SAID = {
    "failed": "could not be read",
    "not_authorized": "access refused",
    "truncated": "cut off by a limit",
    "stale": "may be out of date",
    "not_queried": "not asked",
    "not_supported": "not offered by the site",
    "filtered": "left out by policy",
    "empty": "asked, nothing returned",
}
_NEGATIVES = {
    "allergies": "No known allergies",
    "problems": "No known problems",
    "medications": "No current medications",
}
_REASON_CHARS = (60, 30, 0)
_UNASKED_CHARS = 90


def words(section: str) -> str:
    """A section's name as printed."""
    return section.replace("_", " ")


def silence(section: str, rows: Sequence[Coverage], level: Level, how: Wording) -> list[str]:
    """What to say where a section of the prefix has no fact to show."""
    here = [row for row in rows if row.section == section]
    lines = [f"- {_asserted(row, how)}." for row in here if row.state == "none_asserted"]
    others = _by_words([(row, _said(row, level, how)) for row in here if row.state != "none_asserted"])
    if others or not here:
        lines.append(f"- Unknown: {others or 'nothing is known about this section'}.")
    return lines


def identity(rows: Sequence[Coverage], level: Level, how: Wording) -> str:
    """What to say where nothing tells who the patient is."""
    said = _by_words([(row, _said(row, level, how)) for row in rows if row.section == "demographics"])
    return f"Identity is unknown: {said or 'nothing is known about it'}."


def gaps(section: str, rows: Sequence[Coverage], level: Level, how: Wording) -> list[str]:
    """What to say under the facts of a prefix section when some site could not tell all it has."""
    troubled = [(row, _said(row, level, how)) for row in rows if row.section == section and is_gap(row)]
    return [f"- May be incomplete: {_by_words(troubled)}."] if troubled else []


def is_gap(row: Coverage) -> bool:
    """Whether the site may have more to say than it did."""
    told = row.missing > 0 or row.quarantined > 0 or bool(row.told)
    return told or row.state not in ("present", "none_asserted", "empty")


def _asserted(row: Coverage, how: Wording) -> str:
    """The negative of a source that stated it; the only negative there is."""
    what = _NEGATIVES.get(row.section, f"{words(row.section).capitalize()}: asserted to be none")
    when = day(row.as_of, how.calendar)
    return f"{what} (asserted by {clean(row.site, 40)}{f' on {when}' if when else ''})"


def _said(row: Coverage, level: Level, how: Wording) -> str:
    """What happened at one site, and why."""
    lost = _lost(row)
    if row.told:
        return ", ".join(p for p in (_told(row, level), lost) if p)
    if row.state == "present":
        return lost or "answered, but nothing it sent can be listed here"
    detail = _detail(row, level, how) if row.state != "not_queried" else ""
    return ", ".join(p for p in (_SAID.get(row.state, ""), detail, lost) if p)


def _told(row: Coverage, level: Level) -> str:
    """What a document says of a section without entries, and where, as far as the level has room: "the document says: no
    information" is neither "none known" nor "not asked"."""
    limit = _REASON_CHARS[level]
    where = clean(row.reason, limit) if limit and row.state == "present" else ""
    said = clean(row.told, 60)
    return "; ".join(p for p in (said if row.state == "present" else f"the document says: {said}", where) if p)


def _lost(row: Coverage) -> str:
    lost = [f"{row.missing} not received"] if row.missing else []
    return ", ".join(lost + ([f"{row.quarantined} unreadable"] if row.quarantined else []))


def _by_words(said: Sequence[tuple[Coverage, str]]) -> str:
    """`not asked (A, B); could not be read (C)`."""
    sites: dict[str, list[str]] = defaultdict(list)
    for row, what in said:
        sites[what].append(clean(row.site, 40) or "the record")
    return "; ".join(f"{what} ({', '.join(dict.fromkeys(where))})" for what, where in sites.items())


def coverage_block(
    rows: Sequence[Coverage], level: Level, how: Wording, told: frozenset[tuple[str, str]] = frozenset()
) -> list[str]:
    """The coverage lines: everything that is not fully present, grouped by what happened.

    `told` are the (section, site) whose state stands with the section itself.
    """
    grouped: dict[str, dict[tuple[str, str], list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if (row.section, row.site) in told:
            continue
        if row.section == "demographics" and row.state in ("empty", "not_queried"):
            continue
        site = how.sites.get(row.site, "") if len(how.sites) > 1 else ""
        if row.told:
            grouped[_DOCUMENTS if row.state != "present" else _AS_TEXT][
                (_where(row, level), words(row.section))
            ].append(site)
        elif row.state != "present":
            grouped[_STATES[row.state]][(_detail(row, level, how), words(row.section))].append(site)
        if row.missing or row.quarantined:
            grouped[_LOST][(_lost(row), words(row.section))].append(site)
        if row.unasked and row.state == "present":  # in other states the reason tells it
            parts = f"not {', '.join(row.unasked)}" if _REASON_CHARS[level] else ""
            grouped[_PARTLY][(clean(parts, _UNASKED_CHARS), words(row.section))].append(site)
    titles = (*_STATES.values(), _DOCUMENTS, _AS_TEXT, _PARTLY, _LOST)
    return [f"- {title}: {'; '.join(_group(grouped[title]))}." for title in titles if title in grouped]


def _where(row: Coverage, level: Level) -> str:
    """The section of the document, or its way of not knowing."""
    limit = _REASON_CHARS[level]
    if row.state != "present":
        return clean(row.told, 60)
    return clean(row.reason, limit) if limit else ""


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

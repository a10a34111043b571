"""The values of the patient page: a pure function of the chart, its context document and its summary."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from context_builder.document import ContextDocument, Summary
from models.record import SECTIONS, Chart, Coverage, Observation, Result, Vital
from models.record.dates import age_years
from service.page.items import Item, Keys, href, listings, title
from service.page.pivot import pivot
from service.page.places import with_referred
from service.page.source import Source, origins, source
from service.page.words import (
    KIND_TITLES,
    REASON_WORDS,
    SECTION_TITLES,
    STATE_TONE,
    STATE_WORDS,
    absence,
    ago,
    day,
)

MOST_OMITTED = 300
MOST_SOURCES = 40
ANSWERED = ("present", "none_asserted", "empty")
"""States in which a section can be read as what the site had to say."""


@dataclass(frozen=True)
class Statement:
    """One sentence of the summary; `href` is empty where it rests on coverage and not on a resource."""

    text: str
    keys: tuple[str, ...]
    source: str
    href: str


@dataclass(frozen=True)
class Chip:
    """Coverage of one section at one site."""

    title: str
    state: str
    words: str
    tone: str
    count: int
    reason: str


@dataclass(frozen=True)
class SiteCoverage:
    """Coverage of one site; `unknown` are the sections of which it did not give all, with why."""

    site: str
    updated: str
    updated_at: str
    chips: tuple[Chip, ...]
    unknown: tuple[str, ...]


def page(chart: Chart, document: ContextDocument, summary: Summary, *, now: datetime | None = None) -> dict[str, Any]:
    """Everything the template shows."""
    moment = now or datetime.now(UTC)
    keys = _keys(document)
    sites = coverage(chart, moment)
    lists = listings(chart, keys)
    return {
        "chart": chart,
        "person": identity(chart, moment),
        "sites": sites,
        "gap_count": sum(len(s.unknown) for s in sites),
        "summary": statements(summary, document),
        "summary_state": summary,
        "conflicts": conflicts(chart, keys),
        "lists": {found.id: found for found in lists},
        "others": [found for found in lists if found.id not in ("allergies", "problems", "medications")],
        "vitals": _pivot(chart, chart.of(Vital), keys),
        "labs": _pivot(chart, chart.of(Result), keys),
        "vitals_absent": absence("vitals", chart.coverage),
        "labs_absent": absence("labs", chart.coverage),
        "omitted": omitted(chart, document),
        "document": document,
    }


def identity(chart: Chart, now: datetime) -> dict[str, Any]:
    """The header: names, birth, sex, identifiers; where sources differ, every version is shown."""
    people = [d for d in chart.demographics if not d.superseded]
    births = sorted({d.birth_date for d in people if d.birth_date})
    died = [d for d in people if d.deceased or d.deceased_date]
    until = _first(d.deceased_date or "" for d in died) or ("" if died else now.date().isoformat())
    age = age_years(births[0], until) if len(births) == 1 and until else None
    name = _first(d.name for d in people)
    numbers = {
        (o.site, i.value) for d in people for o in d.origins for i in d.identifiers if i.type == "MR" and i.value
    }
    return {
        "name": name or "Name not on record",
        "other_names": sorted({d.name for d in people if d.name} - {name}),
        "births": births,
        "age": age,
        "genders": sorted({d.gender for d in people if d.gender}),
        "deceased": _first(day(d.deceased_date) or "date not on record" for d in died),
        "identifiers": sorted(numbers),
        "languages": _first(", ".join(d.languages) for d in people if d.languages),
        "href": href(chart.patient_id, [d.id for d in people]),
    }


def coverage(chart: Chart, now: datetime) -> tuple[SiteCoverage, ...]:
    """Coverage by site: each section with its state in words."""
    order = {section: i for i, section in enumerate(SECTIONS)}
    by_site = defaultdict(list)
    for line in chart.coverage:
        by_site[line.site].append(line)
    found = []
    for site, lines in sorted(by_site.items()):
        lines.sort(key=lambda c: order[c.section])
        newest = max((c.as_of for c in lines if c.as_of), default="")
        unknown = tuple(_unknown(c) for c in lines if c.state not in ANSWERED or c.missing or c.quarantined or c.told)
        found.append(SiteCoverage(site, ago(newest, now), newest, tuple(_chip(c) for c in lines), unknown))
    return tuple(found)


def statements(summary: Summary, document: ContextDocument) -> list[tuple[str, list[Statement]]]:
    """Shown statements, grouped by kind in the order in which the summary has them."""
    facts = {fact.key: fact for fact in document.facts}
    groups: dict[str, list[Statement]] = {}
    for statement in summary.statements:
        entry_ids = [i for key in statement.cites if key in facts for i in facts[key].entry_ids]
        made = Statement(statement.text, statement.cites, statement.source, href(document.patient_id, entry_ids))
        groups.setdefault(KIND_TITLES.get(statement.kind, "Findings"), []).append(made)
    return list(groups.items())


def conflicts(chart: Chart, keys: Keys) -> list[Item]:
    """Contradictions between sources, both sides openable."""
    found = []
    for conflict in chart.conflicts:
        sides = [e for e in (chart.get(i) for i in conflict.entry_ids) if e is not None]
        names = list(dict.fromkeys(title(e) for e in sides))
        found.append(
            Item(
                title=" / ".join(names[:3]),
                detail=conflict.detail or conflict.kind.replace("_", " "),
                date="",
                status=conflict.kind.replace("_", " "),
                remarks=(),
                sites=tuple(sorted({o.site for e in sides for o in e.origins})),
                keys=tuple(k for e in sides for k in keys.get(e.id, ())),
                href=href(chart.patient_id, [e.id for e in sides]),
            )
        )
    return found


def omitted(chart: Chart, document: ContextDocument) -> dict[str, Any]:
    """What the summary's context left out, by reason, each openable."""
    entries = {e.id: e for e in chart.entries}
    titles = {str(section): words for section, words in SECTION_TITLES.items()}
    rows = []
    for left in document.omitted[:MOST_OMITTED]:
        entry = entries.get(left.entry_id)
        rows.append(
            {
                "title": title(entry) if entry else left.reference,
                "date": day(entry.date) if entry else "",
                "section": titles.get(left.section, left.section),
                "reason": REASON_WORDS.get(left.reason, left.reason),
                "href": href(chart.patient_id, [entry.id]) if entry else "",
            }
        )
    reasons = Counter(left.reason for left in document.omitted)
    return {
        "rows": rows,
        "more": len(document.omitted) - len(rows),
        "total": len(document.omitted),
        "reasons": [(REASON_WORDS.get(reason, reason), count) for reason, count in reasons.most_common()],
    }


def sources(
    chart: Chart, entry_ids: Sequence[str], content_of: Callable[[str, str, str, str], bytes | None]
) -> tuple[list[Source], int]:
    """The sources behind entries, and of what a report or a visit of a document refers to in it; how many more there are than
    are shown.

    `content_of(site, type, id, version)` gives the bytes, None when they are gone.
    """
    by_id = {e.id: e for e in chart.entries}
    found = origins(with_referred(chart, [by_id[i] for i in dict.fromkeys(entry_ids) if i in by_id]))
    shown = [
        source(title(entry), o, content_of(o.site, o.resource_type, o.resource_id, o.version), content_of)
        for entry, o in found[:MOST_SOURCES]
    ]
    return shown, len(found) - len(shown)


def _pivot(chart: Chart, observations: Sequence[Observation], keys: Keys) -> dict[str, Any]:
    table = pivot(observations, lambda entry_id: keys.get(entry_id, ()))
    return {
        "days": table.days,
        "total": table.total,
        "rows": [
            {"row": row, "cells": [(c, href(chart.patient_id, c.entry_ids) if c else "") for c in row.cells]}
            for row in table.rows
        ],
    }


def _keys(document: ContextDocument) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for fact in document.facts:
        for entry_id in fact.entry_ids:
            found[entry_id] = (*found.get(entry_id, ()), fact.key)
    return found


def _chip(line: Coverage) -> Chip:
    tone = STATE_TONE[line.state]
    return Chip(SECTION_TITLES[line.section], line.state, STATE_WORDS[line.state], tone, line.stored, _gap_reason(line))


def _unknown(line: Coverage) -> str:
    words = STATE_WORDS[line.state] if line.state not in ANSWERED else "not complete"
    return f"{SECTION_TITLES[line.section]} ({words})"


def _gap_reason(line: Coverage) -> str:
    extra = []
    if line.quarantined:
        extra.append(f"{line.quarantined} unreadable, kept in quarantine")
    if line.missing:
        extra.append(f"{line.missing} reported but not received")
    return "; ".join(part for part in (line.told, line.reason, *extra) if part)


def _first(values: Iterable[str]) -> str:
    return next((v for v in values if v), "")

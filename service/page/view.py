"""The values of the patient page: a pure function of the chart, its context document and its summary."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from context_builder.document import ContextDocument, Summary
from models.record import (
    SECTIONS,
    Allergy,
    AnyEntry,
    CarePlan,
    Chart,
    Demographics,
    Encounter,
    Immunization,
    Medication,
    Note,
    Origin,
    Problem,
    Procedure,
    Report,
    Result,
    Section,
    SocialHistory,
    Vital,
)
from models.record.dates import age_years
from service.page.pivot import Pivot, pivot
from service.page.words import SECTION_TITLES, STATE_TONE, STATE_WORDS, absence, ago, day

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
    "future_date": "dated in the future",
    "implausible_value": "implausible",
    "invalid_date": "unreadable date",
    "uncertain_mapping": "code uncertain",
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
MOST_OMITTED = 300


@dataclass(frozen=True)
class Item:
    """One line of a list: what, how, when, from where, and what opens when it is clicked."""

    title: str
    detail: str
    date: str
    status: str
    remarks: tuple[str, ...]
    sites: tuple[str, ...]
    keys: tuple[str, ...]
    sources: str


@dataclass(frozen=True)
class Listing:
    """A section of the page. `absent` is said when there is nothing current to show."""

    id: str
    title: str
    current: tuple[Item, ...]
    past: tuple[Item, ...]
    past_title: str
    absent: str


@dataclass(frozen=True)
class Statement:
    """One sentence of the summary."""

    text: str
    keys: tuple[str, ...]
    source: str
    sources: str


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
    """Coverage of one site."""

    site: str
    updated: str
    updated_at: str
    chips: tuple[Chip, ...]
    gaps: int


def page(chart: Chart, document: ContextDocument, summary: Summary, *, now: datetime | None = None) -> dict[str, Any]:
    """Everything the template shows."""
    moment = now or datetime.now(UTC)
    keys = _keys(document)
    sites = coverage(chart, moment)
    return {
        "chart": chart,
        "person": identity(chart, moment),
        "sites": sites,
        "gap_count": sum(s.gaps for s in sites),
        "summary": statements(summary, document),
        "summary_state": summary,
        "conflicts": conflicts(chart, keys),
        "listings": listings(chart, keys),
        "vitals": _pivot(chart.of(Vital), keys),
        "labs": _pivot(chart.of(Result), keys),
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
    return {
        "name": _first(d.name for d in people) or "Name not on record",
        "other_names": sorted({d.name for d in people if d.name} - {_first(d.name for d in people)}),
        "births": births,
        "age": age,
        "genders": sorted({d.gender for d in people if d.gender}),
        "deceased": _first(day(d.deceased_date) or "date not on record" for d in died),
        "identifiers": sorted(
            {
                (o.site, i.type or "identifier", i.value)
                for d in people
                for o in d.origins
                for i in d.identifiers
                if i.type == "MR"
            }
        ),
        "languages": _first(", ".join(d.languages) for d in people if d.languages),
        "sources": sources(o for d in people for o in d.origins),
    }


def coverage(chart: Chart, now: datetime) -> tuple[SiteCoverage, ...]:
    """Coverage by site: each section with its state in words."""
    order = {section: i for i, section in enumerate(SECTIONS)}
    by_site = defaultdict(list)
    for line in chart.coverage:
        by_site[line.site].append(line)
    found = []
    for site, lines in sorted(by_site.items()):
        chips = tuple(
            Chip(
                SECTION_TITLES[c.section], c.state, STATE_WORDS[c.state], STATE_TONE[c.state], c.stored, _gap_reason(c)
            )
            for c in sorted(lines, key=lambda c: order[c.section])
        )
        newest = max((c.as_of for c in lines if c.as_of), default="")
        gaps = sum(
            c.state not in ("present", "none_asserted", "empty") or bool(c.missing or c.quarantined) for c in lines
        )
        found.append(SiteCoverage(site, ago(newest, now), newest, chips, gaps))
    return tuple(found)


def statements(summary: Summary, document: ContextDocument) -> list[tuple[str, list[Statement]]]:
    """Shown statements, grouped by kind in the order in which the summary has them."""
    facts = {fact.key: fact for fact in document.facts}
    groups: dict[str, list[Statement]] = {}
    for statement in summary.statements:
        cited = [facts[key] for key in statement.cites if key in facts]
        rows = [
            {"site": o.site, "reference": o.reference, "path": o.path, "version": o.version, "retrieved": o.retrieved,
             "method": o.method, "key": fact.key, "label": fact.display}
            for fact in cited
            for o in fact.origin
        ]  # fmt: skip
        title = KIND_TITLES.get(statement.kind, "Findings")
        groups.setdefault(title, []).append(
            Statement(statement.text, statement.cites, statement.source, json.dumps(rows, ensure_ascii=False))
        )
    return list(groups.items())


def conflicts(chart: Chart, keys: dict[str, tuple[str, ...]]) -> list[Item]:
    """Contradictions between sources, both sides openable."""
    found = []
    for conflict in chart.conflicts:
        sides = [e for e in (chart.get(i) for i in conflict.entry_ids) if e is not None]
        names = list(dict.fromkeys(_title(e) for e in sides))
        found.append(
            Item(
                title=" / ".join(names[:3]),
                detail=conflict.detail or conflict.kind.replace("_", " "),
                date="",
                status=conflict.kind.replace("_", " "),
                remarks=(),
                sites=tuple(sorted({o.site for e in sides for o in e.origins})),
                keys=tuple(k for e in sides for k in keys.get(e.id, ())),
                sources=sources(o for e in sides for o in e.origins),
            )
        )
    return found


def listings(chart: Chart, keys: dict[str, tuple[str, ...]]) -> list[Listing]:
    """The lists of the page in reading order. Entries taken back or repeated are in no list; the ledger has them."""

    def listing(id_: Section, entries: Sequence[AnyEntry], current: Sequence[AnyEntry], past_title: str) -> Listing:
        chosen = {e.id for e in current}
        past = [e for e in entries if e.id not in chosen]
        return Listing(
            id=id_,
            title=SECTION_TITLES[id_],
            current=tuple(item(e, keys) for e in current),
            past=tuple(item(e, keys) for e in past),
            past_title=past_title,
            absent="" if current else absence(id_, chart.coverage),
        )

    def kept(kind: type[Any]) -> list[Any]:
        return [e for e in chart.of(kind) if not e.superseded]

    allergies, problems, medications = kept(Allergy), kept(Problem), kept(Medication)
    lists = [
        listing("allergies", allergies, [a for a in allergies if a.activity != "historical"], "resolved or refuted"),
        listing("problems", problems, [p for p in problems if p.activity != "historical"], "past problems"),
        listing("medications", medications, [m for m in medications if m.activity != "historical"], "past medications"),
    ]
    for section, kind in (
        ("encounters", Encounter),
        ("reports", Report),
        ("notes", Note),
        ("procedures", Procedure),
        ("immunizations", Immunization),
        ("care_plans", CarePlan),
        ("social_history", SocialHistory),
    ):
        entries = kept(kind)
        lists.append(listing(section, entries, entries[:8], "earlier"))  # type: ignore[arg-type]
    return lists


def item(entry: AnyEntry, keys: dict[str, tuple[str, ...]]) -> Item:
    """One entry as a line."""
    return Item(
        title=_title(entry),
        detail=_detail(entry),
        date=day(entry.date),
        status=_status(entry),
        remarks=tuple(dict.fromkeys(FLAG_WORDS[f.code] for f in entry.flags if f.code in FLAG_WORDS)),
        sites=tuple(sorted({o.site for o in entry.origins})),
        keys=keys.get(entry.id, ()),
        sources=sources(entry.origins),
    )


def omitted(chart: Chart, document: ContextDocument) -> dict[str, Any]:
    """What the summary's context left out, by reason, each openable."""
    entries = {e.id: e for e in chart.entries}
    rows = []
    for left in document.omitted[:MOST_OMITTED]:
        entry = entries.get(left.entry_id)
        rows.append(
            {
                "title": _title(entry) if entry else left.reference,
                "date": day(entry.date) if entry else "",
                "section": SECTION_TITLES.get(left.section, left.section),  # type: ignore[call-overload]
                "reason": REASON_WORDS.get(left.reason, left.reason),
                "sources": sources(entry.origins) if entry else "[]",
            }
        )
    reasons = Counter(left.reason for left in document.omitted)
    return {
        "rows": rows,
        "more": len(document.omitted) - len(rows),
        "total": len(document.omitted),
        "reasons": [(REASON_WORDS.get(reason, reason), count) for reason, count in reasons.most_common()],
    }


def sources(origins: Iterable[Origin]) -> str:
    """The `data-sources` attribute: what the side panel fetches and marks."""
    rows = [
        {"site": o.site, "reference": f"{o.resource_type}/{o.resource_id}", "path": o.path, "version": o.version,
         "retrieved": o.retrieved, "method": o.method}
        for o in origins
    ]  # fmt: skip
    return json.dumps(rows, ensure_ascii=False)


def _pivot(observations: Sequence[Any], keys: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    table: Pivot = pivot(observations, lambda entry_id: keys.get(entry_id, ()))
    return {
        "days": table.days,
        "total": table.total,
        "rows": [
            {"row": r, "cells": [(c, sources(c.origins) if c else "") for c in r.cells]} for r in table.rows
        ],
    }  # fmt: skip


def _keys(document: ContextDocument) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for fact in document.facts:
        for entry_id in fact.entry_ids:
            found[entry_id] = (*found.get(entry_id, ()), fact.key)
    return found


def _gap_reason(line: Any) -> str:
    extra = []
    if line.quarantined:
        extra.append(f"{line.quarantined} unreadable, kept in quarantine")
    if line.missing:
        extra.append(f"{line.missing} reported but not received")
    return "; ".join([line.reason, *extra] if line.reason else extra)


def _title(entry: AnyEntry) -> str:
    if isinstance(entry, Demographics):
        return entry.name or "Patient"
    if isinstance(entry, CarePlan):
        return entry.title or entry.concept.display or "Care plan"
    if isinstance(entry, Note):
        return entry.concept.display or entry.description or "Document"
    if isinstance(entry, Encounter):
        return entry.concept.display or entry.encounter_class or "Encounter"
    return entry.concept.display or "Not named by the source"


def _detail(entry: AnyEntry) -> str:
    if isinstance(entry, Allergy):
        signs = [m.display for r in entry.reactions for m in r.manifestations]
        return ", ".join(p for p in (*signs, entry.criticality and f"criticality {entry.criticality}") if p)
    if isinstance(entry, Medication):
        return "; ".join(d.text for d in entry.dosages if d.text)
    if isinstance(entry, Problem):
        return ", ".join(p for p in (entry.severity, entry.body_site) if p)
    if isinstance(entry, Report):
        return entry.conclusion[:240]
    if isinstance(entry, Note):
        return ", ".join(a.name for a in entry.authors if a.name)
    if isinstance(entry, Encounter):
        where = entry.service_provider.name if entry.service_provider else ""
        return ", ".join(
            p for p in (*(r.display for r in entry.reasons), "telehealth" if entry.telehealth else "", where) if p
        )
    if isinstance(entry, CarePlan):
        return ", ".join(a.text for a in entry.activities if a.text)[:240]
    if isinstance(entry, Vital | Result | SocialHistory):
        return entry.value_display
    return ""


def _status(entry: AnyEntry) -> str:
    if isinstance(entry, Allergy | Problem | Medication) and entry.none_asserted:
        return "stated as none by source"
    if isinstance(entry, Immunization) and entry.given is False:
        return f"not given{f': {entry.status_reason}' if entry.status_reason else ''}"
    if isinstance(entry, Procedure) and entry.done is False:
        return f"not done{f': {entry.status_reason}' if entry.status_reason else ''}"
    if isinstance(entry, Medication) and entry.do_not_perform:
        return "do NOT give"
    activity = getattr(entry, "activity", "")
    if activity:
        return {"active": "current", "uncertain": "uncertain", "historical": "past"}[activity]
    return entry.status


def _first(values: Iterable[str]) -> str:
    return next((v for v in values if v), "")

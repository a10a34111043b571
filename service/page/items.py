"""The lists of the page: what, how, when, from where, and the link to the sources behind it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from models.record import (
    Allergy,
    AnyEntry,
    CarePlan,
    Chart,
    Demographics,
    Encounter,
    Immunization,
    Medication,
    Note,
    Observation,
    Problem,
    Procedure,
    Report,
    Section,
    SocialHistory,
)
from service.page.words import ACTIVITY_WORDS, FLAG_WORDS, SECTION_TITLES, absence, day

Keys = Mapping[str, tuple[str, ...]]
"""Entry id -> citation keys of the context document."""
ORDINARY = frozenset({"final", "completed", "finished"})
"""Statuses that say only that all is as it should be. Any other is shown."""
MOST_IN_A_LINK = 200
"""Entries behind one link: 17 characters each, and proxies take URLs of 8 kB."""
MOST_CURRENT = 8
"""Lines of a list that has no `current` of its own (visits, notes, ...); the others fold under `earlier`."""


@dataclass(frozen=True)
class Item:
    """One line of a list. `alert` marks what must not be overlooked; `count` says how many entries read the same."""

    title: str
    detail: str
    date: str
    status: str
    remarks: tuple[str, ...]
    sites: tuple[str, ...]
    keys: tuple[str, ...]
    href: str
    alert: bool = False
    count: int = 1


@dataclass(frozen=True)
class Listing:
    """A section of the page. `absent` is said when there is nothing current to show; `count` counts no "none"."""

    id: str
    title: str
    current: tuple[Item, ...]
    past: tuple[Item, ...]
    past_title: str
    absent: str
    count: int


def href(patient_id: str, entry_ids: Iterable[str]) -> str:
    """Where the sources behind entries can be read; empty without entries."""
    ids = list(dict.fromkeys(entry_ids))[:MOST_IN_A_LINK]
    return f"/patients/{patient_id}/sources/{','.join(ids)}" if ids else ""


def listings(chart: Chart, keys: Keys) -> list[Listing]:
    """The lists in reading order. Entries taken back or repeated are in no list; the ledger has them."""

    def listing(id_: Section, entries: Sequence[AnyEntry], current: Sequence[AnyEntry], past_title: str) -> Listing:
        chosen = {e.id for e in current}
        return Listing(
            id=id_,
            title=SECTION_TITLES[id_],
            current=lines(current, keys, chart.patient_id),
            past=lines([e for e in entries if e.id not in chosen], keys, chart.patient_id),
            past_title=past_title,
            absent="" if current else absence(id_, chart.coverage),
            count=sum(not getattr(e, "none_asserted", False) for e in current),
        )

    def kept(kind: type[Any]) -> list[Any]:
        return [e for e in chart.of(kind) if not e.superseded]

    allergies, problems, medications = kept(Allergy), kept(Problem), kept(Medication)
    for entries in (allergies, problems, medications):  # what is sure before what is not, "none" last
        entries.sort(key=lambda e: (e.none_asserted, e.activity != "active", getattr(e, "criticality", "") != "high"))
    lists = [
        listing("allergies", allergies, [a for a in allergies if a.activity != "historical"], "resolved or refuted"),
        listing("problems", problems, [p for p in problems if p.activity != "historical"], "past problems"),
        listing("medications", medications, [m for m in medications if m.activity != "historical"], "past medications"),
    ]
    kinds: tuple[tuple[Section, type[Any]], ...] = (
        ("encounters", Encounter),
        ("reports", Report),
        ("notes", Note),
        ("procedures", Procedure),
        ("immunizations", Immunization),
        ("care_plans", CarePlan),
        ("social_history", SocialHistory),
    )
    for section, kind in kinds:
        entries = kept(kind)
        lists.append(listing(section, entries, entries[:MOST_CURRENT], "earlier"))
    assessments = [e for e in chart.in_section("assessments") if not e.superseded]
    lists.append(listing("assessments", assessments, assessments[:MOST_CURRENT], "earlier"))
    return lists


def lines(entries: Sequence[AnyEntry], keys: Keys, patient_id: str) -> tuple[Item, ...]:
    """One line for entries that would read the same but for their dates and sites; all of them open with it."""
    groups: dict[tuple[str, ...], list[AnyEntry]] = {}
    for entry in entries:
        like = item(entry, keys, patient_id)
        dated = isinstance(entry, Encounter | Report | Note | Procedure | Immunization | Observation)
        groups.setdefault((like.title.casefold(), like.detail, like.status, like.date if dated else ""), []).append(
            entry
        )
    found = []
    for members in groups.values():
        items = [item(e, keys, patient_id) for e in members]
        dates = sorted({i.date for i in items if i.date}, reverse=True)
        found.append(
            replace(
                items[0],
                date=", ".join(dates[:3]) + (" ..." if len(dates) > 3 else ""),
                remarks=tuple(dict.fromkeys(r for i in items for r in i.remarks)),
                sites=tuple(sorted({s for i in items for s in i.sites})),
                keys=tuple(dict.fromkeys(k for i in items for k in i.keys)),
                href=href(patient_id, [e.id for e in members]),
                alert=any(i.alert for i in items),
                count=len(items),
            )
        )
    return tuple(found)


def item(entry: AnyEntry, keys: Keys, patient_id: str) -> Item:
    """One entry as a line."""
    return Item(
        title=title(entry),
        detail=_detail(entry),
        date=day(entry.date),
        status=_status(entry),
        remarks=tuple(dict.fromkeys(FLAG_WORDS[f.code] for f in entry.flags if f.code in FLAG_WORDS)),
        sites=tuple(sorted({o.site for o in entry.origins})),
        keys=keys.get(entry.id, ()),
        href=href(patient_id, [entry.id]),
        alert=(isinstance(entry, Allergy) and entry.criticality == "high" and entry.activity == "active")
        or (isinstance(entry, Medication) and entry.do_not_perform),
    )


def title(entry: AnyEntry) -> str:
    """What the entry is, in a few words."""
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
        reasons = [r.display for r in entry.reasons]
        return ", ".join(p for p in (*reasons, "telehealth" if entry.telehealth else "", where) if p)
    if isinstance(entry, CarePlan):
        return ", ".join(a.text for a in entry.activities if a.text)[:240]
    return entry.value_display if isinstance(entry, Observation) else ""


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
        return ACTIVITY_WORDS[activity]
    return "" if entry.status in ORDINARY else entry.status

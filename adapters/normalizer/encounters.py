"""Encounter: its class however it is spelled, telehealth however it is coded, its length, where it ended."""

from __future__ import annotations

from datetime import date

from adapters.normalizer.base import Source
from adapters.normalizer.codes import PREFER_PROBLEM, PREFER_PROCEDURE, concept_of, concepts_of, words_of
from adapters.normalizer.values import named_ref, notes_of
from models.record import Concept, Encounter, NamedRef
from models.record.dates import bounds, precision, surely_before
from models.terminology import encounters as contacts

_STATUSES = frozenset(
    ["planned", "arrived", "triaged", "in-progress", "onleave", "finished", "cancelled", "entered-in-error", "unknown"]
)


def encounter(source: Source) -> list[Encounter]:
    """Read an Encounter. Telehealth is recognized however it is coded: class, type, location or wording."""
    item = source.resource
    types = concepts_of(source, item, "type", source.rules, (*PREFER_PROCEDURE,))
    concept = types[0] if types else Concept()
    kind = _class(source)
    start, end = source.period(item, "period")
    if start is None and end is None:
        source.flag("missing_date", "period")
    in_order(source, start, end, "period")
    status = source.status(_STATUSES)
    hours = _hours(source, start, end)
    _check_length(source, kind, status, hours)
    location = tuple(
        r
        for r in (
            named_ref(source, source.obj(x, "location"), source.neighbours.names, "location")
            for x in source.objs(item, "location")
        )
        if r
    )
    participants = []
    for part in source.objs(item, "participant"):
        person = named_ref(
            source,
            source.obj(part, "individual"),
            source.neighbours.names,
            words_of(source, part, "type", source.rules),
        )
        if person:
            participants.append(person)
    disposition, disposition_code = _disposition(source)
    if not concept and not kind:
        source.flag("missing_code", "type, class")
    return [
        Encounter(
            id=source.id(),
            origins=source.origins(),
            concept=concept,
            status=status,
            encounter_class=kind,
            telehealth=_telehealth(source, kind, types, location),
            start=start,
            end=end,
            length_hours=hours,
            length_days=_days(start, end),
            reasons=concepts_of(source, item, "reasonCode", source.rules, PREFER_PROBLEM),
            diagnoses=_diagnoses(source),
            disposition=disposition,
            disposition_code=disposition_code,
            participants=tuple(participants),
            location=location,
            service_provider=named_ref(
                source, source.obj(item, "serviceProvider"), source.neighbours.names, "service provider"
            ),
            notes=notes_of(source, item),
            flags=tuple(source.flags),
        )
    ]


def _class(source: Source) -> str:
    holder = source.obj(source.resource, "class")
    holders = [holder]
    if "coding" in holder:  # a CodeableConcept where a Coding belongs
        source.tolerated("class.coding")
        holders = source.objs(holder, "coding") or [{}]
    sent = [(source.text(h, "system"), source.text(h, "code"), source.text(h, "display")) for h in holders]
    found = [contacts.encounter_class(*coding) for coding in sent]
    return next((c for c in found if c in contacts.CLASSES), found[0])


def _telehealth(source: Source, kind: str, types: tuple[Concept, ...], location: tuple[NamedRef, ...]) -> bool | None:
    """Held remotely: by class, by a code or the words of type, service or place, or by the connection it was held over (R5's
    virtualService, in R4 as an extension). In presence by a class that says so; None where nothing does."""
    item = source.resource
    if kind == "VR" or source.objs(item, "virtualService"):
        return True
    if any("virtualService" in source.text(x, "url") for x in source.objs(item, "extension")):
        return True
    service = item.get("serviceType")
    services = (
        concepts_of(source, item, "serviceType", source.rules)
        if isinstance(service, list)
        else (concept_of(source, item, "serviceType", source.rules),)
        if service
        else ()
    )
    words = {place.name for place in location}
    for concept in (*types, *services):
        words.add(concept.text)
        for coding in concept.codings:
            if contacts.is_remote_code(coding.system, coding.code):
                return True
            words.add(coding.display)
    if any(contacts.says_remote(w) for w in words):
        return True
    return False if kind in contacts.IN_PRESENCE else None


def in_order(source: Source, start: str | None, end: str | None, path: str) -> None:
    """Remark on an end before its start."""
    if start and end and surely_before(end, start):
        source.flag("status_conflict", f"{path}: the end is before the start")


_HOURS = {
    "min": 1 / 60,
    "minute": 1 / 60,
    "minutes": 1 / 60,
    "h": 1,
    "hr": 1,
    "hour": 1,
    "hours": 1,
    "d": 24,
    "day": 24,
    "days": 24,
}


def _hours(source: Source, start: str | None, end: str | None) -> float | None:
    """End minus start where both are exact; else the length the source gives (`length`: what care took, leave not counted)."""
    if start and end and precision(start) == precision(end) == "time":
        seconds = (bounds(end)[0] - bounds(start)[0]).total_seconds()
        return round(seconds / 3600, 2) if seconds >= 0 else None
    length = source.obj(source.resource, "length")
    value = source.number(length, "value")
    factor = _HOURS.get((source.text(length, "code") or source.text(length, "unit")).lower())
    if value is None or factor is None:
        return None
    if value < 0:
        source.flag("implausible_value", "length: below zero")
        return None
    return round(value * factor, 2)


def _days(start: str | None, end: str | None) -> int | None:
    """Midnights between the first and the last day, by the calendar of the source; 0 for one day, None for unknown days."""
    if not start or not end or len(start) < 10 or len(end) < 10:
        return None
    days = (date.fromisoformat(end[:10]) - date.fromisoformat(start[:10])).days
    return days if days >= 0 else None


def _check_length(source: Source, kind: str, status: str, hours: float | None) -> None:
    if hours is None or status not in ("finished", ""):
        return
    most = contacts.LONGEST_HOURS.get(kind, contacts.LONGEST_STAY_HOURS)
    if hours > most:
        source.flag("implausible_value", f"period: {hours / 24:.0f} days for class {kind or 'unknown'}")


def _disposition(source: Source) -> tuple[str, str]:
    """Where the patient went, in words, and as a code of HL7's list where the code sent has one."""
    hospital = source.obj(source.resource, "hospitalization")
    if "dischargeDisposition" not in hospital:
        return "", ""
    sent = concept_of(source, hospital, "dischargeDisposition", source.rules)
    words, codings = sent.display, sent.codings
    code = next((found for c in codings if (found := contacts.disposition(c.system_as_sent or c.system, c.code))), "")
    if words in {c.code for c in codings}:  # a code without any words
        words = contacts.disposition_words(code) or words
    return words, code


def _diagnoses(source: Source) -> tuple[NamedRef, ...]:
    found = []
    for item in source.objs(source.resource, "diagnosis"):
        use = words_of(source, item, "use", source.rules)
        made = named_ref(source, source.obj(item, "condition"), source.neighbours.names, use)
        if made:
            found.append(made)
    return tuple(found)

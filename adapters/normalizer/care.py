"""Immunization, Procedure and CarePlan."""

from __future__ import annotations

from typing import Any

from adapters.normalizer.base import Source
from adapters.normalizer.codes import (
    PREFER_PROBLEM,
    PREFER_PROCEDURE,
    PREFER_VACCINE,
    concept_of,
    concepts_of,
    words_of,
)
from adapters.normalizer.documents import narrative_text
from adapters.normalizer.encounters import in_order
from adapters.normalizer.read import Json
from adapters.normalizer.values import age_words, named_ref, named_refs, notes_of, ref_of, reference_key
from models.record import Activity, CarePlan, Concept, Immunization, NamedRef, PlannedActivity, Procedure
from models.record.dates import bounds

_EVENT = frozenset(
    ["preparation", "in-progress", "not-done", "on-hold", "stopped", "completed", "entered-in-error", "unknown"]
)
_PLAN = frozenset(["draft", "active", "on-hold", "revoked", "completed", "entered-in-error", "unknown"])


def immunization(source: Source) -> list[Immunization]:
    """Read an Immunization. Only `completed` counts as given."""
    item = source.resource
    status = source.status(_EVENT)
    occurrence = source.date(item, "occurrenceDateTime")
    words = source.text(item, "occurrenceString")
    if occurrence is None and not words:
        source.flag("missing_date", "occurrence[x]")
    elif occurrence:
        source.check_date(occurrence, "occurrence[x]")
    given = {"completed": True, "not-done": False, "entered-in-error": False}.get(status)
    if status == "not-done":
        source.flag("negated", "status")
    protocol = next(iter(source.objs(item, "protocolApplied")), {})
    dose = protocol.get("doseNumberPositiveInt") or protocol.get("doseNumberString") or ""
    return [
        Immunization(
            id=source.id(),
            origins=source.origins(),
            concept=source.concept("vaccineCode", PREFER_VACCINE, main=True),
            status=status,
            given=given,
            status_reason=words_of(source, item, "statusReason", source.rules),
            occurrence=occurrence,
            occurrence_text=words,
            dose_number=str(dose) if isinstance(dose, int | str) else "",
            lot=source.text(item, "lotNumber"),
            primary_source=source.boolean(item, "primarySource"),
            performer=_actors(source, "administered by"),
            encounter=ref_of(source, item, "encounter"),
            notes=notes_of(source, item),
            flags=tuple(source.flags),
        )
    ]


def procedure(source: Source) -> list[Procedure]:
    """Read a Procedure. `not-done` is False, never care."""
    item = source.resource
    status = source.status(_EVENT)
    start, end, words = _performed(source)
    if start is None and not words and status != "not-done":
        source.flag("missing_date", "performed[x]")
    elif start:
        source.check_date(start, "performed[x]")
    if status == "not-done":
        source.flag("negated", "status")
    in_order(source, start, end, "performedPeriod")
    return [
        Procedure(
            id=source.id(),
            origins=source.origins(),
            concept=source.concept("code", PREFER_PROCEDURE, main=True),
            status=status,
            done={"completed": True, "not-done": False, "entered-in-error": False}.get(status),
            status_reason=words_of(source, item, "statusReason", source.rules),
            performed=start,
            performed_end=end,
            performed_text=words,
            reasons=concepts_of(source, item, "reasonCode", source.rules, PREFER_PROBLEM),
            body_site=words_of(source, item, "bodySite", source.rules),
            outcome=words_of(source, item, "outcome", source.rules),
            performer=_actors(source, "performer"),
            encounter=ref_of(source, item, "encounter"),
            notes=notes_of(source, item),
            flags=tuple(source.flags),
        )
    ]


def _performed(source: Source) -> tuple[str | None, str | None, str]:
    """performed[x]: start, end, and the words where it is no date."""
    item = source.resource
    if "performedDateTime" in item:
        found = source.date(item, "performedDateTime")
        return found, None, "" if found else source.text(item, "performedDateTime")
    if "performedPeriod" in item:
        start, end = source.period(item, "performedPeriod")
        return start or end, end, ""
    if "performedString" in item:
        return None, None, source.text(item, "performedString")
    return None, None, age_words(source, item, "performed")


def _actors(source: Source, role: str) -> tuple[NamedRef, ...]:
    found = []
    for part in source.objs(source.resource, "performer"):
        holder = source.obj(part, "actor") if "actor" in part else part
        made = named_ref(source, holder, source.neighbours.names, role)
        if made:
            found.append(made)
    return tuple(found)


def care_plan(source: Source) -> list[CarePlan]:
    """Read a CarePlan; many are words only, so the narrative is kept where nothing is structured."""
    item = source.resource
    status = source.status(_PLAN)
    categories = concepts_of(source, item, "category", source.rules, ("http://snomed.info/sct",))
    title = source.text(item, "title")
    specific = [
        c
        for c in categories
        if c.display and c.display.lower() not in ("assess-plan", "assessment and plan of treatment")
    ]
    concept = next(iter(specific), next(iter(categories), Concept(text=title)))
    start, end = source.period(item, "period")
    activities = tuple(a for a in (_activity(source, x) for x in source.objs(item, "activity")) if a)
    description = source.text(item, "description")
    narrative = narrative_text(source)
    addresses = named_refs(source, item, "addresses", source.neighbours.names, "addresses")
    goals = []
    for goal in source.objs(item, "goal"):
        reference = source.text(goal, "reference")
        name = source.text(goal, "display") or source.neighbours.goals.get(reference_key(reference), "") or reference
        if name:
            goals.append(name)
    if not (concept or title or description or activities or narrative):
        source.flag("missing_code", "category, title, description, activity, text")
    reading: Activity = "uncertain"
    if status == "active":
        now = source.now
        reading = "historical" if end and now and bounds(end)[1] < bounds(now)[0] else "active"
    elif status in ("completed", "revoked", "entered-in-error"):
        reading = "historical"
    authors = [source.obj(item, "author")] if isinstance(item.get("author"), dict) else source.objs(item, "author")
    return [
        CarePlan(
            id=source.id(),
            origins=source.origins(),
            concept=concept,
            status=status,
            activity=reading,
            title=title,
            description=description,
            intent=source.text(item, "intent"),
            start=start,
            end=end,
            activities=activities,
            goals=tuple(goals),
            addresses=addresses,
            narrative=narrative,
            author=tuple(r for r in (named_ref(source, a, source.neighbours.names, "author") for a in authors) if r),
            notes=notes_of(source, item),
            flags=tuple(source.flags),
        )
    ]


def _activity(source: Source, item: Json) -> PlannedActivity | None:
    detail = source.obj(item, "detail")
    text = concept_of(source, detail, "code", source.rules).display or source.text(detail, "description")
    if not text:
        outcome = concepts_of(source, item, "outcomeCodeableConcept", source.rules)
        reference = source.obj(item, "reference")
        text = outcome[0].display if outcome else source.text(reference, "display")
    if not text:
        return None
    if source.boolean(detail, "doNotPerform"):  # planned is that it does not happen
        text = f"not to be done: {text}"
    scheduled: Any = source.text(detail, "scheduledString")
    if not scheduled and "scheduledPeriod" in detail:
        start, end = source.period(detail, "scheduledPeriod")
        scheduled = f"{start or '?'} to {end or '?'}"
    return PlannedActivity(text=text, status=source.text(detail, "status"), scheduled=scheduled)

"""MedicationRequest and MedicationStatement -> Medication, with the referenced Medication resolved."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from adapters.normalizer.base import Source
from adapters.normalizer.codes import (
    PREFER_MEDICATION,
    PREFER_PROBLEM,
    code_of,
    concept_of,
    concepts_of,
    wording_of,
    words_of,
)
from adapters.normalizer.dispenses import in_order_of_time
from adapters.normalizer.dosages import dosage_of
from adapters.normalizer.read import Json, Reader
from adapters.normalizer.values import contained, named_ref, notes_of, quantity_of, ref_of, reference_key
from models.record import Activity, Concept, Dispense, Medication
from models.record.dates import bounds, sort_key, surely_before
from models.record.supply import supplies
from models.terminology.clinical import asserts_none

_STATUSES = frozenset(
    [
        "active",
        "on-hold",
        "cancelled",
        "completed",
        "entered-in-error",
        "stopped",
        "draft",
        "unknown",
        "intended",
        "not-taken",
    ]
)
_OVER = frozenset({"stopped", "completed", "cancelled", "entered-in-error", "not-taken"})
_NO_ORDER = frozenset({"proposal", "option"})
"""Intents that nobody has agreed to yet. `plan` is what US Core asks for when a patient reports a medication."""


def medication(source: Source) -> list[Medication]:
    """Read an order or a statement."""
    item = source.resource
    concept = _drug(source)
    status = source.status(_STATUSES)
    dosages = tuple(d for d in (dosage_of(source, x) for x in _dosage_items(source)) if d)
    start, end = _period(source)
    authored = source.date(item, "authoredOn") or source.date(item, "dateAsserted")
    if authored is None and start is None:
        source.flag("missing_date", "authoredOn")
    elif authored:
        source.check_date(authored, "authoredOn")
    refusal = source.boolean(item, "doNotPerform") is True
    if refusal:
        source.flag("negated", "doNotPerform")
    none = asserts_none("medications", [(c.system, c.code) for c in concept.codings], concept.display)
    dispense = source.obj(item, "dispenseRequest")
    refills = source.number(dispense, "numberOfRepeatsAllowed")
    intent = source.text(item, "intent").lower()
    fills = _fills(source)
    filled = max((f.when for f in fills if f.when), key=sort_key, default=None)
    activity, reason = _activity(source, status, authored, start, end, refusal, intent, filled)
    statement = source.raw.resource_type == "MedicationStatement"
    made = Medication(
        id=source.id(),
        origins=source.origins(method="patient_reported" if source.boolean(item, "reportedBoolean") else "structured"),
        concept=concept,
        status=status,
        activity=activity,
        activity_reason=reason,
        intent=intent,
        category=code_of(source, item, "category", source.rules),
        reported=True if statement or "reportedReference" in item else source.boolean(item, "reportedBoolean"),
        authored=authored,
        start=start,
        end=end,
        dosages=dosages,
        reason=concepts_of(source, item, "reasonCode", source.rules, PREFER_PROBLEM),
        requester=named_ref(source, source.obj(item, "requester"), source.neighbours.names, "requester"),
        refills=int(refills) if refills is not None and 0 <= refills < 1000 else None,
        quantity=quantity_of(source, dispense, "quantity"),
        days_supply=_days(source, source.obj(dispense, "expectedSupplyDuration")),
        dispenses=fills,
        status_reason=words_of(source, item, "statusReason", source.rules),
        do_not_perform=refusal,
        none_asserted=none,
        encounter=ref_of(source, item, "encounter"),
        notes=notes_of(source, item),
    )
    ran_out = _ran_out(source, made) if activity == "active" else ""
    if ran_out:
        source.flag("stale_active", ran_out)
        made = msgspec.structs.replace(made, activity="uncertain", activity_reason=f"status {status}, but {ran_out}")
    return [msgspec.structs.replace(made, flags=tuple(source.flags))]


def _ran_out(source: Source, made: Medication) -> str:
    """When the supply ended, all fills and refills counted, where that is long ago: a course of antibiotics nobody closed."""
    now = source.now
    ends = [s.end for s in supplies(made)]
    if not ends or not now:
        return ""
    last = max(ends)
    late = bounds(last)[1] < bounds(now)[0] - timedelta(days=source.rules.stale_supply_days)
    return f"its supply ended {last}" if late else ""


def _fills(source: Source) -> tuple[Dispense, ...]:
    """Its dispenses, by type and id or by the urn:uuid of a bundle."""
    known, raw = source.neighbours.dispenses, source.raw
    if not known:
        return ()
    keys = (f"{raw.resource_type}/{raw.resource_id}", f"urn:uuid:{raw.resource_id}")
    return in_order_of_time([fill for key in keys for fill in known.get(key, ())])


def medication_concept(reader: Reader, resource: Json, source: Source) -> Concept:
    """The code of a Medication resource; its ingredients in words where it has none."""
    concept = concept_of(reader, resource, "code", source.rules, PREFER_MEDICATION)
    if concept:
        return concept
    parts = []
    for ingredient in reader.objs(resource, "ingredient"):
        found = concept_of(reader, ingredient, "itemCodeableConcept", source.rules, PREFER_MEDICATION)
        words = found.display or reader.text(reader.obj(ingredient, "itemReference"), "display")
        if words:
            parts.append(words)
    return wording_of(" / ".join(parts), source.rules, PREFER_MEDICATION) if parts else concept


def _drug(source: Source) -> Concept:
    item = source.resource
    if item.get("medicationCodeableConcept"):
        return source.concept("medicationCodeableConcept", PREFER_MEDICATION, main=True)
    reference = source.obj(item, "medicationReference")
    target, display = source.text(reference, "reference"), source.text(reference, "display")
    resource = _referenced(source, target)
    if resource is not None:
        concept = medication_concept(source, resource, source)
        if concept:
            if concept.mapping is None or concept.mapping.method == "unmapped":
                source.flag("unmapped_code" if concept.codings else "text_only", "medicationReference")
            return concept
    elif target:
        source.flag("broken_reference", "medicationReference")
    if display:
        source.flag("text_only", "medicationReference.display")
        return wording_of(display, source.rules, PREFER_MEDICATION)
    source.flag("missing_code", "medication[x]")
    return Concept()


def _referenced(source: Source, reference: str) -> Json | None:
    if reference.startswith("#"):
        return contained(source, reference)
    return source.neighbours.medications.get(reference_key(reference)) if reference else None


def _dosage_items(source: Source) -> list[Json]:
    for key in ("dosageInstruction", "dosage"):
        if key in source.resource:
            return sorted(source.objs(source.resource, key), key=lambda step: _place(source, step))
    return []


def _place(source: Source, step: Json) -> float:
    """`sequence`: the order in which steps are taken, which need not be the order in which they were sent."""
    place = source.number(step, "sequence") if "sequence" in step else None
    return float("inf") if place is None else place


def _period(source: Source) -> tuple[str | None, str | None]:
    item = source.resource
    if "effectivePeriod" in item:
        return source.period(item, "effectivePeriod")
    if "effectiveDateTime" in item:
        return source.date(item, "effectiveDateTime"), None
    bounds_of_steps = [
        source.period(source.obj(source.obj(dosage, "timing"), "repeat"), "boundsPeriod")
        for dosage in _dosage_items(source)
    ]
    starts = [start for start, _ in bounds_of_steps if start]
    ends = [end for _, end in bounds_of_steps if end]
    if starts or ends:  # a taper ends with its last step, and not at all where a step is open
        return min(starts, key=sort_key, default=None), (
            max(ends, key=sort_key) if len(ends) == len(bounds_of_steps) else None
        )
    validity = source.obj(source.obj(item, "dispenseRequest"), "validityPeriod")
    return source.date(validity, "start"), None  # its end bounds the dispensing, not the treatment


def _days(source: Source, duration: Json) -> float | None:
    value = source.number(duration, "value")
    if value is None:
        return None
    unit = (source.text(duration, "code") or source.text(duration, "unit") or "d").lower()
    factor = _DAYS.get(unit)
    return value * factor if factor else None


_DAYS = {"h": 1 / 24, "d": 1, "day": 1, "days": 1, "wk": 7, "week": 7, "weeks": 7, "mo": 30, "month": 30, "months": 30}
"""Unit -> days; a month's supply is 30 days by the custom of US pharmacies."""


def _activity(
    source: Source,
    status: str,
    authored: str | None,
    start: str | None,
    end: str | None,
    refusal: bool,
    intent: str,
    filled: str | None,
) -> tuple[Activity, str]:
    """Current, over or unsure, with the reason. A long-silent active order is unsure: sites leave old ones active. One that
    was `filled` lately is not silent, however long ago it was written."""
    now = source.now
    if refusal:
        return "historical", "doNotPerform: an instruction not to give it"
    if status in _OVER:
        return "historical", f"status {status}"
    if end and now and bounds(end)[1] < bounds(now)[0]:
        return "historical", f"the period ended {end[:10]}"
    if status in ("on-hold", "draft", "intended", "unknown") or not status:
        return "uncertain", f"status {status}" if status else "status is missing"
    if status not in _STATUSES:
        return "uncertain", "status is not known"
    if intent in _NO_ORDER:
        return "uncertain", f"status {status}, but the intent is {intent}"
    if start and now and surely_before(now, start):
        return "uncertain", f"status {status}, but it starts {start[:10]}"
    since = authored or start
    if since is None:
        return "active", f"status {status}, undated"
    oldest = bounds(now)[0] - timedelta(days=source.rules.stale_active_days) if now else None
    if oldest and bounds(since)[1] < oldest:
        if filled and bounds(filled)[1] >= oldest:
            return "active", f"status {status}, last filled {filled[:10]}"
        source.flag("stale_active", f"authored {since[:10]}, no later renewal in this resource")
        return "uncertain", f"status {status}, but written more than {source.rules.stale_active_days} days ago"
    return "active", f"status {status}"

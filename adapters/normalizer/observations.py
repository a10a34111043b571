"""Observation -> Vital, Result, SocialHistory or Assessment. Blood pressure panels become two entries."""

from __future__ import annotations

from typing import Any

from adapters.normalizer.base import Source
from adapters.normalizer.codes import PREFER_OBSERVATION, concept_of
from adapters.normalizer.read import Json
from adapters.normalizer.values import named_refs, notes_of, quantity_of, ranges_of, ref_of
from models.record import (
    Assessment,
    Component,
    Concept,
    Observation,
    Quantity,
    ReferenceRange,
    Result,
    SocialHistory,
    Vital,
)
from models.terminology.clinical import (
    ABNORMAL,
    BP_PANEL,
    CATEGORY_SECTION,
    DIASTOLIC,
    NORMAL,
    PLAUSIBLE,
    SOCIAL_LOINC,
    SURVEY_LOINC,
    SYSTOLIC,
    VITAL_LOINC,
)
from models.terminology.systems import LOINC
from models.terminology.units import to_base

_STATUSES = frozenset(
    ["registered", "preliminary", "final", "amended", "corrected", "cancelled", "entered-in-error", "unknown"]
)
_CLASS: dict[str, type[Observation]] = {
    "vitals": Vital,
    "labs": Result,
    "social_history": SocialHistory,
    "assessments": Assessment,
}
_UNITLESS = frozenset({"", "1"})


def observation(source: Source) -> list[Observation]:
    """Read an Observation into one entry, or into one for each reading of a blood pressure panel."""
    item = source.resource
    concept = source.concept("code", PREFER_OBSERVATION, main=True)
    loinc = concept.code_in(LOINC) or ""
    category, section = _section(source, loinc, concept)
    shared = _shared(source, category)
    components = source.objs(item, "component") if "component" in item else []
    if components and (loinc in BP_PANEL or _is_pressure(source, components)):
        split = _pressures(source, concept, components, shared)
        if split:
            return split
    value = _value(source, item)
    parts = tuple(_component(source, c) for c in components)
    if not any(value.values()) and not parts and not shared["has_member"]:
        source.flag("missing_value", value_reason(source, item) or "value[x]")
    fields = shared | value
    _check(source, loinc, fields.get("value"))
    fields["abnormal"] = _abnormal(shared["interpretation"], fields.get("value"), shared["reference_ranges"])
    made = _CLASS[section](
        id=source.id(), origins=source.origins(), concept=concept, components=parts, flags=tuple(source.flags), **fields
    )
    return [made]


def value_reason(source: Source, item: Json) -> str:
    """Why there is no value, in words."""
    return concept_of(source, item, "dataAbsentReason", source.rules).display if "dataAbsentReason" in item else ""


def _shared(source: Source, category: str) -> dict[str, Any]:
    """What all entries of one Observation share."""
    item = source.resource
    effective, effective_end = source.date(item, "effectiveDateTime") or source.date(item, "effectiveInstant"), None
    if effective is None and "effectivePeriod" in item:
        effective, effective_end = source.period(item, "effectivePeriod")
        effective = effective or effective_end
    issued = source.date(item, "issued")
    if effective is None and issued is None:
        source.flag("missing_date", "effective[x]")
    else:
        source.check_date(effective or issued, "effective[x]")
    status = source.status(_STATUSES)
    return {
        "status": status,
        "effective": effective,
        "effective_end": effective_end,
        "issued": issued,
        "category": category,
        "interpretation": _interpretation(source, item),
        "reference_ranges": ranges_of(source, item) if "referenceRange" in item else (),
        "performer": named_refs(source, item, "performer", source.neighbours.names, "performer")
        if "performer" in item
        else (),
        "specimen": _reference_words(source, "specimen"),
        "method": concept_of(source, item, "method", source.rules).display if "method" in item else "",
        "body_site": concept_of(source, item, "bodySite", source.rules).display if "bodySite" in item else "",
        "has_member": _members(source),
        "encounter": ref_of(source, item, "encounter"),
        "absent_reason": value_reason(source, item),
        "notes": notes_of(source, item),
    }


def _reference_words(source: Source, key: str) -> str:
    if key not in source.resource:
        return ""
    reference = source.obj(source.resource, key)
    return source.text(reference, "display") or source.text(reference, "reference")


def _members(source: Source) -> tuple[str, ...]:
    item = source.resource
    found = [source.text(m, "reference") for m in source.objs(item, "hasMember")] if "hasMember" in item else []
    for related in source.objs(item, "related") if "related" in item else []:  # DSTU2
        found.append(source.text(source.obj(related, "target"), "reference"))
    return tuple(r for r in found if r)


def _value(source: Source, item: Json) -> dict[str, Any]:
    """value[x] as number, concept or words; whatever type it has, nothing of it is lost."""
    key = next((k for k in item if k.startswith("value") and k[5:6].isupper()), None)
    if key is None:
        return {}
    if key in ("valueQuantity", "valueInteger", "valueDecimal"):
        return {"value": quantity_of(source, item, key)}
    if key == "valueCodeableConcept":
        concept = concept_of(source, item, key, source.rules, PREFER_OBSERVATION[::-1])
        return {"value_concept": concept if concept else None}
    return {"value_text": _words(source, item, key)}


def _words(source: Source, item: Json, key: str) -> str:
    kind = key[5:]
    if kind in ("String", "DateTime", "Time", "Boolean", "Instant", "Date"):
        return source.text(item, key) if not isinstance(item[key], bool) else ("yes" if item[key] else "no")
    value = source.obj(item, key)
    if kind == "Range":
        low, high = quantity_of(source, value, "low"), quantity_of(source, value, "high")
        return f"{low or ''} to {high or ''}".strip()
    if kind == "Ratio":
        top, bottom = quantity_of(source, value, "numerator"), quantity_of(source, value, "denominator")
        return f"{top or '?'}:{bottom or '?'}"
    if kind == "Period":
        start, end = source.period(item, key)
        return f"{start or '?'} to {end or '?'}"
    if kind == "SampledData":
        return f"sampled data, {len(source.text(value, 'data').split())} points"
    if kind == "Attachment":
        return source.text(value, "title") or "attachment"
    return source.text(value, "display") or source.text(value, "reference")


def _component(source: Source, item: Json) -> Component:
    value = _value(source, item)
    return Component(
        concept=concept_of(source, item, "code", source.rules, PREFER_OBSERVATION),
        absent_reason=value_reason(source, item),
        interpretation=_interpretation(source, item),
        **value,
    )


def _pressures(source: Source, panel: Concept, components: list[Json], shared: dict[str, Any]) -> list[Observation]:
    """One entry a component; the path and so the id name its place. A component without code keeps the panel's."""
    made: list[Observation] = []
    common = list(source.flags)
    for index, item in enumerate(components):
        source.flags = list(common)
        concept = concept_of(source, item, "code", source.rules, PREFER_OBSERVATION, flags=True) or panel
        value = _value(source, item)
        fields = shared | value
        reason = value_reason(source, item)
        if reason:
            fields["absent_reason"] = reason
        if not any(value.values()):
            source.flag("missing_value", reason or "component.value[x]")
        fields["reference_ranges"] = (ranges_of(source, item) if "referenceRange" in item else ()) or shared[
            "reference_ranges"
        ]
        fields["interpretation"] = _interpretation(source, item) or shared["interpretation"]
        fields["abnormal"] = _abnormal(fields["interpretation"], fields.get("value"), fields["reference_ranges"])
        _check(source, concept.code_in(LOINC) or "", fields.get("value"))
        path = f"component[{index}]"
        made.append(
            Vital(
                id=source.id(path), origins=source.origins(path), concept=concept, flags=tuple(source.flags), **fields
            )
        )
    return made


def _is_pressure(source: Source, components: list[Json]) -> bool:
    codes = {c.get("code") for item in components for c in source.objs(source.obj(item, "code"), "coding")}
    return SYSTOLIC in codes and DIASTOLIC in codes


def _section(source: Source, loinc: str, concept: Concept) -> tuple[str, str]:
    """The category and section: what the category says, else what the code says; unknown ones are results."""
    raw = source.resource.get("category")
    if isinstance(raw, dict):
        source.tolerated("category")
    found = ""
    for item in source.objs(source.resource, "category") if raw is not None else []:
        codes = [source.text(c, "code").lower() for c in source.objs(item, "coding")] + [
            source.text(item, "text").lower()
        ]
        for code in codes:
            section = source.rules.category_hints.get(code) or CATEGORY_SECTION.get(code)
            if section:
                if loinc in SURVEY_LOINC and section == "labs":
                    return code, "assessments"
                return code, section
            found = found or code
    if loinc in VITAL_LOINC:
        return found or "vital-signs", "vitals"
    if loinc in SOCIAL_LOINC:
        return found or "social-history", "social_history"
    if loinc in SURVEY_LOINC:
        return found or "survey", "assessments"
    return found, "labs"


def _interpretation(source: Source, item: Json) -> str:
    raw = item.get("interpretation")
    if raw is None:
        return ""
    items = source.objs(item, "interpretation") if isinstance(raw, list) else [source.obj(item, "interpretation")]
    for value in items:
        for coding in source.objs(value, "coding"):
            code = source.text(coding, "code")
            if code:
                return code
        text = source.text(value, "text")
        if text:
            return text
    return ""


_WORDS = {
    "high": True,
    "low": True,
    "abnormal": True,
    "critical": True,
    "normal": False,
    "negative": False,
    "positive": True,
}


def _abnormal(interpretation: str, value: Quantity | None, ranges: tuple[ReferenceRange, ...]) -> bool | None:
    """From the interpretation; else from the one reference range in the same unit; None when neither can say."""
    if interpretation:
        code = interpretation.upper()
        if code in ABNORMAL:
            return True
        if code in NORMAL:
            return False
        known = _WORDS.get(interpretation.lower())
        if known is not None:
            return known
    if value is None or value.value is None or value.comparator or len(ranges) != 1:
        return None
    low, high = ranges[0].low, ranges[0].high
    for bound in (low, high):
        if bound is not None and bound.unit and value.unit and (bound.code or bound.unit) != (value.code or value.unit):
            return None
    if low is not None and low.value is not None and value.value < low.value:
        return True
    if high is not None and high.value is not None and value.value > high.value:
        return True
    return (
        False if (low is not None and low.value is not None) or (high is not None and high.value is not None) else None
    )


def _check(source: Source, loinc: str, value: Quantity | None) -> None:
    if value is None or value.value is None:
        return
    if not value.unit and not value.code:
        if loinc in VITAL_LOINC or source.resource.get("referenceRange"):
            source.flag("missing_unit", "valueQuantity.unit")
    elif not value.code:
        source.flag("unknown_unit", "valueQuantity.unit")
    limits = PLAUSIBLE.get(loinc)
    if limits is None or not value.code:
        return
    number, unit = value.value, value.code
    converted = to_base(number, unit)
    if converted:
        number, unit = converted
    if unit == limits[0] and not limits[1] <= number <= limits[2]:
        source.flag("implausible_value", f"outside {limits[1]:g} to {limits[2]:g} {limits[0]}")

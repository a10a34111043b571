"""Observation -> Vital, Result, SocialHistory or Assessment. Blood pressure panels become two entries."""

from __future__ import annotations

from typing import Any

from adapters.normalizer.base import Source
from adapters.normalizer.codes import PREFER_OBSERVATION, concept_of
from adapters.normalizer.memo import recall
from adapters.normalizer.read import Json, Reader
from adapters.normalizer.rules import NormalizationRules
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
from models.terminology.analytes import limits, with_canonical
from models.terminology.clinical import (
    BP_PANEL,
    CATEGORY_SECTION,
    DIASTOLIC,
    SOCIAL_LOINC,
    SURVEY_LOINC,
    SYSTOLIC,
    VITAL_LOINC,
    is_abnormal,
)
from models.terminology.results import read_result
from models.terminology.systems import LOINC

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
    specimen = source.text(source.obj(item, "specimen"), "display") if "specimen" in item else ""
    value = _value(source, item)
    concept = source.concept("code", PREFER_OBSERVATION, main=True, unit=_unit(value), specimen=specimen)
    loinc = concept.code_in(LOINC) or ""
    category, section = _section(source, loinc, concept)
    shared = _shared(source, category)
    components = source.objs(item, "component") if "component" in item else []
    pressures: list[Observation] = []
    if components and (loinc in BP_PANEL or _is_pressure(source, components)):
        pressures = _pressures(source, concept, components, shared)
        if not value:
            return pressures
        components = []  # they have entries of their own; the panel keeps what it says itself
    parts = tuple([_component(source, c) for c in components])
    value = _in_canonical_unit(loinc, value)
    fields = shared | value
    _check_value(source, fields, "value[x]", needed=not parts and not shared["has_member"])
    _check_number(source, loinc, fields.get("value"))
    fields["abnormal"] = _abnormal(shared["interpretation"], fields.get("value"), shared["reference_ranges"])
    fields |= {"id": source.id(), "origins": source.origins(), "concept": concept, "components": parts}
    return [_CLASS[section](flags=tuple(source.flags), **fields), *pressures]


def _unit(value: dict[str, Any]) -> str:
    """The unit of a value as it will stand in the entry: what is asked while reading is what is counted after it."""
    quantity = value.get("value")
    return (quantity.code or quantity.unit) if quantity is not None else ""


def value_reason(source: Source, item: Json) -> str:
    """Why there is no value, in words."""
    return concept_of(source, item, "dataAbsentReason", source.rules).display if "dataAbsentReason" in item else ""


def _check_value(source: Source, fields: dict[str, Any], path: str, *, needed: bool = True) -> None:
    """A value, or the reason why there is none; neither or both is worth a remark."""
    if not (fields.get("value") or fields.get("value_concept") or fields.get("value_text")):
        if needed and not fields["absent_reason"]:
            source.flag("missing_value", path)
    elif fields["absent_reason"]:
        source.flag("status_conflict", f"{path}: a value and a dataAbsentReason")


def _shared(source: Source, category: str) -> dict[str, Any]:
    """What all entries of one Observation share."""
    item = source.resource
    effective, effective_end = source.date(item, "effectiveDateTime") or source.date(item, "effectiveInstant"), None
    if effective is None and "effectivePeriod" in item:
        effective, effective_end = source.period(item, "effectivePeriod")
        effective = effective or effective_end
    if effective is None and "effectiveTiming" in item:
        events = source.texts(source.obj(item, "effectiveTiming"), "event")
        effective = source.date({"effectiveTiming": events[0]}, "effectiveTiming") if events else None
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
        "interpretation": _interpretation(source, item) if "interpretation" in item else "",
        "reference_ranges": ranges_of(source, item) if "referenceRange" in item else (),
        "performer": named_refs(source, item, "performer", source.neighbours.names, "performer")
        if "performer" in item
        else (),
        "specimen": _reference_words(source, "specimen") if "specimen" in item else "",
        "method": concept_of(source, item, "method", source.rules).display if "method" in item else "",
        "body_site": concept_of(source, item, "bodySite", source.rules).display if "bodySite" in item else "",
        "has_member": _members(source) if "hasMember" in item else (),
        "encounter": ref_of(source, item, "encounter"),
        "absent_reason": value_reason(source, item) if "dataAbsentReason" in item else "",
        "notes": notes_of(source, item) if "note" in item else (),
    }


def _reference_words(source: Source, key: str) -> str:
    reference = source.obj(source.resource, key)
    return source.text(reference, "display") or source.text(reference, "reference")


def _members(source: Source) -> tuple[str, ...]:
    found = (source.text(m, "reference") for m in source.objs(source.resource, "hasMember"))
    return tuple(r for r in found if r)


def _value(source: Source, item: Json) -> dict[str, Any]:
    """value[x] as number, concept or words; whatever type it has, nothing of it is lost. {} when there is none."""
    for key in item:
        if key[:5] == "value" and key[5:6].isupper():
            return _value_of(source, item, key)
    return {}


def _value_of(source: Source, item: Json, key: str) -> dict[str, Any]:
    if key in ("valueQuantity", "valueInteger", "valueDecimal"):
        quantity = quantity_of(source, item, key)
        if quantity is not None and quantity.value is not None:
            return {"value": quantity}
        held = item[key]
        words = source.text(held, "value") if isinstance(held, dict) else source.text(item, key)
        if words:  # seen: "positive" where a number belongs
            source.tolerated(key)
            return {"value_text": f"{words} {quantity.unit if quantity else ''}".strip()}
        return {}  # a unit alone is no value
    if key == "valueCodeableConcept":
        concept = concept_of(source, item, key, source.rules, PREFER_OBSERVATION[::-1])
        return {"value_concept": concept} if concept else {}
    text = _words(source, item, key)
    read = read_result(text) if key == "valueString" else None
    if read is not None and read.kind in ("number", "titer"):  # seen: "<0.01", "7.2 mg/dL", "1:80" sent as words
        as_sent = f"1:{read.digits}" if read.kind == "titer" else read.digits
        quantity = Quantity(
            value=read.value, unit=read.unit, code=read.code, comparator=read.comparator, as_sent=as_sent
        )
        return {"value": quantity, "value_text": text}
    return {"value_text": text} if text else {}


def _in_canonical_unit(loinc: str, value: dict[str, Any]) -> dict[str, Any]:
    """A number with its canonical value beside what was sent."""
    quantity = value.get("value")
    return value if quantity is None else value | {"value": with_canonical(loinc, quantity)}


def _words(source: Source, item: Json, key: str) -> str:
    kind = key[5:]
    if kind in ("String", "DateTime", "Time", "Boolean", "Instant", "Date"):
        return source.text(item, key) if not isinstance(item[key], bool) else ("yes" if item[key] else "no")
    value = source.obj(item, key)
    if kind == "Range":
        low, high = quantity_of(source, value, "low"), quantity_of(source, value, "high")
        return f"{low or '?'} to {high or '?'}" if low or high else ""
    if kind == "Ratio":
        top, bottom = quantity_of(source, value, "numerator"), quantity_of(source, value, "denominator")
        return f"{top or '?'}:{bottom or '?'}" if top or bottom else ""
    if kind == "Period":
        start, end = source.period(item, key)
        return f"{start or '?'} to {end or '?'}" if start or end else ""
    if kind == "SampledData":
        return f"sampled data, {len(source.text(value, 'data').split())} points"
    if kind == "Attachment":
        return source.text(value, "title") or "attachment"
    return source.text(value, "display") or source.text(value, "reference")


def _component(source: Source, item: Json) -> Component:
    concept = concept_of(source, item, "code", source.rules, PREFER_OBSERVATION)
    value = _in_canonical_unit(concept.code_in(LOINC) or "", _value(source, item))
    return Component(
        concept=concept,
        absent_reason=value_reason(source, item),
        interpretation=_interpretation(source, item),
        **value,
    )


def _pressures(source: Source, panel: Concept, components: list[Json], shared: dict[str, Any]) -> list[Observation]:
    """One entry a pressure; the path and so the id name its place. A component without code keeps the panel's. Components
    that are no vital sign (number of measurements, cuff size) qualify the pressures and go with each of them.

    The panel's interpretation and range do not say which of the pressures they mean: both are kept, they judge neither.
    """
    made: list[Observation] = []
    told = shared["interpretation"]
    shared = shared | {"notes": (*shared["notes"], f"interpretation of the panel: {told}") if told else shared["notes"]}
    qualifying = [_qualifies(source, c) for c in components]
    parts = tuple([_component(source, c) for c, qualifies in zip(components, qualifying, strict=True) if qualifies])
    common = list(source.flags)
    for index, item in enumerate(components):
        if qualifying[index]:
            continue
        source.flags = list(common)
        value = _value(source, item)
        about = source.about(_unit(value))
        concept = concept_of(source, item, "code", source.rules, PREFER_OBSERVATION, flags=True, about=about) or panel
        path = f"component[{index}]"
        fields = shared | _in_canonical_unit(concept.code_in(LOINC) or "", value)
        fields["absent_reason"] = value_reason(source, item) or ("" if value else shared["absent_reason"])
        _check_value(source, fields, f"{path}.value[x]")
        own = ranges_of(source, item) if "referenceRange" in item else ()
        fields["reference_ranges"] = own or shared["reference_ranges"]
        fields["interpretation"] = _interpretation(source, item)
        fields["abnormal"] = _abnormal(fields["interpretation"], fields.get("value"), own)
        _check_number(source, concept.code_in(LOINC) or "", fields.get("value"))
        made.append(
            Vital(
                id=source.id(path),
                origins=source.origins(path),
                concept=concept,
                components=parts,
                flags=tuple(source.flags),
                **fields,
            )
        )
    source.flags = common
    return made


def _qualifies(source: Source, item: Json) -> bool:
    """A component of a pressure panel that says something about the pressures instead of being one."""
    loinc = concept_of(source, item, "code", source.rules, PREFER_OBSERVATION).code_in(LOINC)
    if loinc in VITAL_LOINC or "dataAbsentReason" in item:
        return False
    value = _value(source, item)
    quantity = value.get("value")
    return bool(value) and (quantity is None or (quantity.code or quantity.unit) not in _PRESSURE_UNITS)


_PRESSURE_UNITS = ("mm[Hg]", "kPa", "")


def _is_pressure(source: Source, components: list[Json]) -> bool:
    found = (concept_of(source, item, "code", source.rules, PREFER_OBSERVATION) for item in components)
    codes = {concept.code_in(LOINC) for concept in found}
    return SYSTOLIC in codes and DIASTOLIC in codes


def _section(source: Source, loinc: str, concept: Concept) -> tuple[str, str]:
    """The category and section. The order of a source's categories means nothing, so vital signs win, then laboratory,
    then the first known one. A vital sign's code makes a vital sign of anything but a laboratory result; without a known
    category the code decides, and what no code decides is a result."""
    known, other = _categories(source)
    if loinc in VITAL_LOINC and "labs" not in known:
        return known.get("vitals") or next(iter(known.values()), other) or "vital-signs", "vitals"
    if loinc in SURVEY_LOINC and not known.keys() & {"vitals", "social_history"}:
        return next(iter(known.values()), other) or "survey", "assessments"
    for section in ("vitals", "labs", *known):
        if section in known:
            return known[section], section
    if loinc in SOCIAL_LOINC:
        return other or "social-history", "social_history"
    return other, "labs"


def _categories(source: Source) -> tuple[dict[str, str], str]:
    """Section -> the category that means it, in the order sent, and the first category that means none."""
    raw, rules = source.resource.get("category"), source.rules
    if raw is None:
        return {}, ""
    return recall(rules.memory, source, "category", raw, lambda reader, value: _read_categories(reader, value, rules))


def _read_categories(reader: Reader, raw: Any, rules: NormalizationRules) -> tuple[dict[str, str], str]:
    known: dict[str, str] = {}
    other = ""
    for item in reader.objs({"category": raw}, "category"):
        codes = [reader.text(c, "code") for c in reader.objs(item, "coding")]
        if "text" in item:
            codes.append(reader.text(item, "text"))
        for code in codes:
            code = code.lower()
            section = rules.category_hints.get(code) or CATEGORY_SECTION.get(code)
            if section:
                known.setdefault(section, code)
            elif code:
                other = other or code
    return known, other


def _interpretation(source: Source, item: Json) -> str:
    raw = item.get("interpretation")
    if raw is None:
        return ""
    items = source.objs(item, "interpretation") if isinstance(raw, list) else [source.obj(item, "interpretation")]
    told = []
    for value in items:
        codes = [code for coding in source.objs(value, "coding") if (code := source.text(coding, "code"))]
        told += codes[:1] or [text for text in [source.text(value, "text")] if text]
    # Several may stand side by side (`N` for the level, `H` for the change): the one that calls for attention is told.
    return next((one for one in told if is_abnormal(one)), told[0] if told else "")


def _abnormal(interpretation: str, value: Quantity | None, ranges: tuple[ReferenceRange, ...]) -> bool | None:
    """From the interpretation; else from the one reference range in the same unit; None when neither can say."""
    said = is_abnormal(interpretation) if interpretation else None
    if said is not None:
        return said
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


def _check_number(source: Source, loinc: str, value: Quantity | None) -> None:
    if value is None or value.value is None:
        return
    if not value.unit and not value.code:
        if value.canonical_value is None and (loinc in VITAL_LOINC or source.resource.get("referenceRange")):
            source.flag("missing_unit", "valueQuantity.unit")
    elif not value.code:
        source.flag("unknown_unit", "valueQuantity.unit")
    bounds = limits(loinc)
    number = value.canonical_value
    if bounds is not None and number is not None and not bounds[0] <= number <= bounds[1]:
        source.flag("implausible_value", f"outside {bounds[0]:g} to {bounds[1]:g} {bounds[2]}")

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
Fields = dict[str, Any]
"""Arguments of an entry to be, by name."""


def observation(source: Source) -> list[Observation]:
    """Read an Observation into one entry, or into one for each reading of a blood pressure panel."""
    item = source.resource
    specimen = source.text(source.obj(item, "specimen"), "display") if "specimen" in item else ""
    value = _value(source, item)
    concept = source.concept("code", PREFER_OBSERVATION, main=True, unit=_unit(value), specimen=specimen)
    loinc = concept.code_in(LOINC) or ""
    category, section = _section(source, loinc, concept)
    fields = _shared(source, category)
    components = source.objs(item, "component") if "component" in item else []
    _in_canonical_unit(loinc, value)
    pressures: list[Observation] = []
    if components and (loinc in BP_PANEL or _is_pressure(source, components)):
        pressures = _pressures(source, concept, components, fields)
        if not value:
            return pressures
        components = []  # they have entries of their own; the panel keeps what it says itself
    if components:
        fields["components"] = tuple([_component(source, c) for c in components])
    fields |= value
    _check_value(source, fields, "value[x]", needed=not components and not fields.get("has_member"))
    _check_number(source, loinc, fields.get("value"))
    fields["abnormal"] = _abnormal(fields)
    made = _CLASS[section](
        id=source.id(), origins=source.origins(), concept=concept, flags=tuple(source.flags), **fields
    )
    return [made, *pressures]


def _unit(value: dict[str, Any]) -> str:
    """The unit of a value as it will stand in the entry: what is asked while reading is what is counted after it."""
    quantity = value.get("value")
    return (quantity.code or quantity.unit) if quantity is not None else ""


def value_reason(source: Source, item: Json) -> str:
    """Why there is no value, in words."""
    return concept_of(source, item, "dataAbsentReason", source.rules).display if "dataAbsentReason" in item else ""


def _check_value(source: Source, fields: Fields, path: str, *, needed: bool = True) -> None:
    """A value, or the reason why there is none; neither or both is worth a remark."""
    if not (fields.get("value") or fields.get("value_concept") or fields.get("value_text")):
        if needed and not fields.get("absent_reason"):
            source.flag("missing_value", path)
    elif fields.get("absent_reason"):
        source.flag("status_conflict", f"{path}: a value and a dataAbsentReason")


def _shared(source: Source, category: str) -> Fields:
    """What all entries of one Observation share; what it does not have is left to the entry's defaults."""
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
    fields: Fields = {
        "status": source.status(_STATUSES),
        "effective": effective,
        "effective_end": effective_end,
        "issued": issued,
        "category": category,
    }
    if "interpretation" in item:
        fields["interpretation"] = _interpretation(source, item)
    if "referenceRange" in item:
        fields["reference_ranges"] = ranges_of(source, item)
    if "performer" in item:
        fields["performer"] = named_refs(source, item, "performer", source.neighbours.names, "performer")
    if "specimen" in item:
        fields["specimen"] = _reference_words(source, "specimen")
    if "method" in item:
        fields["method"] = concept_of(source, item, "method", source.rules).display
    if "bodySite" in item:
        fields["body_site"] = concept_of(source, item, "bodySite", source.rules).display
    if "hasMember" in item:
        fields["has_member"] = _members(source)
    if "encounter" in item:
        fields["encounter"] = ref_of(source, item, "encounter")
    if "dataAbsentReason" in item:
        fields["absent_reason"] = value_reason(source, item)
    if "note" in item:
        fields["notes"] = notes_of(source, item)
    return fields


def _reference_words(source: Source, key: str) -> str:
    reference = source.obj(source.resource, key)
    return source.text(reference, "display") or source.text(reference, "reference")


def _members(source: Source) -> tuple[str, ...]:
    found = (source.text(m, "reference") for m in source.objs(source.resource, "hasMember"))
    return tuple(r for r in found if r)


def _value(source: Source, item: Json) -> Fields:
    """value[x] as number, concept or words; whatever type it has, nothing of it is lost. {} when there is none."""
    for key in item:
        if key[:1] == "v" and key[:5] == "value" and key[5:6].isupper():
            return _value_of(source, item, key)
    return {}


def _value_of(source: Source, item: Json, key: str) -> Fields:
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


def _in_canonical_unit(loinc: str, value: Fields) -> None:
    """Put a number's canonical value beside what was sent."""
    if "value" in value:
        value["value"] = with_canonical(loinc, value["value"])


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
    value = _value(source, item)
    _in_canonical_unit(concept.code_in(LOINC) or "", value)
    return Component(
        concept=concept,
        absent_reason=value_reason(source, item),
        interpretation=_interpretation(source, item),
        **value,
    )


def _pressures(source: Source, panel: Concept, components: list[Json], shared: Fields) -> list[Observation]:
    """One entry a pressure; the path and so the id name its place. A component without code keeps the panel's. Components
    that are no vital sign (number of measurements, cuff size) qualify the pressures and go with each of them.

    The panel's interpretation and range do not say which of the pressures they mean: both are kept, they judge neither.
    """
    made: list[Observation] = []
    told = shared.get("interpretation")
    if told:
        shared = shared | {"notes": (*shared.get("notes", ()), f"interpretation of the panel: {told}")}
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
        loinc, path = concept.code_in(LOINC) or "", f"component[{index}]"
        _in_canonical_unit(loinc, value)
        fields = shared | value
        fields["absent_reason"] = value_reason(source, item) or ("" if value else shared.get("absent_reason", ""))
        _check_value(source, fields, f"{path}.value[x]")
        own = ranges_of(source, item) if "referenceRange" in item else ()
        fields["interpretation"] = _interpretation(source, item)
        fields["abnormal"] = _abnormal(fields | {"reference_ranges": own})
        if own:
            fields["reference_ranges"] = own
        _check_number(source, loinc, fields.get("value"))
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
    section = "vitals" if "vitals" in known else "labs" if "labs" in known else next(iter(known), "")
    if section:
        return known[section], section
    if loinc in SOCIAL_LOINC:
        return other or "social-history", "social_history"
    return other, "labs"


def _categories(source: Source) -> tuple[dict[str, str], str]:
    """Section -> the category that means it, in the order sent, and the first category that means none."""
    raw, rules = source.resource.get("category"), source.rules
    if raw is None:
        return {}, ""
    return recall(rules.memory, source, "category", raw, _read_categories, rules)


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


def _abnormal(fields: Fields) -> bool | None:
    """From the interpretation; else from the one reference range in the same unit; None when neither can say."""
    interpretation: str = fields.get("interpretation", "")
    ranges: tuple[ReferenceRange, ...] = fields.get("reference_ranges", ())
    value: Quantity | None = fields.get("value")
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

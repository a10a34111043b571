"""Results, vital signs, social history, functional and mental status -> Observation, DiagnosticReport."""

from __future__ import annotations

from adapters.documents.ccda.document import templates
from adapters.documents.ccda.made import (
    Made,
    Place,
    author,
    inner,
    is_negated,
    kept,
    notes,
    performers,
    status,
)
from adapters.documents.ccda.values import (
    NULLS,
    Element,
    Json,
    absent_reason,
    attr,
    codes,
    null_flavor,
    one_line,
    put_period,
    quantity,
    time_of,
    value_x,
    worded,
)

PREGNANCY = "2.16.840.1.113883.10.20.15.3.8"
_ASSERTED = {
    PREGNANCY: "Pregnancy status",
    "2.16.840.1.113883.10.20.22.4.78": "Tobacco smoking status",
    "2.16.840.1.113883.10.20.22.4.85": "Tobacco use",
}
"""What an observation of a template asserts, where its code is only ASSERTION (C-CDA R1.1)."""
_UNITS = "246514001"
ASSESSMENT = "2.16.840.1.113883.10.20.22.4.69"
_STATUS = {
    "completed": "final",
    "aborted": "cancelled",
    "cancelled": "cancelled",
    "nullified": "entered-in-error",
    "held": "registered",
    "suspended": "registered",
}
"""ActStatus -> observation status. `active` is registered without a value, preliminary with one."""
_REPORT = {
    "completed": "final",
    "active": "partial",
    "aborted": "cancelled",
    "cancelled": "cancelled",
    "nullified": "entered-in-error",
}


def panel(place: Place, element: Element, category: str) -> list[Made]:
    """An organizer: a report of its observations for laboratory results; for all others the observations alone."""
    made: list[Made] = []
    nameless = []
    for child in inner(element, "observation", "organizer", "procedure", "act"):
        if child.tag == "organizer":
            made += panel(place.within(child), child, category)
        elif child.tag == "observation":
            told = _nameless(place, child) if category == "laboratory" else ""
            if told:
                nameless.append({"text": told})
            else:
                made += observation(place.within(element), child, category)
    if category != "laboratory":
        return made
    report: Json = {
        "status": _REPORT.get(status(element), status(element)),
        "code": place.named(element.find("code"), element),
        "category": [{"text": "laboratory"}],
        "performer": _named(element),
        "note": nameless,
        "result": [{"reference": f"#{place.document.path(m.element)}"} for m in made if m.kind == "Observation"],
    }
    put_period(report, "effective", element.find("effectiveTime"))
    if "effectiveDateTime" not in report and "effectivePeriod" not in report:
        times = sorted(t for t in (time_of(m.element.find("effectiveTime")) for m in made) if t)
        if times:
            report["effectiveDateTime"] = times[-1]
    return [*made, Made("DiagnosticReport", kept(report), element)]


def _nameless(place: Place, element: Element) -> str:
    """What is told of an observation without any name whose value is a code without words, in a panel: an export's own
    bookkeeping (seen: the result type beside every result, 71 times in 74 case reports). '' for every other."""
    values = element.findall("value")
    if place.named(element.find("code"), element) or len(values) != 1 or not attr(values[0], "code"):
        return ""
    held = place.code(values[0])
    if held.get("text") or any(c.get("display") for c in held.get("coding", [])):
        return ""
    kind = attr(values[0], "codeSystemName") or attr(values[0], "codeSystem")
    return f"an observation without name: code {attr(values[0], 'code')} of {kind}"


def observation(place: Place, element: Element, category: str) -> list[Made]:
    """One observation, with the observations that qualify it as components."""
    outer = place.outer
    item: Json = {
        "code": _code(place, element),
        "category": [{"coding": [{"code": category}]}],
        "method": next((c for c in (place.code(e) for e in element.findall("methodCode")) if c), {}),
        "bodySite": next((c for c in (place.code(e) for e in element.findall("targetSiteCode")) if c), {}),
        "interpretation": [c for c in (place.code(e) for e in element.findall("interpretationCode")) if c],
        "referenceRange": [
            r for r in (_range(place, e) for e in element.findall("referenceRange/observationRange")) if r
        ],
        "performer": _named(element) or (_named(outer) if outer is not None else []),
        "specimen": _specimen(place, element, outer),
        "note": notes(place, element),
    }
    values = [v for v in (value_x(e, place.document.narrative) for e in element.findall("value")) if v]
    value = next((v for v in values if "dataAbsentReason" not in v), values[0] if values else {})
    negated = ""
    flavor = null_flavor(element)
    if flavor:  # HL7 C-CDA examples, Unknown if Pregnant: nobody knows whether the value holds
        words = _words(value)
        item["note"] += [{"text": f"{NULLS.get(flavor, ('', flavor))[1]}: {words}"}] if words else []
        value = {"dataAbsentReason": absent_reason(flavor)}
    elif is_negated(element):
        value, negated = _denied(value), "negationInd"
    item |= value
    for other in values:
        if other is not value and "dataAbsentReason" not in other and not negated and not flavor:
            item["note"].append({"text": f"also: {_words(other)}"})
    has_value = any(k.startswith("value") for k in value)
    said = status(element)
    item["status"] = ("preliminary" if has_value else "registered") if said == "active" else _STATUS.get(said, said)
    when = element.find("effectiveTime")
    put_period(item, "effective", when)
    if (
        "effectiveDateTime" not in item
        and "effectivePeriod" not in item
        and outer is not None
        and outer.tag == "organizer"
    ):
        put_period(item, "effective", outer.find("effectiveTime"))
    parts, loose = _parts(place, element, category)
    _take_unit(item, parts)
    item["component"] = parts
    return [Made("Observation", kept(item), element, negated=negated), *loose]


def _take_unit(item: Json, parts: list[Json]) -> None:
    """A number's unit where it stands in an observation of its own (seen in exports of a large EHR: REAL beside SNOMED CT
    246514001 'units')."""
    number = item.get("valueQuantity")
    for part in [p for p in parts if any(c.get("code") == _UNITS for c in p["code"].get("coding", []))]:
        words = str(part.get("valueString", ""))
        parts.remove(part)
        if isinstance(number, dict) and words and not number.get("unit"):
            item["valueQuantity"] = number = number | {"unit": words}
        elif words:
            item["note"].append({"text": f"units: {words}"})


def _code(place: Place, element: Element) -> Json:
    """What is observed. ASSERTION says only that the value holds: the template or the section says of what."""
    code = place.named(element.find("code"), element)
    if attr(element.find("code"), "code") == "ASSERTION" and not code.get("text"):
        said = next((words for template, words in _ASSERTED.items() if template in templates(element)), "")
        if said:
            code["text"] = said
        elif place.section is not None and place.section.title:
            code["text"] = place.section.title
    return code


def _denied(value: Json) -> Json:
    """A negated observation in words: its coded value would read as if it held."""
    words = _words(value)
    return {"valueString": f"not present: {words}" if words else "not present"}


def _words(value: Json) -> str:
    for key, held in value.items():
        if key == "valueCodeableConcept":
            return worded(held)
        if key == "valueQuantity":
            return f"{held.get('comparator', '')}{held.get('value', '')} {held.get('unit', '')}".strip()
        if key.startswith("value") and not isinstance(held, dict):
            return str(held)
    return ""


def _parts(place: Place, element: Element, category: str) -> tuple[list[Json], list[Made]]:
    """Observations within: components where they have a code and a value and no author's statement of their own."""
    parts: list[Json] = []
    loose: list[Made] = []
    for relation in element.findall("entryRelationship"):
        child = relation.find("observation")
        if child is None or attr(relation, "typeCode") not in ("COMP", "SUBJ", "REFR", "SPRT", "CAUS"):
            continue
        if ASSESSMENT in templates(child) and child.find("value") is not None:
            loose += observation(place.within(element), child, category)
            continue
        values = [v for v in (value_x(e, place.document.narrative) for e in child.findall("value")) if v]
        code = place.code(child.find("code"))
        if code and values and not any(c == "48767-8" for _, c in codes(child.find("code"))):
            value = _denied(values[0]) if is_negated(child) else values[0]
            if null_flavor(child):
                value = {"dataAbsentReason": absent_reason(null_flavor(child))}
            parts.append({"code": code} | value)
    return parts, loose


def _range(place: Place, element: Element) -> Json:
    """A reference range: bounds, words, whom it applies to."""
    value = element.find("value")
    made: Json = {}
    if value is not None:
        low, high = quantity(value.find("low")), quantity(value.find("high"))
        made = {"low": low, "high": high}
        if not low and not high:
            words = place.document.narrative.text(value) or attr(value, "displayName") or attr(value, "value")
            made["text"] = words
    words = place.document.narrative.text(element.find("text"))
    if words:
        made["text"] = words
    meaning = place.code(element.find("interpretationCode"))
    if meaning and attr(element.find("interpretationCode"), "code") != "N":
        made["appliesTo"] = [meaning]
    return kept(made)


def _named(element: Element) -> list[Json]:
    people = [p["actor"] for p in performers(element)]
    return people or [a for a in [author(element)] if a]


def _specimen(place: Place, *holders: Element | None) -> Json:
    for holder in holders:
        entity = holder.find("specimen/specimenRole/specimenPlayingEntity") if holder is not None else None
        if entity is None:
            continue
        name = entity.find("name")
        words = worded(place.code(entity.find("code"))) or (one_line(name) if name is not None else "")
        if words:
            return {"display": words}
    return {}

"""substanceAdministration and supply -> MedicationStatement, MedicationRequest, Immunization.

Mood tells them apart: EVN is what the patient takes or took, INT and RQO an order, PRMS and PRP a proposal.
Timing: IVL_TS is the period; PIVL_TS a period that repeats; EIVL_TS an event of the day. (C-CDA R2.1 Medication Activity V2)
"""

from __future__ import annotations

from adapters.documents.ccda.document import templates
from adapters.documents.ccda.made import (
    Made,
    Place,
    all_with_template,
    author,
    author_time,
    inner,
    is_negated,
    kept,
    material,
    material_code,
    notes,
    performers,
    reasons,
    status,
    value_of,
    with_template,
)
from adapters.documents.ccda.values import (
    XSI_TYPE,
    Element,
    Json,
    attr,
    interval,
    null_flavor,
    one_line,
    quantity,
    time_of,
    worded,
)

FREE_SIG, SUPPLY_ORDER, DISPENSE, REFUSAL, PRECONDITION = (
    "2.16.840.1.113883.10.20.22.4.147",
    "2.16.840.1.113883.10.20.22.4.17",
    "2.16.840.1.113883.10.20.22.4.18",
    "2.16.840.1.113883.10.20.22.4.53",
    "2.16.840.1.113883.10.20.22.4.25",
)
_STATUS = {
    "active": "active",
    "completed": "completed",
    "aborted": "stopped",
    "suspended": "on-hold",
    "held": "on-hold",
    "cancelled": "cancelled",
    "new": "draft",
    "nullified": "entered-in-error",
}
"""ActStatus -> medication status (US Core/C-CDA mapping guide, CF-medications)."""
_EVENT = {
    "completed": "completed",
    "active": "in-progress",
    "aborted": "not-done",
    "cancelled": "not-done",
    "nullified": "entered-in-error",
}
_DRUG = frozenset({"410942007"})
"""SNOMED CT of 'drug or medicament': no drug in particular."""
_INTENT = {"INT": "order", "RQO": "order", "PRMS": "proposal", "PRP": "proposal"}


def medication(place: Place, element: Element) -> list[Made]:
    """A medication activity."""
    code = material_code(place, element)
    order = attr(element, "moodCode") in _INTENT
    said = _STATUS.get(status(element), status(element))
    refused = is_negated(element)
    item: Json = {"status": said}
    if null_flavor(element):  # "no information": nobody says that it is taken
        item["status"] = "unknown"
    if refused and _no_drug(element):
        code["text"] = "No known medications"
    elif refused and order:
        item["doNotPerform"] = True
    elif refused:
        item["status"] = "not-taken" if said != "entered-in-error" else said
    period, dosage = _timing(element)
    dosage |= _dose(place, element)
    supply = with_template(element, SUPPLY_ORDER) if not order else None
    ordered = supply if supply is not None else with_template(element, SUPPLY_ORDER)
    item |= {
        "medicationCodeableConcept": code,
        "dosageInstruction" if order else "dosage": [dosage] if dosage else [],
        "reasonCode": reasons(place, element),
        "note": notes(place, element) + _told(place, element),
    }
    if order:
        item |= {
            "intent": _INTENT[attr(element, "moodCode")],
            "authoredOn": author_time(element),
            "requester": author(element),
            "dispenseRequest": _dispense(ordered),
        }
        if period:
            timing = dosage.setdefault("timing", {})
            timing.setdefault("repeat", {})["boundsPeriod"] = period
            item["dosageInstruction"] = [dosage]
    else:
        item |= {"dateAsserted": author_time(element), "effectivePeriod": period}
        if ordered is not None:
            item["dispenseRequest"] = _dispense(ordered)
    return [Made("MedicationRequest" if order else "MedicationStatement", kept(item), element)]


def _no_drug(element: Element) -> bool:
    """Whether what is negated is no drug in particular."""
    held = material(element)
    code = held.find("code") if held is not None else None
    if code is None:
        return held is None or held.find("name") is None
    if attr(code, "code") or (code.find("originalText") is not None and one_line(code.find("originalText"))):
        return attr(code, "code") in _DRUG
    return all(attr(t, "code") in _DRUG for t in code.findall("translation"))


def _timing(element: Element) -> tuple[Json, Json]:
    """The period of treatment, and a dosage with how often."""
    period: Json = {}
    repeat: Json = {}
    event = ""
    for when in element.findall("effectiveTime"):
        kind = attr(when, XSI_TYPE).rpartition(":")[2]
        if kind == "PIVL_TS" or when.find("period") is not None:
            repeat |= _cycle(when)
        elif kind == "EIVL_TS" or when.find("event") is not None:
            event = attr(when.find("event"), "code")
            offset = when.find("offset")
            minutes = quantity(offset) or quantity(offset.find("low") if offset is not None else None)
            if minutes.get("unit") == "min":
                repeat["offset"] = minutes["value"]
        else:
            low, high = interval(when)
            if attr(when, "value"):  # a single administration
                high = high or low
            period = period or kept({"start": low, "end": high})
    if event:
        repeat["when"] = [event]
    return period, {"timing": {"repeat": repeat}} if repeat else {}


def _cycle(when: Element) -> Json:
    """PIVL -> repeat: once in every period, or in a period between two lengths."""
    period = when.find("period")
    if period is None:
        return {}
    low, high = quantity(period.find("low")), quantity(period.find("high"))
    single = quantity(period) or low or high
    if not single or not single.get("unit"):
        return {}
    made = {"frequency": 1, "period": single["value"], "periodUnit": single["unit"]}
    if low and high:
        made["periodMax"] = high["value"]
    return made


def _dose(place: Place, element: Element) -> Json:
    """Dose, rate, route, need and the words of the instruction."""
    made: Json = {}
    rate: Json = {}
    for name, key in (("doseQuantity", "dose"), ("rateQuantity", "rate")):
        found = element.find(name)
        if found is None:
            continue
        low, high = quantity(found.find("low")), quantity(found.find("high"))
        if low and high:
            rate[f"{key}Range"] = {"low": low, "high": high}
        elif quantity(found) or low or high:
            rate[f"{key}Quantity"] = quantity(found) or low or high
    if rate:
        made["doseAndRate"] = [rate]
    route = place.code(element.find("routeCode"))
    if route:
        words = worded(route).removesuffix(" Route of Administration")
        made["route"] = route | ({"text": words} if words else {})
    unit = worded(place.code(element.find("administrationUnitCode")))
    held = rate.get("doseQuantity")
    if held and unit and not held.get("unit"):
        held["unit"] = unit
    needs = element.findall("precondition/criterion")
    if needs:
        need = next((c for c in (place.named(value_of(n), n) for n in needs) if c), {})
        made |= {"asNeededCodeableConcept": need} if need else {"asNeededBoolean": True}
    free = with_template(element, FREE_SIG)
    words = place.words(free) if free is not None else ""
    if words:
        made["text"] = words
    return made


def _told(place: Place, element: Element) -> list[Json]:
    """What R4 has no place for here: dispensings and the most that may be taken."""
    found = []
    for supply in all_with_template(element, DISPENSE):
        amount = quantity(supply.find("quantity"))
        words = f"dispensed {time_of(supply.find('effectiveTime'))}".strip()
        if amount:
            words += f", quantity {amount['value']} {amount.get('unit', '')}".rstrip()
        found.append({"text": words})
    most = element.find("maxDoseQuantity")
    if most is not None:
        top, bottom = quantity(most.find("numerator")), quantity(most.find("denominator"))
        if top and bottom:
            found.append(
                {"text": "at most " + " per ".join(f"{q['value']} {q.get('unit', '')}".strip() for q in (top, bottom))}
            )
    return found


def _dispense(supply: Element | None) -> Json:
    """Refills and quantity of a supply order. repeatNumber counts all fills: 3 are two refills (C-CDA R2.1, supply order)."""
    if supply is None:
        return {}
    made: Json = {}
    fills = attr(supply.find("repeatNumber"), "value")
    if fills.isascii() and fills.isdecimal() and 0 < int(fills[:6]) < 1000:
        made["numberOfRepeatsAllowed"] = int(fills) - 1
    amount = quantity(supply.find("quantity"))
    return made | ({"quantity": amount} if amount else {})


def immunization(place: Place, element: Element) -> list[Made]:
    """An immunization activity; refusals are not-done with their reason."""
    given = _EVENT.get(status(element), status(element))
    refused = is_negated(element)
    refusal = with_template(element, REFUSAL)
    if (refused or refusal is not None) and given != "entered-in-error":
        given = "not-done"
    elif given == "in-progress":  # a vaccination is no treatment that goes on: the statement says that it is not over
        given = "unknown"
    if null_flavor(element):
        given = "unknown"
    reason = place.code(refusal.find("code")) if refusal is not None else {}
    lot = element.find("consumable/manufacturedProduct/manufacturedMaterial/lotNumberText")
    number = attr(element.find("repeatNumber"), "value")
    item = {
        "status": given,
        "vaccineCode": material_code(place, element),
        "occurrenceDateTime": time_of(element.find("effectiveTime")),
        "statusReason": reason,
        "lotNumber": one_line(lot) if lot is not None else "",
        "performer": performers(element),
        "protocolApplied": [{"doseNumberString": number}] if number else [],
        "note": notes(place, element),
    }
    if attr(element, "moodCode") not in ("EVN", ""):
        return []
    return [Made("Immunization", kept(item), element)]


def supply(place: Place, element: Element) -> list[Made]:
    """A supply of a drug that stands alone: an order of it. Devices and the rest are not read."""
    if material(element) is None or attr(element, "moodCode") not in _INTENT:
        return []
    item = {
        "status": _STATUS.get(status(element), status(element)),
        "intent": "order",
        "medicationCodeableConcept": material_code(place, element),
        "authoredOn": author_time(element) or time_of(element.find("effectiveTime")),
        "requester": author(element),
        "dispenseRequest": _dispense(element),
    }
    return [Made("MedicationRequest", kept(item), element)]


def drug_words(place: Place, element: Element) -> str:
    """The drug of a planned administration or supply."""
    return worded(material_code(place, element))


def is_immunization(element: Element) -> bool:
    """Whether a substanceAdministration claims a template of immunizations."""
    return bool(templates(element) & {"2.16.840.1.113883.10.20.22.4.52", "2.16.840.1.113883.10.20.22.4.120"})


def nested_medications(place: Place, element: Element) -> list[Made]:
    """The medication within an admission or discharge medication act."""
    made: list[Made] = []
    for child in inner(element, "substanceAdministration"):
        made += medication(place.within(element), child)
    return made

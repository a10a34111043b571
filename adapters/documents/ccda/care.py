"""Procedures, encounters, plans, goals and notes -> Procedure, Encounter, CarePlan, DocumentReference."""

from __future__ import annotations

import base64

from adapters.documents.ccda.document import templates
from adapters.documents.ccda.made import (
    Made,
    Place,
    author,
    author_time,
    inner,
    is_negated,
    kept,
    notes,
    own_words,
    performers,
    reasons,
    status,
    title_of,
    value_of,
)
from adapters.documents.ccda.medications import drug_words
from adapters.documents.ccda.statements import concern
from adapters.documents.ccda.values import (
    Element,
    Json,
    actor,
    attr,
    codes,
    interval,
    null_flavor,
    one_line,
    put_period,
    shown_name,
    time_of,
    value_x,
    worded,
)

_ACT_CODE = "2.16.840.1.113883.5.4"
_SNOMED, _FAILED = "2.16.840.1.113883.6.96", "103709008"
"""Failed attempted procedure: the status of the procedure itself is `completed` (HL7 C-CDA examples, Procedure Unsuccessful)."""
_DONE = {
    "completed": "completed",
    "active": "in-progress",
    "aborted": "stopped",
    "cancelled": "not-done",
    "nullified": "entered-in-error",
    "suspended": "on-hold",
    "held": "on-hold",
    "new": "preparation",
}
_CONTACT = {
    "completed": "finished",
    "active": "in-progress",
    "aborted": "cancelled",
    "cancelled": "cancelled",
    "nullified": "entered-in-error",
}
_PLANNED = frozenset({"INT", "RQO", "PRMS", "PRP", "ARQ", "APT", "GOL", "OPT"})
ENCOUNTER_DIAGNOSIS = "2.16.840.1.113883.10.20.22.4.80"


def is_planned(element: Element) -> bool:
    """Whether a statement speaks of what is intended, ordered, proposed or aimed at."""
    return attr(element, "moodCode") in _PLANNED


def procedure(place: Place, element: Element) -> list[Made]:
    """A procedure, whether CDA calls it procedure, act or observation."""
    done = _DONE.get(status(element), status(element))
    if is_negated(element) and done != "entered-in-error":
        done = "not-done"
    if null_flavor(element):
        done = "unknown"
    item: Json = {
        "status": done,
        "code": place.named(element.find("code"), element),
        "bodySite": [c for c in (place.code(e) for e in element.findall("targetSiteCode")) if c],
        "performer": performers(element) or [{"actor": a} for a in [author(element)] if a],
        "reasonCode": reasons(place, element),
        "note": notes(place, element),
    }
    put_period(item, "performed", element.find("effectiveTime"))
    failed = next((e for e in inner(element, "act") if (_SNOMED, _FAILED) in codes(e.find("code"))), None)
    if failed is not None:
        why = place.words(failed)
        item["outcome"] = {"text": "Failed attempted procedure" + (f": {why}" if why else "")}
    if element.tag == "observation":
        for value in element.findall("value"):
            held = value_x(value, place.document.narrative)
            words = worded(held.get("valueCodeableConcept", {})) or str(held.get("valueString", ""))
            if words:
                item["outcome"] = {"text": words}
    return [Made("Procedure", kept(item), element)]


def encounter(place: Place, element: Element) -> list[Made]:
    """An encounter with its diagnoses, which are problems too."""
    diagnoses: list[Made] = []
    for child in inner(element, "act"):
        if ENCOUNTER_DIAGNOSIS in templates(child):
            diagnoses += [m for m in concern(place.within(child), child) if m.kind == "Condition"]
    for made in diagnoses:
        made.item["category"] = [{"coding": [{"code": "encounter-diagnosis"}]}]
    item = _contact(place, element)
    item["type"] = [own_words(t, (m.item.get("code", {}) for m in diagnoses))[0] for t in item["type"]]
    item |= {
        "status": "planned" if is_planned(element) else _CONTACT.get(status(element), status(element)) or "finished",
        "diagnosis": [
            {
                "condition": {
                    "reference": f"#{place.document.path(m.element)}",
                    "display": worded(m.item.get("code", {})),
                }
            }
            for m in diagnoses
        ],
        "reasonCode": reasons(place, element),
        "participant": [{"individual": p["actor"]} for p in performers(element)],
        "location": _places(element.findall("participant/participantRole"), element),
    }
    return [Made("Encounter", kept(item), element), *diagnoses]


def _contact(place: Place, element: Element) -> Json:
    """What an encounter of the body and that of the head share."""
    code = element.find("code")
    concept = place.code(code)
    kinds = [c for s, c in codes(code) if s == _ACT_CODE]
    disposition = element.find("dischargeDispositionCode")
    disposition = disposition if disposition is not None else element.find("sdtc_dischargeDispositionCode")
    low, high = interval(element.find("effectiveTime"))
    return {
        "type": [concept] if concept else [],
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": kinds[0]} if kinds else {},
        "period": kept({"start": low, "end": high}),
        "hospitalization": kept({"dischargeDisposition": place.code(disposition)}),
    }


def _places(roles: list[Element], element: Element) -> list[Json]:
    found = []
    for role in roles:
        holder = role.getparent()
        if holder is not None and attr(holder, "typeCode") == "LOC":
            name = shown_name(role.findall("playingEntity/name"))
            if name:
                found.append({"location": {"display": name}})
    return found


def encompassing(place: Place, element: Element) -> list[Made]:
    """The encounter that the head of a document names."""
    item = _contact(place, element)
    name = shown_name(element.findall("location/healthCareFacility/location/name"))
    organization = shown_name(element.findall("location/healthCareFacility/serviceProviderOrganization/name"))
    people = [actor(p) for p in (*element.findall("responsibleParty"), *element.findall("encounterParticipant"))]
    item |= {
        "status": "finished" if item["period"].get("end") else "unknown",
        "participant": [{"individual": p} for p in people if p],
        "location": [{"location": {"display": name}}] if name else [],
        "serviceProvider": {"display": organization} if organization else {},
    }
    return [Made("Encounter", kept(item), element)]


def plan(place: Place, statements: list[Element]) -> list[Made]:
    """What a section plans, orders and aims at: one CarePlan."""
    section = place.section
    holder = section.element if section is not None else statements[0]
    activities, goals = [], []
    for element in statements:
        if attr(element, "moodCode") == "GOL":
            goals += [{"display": w} for w in [_goal(place, element)] if w]
            continue
        detail = _activity(place, element)
        if detail:
            activities.append({"detail": detail})
    item = {
        "status": "unknown",  # the section does not say whether its plan still stands
        "intent": "plan",
        "title": title_of(place) or "Plan",
        "category": [place.code(holder.find("code"))] if section is not None and section.code else [],
        "activity": activities,
        "goal": goals,
        "author": author(holder),
    }
    return [Made("CarePlan", kept(item), holder)]


def _goal(place: Place, element: Element) -> str:
    code = worded(place.named(element.find("code"), element))
    values = [value_x(v, place.document.narrative) for v in element.findall("value")]
    told = [
        worded(v["valueCodeableConcept"]) if "valueCodeableConcept" in v else str(v.get("valueString", ""))
        for v in values
    ]
    for value in values:
        amount = value.get("valueQuantity")
        if amount:
            told.append(f"{amount.get('comparator', '')}{amount['value']} {amount.get('unit', '')}".strip())
    words = next((t for t in told if t), "")
    return f"{code}: {words}" if code and words else code or words


def _activity(place: Place, element: Element) -> Json:
    code = place.code(element.find("code"))
    if element.tag in ("substanceAdministration", "supply"):
        drug = drug_words(place, element)
        code = {"text": drug} if drug else code
    if not code:
        code = place.named(None, element)
    value = value_of(element)
    if not code and value is not None:
        code = place.code(value)
    if not code:
        return {}
    low, high = interval(element.find("effectiveTime"))
    said = {"active": "scheduled", "completed": "completed", "cancelled": "cancelled", "aborted": "stopped"}.get(
        status(element), ""
    )
    return kept(
        {
            "code": code,
            "status": said,
            "doNotPerform": True if is_negated(element) else None,
            "scheduledPeriod": kept({"start": low, "end": high}) if high else {},
            "scheduledString": low if not high else "",
        }
    )


def note(place: Place, element: Element) -> list[Made]:
    """A note activity -> DocumentReference with its words, or with the file it carries."""
    text = element.find("text")
    words = place.words(element)
    kind = attr(text, "mediaType")
    content: Json = {}
    if text is not None and attr(text, "representation") == "B64":
        own = "".join(str(text.text or "").split())
        content = {"contentType": kind, "data": own}
    elif words:
        content = text_attachment(words, "")
    code = element.find("code")
    translated = (
        place.code(code.find("translation")) if code is not None and code.find("translation") is not None else {}
    )
    item = {
        "status": "current",
        "type": translated or place.code(code),
        "date": author_time(element) or time_of(element.find("effectiveTime")),
        "author": [a for a in [author(element)] if a],
        "description": title_of(place),
        "content": [{"attachment": content}] if content else [],
    }
    return [Made("DocumentReference", kept(item), element)]


def text_attachment(words: str, title: str) -> Json:
    """Words as an Attachment."""
    data = base64.b64encode(words.encode("utf-8", "replace")).decode()
    return kept({"contentType": "text/plain; charset=utf-8", "title": title, "data": data})


def title_words(element: Element) -> str:
    """The title of a document."""
    title = element.find("title")
    return one_line(title) if title is not None else ""

"""Clean R4 resources as a DSTU2 server gives them. What DSTU2 cannot say is left out, as such a server would have to.

Left out: titles of plans, the verification of an allergy that is inactive or resolved, categories of orders. A reported
medication is a MedicationStatement (DSTU2 keeps orders and reports apart). Pure; the input may be reused, not changed.
Names: the resource pages of https://hl7.org/fhir/DSTU2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from service.practice_ehr.dress import Json

_CLASS = {"AMB": "ambulatory", "IMP": "inpatient", "EMER": "emergency", "VR": "virtual", "HH": "home", "FLD": "field"}
_CONDITION_CATEGORY = {
    "problem-list-item": {"system": "http://argonaut.hl7.org", "code": "problem"},
    "encounter-diagnosis": {"system": "http://hl7.org/fhir/condition-category", "code": "diagnosis"},
    "health-concern": {"system": "http://argonaut.hl7.org", "code": "health-concern"},
}
_SYSTEMS = {
    "http://terminology.hl7.org/CodeSystem/observation-category": "http://hl7.org/fhir/observation-category",
    "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation": "http://hl7.org/fhir/v2/0078",
}
_CRITICALITY = {"low": "CRITL", "high": "CRITH", "unable-to-assess": "CRITU"}
_ORDER_STATUS = {"cancelled": "stopped", "unknown": None}
_PLAN_STATUS = {"revoked": "cancelled", "on-hold": "active", "unknown": None}


def as_dstu2(resources: Iterable[Json]) -> list[Json]:
    """All resources in DSTU2, with the references among them."""
    before = list(resources)
    made = [_resource(r) for r in before]
    names = {
        f"{old['resourceType']}/{old['id']}": f"{new['resourceType']}/{new['id']}"
        for old, new in zip(before, made, strict=True)
        if old["resourceType"] != new["resourceType"]
    }
    return [_renamed(r, names) for r in made]


def _resource(resource: Json) -> Json:
    turn = _TURNS.get(str(resource["resourceType"]))
    made = dict(resource)
    if "meta" in made:  # profiles are those of R4
        made["meta"] = {k: v for k, v in made["meta"].items() if k != "profile"}
    if isinstance(made.get("name"), list):
        made["name"] = [_human_name(n) for n in made["name"]]
    if turn:
        turn(made)
    return {k: v for k, v in made.items() if v not in (None, {}, [])}


def _renamed(value: Any, names: dict[str, str]) -> Any:
    """References by the new names, code systems by DSTU2's addresses."""
    if isinstance(value, list):
        return [_renamed(v, names) for v in value]
    if not isinstance(value, dict):
        return value
    made = {k: _renamed(v, names) for k, v in value.items()}
    reference, system = made.get("reference"), made.get("system")
    if isinstance(reference, str):
        *base, kind, found = ["", "", *reference.split("/")] if "/" in reference else ["", reference]
        name = names.get(f"{kind}/{found}")
        if name:
            made["reference"] = "/".join([*base[2:], name])
    if isinstance(system, str):
        made["system"] = _SYSTEMS.get(system, system)
    return made


def _move(made: Json, old: str, new: str, shape: Callable[[Any], Any] = lambda v: v) -> None:
    if old in made:
        made[new] = shape(made.pop(old))


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value


def _code(concept: Any) -> str:
    codings = concept.get("coding") if isinstance(concept, dict) else None
    return str(codings[0].get("code", "")) if codings else ""


def _words(notes: Any) -> str | None:
    return "\n".join(n["text"] for n in notes if n.get("text")) or None if isinstance(notes, list) else None


def _human_name(name: Json) -> Json:
    return name | {"family": [name["family"]]} if isinstance(name.get("family"), str) else name


def _patient(made: Json) -> None:
    _move(made, "generalPractitioner", "careProvider")


def _practitioner(made: Json) -> None:
    _move(made, "name", "name", _first)
    made.pop("qualification", None)


def _condition(made: Json) -> None:
    _move(made, "subject", "patient")
    _move(made, "recordedDate", "dateRecorded", lambda v: str(v)[:10])
    _move(made, "recorder", "asserter")
    _move(made, "clinicalStatus", "clinicalStatus", lambda v: _code(v) or None)
    _move(made, "verificationStatus", "verificationStatus", lambda v: _code(v) or "unknown")
    _move(made, "category", "category", _condition_category)
    _move(made, "onsetAge", "onsetQuantity")
    _move(made, "abatementAge", "abatementQuantity")
    _move(made, "note", "notes", _words)


def _condition_category(categories: Any) -> Json:
    concept = dict(_first(categories))
    known = _CONDITION_CATEGORY.get(_code(concept))
    return {"coding": [known]} if known else concept


def _allergy(made: Json) -> None:
    _move(made, "code", "substance")
    _move(made, "asserter", "reporter")
    _move(made, "onsetDateTime", "onset")
    _move(made, "category", "category", _first)
    _move(made, "note", "note", _first)
    _move(made, "criticality", "criticality", lambda v: _CRITICALITY.get(v, v))
    clinical, verification = _code(made.pop("clinicalStatus", None)), _code(made.pop("verificationStatus", None))
    if verification in ("entered-in-error", "refuted"):
        made["status"] = verification
    elif clinical in ("inactive", "resolved"):
        made["status"] = clinical
    else:
        made["status"] = verification if verification in ("confirmed", "unconfirmed") else clinical or None


def _medication(made: Json) -> None:
    """An order, or a statement where the order only repeats what somebody reported."""
    reported = made.pop("reportedBoolean", False) is True or "reportedReference" in made
    made.pop("reportedReference", None)
    made.pop("intent", None)
    made.pop("category", None)
    _move(made, "subject", "patient")
    _move(made, "note", "note", _words)
    made["status"] = _ORDER_STATUS.get(made.get("status", ""), made.get("status"))
    if reported:
        _statement(made)
        return
    made["resourceType"] = "MedicationOrder"
    _move(made, "authoredOn", "dateWritten")
    _move(made, "requester", "prescriber")
    _move(made, "reasonCode", "reasonCodeableConcept", _first)
    _move(made, "statusReason", "reasonEnded")
    _move(made, "dosageInstruction", "dosageInstruction", lambda v: [_dosage(d, "dose") for d in v])


def _statement(made: Json) -> None:
    made["resourceType"] = "MedicationStatement"
    if made.get("status") == "stopped":
        made["status"] = "completed"
    _move(made, "authoredOn", "dateAsserted")
    _move(made, "requester", "informationSource")
    _move(made, "reasonCode", "reasonForUseCodeableConcept", _first)
    _move(made, "dosageInstruction", "dosage", lambda v: [_dosage(d, "quantity") for d in v])
    for name in ("dispenseRequest", "encounter", "statusReason"):
        made.pop(name, None)


def _dosage(dosage: Json, stem: str) -> Json:
    """`stem`: what DSTU2 calls the amount, `dose` in orders and `quantity` in statements."""
    made = dict(dosage)
    rate = _first(made.pop("doseAndRate", None)) or {}
    for kind in ("Quantity", "Range"):
        if f"dose{kind}" in rate:
            made[f"{stem}{kind}"] = rate[f"dose{kind}"]
    timing = made.get("timing")
    if isinstance(timing, dict) and isinstance(timing.get("repeat"), dict):
        repeat = dict(timing["repeat"])
        _move(repeat, "periodUnit", "periodUnits")
        _move(repeat, "when", "when", _first)
        made["timing"] = timing | {"repeat": repeat}
    return made


def _observation(made: Json) -> None:
    _move(made, "category", "category", _first)
    _move(made, "interpretation", "interpretation", _first)
    _move(made, "note", "comments", _words)
    _move(made, "hasMember", "related", lambda v: [{"type": "has-member", "target": r} for r in v])


def _encounter(made: Json) -> None:
    _move(made, "subject", "patient")
    _move(made, "reasonCode", "reason")
    _move(made, "class", "class", lambda v: _CLASS.get(v.get("code"), "other"))


def _report(made: Json) -> None:
    _move(made, "conclusionCode", "codedDiagnosis")
    _move(made, "category", "category", _first)
    _move(made, "performer", "performer", _first)
    made.pop("note", None)


def _immunization(made: Json) -> None:
    _move(made, "occurrenceDateTime", "date")
    _move(made, "primarySource", "reported", lambda v: not v)
    _move(made, "performer", "performer", lambda v: _first(v)["actor"])
    made["wasNotGiven"] = made.get("status") == "not-done"
    made.setdefault("reported", False)
    if made["wasNotGiven"]:
        made["status"] = "completed"
    _move(made, "statusReason", "explanation", lambda v: {"reasonNotGiven": [v]})


def _procedure(made: Json) -> None:
    made["notPerformed"] = made.get("status") == "not-done"
    made["status"] = {"not-done": "completed", "stopped": "aborted"}.get(made.get("status", ""), made.get("status"))
    _move(made, "statusReason", "reasonNotPerformed", lambda v: [v])
    _move(made, "reasonCode", "reasonCodeableConcept", _first)
    _move(made, "note", "notes")


def _plan(made: Json) -> None:
    made["status"] = _PLAN_STATUS.get(made.get("status", ""), made.get("status"))
    made.pop("intent", None)
    made.pop("title", None)
    _move(made, "author", "author", lambda v: [v])
    _move(made, "encounter", "context")
    _move(made, "note", "note", _first)


def _document(made: Json) -> None:
    _move(made, "date", "indexed")
    _move(made, "category", "class", _first)
    _move(made, "docStatus", "docStatus", lambda v: {"coding": [{"code": v}]})
    context = dict(made.get("context", {}))
    _move(context, "encounter", "encounter", _first)
    made["context"] = context
    _move(made, "content", "content", lambda v: [_content(c) for c in v])


def _content(content: Json) -> Json:
    return content | {"format": [content["format"]]} if isinstance(content.get("format"), dict) else content


def _provenance(made: Json) -> None:
    def agent(value: Json) -> Json:
        turned = dict(value)
        _move(turned, "who", "actor")
        _move(turned, "type", "role", lambda v: _first(v.get("coding")))
        return turned

    made["agent"] = [agent(a) for a in made.get("agent", [])]


def _goal(made: Json) -> None:
    _move(made, "description", "description", lambda v: v.get("text"))
    _move(made, "lifecycleStatus", "status", lambda v: "in-progress" if v == "active" else v)


def _binary(made: Json) -> None:
    _move(made, "data", "content")
    made.pop("securityContext", None)


_TURNS: dict[str, Callable[[Json], None]] = {
    "Patient": _patient,
    "Practitioner": _practitioner,
    "Condition": _condition,
    "AllergyIntolerance": _allergy,
    "MedicationRequest": _medication,
    "Observation": _observation,
    "Encounter": _encounter,
    "DiagnosticReport": _report,
    "Immunization": _immunization,
    "Procedure": _procedure,
    "CarePlan": _plan,
    "DocumentReference": _document,
    "Provenance": _provenance,
    "Goal": _goal,
    "Binary": _binary,
}

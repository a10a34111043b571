"""R5 (5.0.0) -> R4, type by type.

Element and code names: the resource pages of https://hl7.org/fhir/R5 and their "R4 Diff" tables. The ballots before R5
declare 4.2 to 5.0 and write some elements as R4 does: those stay as they are.
"""

from __future__ import annotations

from typing import Any

from adapters.normalizer.read import Json
from adapters.normalizer.releases.turn import Turn, Turns, each, listed, translated

_ORDER_STATUS = {"ended": "completed"}
_ENCOUNTER_STATUS = {
    "completed": "finished",
    "discharged": "finished",
    "discontinued": "finished",
    "on-hold": "onleave",
}
"""R5's words -> R4's. What was discharged or broken off began and is over, though R5 says so more finely."""
_ADHERENCE = {"taking": "active", "not-taking": "not-taken", "on-hold": "on-hold", "stopped": "stopped"}
"""MedicationStatement.adherence.code, up to its `-as-directed` -> R4's status."""
_RECORDERS = frozenset({"author", "enterer"})


def _concepts(value: Any) -> list[Any]:
    """The CodeableConcepts among CodeableReferences; a reference with a display counts as its words."""
    found = []
    for item in listed(value):
        if not isinstance(item, dict):
            continue
        if "concept" in item:
            found.append(item["concept"])
        elif isinstance(item.get("reference"), dict) and item["reference"].get("display"):
            found.append({"text": item["reference"]["display"]})
        elif "coding" in item or "text" in item:  # a ballot's plain CodeableConcept
            found.append(item)
    return found


def _references(value: Any) -> list[Any]:
    """The References among CodeableReferences; a concept counts by its words."""
    found = []
    for item in listed(value):
        if not isinstance(item, dict):
            continue
        reference = item.get("reference")
        if isinstance(reference, str) or "display" in item:  # a ballot's plain Reference
            found.append(item)
        elif isinstance(reference, dict):
            found.append(reference)
        elif isinstance(item.get("concept"), dict):
            found.append({"display": _words(item["concept"])})
    return found


def _words(concept: Json) -> str:
    codings = [c for c in listed(concept.get("coding")) if isinstance(c, dict)]
    told = [concept.get("text"), *(c.get("display") for c in codings), *(c.get("code") for c in codings)]
    return next((t for t in told if isinstance(t, str) and t), "")


def _reasons(made: Turn) -> None:
    reasons = made.item.get("reason")
    made.move("reason", "reasonCode", _concepts)
    linked = [r["reference"] for r in listed(reasons) if isinstance(r, dict) and isinstance(r.get("reference"), dict)]
    if linked:
        made.item.setdefault("reasonReference", linked)


def _drug(made: Turn) -> None:
    """medication is a CodeableReference."""
    made.names.setdefault("medication[x]", "medication")
    value = made.item.get("medication")
    if not isinstance(value, dict):
        return
    concept, reference = value.get("concept"), value.get("reference")
    if concept and "medicationCodeableConcept" not in made.item:
        made.item["medicationCodeableConcept"] = concept
        made.names["medicationCodeableConcept"] = "medication.concept"
    if reference and "medicationReference" not in made.item:
        made.item["medicationReference"] = reference
        made.names["medicationReference"] = "medication.reference"


def _dosage(dosage: Json) -> Json:
    made = Turn(dosage)
    needs = [n for n in listed(made.item.get("asNeededFor")) if isinstance(n, dict)]
    if needs:
        made.item.setdefault("asNeededCodeableConcept", needs[0])
    made.move("asNeeded", "asNeededBoolean")
    return dict(made.item)


def _order(made: Turn) -> None:
    _drug(made)
    _reasons(made)
    made.move("reported", "reportedBoolean")
    told = [r for r in listed(made.item.get("informationSource")) if isinstance(r, dict)]
    if told and "reportedBoolean" not in made.item:
        made.item.setdefault("reportedReference", told[0])
    made.move("effectiveDosePeriod", "effectivePeriod")
    made.reshape("status", translated(_ORDER_STATUS))
    made.reshape("dosageInstruction", each(_dosage))


def _statement(made: Turn) -> None:
    """R5's status is that of the record; whether the patient takes it is `adherence`."""
    _drug(made)
    _reasons(made)
    made.reshape("dosage", each(_dosage))
    adherence = made.item.get("adherence")
    if made.item.get("status") == "recorded":
        code = adherence.get("code") if isinstance(adherence, dict) else None
        codings = [c for c in listed(code.get("coding")) if isinstance(c, dict)] if isinstance(code, dict) else []
        made.item["status"] = next((s for s in (_taking(c.get("code")) for c in codings) if s), "unknown")
        made.names["status"] = "adherence.code"
    if isinstance(adherence, dict) and "reason" in adherence:
        made.item.setdefault("statusReason", listed(adherence["reason"]))


def _taking(code: Any) -> str:
    if not isinstance(code, str):
        return ""
    plain = code.strip().lower()
    for ending in ("-not-as-directed", "-as-directed"):
        plain = plain.removesuffix(ending)
    return _ADHERENCE.get(plain, "")


def _people(made: Turn) -> None:
    """participant: who recorded it and who said so."""
    for part in listed(made.item.get("participant")):
        if not isinstance(part, dict) or not isinstance(part.get("actor"), dict):
            continue
        function = part.get("function")
        codings = listed(function.get("coding")) if isinstance(function, dict) else []
        codes = {c.get("code") for c in codings if isinstance(c, dict) and isinstance(c.get("code"), str)}
        if codes & _RECORDERS:
            made.item.setdefault("recorder", part["actor"])
        if "informant" in codes:
            made.item.setdefault("asserter", part["actor"])


def _allergy(made: Turn) -> None:
    _people(made)
    made.reshape("type", _first_code)
    made.reshape("reaction", each(_reaction))


def _reaction(reaction: Json) -> Json:
    return (
        reaction | {"manifestation": _concepts(reaction["manifestation"])} if "manifestation" in reaction else reaction
    )


def _first_code(value: Any) -> Any:
    codings = listed(value.get("coding")) if isinstance(value, dict) else []
    return next((c["code"] for c in codings if isinstance(c, dict) and isinstance(c.get("code"), str)), value)


def _encounter(made: Turn) -> None:
    made.move("actualPeriod", "period")
    made.move("admission", "hospitalization")
    made.reshape("class", _class)
    made.reshape("status", translated(_ENCOUNTER_STATUS))
    reasons = [r for r in listed(made.item.get("reason")) if isinstance(r, dict)]
    made.move("reason", "reasonCode", lambda _: [c for r in reasons for c in _concepts(r.get("value"))])
    made.reshape("diagnosis", lambda v: [d for item in listed(v) for d in _diagnosis(item)])
    made.reshape("participant", each(_participant))


def _class(value: Any) -> Any:
    """The first coding of the first class; in words where there is none."""
    if not isinstance(value, list):
        return value
    concepts = [c for c in value if isinstance(c, dict)]
    codings = [c for concept in concepts for c in listed(concept.get("coding")) if isinstance(c, dict)]
    return codings[0] if codings else {"display": _words(concepts[0])} if concepts else {}


def _diagnosis(item: Any) -> list[Any]:
    if not isinstance(item, dict) or not isinstance(item.get("condition"), list):
        return [item]
    return [item | {"condition": r} for r in _references(item["condition"])]


def _participant(item: Json) -> Json:
    return item | {"individual": item["actor"]} if "actor" in item and "individual" not in item else item


def _immunization(made: Turn) -> None:
    _reasons(made)

    def dose(protocol: Json) -> Json:
        turned = Turn(protocol)
        turned.move("doseNumber", "doseNumberString")
        return dict(turned.item)

    made.reshape("protocolApplied", each(dose))


def _procedure(made: Turn) -> None:
    made.names["performed[x]"] = "occurrence[x]"
    for kind in ("DateTime", "Period", "String", "Age", "Range"):
        if f"occurrence{kind}" in made.item:
            made.move(f"occurrence{kind}", f"performed{kind}")
    _reasons(made)


def _plan(made: Turn) -> None:
    made.move("custodian", "author")
    made.reshape("addresses", _references)
    made.reshape("activity", each(_activity))


def _activity(activity: Json) -> Json:
    made = Turn(activity)
    made.move("plannedActivityReference", "reference")
    made.move("performedActivity", "outcomeCodeableConcept", _concepts)
    return dict(made.item)


def _document(made: Turn) -> None:
    context = made.item.get("context")
    if isinstance(context, list) or "period" in made.item:
        linked = [r for r in listed(context) if isinstance(r, dict) and "reference" in r]
        visits = [r for r in linked if isinstance(r["reference"], str) and "Encounter/" in r["reference"]]
        made.item["context"] = {"encounter": visits, "period": made.item.pop("period", {})}
    made.reshape("content", each(_content))


def _content(content: Json) -> Json:
    """Sizes are integer64 in R5: digits in a string."""
    attachment = content.get("attachment")
    size = attachment.get("size") if isinstance(attachment, dict) else None
    if not isinstance(attachment, dict) or not isinstance(size, str) or not size.isdecimal() or len(size) > 18:
        return content
    return content | {"attachment": attachment | {"size": int(size)}}


def _report(made: Turn) -> None:
    def form(attachment: Json) -> Json:
        held: Json = _content({"attachment": attachment})["attachment"]
        return held

    made.reshape("presentedForm", each(form))


def _medication(made: Turn) -> None:
    def part(ingredient: Json) -> Json:
        item = ingredient.get("item")
        if not isinstance(item, dict):
            return ingredient
        held = {"itemCodeableConcept": item.get("concept"), "itemReference": item.get("reference")}
        return ingredient | {name: value for name, value in held.items() if value is not None}

    made.reshape("ingredient", each(part))


R5: Turns = {
    "AllergyIntolerance": _allergy,
    "Condition": _people,
    "MedicationRequest": _order,
    "MedicationStatement": _statement,
    "Encounter": _encounter,
    "Immunization": _immunization,
    "Procedure": _procedure,
    "CarePlan": _plan,
    "DiagnosticReport": _report,
    "DocumentReference": _document,
    "Medication": _medication,
}
"""Type -> what turns it into R4. Observation, Patient and the rest are written alike where the record reads them."""

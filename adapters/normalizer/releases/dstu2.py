"""DSTU2 (1.0.2) -> R4, type by type.

Element and code names: the resource pages of https://hl7.org/fhir/DSTU2 and of /STU3 and /R4 with their "R2 Diff" and
"R3 Diff" tables. There is no judge for DSTU2: fhir.resources dropped its classes.
"""

from __future__ import annotations

from typing import Any

from adapters.normalizer.read import Json
from adapters.normalizer.releases.turn import (
    NAMELESS,
    Turn,
    Turns,
    coded,
    deny,
    each,
    listed,
    noted,
    translated,
    truth,
)
from models.record.dates import is_partial_date, sort_key

_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
_ALLERGY_CLINICAL = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
_ALLERGY_VERIFICATION = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
_ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"

_CONDITION_CATEGORY = {"problem": "problem-list-item", "diagnosis": "encounter-diagnosis"}
"""Argonaut's and DSTU2's own category codes -> R4's."""
_ALLERGY_STATUS = {
    "active": ("active", ""),
    "unconfirmed": ("active", "unconfirmed"),
    "confirmed": ("active", "confirmed"),
    "inactive": ("inactive", ""),
    "resolved": ("resolved", ""),
    "refuted": ("inactive", "refuted"),
    "entered-in-error": ("", "entered-in-error"),
}
"""AllergyIntolerance.status, one axis in DSTU2 -> clinicalStatus and verificationStatus. A status that is only about the
certainty is of an allergy that is neither inactive nor resolved."""
_CRITICALITY = {"CRITL": "low", "CRITH": "high", "CRITU": "unable-to-assess"}
_CLASS = {
    "inpatient": "IMP",
    "outpatient": "AMB",
    "ambulatory": "AMB",
    "emergency": "EMER",
    "home": "HH",
    "field": "FLD",
    "daytime": "SS",
    "virtual": "VR",
}
_PLAN_STATUS = {"proposed": "draft", "cancelled": "revoked"}
_URLS = {
    "argo-race": "us-core-race",
    "argo-ethnicity": "us-core-ethnicity",
    "argo-birthsex": "us-core-birthsex",
    "us-core-birth-sex": "us-core-birthsex",
}
"""Last part of an extension's URL: Argonaut's and DAF's names -> US Core's."""


def _every(made: Turn) -> None:
    made.reshape("name", each(_human_name))


def _subject(made: Turn) -> None:
    """The patient is `patient` in most types of DSTU2; R4 keeps that name for allergies and immunizations."""
    made.move("patient", "subject")


def _human_name(name: Json) -> Json:
    """Family names are a list in DSTU2."""
    family = name.get("family")
    if not isinstance(family, list):
        return name
    return name | {"family": " ".join(f for f in family if isinstance(f, str))}


def _patient(made: Turn) -> None:
    made.move("careProvider", "generalPractitioner")
    made.reshape("extension", each(_us_core))


def _us_core(extension: Json) -> Json:
    url = extension.get("url")
    stem, _, last = url.rpartition("/") if isinstance(url, str) else ("", "", "")
    last = _URLS.get(last, last)
    concept = extension.get("valueCodeableConcept")
    found: Json = extension | {"url": f"{stem}/{last}"} if last in _URLS.values() else extension
    if not isinstance(concept, dict):
        return found
    codings = [c for c in listed(concept.get("coding")) if isinstance(c, dict)]
    first = codings[0] if codings else {}
    if last in ("us-core-race", "us-core-ethnicity"):  # DAF: a CodeableConcept
        text = concept.get("text") or first.get("display") or first.get("code")
        return {"url": found["url"], "extension": [{"url": "text", "valueString": text}]}
    if last == "us-core-birthsex":
        return {"url": found["url"], "valueCode": first.get("code")}
    return found


def _person(made: Turn) -> None:
    made.reshape("name", listed)


def _condition(made: Turn) -> None:
    _subject(made)
    made.move("dateRecorded", "recordedDate")
    made.move("onsetQuantity", "onsetAge")
    made.move("abatementQuantity", "abatementAge")
    made.move("notes", "note", noted)
    made.reshape("clinicalStatus", coded(_CLINICAL))
    made.reshape("verificationStatus", coded(_VERIFICATION))
    made.reshape("category", lambda v: [_category(c) if isinstance(c, dict) else c for c in listed(v)])


def _category(concept: Json) -> Json:
    def renamed(coding: Any) -> Any:
        code = coding.get("code") if isinstance(coding, dict) else None
        if not isinstance(code, str) or code.lower() not in _CONDITION_CATEGORY:
            return coding
        return coding | {"code": _CONDITION_CATEGORY[code.lower()]}

    return concept | {"coding": [renamed(c) for c in listed(concept["coding"])]} if "coding" in concept else concept


def _allergy(made: Turn) -> None:
    made.move("substance", "code")
    made.move("reporter", "asserter")
    made.move("onset", "onsetDateTime")
    made.move("lastOccurence", "lastOccurrence")  # spelled so in DSTU2
    made.reshape("note", noted)
    made.reshape("category", listed)
    made.reshape("criticality", translated(_CRITICALITY))
    made.reshape("reaction", each(lambda r: r | {"note": noted(r["note"])} if "note" in r else r))
    status = made.item.get("status")
    word = status.strip().lower() if isinstance(status, str) else ""
    clinical, verification = _ALLERGY_STATUS.get(word, (word, ""))
    made.move("status", "clinicalStatus", lambda _: coded(_ALLERGY_CLINICAL)(clinical) if clinical else None)
    if verification:
        made.names["verificationStatus"] = "status"
        made.item.setdefault("verificationStatus", coded(_ALLERGY_VERIFICATION)(verification))


def _order(made: Turn) -> None:
    """MedicationOrder; an order by its type, so `intent` is order."""
    _subject(made)
    made.move("dateWritten", "authoredOn")
    made.move("prescriber", "requester")
    made.move("reasonCodeableConcept", "reasonCode", listed)
    made.reshape("reasonReference", listed)
    made.move("reasonEnded", "statusReason")
    made.reshape("note", noted)
    made.reshape("dosageInstruction", each(_dosage))
    made.item.setdefault("intent", "order")
    _ended(made)


def _ended(made: Turn) -> None:
    """`dateEnded`, when the prescription was stopped, is the end of the treatment; R4 orders have no element for it."""
    ended = made.item.pop("dateEnded", None)
    made.names["effectivePeriod"] = "dateEnded"
    if not isinstance(ended, str):
        return
    steps = listed(made.item.get("dosageInstruction"))
    starts = [s for s in (_at(d, "timing", "repeat", "boundsPeriod", "start") for d in steps) if is_partial_date(s)]
    valid = _at(made.item, "dispenseRequest", "validityPeriod", "start")
    period = {"start": min(starts, key=sort_key) if starts else valid, "end": ended}
    made.item["effectivePeriod"] = {name: value for name, value in period.items() if value is not None}


def _at(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _dosage(dosage: Json) -> Json:
    made = Turn(dosage)
    made.move("additionalInstructions", "additionalInstruction", listed)
    made.move("quantityQuantity", "doseQuantity")
    made.move("quantityRange", "doseRange")
    made.reshape("timing", each(_timing))
    return dict(made.item)


def _timing(timing: Json) -> Json:
    def repeat(value: Json) -> Json:
        made = Turn(value)
        made.move("periodUnits", "periodUnit")
        made.move("durationUnits", "durationUnit")
        made.move("boundsQuantity", "boundsDuration")
        made.reshape("when", listed)
        return dict(made.item)

    return timing | {"repeat": each(repeat)(timing["repeat"])} if "repeat" in timing else timing


def _statement(made: Turn) -> None:
    _subject(made)
    deny(made, "wasNotTaken", "not-taken")
    made.move("reasonNotTaken", "statusReason", listed)
    made.move("reasonForUseCodeableConcept", "reasonCode", listed)
    made.move("reasonForUseReference", "reasonReference", listed)
    made.reshape("note", noted)
    made.reshape("dosage", each(_dosage))


def _observation(made: Turn) -> None:
    made.move("comments", "note", noted)
    made.reshape("category", listed)
    made.reshape("interpretation", listed)
    related = [r for r in listed(made.item.get("related")) if isinstance(r, dict)]
    members = [r["target"] for r in related if r.get("type") == "has-member" and "target" in r]
    if members:
        made.names["hasMember"] = "related"
        made.item.setdefault("hasMember", members)


def _encounter(made: Turn) -> None:
    _subject(made)
    made.move("reason", "reasonCode", listed)
    made.move("indication", "reasonReference", listed)
    made.reshape("class", _class)
    stay = made.item.get("hospitalization")
    found = stay.get("dischargeDiagnosis") if isinstance(stay, dict) else None
    diagnoses = [d for d in listed(found) if isinstance(d, dict)]
    if diagnoses:
        use = {"coding": [{"code": "DD", "display": "Discharge diagnosis"}]}
        made.names["diagnosis"] = "hospitalization.dischargeDiagnosis"
        made.item.setdefault("diagnosis", [{"condition": d, "use": use} for d in diagnoses])


def _class(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return {"system": _ACT_CODE, "code": _CLASS.get(value.strip().lower(), value.strip())}


def _report(made: Turn) -> None:
    made.move("codedDiagnosis", "conclusionCode", listed)
    made.move("image", "media")
    made.reshape("performer", listed)
    made.reshape("category", listed)


def _immunization(made: Turn) -> None:
    made.move("date", "occurrenceDateTime")
    deny(made, "wasNotGiven", "not-done")
    explanation = made.item.get("explanation")
    for old, new in (("reasonNotGiven", "statusReason"), ("reason", "reasonCode")):
        if isinstance(explanation, dict) and old in explanation and new not in made.item:
            made.item[new] = listed(explanation[old])
            made.names[new] = f"explanation.{old}"
    made.move("reported", "primarySource", _opposite)
    made.reshape("performer", each(lambda p: {"actor": p} if "actor" not in p else p))
    made.reshape("performer", listed)
    made.move("vaccinationProtocol", "protocolApplied", each(_dose))


def _opposite(value: Any) -> bool | None:
    """`reported`: by somebody else than who gave it, so the opposite of R4's `primarySource`."""
    said = truth(value)
    return None if said is None else not said


def _dose(protocol: Json) -> Json:
    return protocol | {"doseNumberPositiveInt": protocol["doseSequence"]} if "doseSequence" in protocol else protocol


def _procedure(made: Turn) -> None:
    made.reshape("status", translated({"aborted": "stopped"}))
    deny(made, "notPerformed", "not-done")
    made.move("reasonNotPerformed", "statusReason", listed)
    made.move("reasonCodeableConcept", "reasonCode", listed)
    made.reshape("reasonReference", listed)
    made.move("notes", "note", noted)


def _plan(made: Turn) -> None:
    proposed = made.item.get("status") == "proposed"
    made.reshape("status", translated(_PLAN_STATUS))
    made.item.setdefault("intent", "proposal" if proposed else "plan")
    made.move("context", "encounter")
    made.reshape("note", noted)
    made.reshape("activity", each(_activity))


def _activity(activity: Json) -> Json:
    detail = activity.get("detail")
    if not isinstance(detail, dict) or "prohibited" not in detail:
        return activity
    return activity | {"detail": {**detail, "doNotPerform": detail["prohibited"]}}


def _document(made: Turn) -> None:
    only_created = "created" in made.item and "indexed" not in made.item
    made.move("created" if only_created else "indexed", "date")
    made.move("class", "category", listed)
    made.reshape("docStatus", _plain)
    made.reshape("context", each(lambda c: c | {"encounter": listed(c["encounter"])} if "encounter" in c else c))


def _plain(value: Any) -> Any:
    """The code of a CodeableConcept."""
    codings = listed(value.get("coding")) if isinstance(value, dict) else []
    return next((c["code"] for c in codings if isinstance(c, dict) and "code" in c), value)


def _medication(made: Turn) -> None:
    product = made.item.pop("product", None)
    if isinstance(product, dict) and "ingredient" in product:
        made.item.setdefault(
            "ingredient",
            each(lambda i: i | {"itemReference": i["item"]} if "item" in i else i)(product["ingredient"]),
        )


def _provenance(made: Turn) -> None:
    def agent(value: Json) -> Json:
        turned = Turn(value)
        turned.move("actor", "who")
        turned.move("role", "type", lambda role: {"coding": listed(role)})
        return dict(turned.item)

    made.reshape("agent", each(agent))


DSTU2: Turns = {
    NAMELESS: _every,
    "Patient": _patient,
    "Practitioner": _person,
    "RelatedPerson": _person,
    "Condition": _condition,
    "AllergyIntolerance": _allergy,
    "MedicationOrder": _order,
    "MedicationStatement": _statement,
    "Observation": _observation,
    "Encounter": _encounter,
    "DiagnosticReport": _report,
    "Immunization": _immunization,
    "Procedure": _procedure,
    "CarePlan": _plan,
    "DocumentReference": _document,
    "Medication": _medication,
    "Provenance": _provenance,
    "Goal": lambda made: made.reshape("description", lambda v: {"text": v} if isinstance(v, str) else v),
}
"""Type -> what turns it into R4."""

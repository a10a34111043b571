"""The head of a document: the patient, and the document itself as a note with all its narrative."""

from __future__ import annotations

import base64

from adapters.documents.ccda.care import encompassing, text_attachment, title_words
from adapters.documents.ccda.document import Document
from adapters.documents.ccda.made import Made, Place, kept
from adapters.documents.ccda.values import (
    Element,
    Json,
    actor,
    attr,
    codes,
    identifiers,
    instant,
    key_of,
    name_of,
    one_line,
    system,
    time_of,
    worded,
)

_GENDER = {"M": "male", "F": "female", "UN": "other"}
_ADDRESS_USES = {"H": "home", "HP": "home", "HV": "home", "WP": "work", "TMP": "temp", "BAD": "old"}
_TELECOM = {"tel": "phone", "fax": "fax", "mailto": "email", "http": "url", "https": "url"}


def patients(document: Document) -> list[Made]:
    """The patients of the head (one, as a rule)."""
    place = Place(document)
    if document.root.tag == "patientRole":
        return [_patient(place, document.root)]
    found = (
        list(document.root.iter("patientRole"))
        if not document.whole
        else document.root.findall("recordTarget/patientRole")
    )
    if found or document.whole:
        return [_patient(place, e) for e in found]
    bare = [document.root] if document.root.tag == "patient" else document.root.findall("patient")
    return [_patient(place, e) for e in bare]


def patient_key(document: Document) -> tuple[list[Json], str]:
    """Identifiers of the patient, and the id to file the document under: the first identifier's value, else its root."""
    role = document.root.find("recordTarget/patientRole")
    if role is None:
        return [], ""
    named = identifiers(role)
    return named, (str(named[0]["value"]) if named else key_of(role))


def birth_date(document: Document) -> str:
    """The patient's birth date; '' when the head has none."""
    return time_of(document.root.find("recordTarget/patientRole/patient/birthTime"))[:10]


def _patient(place: Place, role: Element) -> Made:
    person = role.find("patient")
    person = person if person is not None else role
    gender = person.find("administrativeGenderCode")
    death = person.find("sdtc_deceasedInd")
    when = person.find("sdtc_deceasedTime")
    item: Json = {
        "identifier": identifiers(role),
        "name": [n for n in (name_of(e) for e in person.findall("name")) if n],
        "birthDate": time_of(person.find("birthTime"))[:10],
        "gender": _GENDER.get(attr(gender, "code").upper(), "unknown" if gender is not None else ""),
        "maritalStatus": place.code(person.find("maritalStatusCode")),
        "address": [a for a in (_address(e) for e in role.findall("addr")) if a],
        "telecom": [t for t in (_telecom(e) for e in role.findall("telecom")) if t],
        "communication": [c for c in (_language(e) for e in person.findall("languageCommunication")) if c],
        "extension": [
            *_category("us-core-race", [*person.findall("raceCode"), *person.findall("sdtc_raceCode")], place),
            *_category(
                "us-core-ethnicity",
                [*person.findall("ethnicGroupCode"), *person.findall("sdtc_ethnicGroupCode")],
                place,
            ),
        ],
        "deceasedDateTime": time_of(when),
    }
    if not item["deceasedDateTime"] and attr(death, "value") in ("true", "false"):
        item["deceasedBoolean"] = attr(death, "value") == "true"
    return Made("Patient", kept(item), role)


def _category(name: str, elements: list[Element], place: Place) -> list[Json]:
    """Race or ethnicity as US Core writes it; the codes of unknown systems stay as they are."""
    parts = []
    for element in elements:
        concept = place.code(element)
        for coding in concept.get("coding", []):
            parts.append({"url": "ombCategory", "valueCoding": coding})
        if not concept.get("coding") and worded(concept):
            parts.append({"url": "text", "valueString": worded(concept)})
    if not parts:
        return []
    return [{"url": f"http://hl7.org/fhir/us/core/StructureDefinition/{name}", "extension": parts}]


def _language(element: Element) -> Json:
    code = element.find("languageCode")
    if not attr(code, "code"):
        return {}
    return {
        "language": {"coding": [{"system": "urn:ietf:bcp:47", "code": attr(code, "code")}]},
        "preferred": attr(element.find("preferenceInd"), "value") == "true",
    }


def _address(element: Element) -> Json:
    def words(tag: str) -> list[str]:
        return [w for w in (one_line(e) for e in element.findall(tag)) if w]

    made = {
        "line": words("streetAddressLine"),
        "city": " ".join(words("city")),
        "state": " ".join(words("state")),
        "postalCode": " ".join(words("postalCode")),
        "country": " ".join(words("country")),
        "use": _ADDRESS_USES.get(attr(element, "use").split(" ")[0], ""),
    }
    period = element.find("useablePeriod")
    if period is not None and period.find("high") is not None and attr(period.find("high"), "value"):
        made["use"] = "old"
    made = kept(made)
    return made if made.keys() - {"use"} else {}


def _telecom(element: Element) -> Json:
    value = attr(element, "value")
    if not value:
        return {}
    scheme, colon, rest = value.partition(":")
    known = _TELECOM.get(scheme.lower()) if colon else None
    if known is None:
        return {"value": value}
    return {"system": known, "value": value if known == "url" else rest}


def record(document: Document) -> list[Made]:
    """The document as a note: every section's narrative, or the file that is its body."""
    if not document.whole:
        return _fragment_note(document)
    root, place = document.root, Place(document)
    people = [actor(e) for e in root.findall("author")]
    code = root.find("code")
    start = root.find("documentationOf/serviceEvent/effectiveTime")
    low = attr(start.find("low"), "value") if start is not None else ""
    high = attr(start.find("high"), "value") if start is not None else ""
    item = {
        "status": "current",
        "type": place.code(code) or {"text": title_words(root)},
        "description": title_words(root),
        "date": time_of(root.find("effectiveTime")),
        "author": [p for p in people if p],
        "context": kept({"period": kept({"start": instant(low) if low else "", "end": instant(high) if high else ""})}),
        "content": _contents(document),
    }
    return [Made("DocumentReference", kept(item), root)]


def _fragment_note(document: Document) -> list[Made]:
    contents = _contents(document)
    if not contents:
        return []
    codings = [{"system": system(s), "code": c} for s, c in codes(document.sections[0].element.find("code"))]
    item = {
        "status": "current",
        "type": kept({"coding": codings, "text": document.sections[0].title}),
        "content": contents,
    }
    return [Made("DocumentReference", kept(item), document.root)]


def _contents(document: Document) -> list[Json]:
    body = document.unstructured
    if body is not None:
        data, kind = body
        return [{"attachment": kept({"contentType": kind, "data": base64.b64encode(data).decode()})}]
    return [{"attachment": text_attachment(s.text, s.title)} for s in document.sections if s.text]


def encounters(document: Document, known: frozenset[str]) -> list[Made]:
    """The head's encounter, unless the body tells of it too."""
    element = document.root.find("componentOf/encompassingEncounter")
    if element is None and document.root.tag == "componentOf":
        element = document.root.find("encompassingEncounter")
    if element is None or (key_of(element) and key_of(element) in known):
        return []
    return encompassing(Place(document), element)

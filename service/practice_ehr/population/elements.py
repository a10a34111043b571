"""FHIR R4 elements: concepts, quantities, references, instants."""

from __future__ import annotations

import base64
from datetime import date, datetime, timedelta, timezone
from typing import Any

from service.practice_ehr.population.catalog import UCUM

Json = dict[str, Any]
HL7 = "http://terminology.hl7.org/CodeSystem"
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition"
CENTRAL = timezone(timedelta(hours=-6))


def coding(system: str, code: str, display: str = "") -> Json:
    """One Coding."""
    return {"system": system, "code": code} | ({"display": display} if display else {})


def concept(*codings: Json, text: str = "") -> Json:
    """A CodeableConcept; the text defaults to the first display."""
    found: Json = {"coding": list(codings)} if codings else {}
    text = text or (codings[0].get("display", "") if codings else "")
    return found | ({"text": text} if text else {})


def quantity(value: float, unit: str, ucum: str = "") -> Json:
    """A Quantity with its UCUM code; whole numbers stay whole."""
    number = int(value) if float(value).is_integer() else value
    return {"value": number, "unit": unit} | ({"system": UCUM, "code": ucum} if ucum else {})


def reference(target: Json, display: str = "") -> Json:
    """A relative reference to a resource."""
    found = {"reference": f"{target['resourceType']}/{target['id']}"}
    return found | ({"display": display} if display else {})


def at(day: date, hour: int = 9, minute: int = 0) -> datetime:
    """A moment of a day in the hospitals' time zone."""
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=CENTRAL)


def instant(moment: datetime) -> str:
    """FHIR dateTime or instant."""
    return moment.isoformat(timespec="seconds")


def plain_text(text: str, title: str, moment: datetime, content_type: str = "text/plain") -> Json:
    """An Attachment with its data inline."""
    data = base64.b64encode(text.encode()).decode()
    return {"contentType": content_type, "data": data, "title": title, "creation": instant(moment)}

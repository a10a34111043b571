"""Names of people, organizations and places, as others refer to them."""

from __future__ import annotations

from adapters.normalizer.read import Json, Reader
from models.record import PersonName


def person_name(reader: Reader, item: Json) -> PersonName | None:
    """A HumanName; None when it holds nothing."""
    name = PersonName(
        family=reader.text(item, "family"),
        given=reader.texts(item, "given"),
        prefix=reader.texts(item, "prefix"),
        suffix=reader.texts(item, "suffix"),
        use=reader.text(item, "use"),
        text=reader.text(item, "text"),
    )
    return name if name.family or name.given or name.text else None


def display_name(reader: Reader, resource: Json, kind: str) -> str:
    """The name of a resource that others refer to; '' when it has none."""
    if kind in ("Practitioner", "RelatedPerson", "Patient"):
        names = [n for n in (person_name(reader, x) for x in reader.objs(resource, "name")) if n]
        chosen = next((n for n in names if n.use in ("official", "usual")), names[0] if names else None)
        return str(chosen) if chosen else ""
    if kind == "PractitionerRole":
        return reader.text(reader.obj(resource, "practitioner"), "display")
    if kind in ("Organization", "Location", "HealthcareService", "CareTeam"):
        return reader.text(resource, "name")
    if kind in ("Condition", "Procedure"):
        concept = reader.obj(resource, "code")
        return reader.text(concept, "text") or next(
            (reader.text(c, "display") for c in reader.objs(concept, "coding") if c.get("display")), ""
        )
    return ""

"""What resources say about each other: the names, drugs, documents and origins that others refer to."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from adapters.documents.text import MOST_CONTENT
from adapters.normalizer.dispenses import dispense_of
from adapters.normalizer.names import display_name
from adapters.normalizer.read import Json, Reader
from adapters.normalizer.values import reference_key
from models.record import Dispense, Provenance, RawResource

NAMED = frozenset(
    [
        "Practitioner",
        "PractitionerRole",
        "Organization",
        "Location",
        "HealthcareService",
        "RelatedPerson",
        "CareTeam",
        "Patient",
        "Condition",
        "Procedure",
    ]
)
"""Types that others call by their name."""
SUPPORT = frozenset(
    [
        "Practitioner",
        "PractitionerRole",
        "Organization",
        "Location",
        "HealthcareService",
        "RelatedPerson",
        "CareTeam",
        "Medication",
        "MedicationDispense",
        "Binary",
        "Provenance",
        "Goal",
    ]
)
"""Types that are no entries: what they hold is told by those that refer to them."""
REFERRED_TO = NAMED | SUPPORT


@dataclass
class Neighbours:
    """What the other resources of the same source contribute, keyed by `Type/id` (and fullUrl where ids are urn:uuid)."""

    names: dict[str, str] = field(default_factory=dict)
    medications: dict[str, Json] = field(default_factory=dict)
    binaries: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    provenance: dict[str, Provenance] = field(default_factory=dict)
    goals: dict[str, str] = field(default_factory=dict)
    dispenses: dict[str, list[Dispense]] = field(default_factory=dict)
    """By the order they fill."""
    birth_dates: set[str] = field(default_factory=set)
    as_of: str = ""
    """When the source last said that all of this still is so; '' where that is when each was received."""

    def alias(self, url: str, name: str) -> None:
        """Let references to `url` lead where references to `name` (Type/id) lead."""
        for index in (self.names, self.medications, self.binaries, self.goals):
            if name in index:
                cast("dict[str, Any]", index).setdefault(url, index[name])
        if url in self.dispenses:
            self.dispenses.setdefault(name, []).extend(self.dispenses[url])
        said = self.provenance.get(url)
        if said is not None:
            self.provenance.setdefault(name, said)


def neighbours_of(readable: Sequence[tuple[RawResource, Json]]) -> Neighbours:
    """What these resources contribute, indexed by `Type/id` and by urn:uuid."""
    found = Neighbours()
    roles: list[tuple[RawResource, Json]] = []
    for raw, resource in readable:
        kind = raw.resource_type
        keys = (f"{kind}/{raw.resource_id}", f"urn:uuid:{raw.resource_id}")
        if kind == "Medication":
            for key in keys:
                found.medications[key] = resource
        elif kind == "MedicationDispense":
            for order, fill in dispense_of(resource, keys[0]):
                found.dispenses.setdefault(order, []).append(fill)
        elif kind == "Binary":
            _binary(found, keys, resource)
        elif kind == "Provenance":
            _provenance(found, resource, keys[0])
        elif kind == "Goal":
            reader = Reader(resource)
            words = reader.text(reader.obj(resource, "description"), "text")
            if words:
                for key in keys:
                    found.goals[key] = words
        elif kind == "PractitionerRole":
            roles.append((raw, resource))
        if kind == "Patient" and isinstance(resource.get("birthDate"), str):
            found.birth_dates.add(resource["birthDate"])
        if kind in NAMED:
            name = display_name(Reader(resource), resource, kind)
            if name:
                for key in keys:
                    found.names[key] = name
    for raw, resource in roles:
        reader = Reader(resource)
        target = reference_key(reader.text(reader.obj(resource, "practitioner"), "reference"))
        name = found.names.get(target, "")
        if name:
            found.names.setdefault(f"PractitionerRole/{raw.resource_id}", name)
            found.names.setdefault(f"urn:uuid:{raw.resource_id}", name)
    return found


def _binary(found: Neighbours, keys: tuple[str, str], resource: Json) -> None:
    data, kind = resource.get("data") or resource.get("content"), resource.get("contentType")
    if not isinstance(data, str) or len(data) > MOST_CONTENT * 4 // 3:
        return
    try:
        content = base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        return
    for key in keys:
        found.binaries[key] = (kind if isinstance(kind, str) else "", content)


def _provenance(found: Neighbours, resource: Json, name: str) -> None:
    reader = Reader(resource)
    agents = []
    for agent in reader.objs(resource, "agent"):
        who = reader.obj(agent, "who")
        label = reader.text(who, "display") or reader.text(who, "reference")
        codes = reader.objs(reader.obj(agent, "type"), "coding")
        role = next((reader.text(c, "code") for c in codes if c.get("code")), "agent")
        if label:
            agents.append(f"{role}: {label}")
    made = Provenance(recorded=reader.text(resource, "recorded"), agents=tuple(agents), reference=name)
    for target in reader.objs(resource, "target"):
        key = reference_key(reader.text(target, "reference"))
        known = found.provenance.get(key)
        if key and (known is None or (known.recorded, known.reference) < (made.recorded, made.reference)):
            found.provenance[key] = made

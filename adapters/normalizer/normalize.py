"""Raw resources of one source -> entries, quarantine and the account of both."""

from __future__ import annotations

import base64
import binascii
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Literal

import msgspec
import orjson
from msgspec import Meta

from adapters.normalizer import care, conditions, documents, medications, observations, people
from adapters.normalizer.base import Neighbours, Source
from adapters.normalizer.read import Json, Reader
from adapters.normalizer.rules import DEFAULT_RULES, NormalizationRules
from adapters.normalizer.values import reference_key
from models.record import AnyEntry, Ledger, Missing, Provenance, RawResource, Rejected, RejectReason, Value

Disposition = Literal["entry", "support", "raw_only", "quarantined"]
"""`entry`: became record entries; `support`: names, drugs, documents others refer to; `raw_only`: kept, its type is not
part of the record; `quarantined`: kept, unusable."""

READERS: dict[str, Callable[[Source], Sequence[Any]]] = {
    "Patient": people.demographics,
    "Condition": conditions.problem,
    "AllergyIntolerance": conditions.allergy,
    "MedicationRequest": medications.medication,
    "MedicationOrder": medications.medication,
    "MedicationStatement": medications.medication,
    "Observation": observations.observation,
    "Encounter": care.encounter,
    "Immunization": care.immunization,
    "Procedure": care.procedure,
    "CarePlan": care.care_plan,
    "DiagnosticReport": documents.report,
    "DocumentReference": documents.note,
}
"""Resource type -> reader. Types of DSTU2 read into the same entries."""

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
        "Binary",
        "Provenance",
        "Goal",
    ]
)
MOST_DEPTH = 64
"""Nesting levels of a resource we are willing to read (FHIR's own deepest are under 20)."""


class Normalized(Value, frozen=True):
    """What became of the resources of one source."""

    entries: tuple[AnyEntry, ...] = ()
    quarantine: tuple[Rejected, ...] = ()
    ledger: Ledger = Ledger()
    dispositions: Annotated[dict[str, Disposition], Meta(description="`Type/id/version` -> what became of it.")] = {}


def normalize(
    resources: Iterable[RawResource],
    *,
    rules: NormalizationRules | None = None,
    rejected: Iterable[Rejected] = (),
    missing: Iterable[Missing] = (),
    patient_id: str | None = None,
) -> Normalized:
    """Read `resources` of one site. Never raises for what a source sent: what cannot be read is in `quarantine`.

    `patient_id`: the patient's id at the site; resources that say they are about somebody else are quarantined.
    Repeated deliveries of the same resource and version count once. References are resolved among `resources`.
    """
    unique = {raw.key: raw for raw in resources}
    newest = _newest(unique.values())
    parsed, quarantine = _parse(newest)
    neighbours = _neighbours(parsed, rules or DEFAULT_RULES)
    entries: list[AnyEntry] = []
    dispositions: dict[str, Disposition] = {"/".join(k[2:]): "raw_only" for k in unique}
    for raw, resource in parsed:
        name = "/".join(raw.key[2:])
        reader = READERS.get(raw.resource_type)
        stranger = patient_id is not None and _is_stranger(raw, resource, patient_id)
        if stranger:
            quarantine.append(_reject(raw, "wrong_patient", "subject"))
            dispositions[name] = "quarantined"
        elif reader is None:
            dispositions[name] = "support" if raw.resource_type in SUPPORT else "raw_only"
        else:
            made = _read(reader, Source(resource, raw, neighbours, rules or DEFAULT_RULES))
            if isinstance(made, str):
                quarantine.append(_reject(raw, "unreadable", made))
                dispositions[name] = "quarantined"
            else:
                entries.extend(made)
                dispositions[name] = "entry"
    broken = {(q.resource_type, q.resource_id) for q in quarantine}
    for raw in newest:
        if (raw.resource_type, raw.resource_id) in broken:
            dispositions["/".join(raw.key[2:])] = "quarantined"
    return Normalized(
        entries=tuple(entries),
        quarantine=(*rejected_list(rejected), *quarantine),
        ledger=_ledger(unique.values(), dispositions, rejected_list(rejected), list(missing)),
        dispositions=dispositions,
    )


def rejected_list(rejected: Iterable[Rejected]) -> list[Rejected]:
    """The rejected items as a list (callers hand tuples, lists and one-pass iterables)."""
    return rejected if isinstance(rejected, list) else list(rejected)


def _newest(resources: Iterable[RawResource]) -> list[RawResource]:
    """The newest version of each resource: by retrieval, then by number of version, then by content hash."""

    def age(raw: RawResource) -> tuple[str, int, str]:
        return (raw.retrieved, int(raw.version) if raw.version.isdigit() and len(raw.version) < 18 else 0, raw.key[4])

    best: dict[tuple[str, str, str], RawResource] = {}
    for raw in resources:
        key = (raw.site, raw.resource_type, raw.resource_id)
        if key not in best or age(raw) > age(best[key]):
            best[key] = raw
    return list(best.values())


def _parse(resources: Sequence[RawResource]) -> tuple[list[tuple[RawResource, Json]], list[Rejected]]:
    parsed: list[tuple[RawResource, Json]] = []
    quarantine: list[Rejected] = []
    for raw in resources:
        try:
            resource = orjson.loads(raw.content)
        except orjson.JSONDecodeError as error:
            deep = "recursion" in str(error).lower()
            quarantine.append(_reject(raw, "too_deep" if deep else "not_json", f"at character {error.pos}"))
            continue
        if not isinstance(resource, dict):
            quarantine.append(_reject(raw, "not_a_resource", "an object was expected"))
        elif resource.get("resourceType") != raw.resource_type:
            quarantine.append(_reject(raw, "wrong_resource_type", "resourceType"))
        elif raw.content.count(b"{") > MOST_DEPTH and _depth(resource) > MOST_DEPTH:
            quarantine.append(_reject(raw, "too_deep", f"more than {MOST_DEPTH} levels"))
        else:
            parsed.append((raw, resource))
    return parsed, quarantine


def _depth(resource: Any) -> int:
    """Nesting depth, without recursion."""
    deepest, level = 0, [resource]
    while level and deepest <= MOST_DEPTH:
        deepest += 1
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
    return deepest


def _read(reader: Callable[[Source], Sequence[Any]], source: Source) -> list[Any] | str:
    """The entries, or why there are none. The accessors tolerate every shape; this is the net under them."""
    try:
        return list(reader(source))
    except (TypeError, ValueError, AttributeError, KeyError, IndexError, OverflowError, RecursionError) as error:
        return f"{type(error).__name__} in {source.raw.resource_type}"


def _reject(raw: RawResource, reason: RejectReason, detail: str) -> Rejected:
    return Rejected(
        site=raw.site,
        reason=reason,
        detail=detail,
        resource_type=raw.resource_type,
        resource_id=raw.resource_id,
        source=f"{raw.resource_type}/{raw.resource_id}",
        section=raw.section,
        content=raw.content[:100_000],
    )


def subject_of(resource: Json) -> str:
    """The reference of the patient a resource is about, as sent; '' when it does not say."""
    for key in ("subject", "patient", "beneficiary"):
        holder = resource.get(key)
        if isinstance(holder, dict):
            reference = holder.get("reference")
            if isinstance(reference, str) and reference:
                return reference
    return ""


def _is_stranger(raw: RawResource, resource: Json, patient_id: str) -> bool:
    if raw.resource_type == "Patient":
        return raw.resource_id != patient_id
    subject = subject_of(resource)
    if not subject or subject.startswith("#"):
        return False
    key = reference_key(subject)
    if key.startswith("urn:"):
        return key.rpartition(":")[2] != patient_id
    kind, _, found = key.rpartition("/")
    return kind == "Patient" and found != patient_id


def _neighbours(parsed: Sequence[tuple[RawResource, Json]], rules: NormalizationRules) -> Neighbours:
    """What resources say about each other, indexed by `Type/id` and by urn:uuid."""
    found = Neighbours()
    roles: list[tuple[RawResource, Json]] = []
    for raw, resource in parsed:
        kind = raw.resource_type
        keys = (f"{kind}/{raw.resource_id}", f"urn:uuid:{raw.resource_id}")
        if kind == "Medication":
            for key in keys:
                found.medications[key] = resource
        elif kind == "Binary":
            _binary(found, keys, resource)
        elif kind == "Provenance":
            _provenance(found, resource, keys[0])
        elif kind == "Goal":
            reader = Reader(resource)
            words = reader.text(reader.obj(resource, "description"), "text") or reader.text(resource, "description")
            if words:
                for key in keys:
                    found.goals[key] = words
        elif kind == "PractitionerRole":
            roles.append((raw, resource))
        if kind in NAMED:
            name = people.display_name(Reader(resource), resource, kind)
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
    if not isinstance(data, str) or len(data) > documents.MOST_CONTENT * 4 // 3:
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
        who = reader.obj(agent, "who") or reader.obj(agent, "whoReference") or reader.obj(agent, "actor")
        label = reader.text(who, "display") or reader.text(who, "reference")
        codes = reader.objs(reader.obj(agent, "type"), "coding")
        role = next((reader.text(c, "code") for c in codes if c.get("code")), "agent")
        if label:
            agents.append(f"{role}: {label}")
    made = Provenance(recorded=reader.text(resource, "recorded"), agents=tuple(agents), reference=name)
    for target in reader.objs(resource, "target"):
        key = reference_key(reader.text(target, "reference"))
        if key:
            found.provenance[key] = made


def _ledger(
    resources: Iterable[RawResource],
    dispositions: dict[str, Disposition],
    rejected: list[Rejected],
    missing: list[Missing],
) -> Ledger:
    by_type: dict[str, Counter[str]] = defaultdict(Counter)
    for raw in resources:
        bad = dispositions["/".join(raw.key[2:])] == "quarantined"
        by_type[raw.resource_type]["quarantined" if bad else "stored"] += 1
    for item in rejected:
        by_type[item.resource_type or "unknown"]["quarantined"] += 1
    for gap in missing:
        by_type[gap.reference.partition("/")[0] or "unknown"]["reported_missing"] += gap.count
    rows = {}
    for kind, numbers in sorted(by_type.items()):
        row = {name: numbers[name] for name in ("stored", "quarantined", "reported_missing")}
        rows[kind] = {"offered": sum(row.values()), **row}
    total = {
        name: sum(r[name] for r in rows.values()) for name in ("offered", "stored", "quarantined", "reported_missing")
    }
    return Ledger(by_type=rows, **total)


def decode_entries(data: bytes) -> tuple[AnyEntry, ...]:
    """Entries from their JSON; raises msgspec.ValidationError."""
    return _DECODER.decode(data)


_DECODER = msgspec.json.Decoder(tuple[AnyEntry, ...])

"""Raw resources of one source -> entries, quarantine and the account of both."""

from __future__ import annotations

import base64
import binascii
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from adapters.documents.ccda.document import Document
from adapters.documents.safe_xml import XmlRefused
from adapters.documents.text import MOST_CONTENT
from adapters.normalizer import care, conditions, documents, encounters, medications, observations, people
from adapters.normalizer.base import Neighbours, Source
from adapters.normalizer.ccda import CDA, STATEMENT, DocumentRead, attached, read_ccda
from adapters.normalizer.companion import Unmapped, shaped
from adapters.normalizer.dispenses import dispense_of
from adapters.normalizer.fhir_xml import NotFhirXml, json_of
from adapters.normalizer.names import display_name
from adapters.normalizer.read import Json, NotJson, Reader, outline, parse, subject_of
from adapters.normalizer.releases import READABLE, UNREAD, Turned, in_r4, written_in
from adapters.normalizer.rules import DEFAULT_RULES, NormalizationRules
from adapters.normalizer.values import reference_key
from models.record import AnyEntry, Coverage, Ledger, Missing, Provenance, RawResource, Rejected, RejectReason, Value

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
    "Encounter": encounters.encounter,
    "Immunization": care.immunization,
    "Procedure": care.procedure,
    "CarePlan": care.care_plan,
    "DiagnosticReport": documents.report,
    "DocumentReference": documents.note,
}
"""Resource type -> reader. MedicationOrder is DSTU2's MedicationRequest."""
Key = tuple[str, str, str, str, str]
"""RawResource.key: (tenant, site, type, id, version)."""

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
        "MedicationDispense",
        "Binary",
        "Provenance",
        "Goal",
    ]
)
REFERRED_TO = NAMED | SUPPORT
"""Types that other resources take a name, a drug or a document from."""
READ = READERS.keys() | NAMED | SUPPORT
"""Types that are read in full; of all others only the type and the subject."""
FHIR = "fhir"
"""RawResource.api of what is a FHIR resource; any other is read by the profile's map for it."""
MOST_DEPTH = 64
"""Nesting levels of a resource we are willing to read (FHIR's own deepest are under 20)."""


class Normalized(Value, frozen=True):
    """What became of the resources of one source."""

    entries: tuple[AnyEntry, ...] = ()
    quarantine: tuple[Rejected, ...] = ()
    ledger: Ledger = Ledger()
    dispositions: Annotated[
        dict[str, Disposition],
        Meta(
            description="`Type/id/version` -> what became of it; for statements of documents, with `#` and their place."
        ),
    ] = {}
    coverage: Annotated[
        tuple[Coverage, ...], Meta(description="What documents say of sections that no entry speaks for.")
    ] = ()


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
    Repeated deliveries of the same resource and version count once. References are resolved among `resources`, by type and
    id or by the fullUrl they had in a bundle.
    """
    rules = rules or DEFAULT_RULES
    unique = _unique(resources)
    newest = _newest(unique)
    # Read first what others refer to; everything else only when its turn comes: a patient's JSON trees never stand in
    # memory all at once, which would cost a third of the time.
    aliases = {raw.full_url: f"{raw.resource_type}/{raw.resource_id}" for _, raw in newest if raw.full_url}
    held = {key: _resource(raw, patient_id, rules, aliases) for key, raw in newest if raw.resource_type in REFERRED_TO}
    neighbours = _neighbours([(unique[key], item) for key, item in held.items() if not isinstance(item, Rejected)])
    for url, name in aliases.items():
        neighbours.alias(reference_key(url) or url, name)
    entries: list[AnyEntry] = []
    turned_away, refused, unreadable = list(rejected), list[Rejected](), list[Rejected]()
    documents_read: list[DocumentRead] = []
    replaced = _replaced(newest)
    names = {key: "/".join(key[2:]) for key in unique}
    dispositions: dict[str, Disposition] = dict.fromkeys(names.values(), "raw_only")
    for key, raw in newest:
        kind, name = raw.resource_type, names[key]
        if kind == CDA:
            if key[3] not in replaced:
                read = _document(raw, rules)
                if isinstance(read, Rejected):
                    refused.append(read)
                    dispositions[name] = "quarantined"
                else:
                    documents_read.append(read)
                    dispositions[name] = "entry"
            continue
        resource = held.pop(key, None) or _resource(raw, patient_id, rules, aliases)
        if isinstance(resource, Rejected):
            refused.append(resource)
            dispositions[name] = "quarantined"
            continue
        reader = READERS.get(kind)
        if reader is None:
            dispositions[name] = "support" if kind in SUPPORT else "raw_only"
            continue
        source = Source(resource, raw, neighbours, rules, version=key[4])
        made = _read(reader, source)
        if isinstance(made, str):
            unreadable.append(_reject(raw, "unreadable", made))
            dispositions[name] = "quarantined"
        else:
            entries.extend(resource.retrace(made) if isinstance(resource, Turned) else made)
            dispositions[name] = "entry"
            if kind == "DocumentReference" and rules.document_entries and not source.has_flag("entered_in_error"):
                documents_read += attached(source, READERS)
    for document in documents_read:
        entries += document.entries
        unreadable += document.rejected
        dispositions |= document.fates
    return Normalized(
        entries=tuple(entries),
        quarantine=(*turned_away, *refused, *unreadable),
        ledger=_ledger(names, dispositions, turned_away, missing, documents_read),
        dispositions=dispositions,
        coverage=tuple(line for document in documents_read for line in document.coverage),
    )


def _document(raw: RawResource, rules: NormalizationRules) -> DocumentRead | Rejected:
    """The entries of a C-CDA document, or why it cannot be read."""
    try:
        document = Document.parse(raw.content)
    except XmlRefused as error:
        return _reject(raw, error.code, error.detail)
    if document is None:
        return _reject(raw, "not_a_resource", "XML, but neither C-CDA nor a part of one")
    return read_ccda(document, raw, rules, READERS)


def _replaced(newest: Sequence[tuple[Key, RawResource]]) -> set[str]:
    """Ids of documents that another of these documents says it replaces."""
    found = set()
    for key, raw in newest:
        if raw.resource_type == CDA and b"RPLC" in raw.content:
            try:
                document = Document.parse(raw.content)
            except XmlRefused:
                continue
            if document is not None and document.replaces != key[3]:
                found.add(document.replaces)
    return found


def _unique(resources: Iterable[RawResource]) -> dict[Key, RawResource]:
    """One for each key. Two contents under one version are a source's slip: the later delivery counts, whatever its place."""
    found: dict[Key, RawResource] = {}
    for raw in resources:
        key = raw.key
        known = found.get(key)
        if known is None or (known != raw and (known.retrieved, known.content) < (raw.retrieved, raw.content)):
            found[key] = raw
    return found


def _newest(resources: dict[Key, RawResource]) -> list[tuple[Key, RawResource]]:
    """The newest version of each resource: by retrieval, then by number of version, then by name of version."""
    if len({key[:4] for key in resources}) == len(resources):
        return list(resources.items())

    def age(key: Key, raw: RawResource) -> tuple[str, int, str]:
        return (raw.retrieved, int(raw.version) if raw.version.isdecimal() and len(raw.version) < 18 else 0, key[4])

    best: dict[tuple[str, ...], tuple[Key, RawResource]] = {}
    for key, raw in resources.items():
        known = best.get(key[:4])
        if known is None or age(key, raw) > age(*known):
            best[key[:4]] = (key, raw)
    return list(best.values())


def _resource(
    raw: RawResource, patient_id: str | None, rules: NormalizationRules, aliases: Mapping[str, str]
) -> Json | Rejected:
    """The parsed resource in R4's shape, or why it cannot be read as one of this patient's."""
    kind = raw.resource_type
    if raw.fhir_version in UNREAD:
        return _reject(raw, "unsupported_version", f"the source declares {raw.fhir_version}; {READABLE}")
    try:
        content = json_of(raw)
        resource = parse(content) if kind in READ else outline(content)
    except NotJson as error:
        return _reject(raw, "too_deep" if error.deep else "not_json", error.where)
    except (XmlRefused, NotFhirXml) as error:
        return _reject(raw, "unreadable", str(error))
    if not isinstance(resource, dict):
        return _reject(raw, "not_a_resource", "an object was expected")
    if raw.api != FHIR:
        return _of_companion(raw, resource, patient_id, rules)
    if resource.get("resourceType") != kind:
        return _reject(raw, "wrong_resource_type", "resourceType")
    shaped: Json = resource
    if kind in READ:
        if _may_be_deep(content) and _depth(resource) > MOST_DEPTH:
            return _reject(raw, "too_deep", f"more than {MOST_DEPTH} levels")
        release = written_in(resource, kind, raw.fhir_version)
        if release in UNREAD:
            return _reject(raw, "unsupported_version", f"written in {release}; {READABLE}")
        shaped = in_r4(resource, kind, release)
    if patient_id is not None and _is_stranger(raw, shaped, patient_id, aliases):
        return _reject(raw, "wrong_patient", "subject")
    return shaped


def _of_companion(raw: RawResource, row: Json, patient_id: str | None, rules: NormalizationRules) -> Json | Rejected:
    """A row of a companion API in R4's shape, or why it has none."""
    shape = rules.companion.get(raw.api)
    if shape is None or shape.type != raw.resource_type:
        return _reject(raw, "unreadable", "the site's profile has no map for this API")
    if _depth(row) > MOST_DEPTH:
        return _reject(raw, "too_deep", f"more than {MOST_DEPTH} levels")
    try:
        return shaped(row, shape, raw.resource_id, patient_id)
    except Unmapped as error:
        return _reject(raw, "unreadable", str(error))


def _may_be_deep(content: bytes) -> bool:
    """Whether there are brackets enough, so that the depth of all the others need not be measured."""
    objects = content.count(b"{")
    return objects > MOST_DEPTH or (b"[[" in content and objects + content.count(b"[") > MOST_DEPTH)


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
    item = source.resource
    if (
        not (item.get("subject") or item.get("patient") or item.get("beneficiary"))
        and source.raw.resource_type != "Patient"
    ):
        source.flag("missing_subject", "subject")
    sent = item.get("id")
    if not isinstance(sent, str) or sent.strip() != source.raw.resource_id:  # see files.py
        source.tolerated("id")
    if item.get("modifierExtension"):
        source.flag("unread_modifier", "modifierExtension")
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


def _is_stranger(raw: RawResource, resource: Json, patient_id: str, aliases: Mapping[str, str]) -> bool:
    if raw.resource_type == "Patient":
        return raw.resource_id != patient_id
    subject = subject_of(resource)
    subject = aliases.get(subject, subject)
    if not subject or subject.startswith("#") or subject == f"Patient/{patient_id}":
        return False
    key = reference_key(subject)
    if key.startswith("urn:"):
        return key.rpartition(":")[2] != patient_id
    kind, _, found = key.rpartition("/")
    return kind == "Patient" and found != patient_id


def _neighbours(readable: Sequence[tuple[RawResource, Json]]) -> Neighbours:
    """What resources say about each other, indexed by `Type/id` and by urn:uuid."""
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


def _ledger(
    names: Mapping[Key, str],
    dispositions: dict[str, Disposition],
    rejected: Iterable[Rejected],
    missing: Iterable[Missing],
    documents_read: Iterable[DocumentRead] = (),
) -> Ledger:
    by_type: dict[str, Counter[str]] = defaultdict(Counter)
    told = Counter((key[2], dispositions[name] == "quarantined") for key, name in names.items())
    for (kind, bad), count in told.items():
        by_type[kind]["quarantined" if bad else "stored"] += count
    for item in rejected:
        by_type[item.resource_type or "unknown"]["quarantined"] += 1
    for document in documents_read:
        for fate in document.fates.values():
            by_type[STATEMENT]["quarantined" if fate == "quarantined" else "stored"] += 1
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

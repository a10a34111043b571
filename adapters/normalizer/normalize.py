"""Raw resources of one source -> entries, quarantine and the account of both."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta

from adapters.documents.ccda.document import Document
from adapters.documents.safe_xml import XmlRefused
from adapters.normalizer import care, conditions, documents, encounters, medications, observations, people
from adapters.normalizer.admit import Key, admit, newest, reject, unique
from adapters.normalizer.base import Source
from adapters.normalizer.ccda import CDA, STATEMENT, DocumentRead, attached, read_ccda
from adapters.normalizer.neighbours import NAMED, REFERRED_TO, SUPPORT, neighbours_of
from adapters.normalizer.releases import Turned
from adapters.normalizer.rules import DEFAULT_RULES, NormalizationRules
from adapters.normalizer.values import reference_key
from models.record import AnyEntry, Coverage, Ledger, Missing, RawResource, Rejected, Value

Disposition = Literal["entry", "support", "raw_only", "quarantined"]
"""`entry`: became record entries; `support`: names, drugs, documents others refer to; `raw_only`: kept, its type is not
part of the record; `quarantined`: kept, unusable."""

READERS: dict[str, Callable[[Source], list[Any]]] = {
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
READ = READERS.keys() | NAMED | SUPPORT
"""Types that are read in full; of all others only the type and the subject."""


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
    as_of: str = "",
) -> Normalized:
    """Read `resources` of one site. Never raises for what a source sent: what cannot be read is in `quarantine`.

    `patient_id`: the patient's id at the site; resources that say they are about somebody else are quarantined.
    `as_of`: when the site last said that they are as they are (what is over, and which order is silent, is judged for that
    moment); without it each speaks for the moment it was received.
    Repeated deliveries of the same resource and version count once. References are resolved among `resources`, by type and
    id or by the fullUrl they had in a bundle.
    """
    rules = rules or DEFAULT_RULES
    received = unique(resources)
    current = newest(received)
    # Read first what others refer to; everything else only when its turn comes: a patient's JSON trees never stand in
    # memory all at once, which would cost a third of the time.
    aliases = {raw.full_url: f"{raw.resource_type}/{raw.resource_id}" for _, raw in current if raw.full_url}
    held = {
        key: admit(raw, patient_id, rules, aliases, skim=False)
        for key, raw in current
        if raw.resource_type in REFERRED_TO
    }
    neighbours = neighbours_of([(received[key], item) for key, item in held.items() if not isinstance(item, Rejected)])
    neighbours.as_of = as_of
    for url, name in aliases.items():
        neighbours.alias(reference_key(url) or url, name)
    entries: list[AnyEntry] = []
    turned_away, refused, unreadable = list(rejected), list[Rejected](), list[Rejected]()
    documents_read: list[DocumentRead] = []
    replaced = _replaced(current)
    names = {key: "/".join(key[2:]) for key in received}
    dispositions: dict[str, Disposition] = dict.fromkeys(names.values(), "raw_only")
    for key, raw in current:
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
        resource = held.pop(key, None) or admit(raw, patient_id, rules, aliases, skim=kind not in READ)
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
            unreadable.append(reject(raw, "unreadable", made))
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
        return reject(raw, error.code, error.detail)
    if document is None:
        return reject(raw, "not_a_resource", "XML, but neither C-CDA nor a part of one")
    return read_ccda(document, raw, rules, READERS)


def _replaced(current: Sequence[tuple[Key, RawResource]]) -> set[str]:
    """Ids of documents that another of these documents says it replaces."""
    found = set()
    for key, raw in current:
        if raw.resource_type == CDA and b"RPLC" in raw.content:
            try:
                document = Document.parse(raw.content)
            except XmlRefused:
                continue
            if document is not None and document.replaces != key[3]:
                found.add(document.replaces)
    return found


def _read(reader: Callable[[Source], list[Any]], source: Source) -> list[Any] | str:
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
        return reader(source)
    except (TypeError, ValueError, AttributeError, KeyError, IndexError, OverflowError, RecursionError) as error:
        return f"{type(error).__name__} in {source.raw.resource_type}"


def _ledger(
    names: Mapping[Key, str],
    dispositions: dict[str, Disposition],
    rejected: Iterable[Rejected],
    missing: Iterable[Missing],
    documents_read: Iterable[DocumentRead] = (),
) -> Ledger:
    by_type: dict[str, Counter[str]] = defaultdict(Counter)
    bad = Counter(key[2] for key, name in names.items() if dispositions[name] == "quarantined")
    for kind, count in Counter(key[2] for key in names).items():
        by_type[kind] = Counter(stored=count - bad[kind], quarantined=bad[kind])
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

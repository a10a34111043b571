"""C-CDA documents -> entries, by the same readers as FHIR (docs/decisions/0017-ccda-through-the-r4-readers.md).

`adapters/documents` turns clinical statements into R4-shaped dicts; here they are read, and what was read is given the origin
it has: the document, its version, the XPath of the statement, method `document`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import lxml.etree
import msgspec

from adapters.documents.ccda import header
from adapters.documents.ccda.document import Document, is_cda
from adapters.documents.ccda.made import Made
from adapters.documents.ccda.reading import Fate, Reading, Statement, read_document, statement_name
from adapters.documents.ccda.sections import RECORD_SECTION
from adapters.documents.ccda.values import NULLS
from adapters.documents.safe_xml import XmlRefused
from adapters.normalizer.base import Source
from adapters.normalizer.documents import content_of
from adapters.normalizer.neighbours import Neighbours
from adapters.normalizer.read import parse
from adapters.normalizer.rules import NormalizationRules
from models.record import (
    RESOURCE_TYPE_OF_SECTION,
    TEXT_ONLY,
    AnyEntry,
    Coverage,
    Flag,
    RawResource,
    Rejected,
    Value,
    entry_id,
)

CDA = "ClinicalDocument"
"""Resource type of a C-CDA document kept raw; not one of FHIR's."""
STATEMENT = "ClinicalStatement"
"""What the ledger calls the statements within documents."""
Readers = Mapping[str, Callable[[Source], Sequence[Any]]]

_encode = msgspec.json.Encoder(decimal_format="number").encode


class DocumentRead(Value, frozen=True):
    """What one document gave."""

    entries: tuple[AnyEntry, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    coverage: tuple[Coverage, ...] = ()
    fates: dict[str, Fate] = {}
    """`Type/id/version#XPath` of a statement -> what became of it."""


def identity(data: bytes) -> tuple[str, str] | None:
    """(id, version) of a document; None for XML that is no C-CDA. Raises XmlRefused."""
    document = Document.parse(data)
    return (document.id, document.version) if document is not None else None


def patient_of(data: bytes) -> tuple[list[tuple[str, str]], str]:
    """The patient's identifiers (system, value), and the id to file an accepted document under ('' when it names nobody)."""
    document = Document.parse(data)
    if document is None:
        return [], ""
    named, key = header.patient_key(document)
    return [(i["system"], i["value"]) for i in named], key


def heads_of(data: bytes) -> list[dict[str, Any]]:
    """The patients that a document's head describes, as Patient resources in R4's shape; [] for what cannot be read."""
    try:
        document = Document.parse(data)
    except XmlRefused:
        return []
    return [made.item for made in header.patients(document)] if document is not None else []


def read_ccda(
    document: Document, raw: RawResource, rules: NormalizationRules, readers: Readers, *, within: str = ""
) -> DocumentRead:
    """All entries of `document`. `within`: the path of the attachment that it is, when `raw` is the resource that carries it;
    the note of it is then that resource's own."""
    reading = read_document(document)
    glue = _Glue(document, raw, rules, readers, within)
    for made in reading.head:
        if not within or made.kind not in ("DocumentReference", "Patient"):
            glue.take(made, glue.entries)
    fates: dict[str, Fate] = {}
    name = "/".join(raw.key[2:])
    for statement in reading.statements:
        fates[f"{name}{within}#{document.path(statement.element)}"] = glue.take_statement(statement)
    return DocumentRead(
        entries=tuple(glue.entries),
        rejected=tuple(glue.rejected),
        coverage=() if within else tuple(_told(reading, raw)),
        fates=fates,
    )


def attached(source: Source, readers: Readers) -> list[DocumentRead]:
    """The entries of C-CDA documents that a DocumentReference carries. A document about somebody born on another day is not
    read: the note keeps its text, and says so."""
    found = []
    for index, content in enumerate(source.objs(source.resource, "content")):
        item = source.obj(content, "attachment")
        data, _ = content_of(source, item, source.text(item, "url"))
        if data is None or not is_cda(data):
            continue
        try:
            document = Document.parse(data)
        except XmlRefused:  # the note says that it is unreadable
            continue
        if document is None:
            continue
        path = f"content[{index}].attachment"
        born, known = header.birth_date(document), source.neighbours.birth_dates
        if born and known and born not in known:
            found.append(DocumentRead(rejected=(_stranger(source.raw, path),)))
            continue
        found.append(read_ccda(document, source.raw, source.rules, readers, within=path))
    return found


def _stranger(raw: RawResource, path: str) -> Rejected:
    return Rejected(
        site=raw.site,
        reason="wrong_patient",
        detail=f"{path}: the document's patient was born on another day",
        resource_type=CDA,
        resource_id=raw.resource_id,
        source=f"{raw.resource_type}/{raw.resource_id}#{path}",
    )


class _Glue:
    """Reads what was made of one document and traces it back."""

    def __init__(
        self, document: Document, raw: RawResource, rules: NormalizationRules, readers: Readers, within: str
    ) -> None:
        self.document, self.raw, self.rules, self.readers, self.within = document, raw, rules, readers, within
        self.neighbours = Neighbours()
        self.version = raw.key[4]
        self.entries: list[AnyEntry] = []
        self.rejected: list[Rejected] = []

    def take_statement(self, statement: Statement) -> Fate:
        """The entries of one statement, all or none; returns its fate."""
        if statement.fate == "quarantined":
            self._reject(statement, statement.detail)
            return "quarantined"
        found: list[AnyEntry] = []
        for made in statement.made:
            fault = self.take(made, found)
            if fault:
                self._reject(statement, fault)
                return "quarantined"
        self.entries += found
        return statement.fate

    def take(self, made: Made, into: list[AnyEntry]) -> str:
        """The entries of one resource; '' or what went wrong."""
        path = self.document.path(made.element)
        key = f"{made.kind}/{self.document.key(made.element)}{made.part}"
        try:
            resource = parse(_encode(made.item))
            source = Source(
                resource,
                msgspec.structs.replace(self.raw, resource_type=made.kind, resource_id=key, content=b""),
                self.neighbours,
                self.rules,
                version=self.version,
            )
            entries = self.readers[made.kind](source)
        except (TypeError, ValueError, AttributeError, KeyError, IndexError, OverflowError, RecursionError) as error:
            return f"{type(error).__name__} in {made.kind}"
        for entry in entries:
            into.append(self._retrace(entry, path, key, made))
        return ""

    def _retrace(self, entry: AnyEntry, path: str, key: str, made: Made) -> AnyEntry:
        origin = entry.origin
        inner = f"/{origin.path}" if origin.path else ""
        place = f"{self.within}#{path}" if self.within else path
        flags = entry.flags
        if made.negated:
            flags = (*flags, Flag(code="negated", detail=made.negated))
        return msgspec.structs.replace(
            entry,
            id=entry_id(self.raw.site, self.raw.resource_type, self.raw.resource_id, f"{self.within}#{key}{inner}"),
            origins=(
                msgspec.structs.replace(
                    origin,
                    resource_type=self.raw.resource_type,
                    resource_id=self.raw.resource_id,
                    path=place + inner,
                    method="document",
                ),
            ),
            flags=flags,
        )

    def _reject(self, statement: Statement, detail: str) -> None:
        self.rejected.append(
            Rejected(
                site=self.raw.site,
                reason="unreadable",
                detail=f"{statement_name(statement)}: {detail}",
                resource_type=STATEMENT,
                resource_id=hashlib.sha256(self.document.path(statement.element).encode()).hexdigest()[:16],
                source=f"{self.raw.resource_type}/{self.raw.resource_id}{self.within}#{self.document.path(statement.element)}",
                section=RECORD_SECTION.get(statement.section.code) if statement.section else None,
                content=lxml.etree.tostring(statement.element, with_tail=False)[:100_000],
            )
        )


def _told(reading: Reading, raw: RawResource) -> Iterable[Coverage]:
    """What the document says of sections without entries: as text only, or that it has no information, and which of its
    ways of not knowing it is."""
    for said in reading.said:
        name = f"{said.section.replace('_', ' ')} {said.code}"
        told = TEXT_ONLY if said.words_only else NULLS.get(said.null_flavor, NULLS["NI"])[1]
        yield Coverage(
            section=said.section,
            site=raw.site,
            state="present" if said.words_only else "not_queried",
            resource_type=RESOURCE_TYPE_OF_SECTION[said.section],
            as_of=raw.retrieved if said.words_only else "",
            told=told,
            reason=f"see section {name} of the document"
            if said.words_only
            else f"nullFlavor {said.null_flavor} of {name}",
        )

"""Reports and notes, with their attachments."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from models.record.base import Value
from models.record.coding import Concept, NamedRef
from models.record.coverage import Section
from models.record.dates import PartialDate
from models.record.entry import Entry


class Attachment(Value, frozen=True):
    """One piece of content of a document or report."""

    content_type: Annotated[str, Meta(description="MIME type as declared.")] = ""
    title: Annotated[str, Meta(description="Title.")] = ""
    url: Annotated[str, Meta(description="Where the source keeps it; never followed without egress.")] = ""
    text: Annotated[str, Meta(description="Readable text, when it could be extracted.")] = ""
    readable: Annotated[bool, Meta(description="Whether `text` is what the document says.")] = False
    reason: Annotated[str, Meta(description="Why it is not readable: not fetched, scanned, unknown type, ...")] = ""
    size: Annotated[int | None, Meta(description="Bytes, as received or as declared.")] = None
    path: Annotated[str, Meta(description="Path of the content inside the resource.")] = ""


ReportForm = Literal["structured", "narrative", "both", "empty"]


class Report(Entry, frozen=True, tag_field="kind", tag="report"):
    """DiagnosticReport."""

    section: ClassVar[Section] = "reports"

    form: Annotated[ReportForm, Meta(description="Results, narrative, both, or neither readable.")] = "empty"
    category: Annotated[str, Meta(description="Categories in words.")] = ""
    effective: Annotated[PartialDate | None, Meta(description="Clinically relevant time.")] = None
    issued: Annotated[PartialDate | None, Meta(description="When it was released.")] = None
    conclusion: Annotated[str, Meta(description="Conclusion in words.")] = ""
    conclusion_codes: Annotated[tuple[Concept, ...], Meta(description="Coded conclusions.")] = ()
    results: Annotated[tuple[str, ...], Meta(description="References of its Observations.")] = ()
    attachments: Annotated[tuple[Attachment, ...], Meta(description="The report as documents, with their text.")] = ()
    performer: Annotated[tuple[NamedRef, ...], Meta(description="Who is responsible for it.")] = ()
    encounter: Annotated[str, Meta(description="Encounter reference.")] = ""

    @property
    def date(self) -> PartialDate | None:
        return self.effective or self.issued


class Note(Entry, frozen=True, tag_field="kind", tag="note"):
    """DocumentReference. `concept` is its document type."""

    section: ClassVar[Section] = "notes"

    authored: Annotated[PartialDate | None, Meta(description="When it was written.")] = None
    period_start: Annotated[PartialDate | None, Meta(description="Begin of the care it documents.")] = None
    period_end: Annotated[PartialDate | None, Meta(description="End of the care it documents.")] = None
    doc_status: Annotated[str, Meta(description="preliminary, final, amended, as sent.")] = ""
    category: Annotated[str, Meta(description="Categories in words.")] = ""
    description: Annotated[str, Meta(description="Description.")] = ""
    attachments: Annotated[tuple[Attachment, ...], Meta(description="Its contents, with their text.")] = ()
    authors: Annotated[tuple[NamedRef, ...], Meta(description="Who wrote it.")] = ()
    encounter: Annotated[str, Meta(description="Encounter reference.")] = ""

    @property
    def date(self) -> PartialDate | None:
        return self.authored or self.period_start

    @property
    def text(self) -> str:
        """All readable text of the document."""
        return "\n\n".join(a.text for a in self.attachments if a.readable)

"""DiagnosticReport -> Report, DocumentReference -> Note, and the text of their attachments.

Text comes out of the bytes through adapters/documents; what has none is kept as unreadable with the reason. Nothing here
follows a URL: what the adapter fetched arrives as Binary resources.
"""

from __future__ import annotations

import base64
import binascii

from adapters.documents.text import MOST_CONTENT, MOST_TEXT, html_text, read_content
from adapters.normalizer.base import Source
from adapters.normalizer.codes import PREFER_DOCUMENT, PREFER_OBSERVATION, PREFER_PROBLEM, concepts_of, words_of
from adapters.normalizer.read import Json
from adapters.normalizer.values import named_refs, notes_of, ref_of, reference_key
from models.record import Attachment, Concept, Note, Report
from models.record.entries import ReportForm

_REPORT = frozenset(
    [
        "registered",
        "partial",
        "preliminary",
        "modified",
        "final",
        "amended",
        "corrected",
        "appended",
        "cancelled",
        "entered-in-error",
        "unknown",
    ]
)
_DOCUMENT = frozenset(["current", "superseded", "entered-in-error"])


def report(source: Source) -> list[Report]:
    """Read a DiagnosticReport and say whether it is structured, narrative, both, or empty."""
    item = source.resource
    results = tuple(r for r in (source.text(x, "reference") for x in source.objs(item, "result")) if r)
    conclusion = source.text(item, "conclusion")
    attachments = tuple(
        attachment(source, x, f"presentedForm[{i}]") for i, x in enumerate(source.objs(item, "presentedForm"))
    )
    narrative = bool(conclusion) or any(a.readable for a in attachments)
    if not narrative and not results and "text" in item:
        text = narrative_text(source)
        if text:
            attachments = (
                *attachments,
                Attachment(content_type="text/html", text=text, readable=True, path="text.div"),
            )
            narrative = True
    codes = concepts_of(source, item, "conclusionCode", source.rules, PREFER_PROBLEM)
    coded = bool(results) or any(codes)  # a coded conclusion is a finding without any Observation
    form: ReportForm = (
        "both" if narrative and coded else "narrative" if narrative else "structured" if coded else "empty"
    )
    effective = source.date(item, "effectiveDateTime")
    if effective is None and "effectivePeriod" in item:
        start, end = source.period(item, "effectivePeriod")
        effective = start or end
    issued = source.date(item, "issued")
    if effective is None and issued is None:
        source.flag("missing_date", "effective[x], issued")
    else:
        source.check_date(effective or issued, "effective[x]")
    _unreadable(source, attachments)
    return [
        Report(
            id=source.id(),
            origins=source.origins(),
            concept=source.concept("code", PREFER_OBSERVATION, main=True),
            status=source.status(_REPORT),
            form=form,
            category=words_of(source, item, "category", source.rules),
            effective=effective,
            issued=issued,
            conclusion=conclusion,
            conclusion_codes=codes,
            results=results,
            attachments=attachments,
            performer=named_refs(source, item, "performer", source.neighbours.names, "performer"),
            encounter=ref_of(source, item, "encounter"),
            notes=notes_of(source, item),
            flags=tuple(source.flags),
        )
    ]


def note(source: Source) -> list[Note]:
    """Read a DocumentReference with the text of its contents."""
    item = source.resource
    concept = source.concept("type", PREFER_DOCUMENT, domain="document")
    if not concept:
        source.flag("missing_code", "type")
    contents = [source.obj(x, "attachment") for x in source.objs(item, "content")]
    attachments = tuple(attachment(source, x, f"content[{i}].attachment") for i, x in enumerate(contents))
    if not attachments:
        source.flag("unreadable_content", "content: none")
    _unreadable(source, attachments)
    context = source.obj(item, "context")
    start, end = source.period(context, "period")
    encounters = [source.text(e, "reference") for e in source.objs(context, "encounter")]
    authored = source.date(item, "date")
    if authored is None and start is None:
        source.flag("missing_date", "date")
    status = source.status(_DOCUMENT)
    return [
        Note(
            id=source.id(),
            origins=source.origins(),
            concept=concept if concept else Concept(text=source.text(item, "description")),
            status=status,
            authored=authored,
            period_start=start,
            period_end=end,
            doc_status=source.text(item, "docStatus"),
            category=words_of(source, item, "category", source.rules),
            description=source.text(item, "description"),
            attachments=attachments,
            authors=named_refs(source, item, "author", source.neighbours.names, "author"),
            encounter=next((e for e in encounters if e), ""),
            notes=(),
            flags=tuple(source.flags),
        )
    ]


def attachment(source: Source, item: Json, path: str) -> Attachment:
    """One attachment with its text, or the reason why it has none."""
    kind, url = source.text(item, "contentType"), source.text(item, "url")
    title = source.text(item, "title")
    size = source.number(item, "size")
    data, reason = content_of(source, item, url)
    text = ""
    if data is not None:
        fetched = source.neighbours.binaries.get(reference_key(url)) if url else None
        text, reason = read_content(data, kind or (fetched[0] if fetched else ""))
    return Attachment(
        content_type=kind,
        title=title,
        url=url,
        text=text,
        readable=bool(text) or not reason,
        reason=reason,
        size=len(data) if data is not None else (int(size) if size is not None else None),
        path=path,
    )


def content_of(source: Source, item: Json, url: str) -> tuple[bytes | None, str]:
    """The bytes of an attachment, as sent or as fetched; None and the reason where there are none."""
    if "data" in item:
        encoded = item["data"]
        if not isinstance(encoded, str) or not encoded.strip():
            return None, "empty"
        if len(encoded) > MOST_CONTENT * 4 // 3:
            return None, "too large"
        try:
            return base64.b64decode("".join(encoded.split()), validate=True), ""
        except (binascii.Error, ValueError):
            return None, "not base64"
    if not url:
        return None, "no content"
    found = source.neighbours.binaries.get(reference_key(url))
    return (found[1], "") if found else (None, "not fetched")


def narrative_text(source: Source) -> str:
    """The readable text of the resource's narrative (text.div), without markup; '' when it has none."""
    holder = source.obj(source.resource, "text")
    markup = holder.get("div")
    if not isinstance(markup, str):
        return ""
    text = html_text(markup)
    if len(text) > MOST_TEXT:
        source.flag("truncated_text", "text.div")
    return text[:MOST_TEXT]


def _unreadable(source: Source, attachments: tuple[Attachment, ...]) -> None:
    for item in attachments:
        if not item.readable:
            source.flag("unreadable_content", f"{item.path}: {item.reason}")
        elif item.reason or len(item.text) >= MOST_TEXT:
            source.flag("truncated_text", f"{item.path}: {item.reason}" if item.reason else item.path)

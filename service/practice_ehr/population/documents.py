"""Narrative: reports of imaging, echo and pathology, and notes, with their text inline or at a Binary."""

from __future__ import annotations

import base64
import html
from datetime import datetime, timedelta

from service.practice_ehr.population.catalog import LOINC, row
from service.practice_ehr.population.elements import Json, coding, concept, instant, plain_text, reference
from service.practice_ehr.population.record import Record


def narrative_report(
    record: Record,
    key: str,
    text: str,
    moment: datetime,
    *,
    visit: Json | None = None,
    conclusion: str = "",
    doctor: int = 1,
) -> Json:
    """A report in words only. `conclusion` is set where the EHR files the impression apart."""
    code, display, category, category_display = row("reports", key)
    return record.add(
        "DiagnosticReport",
        moment + timedelta(hours=2),
        profile="us-core-diagnosticreport-note",
        status="final",
        category=[concept(coding(LOINC, category, category_display))],
        code=concept(coding(LOINC, code, display)),
        subject=record.subject,
        encounter=reference(visit) if visit else None,
        effectiveDateTime=instant(moment),
        issued=instant(moment + timedelta(hours=2)),
        performer=[record.doctor(doctor)],
        conclusion=conclusion,
        presentedForm=[plain_text(text, display, moment + timedelta(hours=2))],
    )


def note(
    record: Record, key: str, text: str, moment: datetime, visit: Json | None, *, form: str = "text", doctor: int = 0
) -> Json:
    """A document. `form`: text or html inline, or binary (the text stands in a Binary, the document has its URL)."""
    code, display = row("documents", key)
    if form == "html":
        body = "".join(f"<p>{html.escape(p)}</p>" for p in text.split("\n\n")).replace("\n", "<br/>")
        attachment = plain_text(f"<html><body>{body}</body></html>", display, moment, "text/html")
    elif form == "binary":
        data = base64.b64encode(text.encode()).decode()
        made = record.add("Binary", moment, contentType="text/plain", data=data)
        made["securityContext"] = record.subject
        attachment = {
            "contentType": "text/plain",
            "url": f"Binary/{made['id']}",
            "title": display,
            "creation": instant(moment),
        }
    else:
        attachment = plain_text(text, display, moment)
    category = coding(
        "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category", "clinical-note", "Clinical Note"
    )
    format_ = coding("http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode", "urn:ihe:iti:xds:2017:mimeTypeSufficient", "mimeType Sufficient")  # fmt: skip
    return record.add(
        "DocumentReference",
        moment,
        identifier=[
            {"system": f"{record.hospital.mrn_system}.1", "value": f"{record.patient['id']}-{len(record.resources)}"}
        ],
        status="current",
        docStatus="final",
        type=concept(coding(LOINC, code, display)),
        category=[concept(category)],
        subject=record.subject,
        date=instant(moment),
        author=[record.doctor(doctor)],
        custodian=reference(record.organization, record.hospital.name),
        content=[{"attachment": attachment, "format": format_}],
        context={"encounter": [reference(visit)], "period": {"start": instant(moment)}} if visit else None,
    )

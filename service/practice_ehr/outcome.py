"""OperationOutcomes, and errors in the style of a dress."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from service.practice_ehr.dress import Refusal

FHIR_JSON = "application/fhir+json; charset=utf-8"


@dataclass
class Reply:
    """An answer before it goes out."""

    status: int
    body: bytes = b""
    content_type: str = FHIR_JSON
    headers: dict[str, str] = field(default_factory=dict)
    count: int = 0


class Refused(Exception):
    """The request is answered with an error; carries the answer, never what the client sent."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"refused with {reply.status}")
        self.reply = reply


def outcome(severity: str, code: str, text: str = "", details: str = "") -> dict[str, Any]:
    """An OperationOutcome with one issue."""
    issue: dict[str, Any] = {"severity": severity, "code": code}
    if details or text:
        issue["details"] = {}
        if details:
            issue["details"]["coding"] = [{"code": details}]
        if text:
            issue["details"]["text"] = text
    if text:
        issue["diagnostics"] = text
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def reply_of(refusal: Refusal, content_type: str = FHIR_JSON) -> Reply:
    """The answer a refusal describes."""
    if refusal.body == "empty":
        return Reply(refusal.status, b"", "text/plain")
    if refusal.body == "html":
        page = f"<!DOCTYPE html><html><head><title>{refusal.status}</title></head><body><h1>{refusal.text}</h1></body></html>"
        return Reply(refusal.status, page.encode(), "text/html; charset=utf-8")
    if refusal.body == "text":
        return Reply(refusal.status, refusal.text.encode(), "text/plain; charset=utf-8")
    return Reply(
        refusal.status, orjson.dumps(outcome("error", refusal.code, refusal.text, refusal.details)), content_type
    )


def refused(refusal: Refusal, content_type: str = FHIR_JSON) -> Refused:
    """A refusal to raise."""
    return Refused(reply_of(refusal, content_type))


def bad_request(text: str, code: str = "invalid", status: int = 400) -> Refused:
    """A malformed request: the answer every server gives."""
    return refused(Refusal(status=status, code=code, text=text))

"""Errors as `application/problem+json` (RFC 9457) with a stable `code`. No problem quotes what the caller sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"

CODES: dict[str, tuple[int, str]] = {
    "bad_request": (400, "The request cannot be read"),
    "malformed_json": (400, "The body is not JSON"),
    "unusable_text": (400, "A text holds NUL or half of a surrogate pair"),
    "unauthenticated": (401, "A valid key is needed"),
    "forbidden": (403, "This key's role may not do that"),
    "cross_site": (403, "The request came from another site"),
    "authorization_refused": (403, "The authorization at the site did not succeed"),
    "not_found": (404, "No such resource"),
    "unknown_patient": (404, "No such patient"),
    "unknown_site": (404, "No such site"),
    "unknown_resource": (404, "No such resource is kept"),
    "unknown_code": (404, "No such code in the review queue"),
    "unknown_run": (404, "No such run"),
    "unknown_pair": (404, "No such pair, or it is decided"),
    "method_not_allowed": (405, "This method is not offered here"),
    "conflict": (409, "That contradicts what is on record"),
    "body_too_large": (413, "The body is larger than allowed"),
    "unsupported_media_type": (415, "The body must be JSON"),
    "invalid_request": (422, "The request does not fit the schema"),
    "unknown_purpose": (422, "The purpose is not one of the known ones"),
    "invalid_budget": (422, "The budget must be a positive number of tokens"),
    "question_required": (422, "Purpose `question` needs a question"),
    "invalid_site": (422, "The site configuration is not valid"),
    "invalid_target": (422, "That cannot be the meaning of a code"),
    "invalid_write": (422, "That cannot be written as it is"),
    "write_refused": (409, "The write is not permitted, or contradicts what the site has"),
    "budget_too_small": (422, "The budget is too small for what must be included"),
    "site_refused": (502, "The site could not be used"),
    "write_failed": (502, "The site did not take the write"),
    "write_unknown": (502, "It may have been written; the same write again doubles nothing"),
    "rate_limited": (429, "Too many requests"),
    "unavailable": (503, "The service cannot answer now"),
    "audit_unavailable": (503, "The access cannot be audited now, so it is not given"),
    "not_ready": (503, "The service is not ready"),
    "internal": (500, "A defect of the service"),
}
"""Every code: its status and its title."""

RETRY_AFTER_SECONDS = 5


class Problem(HTTPException):
    """An error with a code of `CODES`; `more` are further members of the problem document.

    An HTTPException because the framework lets only those pass while it reads a body.
    """

    def __init__(self, code: str, detail: str = "", *, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(CODES[code][0], detail, dict(headers or {}))
        self.code = code
        self.detail = detail
        self.more = more

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}" if self.detail else self.code


def response(problem: Problem) -> Response:
    """The problem document as a response."""
    status, title = CODES[problem.code]
    body: dict[str, Any] = {
        "type": f"urn:chartbrief:problem:{problem.code}",
        "title": title,
        "status": status,
        "code": problem.code,
    }
    if problem.detail:
        body["detail"] = problem.detail
    headers = dict(problem.headers or {})
    if status == 401:
        headers.setdefault("WWW-Authenticate", 'Bearer realm="chartbrief"')
    if status in (429, 503):
        headers.setdefault("Retry-After", str(RETRY_AFTER_SECONDS))
    return Response(
        json.dumps(body | problem.more, ensure_ascii=False).encode(), status, headers=headers, media_type=MEDIA_TYPE
    )


def of_framework(error: HTTPException) -> Problem:
    """The framework's own errors (no such path, no such method, a body that was cut off) as ours."""
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "bad_request")
    return Problem(code, headers={k: v for k, v in (error.headers or {}).items() if k.lower() == "allow"})


async def on_validation_error(_request: Request, error: Exception) -> Response:
    """Handler of schema violations: where and what rule, never the value that was sent."""
    assert isinstance(error, RequestValidationError)
    errors = error.errors()
    places = [{"at": _place(e), "rule": e["type"]} for e in errors[:20]]
    code = "invalid_request"
    if any(p["at"] == "body.purpose" and p["rule"] == "literal_error" for p in places):
        code = "unknown_purpose"
    elif any(p["at"] == "body.budget_tokens" for p in places):
        code = "invalid_budget"
    return response(Problem(code, errors=places))


def _place(error: Mapping[str, Any]) -> str:
    """The place of an error in the schema's names. A field we do not know is `?`: its name could say anything."""
    location = [str(part) for part in error["loc"]]
    if error["type"] == "extra_forbidden":
        location[-1] = "?"
    return ".".join(location)

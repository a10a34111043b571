"""OperationOutcomes and error answers: what they mean for a section."""

from __future__ import annotations

import re
from typing import Any

from adapters.errors import AdapterError, AuthorizationError, BadAnswer, NotSupported, ScopeRefused, SiteUnavailable
from adapters.fhir.http import RETRY_STATUS, Answer
from adapters.fhir.pace import retry_after
from adapters.profile import AnswerRule, Outcome

MOST_BODY = 20_000
"""Bytes of an error body that are looked at."""
_SEVERITIES = frozenset({"fatal", "error", "warning", "information", "success"})
_CODE = re.compile(r"^[a-z]+(-[a-z]+)*$")
_DETAIL = re.compile(r"^(\d{1,6}|MSG_[A-Z_]{1,40}|[A-Z]{2,8}-\d{1,6})$")


def issue_codes(resource: Any) -> tuple[str, ...]:
    """`severity/code[/details code]` of each issue; texts are left out, servers put patients' data into them.

    Codes are kept only in the shapes of codes: IssueType words, message numbers, `MSG_...` and `HAPI-0450`.
    """
    if not isinstance(resource, dict) or not isinstance(resource.get("issue"), list):
        return ()
    found = []
    for issue in resource["issue"]:
        if not isinstance(issue, dict):
            continue
        severity, code = str(issue.get("severity")), str(issue.get("code"))
        parts = [severity if severity in _SEVERITIES else "?", code if _CODE.match(code) and len(code) < 25 else "?"]
        details = issue.get("details")
        codings = details.get("coding") if isinstance(details, dict) else None
        for coding in codings if isinstance(codings, list) else []:
            if isinstance(coding, dict) and _DETAIL.match(str(coding.get("code"))):
                parts.append(str(coding["code"]))
                break
        found.append("/".join(parts))
    return tuple(found)


def is_severe(code: str) -> bool:
    """Whether an issue, as `issue_codes` words it, says that something failed."""
    return code.startswith(("error/", "fatal/"))


_DEFAULT: dict[int, Outcome] = {
    401: "reauthorize_once",
    403: "not_authorized",
    404: "not_supported",
    405: "not_supported",
    501: "not_supported",
}


def known_meaning(answer: Answer, resource_type: str, rules: tuple[AnswerRule, ...]) -> Outcome | None:
    """What the profile says of an error answer; the first rule that matches decides."""
    body = ""
    for rule in rules:
        if rule.status != answer.status or (rule.resource_type and rule.resource_type != resource_type):
            continue
        if rule.contains and not body:
            body = answer.body[:MOST_BODY].decode("utf-8", "replace").casefold()
        if not rule.contains or rule.contains.casefold() in body:
            return rule.means
    return None


def meaning(answer: Answer, resource_type: str, rules: tuple[AnswerRule, ...]) -> Outcome:
    """What an error answer means: the profile's rules first, then the status."""
    return known_meaning(answer, resource_type, rules) or _DEFAULT.get(answer.status, "failed")


def error_of(answer: Answer, means: Outcome) -> AdapterError:
    """The error that an answer is: status and issue codes, never texts of the site."""
    codes: tuple[str, ...] = ()
    if answer.body[:1] == b"{":
        try:
            codes = issue_codes(answer.json())
        except BadAnswer:
            codes = ()
    words = f"HTTP {answer.status}{': ' + ', '.join(codes[:3]) if codes else ''}"
    status = answer.status
    if means == "not_supported":
        return NotSupported(words, status=status)
    if means == "not_authorized":
        return ScopeRefused(words, status=status)
    if means == "reauthorize_once" and status == 401:
        return AuthorizationError(words, status=status)
    if means == "retry" or (means == "failed" and status in RETRY_STATUS):
        return SiteUnavailable(words, code=f"http_{status}", status=status, retry_after=retry_after(answer.headers))
    return BadAnswer(words, code=f"http_{status}", status=status)

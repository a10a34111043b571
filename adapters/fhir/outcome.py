"""OperationOutcomes and error answers: what they mean for a section."""

from __future__ import annotations

from typing import Any

from adapters.fhir.http import Answer
from adapters.profile import AnswerRule, Outcome


def issue_codes(resource: Any) -> tuple[str, ...]:
    """`severity/code[/details code]` of each issue; texts are left out, servers put patients' data into them."""
    if not isinstance(resource, dict) or not isinstance(resource.get("issue"), list):
        return ()
    found = []
    for issue in resource["issue"]:
        if not isinstance(issue, dict):
            continue
        parts = [str(issue.get("severity", "?"))[:20], str(issue.get("code", "?"))[:40]]
        details = issue.get("details")
        codings = details.get("coding") if isinstance(details, dict) else None
        if isinstance(codings, list) and codings and isinstance(codings[0], dict) and codings[0].get("code"):
            parts.append(str(codings[0]["code"])[:40])
        found.append("/".join(parts))
    return tuple(found)


_DEFAULT: dict[int, Outcome] = {
    401: "reauthorize_once",
    403: "not_authorized",
    404: "not_supported",
    405: "not_supported",
    501: "not_supported",
}


def meaning(answer: Answer, resource_type: str, rules: tuple[AnswerRule, ...]) -> Outcome:
    """What an error answer means: the profile's rules first, then the status."""
    body = answer.body[:20_000].decode("utf-8", "replace").casefold()
    for rule in rules:
        if rule.status != answer.status or (rule.resource_type and rule.resource_type != resource_type):
            continue
        if not rule.contains or rule.contains.casefold() in body:
            return rule.means
    return _DEFAULT.get(answer.status, "failed")

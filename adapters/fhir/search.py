"""Search and paging that survive the traps met in the wild.

A next link may point to itself, walk in circles, never end, repeat resources, lead to an empty page, be relative, be
longer than any URL should be, or die (an opaque session that expired). Pages are followed on the base's origin only;
resources are told apart by type and id; caps end what does not end by itself, and the coverage says `truncated`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urljoin

import orjson

from adapters.errors import AdapterError, BadAnswer
from adapters.fhir.http import Answer
from adapters.fhir.outcome import issue_codes
from adapters.normalizer import subject_of
from adapters.normalizer.values import reference_key
from adapters.profile import Paging
from models.record import Missing, Rejected

Get = Callable[[str], Awaitable[Answer]]
MOST_BARREN = 5
"""Pages in a row without anything new, after which the walk is a circle in disguise."""
KEPT_BYTES = 100_000


@dataclass
class Found:
    """What a search brought."""

    resources: dict[tuple[str, str], bytes] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    truncated: str = ""
    broken: str = ""
    pages: int = 0


def search_url(base: str, resource_type: str, params: dict[str, str]) -> str:
    """The URL of the first page."""
    return f"{base}/{resource_type}?{urlencode(params, safe=',|:')}"


async def search(
    get: Get, first: str, base: str, site: str, resource_type: str, patient: str, paging: Paging, into: Found
) -> None:
    """Follow a search to its end. Raises the AdapterError of the first page; a later page that is lost is in `missing`."""
    url, seen, barren, restarted = first, {first}, 0, False
    while url:
        try:
            bundle = _bundle(await get(url))
        except AdapterError as error:
            if into.pages == 0 or url == first:
                raise
            if not restarted and getattr(error, "status", None) in (400, 404, 410):
                # Seen at servers with session paging: the link died. The search starts again; what is known is not doubled.
                url, seen, restarted, barren = first, {first}, True, 0
                continue
            into.broken = error.code
            into.missing.append(
                Missing(site=site, reference=f"{resource_type}/?page={into.pages + 1}", reason=error.code)
            )
            return
        into.pages += 1
        known = len(into.resources)
        _take(bundle, into, site, resource_type, patient)
        following = _next(bundle, url, base)
        barren = 0 if len(into.resources) > known else barren + 1
        if not following:
            return
        if following in seen and not (restarted and barren == 0):
            into.truncated = "paging_loop"
        elif barren >= MOST_BARREN and not restarted:
            into.truncated = "paging_endless"
        elif len(seen) >= paging.max_pages:
            into.truncated = "page_cap"
        elif len(into.resources) >= paging.max_resources:
            into.truncated = "resource_cap"
        if into.truncated:
            return
        seen.add(following)
        url = following


def _bundle(answer: Answer) -> dict[str, Any]:
    document = answer.json()
    if isinstance(document, dict) and document.get("resourceType") == "Bundle":
        return document
    if isinstance(document, dict) and document.get("resourceType") == "OperationOutcome":
        raise BadAnswer(
            "an OperationOutcome instead of a Bundle", code="operation_outcome", status=answer.status, body=answer.body
        )
    raise BadAnswer("something else than a Bundle", code="wrong_resource_type", status=answer.status, body=answer.body)


def _next(bundle: dict[str, Any], url: str, base: str) -> str:
    links = bundle.get("link")
    for link in links if isinstance(links, list) else []:
        if (
            isinstance(link, dict)
            and link.get("relation") == "next"
            and isinstance(link.get("url"), str)
            and link["url"]
        ):
            target = str(link["url"])
            return urljoin(url.split("?", 1)[0] if target.startswith("?") else url, target)
    return ""


def _take(bundle: dict[str, Any], into: Found, site: str, resource_type: str, patient: str) -> None:
    entries = bundle.get("entry")
    if entries is not None and not isinstance(entries, list):
        into.rejected.append(_reject(site, bundle, "not_a_resource", "entry is no list"))
        return
    for entry in entries or []:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(resource, dict):
            into.rejected.append(_reject(site, entry, "not_a_resource", "an entry without resource"))
            continue
        kind, found = resource.get("resourceType"), resource.get("id")
        if kind == "OperationOutcome":
            into.outcomes.extend(issue_codes(resource))
            continue
        if not isinstance(kind, str):
            into.rejected.append(_reject(site, resource, "not_a_resource", "resourceType is missing"))
        elif not isinstance(found, str) or not found:
            into.rejected.append(_reject(site, resource, "missing_id", "id"))
        elif kind != resource_type and kind not in _COMPANIONS:
            into.rejected.append(_reject(site, resource, "wrong_resource_type", f"asked for {resource_type}"))
        elif kind == resource_type and _of_other(resource, patient):
            into.rejected.append(_reject(site, resource, "wrong_patient", "subject"))
        else:
            into.resources[(kind, found)] = orjson.dumps(resource)


_COMPANIONS = frozenset(
    [
        "Provenance",
        "Medication",
        "Practitioner",
        "PractitionerRole",
        "Organization",
        "Location",
        "RelatedPerson",
        "Binary",
    ]
)


def _of_other(resource: dict[str, Any], patient: str) -> bool:
    if resource.get("resourceType") == "Patient":
        return resource.get("id") != patient
    kind, _, found = reference_key(subject_of(resource)).rpartition("/")
    return kind == "Patient" and found != patient


def _reject(site: str, item: Any, reason: Any, detail: str) -> Rejected:
    kind, found = (item.get("resourceType"), item.get("id")) if isinstance(item, dict) else ("", "")
    return Rejected(
        site=site,
        reason=reason,
        detail=detail,
        resource_type=kind if isinstance(kind, str) else "",
        resource_id=found if isinstance(found, str) else "",
        content=orjson.dumps(item)[:KEPT_BYTES],
    )

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
from adapters.fhir.bundle import Page, read_page
from adapters.fhir.http import Answer
from adapters.fhir.outcome import issue_codes
from adapters.normalizer import subject_of
from adapters.normalizer.values import reference_key
from adapters.profile import Paging
from models.record import Missing, RawResource, Rejected, RejectReason

Get = Callable[[str], Awaitable[Answer]]
Keep = Callable[[tuple[str, str], dict[str, Any], bytes], RawResource]
"""Makes a RawResource of a key (type and id), the parsed resource and its bytes."""
MOST_BARREN = 10
"""Pages in a row without anything new, after which the walk is a circle in disguise."""
MOST_RESTARTS = 2
"""How often a search starts again because a next link died."""
KEPT_BYTES = 100_000
"""Bytes of a rejected thing that go to quarantine."""
DEAD_LINK = frozenset({400, 404, 410})
"""What servers with opaque page links answer when the session behind them expired."""


@dataclass(frozen=True)
class Asked:
    """What a search asks for. `patient`: whose resources these must be; None: anybody's."""

    site: str
    resource_type: str
    patient: str | None
    paging: Paging
    most_bytes: int


@dataclass
class Found:
    """What searches brought."""

    resources: dict[tuple[str, str], RawResource] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    truncated: str = ""
    broken: str = ""
    pages: int = 0
    size: int = 0

    def add(self, other: Found) -> None:
        """Take over what another search of the same section brought."""
        for raw in other.resources.values():
            keep_newest(self.resources, raw)
        self.rejected += other.rejected
        self.missing += other.missing
        self.outcomes += other.outcomes
        self.truncated = self.truncated or other.truncated
        self.broken = self.broken or other.broken
        self.pages += other.pages
        self.size += other.size


def search_url(base: str, resource_type: str, params: dict[str, str] | list[tuple[str, str]]) -> str:
    """The URL of the first page."""
    return f"{base}/{resource_type}?{urlencode(params, safe=',|:/')}"


async def search(get: Get, first: str, asked: Asked, keep: Keep, into: Found) -> None:
    """Follow a search to its end. Raises the AdapterError of the first page; what is lost later is told in `into`."""
    url, seen, barren, patience, restarts, walked = first, {first}, 0, MOST_BARREN, 0, 0
    total: int | None = None
    while True:
        try:
            page = read_page(await get(url))
        except AdapterError as error:
            if into.pages == 0:
                raise
            if url != first and getattr(error, "status", None) in DEAD_LINK and restarts < MOST_RESTARTS:
                # Seen at servers with session paging: the link died. The search starts again; what is known is not
                # doubled, and the pages walked already may bring nothing new.
                restarts, patience = restarts + 1, MOST_BARREN + walked
                url, seen, barren, walked = first, {first}, 0, 0
                continue
            _lose_page(error, walked + 1, asked, total, into)
            return
        into.pages, walked = into.pages + 1, walked + 1
        total = page.total if walked == 1 else total
        known = len(into.resources)
        _take(page, walked, asked, keep, into)
        barren = 0 if len(into.resources) > known else barren + 1
        if page.cut:
            into.broken = "truncated_json"
        try:
            following = _next(page, url)
        except BadAnswer as error:
            _lose_page(error, walked + 1, asked, total, into)
            return
        if not following:
            _count(total, asked, into)
            return
        into.truncated = _end(following, seen, barren, patience, asked, into)
        if into.truncated:
            return
        seen.add(following)
        url = following


def _end(following: str, seen: set[str], barren: int, patience: int, asked: Asked, into: Found) -> str:
    """Why the walk must not go on; '' when it may."""
    if following in seen:
        return "paging_loop"
    if barren >= patience:
        return "paging_endless"
    if len(seen) >= asked.paging.max_pages:
        return "page_cap"
    if len(into.resources) >= asked.paging.max_resources:
        return "resource_cap"
    return "byte_cap" if into.size > asked.most_bytes else ""


def _next(page: Page, url: str) -> str:
    for link in page.links:
        target = link.get("url")
        if link.get("relation") == "next" and isinstance(target, str) and target.strip():
            try:
                return urljoin(url.partition("?")[0] if target.startswith("?") else url, target.strip())
            except ValueError:
                raise BadAnswer("a next link that cannot be read", code="bad_link") from None
    return ""


def _own(asked: Asked, into: Found) -> int:
    return sum(kind == asked.resource_type for kind, _ in into.resources)


def _count(total: int | None, asked: Asked, into: Found) -> None:
    """Hold the site to its own count: what it counted and did not send is missing."""
    short = (total or 0) - _own(asked, into) - len(into.rejected)
    if short > 0 and not into.truncated and not into.broken:
        reason = "the site counted more than it sent"
        into.missing.append(Missing(site=asked.site, reference=asked.resource_type, reason=reason, count=short))


def _lose_page(error: AdapterError, number: int, asked: Asked, total: int | None, into: Found) -> None:
    """A page that came and cannot be read goes to quarantine; one that did not come is missing."""
    into.broken = error.code
    reference = f"{asked.resource_type} search, page {number}"
    if isinstance(error, BadAnswer) and error.body:
        into.rejected.append(reject_body(error, asked.site, reference))
        return
    short = (total or 0) - _own(asked, into) - len(into.rejected)
    into.missing.append(Missing(site=asked.site, reference=reference, reason=error.code, count=max(1, short)))


def _take(page: Page, number: int, asked: Asked, keep: Keep, into: Found) -> None:
    """Sort what a page holds into resources, rejected things and outcomes."""
    source = f"{asked.resource_type} search, page {number}"
    into.rejected = [r for r in into.rejected if r.source != source]  # walked before a restart
    for stray in page.strays:
        into.rejected.append(_reject(asked.site, stray, None, "not_a_resource", "an entry without resource", source))
    for content in page.resources:
        into.size += len(content)
        try:
            resource = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            deep = "depth" in str(error) or "ecursion" in str(error)
            reason: RejectReason = "too_deep" if deep else "not_json"
            into.rejected.append(_reject(asked.site, content, None, reason, "entry", source))
            continue
        kind, found = resource.get("resourceType"), resource.get("id")
        if kind == "OperationOutcome":
            into.outcomes.extend(issue_codes(resource))
            continue
        problem = _problem(resource, kind, found, asked)
        if problem:
            into.rejected.append(_reject(asked.site, content, resource, *problem, source))
        else:
            keep_newest(into.resources, keep((kind, found), resource, content))


def _problem(resource: dict[str, Any], kind: Any, found: Any, asked: Asked) -> tuple[RejectReason, str] | None:
    if not isinstance(kind, str) or not kind:
        return "not_a_resource", "resourceType is missing"
    if not isinstance(found, str) or not found:
        return "missing_id", "id"
    if kind != asked.resource_type and kind not in _COMPANIONS:
        return "wrong_resource_type", f"asked for {asked.resource_type}"
    if kind == asked.resource_type and asked.patient is not None and is_of_other(resource, asked.patient):
        return "wrong_patient", "subject"
    return None


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
"""What may come along with a search (_include, _revinclude)."""


def is_of_other(resource: dict[str, Any], patient: str) -> bool:
    """Whether a resource says that it is about somebody else than `patient`."""
    if resource.get("resourceType") == "Patient":
        return resource.get("id") != patient
    kind, _, found = reference_key(subject_of(resource)).rpartition("/")
    return kind == "Patient" and found != patient


def keep_newest(held: dict[tuple[str, str], RawResource], raw: RawResource) -> None:
    """Of two copies of one resource the later version stays, whichever page came first."""
    key = (raw.resource_type, raw.resource_id)
    before = held.get(key)
    if before is None or (before.content != raw.content and _age(before) < _age(raw)):
        held[key] = raw


def _age(raw: RawResource) -> tuple[str, str, bytes]:
    meta = orjson.loads(raw.content).get("meta")
    updated = meta.get("lastUpdated") if isinstance(meta, dict) else None
    return str(updated or ""), raw.version.zfill(20), raw.content


def reject_body(error: BadAnswer, site: str, source: str) -> Rejected:
    """A whole answer that could not be used, for quarantine."""
    reason: RejectReason = "not_json"
    if error.code in ("too_large", "too_deep", "operation_outcome", "wrong_resource_type", "wrong_patient"):
        reason = error.code  # type: ignore[assignment]  # each is a RejectReason
    return Rejected(site=site, reason=reason, detail=error.code, source=source, content=error.body[:KEPT_BYTES])


def _reject(
    site: str, content: bytes, resource: dict[str, Any] | None, reason: RejectReason, detail: str, source: str
) -> Rejected:
    kind, found = (resource.get("resourceType"), resource.get("id")) if resource else ("", "")
    return Rejected(
        site=site,
        reason=reason,
        detail=detail,
        resource_type=kind if isinstance(kind, str) else "",
        resource_id=found if isinstance(found, str) else "",
        source=source,
        content=content[:KEPT_BYTES],
    )

"""What one section of one patient brought at one site, and what may truly be said of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from adapters.errors import AdapterError, AuthorizationError, BadAnswer, NotSupported
from adapters.fhir.outcome import is_severe
from adapters.fhir.search import Found, reject_body
from adapters.plan import Search
from models.record import Coverage, CoverageState, Missing, RawResource, Rejected, Section, Value

MOST_REASON = 300
UNDATED = "asked by date: what carries no date is not found this way"
WITHHELD = frozenset({"suppressed"})
"""Issue types that say: some of it was not returned, by rules of the site, consent or what the client may see
(https://hl7.org/fhir/R4/valueset-issue-type.html)."""
UNFINISHED = frozenset({"incomplete"})
"""Issue types that say: not all sources of the site answered in time."""


class SectionFetch(Value, frozen=True):
    """What one section of one patient brought at one site. offered = resources + rejected + missing."""

    section: Section
    coverage: Coverage
    resources: tuple[RawResource, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    missing: tuple[Missing, ...] = ()
    outcomes: tuple[str, ...] = ()
    requests: int = 0


def section_result(
    section: Section,
    site: str,
    types: Collection[str],
    found: Found,
    failures: Sequence[AdapterError],
    *,
    whole: bool,
    as_of: str,
    remark: str = "",
    unasked: Sequence[str] = (),
    requests: int = 0,
) -> SectionFetch:
    """Put together what the searches of a section found and how they failed.

    `types`: what the section asks for, its own type first. `failures`: one for each search that gave nothing; `whole`
    when no search of the section succeeded. `remark`: what must be said even of a complete answer. `unasked`: parts of
    the section that no search asked for.
    """
    own = sum(raw.resource_type in types for raw in found.resources.values())
    state, reason = judge(own, found, failures, whole=whole)
    answered = state in ("present", "empty", "filtered", "truncated")
    if answered:
        reason = "; ".join(p for p in (reason, remark) if p)
    rejected = list(found.rejected)
    for error in failures:
        if isinstance(error, BadAnswer) and error.body:
            rejected.append(reject_body(error, site, f"{next(iter(types))} request"))
    rejected = [msgspec.structs.replace(r, section=section) for r in rejected]
    rejected.sort(key=lambda r: (r.resource_type, r.resource_id, r.source, r.reason, r.content))
    missing = tuple(msgspec.structs.replace(m, section=section) for m in found.missing)
    resources = tuple(msgspec.structs.replace(found.resources[key], section=section) for key in sorted(found.resources))
    lost = sum(m.count for m in missing)
    coverage = Coverage(
        section=section,
        site=site,
        state=state,
        resource_type=next(iter(types)),
        as_of=as_of if answered else "",
        reason=reason[:MOST_REASON],
        unasked=tuple(unasked) if answered else (),
        offered=len(resources) + len(rejected) + lost,
        stored=len(resources),
        quarantined=len(rejected),
        missing=lost,
    )
    return SectionFetch(
        section=section,
        coverage=coverage,
        resources=resources,
        rejected=tuple(rejected),
        missing=missing,
        outcomes=tuple(sorted(set(found.outcomes))),
        requests=requests,
    )


def remarks_on(searches: Collection[Search], declined: Collection[Search], unasked: Sequence[str]) -> str:
    """What must be said of a section whose searches all ended well."""
    refused = {category for search in declined for category in search.categories}
    words = [UNDATED] if any(s.dated for s in searches) else []
    for lead, codes in (
        ("not supported by the site", [c for c in unasked if c in refused]),
        ("not asked for", [c for c in unasked if c not in refused]),
    ):
        if codes:
            words.append(f"{lead}: {', '.join(codes)}")
    return "; ".join(words)


def judge(own: int, found: Found, failures: Sequence[AdapterError], *, whole: bool) -> tuple[CoverageState, str]:
    """State and reason. `present` and `empty` are said only when every search of the section ran to its end, and the site
    did not say that it kept something back."""
    if failures:
        worst = min(failures, key=lambda e: _SEVERITY.index(_state_of(e)))
        if own:
            return "truncated", f"a part could not be read: {why(worst)}"
        return _state_of(worst), why(worst) if whole else f"a part could not be read: {why(worst)}"
    if found.truncated:
        return "truncated", found.truncated
    severe = sorted({code for code in found.outcomes if is_severe(code)})
    if found.broken or severe:
        reason = f"a page was lost: {found.broken}" if found.broken else f"the site reports: {', '.join(severe)}"
        return "truncated" if own else "failed", reason
    kinds = {code.split("/")[1] for code in found.outcomes}
    if kinds & UNFINISHED and (own or not found.rejected):
        return ("truncated" if own else "failed"), f"the site says that its answer is not complete: {_told(found)}"
    if kinds & WITHHELD and (own or not (found.rejected or found.missing)):
        return "filtered", f"the site says that it left some out: {_told(found)}"
    if own:
        return "present", _told(found)
    if found.rejected:
        return "failed", "nothing of what came could be used; it is in quarantine"
    if found.missing:
        return "failed", f"nothing came: {found.missing[0].reason}"
    return "empty", _told(found)


_SEVERITY: tuple[CoverageState, ...] = ("failed", "not_authorized", "not_supported")


def _state_of(error: AdapterError) -> CoverageState:
    if isinstance(error, NotSupported):
        return "not_supported"
    return "not_authorized" if isinstance(error, AuthorizationError) else "failed"


def _told(found: Found) -> str:
    """What the site remarked inside its answers, as codes."""
    return ", ".join(sorted(set(found.outcomes)))


def why(error: AdapterError) -> str:
    """Code and words of an error; neither holds anything of a patient."""
    words = str(error)
    return f"{error.code}: {words}" if words and words != error.code.replace("_", " ") else error.code

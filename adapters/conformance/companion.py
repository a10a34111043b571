"""What a site's companion API answers: one page of each feed with the test patient, or what the scopes say of it."""

from __future__ import annotations

from adapters.conformance.report import Evidence, FeedFound, State
from adapters.errors import AdapterError, SiteUnavailable
from adapters.fhir.http import tallied
from adapters.fhir.search import Found
from adapters.section import judge
from adapters.source import Source


async def probe_feeds(source: Source, patient_id: str, into: dict[str, FeedFound]) -> None:
    """Ask each feed for its first page. `into` holds every feed as unanswered until its answer is there."""
    for name in source.companion.feeds:
        into[name] = _found(source, name, "failed", "no answer before the deadline of the check", "none")
    for name in source.companion.feeds:
        with tallied() as tally:
            try:
                found = await source.look_companion(name, patient_id)
            except AdapterError as error:
                state, reason = judge(0, Found(), [error], whole=True)
                # our own scopes say no before anything is sent
                live = bool(tally.requests) or isinstance(error, SiteUnavailable)
                into[name] = _found(source, name, state, reason, "live" if live else "declared")
                continue
        found.truncated = "" if found.truncated == "page_cap" else found.truncated
        rows = len(found.resources)
        state, reason = judge(rows, found, [], whole=False)
        into[name] = _found(source, name, state, reason, "live", rows, len(found.rejected))


def declared_feeds(source: Source) -> dict[str, FeedFound]:
    """The feeds as far as the granted scopes tell: nothing was asked."""
    allowed = source.may_ask_companion()
    state: State = "not_queried" if allowed else "not_authorized"
    reason = "" if allowed else "the granted scopes do not cover it"
    return {name: _found(source, name, state, reason, "declared") for name in source.companion.feeds}


def _found(
    source: Source, name: str, state: State, reason: str, evidence: Evidence, rows: int = 0, rejected: int = 0
) -> FeedFound:
    feed = source.companion.feeds[name]
    api = source.companion.rules.name(name) if source.companion.rules else name
    return FeedFound(
        api=api,
        path=feed.path,
        section=feed.section,
        use=feed.use,
        state=state,
        reason=reason,
        evidence=evidence,
        rows=rows,
        quarantined=rejected,
    )

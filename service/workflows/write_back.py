"""Writing into a site for one of our patients: a draft from plain values, checked there, and sent only when asked to.

The token for it has the scopes of this one write and is not kept: the one for reading stays as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog

from adapters.fhir.drafts import BadDraft, Draft, PlanChange
from adapters.fhir.write import WriteOutcome, needs, write
from service.store import Store, UnknownSite
from service.workflows.opening import open_source

log = structlog.get_logger("chartbrief.workflows")
Make = Callable[[str], Draft | PlanChange]
"""Makes what is to be written, for the id by which the site knows the patient; raises BadDraft."""


def write_back(store: Store, tenant: str, patient_id: str, site: str, make: Make, *, send: bool) -> WriteOutcome:
    """Check a write at a site and, with `send`, do it.

    Raises UnknownPatient, UnknownSite (also where the site does not know the patient), BadDraft for values that cannot be
    written, ConfigurationError for a site that cannot be opened. What the site does is in the outcome.
    """
    config = store.site(tenant, site)
    there = store.links(tenant, patient_id).get(site)
    if there is None:
        raise UnknownSite(site)
    thing = make(there)
    at = now()

    async def ask() -> WriteOutcome:
        async with open_source(store, tenant, config, there, anew=True, writes=needs(thing)) as source:
            return await write(source, thing, at, send=send)

    found = asyncio.run(ask())
    log.debug("written" if found.written else "not_written", site=site, state=found.state, code=found.code)
    return found


def now() -> str:
    """This moment as FHIR writes it."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def outcome_row(found: WriteOutcome) -> dict[str, Any]:
    """An outcome as JSON says it, with the resource that was or would be sent."""
    return {
        "state": found.state,
        "written": found.written,
        "site": found.site,
        "resource_type": found.resource_type,
        "interaction": found.interaction,
        "code": found.code,
        "message": found.message,
        "resource_id": found.resource_id,
        "version": found.version,
        "provenance": found.provenance,
        "issues": list(found.issues),
        "status": found.status,
        "scopes": list(found.scopes),
        "resource": orjson.loads(found.content) if found.content else None,
    }


__all__ = ["BadDraft", "Make", "now", "outcome_row", "write_back"]

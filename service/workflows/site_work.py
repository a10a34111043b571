"""What one step does at one site: open it, fetch, commit, and say how it went without any of the patient's data."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from adapters.errors import AdapterError, AuthorizationError, ConfigurationError
from adapters.source import SectionFetch, SiteReport, Source
from models.record import SECTIONS, Section
from service.store import Store

Progress = Callable[[str, Section, str], None]


def refresh_site(
    store: Store, tenant: str, patient_id: str, site: str, progress: Progress | None = None
) -> dict[str, Any]:
    """Fetch all sections of a patient at a site and commit them. Returns counts and states only.

    Never raises for what the site does: a dead site gives a report that says so, and coverage that says so.
    """
    config = store.site(tenant, site)
    site_patient = store.links(tenant, patient_id)[site]

    async def fetch() -> tuple[list[SectionFetch], Any, int, str, str]:
        key = store.client_key(tenant, site) if config.auth == "backend" else None
        async with Source(tenant, config, key=key, tokens=store.tokens(tenant)) as source:
            fetches = await source.fetch_patient(site_patient, SECTIONS, progress)
            state, detail = await _site_state(source, fetches)
            return fetches, source.profile.normalization, source.requests, state, detail

    fetches, rules, requests, state, detail = asyncio.run(fetch())
    ledger = store.commit_fetch(tenant, patient_id, site, fetches, rules)
    store.set_site_state(tenant, site, state, detail)
    return {
        "site": site,
        "state": state,
        "detail": detail,
        "requests": requests,
        "sections": {f.section: f.coverage.state for f in fetches},
        "ledger": {
            "offered": ledger.offered,
            "stored": ledger.stored,
            "quarantined": ledger.quarantined,
            "reported_missing": ledger.reported_missing,
        },
    }


async def _site_state(source: Source, fetches: Sequence[SectionFetch]) -> tuple[str, str]:
    try:
        await source.discover()
    except AdapterError as error:
        return state_of(error), f"{error.code}: {error}"
    failed = [f for f in fetches if f.coverage.state == "failed"]
    if len(failed) == len(fetches):
        return "unavailable", failed[0].coverage.reason
    return "ready", ""


def state_of(error: AdapterError) -> str:
    """The state of a site after an error."""
    if isinstance(error, ConfigurationError):
        return "misconfigured"
    return "needs_reauthorization" if isinstance(error, AuthorizationError) else "unavailable"


def check_site(store: Store, tenant: str, site: str) -> dict[str, Any]:
    """Discover and authorize at a site; what it declares, grants, refuses. Declared, not probed."""
    config = store.site(tenant, site)

    async def ask() -> SiteReport:
        key = store.client_key(tenant, site) if config.auth == "backend" else None
        async with Source(tenant, config, key=key, tokens=store.tokens(tenant)) as source:
            return await source.discover()

    try:
        report = asyncio.run(ask())
    except AdapterError as error:
        store.set_site_state(tenant, site, state_of(error), f"{error.code}: {error}")
        return {"site": site, "state": state_of(error), "error": error.to_dict()}
    answer = {
        "site": site,
        "state": "ready",
        "software": report.capabilities.software,
        "fhir_version": report.capabilities.fhir_version,
        "capability_statement_read": report.capabilities.declared,
        "endpoints_found_in": report.discovered_by,
        "scopes_asked": list(report.scopes_asked),
        "types_granted": list(report.types_granted),
        "types_refused": list(report.types_refused),
        "types_not_declared": list(report.types_missing),
    }
    store.set_site_state(tenant, site, "ready", "", answer)
    return answer

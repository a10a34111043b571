"""What one step does at one site: open it, fetch, commit section by section, and say how it went.

Reports carry ids, counts and states, never a patient's data: they are kept in the run and in DBOS's own tables.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import structlog

from adapters.conformance import ConformanceReport, check
from adapters.conformance.probing import state_of
from adapters.errors import AdapterError
from adapters.normalizer import NormalizationRules
from adapters.profile import SiteConfig
from adapters.source import SectionFetch, Source
from models.record import RESOURCE_TYPE_OF_SECTION, SECTIONS, Coverage, Section
from service.store import Store, StoreUnavailable, UnknownPatient, UnknownSite
from service.store.sealing import SealError
from service.workflows.opening import open_source

log = structlog.get_logger("chartbrief.workflows")

Progress = Callable[[str, Section, str], None]
"""Called with site, section and state once a section is committed."""
STOP_LOOKS = 0.2
"""Seconds between looks whether the process is being stopped."""

LONGEST_PAUSE = 30.0
"""Seconds between tries while the database is away."""
T = TypeVar("T")


class Stopping(BaseException):
    """The process is being stopped. No Exception, so that DBOS records no outcome and the next process takes it up."""


def refresh_site(
    store: Store,
    tenant: str,
    run_id: str,
    patient_id: str,
    site: str,
    progress: Progress | None = None,
    stopping: threading.Event | None = None,
) -> dict[str, Any]:
    """Fetch the sections this run has not committed yet, and commit each as it ends. Returns counts and states.

    Never raises for what the site does: a dead site gives a report, and coverage, that say so. May raise
    StoreUnavailable; done again, it does not ask for what was committed before.
    """
    try:
        config = store.site(tenant, site)
        there = store.links(tenant, patient_id)[site]
    except (UnknownSite, UnknownPatient, KeyError):
        return _report(site, "failed", "the site or the patient is no longer registered", {})
    wanted = [s for s in SECTIONS if s not in store.committed_sections(tenant, run_id, site)]
    work = _SiteWork(store, tenant, run_id, patient_id, config, progress, stopping or threading.Event())
    state, detail = asyncio.run(work.run(there, wanted)) if wanted else ("ready", "")
    sections = store.committed_sections(tenant, run_id, site)
    if state == "ready" and all(account["state"] == "failed" for account in sections.values()):
        state, detail = "unavailable", "no section could be read"
    store.set_site_state(tenant, site, state, detail)
    return _report(site, state, detail, sections)


def patiently(do: Callable[[], T], stopping: threading.Event) -> T:
    """Do it, again and again while the database is away: it is the one thing without which nothing can be reported."""
    pause = 1.0
    while True:
        if stopping.is_set():
            raise Stopping
        try:
            return do()
        except StoreUnavailable as error:
            log.warning("store_unavailable", code=error.code, seconds=pause)
        stopping.wait(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


class _SiteWork:
    """One refresh of one patient at one site."""

    def __init__(
        self,
        store: Store,
        tenant: str,
        run_id: str,
        patient_id: str,
        config: SiteConfig,
        progress: Progress | None,
        stopping: threading.Event,
    ) -> None:
        self._store, self._tenant, self._run_id, self._patient_id = store, tenant, run_id, patient_id
        self._config, self._progress, self._stopping = config, progress, stopping

    async def run(self, there: str, wanted: Sequence[Section]) -> tuple[str, str]:
        """The site's state and what is to be said about it."""
        try:
            source = await asyncio.to_thread(open_source, self._store, self._tenant, self._config, there)
        except (AdapterError, SealError) as error:
            await self._commit([_not_got(s, self._config.name, error.code) for s in wanted], None)
            return "misconfigured", f"{error.code}: {error}"
        async with source:
            await self._fetch_all(source, there, wanted)
            try:
                await source.discover()
            except AdapterError as error:
                return state_of(error), f"{error.code}: {error}"
            except SealError as error:
                return "misconfigured", f"{error.code}: {error}"
        problem = source.auth.problem  # what was authorized at the start may have ended on the way
        return (state_of(problem), f"{problem.code}: {problem}") if problem else ("ready", "")

    async def _fetch_all(self, source: Source, there: str, wanted: Sequence[Section]) -> None:
        """All sections side by side. While some are committed, others go on; those that end meanwhile go together."""
        tasks = {asyncio.create_task(source.fetch(there, s)): s for s in source.longest_first(wanted)}
        pending: set[asyncio.Task[SectionFetch]] = set(tasks)
        try:
            while pending:
                ended, pending = await asyncio.wait(pending, timeout=STOP_LOOKS, return_when=asyncio.FIRST_COMPLETED)
                self._stop_if_asked()
                fetches = [
                    _result(task, section, self._config.name) for task, section in tasks.items() if task in ended
                ]
                if fetches:
                    await self._commit(fetches, source)
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    async def _commit(self, fetches: Sequence[SectionFetch], source: Source | None) -> None:
        """Commit. While the database is away what was fetched waits here; it is not asked for again."""
        rules = source.profile.normalization if source else _rules(self._config)
        user = source.auth.authorized_by if source else ""

        def commit() -> None:
            self._store.commit_fetch(
                self._tenant,
                self._patient_id,
                self._config.name,
                fetches,
                rules,
                run_id=self._run_id,
                authorized_by=self._store.person_reference(self._tenant, self._config.name, user),
            )

        await asyncio.to_thread(patiently, commit, self._stopping)
        for fetch in fetches:
            log.debug(
                "section_committed",
                run_id=self._run_id,
                site=self._config.name,
                section=fetch.section,
                state=fetch.coverage.state,
            )
            if self._progress:
                self._progress(self._config.name, fetch.section, fetch.coverage.state)

    def _stop_if_asked(self) -> None:
        if self._stopping.is_set():
            raise Stopping


def _rules(config: SiteConfig) -> NormalizationRules | None:
    """How a site that cannot be opened now is read: what is kept of it must not be read differently for that."""
    try:
        return config.profile().normalization
    except AdapterError:
        return None


def _result(task: asyncio.Task[SectionFetch], section: Section, site: str) -> SectionFetch:
    """What a section brought. A defect of ours in one section must not stop the others either; its text is not kept."""
    error = task.exception()
    if error is None:
        return task.result()
    if not isinstance(error, Exception) or isinstance(error, StoreUnavailable):
        raise error
    code = error.code if isinstance(error, SealError) else f"defect: {type(error).__name__}"
    log.error("section_failed", site=site, section=section, code=code)
    return _not_got(section, site, code)


def _not_got(section: Section, site: str, reason: str) -> SectionFetch:
    line = Coverage(
        section=section, site=site, state="failed", resource_type=RESOURCE_TYPE_OF_SECTION[section], reason=reason
    )
    return SectionFetch(section=section, coverage=line)


def _report(site: str, state: str, detail: str, sections: dict[str, dict[str, Any]]) -> dict[str, Any]:
    def total(name: str) -> int:
        return sum(account[name] for account in sections.values())

    return {
        "site": site,
        "state": state,
        "detail": detail,
        "requests": total("requests"),
        "sections": {section: account["state"] for section, account in sections.items()},
        "ledger": {
            "offered": total("offered"),
            "stored": total("stored"),
            "quarantined": total("quarantined"),
            "reported_missing": total("missing"),
        },
    }


def check_site(store: Store, tenant: str, site: str, patient_id: str | None = None) -> dict[str, Any]:
    """Discover and authorize at a site, probe it with a test patient where one is given (their id at the site), and keep
    the report. What the site declares, grants and refuses; the report's id is under `report`, the whole under `conformance`.
    """
    config = store.site(tenant, site)

    async def ask() -> tuple[ConformanceReport, dict[str, str]]:
        authorized = store.authorized_patients(tenant, site) if config.one_patient_each else []
        whose = patient_id if patient_id in authorized else authorized[0] if authorized else ""
        async with open_source(store, tenant, config, whose or "", anew=True) as source:
            return await check(source, patient_id), source.why_scopes()

    try:
        report, why = asyncio.run(ask())
    except AdapterError as error:  # it cannot be opened as it is configured
        store.set_site_state(tenant, site, state_of(error), f"{error.code}: {error}")
        return {"site": site, "state": state_of(error), "error": error.to_dict()}
    whole = report.model_dump(mode="json")
    kept = {"report": store.add_site_report(tenant, site, whole), "conformance": whole}
    if report.error is not None:
        detail = f"{report.error.code}: {report.error.message}"
        store.set_site_state(tenant, site, report.state, detail)
        return {"site": site, "state": report.state, "error": whole["error"]} | kept
    answer = {
        "site": site,
        "state": "ready",
        "software": report.software,
        "fhir_version": report.fhir_version,
        "capability_statement_read": report.statement_read,
        "endpoints_found_in": report.endpoints_found_in,
        "scopes_asked": list(report.scopes_asked),
        "why_scopes": why,
        "types_granted": [
            name for name, found in report.types.items() if found.granted is not False and found.declared is not False
        ],
        "types_refused": report.refused(),
        "types_not_declared": report.missing(),
    }
    store.set_site_state(tenant, site, "ready", "", answer)
    return answer | kept

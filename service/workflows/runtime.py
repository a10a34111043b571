"""The workflows of this process.

A refresh is a DBOS workflow with one child workflow a site, so that sites run side by side and a dead one stops nobody.
A process that is killed leaves its workflows in PostgreSQL; the next start takes them up at the first step that was not
committed. Inputs and outputs of steps are ids, counts and states: DBOS stores them in its own tables.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from typing import Any

from dbos import DBOS, DBOSConfig, SetWorkflowID

from service.store import Store, UnknownSite
from service.workflows.site_work import Progress, check_site, refresh_site

APPLICATION_VERSION = "1"
"""Pinned: DBOS resumes only workflows of its own version, and its default is a hash of the code."""
SCHEMA = "dbos"


class _Process:
    """What the decorated functions below work with."""

    store: Store | None = None
    progress: Progress | None = None


@DBOS.step(name="refresh_site")
def _site_step(tenant: str, patient_id: str, site: str) -> dict[str, Any]:
    assert _Process.store is not None
    return refresh_site(_Process.store, tenant, patient_id, site, _Process.progress)


@DBOS.workflow(name="refresh_one_site")
def _site_workflow(tenant: str, patient_id: str, site: str) -> dict[str, Any]:
    return _site_step(tenant, patient_id, site)


@DBOS.step(name="finish_refresh")
def _finish(tenant: str, patient_id: str, run_id: str, report: dict[str, Any]) -> None:
    assert _Process.store is not None
    _Process.store.put_run(tenant, run_id, patient_id, report["state"], report)


@DBOS.workflow(name="refresh_patient")
def _refresh_workflow(tenant: str, patient_id: str, run_id: str, sites: list[str]) -> dict[str, Any]:
    handles = [(site, DBOS.start_workflow(_site_workflow, tenant, patient_id, site)) for site in sites]
    answers: list[dict[str, Any]] = []
    for site, handle in handles:
        try:
            answers.append(handle.get_result())
        except Exception as error:  # noqa: BLE001  whatever stops one site must not stop the others; it is reported
            answers.append({"site": site, "state": "failed", "detail": type(error).__name__})
    names = ("offered", "stored", "quarantined", "reported_missing")
    report = {
        "state": "failed" if all(a["state"] == "failed" for a in answers) else "done",
        "sites": answers,
        "ledger": {n: sum(a.get("ledger", {}).get(n, 0) for a in answers) for n in names},
    }
    _finish(tenant, patient_id, run_id, report)
    return report


class Runtime:
    """Starts, follows and ends the workflows of a process. One at a time in a process (DBOS is a singleton)."""

    _one = threading.Lock()

    def __init__(self, store: Store, progress: Progress | None = None) -> None:
        """`progress(site, section, state)` is called from worker threads as sections end."""
        self._store, self._progress = store, progress
        self._launched = False

    def launch(self) -> Runtime:
        """Start DBOS; workflows that an earlier process left unfinished go on."""
        if not self._one.acquire(blocking=False):
            raise RuntimeError("another runtime is running in this process")
        _Process.store, _Process.progress = self._store, self._progress
        logging.getLogger("dbos").setLevel(logging.ERROR)
        config: DBOSConfig = {
            "name": "chartbrief",
            "system_database_url": self._store.database.url.replace("+psycopg", ""),
            "dbos_system_schema": SCHEMA,
            "application_version": APPLICATION_VERSION,
            "executor_id": "local",
            "log_level": "ERROR",
            "console_log_level": "ERROR",
            "max_executor_threads": 4 * self._store.settings.refresh_concurrency,
            "enable_otlp": False,
        }
        DBOS(config=config)
        DBOS.launch()
        self._launched = True
        return self

    def close(self) -> None:
        """Stop; workflows under way are taken up at the next launch."""
        if self._launched:
            DBOS.destroy(workflow_completion_timeout_sec=2)
            self._launched = False
            _Process.store = _Process.progress = None
            self._one.release()

    def __enter__(self) -> Runtime:
        return self.launch()

    def __exit__(self, *_: object) -> None:
        self.close()

    def start_refresh(self, tenant: str, patient_id: str, sites: list[str] | None = None) -> str:
        """Start a refresh from the named sites (default: all that know the patient); returns its run id."""
        links = self._store.links(tenant, patient_id)
        wanted = sorted(links) if sites is None else sites
        for site in wanted:
            if site not in links:
                raise UnknownSite(site)
        run_id = uuid.uuid4().hex
        self._store.put_run(tenant, run_id, patient_id, "running")
        with SetWorkflowID(f"refresh-{run_id}"):
            DBOS.start_workflow(_refresh_workflow, tenant, patient_id, run_id, wanted)
        return run_id

    def run(self, tenant: str, run_id: str, wait_seconds: float = 0) -> dict[str, Any] | None:
        """The run, after waiting for its end for at most `wait_seconds`; None when there is none."""
        deadline = time.monotonic() + wait_seconds
        while True:
            found = self._store.run(tenant, run_id)
            if found is None or found["state"] in ("done", "failed") or time.monotonic() >= deadline:
                return found
            time.sleep(0.05)

    def refresh_patient(
        self, tenant: str, patient_id: str, sites: list[str] | None = None, wait_seconds: float = 600
    ) -> dict[str, Any]:
        """Refresh and wait for the report."""
        found = self.run(tenant, self.start_refresh(tenant, patient_id, sites), wait_seconds)
        assert found is not None
        return found

    def check_site(self, tenant: str, site: str) -> dict[str, Any]:
        """Discover and authorize at a site."""
        return check_site(self._store, tenant, site)

"""The durable refresh: which steps there are, and what DBOS keeps of them.

`refresh_patient` puts one `refresh_site` a site into a queue and ends; the last site to end ends the run. Inputs and
outputs are ids, counts and states: DBOS stores them in its own tables.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog
from dbos import DBOS, SetEnqueueOptions, SetWorkflowID

from service.store import Store
from service.workflows.site_work import Progress, patiently, refresh_site

log = structlog.get_logger("chartbrief.workflows")

QUEUE = "sites"
"""One partition a site: patients are read one after the other there, so that the site's own limits hold."""
MOST_STARTS = 10
"""A refresh that took its process down so often is not started again; its run ends as failed."""


@dataclass
class Process:
    """What the decorated functions below work with: they are called by DBOS, with what is in the database only."""

    store: Store | None = None
    progress: Progress | None = None
    stopping: threading.Event = field(default_factory=threading.Event)

    busy: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Counts a step under way."""
        with self._changed:
            self.busy += 1
        try:
            yield
        finally:
            with self._changed:
                self.busy -= 1
                self._changed.notify_all()

    def rest(self, seconds: float) -> None:
        """Ask the steps under way to stop, and wait for it."""
        self.stopping.set()
        with self._changed:
            self._changed.wait_for(lambda: not self.busy, timeout=seconds)

    @property
    def open_store(self) -> Store:
        """The store of the running runtime."""
        assert self.store is not None, "no runtime is running"
        return self.store


PROCESS = Process()


def prefix(run_id: str) -> str:
    """Begins the ids of all workflows of a run."""
    return f"refresh-{run_id}"


@DBOS.step(name="refresh_site")
def _site_step(tenant: str, run_id: str, patient_id: str, site: str) -> dict[str, Any]:
    store, progress, stopping = PROCESS.open_store, PROCESS.progress, PROCESS.stopping
    with PROCESS.at_work():
        return patiently(lambda: refresh_site(store, tenant, run_id, patient_id, site, progress, stopping), stopping)


@DBOS.step(name="end_site")
def _end_step(tenant: str, run_id: str, site: str, report: dict[str, Any]) -> None:
    store = PROCESS.open_store
    with PROCESS.at_work():
        patiently(lambda: store.end_site(tenant, run_id, site, report), PROCESS.stopping)
        patiently(lambda: store.purge(tenant, datetime.now(UTC), site), PROCESS.stopping)


@DBOS.workflow(name="refresh_site", max_recovery_attempts=MOST_STARTS)
def _refresh_site(tenant: str, run_id: str, patient_id: str, site: str) -> None:
    try:
        report = _site_step(tenant, run_id, patient_id, site)
    except Exception as error:  # noqa: BLE001  whatever stops one site must not stop the run; it is reported
        log.error("site_failed", run_id=run_id, site=site, error=type(error).__name__)
        report = {"site": site, "state": "failed", "detail": type(error).__name__}
    _end_step(tenant, run_id, site, report)


@DBOS.workflow(name="refresh_patient", max_recovery_attempts=MOST_STARTS)
def refresh_patient(tenant: str, run_id: str, patient_id: str, sites: list[str]) -> None:
    """Put every site's refresh into the queue; once, however often this is started again."""
    for site in sites:
        with SetWorkflowID(f"{prefix(run_id)}-{site}"), SetEnqueueOptions(queue_partition_key=f"{tenant}/{site}"):
            DBOS.enqueue_workflow(QUEUE, _refresh_site, tenant, run_id, patient_id, site)

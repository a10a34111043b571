"""The workflows of this process: starting, following and ending them.

A process that is killed leaves its workflows in PostgreSQL. The next start, or another living process, takes them up:
sections that were committed are not asked for again, the others are.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from dbos import DBOS, DBOSConfig, SetWorkflowID

from service.quality import end_run
from service.store import Store, StoreUnavailable, UnknownSite
from service.store.runs import ENDED
from service.workflows import quality, renormalize
from service.workflows.presence import Presence
from service.workflows.refresh import PROCESS, QUEUE, prefix, refresh_patient
from service.workflows.site_work import Progress, check_site
from service.workflows.upkeep import FORGET_SECONDS, SCHEDULE_SECONDS, Again, forget_workflows

APPLICATION_VERSION = "1"
"""Raise when a workflow's steps change. Pinned: DBOS resumes only its own version, by default a hash of the code."""
SCHEMA = "dbos"
QUEUE_LOOKS = 0.2
"""Seconds between looks into the queue."""
STOP_SECONDS = 5.0
"""How long `close` waits for work under way to stop by itself."""
_UNDER_WAY = ["ENQUEUED", "PENDING", "DELAYED"]


class Runtime:
    """Starts, follows and ends the workflows of a process. One at a time in a process (DBOS is a singleton)."""

    _one = threading.Lock()

    def __init__(self, store: Store, progress: Progress | None = None, *, schedules: bool = False) -> None:
        """`progress(site, section, state)` is called from worker threads as sections are committed. `schedules`: begin what
        sites' schedules ask for (a service does, a command does not)."""
        self._store, self._progress, self._schedules = store, progress, schedules
        self._presence: Presence | None = None
        self._again: list[Again] = []
        self._launched = False

    def launch(self) -> Runtime:
        """Start DBOS; workflows that a dead process left unfinished go on. Raises StoreUnavailable."""
        if not self._one.acquire(blocking=False):
            raise RuntimeError("another runtime is running in this process")
        try:
            self._launch()
        except BaseException:
            self._end()
            raise
        self._launched = True
        return self

    def _launch(self) -> None:
        PROCESS.store, PROCESS.progress = self._store, self._progress
        PROCESS.stopping = threading.Event()
        url = self._store.database.url.replace("+psycopg", "")
        executor = uuid.uuid4().hex
        settings = self._store.settings
        self._presence = Presence(url, executor, _unfinished, _take_over, settings.connect_seconds)
        try:
            self._presence.announce()
        except psycopg.OperationalError:
            raise StoreUnavailable("the database does not answer (connection)") from None
        logging.getLogger("dbos").setLevel(logging.ERROR)
        config: DBOSConfig = {
            "name": "chartbrief",
            "system_database_url": url,
            "dbos_system_schema": SCHEMA,
            "application_version": APPLICATION_VERSION,
            "executor_id": executor,
            "log_level": "ERROR",
            "console_log_level": "ERROR",
            "enable_otlp": False,
        }
        DBOS(config=config)
        DBOS.launch()
        DBOS.register_queue(
            QUEUE,
            worker_concurrency=settings.refresh_concurrency,
            partition_concurrency=1,
            polling_interval_sec=QUEUE_LOOKS,
            on_conflict="always_update",
        )
        for tenant, run_id in self._store.unfinished_renormalizations():  # begun, and killed before it was in the queue
            renormalize.enqueue(tenant, run_id)
        for tenant, run_id in self._store.unfinished_quality_runs():
            quality.enqueue(tenant, run_id)
        self._presence.watch()
        self._again = [Again("upkeep", FORGET_SECONDS, lambda: forget_workflows(settings.workflow_retention_days))]
        if self._schedules:
            self._again.append(Again("schedule", SCHEDULE_SECONDS, self._keep_schedules))
        for task in self._again:
            task.start()

    def close(self) -> None:
        """Stop. Work under way stops at once and is taken up at the next launch, or by another process."""
        if self._launched:
            self._launched = False
            self._end()

    def _end(self) -> None:
        for task in self._again:
            task.close()
        self._again = []
        PROCESS.rest(STOP_SECONDS)
        DBOS.destroy(workflow_completion_timeout_sec=0)
        if self._presence is not None:
            self._presence.close()
            self._presence = None
        PROCESS.store = PROCESS.progress = None
        self._one.release()

    def __enter__(self) -> Runtime:
        return self.launch()

    def __exit__(self, *_: object) -> None:
        self.close()

    def start_refresh(self, tenant: str, patient_id: str, sites: list[str] | None = None) -> str:
        """Start a refresh from the named sites (default: all that know the patient); returns its run id.

        Where the same is under way, that one is returned: a refresh asked for twice is one effect.
        """
        links = self._store.links(tenant, patient_id)
        wanted = sorted(links) if sites is None else sorted(set(sites))
        for site in wanted:
            if site not in links:
                raise UnknownSite(site)
        run_id = self._store.begin_run(tenant, patient_id, wanted)
        if self._is_over(tenant, run_id):
            run_id = self._store.begin_run(tenant, patient_id, wanted)
        if not wanted:
            self._store.end_run(tenant, run_id, "done", {"state": "done", "sites": []})
            return run_id
        with SetWorkflowID(prefix(run_id)):
            DBOS.start_workflow(refresh_patient, tenant, run_id, patient_id, wanted)
        return run_id

    def _is_over(self, tenant: str, run_id: str) -> bool:
        """Whether nothing is under way for a run any more. If it has not ended by itself, it then ends as failed: DBOS
        gives up what was started too often, does not go on with another version's work, and forgets what is old."""
        known = DBOS.list_workflows(workflow_id_prefix=prefix(run_id), load_input=False, load_output=False)
        if not known and not self._is_old(tenant, run_id):
            return False
        if any(w.status in _UNDER_WAY and w.app_version == APPLICATION_VERSION for w in known):
            return False
        self._store.end_run(tenant, run_id, "failed")
        return True

    def _is_old(self, tenant: str, run_id: str) -> bool:
        found = self._store.run(tenant, run_id)
        keep = timedelta(days=self._store.settings.workflow_retention_days)
        return found is not None and datetime.fromisoformat(found["started"]) < datetime.now(UTC) - keep

    def purge(self, tenant: str) -> dict[str, int]:
        """Delete now what is older than it is kept; how many of each. It happens by itself too: a tenant's raw and
        quarantine at the end of a refresh, finished workflows by the hour."""
        purged = self._store.purge(tenant, datetime.now(UTC))
        return purged | {"workflows": forget_workflows(self._store.settings.workflow_retention_days)}

    def run(self, tenant: str, run_id: str, wait_seconds: float = 0) -> dict[str, Any] | None:
        """The run, after waiting for its end for at most `wait_seconds`; None when there is none."""
        found = _awaited(lambda: self._store.run(tenant, run_id), wait_seconds)
        if found is not None and found["state"] not in ENDED and self._is_over(tenant, run_id):
            found = self._store.run(tenant, run_id)
        return found

    def refresh_patient(
        self, tenant: str, patient_id: str, sites: list[str] | None = None, wait_seconds: float = 600
    ) -> dict[str, Any]:
        """Refresh and wait for the report."""
        found = self.run(tenant, self.start_refresh(tenant, patient_id, sites), wait_seconds)
        assert found is not None
        return found

    def renormalize(
        self, tenant: str, actor: str, *, site: str | None = None, patient_id: str | None = None, apply: bool
    ) -> str:
        """Begin to read raw again: of a site's patients, of one patient, of all; returns the run's id. Without `apply`
        nothing changes, and the report says what would. Raises UnknownPatient and UnknownSite."""
        if site is not None:
            self._store.site(tenant, site)
        if patient_id is not None and site is not None and site not in self._store.links(tenant, patient_id):
            raise UnknownSite(site)
        if patient_id is not None:
            self._store.links(tenant, patient_id)
        run_id = self._store.begin_renormalization(
            tenant, actor, site=site or "", patient_id=patient_id or "", apply=apply
        )
        renormalize.enqueue(tenant, run_id)
        return run_id

    def take_up(self, tenant: str, run_id: str) -> None:
        """Put a run that the store began into the queue (the decisions of the review queue begin theirs themselves)."""
        renormalize.enqueue(tenant, run_id)

    def renormalization(self, tenant: str, run_id: str, wait_seconds: float = 0) -> dict[str, Any] | None:
        """The run, after waiting for its end for at most `wait_seconds`; None when there is none."""
        found = _awaited(lambda: self._store.renormalization(tenant, run_id), wait_seconds)
        if found is not None and found["state"] not in ENDED and _given_up(renormalize.workflow_id(run_id)):
            self._store.end_renormalization(tenant, run_id, "given_up")
            found = self._store.renormalization(tenant, run_id)
        return found

    def measure_site(self, tenant: str, site: str, actor: str, as_of: str) -> str:
        """Begin to measure all patients of a site; returns the run's id, of the one under way where there is one. Raises
        UnknownSite."""
        run_id = self._store.begin_quality_run(tenant, site, actor, as_of)
        assert run_id is not None
        quality.enqueue(tenant, run_id)
        return run_id

    def quality_run(self, tenant: str, run_id: str, wait_seconds: float = 0) -> dict[str, Any] | None:
        """The run, after waiting for its end for at most `wait_seconds`; None when there is none."""
        found = _awaited(lambda: self._store.quality_run(tenant, run_id), wait_seconds)
        if found is not None and found["state"] not in ENDED and _given_up(quality.workflow_id(run_id)):
            end_run(self._store, tenant, run_id, "given_up")
            found = self._store.quality_run(tenant, run_id)
        return found

    def _keep_schedules(self) -> None:
        for (
            tenant,
            run_id,
        ) in self._store.unfinished_quality_runs():  # one that was given up would hold its site's place
            self.quality_run(tenant, run_id)
        quality.begin_due(self._store)

    def check_site(self, tenant: str, site: str, patient_id: str | None = None) -> dict[str, Any]:
        """Discover and authorize at a site; probe it with a test patient of the site."""
        return check_site(self._store, tenant, site, patient_id)


def _awaited(look: Callable[[], dict[str, Any] | None], seconds: float) -> dict[str, Any] | None:
    """What `look` finds once it has ended or is not there, and at the latest after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found is None or found["state"] in ENDED or time.monotonic() >= deadline:
            return found
        time.sleep(0.05)


def _given_up(workflow_id: str) -> bool:
    """Whether DBOS gave a workflow up, see MOST_STARTS."""
    known = DBOS.list_workflows(workflow_id_prefix=workflow_id, load_input=False, load_output=False)
    return bool(known) and all(w.status not in _UNDER_WAY for w in known)


def _unfinished() -> set[str]:
    pending = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
    return {w.executor_id for w in pending if w.executor_id}


def _take_over(executor: str) -> None:
    """Start a dead executor's workflows again. Those of another version would hold their site's place for ever."""
    left = DBOS.list_workflows(status="PENDING", executor_id=executor, load_input=False, load_output=False)
    outdated = [w.workflow_id for w in left if w.app_version != APPLICATION_VERSION]
    if outdated:
        DBOS.cancel_workflows(outdated)
    # The public API can only resume workflow by workflow, which forgets how often each was started.
    DBOS._recover_pending_workflows([executor])

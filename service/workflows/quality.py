"""The durable measuring of a site: some patients after the other, each batch with its own commit, begun by hand or by schedule.

DBOS keeps the tenant and the run's id; the sum so far is in the store.
"""

from __future__ import annotations

from datetime import UTC, datetime

import structlog
from dbos import DBOS, SetEnqueueOptions, SetWorkflowID

from service.quality import end_run, measure_next
from service.store import Store, StoreUnavailable, UnknownSite
from service.workflows.refresh import MOST_STARTS, PROCESS, QUEUE
from service.workflows.site_work import patiently

log = structlog.get_logger("chartbrief.workflows")

SCHEDULE = "schedule"
"""How the audit trail names who began a run that nobody asked for."""


def workflow_id(run_id: str) -> str:
    """The id of a run's workflow."""
    return f"quality-{run_id}"


def enqueue(tenant: str, run_id: str) -> None:
    """Put a run into the queue; once, however often it is asked. The runs of a tenant go one after the other."""
    with SetWorkflowID(workflow_id(run_id)), SetEnqueueOptions(queue_partition_key=f"{tenant}/quality"):
        DBOS.enqueue_workflow(QUEUE, _measure_site, tenant, run_id)


def begin_due(store: Store) -> int:
    """Begin the runs that schedules ask for now (`quality_every_hours` of a site); how many. Of several processes one begins it."""
    now, begun = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"), 0
    for tenant, site in store.due_quality_sites(now):
        try:
            run_id = store.begin_quality_run(tenant, site, SCHEDULE, now, due=True)
        except (UnknownSite, StoreUnavailable):
            continue
        if run_id is not None:
            enqueue(tenant, run_id)
            begun += 1
    return begun


@DBOS.step(name="measure_patients")
def _patients_step(tenant: str, run_id: str) -> None:
    store = PROCESS.open_store
    with PROCESS.at_work():
        while patiently(lambda: measure_next(store, tenant, run_id), PROCESS.stopping):
            pass


@DBOS.step(name="end_quality_run")
def _end_step(tenant: str, run_id: str, failed: str) -> None:
    store = PROCESS.open_store
    with PROCESS.at_work():
        patiently(lambda: end_run(store, tenant, run_id, failed), PROCESS.stopping)


@DBOS.workflow(name="measure_site", max_recovery_attempts=MOST_STARTS)
def _measure_site(tenant: str, run_id: str) -> None:
    failed = ""
    try:
        _patients_step(tenant, run_id)
    except Exception as error:  # noqa: BLE001  whatever stops it must be said in the run
        log.error("quality_failed", run_id=run_id, error=type(error).__name__)
        failed = type(error).__name__
    _end_step(tenant, run_id, failed)

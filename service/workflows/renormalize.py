"""The durable re-normalization: patient by patient, each with its own commit; a start after a kill goes on with the next.

DBOS keeps the tenant and the run's id; what the run is about, and what it found, is in the store.
"""

from __future__ import annotations

from functools import partial

import structlog
from dbos import DBOS, SetEnqueueOptions, SetWorkflowID

from adapters.errors import AdapterError
from adapters.normalizer import NormalizationRules
from service.store import Store, UnknownPatient, UnknownSite
from service.workflows.refresh import MOST_STARTS, PROCESS, QUEUE
from service.workflows.site_work import patiently

log = structlog.get_logger("chartbrief.workflows")


def workflow_id(run_id: str) -> str:
    """The id of a run's workflow."""
    return f"renormalize-{run_id}"


def enqueue(tenant: str, run_id: str) -> None:
    """Put a run into the queue; once, however often it is asked. The runs of a tenant go one after the other, beside its
    refreshes: two at once would only wait for each other's patients."""
    with SetWorkflowID(workflow_id(run_id)), SetEnqueueOptions(queue_partition_key=f"{tenant}/renormalize"):
        DBOS.enqueue_workflow(QUEUE, _renormalize, tenant, run_id)


@DBOS.step(name="renormalize_patients")
def _patients_step(tenant: str, run_id: str) -> list[str]:
    """Returns the sites that were left out, because their configuration cannot be read."""
    with PROCESS.at_work():
        return _all_patients(PROCESS.open_store, tenant, run_id)


def _all_patients(store: Store, tenant: str, run_id: str) -> list[str]:
    rules: dict[str, NormalizationRules] = {}
    skipped: set[str] = set()
    while True:  # again until a whole pass finds nobody: a record may move to another patient meanwhile
        did, after = 0, ("", "")
        while batch := patiently(partial(store.to_renormalize, tenant, run_id, after), PROCESS.stopping):
            for site, patient_id in batch:
                if site not in rules and site not in skipped:
                    try:
                        config = patiently(partial(store.site, tenant, site), PROCESS.stopping)
                        rules[site] = config.profile().normalization  # once a site: it remembers what it has read
                    except (AdapterError, UnknownSite):
                        skipped.add(site)
                if site in rules:
                    did += _one(store, tenant, run_id, patient_id, site, rules[site])
            after = batch[-1]
        if not did:
            return sorted(skipped)


def _one(store: Store, tenant: str, run_id: str, patient_id: str, site: str, rules: NormalizationRules) -> bool:
    """Whether the patient was dealt with."""
    try:
        patiently(lambda: store.renormalize_in_run(tenant, run_id, patient_id, site, rules), PROCESS.stopping)
        return True
    except (UnknownPatient, UnknownSite):  # unlinked meanwhile: there is nothing to read again
        log.info("renormalize_skipped", run_id=run_id, site=site)
        return False


@DBOS.step(name="end_renormalization")
def _end_step(tenant: str, run_id: str, failed: str, skipped: list[str]) -> None:
    store = PROCESS.open_store
    with PROCESS.at_work():
        patiently(lambda: store.end_renormalization(tenant, run_id, failed, skipped), PROCESS.stopping)


@DBOS.workflow(name="renormalize", max_recovery_attempts=MOST_STARTS)
def _renormalize(tenant: str, run_id: str) -> None:
    failed, skipped = "", list[str]()
    try:
        skipped = _patients_step(tenant, run_id)
    except Exception as error:  # noqa: BLE001  whatever stops it must be said in the run
        log.error("renormalize_failed", run_id=run_id, error=type(error).__name__)
        failed = type(error).__name__
    _end_step(tenant, run_id, failed, skipped)

"""Finished workflows are forgotten after a while; what is under way, and the reports of runs, stay."""

from __future__ import annotations

from typing import Any

from workflow_kit import connect, until

from service.settings import Settings
from service.store import Store
from service.workflows import Runtime

OLD = "extract(epoch from now() - interval '31 days') * 1000"


def kept(admin_sql: Any) -> set[str]:
    return {r[0] for r in admin_sql("select workflow_uuid from dbos.workflow_status")}


def age(admin_sql: Any, run_id: str) -> None:
    admin_sql(f"update dbos.workflow_status set created_at = {OLD} where workflow_uuid like %s", f"refresh-{run_id}%")
    admin_sql("update runs set started = now() - interval '31 days' where run_id = %s", run_id)


def test_what_is_old_and_over_is_forgotten_with_its_steps(
    store: Store, runtime: Runtime, hospital: Any, admin_sql: Any
) -> None:
    ehr = hospital()
    patient = connect(store, ehr)
    old, young = (runtime.refresh_patient("t1", patient) for _ in range(2))
    assert runtime.purge("t1")["workflows"] == 0
    before = kept(admin_sql)
    age(admin_sql, old["run_id"])
    assert runtime.purge("t1")["workflows"] == 2, "the run and its one site"
    assert before - kept(admin_sql) == {f"refresh-{old['run_id']}", f"refresh-{old['run_id']}-north"}
    for table in ("operation_outputs", "workflow_input", "workflow_output"):
        left = admin_sql(f"select count(*) from dbos.{table} where workflow_uuid like %s", f"refresh-{old['run_id']}%")
        assert left == [(0,)], table
    assert runtime.run("t1", old["run_id"])["report"] == old["report"], "the report of the run stays"
    assert runtime.run("t1", young["run_id"])["state"] == "done"


def test_what_is_under_way_is_not_forgotten_however_old(
    store: Store, runtime: Runtime, hospital: Any, admin_sql: Any
) -> None:
    ehr = hospital(latency=0.15)
    patient = connect(store, ehr)
    run_id = runtime.start_refresh("t1", patient)
    until(lambda: f"refresh-{run_id}-north" in kept(admin_sql))
    admin_sql(
        f"update dbos.workflow_status set created_at = {OLD} where workflow_uuid like %s", f"refresh-{run_id}-north"
    )
    assert runtime.purge("t1")["workflows"] == 0
    assert runtime.run("t1", run_id, 90)["state"] == "done"


def test_a_run_whose_workflows_were_forgotten_ends_and_does_not_hold_the_next(
    store: Store, runtime: Runtime, hospital: Any, admin_sql: Any
) -> None:
    ehr = hospital()
    patient = connect(store, ehr)
    lost = store.begin_run("t1", patient, ["north"])
    assert runtime.run("t1", lost)["state"] == "running", "just begun: its workflow may be about to start"
    age(admin_sql, lost)
    assert runtime.run("t1", lost)["state"] == "failed"
    assert runtime.refresh_patient("t1", patient)["state"] == "done"


def test_every_process_forgets_when_it_starts(settings: Settings, store: Store, hospital: Any, admin_sql: Any) -> None:
    with Runtime(store) as runtime:
        patient = connect(store, hospital())
        run = runtime.refresh_patient("t1", patient)
        # DBOS writes down that a workflow ended a moment after the run's report is there (seen on a busy machine)
        until(lambda: not admin_sql("select 1 from dbos.workflow_status where status <> 'SUCCESS'"))
    age(admin_sql, run["run_id"])
    with Runtime(store):
        until(lambda: not kept(admin_sql) & {f"refresh-{run['run_id']}", f"refresh-{run['run_id']}-north"})


def test_a_refresh_purges_its_site(store: Store, runtime: Runtime, hospital: Any, admin_sql: Any) -> None:
    patient = connect(store, hospital())
    runtime.refresh_patient("t1", patient)
    admin_sql(
        "insert into quarantine (tenant, patient_id, site, stage, section, reason, detail, resource_type, resource_id, source, "
        "content, content_hash, current, received, left_at) values ('t1', %s, 'north', 'fetch', 'labs', 'not_json', '', '', '', "
        "'', 'old', 'x', false, '2020-01-01', '2020-01-01')",
        patient,
    )
    runtime.refresh_patient("t1", patient)
    (row,) = [r for r in store.quarantine("t1", patient) if r["reason"] == "not_json"]
    assert row["purged_at"] and row["bytes"] == 0

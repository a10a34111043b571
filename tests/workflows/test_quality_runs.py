"""Measuring a site survives kill -9 and counts each patient once; a service begins what a schedule asks for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from workflow_kit import until

from adapters.profile import SiteConfig
from service.store import Store
from service.workflows import Runtime

TAKES_UP = Path(__file__).with_name("renormalizing.py")
ROOT = Path(__file__).parents[2]
MANY = 300


def site(store: Store, admin_sql: Any, patients: int, **config: Any) -> None:
    store.put_site("t1", SiteConfig(name="south", fhir_base="https://south.example/fhir", auth="none", **config))
    admin_sql(
        "insert into patients (tenant, patient_id) select 't1', md5(n::text) from generate_series(1, %s) n", patients
    )
    admin_sql(
        "insert into patient_links (tenant, site, site_patient_id, patient_id) "
        "select 't1', 'south', 's' || n, md5(n::text) from generate_series(1, %s) n",
        patients,
    )


def test_killed_in_the_middle_each_patient_is_counted_once(store: Store, settings: Any, admin_sql: Any) -> None:
    site(store, admin_sql, MANY)
    run = store.begin_quality_run("t1", "south", "k1", "2026-03-04T10:00:00Z")
    assert run is not None
    done = lambda: admin_sql("select patients from quality_runs where run_id = %s", run)[0][0]  # noqa: E731
    command = [sys.executable, str(TAKES_UP), str(settings.home), str(settings.database_url)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    until(lambda: done() > 0)
    other.kill()  # SIGKILL
    other.communicate()
    assert 0 < done() < MANY, "in the middle"
    with Runtime(store) as runtime:
        found = until(lambda: (r := runtime.quality_run("t1", run)) and r["finished"] and r)
        assert (found["state"], found["patients"], found["total"]) == ("done", MANY, MANY)
        report = store.quality_report("t1", "south", found["report_id"])
        assert report is not None and (report["patients"], report["made"]) == (MANY, "2026-03-04T10:00:00Z")
        assert all(s["some"] + s["none"] + s["unknown"] == MANY for s in report["sections"])
        assert runtime.quality_run("t1", "nosuch") is None and runtime.quality_run("t2", run) is None
    assert store.audit_broken_at("t1") is None


def test_a_service_begins_what_a_schedule_asks_for(store: Store, admin_sql: Any) -> None:
    site(store, admin_sql, 3, quality_every_hours=24)
    store.put_site("t1", SiteConfig(name="quiet", fhir_base="https://quiet.example/fhir", auth="none"))
    with Runtime(store):
        pass  # a command: it begins nothing
    assert store.quality_reports("t1", "south") == []
    with Runtime(store, schedules=True):
        until(lambda: store.quality_reports("t1", "south"))
    (report,) = store.quality_reports("t1", "south")
    assert report["patients"] == 3 and store.quality_reports("t1", "quiet") == []
    assert [(r["actor"], r["outcome"]) for r in store.audit_rows("t1") if r["action"] == "measure quality"] == [
        ("schedule", "south")
    ]
    with Runtime(store, schedules=True) as again:
        assert again is not None
    assert len(store.quality_reports("t1", "south")) == 1, "not due yet"

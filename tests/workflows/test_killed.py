"""kill -9 in the middle of a refresh, and a database that goes away: the work goes on by itself, the chart is the same."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from proxy import PostgresProxy
from workflow_kit import connect, facts, until

from service.practice_ehr import PracticeEhr
from service.settings import Settings
from service.store import Store, StoreUnavailable
from service.workflows import Runtime

REFRESHING = Path(__file__).with_name("refreshing.py")
ROOT = Path(__file__).parents[2]


class Refreshing:
    """A process of its own that refreshes a patient."""

    def __init__(self, settings: Settings, tenant: str, patient: str) -> None:
        command = [sys.executable, str(REFRESHING), str(settings.home), str(settings.database_url), tenant, patient]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)

    @property
    def run_id(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()  # SIGKILL
        self.process.communicate()


_expected: list[bytes] = []


@pytest.fixture
def undisturbed(store: Store, hospital) -> tuple[PracticeEhr, bytes]:
    """The hospital, and the chart of a refresh that nothing disturbed (another tenant's; made once)."""
    ehr = hospital(clients={}, latency=0.02)
    if not _expected:
        patient = connect(store, ehr, tenant="t0")
        with Runtime(store) as runtime:
            assert runtime.refresh_patient("t0", patient)["state"] == "done"
        _expected.append(facts(store.chart("t0", patient)))
    return ehr, _expected[0]


@pytest.mark.parametrize("moment", ["first request", "some requests", "first commit", "some commits"])
def test_killed_at_any_moment_the_next_start_finishes_it(moment: str, store: Store, settings, undisturbed) -> None:
    ehr, expected = undisturbed
    patient = connect(store, ehr, tenant="t1")
    asked = len(ehr.requests)
    other = Refreshing(settings, "t1", patient)
    run = other.run_id
    sections = lambda: len(store.run("t1", run)["sections"])  # noqa: E731
    until(
        {
            "first request": lambda: len(ehr.requests) > asked,
            "some requests": lambda: len(ehr.requests) > asked + 9,
            "first commit": lambda: sections() > 0,
            "some commits": lambda: sections() > 5,
        }[moment]
    )
    other.kill()
    committed = {s["section"] for s in store.run("t1", run)["sections"]}
    assert store.run("t1", run)["state"] == "running"
    with Runtime(store):
        until(lambda: store.run("t1", run)["state"] == "done")
    assert facts(store.chart("t1", patient)) == expected
    state = store.run("t1", run)
    assert len(state["sections"]) == state["sections_asked"]
    assert store.audit_broken_at("t1") is None
    audited = [row["outcome"] for row in store.audit_rows("t1")]
    assert len(audited) == len(set(audited)) == state["sections_asked"], "each section was committed once"
    assert committed <= {s["section"] for s in state["sections"]}


def test_a_living_process_takes_over_from_a_dead_one_and_only_then(
    store: Store, settings, undisturbed, admin_sql
) -> None:
    ehr, expected = undisturbed
    patient = connect(store, ehr, tenant="t1")
    other = Refreshing(settings, "t1", patient)
    run = other.run_id
    until(lambda: store.run("t1", run)["sections"])
    owner = "select executor_id from dbos.workflow_status where status = 'PENDING'"
    before = admin_sql(owner)
    with Runtime(store) as runtime:
        assert runtime._presence is not None
        runtime._presence.look()
        # of two steps one may have ended meanwhile
        assert set(admin_sql(owner)) <= set(before), "a process that lives keeps its work"
        other.kill()
        runtime._presence.look()  # what its thread does every few seconds
        until(lambda: store.run("t1", run)["state"] == "done")
    assert facts(store.chart("t1", patient)) == expected


@pytest.fixture
def proxy(database_url: str) -> Iterator[PostgresProxy]:
    with PostgresProxy(database_url) as running:
        yield running


def test_a_database_that_goes_away_and_comes_back(store: Store, settings, undisturbed, proxy: PostgresProxy) -> None:
    """No false acknowledgement, a clear error meanwhile, and no restart needed."""
    ehr, expected = undisturbed
    patient = connect(store, ehr, tenant="t1")
    mine = Store(settings.model_copy(update={"database_url": proxy.url, "connect_seconds": 2, "pool_wait_seconds": 1}))
    with Runtime(mine) as runtime:
        run = runtime.start_refresh("t1", patient)
        until(lambda: store.run("t1", run)["sections"])
        proxy.down()
        for call in (lambda: mine.chart("t1", patient), lambda: runtime.start_refresh("t1", patient), mine.ping):
            with pytest.raises(StoreUnavailable) as refused:
                call()
            assert refused.value.retry_after > 0
        waiting = len(store.run("t1", run)["sections"])
        until(lambda: len(ehr.requests) and proxy.refused > 3)
        assert len(store.run("t1", run)["sections"]) == waiting
        proxy.up()
        until(lambda: store.run("t1", run)["state"] == "done")
        assert mine.run("t1", run)["state"] == "done"
    mine.close()
    assert facts(store.chart("t1", patient)) == expected


def test_a_runtime_that_cannot_start_leaves_room_for_the_next(store: Store, settings, proxy: PostgresProxy) -> None:
    proxy.down()
    mine = Store(settings.model_copy(update={"database_url": proxy.url, "connect_seconds": 2}))
    with pytest.raises(StoreUnavailable):
        Runtime(mine).launch()
    with Runtime(store):
        pass
    proxy.up()
    with Runtime(mine):
        pass
    mine.close()

"""No patient's data in an error, a log line or the database server's log, whatever goes wrong."""

from __future__ import annotations

import io
import logging
import secrets
import threading
import time
import traceback
from pathlib import Path

import psycopg
import pytest
import structlog
from sqlalchemy import text
from store_kit import add_patient, condition, fetch, person

from models.record import Missing, Rejected
from service import logs
from service.settings import Settings
from service.store import Store, StoreUnavailable
from service.store.database import StoreDefect

CANARY = "Xyzzycanary"


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture):
    """Everything that was logged so far, as one text."""
    stream = io.StringIO()
    before = structlog.get_config()
    caplog.set_level(logging.DEBUG)
    logs.configure(logging.DEBUG, stream)
    yield lambda: stream.getvalue() + caplog.text + str([r.__dict__ for r in caplog.records])
    structlog.configure(**before)


def whole(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error) + str(error.__dict__)


REFUSED = {
    "a wrong type": ("select cast(cast(:x as text) as int)", CANARY),
    "a row that breaks a rule": (
        "insert into quarantine (tenant, patient_id, site, stage, section, reason, detail, resource_type, resource_id, "
        "source, content, content_hash) values ('t1', 'p', 's', 'no such stage', '', '', :x, '', '', '', '', '')",
        CANARY,
    ),
    "a key that is there": ("insert into patients (tenant, patient_id) values ('t1', :x), ('t1', :x)", CANARY),
    "broken json": ("select cast(cast(:x as text) as jsonb)", f'{{"family": "{CANARY}'),
    "nul": ("select cast(:x as text)", f"{CANARY}\x00"),
    "half a character": ("select cast(:x as text)", f"{CANARY}\ud800"),
    "too long for an index": (
        "insert into patients (tenant, patient_id) values ('t1', :x)",
        CANARY + secrets.token_hex(20_000),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_database_refuses_is_not_repeated(store: Store, admin_sql, told, case: str) -> None:
    statement, value = REFUSED[case]
    with pytest.raises(StoreDefect) as refused, store.database.transaction("t1") as db:
        db.execute(text(statement), {"x": value})
    assert refused.value.code == "store_defect"
    assert CANARY not in whole(refused.value)
    assert CANARY not in told()
    ((folder,),) = admin_sql("select current_setting('data_directory')")
    server_log = (Path(str(folder)) / "log").read_text()
    assert "ready to accept connections" in server_log, "we look at the right file"
    assert CANARY not in server_log


def test_a_database_that_stops_in_the_middle_tells_nothing(database_url: str, tmp_path, told) -> None:
    store = Store(Settings(home=tmp_path, database_url=database_url, statement_seconds=0.3))
    patient = add_patient(store, there=CANARY)
    rejected = Rejected(site="north", reason="not_json", section="problems", detail=CANARY, content=CANARY.encode())
    missing = Missing(site="north", section="problems", reference=f"Condition/{CANARY}", reason=CANARY)
    sent = [
        fetch("demographics", [person(CANARY, family=CANARY, given=CANARY)]),
        fetch("problems", [condition(CANARY, CANARY, patient=CANARY)], rejected=(rejected,), missing=(missing,)),
    ]
    with psycopg.connect(database_url) as holder:
        holder.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"t1|{patient}|north",))
        with pytest.raises(StoreUnavailable) as timed_out:
            store.commit_fetch("t1", patient, "north", sent)
    killed: list[BaseException] = []

    def commit() -> None:
        try:
            store.commit_fetch("t1", patient, "north", sent)
        except StoreUnavailable as error:
            killed.append(error)

    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute("select pg_advisory_lock(hashtextextended('audit|t1', 1))")
        thread = threading.Thread(target=commit)
        thread.start()
        deadline = time.monotonic() + 60
        waiting = "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'advisory'"
        while not admin.execute(f"{waiting} and datname = current_database()").fetchone() and thread.is_alive():
            assert time.monotonic() < deadline
        thread.join()
    assert len(killed) == 1
    store.commit_fetch("t1", patient, "north", sent)
    assert CANARY in str(store.chart("t1", patient)), "the canary is in the record"
    store.close()
    assert CANARY not in whole(timed_out.value) + whole(killed[0]) + told()


def test_a_log_line_carries_known_keys_only(told) -> None:
    log = structlog.get_logger("chartbrief.test")
    try:
        raise ValueError(CANARY)
    except ValueError:
        log.error("it_failed", patient_name=CANARY, exc_info=True, code="x")
    line = told()
    assert "it_failed" in line and CANARY not in line
    assert '"dropped": ["exc_info", "patient_name"]' in line

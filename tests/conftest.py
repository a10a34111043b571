"""Fixtures of the whole suite: one embedded PostgreSQL for a test run, a database of its own for each test."""

from __future__ import annotations

import atexit
import gc
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog

from service.settings import Settings
from service.store import Store
from service.store.server import embedded_server
from service.workflows import Runtime

TEMPLATE = "chartbrief_template"
HASTY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "wal_init_zero": "off",
    "max_wal_size": "'256MB'",
}
"""This server's data is thrown away with it, so it need not survive the machine."""
_TEMPLATE_LOCK = 7_423_900
_number = count()

SPREAD = ("tests/faults/test_fault_table.py",)
"""Long files whose tests share little: they fill up whichever worker is free at the end, test by test."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """A file stays on one worker, so that what its tests share is made once; the files with the most tests go first.

    xdist's own `loadgroup` does nothing under pytest 9.2: it marks groups in an attribute that pytest no longer reads.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return nodeid if file in SPREAD else file

    return ByFile(config, log)


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: the garbage collector need not look at it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _own_environment() -> Iterator[None]:
    """A developer's own settings must not reach the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("CHARTBRIEF_") or name == "DATABASE_URL":
                patch.delenv(name)
        yield


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """What a test made of the logging ends with it; its stream is closed by then."""
    yield
    structlog.reset_defaults()
    logging.getLogger("dbos").handlers.clear()  # made once, for the stderr of that moment; flushed at each launch


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """The server of this test run, shared by all xdist workers; it stops when the last of them ends.

    In memory where there is room: making and dropping a database touches 300 files, and ext4 looks at every inode deleted in
    the last five seconds before it gives a new one (seen: 0.07 s for the first database, 0.4 s for the hundredth).
    Not below pytest's own temporary folder: another pytest of this user closes that for everybody else, and a server
    that root starts runs as somebody else.
    """
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or f"{os.getpid()}"
    shared = _roomy_folder() / f"chartbrief-tests-{run}"
    shared.mkdir(exist_ok=True)
    atexit.register(_remove_when_stopped, shared)  # runs after the server's own, which is registered later
    url: str = embedded_server(shared / "postgres").get_uri()
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("select pg_advisory_lock(%s)", (_TEMPLATE_LOCK,))
        known = admin.execute("select 1 from pg_database where datname = %s", (TEMPLATE,)).fetchone()
        if known is None:
            for name, value in HASTY.items():
                admin.execute(f"alter system set {name} = {value}")
            admin.execute("select pg_reload_conf()")
            admin.execute(f"create database {TEMPLATE}_making")
            made = _of(url, f"{TEMPLATE}_making")
            store = Store(Settings(home=shared / "template-home", database_url=made))
            with Runtime(store):  # both schemas, and the queue
                pass
            store.close()
            admin.execute(f"alter database {TEMPLATE}_making rename to {TEMPLATE}")
        admin.execute("select pg_advisory_unlock(%s)", (_TEMPLATE_LOCK,))
    return url


@pytest.fixture(scope="session")
def _databases(postgres_url: str) -> Iterator[Callable[[], str]]:
    """Makes databases; each goes when the next is made: at the end of its own test PostgreSQL would still wait 0.1 s for
    connections that are closing."""
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        last: list[str] = []

        def drop() -> None:
            while last:
                admin.execute(f"drop database if exists {last.pop()} with (force)")

        def make() -> str:
            drop()
            last.append(f"test_{os.getpid()}_{next(_number)}")
            admin.execute(f"create database {last[0]} template {TEMPLATE} strategy file_copy")
            return _of(postgres_url, last[0])

        yield make
        drop()


@pytest.fixture
def database_url(_databases: Callable[[], str]) -> str:
    """An empty, migrated database of this test's own."""
    return _databases()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings with a home and a database of their own."""
    return Settings(home=tmp_path / "home", database_url=database_url)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    """An open store."""
    opened = Store(settings)
    yield opened
    opened.close()


@pytest.fixture
def admin_sql(database_url: str) -> Iterator[Callable[..., list[tuple[object, ...]]]]:
    """SQL as the superuser, for what no Store method would do."""
    with psycopg.connect(database_url, autocommit=True) as connection:

        def run(statement: str, *values: object) -> list[tuple[object, ...]]:
            cursor = connection.execute(statement, values or None)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

        yield run


def _roomy_folder() -> Path:
    memory = Path("/dev/shm")
    if memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 4 << 30:
        return memory
    return Path(tempfile.gettempdir())


def _remove_when_stopped(shared: Path) -> None:
    if not (shared / "postgres" / "postmaster.pid").exists():
        shutil.rmtree(shared, ignore_errors=True)


def _of(url: str, database: str) -> str:
    return re.sub(r"/postgres\?", f"/{database}?", url)

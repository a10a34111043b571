"""Fixtures of the whole suite: one embedded PostgreSQL for a test run, a database of its own for each test."""

from __future__ import annotations

import atexit
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
import structlog

from service.settings import Settings
from service.store import Store
from service.store.server import embedded_server
from service.workflows import Runtime

TEMPLATE = "chartbrief_template"
_TEMPLATE_LOCK = 7_423_900
_number = count()


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

    Not below pytest's own temporary folder: another pytest of this user closes that for everybody else, and a server
    that root starts runs as somebody else.
    """
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or f"{os.getpid()}"
    shared = Path(tempfile.gettempdir()) / f"chartbrief-tests-{run}"
    shared.mkdir(exist_ok=True)
    atexit.register(_remove_when_stopped, shared)  # runs after the server's own, which is registered later
    url: str = embedded_server(shared / "postgres").get_uri()
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("select pg_advisory_lock(%s)", (_TEMPLATE_LOCK,))
        known = admin.execute("select 1 from pg_database where datname = %s", (TEMPLATE,)).fetchone()
        if known is None:
            admin.execute(f"create database {TEMPLATE}_making")
            made = _of(url, f"{TEMPLATE}_making")
            store = Store(Settings(home=shared / "template-home", database_url=made))
            with Runtime(store):  # both schemas, and the queue
                pass
            store.close()
            admin.execute(f"alter database {TEMPLATE}_making rename to {TEMPLATE}")
        admin.execute("select pg_advisory_unlock(%s)", (_TEMPLATE_LOCK,))
    return url


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    """An empty, migrated database of this test's own."""
    name = f"test_{os.getpid()}_{next(_number)}"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f"create database {name} template {TEMPLATE}")
        yield _of(postgres_url, name)
        admin.execute(f"drop database if exists {name} with (force)")


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


def _remove_when_stopped(shared: Path) -> None:
    if not (shared / "postgres" / "postmaster.pid").exists():
        shutil.rmtree(shared, ignore_errors=True)


def _of(url: str, database: str) -> str:
    return re.sub(r"/postgres\?", f"/{database}?", url)

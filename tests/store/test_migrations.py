"""The tables come about by themselves: from nothing, twice, and from many processes at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import alembic.command
import alembic.config
import psycopg
import pytest
from sqlalchemy import create_engine
from store_kit import add_patient

from service.settings import Settings
from service.store import Store, StoreUnavailable
from service.store.server import driver_url

ROOT = Path(__file__).parents[2]
OPEN = """
import sys
from pathlib import Path
from service.settings import Settings
from service.store import Store
print("ready", flush=True)
sys.stdin.readline()
Store(Settings(home=Path(sys.argv[1]), database_url=sys.argv[2])).ping()
"""


@pytest.fixture
def empty_url(postgres_url: str) -> Iterator[str]:
    """A database with nothing in it."""
    name = f"empty_{os.getpid()}"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f"create database {name}")
        yield postgres_url.replace("/postgres?", f"/{name}?")
        admin.execute(f"drop database if exists {name} with (force)")


def shape(url: str) -> list[tuple[object, ...]]:
    """Columns, policies, triggers and rights of everything there is."""
    with psycopg.connect(url) as connection:
        return [
            row
            for query in (
                "select table_name, column_name, data_type from information_schema.columns "
                "where table_schema = 'public' order by 1, 2",
                "select tablename, policyname, qual from pg_policies order by 1, 2",
                "select relname, relrowsecurity, relforcerowsecurity from pg_class c join pg_namespace n "
                "on n.oid = relnamespace and nspname = 'public' where relkind = 'r' order by 1",
                "select tgname, tgrelid::regclass::text from pg_trigger join pg_class c on c.oid = tgrelid "
                "join pg_namespace n on n.oid = c.relnamespace and nspname = 'public' where not tgisinternal order by 1",
                "select table_name, privilege_type from information_schema.role_table_grants "
                "where grantee = 'chartbrief_app' and table_schema = 'public' order by 1, 2",
                "select version_num from alembic_version",
            )
            for row in connection.execute(query).fetchall()
        ]


def test_from_nothing_and_again(empty_url: str, tmp_path: Path) -> None:
    for _ in range(2):
        store = Store(Settings(home=tmp_path, database_url=empty_url))
        store.ping()
        made = shape(empty_url)
        store.close()
    assert ("raw", True, True) in made and len(made) > 100
    again = Store(Settings(home=tmp_path, database_url=empty_url))
    patient = add_patient(again)
    again.close()
    assert shape(empty_url) == made
    last = Store(Settings(home=tmp_path, database_url=empty_url))
    assert [p["id"] for p in last.patients("t1")] == [patient], "what was there stays"
    last.close()


def test_what_the_first_version_kept_is_there_after_the_second(empty_url: str, tmp_path: Path) -> None:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(ROOT / "service" / "store" / "migrations"))
    engine = create_engine(driver_url(empty_url))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "0001")
        connection.exec_driver_sql(
            "insert into sites (tenant, name, config, report, checked_at) values "
            '(\'t1\', \'north\', \'{}\', \'{"state": "ready", "conformance": {"checked_at": "2026-11-01T02:03:04Z"}}\', now()), '
            "('t1', 'south', '{}', null, null), ('t2', 'north', '{}', '{\"state\": \"ready\"}', now())"
        )
        for current in (True, False):
            connection.exec_driver_sql(
                "insert into quarantine (tenant, patient_id, site, stage, section, reason, detail, resource_type, resource_id, "
                "source, content, content_hash, current, received) values ('t1', 'p', 'north', 'fetch', 'labs', 'not_json', "
                f"'', '', '', '', 'x', '{current}', {current}, '2020-01-01')"
            )
    engine.dispose()
    store = Store(Settings(home=tmp_path, database_url=empty_url))
    assert store.site_report("t1", "north", "20261101T020304Z") == {"checked_at": "2026-11-01T02:03:04Z"}
    assert store.site_report("t1", "south") is None and store.site_report("t2", "north") is None
    assert store.purge_quarantine("t1", "2021-01-01T00:00:00Z") == 0, "when it left was not known: it counts from now"
    store.close()
    with psycopg.connect(empty_url) as connection:
        assert connection.execute("select left_at is null, current from quarantine order by id").fetchall() == [
            (True, True),
            (False, False),
        ]
        assert connection.execute("select report from sites where tenant = 't1' and name = 'north'").fetchone() == (
            {"state": "ready"},
        )


def test_processes_that_start_at_once_wait_for_each_other(empty_url: str, tmp_path: Path, database_url: str) -> None:
    command = [sys.executable, "-c", OPEN, str(tmp_path), empty_url]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    processes = [subprocess.Popen(command, cwd=ROOT, text=True, **pipes) for _ in range(3)]
    assert [p.stdout.readline() for p in processes if p.stdout] == ["ready\n"] * 3
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert shape(empty_url) == shape(database_url)


def test_a_database_of_a_newer_version_is_left_alone(empty_url: str, tmp_path: Path) -> None:
    with psycopg.connect(empty_url) as connection:
        connection.execute("create table alembic_version (version_num text primary key)")
        connection.execute("insert into alembic_version values ('9999')")
    store = Store(Settings(home=tmp_path, database_url=empty_url))
    with pytest.raises(StoreUnavailable, match="newer version"):
        store.ping()
    with psycopg.connect(empty_url) as connection:
        assert connection.execute("select count(*) from pg_tables where schemaname = 'public'").fetchone() == (1,)
    store.close()


def test_every_table_of_a_tenant_has_forced_row_level_security(admin_sql) -> None:
    """A table somebody adds later without its policy fails here."""
    rows = admin_sql(
        "select c.relname, c.relrowsecurity and c.relforcerowsecurity, "
        "exists (select from pg_policies p where p.tablename = c.relname) from pg_class c "
        "join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'public' "
        "where c.relkind = 'r' and c.relname <> 'alembic_version'"
    )
    assert rows and all(forced and policy for _, forced, policy in rows), rows


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("mysql://x/y", "configuration"),
        ("postgresql", "configuration"),
        ("sqlite:///x.db", "configuration"),
        ("postgresql://nobody:x@127.0.0.1:1/none", "unavailable"),
    ],
)
def test_a_database_that_is_none_says_so_and_a_wrong_url_that_waiting_does_not_help(
    url: str, code: str, tmp_path: Path
) -> None:
    store = Store(Settings(home=tmp_path, database_url=url, connect_seconds=2))
    with pytest.raises(StoreUnavailable) as refused:
        store.ping()
    assert refused.value.code == code and ":x@" not in str(refused.value)
    store.close()

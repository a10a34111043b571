"""Connections, migrations and the one way to a transaction: as the unprivileged role, bound to one tenant."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

from service.settings import Settings
from service.store.server import StoreUnavailable, database_url

MIGRATION_LOCK = 7_423_001
_UNAVAILABLE_STATES = ("08", "53", "55P03", "57", "58")
"""SQLSTATE classes that mean: not now. 08 connection, 53 resources (disk full), 55P03 lock, 57 operator, 58 system."""


class Database:
    """An engine with the migrations run."""

    def __init__(self, settings: Settings) -> None:
        self.url = database_url(settings)
        seconds = int(settings.statement_seconds * 1000)
        self.engine: Engine = create_engine(
            self.url,
            pool_size=settings.pool_size,
            max_overflow=settings.pool_size,
            pool_pre_ping=True,
            hide_parameters=True,  # statements in errors must not carry patients' data
            connect_args={
                "connect_timeout": 10,
                "options": f"-c statement_timeout={seconds} -c lock_timeout={seconds}",
            },
        )
        self.migrate()

    def migrate(self) -> None:
        """Bring the tables to the newest version; processes that start together wait for each other."""
        config = alembic.config.Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        with _translated(), self.engine.connect() as connection:
            connection.execute(text("select pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
            try:
                connection.commit()
                config.attributes["connection"] = connection
                alembic.command.upgrade(config, "head")
                connection.commit()
            finally:
                connection.execute(text("select pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})
                connection.commit()

    @contextmanager
    def transaction(self, tenant: str) -> Iterator[Connection]:
        """One transaction of one tenant. Row-level security holds even where a statement forgets the tenant."""
        if not tenant:
            raise ValueError("a tenant is needed")
        with _translated(), self.engine.begin() as connection:
            connection.execute(text("set local role chartbrief_app"))
            connection.execute(text("select set_config('app.tenant', :tenant, true)"), {"tenant": tenant})
            yield connection

    @contextmanager
    def keys(self) -> Iterator[Connection]:
        """A transaction on the access keys, which name their tenant only once they are found."""
        with _translated(), self.engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


@contextmanager
def _translated() -> Iterator[None]:
    """Database trouble as StoreUnavailable; defects stay what they are."""
    try:
        yield
    except OperationalError as error:
        raise StoreUnavailable(f"the database does not answer ({_state(error) or 'connection'})") from None
    except DBAPIError as error:
        state = _state(error)
        if state.startswith(_UNAVAILABLE_STATES):
            raise StoreUnavailable(f"the database cannot do this now ({state})") from None
        raise


def _state(error: Any) -> str:
    return str(getattr(error.orig, "sqlstate", "") or "")

"""Connections, migrations and the one way to a transaction: as the unprivileged role, bound to one tenant."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from service.settings import Settings
from service.store.server import Server, StoreUnavailable

MIGRATION_LOCK = 7_423_001
ROLE = "chartbrief_app"
_UNAVAILABLE_STATES = ("08", "25006", "40", "53", "55P03", "57", "58")
"""SQLSTATE classes that mean: not now. 08 connection, 25006 read-only standby, 40 serialization and deadlock,
53 resources (disk full), 55P03 lock, 57 operator intervention and timeouts, 58 system."""


class StoreDefect(Exception):
    """A statement the database refused. Its message is left out: PostgreSQL quotes the values it refuses."""

    code = "store_defect"


class Database:
    """An engine that is connected, and its tables brought up to date, when it is first used."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._server = Server(settings)
        self._engine: Engine | None = None
        self._become = f"set local role {ROLE}"
        self._opening = threading.Lock()

    @property
    def engine(self) -> Engine:
        """The engine; raises StoreUnavailable while the database cannot be reached."""
        with self._opening:
            if self._engine is None:
                engine = self._open(self._server.url())
                try:
                    self._migrate(engine)
                    with _translated(), engine.begin() as connection:
                        self._become = _way_to_the_role(connection)
                except BaseException:
                    engine.dispose()
                    raise
                self._engine = engine
            return self._engine

    @property
    def url(self) -> str:
        """The database's URL (psycopg), password included."""
        return self.engine.url.render_as_string(hide_password=False)

    def _open(self, url: str) -> Engine:
        milliseconds = int(self._settings.statement_seconds * 1000)
        return create_engine(
            url,
            pool_size=self._settings.pool_size,
            max_overflow=self._settings.pool_size,
            pool_timeout=self._settings.pool_wait_seconds,
            pool_pre_ping=True,
            hide_parameters=True,  # statements in errors must not carry patients' data
            connect_args={
                "connect_timeout": self._settings.connect_seconds,
                "options": f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds}",
            },
        )

    @staticmethod
    def _migrate(engine: Engine) -> None:
        """Bring the tables to the newest version; processes that start together wait for each other."""
        config = alembic.config.Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        with _translated(), engine.connect() as connection:
            connection.execute(text("select pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
            try:
                connection.commit()
                config.attributes["connection"] = connection
                alembic.command.upgrade(config, "head")
                connection.commit()
            except CommandError:  # alembic finds a revision it does not know
                raise StoreUnavailable("the database belongs to a newer version of Chartbrief") from None
            finally:
                if not connection.invalidated:
                    connection.rollback()
                    connection.execute(text("select pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})
                    connection.commit()

    @contextmanager
    def transaction(self, tenant: str, *, snapshot: bool = False) -> Iterator[Connection]:
        """One transaction of one tenant. Row-level security holds even where a statement forgets the tenant.

        `snapshot`: all statements see the database as of one instant.
        """
        if not tenant:
            raise ValueError("a tenant is needed")
        with self._begin(snapshot) as connection:
            connection.execute(text("select set_config('app.tenant', :tenant, true)"), {"tenant": tenant})
            yield connection

    @contextmanager
    def key_lookup(self, key_id: str) -> Iterator[Connection]:
        """A transaction that sees one access key and nothing else: the tenant is known only once the key is found."""
        with self._begin(False) as connection:
            connection.execute(text("select set_config('app.key_id', :key, true)"), {"key": key_id})
            yield connection

    @contextmanager
    def launch_lookup(self, fhir_base: str) -> Iterator[Connection]:
        """A transaction that sees the sites with this address that an EHR may open, of any tenant, and nothing else."""
        with self._begin(False) as connection:
            connection.execute(text("select set_config('app.launch_base', :base, true)"), {"base": fhir_base})
            yield connection

    @contextmanager
    def unfinished_lookup(self) -> Iterator[Connection]:
        """A transaction that sees, of any tenant, the runs a process takes up by itself and the sites that have a schedule."""
        with self._begin(False) as connection:
            connection.execute(text("select set_config('app.unfinished', 'on', true)"))
            yield connection

    @contextmanager
    def _begin(self, snapshot: bool) -> Iterator[Connection]:
        engine = self.engine
        try:
            with _translated(), engine.begin() as connection:
                if snapshot:
                    connection.execute(text("set transaction isolation level repeatable read"))
                connection.execute(text(self._become))
                yield connection
        except StoreUnavailable:
            self._server.revive()
            raise

    def close(self) -> None:
        """Close all connections; the next use opens them again."""
        with self._opening:
            if self._engine is not None:
                self._engine.dispose()
                self._engine = None


def _way_to_the_role(connection: Connection) -> str:
    """How to stop being privileged. Where the role could not be made (a managed database), we must not be privileged."""
    become = f"set local role {ROLE}"
    try:
        with connection.begin_nested():
            connection.execute(text(become))
            connection.execute(text("reset role"))
        return become
    except DBAPIError:
        above = connection.execute(
            text("select rolsuper or rolbypassrls from pg_roles where rolname = current_user")
        ).scalar()
    if above:
        raise StoreUnavailable(f"the database user bypasses row-level security and cannot become {ROLE}")
    return "select 1"


@contextmanager
def _translated() -> Iterator[None]:
    """Database trouble as StoreUnavailable; what the database refuses as StoreDefect, without the values."""
    try:
        yield
    except PoolTimeout:
        raise StoreUnavailable("no free database connection") from None
    except DBAPIError as error:
        state = _state(error)
        if state.startswith(_UNAVAILABLE_STATES) or error.connection_invalidated:
            raise StoreUnavailable(f"the database cannot do this now ({state or 'connection'})") from None
        if not state and isinstance(error, OperationalError | InterfaceError):
            raise StoreUnavailable("the database does not answer (connection)") from None
        raise StoreDefect(f"the database refused a statement ({state or type(error.orig).__name__})") from None
    except UnicodeEncodeError:  # half a surrogate pair; the error would carry the whole text
        raise StoreDefect("a text that is no Unicode cannot be kept") from None


def _state(error: Any) -> str:
    return str(getattr(error.orig, "sqlstate", "") or "")

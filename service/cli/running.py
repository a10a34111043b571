"""Commands that need the store: opening it, the workflows where they are needed, the server; their errors in words."""

from __future__ import annotations

import asyncio
import getpass
import ipaddress
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import uvicorn
from pydantic import ValidationError

from adapters.errors import ConfigurationError
from adapters.profile import load_site
from models.record import SECTIONS
from service import logs
from service.access import Role
from service.api.app import create_app, server_config
from service.api.problems import CODES, Problem
from service.api.services import Principal, Services
from service.cli import terminology_releases
from service.cli.output import EXIT_OF_CODE, NOT_FOUND, REFUSED, UNAVAILABLE, CommandError, stderr
from service.settings import Settings
from service.store import Store, StoreUnavailable
from service.store.sealing import SealError
from service.workflows import Runtime

FIRST_KEYS = {Role.ADMIN: "first start: administration", Role.CLINICIAN: "first start: the page"}
FIRST_KEYS_FILE = "first-keys"
Progress = Callable[[str, str, str], None]


@dataclass
class Opened:
    """An open store for one command; `patient_id` is whom the audit row is about."""

    tenant: str
    services: Services
    patient_id: str = ""


@contextmanager
def opened(
    command: str,
    patient_id: str | None = None,
    *,
    runtime: bool = False,
    progress: Progress | None = None,
    schedules: bool = False,
) -> Iterator[Opened]:
    """The services over an open store, and one audit row for the command, like for a request to the API.

    What the body gives back must be printed after this has ended: a command that cannot be audited shows nothing.
    """
    logs.configure()
    try:
        settings = Settings()
    except ValidationError as error:
        wrong = ", ".join(sorted({f"{e['loc'][0]} ({e['type']})" for e in error.errors()}))
        raise CommandError("configuration", f"settings (CHARTBRIEF_*) are not valid: {wrong}") from None
    terminology_releases.use_imported()
    try:
        store = Store(settings)
    except SealError as error:
        raise CommandError("configuration", str(error)) from None
    services = Services(settings, store)
    session = Opened(settings.tenant, services, patient_id or "")
    running: Runtime | None = None
    status, reached = 500, False
    try:
        with working("Opening the store ..."):
            store.ping()
            reached = True
            if runtime:
                running = services.runtime = Runtime(store, progress, schedules=schedules).launch()
        yield session
        status = 200
    except Problem as problem:
        status = problem.status_code
        raise in_words(problem) from None
    except CommandError as error:
        status = {NOT_FOUND: 404, REFUSED: 403, UNAVAILABLE: 503}.get(error.exit_code, 400)
        raise
    except StoreUnavailable as error:
        status = 503
        raise CommandError(error.code, str(error)) from None
    finally:
        try:
            if reached:  # else nothing was shown, and there is nowhere to write it
                _audit(session, command, status)
        finally:
            if running is not None:
                running.close()
            store.close()


def _audit(session: Opened, command: str, status: int) -> None:
    principal = Principal(session.tenant, actor(), Role.ADMIN)
    if not session.services.audit(principal, f"CLI {command}", status, session.patient_id) and status < 500:
        raise CommandError("audit_unavailable", CODES["audit_unavailable"][1])


def actor() -> str:
    """How the audit trail names who gave a command."""
    return f"cli:{_user()}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a user database
        return str(os.getuid())


def in_words(problem: Problem) -> CommandError:
    """A problem of the service as an error of the command line, under the same code."""
    code = {"invalid_site": "invalid_site_file", "not_ready": "unavailable"}.get(problem.code, problem.code)
    status, title = CODES[problem.code]
    fallback = UNAVAILABLE if status >= 500 else NOT_FOUND if status == 404 else REFUSED
    exit_code = EXIT_OF_CODE.get(code, fallback)
    return CommandError(code, problem.detail or title, exit_code=exit_code, **problem.more)


@contextmanager
def working(words: str) -> Iterator[None]:
    """A spinner on the terminal while something takes its time; nothing where stderr is no terminal."""
    console = stderr()
    if not console.is_terminal:
        yield
        return
    from rich.progress import Progress as Bars
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    with Bars(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True
    ) as bars:
        bars.add_task(words)
        yield


class SectionBars:
    """A bar for each site, one tick a section; call it as the workflows' progress. Draws on a terminal only."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        console = stderr()
        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> SectionBars:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def __call__(self, site: str, _section: str, _state: str) -> None:
        if site not in self._tasks:
            self._tasks[site] = self._bars.add_task(f"Reading from {site}", total=len(SECTIONS))
        self._bars.advance(self._tasks[site])


def read_site(file: Path) -> dict[str, Any]:
    """A site file as the fields of a site."""
    if not file.is_file():
        raise CommandError("file_not_found", f"no such file: {file}", file=str(file))
    try:
        return load_site(file).model_dump(mode="json")
    except ConfigurationError as error:
        raise CommandError("invalid_site_file", str(error), reason=error.code) from None


def run_server(host: str, port: int) -> None:
    """Run the API and the page until Ctrl-C or SIGTERM. Makes the first keys where the tenant has none."""
    with _ending_well(), _listening(host, port) as listener, opened("serve", runtime=True, schedules=True) as session:
        services = session.services
        first_keys(services, session.tenant)
        app = create_app(services.settings, services.store, services.runtime)
        taken = listener.getsockname()[1]
        stderr().print(
            f"Chartbrief listens on http://{host}:{taken} (page: /, API description: /docs). Ctrl-C ends it.",
            soft_wrap=True,
        )
        if not ipaddress.ip_address(listener.getsockname()[0]).is_loopback:
            stderr().print("This speaks plain HTTP: put a TLS proxy before it (docs/api.md).", style="yellow")
        with suppress(SystemExit):  # SIGTERM, once uvicorn has closed its connections: the end of a service, no failure
            asyncio.run(uvicorn.Server(server_config(app, host, taken)).serve(sockets=[listener]))


@contextmanager
def _ending_well() -> Iterator[None]:
    """SIGTERM ends the process as its end does: work under way rests, the audit row is written, and an embedded PostgreSQL
    that nobody else uses is stopped. By default it ends a process at once and leaves all that behind: uvicorn, when it has
    closed its connections, raises the signal again for whoever was there before it."""

    def end(number: int, _frame: object) -> NoReturn:
        signal.signal(number, signal.SIG_IGN)  # one is enough; a second must not interrupt the ending
        raise SystemExit(0)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is end:
            signal.signal(signal.SIGTERM, before)


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """The socket to serve on, taken before anything is started."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError:
        raise CommandError("unavailable", f"no such address: {host}") from None
    with listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            raise CommandError("unavailable", f"cannot listen on {host}:{port}") from None
        yield listener


def first_keys(services: Services, tenant: str) -> dict[str, str]:
    """The tenant's first keys, an administrator's and one for the page; none where there are keys already.

    They are told once: on a terminal, else (a container, a unit) in a file that only its owner can read, because what
    is printed there ends up in a log.
    """
    if any(row["revoked"] is None for row in services.keys(tenant)):
        return {}
    made = {str(role): services.create_key(tenant, role, label)[1] for role, label in FIRST_KEYS.items()}
    console = stderr()
    if console.is_terminal:
        console.print("The first access keys. They are shown this once; keep them safe:", style="bold")
        for role, token in made.items():
            console.print(f"{role:10} {token}", markup=False, soft_wrap=True)
        return made
    file = services.settings.home / FIRST_KEYS_FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as out:
        out.writelines(f"{role} {token}\n" for role, token in made.items())
    console.print(
        f"The first access keys are in {file}. Move them to a safe place and delete it.", markup=False, soft_wrap=True
    )
    return made

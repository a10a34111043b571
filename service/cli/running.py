"""Commands that need the store: opening it, the workflows where they are needed, the server; their errors in words."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from adapters.errors import ConfigurationError
from adapters.profile import load_site
from service import logs
from service.access import Role
from service.api.app import create_app
from service.api.problems import CODES, Problem
from service.api.services import Services
from service.cli.output import EXIT_OF_CODE, UNAVAILABLE, CommandError, stderr
from service.settings import Settings
from service.store import Store, StoreUnavailable
from service.workflows import Runtime

FIRST_KEY_LABEL = "first start"


@contextmanager
def opened(*, runtime: bool = False) -> Iterator[tuple[str, Services]]:
    """The tenant of the command line and the services over an open store."""
    settings = Settings()
    logs.configure()
    try:
        with working("Opening the store ..."):
            store = Store(settings)
    except StoreUnavailable as error:
        raise CommandError("unavailable", str(error)) from None
    running = None
    try:
        running = Runtime(store).launch() if runtime else None
        yield settings.tenant, Services(settings, store, running)
    except Problem as problem:
        raise in_words(problem) from None
    except StoreUnavailable as error:
        raise CommandError("unavailable", str(error)) from None
    finally:
        if running is not None:
            running.close()
        store.close()


def in_words(problem: Problem) -> CommandError:
    """A problem of the service as an error of the command line."""
    code = {"invalid_site": "invalid_site_file", "not_ready": "unavailable"}.get(problem.code, problem.code)
    status, title = CODES[problem.code]
    code = code if code in EXIT_OF_CODE else ("unavailable" if status >= 500 else "refused")
    return CommandError(code, problem.detail or title, **problem.more)


@contextmanager
def working(words: str) -> Iterator[None]:
    """A spinner on the terminal while something takes its time; nothing where stderr is no terminal."""
    console = stderr()
    if not console.is_terminal:
        yield
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True
    ) as progress:
        progress.add_task(words)
        yield


def read_site(file: Path) -> dict[str, Any]:
    """A site file as the fields of a site."""
    if not file.is_file():
        raise CommandError("file_not_found", f"no such file: {file}", file=str(file))
    try:
        return load_site(file).model_dump(mode="json")
    except ConfigurationError as error:
        raise CommandError("invalid_site_file", str(error), reason=error.code) from None


def run_server(host: str, port: int) -> None:
    """Run the API and the page until Ctrl-C. Makes and prints the first key where the tenant has none."""
    with opened(runtime=True) as (tenant, services):
        first_key(services, tenant)
        app = create_app(services.settings, services.store, services.runtime)
        server = uvicorn.Server(
            uvicorn.Config(app, host=host, port=port, access_log=False, log_config=None, server_header=False)
        )
        stderr().print(f"Chartbrief listens on http://{host}:{port} (API description: /docs). Ctrl-C ends it.")
        try:
            asyncio.run(server.serve())
        except SystemExit:  # uvicorn's way to say that it could not bind
            raise CommandError("unavailable", f"cannot listen on {host}:{port}", exit_code=UNAVAILABLE) from None


def first_key(services: Services, tenant: str) -> str | None:
    """The tenant's first key, made and printed once; None where there are keys already."""
    if any(row["revoked"] is None for row in services.keys(tenant)):
        return None
    _, token = services.create_key(tenant, Role.ADMIN, FIRST_KEY_LABEL)
    console = stderr()
    console.print("The first access key (role admin). It is shown this once; keep it safe:", style="bold")
    console.print(token, markup=False, soft_wrap=True)
    return token

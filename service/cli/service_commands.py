"""`serve`, `demo` and `purge`."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.file_commands import AsJson


def serve(
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on.")] = 8080,
) -> None:
    """Run the service: the API under /v1 and /docs, the page at /."""
    from service.cli.running import run_server

    run_server(host, port)


def demo(
    once: Annotated[bool, typer.Option("--once", help="Print the same and exit.")] = False,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Port of the page (default: 8080, or a free one).")
    ] = None,
) -> None:
    """Three practice hospitals, one patient: from discovery to a cited summary and a page to look at."""
    from service.demo import run

    raise typer.Exit(run(once=once, port=port))


def purge(as_json: AsJson = False) -> None:
    """Delete now what is older than it is kept: resource versions, quarantined bytes, site reports, finished workflows."""
    from service.cli import output
    from service.cli.running import opened

    with opened("purge", runtime=True) as store:
        found = store.services.purge(store.tenant)
    if as_json:
        output.emit(found)
        return
    words = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in found.items())
    output.stdout().print(f"Purged: {words}. Rows of quarantine stay, with their reason and hash.", markup=False)


def register(app: typer.Typer) -> None:
    """Add the commands of this room."""
    app.command()(serve)
    app.command()(demo)
    app.command()(purge)

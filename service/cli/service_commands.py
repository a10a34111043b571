"""`serve` and `demo`."""

from __future__ import annotations

from typing import Annotated

import typer


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


def register(app: typer.Typer) -> None:
    """Add the commands of this room."""
    app.command()(serve)
    app.command()(demo)

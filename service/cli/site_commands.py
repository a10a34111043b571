"""`site`: list, add, check the connections to EHRs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.cli.file_commands import AsJson

sites = typer.Typer(no_args_is_help=True, help="Connections to EHRs: list, add, check.")


@sites.command("list")
def list_sites(as_json: AsJson = False) -> None:
    """The connected sites and their state."""
    from service.cli import output, render
    from service.cli.running import opened

    with opened() as (tenant, services):
        items = services.sites(tenant)
    if as_json:
        output.emit({"sites": items})
        return
    made = render.table(f"Sites ({len(items)})", "name", "vendor", "state", "last updated", "FHIR base")
    for item in items:
        render.row(
            made,
            item["name"],
            item.get("vendor", ""),
            item.get("state", ""),
            item.get("last_updated") or "never",
            item.get("fhir_base", ""),
        )
    output.stdout().print(made)


@sites.command("add")
def add_site(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Site file (TOML), see docs/connect.md.")],
    as_json: AsJson = False,
) -> None:
    """Connect a site, and print the public key to register with its vendor."""
    import json

    from service.cli import output
    from service.cli.running import opened, read_site

    config = read_site(file)
    with opened() as (tenant, services):
        added = services.put_site(tenant, config, replace=True)
    if as_json:
        output.emit(added)
        return
    console = output.stdout()
    console.print(f"Site {added['name']} is connected. Register this public key (JWKS) with its app:", markup=False)
    console.print(json.dumps(added.get("jwks", {}), indent=2), markup=False, soft_wrap=True)
    console.print(f"Then: chartbrief site check {added['name']}", markup=False)


@sites.command("check")
def check_site(name: Annotated[str, typer.Argument(metavar="NAME")], as_json: AsJson = False) -> None:
    """Discover and authorize at a site; say what it supports and what it refuses."""
    from service.cli import output, render
    from service.cli.running import opened, working

    with opened(runtime=True) as (tenant, services), working(f"Asking {name} ..."):
        found = services.check_site(tenant, name)
    if as_json:
        output.emit(found)
        return
    made = render.table(f"Site {name}", "what", "answer")
    for key, value in found.items():
        text = ", ".join(str(v) for v in value) if isinstance(value, list) else value
        render.row(made, key.replace("_", " "), text)
    output.stdout().print(made)


def register(app: typer.Typer) -> None:
    """Add the commands of this room."""
    app.add_typer(sites, name="site")

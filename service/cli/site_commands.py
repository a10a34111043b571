"""`site`: list, add, check, compare the connections to EHRs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli import connect_commands
from service.cli.file_commands import AsJson

sites = typer.Typer(no_args_is_help=True, help="Connections to EHRs: list, add, check.")


@sites.command("list")
def list_sites(as_json: AsJson = False) -> None:
    """The connected sites and their state."""
    from service.cli import output, render
    from service.cli.running import opened

    with opened("site list") as store:
        items = store.services.sites(store.tenant)
    if as_json:
        output.emit({"sites": items})
        return
    made = render.table(f"Sites ({len(items)})", "name", "vendor", "state", "last updated", "stale", "FHIR base")
    for item in items:
        render.row(
            made,
            item["name"],
            item.get("vendor", ""),
            item.get("state", ""),
            item.get("last_updated") or "never",
            str(item.get("stale_patients") or ""),
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
    with opened("site add") as store:
        added = store.services.put_site(store.tenant, config, replace=True)
    tenant = store.tenant
    if as_json:
        output.emit(added)
        return
    console = output.stdout()
    name, auth = added["name"], config["auth"]
    if added["jwks"]["keys"]:
        console.print(f"Site {name} is added. Register this public key (JWKS) with the vendor:", markup=False)
        console.print(json.dumps(added["jwks"], indent=2), markup=False, soft_wrap=True)
    elif auth == "none":
        console.print(f'Site {name} is added. It asks for no token (auth = "none"): no key.', markup=False)
    else:
        console.print(f"Site {name} is added. It knows us by no key of ours.", markup=False)
    if config["client_auth"] == "client_secret" and auth != "none":
        console.print(f"Then: chartbrief site secret {name}", markup=False)
    if auth == "ehr_launch":
        console.print(f"Then open it from the EHR: register /smart/launch/{tenant}/{name} there.", markup=False)
    verb = "connect" if auth == "standalone" else "check"
    console.print(f"Then: chartbrief site {verb} {name}", markup=False)


@sites.command("show")
def show_site(name: Annotated[str, typer.Argument(metavar="NAME")], as_json: AsJson = False) -> None:
    """One site: its state, and the public key (JWKS) to register with its vendor."""
    import json

    from service.cli import output, render
    from service.cli.running import opened

    with opened("site show") as store:
        found = store.services.site(store.tenant, name)
    if as_json:
        output.emit(found)
        return
    made = render.table(f"Site {name}", "what", "value")
    for key in ("title", "vendor", "fhir_base", "state", "detail", "checked_at", "last_updated"):
        render.row(made, key.replace("_", " "), found.get(key) or "")
    console = output.stdout()
    console.print(made)
    console.print(json.dumps(found["jwks"], indent=2), markup=False, soft_wrap=True)


@sites.command("check")
def check_site(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    patient: Annotated[
        str | None,
        typer.Option("--patient", metavar="ID", help="A test patient's id at the site: everything is probed with it."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--report", metavar="FOLDER", help="Write the dated site report here, as JSON and HTML."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Discover, authorize and probe a site; say what it supports and refuses. Exits with 7 unless it is ready."""
    from service.cli import conformance, output
    from service.cli.running import opened, working

    if patient is not None:
        conformance.check_id(patient)
    with opened("site check", runtime=True) as store, working(f"Asking {name} ..."):
        found = store.services.check_site(store.tenant, name, patient)
    report = conformance.report_in(found)
    files = conformance.write(report, folder) if folder and report else []
    if found["state"] != "ready":
        error = found.get("error", {})
        raise output.CommandError(
            "site_refused",
            f"{name} is {found['state'].replace('_', ' ')}: {error.get('message', '')}",
            files=files,
            **error_of(found),
        )
    if as_json:
        output.emit(found | {"files": files})
    elif report:
        conformance.show(report, files)


@sites.command("diff")
def diff_reports(
    before: Annotated[
        str, typer.Argument(metavar="A", help="A site report (JSON), or `profile`: what its vendor's profile expects.")
    ],
    after: Annotated[Path, typer.Argument(metavar="B", help="A later site report (JSON).")],
    as_json: AsJson = False,
) -> None:
    """What changed between two site reports, or what a profile expects and a site lacks. Exits with 8 when it breaks something."""
    from service.cli import conformance, output

    document, differences = conformance.diff(before, after)
    if not as_json:
        conformance.show_differences(document, differences)
    breaking = sum(d.severity == "breaks" for d in differences)
    if breaking:
        words = f"{breaking} of {len(differences)} differences break something"
        raise output.CommandError("breaking_differences", words, document=document)
    if as_json:
        output.emit(document)


def error_of(found: dict[str, Any]) -> dict[str, Any]:
    """What a failed check says, for the error document."""
    error = found.get("error", {})
    return {"site": found["site"], "state": found["state"], "reason": error.get("code"), "action": error.get("action")}


def register(app: typer.Typer) -> None:
    """Add the commands of this room."""
    connect_commands.register(sites)
    app.add_typer(sites, name="site")

"""`practice`: one practice hospital for rehearsal and development, until Ctrl-C."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.file_commands import AsJson
from service.cli.output import CommandError

if TYPE_CHECKING:
    from service.practice_ehr import App, Hospital, PracticeEhr


def practice(
    vendor: Annotated[str, typer.Option("--vendor", metavar="DRESS", help="Whose habits it has.")] = "generic",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port on this machine; 0: a free one.")] = 0,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="FOLDER", help="Bundles, resources or NDJSON (default: synthetic patients)."),
    ] = None,
    faults: Annotated[
        Path | None, typer.Option("--faults", metavar="FILE", help="What goes wrong (TOML), see docs/practice-ehr.md.")
    ] = None,
    open_: Annotated[
        bool, typer.Option("--open", help="Ask for no token (the default without --client-jwks).")
    ] = False,
    client_jwks: Annotated[
        Path | None,
        typer.Option("--client-jwks", metavar="FILE", help="Public keys of the client, as `site add` prints."),
    ] = None,
    client_id: Annotated[
        str, typer.Option("--client-id", help="The client those keys belong to.")
    ] = "chartbrief-practice",
    app_redirect: Annotated[
        str,
        typer.Option(
            "--app-redirect", metavar="URL", help="Sign people in for an app with this redirect URI and --client-id."
        ),
    ] = "",
    patients: Annotated[
        int | None, typer.Option("--patients", min=1, max=2000, help="Size of the synthetic population (default 24).")
    ] = None,
    today: Annotated[
        str | None, typer.Option("--today", metavar="DATE", help="Last day of the synthetic population.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a practice hospital on this machine: a FHIR server with a vendor's habits, and faults on demand."""
    from service.practice_ehr import run

    if open_ and (client_jwks is not None or app_redirect):
        raise CommandError("usage", "--open excludes --client-jwks and --app-redirect")
    clients = {client_id: _public_keys(client_jwks)} if client_jwks is not None else None
    hospital = _hospital(vendor, data, _faults(faults), clients, patients, _day(today))
    if app_redirect:
        hospital = hospital.model_copy(update={"apps": {client_id: _app(app_redirect, clients)}})
    try:
        run(hospital, port, ready=lambda ehr: _say(ehr, client_id, as_json))
    except OSError:
        raise CommandError("unavailable", f"port {port} is in use", port=port) from None


def _hospital(
    dress: str, data: Path | None, faults: tuple[Any, ...], clients: Any, patients: int | None, today: date | None
) -> Hospital:
    from service.practice_ehr import Hospital, PracticeDataError, built_in_hospital, dress_names, load_folder

    if dress not in dress_names():
        raise CommandError("usage", f"no dress of that name; there are: {', '.join(dress_names())}")
    if data is None:
        return built_in_hospital(dress, clients=clients, faults=faults, patients=patients, today=today)
    if not data.is_dir():
        raise CommandError("file_not_found", f"no such folder: {data}", file=str(data))
    try:
        resources = load_folder(data)
    except PracticeDataError as error:
        raise CommandError("no_resources", str(error), file=str(data)) from None
    return Hospital(key=dress, dress=dress, resources=resources, clients=clients, faults=faults)


def _app(redirect: str, clients: dict[str, list[dict[str, Any]]] | None) -> App:
    from adapters.profile import CALLBACK
    from service.practice_ehr import App

    keys = next(iter(clients.values())) if clients else []
    if not redirect.endswith(CALLBACK):
        raise CommandError("usage", f"--app-redirect must end in {CALLBACK}")
    launch = f"{redirect.removesuffix(CALLBACK)}/smart/launch"
    return App(redirect_uris=(redirect,), keys=tuple(keys), launch_url=launch)


def _faults(file: Path | None) -> tuple[Any, ...]:
    import tomllib

    from pydantic import ValidationError

    from service.practice_ehr import Faults

    if file is None:
        return ()
    try:
        return Faults.from_file(file).items
    except OSError:
        raise CommandError("file_not_found", f"no such file: {file}", file=str(file)) from None
    except tomllib.TOMLDecodeError as error:
        raise CommandError("configuration", f"{file} is not TOML: {error}", file=str(file)) from None
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
        raise CommandError("configuration", f"{file}: {wrong}", file=str(file)) from None


def _public_keys(file: Path) -> list[dict[str, Any]]:
    """Keys of a JWKS document, or of what `site add --json` prints."""
    import orjson

    try:
        found = orjson.loads(file.read_bytes())
    except OSError:
        raise CommandError("file_not_found", f"no such file: {file}", file=str(file)) from None
    except orjson.JSONDecodeError:
        raise CommandError("not_json", f"{file} is not JSON", file=str(file)) from None
    found = found.get("jwks", found) if isinstance(found, dict) else {}
    keys = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(keys, list) or not keys or not all(isinstance(k, dict) and k.get("kty") for k in keys):
        raise CommandError("configuration", f"{file} holds no JWKS", file=str(file))
    if any("d" in k or "k" in k for k in keys):
        raise CommandError("refused", f"{file} holds a private key; a server gets the public half only", file=str(file))
    return keys


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CommandError("invalid_date", "--today is no date (YYYY-MM-DD)") from None


def _say(ehr: PracticeEhr, client_id: str, as_json: bool) -> None:
    """Where it is, what it holds, how to connect it."""
    from service.cli import output
    from service.practice_ehr.connect import holdings, site_file

    held, file = holdings(ehr), site_file(ehr, client_id)
    token_url = None if ehr.state.open else ehr.token_url
    if as_json:
        output.emit(
            {
                "dress": ehr.state.dress.name,
                "fhir_base": ehr.base_url,
                "token_url": token_url,
                "holds": held,
                "faults": [f.kind for f in ehr.faults.items],
                "site_file": file,
            }
        )
        return
    console = output.stdout()
    console.print(f"{ehr.state.dress.title}", markup=False)
    console.print(f"  FHIR base  {ehr.base_url}", markup=False, soft_wrap=True)
    console.print(f"  Token      {token_url or 'none asked for'}", markup=False, soft_wrap=True)
    counts = ", ".join(f"{count} {kind}" for kind, count in held.items())
    console.print(f"  Holds      {counts}", markup=False, soft_wrap=True)
    if ehr.faults.items:
        console.print(f"  Faults     {', '.join(f.kind for f in ehr.faults.items)}", markup=False, soft_wrap=True)
    console.print(
        "\nTo connect it, save this as practice.toml, then: chartbrief site add practice.toml\n", markup=False
    )
    console.print(file, markup=False, soft_wrap=True)
    console.print("Ctrl-C ends it.", markup=False)


def register(app: typer.Typer) -> None:
    """Add the commands of this room."""
    app.command()(practice)

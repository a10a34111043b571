"""`write`: a vital sign, a summary, a change of a care plan into a site that permits it. Shows; sends with --send only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.file_commands import AsJson
from service.cli.patient_commands import PatientId

writes = typer.Typer(
    no_args_is_help=True, help="Write into a site that permits it. Without --send: check, and show what would be sent."
)
Site = Annotated[str, typer.Option("--site", metavar="NAME", help="The site to write into.")]
Send = Annotated[bool, typer.Option("--send", help="Do it. Without: nothing is sent.")]


@writes.command("observation")
def write_observation(
    patient: PatientId,
    site: Site,
    vital: Annotated[str, typer.Option("--vital", help="heart-rate, body-weight, blood-pressure, ...")],
    value: Annotated[str, typer.Option("--value", help="As measured: 72, 98.60; 120/80 for a blood pressure.")],
    at: Annotated[str, typer.Option("--at", metavar="INSTANT", help="When: 2026-11-24T09:30:00-06:00.")],
    unit: Annotated[str, typer.Option("--unit", help="UCUM (default: the usual one).")] = "",
    patient_reported: Annotated[bool, typer.Option("--patient-reported", help="The patient measured it.")] = False,
    send: Send = False,
    as_json: AsJson = False,
) -> None:
    """A vital sign as an Observation."""
    fields = {"vital": vital, "value": value, "at": at, "unit": unit, "patient_reported": patient_reported}
    _write(patient, {"kind": "observation", "site": site} | fields, send, as_json)


@writes.command("document")
def write_document(
    patient: PatientId,
    site: Site,
    file: Annotated[
        Path | None, typer.Option("--file", help="A text to write (default: the summary of the stored record).")
    ] = None,
    title: Annotated[str, typer.Option("--title", help="The document's title.")] = "Summary",
    send: Send = False,
    as_json: AsJson = False,
) -> None:
    """A summary as a DocumentReference, marked as preliminary and made by a machine."""
    from service.cli.output import CommandError

    text = None
    if file is not None:
        try:
            text = file.read_text("utf-8")
        except FileNotFoundError:
            raise CommandError("file_not_found", f"no such file: {file}", file=str(file)) from None
        except (OSError, UnicodeDecodeError):
            raise CommandError("file_unreadable", f"{file} is no readable text", file=str(file)) from None
        if not text.strip():
            raise CommandError("empty_file", f"{file} is empty", file=str(file))
    _write(patient, {"kind": "document", "site": site, "text": text, "title": title}, send, as_json)


@writes.command("care-plan")
def write_care_plan(
    patient: PatientId,
    care_plan: Annotated[str, typer.Argument(metavar="CAREPLAN", help="The site's id of the CarePlan.")],
    site: Site,
    note: Annotated[str | None, typer.Option("--note", help="A note to add.")] = None,
    activity: Annotated[str | None, typer.Option("--activity", help="An activity to add.")] = None,
    status: Annotated[str | None, typer.Option("--status", help="active, on-hold, completed, revoked, ...")] = None,
    send: Send = False,
    as_json: AsJson = False,
) -> None:
    """Add a note or an activity to a CarePlan, or change its status; the rest stays as the site has it."""
    fields = {"care_plan": care_plan, "note": note, "activity": activity, "status": status}
    _write(patient, {"kind": "care_plan", "site": site} | fields, send, as_json)


def _write(patient: str, fields: dict[str, Any], send: bool, as_json: bool) -> None:
    from pydantic import TypeAdapter, ValidationError

    from service.api.schemas import WriteBody
    from service.cli import output, render
    from service.cli.running import opened, working

    try:
        body: Any = TypeAdapter(WriteBody).validate_python(fields)
    except ValidationError as error:
        wrong = ", ".join(sorted({str(e["loc"][-1]) for e in error.errors(include_input=False)}))
        raise output.CommandError("invalid_request", f"not valid: {wrong}") from None
    command = f"write {fields['kind'].replace('_', '-')}{' --send' if send else ''}"
    with opened(command, patient) as store, working(f"Asking {fields['site']} ..."):
        found = store.services.write(store.tenant, patient, body, send=send)
    if as_json:
        output.emit(found)
        return
    import json

    made = render.table(f"{found['resource_type']} at {found['site']}", "what", "answer")
    for name in ("state", "interaction", "resource_id", "version", "provenance", "scopes"):
        value = found[name]
        if value:
            render.row(made, name.replace("_", " "), ", ".join(value) if isinstance(value, list) else value)
    console = output.stdout()
    console.print(made)
    if found["resource"] is not None and not found["written"]:
        console.print(json.dumps(found["resource"], indent=2, ensure_ascii=False), markup=False, soft_wrap=True)
        console.print("Nothing was sent. To send it: --send", markup=False)


def register(app: typer.Typer) -> None:
    """Add the commands of this room."""
    app.add_typer(writes, name="write")

"""`renormalize`: what is kept raw, read again by the code, the tables and the decisions of now."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from service.cli.file_commands import AsJson

WAIT_SECONDS = 24 * 3600.0


def renormalize(
    site: Annotated[str | None, typer.Option("--site", metavar="NAME", help="Only this site's patients.")] = None,
    patient: Annotated[str | None, typer.Option("--patient", metavar="ID", help="Only this patient (our id).")] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Change it; without this, only say what would change.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what newer code, tables or decisions change in what is stored; with --apply, change it. A run that is killed goes
    on at the next start."""
    from service.cli import output
    from service.cli.running import actor, opened, working

    with opened("renormalize", patient, runtime=True) as store, working("Reading again ..."):
        run = store.services.renormalize(
            store.tenant, actor(), site=site, patient_id=patient, apply=apply, wait_seconds=WAIT_SECONDS
        )
    if as_json:
        output.emit(run)
    else:
        show(run)


def show(run: dict[str, Any]) -> None:
    """A run's report for a person."""
    from service.cli import output, render

    report, console = run["report"], output.stdout()
    verb = "changed" if run["apply"] else "would change"
    if report["identical"]:
        console.print(f"{report['patients']} patients read again: nothing {verb}.")
    else:
        console.print(
            f"{report['patients']} patients read again; {report['patients_changed']} {verb}, "
            f"{report['entries_changed']} entries."
        )
        made = render.table("Changes", "kind", "count", "example")
        for kind, count in report["kinds"].items():
            render.row(made, kind.replace("_", " "), str(count), _example(report["examples"].get(kind, [{}])[0]))
        console.print(made)
    for name in report["sites_skipped"]:
        console.print(f"{name} was left out: its configuration cannot be read.", markup=False)
    if report.get("error"):
        raise output.CommandError("internal", f"the run ended early: {report['error']}", run_id=run["run_id"])


def _example(example: dict[str, Any]) -> str:
    said = " ".join(str(example[k]) for k in ("reference", "what", "flag", "reason") if example.get(k))
    fields = ", ".join(example.get("fields", ()))
    moved = f"{_short(example['before'])} -> {_short(example['after'])}" if "after" in example else fields
    return f"{said}: {moved}" if moved else said


def _short(value: Any) -> str:
    if isinstance(value, dict):
        names = ("method", "code", "value", "unit")
        return " ".join(str(value[n]) for n in names if value.get(n) is not None) or "-"
    return "-" if value is None else str(value)


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command("renormalize")(renormalize)

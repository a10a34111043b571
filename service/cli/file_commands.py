"""`normalize` and `schema`, and the options of `context` and `summary` that read files: no server, store or network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Patient = Annotated[str | None, typer.Option("--patient", metavar="ID", help="Patient id, where there are several.")]
AsOf = Annotated[
    str | None, typer.Option("--as-of", metavar="DATE", help="Day or instant to speak for (default: now, UTC).")
]
MaxMegabytes = Annotated[int, typer.Option("--max-mb", min=1, help="Refuse a file larger than this, unpacked.")]
DEFAULT_MAX_MB = 100


def normalize(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="Bundle, NDJSON or single resources (.json, .ndjson, .xml, .gz), a package of them (.zip), or a folder.",
        ),
    ],
    patient: Patient = None,
    as_of: AsOf = None,
    max_mb: MaxMegabytes = DEFAULT_MAX_MB,
    judge: Annotated[
        bool, typer.Option("--judge", help="Also validate each resource strictly and say what had to be read around.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read files and print the record entries, the quarantine and the ledger."""
    from service.cli import files as room
    from service.cli import output, render

    loaded = room.load(files, instant=room.instant(as_of), max_bytes=max_mb * 1_000_000)
    result = room.normalize(loaded, patient)
    verdicts = None
    if judge:
        from service.cli import judging

        verdicts = judging.judged(result.resources, result.normalized)
    output.warn(result.document["warnings"])
    if as_json:
        output.emit(result.document | ({"judged": verdicts} if verdicts else {}))
        return
    render.normalized(result)
    if verdicts:
        judging.table(verdicts)


def schema() -> None:
    """Print the JSON Schema of the record: charts, their entries, quarantine rows."""
    from models.record import json_schema
    from service.cli import output

    output.emit(json_schema())


def register(app: typer.Typer) -> None:
    """Add the commands of this room."""
    app.command()(normalize)
    app.command()(schema)

"""`terminology`: what codes and wordings mean. No store, no network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, TextIO

import typer

from service.cli import review_commands, terminology_releases
from service.cli.file_commands import AsJson

terminology = typer.Typer(no_args_is_help=True, help="What codes and wordings mean: mapping tables, releases.")


@terminology.command("map")
def map_file(
    source: Annotated[
        Path, typer.Option("--in", help="CSV with any of the columns system, code, text, unit, specimen, domain.")
    ],
    target: Annotated[Path, typer.Option("--out", help="CSV to write: the same rows and what they mean.")],
    domain: Annotated[
        str,
        typer.Option(
            "--domain",
            help="What the rows are: condition, medication, observation, vaccine, allergen, procedure, document. "
            "Without it, each row's system, unit and words decide.",
        ),
    ] = "",
    table: Annotated[
        list[Path] | None,
        typer.Option(
            "--table", help="A mapping table (CSV, TOML, FHIR ConceptMap); the first that knows a row decides."
        ),
    ] = None,
    max_mb: Annotated[int, typer.Option("--max-mb", min=1, help="Refuse a larger file.")] = 200,
    as_json: AsJson = False,
) -> None:
    """Map every row of a CSV to standard codes, with method, confidence and candidates. Rows that cannot be read stay and say why."""
    from models.terminology.mapper import Terminology
    from models.terminology.tables import TableError, load_table
    from service.cli import output
    from service.terminology_map import DOMAINS, MapError, map_stream

    if domain and domain not in DOMAINS:
        raise output.CommandError("usage", f"--domain must be one of {', '.join(DOMAINS)}")
    if source.resolve() == target.resolve():
        raise output.CommandError("usage", "--in and --out name the same file")
    terminology_releases.use_imported()
    try:
        tables = [("site", load_table(path)) for path in table or []]
        with _opened(source, max_mb) as file, _written(target) as out:
            done = map_stream(file, out, Terminology(tables), domain or None)  # type: ignore[arg-type]  # checked
    except (TableError, MapError) as error:
        code = "empty_file" if error.code == "empty_file" else "invalid_table"
        raise output.CommandError(code, str(error), reason=error.code) from None
    told = {"rows": done.rows, "by_method": done.by_method, "errors": done.errors, "encoding": done.encoding}
    if as_json:
        output.emit(told)
        return
    methods = ", ".join(f"{count} {name}" for name, count in done.by_method.items())
    output.stdout().print(f"{done.rows} rows: {methods or 'none'}; {done.errors} with an error", highlight=False)


@contextmanager
def _opened(path: Path, max_mb: int) -> Iterator[BinaryIO]:
    from service.cli import output

    try:
        if path.stat().st_size > max_mb * 1_000_000:
            raise output.CommandError("too_large", f"{path}: more than {max_mb} MB (--max-mb)")
        file = path.open("rb")
    except FileNotFoundError:
        raise output.CommandError("file_not_found", f"no such file: {path}") from None
    except OSError as error:
        raise output.CommandError("file_unreadable", f"{path}: {error.strerror}") from None
    with file:
        yield file


@contextmanager
def _written(path: Path) -> Iterator[TextIO]:
    """Whole or not at all."""
    from service.cli import output

    beside = path.with_name(f"{path.name}.part")
    try:
        with beside.open("w", encoding="utf-8", newline="") as out:
            yield out
        beside.replace(path)
    except OSError as error:
        raise output.CommandError("file_unreadable", f"{path}: {error.strerror}") from None
    finally:
        beside.unlink(missing_ok=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this file, of the releases and of the review queue."""
    terminology_releases.register(terminology)
    review_commands.register(terminology)
    app.add_typer(terminology, name="terminology")

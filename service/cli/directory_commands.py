"""`directory`: import the vendors' endpoint lists, find a hospital in them, print its site file. No store, no network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.file_commands import AsJson

directory = typer.Typer(
    no_args_is_help=True, help="Find a hospital's FHIR base in the endpoint lists that vendors publish."
)
Vendor = Annotated[str, typer.Option("--vendor", help="A vendor or product, by any of its names.")]
DEFAULT_MAX_MB = 500


@directory.command("import")
def import_lists(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Endpoint lists (JSON), see docs/directory.md.")
    ],
    vendor: Annotated[str, typer.Option("--vendor", help="Whose list it is, where the addresses do not tell.")] = "",
    name: Annotated[str, typer.Option("--name", help="What to call the list (default: the file's name).")] = "",
    max_mb: Annotated[int, typer.Option("--max-mb", min=1, help="Refuse a larger file.")] = DEFAULT_MAX_MB,
    as_json: AsJson = False,
) -> None:
    """Take endpoint lists in. A list of the same name is replaced; every row is accounted for."""
    from adapters.directory import ListError
    from service.cli import output, render
    from service.directory import DirectoryError, list_row

    if name and len(files) > 1:
        raise output.CommandError("usage", "--name is for one file")
    store, rows = _directory(), []
    for file in files:
        data = _read(file, max_mb)
        try:
            rows.append(list_row(store.add(data, name or file.stem, vendor)))
        except ListError as error:
            raise output.CommandError(error.code, f"{file}: {error}", document={"lists": rows}) from None
        except DirectoryError as error:
            raise _in_words(error) from None
    if as_json:
        output.emit({"lists": rows})
        return
    made = render.table(f"Imported ({len(rows)})", "list", "published", "rows", "endpoints", "duplicates", "skipped")
    for row in rows:
        why = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in row["skipped"].items())
        render.row(made, row["name"], row["published"][:10], row["rows"], row["endpoints"], row["duplicates"], why)
    output.stdout().print(made)


@directory.command("find")
def find_endpoint(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A hospital's name, as people write it, or an id.")],
    vendor: Vendor = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, help="Most hits.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Endpoints whose name fits, best first. Exits with 6 when none does."""
    from service.cli import output, render
    from service.directory import DirectoryError, hit_row

    try:
        hits = _directory().find(name, vendor, limit)
    except DirectoryError as error:
        raise _in_words(error) from None
    if not hits:
        raise output.CommandError("unknown_endpoint", "no endpoint fits that name", document={"endpoints": []})
    rows = [hit_row(hit) for hit in hits]
    if as_json:
        output.emit({"endpoints": rows})
        return
    _print(output.stdout(), rows, render)


@directory.command("site")
def site(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A hospital's name, or the id that `find` shows.")],
    vendor: Vendor = "",
    client_id: Annotated[str, typer.Option("--client-id", help="What the vendor's registration gave you.")] = "",
    as_json: AsJson = False,
) -> None:
    """Print the site file of a hospital. Exits with 6 when several fit, and shows them."""
    from service.cli import output
    from service.directory import DirectoryError, hit_row

    try:
        hit, text = _directory().site_file(name, vendor, client_id)
    except DirectoryError as error:
        raise _in_words(error) from None
    if as_json:
        output.emit({"endpoint": hit_row(hit), "site_file": text})
        return
    output.stdout().print(text, markup=False, soft_wrap=True, end="")


@directory.command("list")
def lists(as_json: AsJson = False) -> None:
    """The imported lists, with their dates."""
    from service.cli import output, render
    from service.directory import DirectoryError, list_row

    try:
        rows = [list_row(found) for found in _directory().lists()]
    except DirectoryError as error:
        raise _in_words(error) from None
    if as_json:
        output.emit({"lists": rows})
        return
    made = render.table(f"Endpoint lists ({len(rows)})", "list", "published", "imported", "endpoints")
    for row in rows:
        render.row(made, row["name"], row["published"][:10], row["imported"], row["endpoints"])
    output.stdout().print(made)


def _directory() -> Any:
    from service.directory import Directory
    from service.settings import Settings

    return Directory(Settings().home)


def _read(file: Path, max_mb: int) -> bytes:
    from service.cli.output import CommandError

    try:
        if file.stat().st_size > max_mb * 1_000_000:
            raise CommandError("too_large", f"{file} is larger than {max_mb} MB", file=str(file))
        data = file.read_bytes()
    except FileNotFoundError:
        raise CommandError("file_not_found", f"no such file: {file}", file=str(file)) from None
    except OSError:
        raise CommandError("file_unreadable", f"{file} cannot be read", file=str(file)) from None
    if not data.strip():
        raise CommandError("empty_file", f"{file} is empty", file=str(file))
    return data


def _in_words(error: Any) -> Exception:
    from service.cli.output import CommandError
    from service.directory import hit_row

    rows = [hit_row(hit) for hit in error.hits]
    words = str(error)
    if rows:
        shown = "; ".join(
            f"{r['id']} {r['name']} ({r['product'] or r['vendor']} {r['fhir_version']})" for r in rows[:10]
        )
        words = f"{words}: {shown}"
    return CommandError(error.code, words, document={"endpoints": rows} if rows else None)


def _print(console: Any, rows: list[dict[str, Any]], render: Any) -> None:
    made = render.table(f"Endpoints ({len(rows)})", "id", "name", "place", "vendor", "FHIR", "base", "list")
    for row in rows:
        newest = row["lists"][0] if row["lists"] else {"name": "", "date": ""}
        render.row(
            made,
            row["id"],
            row["name"],
            ", ".join(p for p in (row["city"], row["state"]) if p),
            row["product"] or row["vendor"],
            row["fhir_version"],
            row["fhir_base"],
            f"{newest['name']} {newest['date']}",
        )
    console.print(made)


def register(app: typer.Typer) -> None:
    """Add the commands of this room."""
    app.add_typer(directory, name="directory")

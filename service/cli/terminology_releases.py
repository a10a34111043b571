"""`terminology import`, `list`, `update`, `diff`: the official releases of this installation. They hold no PHI."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.file_commands import AsJson

Source = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="The release as published: zip, folder or files of one release.")
]
System = Annotated[
    str,
    typer.Option(
        "--system",
        help="loinc, rxnorm, snomed, icd-10-cm, icd9-gem, cvx, ccsr, valueset, conceptmap; else the files tell.",
    ),
]
VersionName = Annotated[str, typer.Option("--version", help="Its version, where neither names nor files tell.")]
Effective = Annotated[str, typer.Option("--effective", metavar="DAY", help="First day in force, YYYY-MM-DD.")]
Codes = Annotated[
    list[Path] | None,
    typer.Option(
        "--codes", metavar="FILE", help="Codes in use: FHIR files, or a CSV with system and code. May be repeated."
    ),
]
MOST_SHOWN = 40
MAX_BYTES = 200_000_000


def import_release(
    files: Source, system: System = "", version: VersionName = "", effective: Effective = "", as_json: AsJson = False
) -> None:
    """Take a release in. The first of its kind is in force at once; `update` compares a newer one and puts it in force."""
    from service.cli import output

    with _in_words():
        shelf = _shelf()
        taken = _take(shelf, files, system, version, effective)
        done = []
        for item in taken:
            others = shelf.versions(item.manifest.kind, item.manifest.subject)
            first = all(o.in_force is None for o in others if o.manifest.subject == item.manifest.subject)
            done.append(shelf.put_in_force(item, effective) if first else item)
    rows = [_row(item) for item in done]
    if as_json:
        output.emit({"releases": rows})
        return
    _table("Imported", rows)
    for row in rows:
        if row["in_force_from"] is None:
            output.stdout().print(f"kept, not in force: chartbrief terminology update {row['name']}", markup=False)


def list_releases(as_json: AsJson = False) -> None:
    """The imported releases: their versions, effective dates, counts, licences."""
    from service.cli import output

    with _in_words():
        rows = [_row(v) for v in _shelf().versions()]
    if as_json:
        output.emit({"releases": rows})
        return
    _table("Releases", rows)


def diff_releases(
    old: Annotated[
        str, typer.Argument(metavar="OLD", help="A version, e.g. loinc@2.80; without @version the one in force.")
    ],
    new: Annotated[str, typer.Argument(metavar="NEW", help="A version of the same release.")],
    in_use: Annotated[bool, typer.Option("--in-use", help="Only codes that the tenant's stored charts hold.")] = False,
    codes: Codes = None,
    as_json: AsJson = False,
) -> None:
    """What NEW changes: added, deprecated, renamed, replaced. Of all codes, or of those in use."""
    from service.cli import output
    from service.terminology_releases import compared

    with _in_words():
        shelf = _shelf()
        left, right = shelf.version(old), shelf.version(new)
        found = compared(shelf, left, right, _codes_in_use(in_use, codes))
    if as_json:
        output.emit(found.to_dict())
        return
    _report(found)


def update_release(
    source: Annotated[
        list[str], typer.Argument(metavar="FILE...|NAME", help="A newer release, or the name of one that was imported.")
    ],
    system: System = "",
    version: VersionName = "",
    effective: Effective = "",
    all_codes: Annotated[bool, typer.Option("--all-codes", help="Report all changes; do not open the store.")] = False,
    codes: Codes = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Put it in force; without it the changes are only reported.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare a newer release with the one in force, report what changes for the codes in use; with --yes put it in force."""
    from service.cli import output
    from service.terminology_releases import before, compared

    with _in_words():
        shelf = _shelf()
        named = len(source) == 1 and not Path(source[0]).exists() and any(mark in source[0] for mark in ("@", "|", ":"))
        news = (
            [shelf.version(source[0])] if named else _take(shelf, [Path(s) for s in source], system, version, effective)
        )
        pairs = [(before(shelf, new, effective), new) for new in news]
        used = _codes_in_use(not all_codes and not codes and any(old for old, _ in pairs), codes)
        reports = [(compared(shelf, old, new, used) if old else None, new) for old, new in pairs]
        if not as_json:
            for found, new in reports:
                _report(found) if found else output.stdout().print(
                    f"{new.manifest.name}: the first of its kind", markup=False
                )
        done = [shelf.put_in_force(new, effective) if yes else new for _, new in reports]
    rows = [_row(item) for item in done]
    if as_json:
        told = [found.to_dict() if found else None for found, _ in reports]
        output.emit({"applied": yes, "reports": told, "releases": rows})
        return
    for row in rows:
        words = f"in force from {row['in_force_from']}" if yes else "nothing was changed; --yes puts it in force"
        output.stdout().print(f"{row['name']}: {words}", markup=False)


def ask_rxnav(codes: Codes = None, as_json: AsJson = False) -> None:
    """Ask RxNav for the drug codes (NDC) in use that no import knows, and keep the answers. Only codes leave this machine."""
    import asyncio
    from datetime import UTC, datetime

    from adapters.errors import ConfigurationError
    from service import terminology_releases as room
    from service.cli import output

    settings = _settings()
    if settings.rxnav_url is None:
        raise output.CommandError("refused", "CHARTBRIEF_RXNAV_URL is not set: RxNav is not asked")
    today = datetime.now(UTC).date().isoformat()
    with _in_words():
        due, used = room.ndcs_to_ask(settings.home, _codes_in_use(not codes, codes) or {}, today, settings.rxnav_days)
        try:
            answers, failed = asyncio.run(room.ask_rxnav(settings.home, settings.rxnav_url, due, today))
        except ConfigurationError as error:
            raise output.CommandError("configuration", f"CHARTBRIEF_RXNAV_URL: {error}", reason=error.code) from None
    told = {
        "in_use": used,
        "asked": len(due),
        "found": sum(bool(a.rxcui) for a in answers),
        "not_in_rxnorm": sum(not a.rxcui for a in answers),
        "failed": failed,
    }
    if failed:
        raise output.CommandError("unavailable", f"{failed} of {len(due)} codes could not be asked", document=told)
    if as_json:
        output.emit(told)
        return
    output.stdout().print(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in told.items()), markup=False)


@contextmanager
def _in_words() -> Iterator[None]:
    from models.terminology.releases.base import ReleaseError
    from service.cli.output import CommandError

    try:
        yield
    except ReleaseError as error:
        own = {"unknown_release", "version_exists", "file_not_found", "file_unreadable", "invalid_date", "usage"}
        code = error.code if error.code in own else "usage" if error.code == "version_needed" else "invalid_release"
        raise CommandError(code, str(error), reason=error.code) from None
    except OSError as error:
        raise CommandError("file_unreadable", f"the release or its index: {error.strerror}") from None


def _shelf() -> Any:
    from service.terminology_releases import shelf

    return shelf(_settings().home)


def _settings() -> Any:
    from pydantic import ValidationError

    from service.cli.output import CommandError
    from service.settings import Settings

    try:
        return Settings()
    except ValidationError as error:
        wrong = ", ".join(sorted({f"{e['loc'][0]} ({e['type']})" for e in error.errors()}))
        raise CommandError("configuration", f"settings (CHARTBRIEF_*) are not valid: {wrong}") from None


def _row(version: Any) -> dict[str, Any]:
    from service.terminology_releases import row_of

    return row_of(version)


def _take(shelf: Any, files: list[Path], system: str, version: str, effective: str) -> Any:
    from models.terminology.releases.base import LICENCE
    from service.cli.output import CommandError
    from service.cli.running import working

    if system and system not in LICENCE:
        raise CommandError("usage", f"--system must be one of {', '.join(LICENCE)}")
    with working("Reading the release ..."):
        return shelf.take(files, kind=system, version=version, effective=effective)


def _codes_in_use(stored: bool, files: list[Path] | None) -> dict[tuple[str, str], int] | None:
    """Codes of the tenant's charts, or of files; None: nobody asked."""
    from service.cli import files as room
    from service.terminology_releases import codes_of, codes_of_csv

    if files:
        total: dict[tuple[str, str], int] = {}
        for path in files:
            if path.suffix.lower() == ".csv":
                found = codes_of_csv(_read(path), path.name)
            else:
                loaded = room.load([path], instant=room.instant(None), max_bytes=MAX_BYTES)
                found = codes_of(room.normalize(loaded, None).entries)
            for key, count in found.items():
                total[key] = total.get(key, 0) + count
        return total
    if not stored:
        return None
    from service.cli.running import opened

    with opened("terminology codes in use") as session:
        return session.services.store.codes_in_use(session.tenant)


def _read(path: Path) -> bytes:
    from service.cli.output import CommandError

    try:
        if path.stat().st_size > MAX_BYTES:
            raise CommandError("too_large", f"{path}: more than {MAX_BYTES // 1_000_000} MB")
        return path.read_bytes()
    except FileNotFoundError:
        raise CommandError("file_not_found", f"no such file: {path}") from None


def _table(title: str, rows: list[dict[str, Any]]) -> None:
    from service.cli import output, render

    made = render.table(f"{title} ({len(rows)})", "release", "effective", "in force", ">codes", "files", "licence")
    for row in rows:
        counts = row.get("counts", {})
        files = ", ".join(f["name"] for f in row.get("files", ()))
        size = counts.get("concepts", 0) or counts.get("members", 0) or counts.get("link:row", 0)
        render.row(made, row["name"], row["effective_from"], row["in_force_from"] or "no", size, files, row["licence"])
    output.stdout().print(made)


def _report(found: Any) -> None:
    from service.cli import output, render

    console = output.stdout()
    sums = ", ".join(f"{count} {what}" for what, count in found.counts.items()) or "nothing"
    console.print(f"{found.old} -> {found.new}: {sums}", markup=False)
    if found.in_use is not None:
        console.print(f"{found.in_use} codes in use, {len(found.changes)} changes among them", markup=False)
    made = render.table(
        f"Changes ({len(found.changes)})", "what", "code", ">in use", "name", "before", "now", "instead"
    )
    for change in found.changes[:MOST_SHOWN]:
        instead = ", ".join(change.replaced_by)
        times = change.in_use or ""
        render.row(made, change.what, change.code, times, change.display, change.before, change.after, instead)
    if found.changes:
        console.print(made)
    if len(found.changes) > MOST_SHOWN:
        console.print(f"... and {len(found.changes) - MOST_SHOWN} more (--json lists all)")
    if found.unknown:
        console.print(f"in use and unknown to {found.new}: {', '.join(found.unknown[:MOST_SHOWN])}", markup=False)


def register(group: typer.Typer) -> None:
    """Add the commands to the group `terminology`."""
    group.command("import")(import_release)
    group.command("list")(list_releases)
    group.command("diff")(diff_releases)
    group.command("update")(update_release)
    group.command("rxnav")(ask_rxnav)


def use_imported() -> None:
    """Read by the imported releases from here on; a damaged one is an error in words."""
    from service.terminology_releases import use_imported

    with _in_words():
        use_imported(_settings().home)

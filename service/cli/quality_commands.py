"""`quality`: how good the data of files, of a site or of a patient is, and what changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.file_commands import DEFAULT_MAX_MB, AsJson, AsOf, MaxMegabytes

if TYPE_CHECKING:
    from models.quality import QualityReport, Trend

MOST_FINDINGS = 15
PREVIOUS = "previous"
LOOK_SECONDS = 0.5
"""Between two looks at how far a run is."""


def quality(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE...", help="Bundles, NDJSON, C-CDA or folders; without them, what is stored."),
    ] = None,
    site: Annotated[str | None, typer.Option("--site", metavar="S", help="All stored patients of this site.")] = None,
    patient: Annotated[
        str | None, typer.Option("--patient", metavar="ID", help="One patient (in the files, or stored). PHI.")
    ] = None,
    before: Annotated[
        str | None,
        typer.Option(
            "--compare", metavar="OLD", help="An earlier report (JSON), or `previous`: the last kept one of the site."
        ),
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="OUT", help="Write the report as a page.")] = None,
    whole: Annotated[
        bool,
        typer.Option(
            "--whole", help="The files are all that the source has: what they do not hold is empty, not unknown."
        ),
    ] = False,
    as_of: AsOf = None,
    max_mb: MaxMegabytes = DEFAULT_MAX_MB,
    as_json: AsJson = False,
) -> None:
    """Measure the quality of data, what to fix first. Exits with 8 where something that was there is not any more."""
    from models.quality import QualityReport, alerts
    from service.cli import files as room
    from service.cli import output
    from service.cli import quality_files as kept

    if (not files and not site and not patient) or (site and (files or patient)):
        raise output.CommandError("usage", "give files, or --site S, or --patient ID of a stored patient")
    if before == PREVIOUS and not site:
        raise output.CommandError("usage", "--compare previous goes with --site; for files name the earlier report")
    old = kept.read(Path(before)) if before and before != PREVIOUS else None
    if files:
        loaded = room.load(files, instant=room.instant(as_of), max_bytes=max_mb * 1_000_000)
        report = kept.of_files(loaded, patient, whole=whole)
    else:
        report, last = _stored(site, patient, as_of)
        if before == PREVIOUS:
            old = QualityReport.from_dict(last) if last else None
    changed = kept.trend(old, report) if old else None
    found = changed.alerts if changed else alerts(report)
    if html:
        kept.write_page(html, report, changed)
    document = kept.document(report, changed, [a.to_dict() for a in found])
    if not as_json:
        _show(report, changed)
        if html:
            output.stdout().print(f"Written: {html}", markup=False, soft_wrap=True)
    if found:
        words = "; ".join(a.words for a in found)
        raise output.CommandError("quality_alerts", words, document=document)
    if as_json:
        output.emit(document)


def _stored(site: str | None, patient: str | None, as_of: str | None) -> tuple[QualityReport, dict[str, object] | None]:
    """The report of what is stored, and of a site the one kept before it. A site's report is kept; its run goes on at the
    next start where this process is killed."""
    from service.cli import files as room
    from service.cli.output import CommandError
    from service.cli.running import actor, opened

    now = room.instant(as_of)
    if patient:
        with opened("quality", patient) as store:
            return store.services.patient_quality(store.tenant, patient, now), None
    assert site is not None
    with opened("quality", runtime=True) as store:
        last = store.services.last_quality(store.tenant, site)
        run = store.services.measure_site(store.tenant, site, actor(), now)
        with _bar(run["total"]) as tell:
            while run["finished"] is None:
                run = store.services.quality_run(store.tenant, site, run["run_id"], LOOK_SECONDS)
                tell(run["patients"])
        if run["state"] != "done":
            raise CommandError("internal", f"the run ended early: {run['error']}", run_id=run["run_id"])
        return store.services.site_quality(store.tenant, site, run["report_id"]), last


@contextmanager
def _bar(total: int) -> Iterator[Callable[[int], None]]:
    """A bar of patients measured; draws on a terminal only."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from service.cli.output import stderr

    console = stderr()
    columns = (TextColumn("Measuring patients"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bars:
        task = bars.add_task("", total=total)
        yield lambda done: bars.update(task, completed=done)


def _show(report: QualityReport, changed: Trend | None) -> None:
    from service.cli import output, render

    console = output.stdout()
    console.print(
        f"Quality of {report.scope} {report.name}, {report.patients} patients, {report.made}, {report.us_core}",
        markup=False,
    )
    made = render.table("What to fix first", "severity", "finding", "affected", "of", "share")
    styles = {"high": "red", "medium": "yellow", "low": "dim"}
    for f in report.findings[:MOST_FINDINGS]:
        cells = (f.severity, f.title, f.affected, f"{f.of} {f.unit}", _percent(f.share))
        render.row(made, *cells, style=styles[f.severity])
    console.print(made)
    if len(report.findings) > MOST_FINDINGS:
        console.print(f"... and {len(report.findings) - MOST_FINDINGS} more (--json and --html list all)")
    table = render.table(
        "Coding", "section", "standard", "table", "words", "local", "words only", "nothing", "of", "share"
    )
    for c in report.coding:
        counts = (c.standard, c.map_table, c.text_match, c.local_code, c.words_only, c.nothing)
        render.row(table, c.section, *counts, c.of, _percent(c.standard_share))
    console.print(table)
    if changed:
        table = render.table(f"Since {changed.before}", "direction", "what", "before", "after")
        for change in changed.changes[:MOST_FINDINGS]:
            render.row(table, change.direction, change.what, _percent(change.before), _percent(change.after))
        console.print(table)


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{share:.1%}"


def register(app: typer.Typer) -> None:
    """Add the commands of this room."""
    app.command()(quality)

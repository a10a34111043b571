"""Site reports on the command line: written to a folder, shown as tables, compared."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from adapters.conformance import ConformanceReport, Difference, read_report
from adapters.conformance.report import Latency, TypeFound
from adapters.errors import ConfigurationError
from service.cli import render
from service.cli.output import CommandError, stdout
from service.page.report import report_page
from service.reports import with_earlier, with_profile
from service.store.dated import report_id_of

PROFILE = "profile"
FHIR_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
SEVERITY_STYLE = {"breaks": "red", "degrades": "yellow", "info": "dim"}


def check_id(patient: str) -> None:
    """Refuse what cannot be an id at a FHIR server; it is not repeated."""
    if not FHIR_ID.fullmatch(patient):
        raise CommandError("invalid_request", "--patient is no FHIR id (letters, digits, '-' and '.', 64 at most)")


def report_in(found: dict[str, Any]) -> ConformanceReport | None:
    """The report in the answer to a check; None where the site could not even be opened as configured."""
    return ConformanceReport.model_validate(found["conformance"]) if "conformance" in found else None


def write(report: ConformanceReport, folder: Path) -> list[str]:
    """Write NAME-DATE.json and .html; returns their paths. The page is made from what the JSON says, nothing else."""
    stem = f"{report.site}-{report_id_of(report.checked_at)}"
    content = report.model_dump_json(indent=2) + "\n"
    pages = {"json": content, "html": report_page(ConformanceReport.model_validate_json(content))}
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for kind, text in pages.items():
            file = folder / f"{stem}.{kind}"
            file.write_text(text, encoding="utf-8")
            written.append(str(file))
    except OSError as error:
        raise CommandError(
            "file_unreadable", f"the report cannot be written: {error.strerror}", file=str(folder)
        ) from None
    return written


def show(report: ConformanceReport, files: list[str]) -> None:
    """A report for people."""
    console = stdout()
    made = render.table(f"Site {report.site}", "what", "answer")
    render.row(made, "state", report.state)
    render.row(made, "software", report.software or "not said")
    render.row(made, "FHIR", report.fhir_version or "not said")
    render.row(made, "scopes refused", ", ".join(report.refused()) or "none")
    render.row(made, "not declared", ", ".join(report.missing()) or "none")
    render.row(made, "offered, not read", ", ".join(report.not_read) or "none")
    took = f"{report.requests} requests in {report.seconds} s"
    render.row(made, "probes", f"live, {took}" if report.probed else report.not_probed_because)
    if report.deadline_passed:
        render.row(made, "deadline", "passed: what did not answer in time is told as failed", style="red")
    for line in report.attention():
        render.row(made, "look at", line, style="yellow")
    for window in report.upgrades:
        render.row(made, "upgrades", f"{window.next_month or 'no months published'}: {window.upgrade.note}")
    console.print(made)
    table = render.table("Types", "type", "known", "state", ">p50/p95/p99 ms", "codes", "remarks")
    for kind, found in report.types.items():
        style = render.STATE_STYLE.get(found.state)
        codes = found.coding.words() if found.coding else ""
        render.row(table, kind, found.evidence, found.state, _times(found.latency), codes, remarks(found), style=style)
    console.print(table)
    for file in files:
        console.print(f"Written: {file}", markup=False, soft_wrap=True)


def _times(latency: Latency | None) -> str:
    return f"{latency.p50}/{latency.p95}/{latency.p99}" if latency else ""


def remarks(found: TypeFound) -> str:
    """Why, which parameters do not work, what the site remarks."""
    parts = [found.reason] if found.reason else []
    parts += [f"{name} {p.live}" for name, p in found.params.items() if p.live in ("ignored", "refused")]
    parts += [f"{name} not declared" for name, p in found.params.items() if p.declared is False]
    parts += [f"quarantined: {reason} {count}" for reason, count in found.quarantined.items()]
    if found.paging and found.paging.trouble:
        parts.append(f"paging: {found.paging.trouble}")
    return "; ".join(parts)


def diff(before: str, after: Path) -> tuple[dict[str, Any], list[Difference]]:
    """The differences, and the document that holds them."""
    try:
        new = read_report(after)
        if before == PROFILE:
            return with_profile(new)
        old = read_report(Path(before))
    except ConfigurationError as error:
        raise CommandError(
            error.code if error.code in ("file_not_found", "not_a_report") else "configuration", str(error)
        ) from None
    if old.site != new.site:
        raise CommandError("usage", f"two different sites: {old.site} and {new.site}")
    return with_earlier(old, new)


def show_differences(document: dict[str, Any], differences: list[Difference]) -> None:
    """Differences for people."""
    console = stdout()
    title = f"{document['before']} -> {document['after']}"
    if not differences:
        console.print(f"No differences: {title}", markup=False)
    else:
        made = render.table(title, "severity", "what", "where", "before", "after")
        for d in differences:
            render.row(made, d.severity, d.code, d.where, d.before, d.after, style=SEVERITY_STYLE[d.severity])
        console.print(made)
    for window in document["upgrades"]:
        when = window["next_month"] or "no months published"
        console.print(f"Upgrades ({when}): {window['upgrade']['note']}", markup=False, soft_wrap=True)

"""The quality report of files, and reports as files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from adapters.normalizer import assemble, coverage_from_entries
from models.quality import NotComparable, QualityReport, Tally, Trend, account, compare, make_report, measure
from models.record import Coverage
from service.cli.files import by_patient, sites_of
from service.cli.loaded import SITE, TENANT, Loaded
from service.cli.output import CommandError
from service.page.quality import quality_page
from service.quality import raw_of

WHOLE = "the files were said to hold all there is"


def of_files(loaded: Loaded, patient: str | None = None, *, whole: bool = False) -> QualityReport:
    """The report of all patients of the files together, or of one with the entries behind its findings.

    `whole`: the files are all that the source has, so that a section they do not hold is empty; otherwise nobody was asked
    for it, and it is unknown.
    """
    resources, normalized, parts = by_patient(loaded, patient)
    raw, tally, examples = raw_of(resources), Tally(), dict[str, tuple[str, ...]]()
    told = normalized.coverage if len(parts) == 1 else ()  # what a document says of its sections is said of its patient
    torn = coverage_from_entries((), (SITE,), quarantine=normalized.quarantine)  # it may be anybody's
    unread = {line.section for line in torn if line.state == "failed"}
    for pid, part in parts.items():
        coverage = coverage_from_entries(part, sites_of(part), told=told)
        if whole:
            coverage = tuple(line if line.section in unread else _as_empty(line) for line in coverage)
        measured = measure(assemble(TENANT, pid, part, coverage, as_of=loaded.instant), raw=raw)
        tally.merge(measured.tally)
        examples = measured.examples
    tally.merge(account(normalized.ledger, normalized.quarantine))
    if patient is not None:
        name = patient.removeprefix("Patient/")
        return make_report(tally, scope="patient", name=name, made=loaded.instant, examples=examples)
    return make_report(tally, scope="files", name="files", made=loaded.instant)


def _as_empty(line: Coverage) -> Coverage:
    return msgspec.structs.replace(line, state="empty", reason=WHOLE) if line.state == "not_queried" else line


def read(path: Path) -> QualityReport:
    """A report that `chartbrief quality --json` printed."""
    try:
        data = msgspec.json.decode(path.read_bytes())
    except FileNotFoundError:
        raise CommandError("file_not_found", f"no such file: {path}", file=str(path)) from None
    except OSError as error:
        raise CommandError("file_unreadable", f"cannot read {path}: {error.strerror}", file=str(path)) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise CommandError("not_a_report", f"not JSON: {path}", file=str(path)) from None
    try:
        return QualityReport.from_dict(data["report"] if isinstance(data, dict) and "report" in data else data)
    except msgspec.ValidationError:
        raise CommandError("not_a_report", f"no quality report of this version: {path}", file=str(path)) from None


def trend(before: QualityReport, after: QualityReport) -> Trend:
    """What changed; refuses reports of different things."""
    try:
        return compare(before, after)
    except NotComparable as error:
        raise CommandError("not_comparable", str(error)) from None


def write_page(path: Path, report: QualityReport, changed: Trend | None) -> None:
    """The report as a page. A patient's is for its owner's eyes only."""
    mode = 0o600 if report.scope == "patient" else 0o644
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as out:
            out.write(quality_page(report, changed))
    except OSError as error:
        raise CommandError("file_unreadable", f"the page cannot be written: {error.strerror}", file=str(path)) from None


def document(report: QualityReport, changed: Trend | None, alerts: list[dict[str, Any]]) -> dict[str, Any]:
    """What `--json` prints, and what `--compare` reads."""
    return {"report": report.to_dict(), "trend": changed.to_dict() if changed else None, "alerts": alerts}

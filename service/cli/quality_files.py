"""The quality report of files, and reports as files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from adapters.normalizer import assemble, coverage_from_entries
from models.quality import NotComparable, QualityReport, Tally, Trend, account, compare, make_report, measure
from models.record import Coverage, Rejected
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
    torn, nobodys = _whose(normalized.quarantine, parts)
    for pid, part in parts.items():
        coverage = coverage_from_entries(part, sites_of(part), quarantine=torn[pid], told=told)
        if whole:
            coverage = tuple(_as_empty(line) for line in coverage)
        measured = measure(assemble(TENANT, pid, part, coverage, as_of=loaded.instant), raw=raw)
        tally.merge(measured.tally)
        examples = measured.examples
    for line in coverage_from_entries((), (SITE,), quarantine=nobodys):
        if line.quarantined:
            tally.add("section_resources", line.section, "quarantined", count=line.quarantined)
    tally.merge(account(normalized.ledger, normalized.quarantine))
    if patient is not None:
        name = patient.removeprefix("Patient/")
        return make_report(tally, scope="patient", name=name, made=loaded.instant, examples=examples)
    return make_report(tally, scope="files", name="files", made=loaded.instant)


def _whose(quarantine: Iterable[Rejected], patients: Iterable[str]) -> tuple[dict[str, list[Rejected]], list[Rejected]]:
    """What could not be read, by the one patient it speaks of, and what speaks of nobody known. Of one patient's files all
    is theirs; of many patients' one torn line does not make the section unknown for all: it is counted in the section."""
    found: dict[str, list[Rejected]] = {pid: [] for pid in patients}
    nobodys: list[Rejected] = []
    for item in quarantine:
        named = {m.decode() for m in _PATIENT.findall(item.content)}
        may_be = found.keys() & named if named else found.keys()
        owner = next(iter(may_be)) if len(may_be) == 1 else None
        (nobodys if owner is None else found[owner]).append(item)
    return found, nobodys


_PATIENT = re.compile(rb"Patient/([A-Za-z0-9.-]{1,64})")


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

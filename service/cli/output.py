"""What every command says and how: one JSON document on stdout, everything else on stderr, stable exit codes.

  0  done
  1  a defect of Chartbrief itself (a traceback is printed, without the values that were being worked on)
  2  usage: an unknown option, purpose, budget, date
  3  bad input: a file that is missing, empty, too large, or holds nothing readable
  4  the budget is too small for the facts that must be included
  5  unavailable: the database, a site or the network cannot be reached now
  6  not found or ambiguous: no such patient or site, several patients and none chosen
  7  refused: by configuration, by access rules or by a site
  8  differences that break something (`site diff`), data that is not there any more (`quality`)
130  interrupted
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

OK, DEFECT, USAGE, BAD_INPUT, BUDGET_TOO_SMALL, UNAVAILABLE, NOT_FOUND, REFUSED, BREAKING, INTERRUPTED = (
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    130,
)

EXIT_OF_CODE: dict[str, int] = {
    "internal": DEFECT,
    "usage": USAGE,
    "invalid_request": USAGE,
    "unknown_purpose": USAGE,
    "invalid_budget": USAGE,
    "invalid_date": USAGE,
    "question_required": USAGE,
    "patient_required": USAGE,
    "invalid_role": USAGE,
    "file_not_found": BAD_INPUT,
    "file_unreadable": BAD_INPUT,
    "empty_file": BAD_INPUT,
    "empty_directory": BAD_INPUT,
    "too_large": BAD_INPUT,
    "not_gzip": BAD_INPUT,
    "not_json": BAD_INPUT,
    "not_a_report": BAD_INPUT,
    "no_resources": BAD_INPUT,
    "not_a_table": BAD_INPUT,
    "missing_columns": BAD_INPUT,
    "same_file": USAGE,
    "invalid_site_file": BAD_INPUT,
    "not_an_endpoint_list": BAD_INPUT,
    "invalid_table": BAD_INPUT,
    "invalid_release": BAD_INPUT,
    "directory_damaged": BAD_INPUT,
    "unknown_vendor": USAGE,
    "configuration": BAD_INPUT,
    "budget_too_small": BUDGET_TOO_SMALL,
    "unavailable": UNAVAILABLE,
    "audit_unavailable": UNAVAILABLE,
    "interrupted": INTERRUPTED,
    "unknown_patient": NOT_FOUND,
    "several_patients": NOT_FOUND,
    "patients_differ": NOT_FOUND,
    "unknown_site": NOT_FOUND,
    "unknown_endpoint": NOT_FOUND,
    "several_endpoints": NOT_FOUND,
    "no_lists": NOT_FOUND,
    "unknown_release": NOT_FOUND,
    "unknown_key": NOT_FOUND,
    "unknown_resource": NOT_FOUND,
    "unknown_run": NOT_FOUND,
    "unknown_code": NOT_FOUND,
    "unknown_pair": NOT_FOUND,
    "version_exists": REFUSED,
    "conflict": REFUSED,
    "site_refused": REFUSED,
    "authorization_refused": REFUSED,
    "invalid_target": USAGE,
    "invalid_write": BAD_INPUT,
    "write_refused": REFUSED,
    "write_failed": UNAVAILABLE,
    "write_unknown": UNAVAILABLE,
    "refused": REFUSED,
    "not_comparable": USAGE,
    "quality_alerts": BREAKING,
    "breaking_differences": BREAKING,
}
"""Every error code a command can answer with, and the exit code it ends with."""


class CommandError(Exception):
    """A command cannot do what was asked. `document` goes beside the error on stdout (what was understood so far)."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        document: dict[str, Any] | None = None,
        exit_code: int | None = None,
        **more: Any,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.more = more
        self.document = document or {}
        self.exit_code = EXIT_OF_CODE[code] if exit_code is None else exit_code

    def to_dict(self) -> dict[str, Any]:
        """`{"error": {"code", "message", ...}}`."""
        return {"error": {"code": self.code, "message": self.message, **self.more}}


def wants_json(argv: list[str]) -> bool:
    """Whether the caller asked for JSON: known before the options are parsed, so that usage errors obey it too."""
    return "--json" in argv


def emit(document: Any) -> None:
    """Exactly one JSON document on stdout."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None) + "\n")
    sys.stdout.flush()


def emit_error(error: CommandError, as_json: bool) -> None:
    """The error on stderr (words on a terminal, JSON for programs), and on stdout where JSON was asked for."""
    document = error.to_dict()
    if sys.stderr.isatty() and not as_json:
        console = stderr()
        console.print(f"[bold red]{error.code}[/bold red]: ", end="")
        console.print(error.message, markup=False, highlight=False)
        for name, value in error.more.items():
            console.print(f"  {name}: {value}", markup=False, highlight=False, style="dim")
    else:
        sys.stderr.write(json.dumps(document, ensure_ascii=False) + "\n")
    if as_json:
        emit(document | error.document)


def warn(warnings: Iterable[dict[str, Any]]) -> None:
    """Warnings on stderr, one a line: words on a terminal, JSON for programs."""
    for warning in warnings:
        if sys.stderr.isatty():
            stderr().print(f"warning: {warning['message']}", markup=False, style="yellow")
        else:
            sys.stderr.write(json.dumps({"warning": warning}, ensure_ascii=False) + "\n")


def stdout() -> Console:
    """Console for people. Rich decides on colours; a pipe gets plain text as wide as it likes."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def stderr() -> Console:
    """Console for progress and errors."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)

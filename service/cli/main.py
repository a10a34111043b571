"""`chartbrief`: the commands, and the one place where their errors become exit codes (see output.py)."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from service.cli import (
    directory_commands,
    file_commands,
    identity_commands,
    key_commands,
    patient_commands,
    practice_commands,
    quality_commands,
    record_commands,
    renormalize_commands,
    service_commands,
    site_commands,
    terminology_commands,
    write_commands,
)
from service.cli.output import DEFECT, INTERRUPTED, USAGE, CommandError, emit_error, wants_json

app = typer.Typer(
    name="chartbrief",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # rich's tracebacks print local variables: patients' data
    context_settings={"help_option_names": ["-h", "--help"]},
    help="EHR records in, a small, cited, honest context out.",
    epilog="Exit codes: 0 ok, 2 usage, 3 bad input, 4 budget too small, 5 unavailable, 6 not found or ambiguous, "
    "7 refused, 8 breaking differences.",
)
for room in (
    file_commands,
    record_commands,
    patient_commands,
    site_commands,
    service_commands,
    key_commands,
    practice_commands,
    directory_commands,
    write_commands,
    terminology_commands,
    renormalize_commands,
    identity_commands,
    quality_commands,
):
    room.register(app)


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        sys.stdout.write(version("chartbrief") + "\n")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Nothing to do before a command."""


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    as_json = wants_json(arguments)
    try:
        result = app(args=arguments, prog_name="chartbrief", standalone_mode=False)
    except CommandError as error:
        emit_error(error, as_json)
        return error.exit_code
    except TyperException as error:
        return _usage(error, as_json)
    except (KeyboardInterrupt, typer.Abort):
        emit_error(CommandError("interrupted", "interrupted"), as_json)
        return INTERRUPTED
    except BrokenPipeError:  # `chartbrief ... | head`
        sys.stderr.close()
        return 0
    except Exception as error:  # noqa: BLE001  the message may quote a record; where it happened does not
        return _defect(error, as_json)
    return result if isinstance(result, int) else 0


def _defect(error: Exception, as_json: bool) -> int:
    """A defect of Chartbrief: the way to it, without the message and the values."""
    import traceback

    sys.stderr.writelines(traceback.format_tb(error.__traceback__))
    emit_error(CommandError("internal", "a defect of Chartbrief", error=type(error).__name__), as_json)
    return DEFECT


def _usage(error: TyperException, as_json: bool) -> int:
    """A wrong option or argument; `chartbrief` alone shows the help."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":  # typer has printed the help while it made this error
        return USAGE
    words = getattr(error, "format_message", error.__str__)()
    hint: dict[str, Any] = {"try": f"{context.command_path} --help"} if context else {}
    emit_error(CommandError("usage", words, **hint), as_json)
    return USAGE


if __name__ == "__main__":
    raise SystemExit(main())

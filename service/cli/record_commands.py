"""`context`, `summary`: of a file (no server, no store), or of a stored patient. `chart`, `refresh`: of the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.file_commands import DEFAULT_MAX_MB, AsJson, AsOf, MaxMegabytes
from service.cli.output import CommandError

if TYPE_CHECKING:
    from context_builder.document import ContextDocument, ContextRequest
    from models.record import Chart, Coverage
    from service.cli.running import Opened

Bundle = Annotated[
    list[Path] | None,
    typer.Option("--bundle", metavar="FILE", help="Bundle, NDJSON or folder to read; without it, a stored patient."),
]
PatientOption = Annotated[
    str | None, typer.Option("--patient", metavar="ID", help="Patient id (in the file, or ours).")
]
Budget = Annotated[int, typer.Option("--budget", metavar="N", help="Tokens the text may have at most.")]
DEFAULT_BUDGET = 4000


def context(
    bundle: Bundle = None,
    budget: Budget = DEFAULT_BUDGET,
    purpose: Annotated[
        str,
        typer.Option(
            "--purpose",
            metavar="P",
            help="summary, visit_prep, care_gaps, medication_review, patient_message or question.",
        ),
    ] = "summary",
    model: Annotated[str | None, typer.Option("--model", metavar="M", help="Model id; decides the tokenizer.")] = None,
    question: Annotated[str | None, typer.Option("--question", metavar="TEXT", help="For purpose question.")] = None,
    window_days: Annotated[int | None, typer.Option("--window-days", min=1, help="Only events this far back.")] = None,
    patient: PatientOption = None,
    as_of: AsOf = None,
    max_mb: MaxMegabytes = DEFAULT_MAX_MB,
    as_json: AsJson = False,
) -> None:
    """Build the cited context of a patient, within a hard token budget."""
    from service.cli import output, render

    request = context_request(budget, purpose, model=model, question=question, window_days=window_days)
    if bundle:
        found = _chart(bundle, patient, as_of, max_mb)
        document = _build(found, request.model_copy(update={"as_of": found.as_of if as_of else None}))
    else:
        with _stored("context", patient, as_of) as (store, ours, when):
            asked = request.model_copy(update={"as_of": when})
            document = store.services.context(store.tenant, ours, asked)[1]
    if as_json:
        output.emit(document.model_dump(mode="json"))
    else:
        render.context(document)


def summary(
    bundle: Bundle = None,
    budget: Budget = DEFAULT_BUDGET,
    patient: PatientOption = None,
    as_of: AsOf = None,
    max_mb: MaxMegabytes = DEFAULT_MAX_MB,
    as_json: AsJson = False,
) -> None:
    """Summarize a patient: every sentence cites what it rests on. Of a file always from the record alone."""
    from service.cli import output, render

    request = context_request(budget, "summary")
    if bundle:
        from context_builder import summarize

        found = _chart(bundle, patient, as_of, max_mb)
        document = _build(found, request.model_copy(update={"as_of": found.as_of if as_of else None}))
        written = summarize(document, chart=found)
    else:
        with _stored("summary", patient, as_of) as (store, ours, when):
            asked = request.model_copy(update={"as_of": when})
            _, document, written = store.services.summary(store.tenant, ours, asked)
    if as_json:
        cited = {key for s in written.statements for key in s.cites}
        facts = [f.model_dump(mode="json") for f in document.facts if f.key in cited]
        output.emit(
            written.model_dump(mode="json")
            | {"facts": facts, "patient_id": document.patient_id, "as_of": document.as_of}
        )
    else:
        render.summary(written, document)


def context_request(budget: int, purpose: str, **more: Any) -> ContextRequest:
    """The request, with every refusal worded before anything is read."""
    from typing import get_args

    from pydantic import ValidationError

    from context_builder.document import ContextRequest, Purpose

    purposes = list(get_args(Purpose))
    if purpose not in purposes:
        raise CommandError("unknown_purpose", f"--purpose is one of: {', '.join(purposes)}", purposes=purposes)
    if purpose == "question" and not more.get("question"):
        raise CommandError("question_required", "--purpose question needs --question TEXT")
    if budget <= 0:
        raise CommandError("invalid_budget", "--budget is a positive number of tokens", budget_tokens=budget)
    try:
        return ContextRequest.model_validate({"purpose": purpose, "budget_tokens": budget, **more})
    except ValidationError as error:
        places = sorted({str(e["loc"][0]) for e in error.errors() if e["loc"]})
        code = "invalid_budget" if "budget_tokens" in places else "usage"
        raise CommandError(code, f"out of range: {', '.join(places)}", fields=places) from None


def _build(chart: Chart, request: ContextRequest) -> ContextDocument:
    from context_builder.build import build_context
    from context_builder.document import BudgetTooSmall

    try:
        return build_context(chart, request)
    except BudgetTooSmall as error:
        raise CommandError(
            "budget_too_small",
            f"{error.budget_tokens} tokens given, {error.needed_tokens} needed for the facts that must be included",
            budget_tokens=error.budget_tokens,
            needed_tokens=error.needed_tokens,
        ) from None


def _chart(bundle: list[Path], patient: str | None, as_of: str | None, max_mb: int) -> Chart:
    from service.cli import files, output, persons

    loaded = files.load(bundle, instant=files.instant(as_of), max_bytes=max_mb * 1_000_000)
    found = files.chart_of(loaded, patient)
    output.warn(persons.warnings_of(loaded, patient))
    return found


@contextmanager
def _stored(command: str, patient: str | None, as_of: str | None) -> Iterator[tuple[Opened, str, str | None]]:
    """The open store, a stored patient's id, and the instant to speak for."""
    from service.cli import files
    from service.cli.running import opened

    if patient is None:
        raise CommandError("patient_required", "--bundle FILE, or --patient ID of a stored patient, is needed")
    when = files.instant(as_of) if as_of else None
    with opened(command, patient) as store:
        yield store, patient, when


def chart(
    patient: Annotated[str, typer.Argument(metavar="PATIENT", help="Our id (chartbrief patient list).")],
    as_json: AsJson = False,
) -> None:
    """The stored record of a patient: entries, coverage, conflicts, ledger."""
    from service.cli import output, render

    with _stored("chart", patient, None) as (store, ours, _):
        found = store.services.chart(store.tenant, ours)
    if as_json:
        output.emit(found.to_dict())
    else:
        render.chart(found)


def refresh(
    patient: Annotated[str, typer.Argument(metavar="PATIENT", help="Our id (chartbrief patient list).")],
    site: Annotated[list[str] | None, typer.Option("--site", help="Ask only this site; may be repeated.")] = None,
    wait: Annotated[float, typer.Option("--wait", min=0, max=86_400, help="Seconds to wait for the end.")] = 600,
    as_json: AsJson = False,
) -> None:
    """Read a patient again from the sites that know them."""
    from service.cli import output, render
    from service.cli.running import SectionBars, opened

    with SectionBars() as bars, opened("refresh", patient, runtime=True, progress=bars) as store:
        state = store.services.refresh(store.tenant, patient, site or None, wait_seconds=wait)
        found = store.services.chart(store.tenant, patient)
    if not state.ended:
        raise CommandError(
            "unavailable", "the refresh has not ended; it goes on when the service runs", document=state.model_dump()
        )
    if as_json:
        output.emit(state.model_dump(mode="json"))
        return
    output.stdout().print(f"Patient {patient}: {_read(found.coverage, state.state)}", markup=False)
    render.coverage([c.to_dict() for c in found.coverage])
    render.ledger(found.ledger)


def _read(coverage: Sequence[Coverage], state: str) -> str:
    """How much of it could be read: a refresh that ended is not one that got an answer."""
    unread = sum(c.state not in ("present", "none_asserted", "empty") for c in coverage)
    if not unread:
        return f"{state}, all {len(coverage)} sections read"
    return (
        f"{state}, {unread} of {len(coverage)} sections not read in full or not up to date: "
        "what is missing there is unknown, not absent"
    )


def register(app: typer.Typer) -> None:
    """Add the commands of this room."""
    for command in (context, summary, chart, refresh):
        app.command()(command)

"""A summary that a model writes: asked, verified, completed from the record. It never fails for a fault of the model's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from context_builder.document import (
    ContextDocument,
    ShownStatement,
    Statement,
    Summary,
    SummaryState,
)
from context_builder.prompts.prompt import Prompt, prompt_for
from context_builder.summary import summarize
from context_builder.verify import verify
from models.record.chart import Chart

KINDS = (
    "identity", "allergy", "problem", "medication", "result", "event", "gap", "conflict", "coverage", "finding",
)  # fmt: skip
_TITLES = {
    "identity": "Patient", "allergy": "Allergies", "problem": "Problems", "medication": "Medications", "result": "Results",
    "event": "Events", "gap": "Care gaps", "finding": "Findings", "conflict": "Sources disagree", "coverage": "What is not known",
}  # fmt: skip
_KEY = re.compile(r"[A-Z]\d{1,5}")
_MOST_ITEMS = 1_000


class ModelFault(Exception):
    """Why there is no answer of the model's. `code` is stable; the message names the kind of fault, never its content.

    Codes: `model_timeout`, `model_throttled`, `model_unreachable`, `model_access_denied`, `model_request_refused`,
    `model_answer_unreadable`, `model_error`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class ModelNotPermitted(ModelFault):
    """No PHI may go to this model: nothing was sent."""

    def __init__(self, message: str) -> None:
        super().__init__("model_not_permitted", message)


class ModelAnswer(NamedTuple):
    """What a model said, as far as it could be read."""

    statements: tuple[Statement, ...]
    unreadable: int = 0
    """Items that are no statements."""
    cut_off: bool = False
    """The model reached its token limit."""
    usage: dict[str, int] = {}


class StatementModel(Protocol):
    """Anything that can answer a prompt with statements."""

    name: str

    async def write(self, prompt: Prompt) -> ModelAnswer:
        """Ask the model. Raises ModelFault, and nothing else."""


async def summarize_with_model(
    doc: ContextDocument, model: StatementModel, *, chart: Chart | None = None, question: str | None = None
) -> Summary:
    """The model's verified statements, completed from the record; the record alone, with the reason, when it gives none."""
    record = summarize(doc, chart=chart)
    try:
        answer = await model.write(prompt_for(doc, question))
    except ModelNotPermitted as fault:
        return _record_only(record, "model_not_permitted", str(fault), model.name)
    except ModelFault as fault:
        return _record_only(record, "model_unavailable", str(fault), model.name)
    except Exception as error:  # noqa: BLE001 - a model somebody plugged in; its faults must not cost the reader the record
        return _record_only(record, "model_unavailable", f"model_error: {type(error).__name__}", model.name)
    found = verify(answer.statements, doc)
    usage = {**answer.usage, "statements": len(answer.statements) + answer.unreadable, "unreadable": answer.unreadable}
    if not found.shown:
        said = len(answer.statements)
        why = f"none of its {said} statements could be verified" if said else "it made no statements"
        alone = _record_only(record, "record_only", f"model_nothing_verified: {why}", model.name)
        return alone.model_copy(update={"withheld": found.withheld, "usage": usage})
    shown = sorted({(s.text, s.kind): s for s in reversed(found.shown)}.values(), key=lambda s: KINDS.index(s.kind))
    mentioned = {key for s in shown for key in s.cites}
    missing = tuple(key for key in doc.must_include if key not in mentioned)
    added = _added(record.statements, frozenset(missing), shown)
    return Summary(
        context_id=doc.context_id,
        state="model",
        reason="the model reached its token limit; what it left out is added from the record" if answer.cut_off else "",
        statements=(*shown, *added),
        withheld=found.withheld,
        appended=missing,
        text=_text(shown, added),
        model=model.name,
        usage=usage,
    )


def _record_only(record: Summary, state: SummaryState, reason: str, name: str) -> Summary:
    return record.model_copy(update={"state": state, "reason": reason, "model": name})


def _added(
    record: Iterable[ShownStatement], missing: frozenset[str], shown: Sequence[ShownStatement]
) -> list[ShownStatement]:
    """The record's own statements about what the model left out, all conflicts it did not tell, and all coverage."""
    told = [frozenset(s.cites) for s in shown if s.kind == "conflict"]
    added = []
    for statement in record:
        keys = frozenset(statement.cites)
        if not keys or keys & missing or (statement.kind == "conflict" and not any(keys <= t for t in told)):
            added.append(statement)
    return added


def _text(shown: Sequence[ShownStatement], added: Sequence[ShownStatement]) -> str:
    lines = ["# Summary"]
    for kind in KINDS:
        of_kind = [s for s in shown if s.kind == kind]
        if of_kind:
            lines += [f"## {_TITLES[kind]}", *map(_line, of_kind)]
    cited = [s for s in added if s.cites]
    silent = [s for s in added if not s.cites]
    if cited:
        lines += ["## Also on record", *map(_line, cited)]
    if silent:
        lines += ["## What is not known, from the record", *map(_line, silent)]
    return "\n".join(lines)


def _line(statement: ShownStatement) -> str:
    return f"- {statement.text}{''.join(f' [{key}]' for key in statement.cites)}"


def read_statements(content: Any) -> ModelAnswer:
    """Statements from a model's structured answer, or from the JSON text it gave instead; ModelFault where there is none."""
    if isinstance(content, str):
        content = _json_in(content)
    if isinstance(content, dict):
        content = content.get("statements")
    if isinstance(content, str):  # seen: a list told as a JSON string inside the tool's arguments
        content = _json_in(content)
    if not isinstance(content, list):
        raise ModelFault("model_answer_unreadable", "no list of statements")
    read = [_statement(item) for item in content[:_MOST_ITEMS]]
    statements = tuple(s for s in read if s is not None)
    return ModelAnswer(statements, unreadable=len(content) - len(statements))


def _json_in(text: str) -> Any:
    begin = min((i for i in (text.find("{"), text.find("[")) if i >= 0), default=-1)
    if begin < 0:
        raise ModelFault("model_answer_unreadable", "text without JSON")
    try:
        return json.JSONDecoder().raw_decode(text[begin:])[0]
    except (ValueError, RecursionError):
        raise ModelFault("model_answer_unreadable", "JSON that is cut off or broken") from None


def _statement(item: Any) -> Statement | None:
    """One statement, read leniently: what cannot be a statement is None, what is odd is left for the verifier."""
    if not isinstance(item, dict) or not isinstance(item.get("text"), str) or not item["text"].strip():
        return None
    cites = item.get("cites", ())
    if isinstance(cites, str):
        cites = _KEY.findall(cites) or [cites]
    if not isinstance(cites, list | tuple):
        return None
    keys = tuple(str(c).strip().strip("[]")[:40] for c in cites[:200])
    kind = item.get("kind")
    return Statement(text=item["text"][:2000], cites=keys, kind=kind if kind in KINDS else "finding")

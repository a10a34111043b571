"""The context document: the values `build_context` returns and everything above reads."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Purpose = Literal["summary", "visit_prep", "care_gaps", "medication_review", "patient_message", "question"]
OmitReason = Literal["budget", "window", "duplicate", "superseded", "entered_in_error", "policy", "unreadable"]


class Frozen(BaseModel):
    """Immutable, strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ContextRequest(Frozen):
    """What to build."""

    purpose: Purpose = "summary"
    budget_tokens: int = Field(default=4000, gt=0, le=1_000_000, description="Hard ceiling on the rendered text.")
    model: str | None = Field(default=None, description="Model id; decides the tokenizer. None: cl100k.")
    window_days: int | None = Field(default=None, gt=0, description="Only dated events this far back; None: policy's.")
    sections: tuple[str, ...] | None = Field(default=None, description="Only these sections; None: the policy's.")
    as_of: str | None = Field(default=None, description="ISO date or instant the answer speaks for; None: chart.as_of.")
    question: str | None = Field(default=None, max_length=4000, description="For purpose `question`.")


class FactOrigin(Frozen):
    """Where a fact came from, ready to be shown and opened."""

    site: str
    reference: str = Field(description="Type/id at the site.")
    api: str = Field(default="fhir", description="Which of the site's APIs told it: fhir, or a vendor's own.")
    version: str = ""
    path: str = ""
    span: tuple[int, int] | None = None
    retrieved: str = ""
    method: str = "structured"


class Fact(Frozen):
    """One citable fact that is in `text`."""

    key: str = Field(description="Citation key: P3, M7, A1, L12, V2, ...; stable for the same chart and request.")
    section: str
    kind: str
    entry_ids: tuple[str, ...] = Field(min_length=1, description="Record entries this fact stands for.")
    display: str = Field(description="What it is, as printed.")
    value: str = ""
    unit: str = ""
    as_sent: str = Field(default="", description="The digits of the source, where `value` is rounded for reading.")
    numbers: tuple[float, ...] = Field(default=(), description="All numbers a statement may use when citing this.")
    date: str = ""
    end_date: str = ""
    status: str = Field(
        default="", description="current, historical, uncertain, none_asserted, not_done, refuted, final, ..."
    )
    negated: bool = Field(default=False, description="The fact says something is absent, refused or not done.")
    detail: str = Field(default="", description="Dose, reaction, reference range, interpretation, ... as printed.")
    text: str = Field(
        description="The printed line or cell of this fact, without markup; whole also where repeats share a line."
    )
    codes: tuple[str, ...] = Field(default=(), description="system|code, standard first.")
    mapping_method: str = ""
    mapping_confidence: float | None = None
    flags: tuple[str, ...] = ()
    origin: tuple[FactOrigin, ...] = Field(min_length=1)
    must_include: bool = False


class CoverageLine(Frozen):
    """What is known about one section at one site."""

    section: str
    site: str
    state: str
    as_of: str = ""
    reason: str = ""
    told: str = Field(default="", description="What documents say of a section without entries: closed list of words.")
    unasked: tuple[str, ...] = Field(default=(), description="Parts of the section that nobody asked for, as codes.")
    offered: int = 0
    included: int = 0


class Omitted(Frozen):
    """One record entry that is not in `text`, and why."""

    entry_id: str = Field(description="Handle that returns the entry.")
    reference: str = Field(description="site:Type/id")
    section: str
    reason: OmitReason
    detail: str = ""


class ConflictLine(Frozen):
    """Sources that disagree; both sides are facts of this document."""

    kind: str
    keys: tuple[str, ...]
    text: str


class ContextLedger(Frozen):
    """offered == included + omitted, in record entries."""

    offered: int
    included: int
    omitted: int
    by_reason: dict[str, int] = {}


class ContextDocument(Frozen):
    """A small, cited, honest context. `token_count <= budget_tokens` always."""

    context_id: str = Field(description="SHA-256 of chart content and request.")
    purpose: Purpose
    tenant: str
    patient_id: str
    as_of: str
    text: str
    token_count: int
    tokenizer: str
    budget_tokens: int
    prefix_length: int = Field(default=0, description="Length in characters of the stable prefix of `text`.")
    facts: tuple[Fact, ...] = ()
    coverage: tuple[CoverageLine, ...] = ()
    omitted: tuple[Omitted, ...] = ()
    conflicts: tuple[ConflictLine, ...] = ()
    ledger: ContextLedger
    must_include: tuple[str, ...] = Field(default=(), description="Keys every answer must mention.")


class BadContextRequest(ValueError):
    """The request cannot be read; `code` is stable (`invalid_as_of`, `unknown_section`)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class BudgetTooSmall(ValueError):
    """The must-include facts alone do not fit."""

    code = "budget_too_small"

    def __init__(self, budget_tokens: int, needed_tokens: int) -> None:
        super().__init__(
            f"budget_too_small: {budget_tokens} tokens given, {needed_tokens} needed for the must-include facts"
        )
        self.budget_tokens = budget_tokens
        self.needed_tokens = needed_tokens


class Statement(Frozen):
    """One sentence a model (or the renderer) wants to say, with the facts it rests on."""

    text: str = Field(min_length=1, max_length=2000)
    cites: tuple[str, ...] = Field(description="Citation keys of the context document.")
    kind: str = Field(
        default="finding", description="identity, problem, medication, allergy, result, event, gap, coverage, conflict."
    )


class WithheldStatement(Frozen):
    """A statement that was not shown, and why."""

    statement: Statement
    reasons: tuple[str, ...] = Field(min_length=1)


class ShownStatement(Frozen):
    """A statement that survived verification, or was rendered from the record."""

    text: str
    cites: tuple[str, ...]
    kind: str = "finding"
    source: Literal["model", "record"]


SummaryState = Literal["model", "record_only", "model_unavailable", "model_not_permitted"]


class Summary(Frozen):
    """What a reader is shown."""

    context_id: str
    state: SummaryState
    reason: str = Field(default="", description="Why there is no model text, when there is none.")
    statements: tuple[ShownStatement, ...] = ()
    withheld: tuple[WithheldStatement, ...] = ()
    appended: tuple[str, ...] = Field(default=(), description="Must-include keys no model statement mentioned.")
    text: str = Field(default="", description="The statements as Markdown with [key] citations.")
    model: str = ""
    usage: dict[str, int] = {}

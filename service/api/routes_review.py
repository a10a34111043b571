"""The review queue of codes, and reading raw again."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field, StringConstraints

from models.terminology.mapper import Domain
from service.api.auth import Caller, Guarded, Use
from service.api.schemas import Body, PatientId, SiteName, Words

router = APIRouter(prefix="/v1", tags=["terminology"], route_class=Guarded)
Reason = Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)]
Day = Annotated[str, StringConstraints(pattern=r"^([0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?)?$")]
Wait = Annotated[float, Field(ge=0, le=60, description="How long to wait for the re-normalization's end.")]


class Target(Body):
    """A code of a standard system; `display` in our words where it is empty."""

    system: Words = Field(description="URI, OID or name of the system, in any spelling that is met.")
    code: Words
    display: str = Field(default="", max_length=200)


class AcceptBody(Body):
    """What a code means at this site."""

    target: Target
    equivalence: Literal["equal", "wider", "narrower"] = "equal"
    effective_from: Day = Field(default="", description="First day on which it means that; empty: always did.")
    effective_to: Day = ""
    note: str = Field(default="", max_length=500)
    wait_seconds: Wait = 0


class RejectBody(Body):
    """Why not. With a target: that one is never proposed again. Without: none fits."""

    reason: Reason
    target: Target | None = None
    wait_seconds: Wait = 0


class WithdrawBody(Body):
    """Why what was decided is taken back."""

    reason: Reason
    wait_seconds: Wait = 0


class RenormalizeBody(Body):
    """What to read again: a site's patients, one patient, all. Without `apply` nothing changes."""

    site: SiteName | None = None
    patient_id: PatientId | None = None
    apply: bool = False
    wait_seconds: Wait = 0


class QueueLine(BaseModel):
    """A code or wording that nobody is sure of: how often it occurs, and how much hangs on it."""

    key: str
    site: str
    domain: str
    system: str
    code: str
    text: str
    unit: str
    section: str
    patients: int
    entries: int
    following_decision: int = Field(description="Patients whose entries follow the decision.")
    risk: int
    mismatch: bool
    state: str
    decision: dict[str, Any] | None


class QueueItem(QueueLine):
    """The same with what it may mean, where it stands, and every version of what was decided."""

    meaning_without_decision: dict[str, Any]
    candidates: list[dict[str, Any]]
    examples: list[dict[str, Any]]
    history: list[dict[str, Any]]
    others: list[dict[str, Any]] = Field(
        description="The same code (or, without one, wording) with another unit or wording: questions of their own."
    )


class Queue(BaseModel):
    """Part of the queue, what matters most first."""

    items: list[QueueLine]
    count: int


class Run(BaseModel):
    """A re-normalization: `state` is running, done or failed; `report` stands there once it has ended."""

    run_id: str
    site: str
    patient_id: str
    decision: str
    apply: bool
    state: str
    patients: int
    started: str
    finished: str | None
    report: dict[str, Any] | None


class Decided(BaseModel):
    """The version that holds now, and the run that re-normalizes; None where the same was decided already."""

    decision: dict[str, Any]
    renormalization: Run | None
    still_open: list[dict[str, Any]] = Field(
        description="The same code with another unit or wording that this does not reach: key, text, unit, patients, entries."
    )


@router.get("/terminology/review")
def review_queue(
    caller: Caller,
    services: Use,
    site: SiteName | None = None,
    domain: Domain | None = None,
    state: Literal["open", "decided"] = "open",
    everything: Annotated[bool, Query(description="With what the words decided surely.")] = False,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Queue:
    """Codes and wordings whose meaning is uncertain, by risk and number of patients."""
    items = services.review_queue(caller.tenant, site, domain, state, everything=everything, first=offset, most=limit)
    return Queue(items=[QueueLine.model_validate(i) for i in items], count=len(items))


@router.get("/terminology/review/{site}/{key}")
def review_item(site: str, key: str, caller: Caller, services: Use) -> QueueItem:
    """One of them, with candidates and examples that do not say whose they are."""
    return QueueItem.model_validate(services.review_item(caller.tenant, site, key))


@router.post("/terminology/review/{site}/{key}/accept")
def accept(site: str, key: str, body: AcceptBody, caller: Caller, services: Use) -> Decided:
    """Decide what it means at this site, from now on and in what is kept: whoever has it is re-normalized."""
    made = services.accept(
        caller.tenant,
        site,
        key,
        caller.key_id,
        (body.target.system, body.target.code, body.target.display),
        equivalence=body.equivalence,
        effective=(body.effective_from, body.effective_to),
        note=body.note,
        wait_seconds=body.wait_seconds,
    )
    return Decided.model_validate(made)


@router.post("/terminology/review/{site}/{key}/reject")
def reject(site: str, key: str, body: RejectBody, caller: Caller, services: Use) -> Decided:
    """Never propose that target again; without a target: it has no standard meaning, stop asking."""
    target = (body.target.system, body.target.code) if body.target else None
    made = services.reject(caller.tenant, site, key, caller.key_id, body.reason, target, wait_seconds=body.wait_seconds)
    return Decided.model_validate(made)


@router.post("/terminology/review/{site}/{key}/withdraw")
def withdraw(site: str, key: str, body: WithdrawBody, caller: Caller, services: Use) -> Decided:
    """Take back what was decided; it stays in the history."""
    made = services.withdraw(caller.tenant, site, key, caller.key_id, body.reason, wait_seconds=body.wait_seconds)
    return Decided.model_validate(made)


@router.get("/terminology/decisions/{site}")
def export(site: str, caller: Caller, services: Use) -> Response:
    """The decisions in force at a site as a mapping table (CSV)."""
    return Response(services.decision_csv(caller.tenant, site), media_type="text/csv; charset=utf-8")


@router.post("/renormalize", status_code=202)
def renormalize(body: RenormalizeBody, caller: Caller, services: Use, request: Request, response: Response) -> Run:
    """Read raw again with the code, tables and decisions of now: a report of what differs, and with `apply` the change.
    202 and a run; 200 where `wait_seconds` sufficed."""
    request.state.patient_id = body.patient_id or ""
    run = services.renormalize(
        caller.tenant,
        caller.key_id,
        site=body.site,
        patient_id=body.patient_id,
        apply=body.apply,
        wait_seconds=body.wait_seconds,
    )
    response.headers["Location"] = f"/v1/renormalize/{run['run_id']}"
    response.status_code = 202 if run["finished"] is None else 200
    return Run.model_validate(run)


@router.get("/renormalize/{run_id}")
def renormalization(run_id: str, caller: Caller, services: Use) -> Run:
    """How far it is; its report once it has ended."""
    return Run.model_validate(services.renormalization(caller.tenant, run_id))

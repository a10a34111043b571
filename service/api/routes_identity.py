"""`$match` (FHIR R4), the stewards' queue, links of a patient."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from models.record import Demographics
from service.api.auth import Caller, Guarded, Use
from service.api.identity import GRADE_URL
from service.api.problems import Problem
from service.api.refusals import known
from service.api.schemas import Body, Note, SiteName

router = APIRouter(tags=["identity"], route_class=Guarded)
FHIR_JSON = "application/fhir+json"
MATCH_SCHEMA = {"200": {"content": {FHIR_JSON: {"schema": {"type": "object"}}}}}
MOST_MATCHES = 50
State = Literal["open", "accepted", "rejected", "withdrawn"]


class DecideBody(Body):
    """Why, in the steward's words (no values of records)."""

    note: str = Field(default="", max_length=1000)


class RejectBody(Body):
    """Why they are two people."""

    note: Note


class UnlinkBody(Body):
    """Which site's record is somebody else's, and why."""

    site: SiteName
    note: Note


class FindBody(Body):
    """`link`: link what is certain at once; without it a steward decides about everything."""

    link: bool = False


class Queue(BaseModel):
    """Pairs of records that may be one person: `count` in this answer, of `total`."""

    items: list[dict[str, Any]]
    count: int
    total: int


@router.post("/fhir/Patient/$match", response_class=Response, responses=MATCH_SCHEMA)  # type: ignore[arg-type]
def match(body: dict[str, Any], caller: Caller, services: Use, request: Request) -> Response:
    """FHIR R4 `Patient/$match`: Parameters (resource, onlyCertainMatches, count) or a Patient in, a searchset out."""
    patient, certain_only, count = _parameters(body)
    rows = services.match_person(caller.tenant, patient, certain_only=certain_only, count=count)
    entries = [
        {
            "fullUrl": f"{str(request.base_url).rstrip('/')}/fhir/Patient/{row['patient_id']}",
            "resource": _patient(row["patient_id"], row["person"]),
            "search": {
                "extension": [{"url": GRADE_URL, "valueCode": row["grade"]}],
                "mode": "match",
                "score": row["score"],
            },
        }
        for row in rows
    ]
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
    if entries:
        bundle["entry"] = entries
    return Response(json.dumps(bundle, ensure_ascii=False), media_type=FHIR_JSON)


@router.post("/v1/identity/find")
def find_same(caller: Caller, services: Use, body: FindBody | None = None) -> dict[str, int]:
    """Compare everybody with everybody and fill the queue."""
    return services.find_same(caller.tenant, caller.key_id, link=(body or FindBody()).link)


@router.get("/v1/identity/pairs")
def pairs(
    caller: Caller, services: Use, state: State = "open", limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> Queue:
    """Pairs a steward has to decide about (or has), the likeliest first."""
    return Queue.model_validate(services.identity_queue(caller.tenant, state, limit))


@router.post("/v1/identity/pairs/{pair_id}/accept")
def accept(
    pair_id: str, caller: Caller, services: Use, request: Request, body: DecideBody | None = None
) -> dict[str, str]:
    """One person: their records become one chart."""
    known(pair_id, "unknown_pair")
    done = services.accept_pair(caller.tenant, pair_id, caller.key_id, (body or DecideBody()).note)
    request.state.patient_id = done["patient_id"]  # for the audit; the path does not name them
    return done


@router.post("/v1/identity/pairs/{pair_id}/reject")
def reject(pair_id: str, body: RejectBody, caller: Caller, services: Use) -> dict[str, str]:
    """Two people: never offered again."""
    known(pair_id, "unknown_pair")
    return services.reject_pair(caller.tenant, pair_id, caller.key_id, body.note)


@router.get("/v1/patients/{patient_id}/links")
def links(patient_id: str, caller: Caller, services: Use) -> dict[str, Any]:
    """The records a patient consists of, and how they came together."""
    return services.person_links(caller.tenant, patient_id)


@router.post("/v1/patients/{patient_id}/unlink")
def unlink(patient_id: str, body: UnlinkBody, caller: Caller, services: Use) -> dict[str, str]:
    """Take a site's record out of a patient; it is the patient again that it was before."""
    return services.unlink(caller.tenant, patient_id, body.site, caller.key_id, body.note)


def _parameters(body: dict[str, Any]) -> tuple[dict[str, Any], bool, int]:
    """The Patient, onlyCertainMatches, count. Refusals name the parameter, never its value."""
    if body.get("resourceType") == "Patient":
        return body, False, 10
    listed = body.get("parameter")
    if body.get("resourceType") != "Parameters" or not isinstance(listed, list):
        raise Problem("invalid_request", errors=[{"at": "body.resourceType", "rule": "Parameters"}])
    patient, certain_only, count = None, False, 10
    for parameter in listed:
        if not isinstance(parameter, dict):
            raise Problem("invalid_request", errors=[{"at": "body.parameter", "rule": "object"}])
        name = parameter.get("name")
        if name == "resource":
            patient = parameter.get("resource")
        elif name == "onlyCertainMatches":
            flag = parameter.get("valueBoolean")
            if not isinstance(flag, bool):
                raise Problem("invalid_request", errors=[{"at": "onlyCertainMatches", "rule": "valueBoolean"}])
            certain_only = flag
        elif name == "count":
            number = parameter.get("valueInteger")
            if not isinstance(number, int) or isinstance(number, bool) or number < 1:
                raise Problem("invalid_request", errors=[{"at": "count", "rule": "positive integer"}])
            count = number
    if not isinstance(patient, dict) or patient.get("resourceType") != "Patient":
        raise Problem("invalid_request", errors=[{"at": "resource", "rule": "Patient"}])
    return patient, certain_only, min(count, MOST_MATCHES)


def _patient(patient_id: str, person: Demographics) -> dict[str, Any]:
    """A matched person as a FHIR Patient of ours, from the record that matched."""
    systems = ("phone", "email", "fax", "sms", "pager", "url")
    made: dict[str, Any] = {
        "resourceType": "Patient",
        "id": patient_id,
        "identifier": [_filled(system=i.system, value=i.value) for i in person.identifiers],
        "name": [
            _filled(family=n.family, given=list(n.given), suffix=list(n.suffix), text=n.text) for n in person.names
        ],
        "telecom": [
            _filled(system=s if s in systems else "other", value=v)
            for s, _, v in (t.partition(": ") for t in person.telecom)
        ],
        "gender": person.gender if person.gender in ("male", "female", "other", "unknown") else "",
        "birthDate": (person.birth_date or "")[:10],
        "address": [
            _filled(line=list(a.lines), city=a.city, state=a.state, postalCode=a.postal_code, country=a.country)
            for a in person.addresses
        ],
    }
    return {k: v for k, v in made.items() if v}


def _filled(**fields: Any) -> dict[str, Any]:
    return {k: v for k, v in fields.items() if v}

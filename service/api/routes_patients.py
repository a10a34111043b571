"""Patients: find, register, refresh, read, and ask for a context or a summary."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request, Response

from context_builder.document import ContextDocument, ContextRequest, Summary
from models.record import Section
from service.api.auth import Caller, Guarded, Use
from service.api.schemas import (
    Freshness,
    Patients,
    Quarantine,
    QuarantineRow,
    RefreshBody,
    RegisterBody,
    Registered,
    RunState,
    SearchBody,
    WriteBody,
    Written,
)

router = APIRouter(prefix="/v1/patients", tags=["patients"], route_class=Guarded)
FHIR_JSON = "application/fhir+json"
CHART_SCHEMA = {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/record.Chart"}}}}}
RAW_SCHEMA = {"200": {"content": {FHIR_JSON: {"schema": {"type": "object"}}}}}


@router.post("", status_code=201)
def register_patient(
    body: RegisterBody, caller: Caller, services: Use, request: Request, response: Response
) -> Registered:
    """Say that a site knows a patient. Doing it twice gives the same patient."""
    patient_id = services.register(caller.tenant, body)
    request.state.patient_id = patient_id  # for the audit; the path does not name them
    response.headers["Location"] = f"/v1/patients/{patient_id}/chart"
    return Registered(patient_id=patient_id, site=body.site)


@router.post("/search")
def search_patients(body: SearchBody, caller: Caller, services: Use) -> Patients:
    """Find patients among those that were read. A POST, so that names stay out of URLs."""
    return services.search(caller.tenant, body)


@router.post("/{patient_id}/refresh", status_code=202, responses={"200": {"model": RunState}})
async def refresh_patient(
    patient_id: str, caller: Caller, services: Use, response: Response, body: RefreshBody | None = None
) -> RunState:
    """Read the patient again from the sites: 202 with a run id, or 200 with the report when the wait sufficed."""
    asked = body or RefreshBody()
    state = await services.refresh_and_wait(caller.tenant, patient_id, asked.sites, asked.wait_seconds)
    response.headers["Location"] = f"/v1/patients/{patient_id}/refresh/{state.run_id}"
    if state.ended:
        response.status_code = 200
    return state


@router.get("/{patient_id}/refresh/{run_id}")
def refresh_state(patient_id: str, run_id: str, caller: Caller, services: Use) -> RunState:
    """How far a refresh is."""
    return services.run(caller.tenant, patient_id, run_id)


@router.get("/{patient_id}/freshness")
def freshness(patient_id: str, caller: Caller, services: Use) -> Freshness:
    """When each section of each site was last true."""
    return services.freshness(caller.tenant, patient_id)


@router.get("/{patient_id}/chart", response_class=Response, responses=CHART_SCHEMA)  # type: ignore[arg-type]
def chart(
    patient_id: str, caller: Caller, services: Use, section: Annotated[list[Section] | None, Query()] = None
) -> Response:
    """The record: entries with origin, mapping, flags; coverage; conflicts; ledger. `section` narrows the entries."""
    found = services.chart(caller.tenant, patient_id)
    if section:
        found = msgspec.structs.replace(found, entries=tuple(e for e in found.entries if e.section in section))
    return Response(msgspec.json.encode(found), media_type="application/json")


@router.get("/{patient_id}/quarantine")
def quarantine(patient_id: str, caller: Caller, services: Use) -> Quarantine:
    """What was received and could not be used, with the reason; the bytes stay in the store."""
    items = [QuarantineRow.model_validate(row) for row in services.quarantine(caller.tenant, patient_id)]
    return Quarantine(items=items, count=len(items))


@router.get(
    "/{patient_id}/raw/{site}/{resource_type}/{resource_id}",
    response_class=Response,
    responses=RAW_SCHEMA,  # type: ignore[arg-type]
)
def raw(
    patient_id: str,
    site: str,
    resource_type: str,
    resource_id: str,
    caller: Caller,
    services: Use,
    version: Annotated[
        str | None, Query(max_length=64, description="As an origin gives it; without it, the current one.")
    ] = None,
) -> Response:
    """The resource behind a fact, byte for byte as it was received."""
    found = services.raw(caller.tenant, patient_id, site, resource_type, resource_id, version)
    headers = {"ETag": f'"{found.content_hash}"', "X-Retrieved": found.retrieved}
    return Response(found.content, media_type=FHIR_JSON, headers=headers)


@router.post("/{patient_id}/context")
def context(patient_id: str, caller: Caller, services: Use, body: ContextRequest | None = None) -> ContextDocument:
    """A small, cited, honest context within a hard token budget."""
    return services.context(caller.tenant, patient_id, body or ContextRequest())[1]


@router.post("/{patient_id}/summary")
def summary(patient_id: str, caller: Caller, services: Use, body: ContextRequest | None = None) -> Summary:
    """A summary whose every sentence cites the facts it rests on."""
    return services.summary(caller.tenant, patient_id, body or ContextRequest())[2]


@router.post("/{patient_id}/writes/preview")
def preview_write(patient_id: str, body: WriteBody, caller: Caller, services: Use) -> Written:
    """What a write would send, after checking that hospital, server and token permit it. Nothing is changed."""
    return Written.model_validate(services.write(caller.tenant, patient_id, body, send=False))


@router.post("/{patient_id}/writes")
def write(patient_id: str, body: WriteBody, caller: Caller, services: Use) -> Written:
    """Write a vital sign, a summary or a change of a care plan into a site. The same write twice is one resource."""
    return Written.model_validate(services.write(caller.tenant, patient_id, body, send=True))

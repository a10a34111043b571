"""Quality reports: of sites (counts only) and of patients (PHI), as JSON and as pages."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from models.quality import QualityReport
from service.api.auth import Caller, Guarded, Use
from service.api.routes_sites import REPORT_CSP
from service.page.quality import quality_page

router = APIRouter(prefix="/v1", tags=["quality"], route_class=Guarded)
Against = Annotated[str, Query(max_length=40, description="`previous`, or the id of another report.")]


Wait = Annotated[float, Query(ge=0, le=120, description="0: answer 202 at once.")]


class QualityRun(BaseModel):
    """The measuring of a site's patients."""

    run_id: str
    site: str
    as_of: str = Field(description="The moment the report speaks for.")
    state: str = Field(description="running, done, failed.")
    patients: int = Field(description="Patients measured so far.")
    total: int = Field(description="Patients of the site when it began.")
    report_id: str = Field(description="Once it is done: the report, under `/v1/sites/{site}/quality/reports/`.")
    error: str = Field(description="Why it failed: the kind of error.")
    alerts: list[str] = Field(description="What was there and is not any more, in words.")
    started: str
    finished: str | None


@router.post("/sites/{site}/quality", status_code=202)
def make_report(site: str, caller: Caller, services: Use, response: Response, wait_seconds: Wait = 0) -> QualityRun:
    """Begin to measure the data of all patients of the site; the report is kept. 202 and a run (the one under way, where
    there is one); 200 where `wait_seconds` sufficed."""
    now = services.now().isoformat(timespec="seconds").replace("+00:00", "Z")
    run = services.measure_site(caller.tenant, site, caller.key_id, now, wait_seconds)
    response.headers["Location"] = f"/v1/sites/{site}/quality/runs/{run['run_id']}"
    response.status_code = 202 if run["finished"] is None else 200
    return QualityRun.model_validate(run)


@router.get("/sites/{site}/quality/runs/{run_id}")
def get_run(site: str, run_id: str, caller: Caller, services: Use) -> QualityRun:
    """How far it is; the id of its report once it has ended."""
    return QualityRun.model_validate(services.quality_run(caller.tenant, site, run_id))


@router.get("/sites/{site}/quality", response_model=dict[str, Any])
def get_report(site: str, caller: Caller, services: Use, request: Request) -> Any:
    """The newest kept report of the site: counts only; as a page for `Accept: text/html`."""
    return _shown(services.site_quality(caller.tenant, site), request)


@router.get("/sites/{site}/quality/reports")
def list_reports(site: str, caller: Caller, services: Use) -> dict[str, Any]:
    """Which reports of the site are kept, newest first."""
    items = services.site_qualities(caller.tenant, site)
    return {"items": items, "count": len(items)}


@router.get("/sites/{site}/quality/reports/{report_id}", response_model=dict[str, Any])
def get_dated_report(site: str, report_id: str, caller: Caller, services: Use, request: Request) -> Any:
    """One kept report; as a page for `Accept: text/html`."""
    return _shown(services.site_quality(caller.tenant, site, report_id), request)


@router.get("/sites/{site}/quality/reports/{report_id}/diff")
def diff_report(
    site: str, report_id: str, caller: Caller, services: Use, against: Against = "previous"
) -> dict[str, Any]:
    """What changed since the report before it, or since another; `alerts`: what was there and is not any more."""
    return services.quality_trend(caller.tenant, site, report_id, against).to_dict()


@router.get("/patients/{patient_id}/quality", response_model=dict[str, Any])
def get_patient_report(patient_id: str, caller: Caller, services: Use, request: Request) -> Any:
    """One patient's report over all their sites, with the entries behind its findings; as a page for `Accept: text/html`."""
    now = services.now().isoformat(timespec="seconds").replace("+00:00", "Z")
    return _shown(services.patient_quality(caller.tenant, patient_id, now), request)


def _shown(report: QualityReport, request: Request) -> dict[str, Any] | HTMLResponse:
    if "text/html" not in request.headers.get("accept", ""):
        return report.to_dict()
    return HTMLResponse(quality_page(report), headers={"Content-Security-Policy": REPORT_CSP})

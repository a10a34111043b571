"""Quality reports: of sites (counts only) and of patients (PHI), as JSON and as pages."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from models.quality import QualityReport
from service.api.auth import Caller, Guarded, Use
from service.api.quality import MOST_PATIENTS
from service.api.routes_sites import REPORT_CSP
from service.page.quality import quality_page

router = APIRouter(prefix="/v1", tags=["quality"], route_class=Guarded)
Against = Annotated[str, Query(max_length=40, description="`previous`, or the id of another report.")]


@router.post("/sites/{site}/quality")
def make_report(site: str, caller: Caller, services: Use) -> dict[str, Any]:
    """Measure the data of all patients of the site (500 at most here; the command takes any number), and keep the report."""
    now = services.now().isoformat(timespec="seconds").replace("+00:00", "Z")
    return services.make_site_quality(caller.tenant, site, now, MOST_PATIENTS).to_dict()


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

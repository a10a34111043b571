"""Sites: which are connected, in which state, whether they can be used now, and whom they know."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request, Response
from fastapi.responses import HTMLResponse

from adapters.conformance import ConformanceReport
from service.api.auth import Caller, Guarded, Use
from service.api.conformance import PREVIOUS
from service.api.problems import Problem
from service.api.schemas import (
    CheckBody,
    ClientSecret,
    ConnectAddress,
    Disconnected,
    OfPatient,
    Rotated,
    Rotation,
    Site,
    SiteDiff,
    SitePatients,
    SiteReportRow,
    SiteReports,
    Sites,
    SiteSearchBody,
    SiteWithKey,
)
from service.page.report import report_page

router = APIRouter(prefix="/v1/sites", tags=["sites"], route_class=Guarded)
Config = Annotated[dict[str, Any], Body(description="The fields of a site file (docs/connect.md) as JSON.")]
Against = Annotated[str, Query(max_length=40, description="`previous`, `profile`, or the id of another report.")]
REPORT_CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The report page carries its own style and nothing that could run or load."""


@router.get("")
def list_sites(caller: Caller, services: Use) -> Sites:
    """All connected sites with their state."""
    items = [Site.model_validate(s) for s in services.sites(caller.tenant)]
    return Sites(items=items, count=len(items))


@router.get("/{site}")
def get_site(site: str, caller: Caller, services: Use) -> SiteWithKey:
    """One site with its state and the public key (JWKS) to register with its vendor."""
    return SiteWithKey.model_validate(services.site(caller.tenant, site))


@router.post("", status_code=201)
def add_site(config: Config, caller: Caller, services: Use, response: Response) -> SiteWithKey:
    """Connect a site: the fields of a site file as JSON."""
    added = services.put_site(caller.tenant, config, replace=False)
    response.headers["Location"] = f"/v1/sites/{added['name']}"
    return SiteWithKey.model_validate(added)


@router.put("/{site}")
def put_site(site: str, config: Config, caller: Caller, services: Use) -> SiteWithKey:
    """Change a site's connection, or make it."""
    if config.setdefault("name", site) != site:
        raise Problem("invalid_site", errors=[{"at": "name", "rule": "differs_from_path"}])
    return SiteWithKey.model_validate(services.put_site(caller.tenant, config, replace=True))


@router.post("/{site}/check")
def check_site(
    site: str, caller: Caller, services: Use, request: Request, body: CheckBody | None = None
) -> dict[str, Any]:
    """Discover, authorize, and say what the site supports and refuses; with a test patient everything is probed. Answers
    within about a minute, and keeps the report."""
    patient = body.patient if body else None
    if patient:
        request.state.patient_id = services.ours(caller.tenant, site, patient)
    return services.check_site(caller.tenant, site, patient)


@router.get("/{site}/report", response_model=ConformanceReport)
def get_report(site: str, caller: Caller, services: Use, request: Request) -> Any:
    """The report of the site's last check; as a page for `Accept: text/html`."""
    return _shown(services.site_report(caller.tenant, site), request)


@router.get("/{site}/reports")
def list_reports(site: str, caller: Caller, services: Use) -> SiteReports:
    """The reports of all checks of the site, newest first."""
    items = [SiteReportRow.model_validate(r) for r in services.site_reports(caller.tenant, site)]
    return SiteReports(items=items, count=len(items))


@router.get("/{site}/reports/{report_id}", response_model=ConformanceReport)
def get_dated_report(site: str, report_id: str, caller: Caller, services: Use, request: Request) -> Any:
    """One report; as a page for `Accept: text/html`."""
    return _shown(services.site_report(caller.tenant, site, report_id), request)


@router.get("/{site}/reports/{report_id}/diff")
def diff_report(site: str, report_id: str, caller: Caller, services: Use, against: Against = PREVIOUS) -> SiteDiff:
    """How a report differs from the one before it, from another (`against` its id), or from what the vendor's profile
    expects (`against=profile`). `counts.breaks` above 0: something the record needs no longer comes."""
    return SiteDiff.model_validate(services.compare_reports(caller.tenant, site, report_id, against))


def _shown(report: ConformanceReport, request: Request) -> ConformanceReport | HTMLResponse:
    if "text/html" not in request.headers.get("accept", ""):
        return report
    return HTMLResponse(report_page(report), headers={"Content-Security-Policy": REPORT_CSP})


@router.post("/{site}/connect")
def connect_site(
    site: str, caller: Caller, services: Use, request: Request, body: OfPatient | None = None
) -> ConnectAddress:
    """The address at which a person signs in at the site and lets us in, for an hour. For a site with
    `auth = "standalone"`; with a patient, the authorization must be for them."""
    patient = _about(request, body)
    return ConnectAddress(site=site, open=services.connect_address(caller.tenant, site, patient))


@router.post("/{site}/disconnect")
def disconnect_site(
    site: str, caller: Caller, services: Use, request: Request, body: OfPatient | None = None
) -> Disconnected:
    """Revoke at the site, and forget here, what people authorized: all of it, or one patient's."""
    return Disconnected.model_validate(services.disconnect(caller.tenant, site, _about(request, body)))


@router.put("/{site}/secret", status_code=204)
def put_secret(site: str, body: ClientSecret, caller: Caller, services: Use) -> None:
    """Seal the client secret that the site gave us. No route gives it back."""
    services.put_client_secret(caller.tenant, site, body.secret.get_secret_value().strip())


@router.post("/{site}/rotate-key")
def rotate_key(site: str, body: Rotation, caller: Caller, services: Use) -> Rotated:
    """One step of rotating our key at a site: `publish` a new one beside the old, `switch` to it, `drop_old`."""
    return Rotated.model_validate(services.rotate_key(caller.tenant, site, body.step))


def _about(request: Request, body: OfPatient | None) -> str:
    """Whose authorization is meant; the audit row names them too."""
    request.state.patient_id = patient = (body.patient_id if body else None) or ""
    return patient


@router.post("/{site}/patients/search")
def search_at_site(site: str, body: SiteSearchBody, caller: Caller, services: Use) -> SitePatients:
    """Ask a site whom it knows, to register them. Nothing is stored."""
    items = services.search_at_site(caller.tenant, site, body)
    return SitePatients(items=items, count=len(items))

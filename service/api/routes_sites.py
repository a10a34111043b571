"""Sites: which are connected, in which state, whether they can be used now, and whom they know."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Response

from adapters.conformance import ConformanceReport
from service.api.auth import Caller, Guarded, Use
from service.api.problems import Problem
from service.api.schemas import Site, SitePatients, Sites, SiteSearchBody, SiteWithKey

router = APIRouter(prefix="/v1/sites", tags=["sites"], route_class=Guarded)
Config = Annotated[dict[str, Any], Body(description="The fields of a site file (docs/connect.md) as JSON.")]


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
def check_site(site: str, caller: Caller, services: Use) -> dict[str, Any]:
    """Discover, authorize, and say what the site supports and refuses."""
    return services.check_site(caller.tenant, site)


@router.get("/{site}/report")
def get_report(site: str, caller: Caller, services: Use) -> ConformanceReport:
    """The report of the site's last check. Probes with a test patient are made by `chartbrief site check`."""
    return services.site_report(caller.tenant, site)


@router.post("/{site}/patients/search")
def search_at_site(site: str, body: SiteSearchBody, caller: Caller, services: Use) -> SitePatients:
    """Ask a site whom it knows, to register them. Nothing is stored."""
    items = services.search_at_site(caller.tenant, site, body)
    return SitePatients(items=items, count=len(items))

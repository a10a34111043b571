"""Sites: which are connected, in which state, and whether they can be used now."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Response

from service.api.auth import Caller, Use
from service.api.problems import Problem
from service.api.schemas import Page

router = APIRouter(prefix="/v1/sites", tags=["sites"])


@router.get("")
def list_sites(caller: Caller, services: Use) -> Page:
    """All connected sites with their state."""
    items = services.sites(caller.tenant)
    return Page(items=items, count=len(items))


@router.get("/{site}")
def get_site(site: str, caller: Caller, services: Use) -> dict[str, Any]:
    """One site with its state and the public key (JWKS) to register with its vendor."""
    return services.site(caller.tenant, site)


@router.post("", status_code=201)
def add_site(
    config: Annotated[dict[str, Any], Body()], caller: Caller, services: Use, response: Response
) -> dict[str, Any]:
    """Connect a site: the fields of a site file as JSON."""
    added = services.put_site(caller.tenant, config, replace=False)
    response.headers["Location"] = f"/v1/sites/{added['name']}"
    return added


@router.put("/{site}")
def put_site(site: str, config: Annotated[dict[str, Any], Body()], caller: Caller, services: Use) -> dict[str, Any]:
    """Change a site's connection, or make it."""
    if config.setdefault("name", site) != site:
        raise Problem("invalid_site", errors=[{"at": "name", "rule": "differs_from_path"}])
    return services.put_site(caller.tenant, config, replace=True)


@router.post("/{site}/check")
def check_site(site: str, caller: Caller, services: Use) -> dict[str, Any]:
    """Discover, authorize, and say what the site supports and refuses."""
    return services.check_site(caller.tenant, site)

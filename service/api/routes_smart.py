"""The way through a hospital's sign-in, and our public keys. Open routes: whoever takes them has no key of ours.

They show nothing of any record and lead nowhere but to the authorization endpoint of a configured site.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from service.api.auth import Guarded, Use
from service.api.services import Principal
from service.page.routes import render

if TYPE_CHECKING:
    from service.workflows.connecting import Departure

CALLBACK_PATH = "/smart/callback"
LARGEST_ANSWER = 20_000

router = APIRouter(route_class=Guarded)


@router.get("/.well-known/jwks/{tenant}/{site}", tags=["sites"])
def jwks(tenant: str, site: str, services: Use, response: Response) -> dict[str, Any]:
    """Our public keys for one site (JWKS), to register by address with its vendor."""
    response.headers["Cache-Control"] = "max-age=300"
    return services.public_keys(tenant, site)


@router.get("/smart/start", include_in_schema=False)
def start(request: Request, services: Use) -> Response:
    """A person follows the address of `chartbrief site connect`."""
    return _depart(request, services.start_by_ticket(request.query_params.get("ticket", "")))


@router.get("/smart/launch", include_in_schema=False)
def launch(request: Request, services: Use) -> Response:
    """An EHR opens us: `iss` is its FHIR base, `launch` its word for what is on the screen. The base must be one site's."""
    asked = request.query_params
    return _depart(request, services.start_from_ehr(asked.get("iss", ""), asked.get("launch", "")))


@router.get("/smart/launch/{tenant}/{site}", include_in_schema=False)
def launch_at(tenant: str, site: str, request: Request, services: Use) -> Response:
    """The same at the address of one site: where several have one base, only this says which is meant."""
    asked = request.query_params
    return _depart(request, services.start_at_site(tenant, site, asked.get("iss", ""), asked.get("launch", "")))


@router.get(CALLBACK_PATH, include_in_schema=False)
def callback(request: Request, services: Use) -> HTMLResponse:
    """The browser is back from the site's sign-in."""
    answer = dict(request.query_params) if len(request.url.query) <= LARGEST_ANSWER else {}
    request.state.framed_by = framed = services.framed_by(answer, request.cookies)
    arrival = services.arrive(answer, request.cookies)
    request.state.principal = _site(arrival.tenant, arrival.site, arrival.user)
    request.state.patient_id = arrival.patient_id
    return render("connected.html", arrival=arrival, framed=bool(framed))


def _depart(request: Request, departure: Departure) -> Response:
    request.state.principal = _site(departure.tenant, departure.site)
    framed = bool(departure.framed_by)
    request.state.framed_by = departure.framed_by
    answer = RedirectResponse(departure.url, 303)
    answer.set_cookie(
        departure.cookie,
        departure.value,
        max_age=departure.seconds,
        path=CALLBACK_PATH,
        httponly=True,
        samesite="none"
        if framed
        else "lax",  # the way back is a navigation from the site; in a frame that is not enough
        secure=departure.secure or framed,
    )
    if framed:  # for this frame under this EHR's pages only (CHIPS); http.cookies knows the word from Python 3.14 on
        answer.headers["set-cookie"] += "; Partitioned"
    return answer


def _site(tenant: str, site: str, user: str = "") -> Principal:
    """Who is named in the audit: the sign-in at a site and, once it is known, the person; no role, and no right here."""
    return Principal(tenant, f"smart:{site}:{user}" if user else f"smart:{site}", "")

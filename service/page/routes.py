"""The page's routes: sign in and out, find patients, one patient, the sources behind a statement, static files."""

from __future__ import annotations

import re
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import ValidationError

from context_builder import summarize
from context_builder.document import ContextDocument, ContextRequest, Summary
from models.record import Chart
from service.access import allowed
from service.api.auth import COOKIE, Caller, Guarded, Use, same_origin
from service.api.problems import CODES, Problem
from service.api.schemas import PatientRow, SearchBody
from service.api.services import Principal, Services
from service.page.view import page, sources
from service.page.words import ago

HERE = Path(__file__).parent
STATIC = {p.name: p for p in (HERE / "static").iterdir() if p.suffix in (".css", ".js", ".svg")}
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
NEXT = re.compile(r"/(?:patients/[A-Za-z0-9-]{1,64})?")
"""Where signing in may lead to: our own pages only."""
PATIENTS_A_PAGE = 100
PAGE = re.compile(r"[1-9][0-9]{0,5}")
REFRESH_SECONDS = 60
PAGE_BUDGET_TOKENS = 4000
LARGEST_BUDGET_TOKENS = 64_000

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse, route_class=Guarded)


@cache
def templates() -> Environment:
    """The environment: everything is escaped, and a name that a template misspells fails."""
    return Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(name: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page."""
    return HTMLResponse(templates().get_template(name).render({"principal": None} | values), status)


def wants_page(route: str) -> bool:
    """Whether a person in a browser is answered by this route."""
    path = route.split(" ", 1)[1]
    return path == "/" or path.startswith(("/patients/", "/login", "/logout", "/smart/"))


def problem_page(request: Request, problem: Problem) -> Response:
    """An error for a person: signing in where that is what is missing, else the error in words."""
    path = request.url.path
    if problem.code == "unauthenticated":
        return render("login.html", 401, error="", next=path if NEXT.fullmatch(path) else "/")
    status, title = CODES[problem.code]
    answer = render(
        "message.html",
        status,
        heading=title,
        words=problem.detail or "Nothing was changed.",
        code=problem.code,
        principal=getattr(request.state, "principal", None),
    )
    answer.headers.update(problem.headers or {})
    return answer


@router.get("/static/{name}")
def static(name: str) -> Response:
    """A stylesheet, script or picture of ours, by exact name."""
    path = STATIC.get(name)
    if path is None:
        raise Problem("not_found")
    return Response(path.read_bytes(), media_type=MEDIA_TYPES[path.suffix], headers={"Cache-Control": "max-age=300"})


@router.get("/login")
def login_page() -> HTMLResponse:
    """The sign-in form."""
    return render("login.html", error="", next="/")


@router.post("/login")
async def login(request: Request, services: Use) -> Response:
    """Exchange a key for a session cookie."""
    same_origin(request)
    address = request.client.host if request.client else ""
    wait = services.failed_logins.wait(address)
    if wait:
        raise Problem("rate_limited", "Too many keys were refused.", headers={"Retry-After": str(wait)})
    form = await form_of(request)
    target = form.get("next", "/")
    target = target if NEXT.fullmatch(target) else "/"
    principal = await services.off_loop(services.authenticate, form.get("key", "").strip())
    if principal is None:
        services.failed_logins.failed(address)
        return render("login.html", 401, error="That key is not valid.", next=target)
    request.state.principal = principal
    answer = RedirectResponse(target, 303)
    answer.set_cookie(
        COOKIE,
        services.sessions.issue(principal.key_id),
        max_age=services.sessions.seconds,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a posted form, each once."""
    try:
        fields = parse_qs((await request.body()).decode(), max_num_fields=10)
    except ValueError:  # too many fields, or not UTF-8
        raise Problem("bad_request") from None
    return {name: values[0].replace("\0", "") for name, values in fields.items()}


@router.post("/logout")
def logout(request: Request, services: Use) -> Response:
    """End the session, here and wherever its cookie was copied to."""
    services.sessions.end(request.cookies.get(COOKIE, ""))
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


@router.get("/")
def patients(request: Request, caller: Caller, services: Use) -> HTMLResponse:
    """The patients of the tenant, a page at a time (`?page=2`)."""
    asked = request.query_params.get("page", "")
    number = int(asked) if PAGE.fullmatch(asked) else 1
    first = (number - 1) * PATIENTS_A_PAGE
    found = services.patient_page(caller.tenant, first, PATIENTS_A_PAGE)
    pages = {
        "first": first + 1,
        "last": first + found.count,
        "before": number - 1 if number > 1 else None,
        "after": number + 1 if first + found.count < found.total and found.count else None,
    }
    return _people(found.items, found.total, caller, services, pages=pages)


@router.post("/")
async def search(request: Request, caller: Caller, services: Use) -> Response:
    """Find patients. A POST, so that no name reaches a URL."""
    asked = {name: value.strip() for name, value in (await form_of(request)).items() if value.strip()}
    if not asked:
        return RedirectResponse("/", 303)
    try:
        body = SearchBody.model_validate(asked)
    except ValidationError:
        return _people([], 0, caller, services, asked, "That cannot be searched for: a date is written 1961-05-06.")
    found = await services.off_loop(services.search, caller.tenant, body)
    return _people(found.items, found.total, caller, services, asked)


def _people(
    rows: list[PatientRow],
    total: int,
    caller: Principal,
    services: Services,
    asked: dict[str, str] | None = None,
    wrong: str = "",
    pages: dict[str, int | None] | None = None,
) -> HTMLResponse:
    now = services.now()
    people = [p.model_dump() | {"updated": ago(p.last_updated or "", now)} for p in rows]
    return render(
        "patients.html",
        patients=people,
        total=total,
        asked=asked or {},
        wrong=wrong,
        principal=caller,
        pages=pages,
    )


@router.get("/patients/{patient_id}")
def patient(patient_id: str, caller: Caller, services: Use) -> HTMLResponse:
    """One patient. The summary is the record's own: a page does not wait for a model, and does not pay for one."""
    return _patient(patient_id, caller, services, ask_model=False)


@router.post("/patients/{patient_id}/summary")
def patient_with_summary(patient_id: str, caller: Caller, services: Use) -> HTMLResponse:
    """The same with the model's summary, each sentence verified; the record's own where the model cannot be asked."""
    return _patient(patient_id, caller, services, ask_model=True)


def _patient(patient_id: str, caller: Principal, services: Services, *, ask_model: bool) -> HTMLResponse:
    def made(budget: int) -> tuple[Chart, ContextDocument, Summary]:
        request = ContextRequest(budget_tokens=budget)
        if ask_model:
            return services.summary(caller.tenant, patient_id, request)
        chart, document = services.context(caller.tenant, patient_id, request)
        return chart, document, summarize(document, chart=chart)

    try:
        chart, document, summary = made(PAGE_BUDGET_TOKENS)
    except Problem as problem:
        needed = problem.more.get("needed_tokens", 0)
        if problem.code != "budget_too_small" or needed > LARGEST_BUDGET_TOKENS:
            raise
        chart, document, summary = made(needed)  # a page has room; a model's window is not the limit here
    values = page(chart, document, summary, now=services.now())
    return render(
        "patient.html",
        **values,
        principal=caller,
        can_refresh=allowed("POST /patients/{patient_id}/refresh", caller.role),
        can_ask_model=services.model is not None,
    )


@router.get("/patients/{patient_id}/sources/{entry_ids}")
def sources_of(patient_id: str, entry_ids: str, request: Request, caller: Caller, services: Use) -> Response:
    """The resources behind entries (ids with commas between), as received; JSON for the page's script."""
    wanted = entry_ids.split(",")
    chart = services.chart(caller.tenant, patient_id)

    def content_of(site: str, resource_type: str, resource_id: str, version: str) -> bytes | None:
        try:
            return services.raw(caller.tenant, patient_id, site, resource_type, resource_id, version or None).content
        except Problem as problem:
            if problem.code != "unknown_resource":
                raise
            return None

    found, more = sources(chart, wanted, content_of)
    if not found:
        raise Problem("unknown_resource")
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"sources": [asdict(s) for s in found], "more": more})
    return render("sources.html", sources=found, more=more, patient_id=patient_id, principal=caller)


@router.post("/patients/{patient_id}/refresh")
async def refresh(patient_id: str, caller: Caller, services: Use) -> Response:
    """Read the patient again, then show them."""
    await services.refresh_and_wait(caller.tenant, patient_id, None, REFRESH_SECONDS)
    return RedirectResponse(f"/patients/{patient_id}", 303)

"""The page's routes: sign in and out, the list of patients, one patient, static files."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from context_builder.document import ContextRequest
from service.access import allowed
from service.api.auth import COOKIE, Caller, Use, same_origin
from service.api.problems import CODES, Problem
from service.page.view import page
from service.page.words import ago

HERE = Path(__file__).parent
STATIC = {p.name: p for p in (HERE / "static").iterdir() if p.suffix in (".css", ".js", ".svg")}
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
NEXT = re.compile(r"/(?:patients/[A-Za-z0-9-]{1,64})?")
"""Where signing in may lead to: our own pages only."""
PAGE_BUDGET_TOKENS = 4000
LARGEST_BUDGET_TOKENS = 64_000

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


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
    return route.split(" ", 1)[1] == "/" or route.split(" ", 1)[1].startswith(("/patients/", "/login", "/logout"))


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
    answer.headers.update(problem.headers)
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
    form = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=10)
    key, target = form.get("key", [""])[0].strip(), form.get("next", ["/"])[0]
    principal = await services.off_loop(services.authenticate, key)
    if principal is None:
        return render("login.html", 401, error="That key is not valid.", next="/")
    request.state.principal = principal
    answer = RedirectResponse(target if NEXT.fullmatch(target) else "/", 303)
    answer.set_cookie(
        COOKIE,
        services.sessions.issue(principal.key_id),
        max_age=services.sessions.seconds,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


@router.post("/logout")
def logout() -> Response:
    """End the session in this browser."""
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


@router.get("/")
def patients(caller: Caller, services: Use) -> HTMLResponse:
    """The patients of the tenant."""
    now = services.now()
    rows = [p | {"updated": ago(p.get("last_updated") or "", now)} for p in services.patients(caller.tenant)]
    return render("patients.html", patients=rows, principal=caller)


@router.get("/patients/{patient_id}")
def patient(patient_id: str, caller: Caller, services: Use) -> HTMLResponse:
    """One patient."""
    request = ContextRequest(budget_tokens=PAGE_BUDGET_TOKENS)
    try:
        chart, document, summary = services.summary(caller.tenant, patient_id, request)
    except Problem as problem:
        needed = problem.more.get("needed_tokens", 0)
        if problem.code != "budget_too_small" or needed > LARGEST_BUDGET_TOKENS:
            raise
        request = ContextRequest(budget_tokens=needed)  # a page has room; a model's window is not the limit here
        chart, document, summary = services.summary(caller.tenant, patient_id, request)
    can_refresh = allowed("POST /patients/{patient_id}/refresh", caller.role)
    values = page(chart, document, summary, now=services.now())
    return render("patient.html", **values, principal=caller, can_refresh=can_refresh, notice="")


@router.post("/patients/{patient_id}/refresh")
def refresh(patient_id: str, caller: Caller, services: Use) -> Response:
    """Read the patient again, then show them."""
    services.refresh(caller.tenant, patient_id, None, wait_seconds=60)
    return RedirectResponse(f"/patients/{patient_id}", 303)

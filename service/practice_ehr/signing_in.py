"""The HTTP side of apps: authorization page, revocation, keys, and the EHR's screen that opens an app."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import orjson
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from service.practice_ehr import pages
from service.practice_ehr.apps import CLINICIAN, PageRefused, signing_keys
from service.practice_ehr.auth import TokenRefused
from service.practice_ehr.outcome import Refused
from service.practice_ehr.store import Store

if TYPE_CHECKING:
    from service.practice_ehr.server import PracticeServer

ReadForm = Callable[[Request], Awaitable[list[tuple[str, str]]]]
LAUNCH_PATH = "/ehr/launch"


class SigningIn:
    """Routes of one hospital."""

    def __init__(self, practice: PracticeServer, read_form: ReadForm) -> None:
        self._practice, self._apps, self._form = practice, practice.apps, read_form
        self._title = practice.hospital.name or practice.dress.title

    def routes(self) -> list[Route]:
        """What is served besides FHIR and tokens."""
        rules = self._practice.dress.authorization
        return [
            Route(rules.authorize_path, self.authorize, methods=["GET", "POST"]),
            Route(rules.revoke_path, self.revoke, methods=["POST"]),
            Route(rules.jwks_path, self.jwks, methods=["GET"]),
            Route(LAUNCH_PATH, self.launch, methods=["GET"]),
        ]

    async def authorize(self, request: Request) -> Response:
        """Ask, sign in, allow or deny."""
        practice, issuer = self._practice, self._practice.issuer(request)
        try:
            if request.method == "GET":
                handle, asked = self._apps.begin(dict(request.query_params), practice.base(request))
                if asked.wrong:
                    response: Response = _to(self._apps.back(asked, issuer, error=asked.wrong))
                else:
                    response = pages.sign_in(self._title, request.url.path, handle, asked)
            else:
                response = self._posted(await self._form(request), request.url.path, issuer)
        except (PageRefused, Refused) as error:
            words = str(error) if isinstance(error, PageRefused) else "The form cannot be read."
            response = pages.problem(self._title, words)
        practice.note_sign_in(request.method, response.status_code)
        return response

    def _posted(self, form: list[tuple[str, str]], action: str, issuer: str) -> Response:
        values = dict(form)
        handle = values.get("handle", "")
        if values.get("step") == "sign-in":
            asked = self._apps.sign_in(handle, values.get("user", ""), values.get("password", ""))
            if asked is None:
                return pages.sign_in(self._title, action, handle, self._apps.waiting(handle), wrong=True)
            choose = asked.launch is None and asked.user == CLINICIAN and "launch/patient" in asked.scopes
            return pages.consent(self._title, action, handle, asked, _people(self._practice.store) if choose else [])
        if values.get("answer") != "allow":
            return _to(self._apps.deny(handle, issuer))
        scopes = frozenset(v for n, v in form if n == "scope")
        patient = values.get("patient", "")
        known = self._practice.store.get("Patient", patient) is not None
        return _to(self._apps.allow(handle, scopes, patient if known else "", issuer))

    async def revoke(self, request: Request) -> Response:
        """The revocation endpoint."""
        status = 200
        try:
            form = dict(await self._form(request))
            self._apps.revoke(form, request.headers.get("authorization", ""), self._practice.token_url(request))
        except TokenRefused as error:
            status = error.status
        except Refused as error:
            status = error.reply.status
        self._practice.note_sign_in("POST", status, "revoke")
        return Response(b"", status)

    async def jwks(self, request: Request) -> Response:
        """The keys that id_tokens are signed with."""
        self._practice.note_sign_in("GET", 200, "jwks")
        return Response(orjson.dumps(signing_keys()), media_type="application/json")

    async def launch(self, request: Request) -> Response:
        """The EHR's screen: `?client_id=&patient=&encounter=` opens that app for that patient."""
        values = request.query_params
        app, patient = self._apps.app(values.get("client_id", "")), values.get("patient", "")
        if app is None or not app.launch_url or self._practice.store.get("Patient", patient) is None:
            return pages.problem(self._title, "There is no such app or patient.")
        launch = self._apps.launch(patient, values.get("encounter", ""))
        return _to(f"{app.launch_url}?{urlencode({'iss': self._practice.base(request), 'launch': launch})}")


def _to(url: str) -> Response:
    return RedirectResponse(url, 302, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})


def _people(store: Store) -> list[tuple[str, str]]:
    rows = []
    for patient in store.of_type("Patient"):
        name = (patient.get("name") or [{}])[0]
        words = " ".join([*name.get("given", []), name.get("family", "")])
        rows.append((str(patient["id"]), words or str(patient["id"])))
    return sorted(rows, key=lambda r: r[1])

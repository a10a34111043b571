"""The ASGI application of one practice hospital: routes, authorization, and where faults strike."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC
from email.utils import formatdate
from urllib.parse import parse_qsl

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.practice_ehr.apps import Apps
from service.practice_ehr.auth import AuthorizationServer, TokenRefused, bearer
from service.practice_ehr.capability import capability_statement, smart_configuration
from service.practice_ehr.companion import CompanionServer, error
from service.practice_ehr.dress import Dress, Json, Refusal, applies
from service.practice_ehr.exchange import Exchange, Target, not_for_writing, parse_target
from service.practice_ehr.faults import Fault, Faults
from service.practice_ehr.fhir import FhirServer
from service.practice_ehr.hospital import Hospital, check_resource
from service.practice_ehr.outcome import Refused, Reply, bad_request, refused, reply_of
from service.practice_ehr.query import MOVED
from service.practice_ehr.signing_in import SigningIn
from service.practice_ehr.store import Store
from service.practice_ehr.transport import Cut, Dated, Drip, Endless, Reset
from service.practice_ehr.wear import of_the_dress, wear

MOST_BODY_BYTES = 1_000_000
MOST_SEEN = 100_000
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
LOGIN_PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><form>Please sign in</form></body></html>"
"""What a single sign-on proxy answers with status 200 when a session ended."""


@dataclass(frozen=True)
class Seen:
    """One request of the log; nothing in it can identify a patient."""

    method: str
    resource_type: str
    interaction: str
    status: int
    count: int = 0
    page: int = 1
    fault: str = ""


class PracticeServer:
    """The state of one hospital: store, authorization server, faults, request log."""

    def __init__(self, hospital: Hospital, origin: str | None = None) -> None:
        self.hospital, self.dress = hospital, hospital.worn()
        self.origin = origin
        self.faults = Faults(hospital.faults)
        self.store = Store(self.dress, hospital.loaded_at)
        self.base_path = self.dress.base_path.replace("{tenant}", self.dress.tenant)
        self.store.load([*of_the_dress(self.dress, self.dress.tenant), *self._worn(hospital.resources)])
        self.auth = AuthorizationServer(self.dress, hospital.clients or {}, self.faults)
        self.apps = Apps(
            self.dress.authorization,
            hospital.apps,
            self.auth,
            self.faults,
            lambda name: self.store.get("Patient", name) is not None,
        )
        self.open = hospital.clients is None and not self.apps
        self.requests: list[Seen] = []
        self._fhir = FhirServer(self.dress, self.store)
        rules = self.dress.companion
        self.companion = CompanionServer(rules, self.store, self.dress.tenant) if rules else None

    @property
    def token_calls(self) -> int:
        """Requests the token endpoint got."""
        return sum(seen.interaction == "token" for seen in self.requests)

    def put(self, resource: Json) -> None:
        """Create or replace a resource, dressed like the others."""
        check_resource(resource)
        for worn in self._worn([resource]):
            self.store.put(worn)

    def _worn(self, resources: list[Json]) -> list[Json]:
        base = f"{self.origin}{self.base_path}" if self.origin else ""
        return wear(resources, self.dress, self.dress.tenant, base)

    async def token(self, request: Request) -> Response:
        """The token endpoint. Also answers at the path it moved from: 404, as a retired host would."""
        due = self.faults.due("token", fhir=False)
        response = await self._before(request, due)
        if response is None:
            response = await self._token(request)
        self._note(Seen(request.method, "token", "token", response.status_code, fault=_names(due)))
        return self._below(response, due)

    def base(self, request: Request) -> str:
        """The FHIR base as links have it."""
        return f"{self._origin(request)}{self.base_path}"

    def issuer(self, request: Request) -> str:
        """The authorization server's name."""
        return self._origin(request)

    def token_url(self, request: Request) -> str:
        """Where tokens are given now: what assertions are made for."""
        return f"{self._origin(request)}{self.auth.token_path}"

    def note_sign_in(self, method: str, status: int, what: str = "authorize") -> None:
        """Log a request of the sign-in pages."""
        self._note(Seen(method, what, what, status))

    async def nowhere(self, request: Request) -> Response:
        """Below the base path of a tenant that is not here."""
        refusal = self.dress.unknown_tenant or self.dress.unsupported
        self._note(Seen(request.method, "other", "other", refusal.status))
        return _response(reply_of(refusal, self.dress.content_type))

    async def fhir(self, request: Request) -> Response:
        """Everything below the FHIR base."""
        await asyncio.sleep(self.hospital.latency)
        try:
            target = parse_target(request.method, request.path_params["path"])
            writes = target.interaction in ("create", "update")
            if writes and not self._fhir.writing.offered(target.resource_type, target.interaction):
                raise not_for_writing()
        except Refused as error:
            self._note(Seen(request.method, "other", "other", error.reply.status))
            return _response(error.reply)
        if target.interaction in ("metadata", "smart-configuration"):
            return await self._published(request, target)
        try:
            params = await _params(request, target)
            body = await _body(request) if writes else b""
        except Refused as error:
            self._note(Seen(request.method, target.resource_type, target.interaction, error.reply.status))
            return _response(error.reply)
        page = self._fhir.pages.number(dict(params))
        due = self.faults.due(target.resource_type, target.interaction, page)
        if "expire_token" in due:
            self.auth.revoke(bearer(request.headers.get("authorization", "")))
        response, count = await self._before(request, due) or self._redirect(request, target, params, due), 0
        if response is None:
            reply = self._reply(request, target, params, due, body)
            response, count = _response(reply), reply.count
        seen = Seen(
            request.method, target.resource_type, target.interaction, response.status_code, count, page, _names(due)
        )
        self._note(seen)
        return self._below(response, due)

    def _redirect(
        self, request: Request, target: Target, params: list[tuple[str, str]], due: dict[str, Fault]
    ) -> Response | None:
        """By the dress or by a fault: to the same address with a mark on it, once; or to another host."""
        status = _redirect_status(self.dress, target)
        if "foreign_redirect" in due:
            return Response(b"", due["foreign_redirect"].status or 302, {"Location": "http://elsewhere.invalid/fhir"})
        if "redirect" in due:
            status = due["redirect"].status or 302
        if not status or MOVED in dict(params) or request.method != "GET":
            return None
        url = _url(request, self._origin(request))
        return Response(b"", status, {"Location": f"{url}{'&' if '?' in url else '?'}{MOVED}=1"})

    def _reply(
        self, request: Request, target: Target, params: list[tuple[str, str]], due: dict[str, Fault], body: bytes
    ) -> Reply:
        try:
            grant = None
            if not self.open:
                grant = self.auth.grant(request.headers.get("authorization", ""))
                if grant is None:
                    reply = reply_of(self.dress.authorization.unauthorized, self.dress.content_type)
                    reply.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
                    return reply
            exchange = Exchange(
                target,
                params,
                grant,
                f"{self._origin(request)}{self.base_path}",
                _url(request, self._origin(request)),
                request.headers.get("accept", ""),
                "handling=strict" in request.headers.get("prefer", ""),
                due,
                body,
                request.headers.get("content-type", "").partition(";")[0].strip().lower(),
                request.headers.get("if-none-exist", ""),
                request.headers.get("if-match", ""),
            )
            return self._fhir.answer(exchange)
        except Refused as error:
            return error.reply

    async def rows(self, request: Request) -> Response:
        """Everything below the base of the companion API. Faults name its lists: `appointments`."""
        assert self.companion is not None
        await asyncio.sleep(self.hospital.latency)
        path, params = request.path_params["path"], dict(parse_qsl(request.url.query, keep_blank_values=True))
        name, page = self.companion.find(path)[0] or "other", self.companion.page(params)
        due = self.faults.due(name, "companion", page, fhir=False)
        if "expire_token" in due:
            self.auth.revoke(bearer(request.headers.get("authorization", "")))
        response, count = await self._before(request, due), 0
        if response is None:
            grant = None if self.open else self.auth.grant(request.headers.get("authorization", ""))
            if request.method != "GET":
                reply = error(405, "Method not allowed.")
            elif grant is None and not self.open:
                reply = error(401, "Invalid Access Token")
            else:
                reply = self.companion.answer(path, params, grant.scopes if grant else None, due)
            response, count = _response(reply), reply.count
        self._note(Seen(request.method, name, "companion", response.status_code, count, page, _names(due)))
        return self._below(response, due)

    async def _before(self, request: Request, due: dict[str, Fault]) -> Response | None:
        """Faults that answer instead of the server."""
        if "delay" in due:
            await asyncio.sleep(max(0.0, due["delay"].seconds))
        if "reset" in due:
            return Reset()
        if "status" in due:
            fault = due["status"]
            reply = reply_of(
                Refusal.model_construct(
                    status=fault.status or 503, body=fault.body, code="transient", details="", text=fault.text
                )
            )
            if fault.retry_after is not None:
                reply.headers["Retry-After"] = _retry_after(fault.retry_after, self.auth.now())
            return _response(reply)
        if "html_login" in due:
            return Response(LOGIN_PAGE, 200, media_type="text/html; charset=utf-8")
        return None

    def _below(self, response: Response, due: dict[str, Fault]) -> Response:
        """Faults of the bytes: half a document, a cut connection, a drip."""
        if isinstance(response, Reset):
            return response
        body = bytes(response.body)
        if "truncated_json" in due:
            body = body[: len(body) // 2]
        kind = Cut if "cut" in due else Drip if "drip" in due else Endless if "endless_body" in due else Response
        if kind is Response and len(body) == len(response.body):
            return response
        changed = kind(body, response.status_code, {k: v for k, v in response.headers.items() if k != "content-length"})
        if isinstance(changed, Drip):
            changed.seconds = due["drip"].seconds or 1.0
        return changed

    async def _published(self, request: Request, target: Target) -> Response:
        due = self.faults.due(target.interaction, fhir=False)
        response = await self._before(request, due)
        if response is None:
            origin = self._origin(request)
            token_url = None if self.open else self.auth.published_token_url(origin)
            if target.interaction == "metadata":
                date = self.hospital.loaded_at.astimezone(UTC).isoformat()
                statement = capability_statement(
                    self.dress, f"{origin}{self.base_path}", token_url, date, origin if self.apps else ""
                )
                response = Response(orjson.dumps(statement), media_type=self.dress.content_type)
            elif token_url is None:
                response = _response(bad_request("This server asks for no token.", "not-found", 404).reply)
            else:
                document = smart_configuration(self.dress, token_url, origin if self.apps else "")
                response = Response(orjson.dumps(document), media_type="application/json")
        self._note(
            Seen(request.method, target.interaction, target.interaction, response.status_code, fault=_names(due))
        )
        return self._below(response, due)

    async def _token(self, request: Request) -> Response:
        if self.open or request.url.path != self.auth.token_path:
            return _response(reply_of(Refusal(status=404, body="html", text="Not found")))
        if request.method != "POST":
            return _response(reply_of(Refusal(status=405, body="text", text="POST")), {"Allow": "POST"})
        headers = {"Cache-Control": "no-store", "Pragma": "no-cache"}
        try:
            form = dict(await _form(request))
            if self.apps and form.get("grant_type") in ("authorization_code", "refresh_token"):
                shown = request.headers.get("authorization", "")
                document = self.apps.token(form, shown, self.token_url(request), self.issuer(request))
            else:
                document = self.auth.token(form, self.token_url(request))
            return Response(orjson.dumps(document), 200, headers, "application/json")
        except TokenRefused as error:
            answer = {"error": error.error, "error_description": f"Refused: {error.reason}."}
            return Response(orjson.dumps(answer), error.status, headers, "application/json")
        except Refused as error:
            return Response(orjson.dumps({"error": "invalid_request"}), error.reply.status, headers, "application/json")

    def _origin(self, request: Request) -> str:
        return self.origin or f"{request.url.scheme}://{request.url.netloc}"

    def _note(self, seen: Seen) -> None:
        if len(self.requests) < MOST_SEEN:
            self.requests.append(seen)


def _redirect_status(dress: Dress, target: Target) -> int:
    for rule in dress.redirects:
        if applies(rule.types, target.resource_type) and rule.interaction in ("", target.interaction):
            return rule.status
    return 0


def create_app(hospital: Hospital, *, origin: str | None = None) -> Starlette:
    """The server of `hospital`. `origin`: what its links and the token audience begin with (default: what the client
    called). `app.state.practice` is the PracticeServer."""
    practice = PracticeServer(hospital, origin)
    rules = practice.dress.authorization
    routes = [
        Route(rules.token_path, practice.token, methods=METHODS),
        Route(rules.moved_token_path, practice.token, methods=METHODS),
        Route(practice.base_path + "/{path:path}", practice.fhir, methods=METHODS),
    ]
    if practice.companion:
        routes.append(Route(practice.companion.base_path + "/{path:path}", practice.rows, methods=METHODS))
    if practice.apps:
        routes += SigningIn(practice, _form).routes()
    if "{tenant}" in practice.dress.base_path:
        other = practice.dress.base_path.replace("{tenant}", "{other}")
        routes.append(Route(other + "/{path:path}", practice.nowhere, methods=METHODS))
    app = Starlette(routes=routes)
    app.add_middleware(Dated, clock=practice.auth.now)
    app.state.practice = practice
    return app


def _names(due: dict[str, Fault]) -> str:
    return ",".join(due)


def _response(reply: Reply, headers: dict[str, str] | None = None) -> Response:
    response = Response(reply.body, reply.status, reply.headers | (headers or {}))
    response.headers["Content-Type"] = reply.content_type
    return response


def _url(request: Request, origin: str) -> str:
    query = request.url.query
    return f"{origin}{request.url.path}{'?' + query if query else ''}"


def _retry_after(text: str, now: float) -> str:
    """As given, or the date so many seconds after `now` (Unix time of the hospital's clock)."""
    return formatdate(now + float(text.removeprefix("date:")), usegmt=True) if text.startswith("date:") else text


async def _params(request: Request, target: Target) -> list[tuple[str, str]]:
    params = parse_qsl(request.url.query, keep_blank_values=True)
    if target.interaction == "search" and request.method == "POST":
        params += await _form(request)
    return params


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY_BYTES:
            raise refused(Refusal(status=413, code="too-long", text="The body is too long."))
    return body


async def _form(request: Request) -> list[tuple[str, str]]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise bad_request("The body must be application/x-www-form-urlencoded.", "invalid", 415)
    body = await _body(request)
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=1000)
    except ValueError:
        raise bad_request("The body cannot be read.") from None

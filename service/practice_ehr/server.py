"""The ASGI application of one practice hospital: SMART backend services, search with the dress's paging, faults."""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import orjson
from joserfc import jwk, jwt
from joserfc.errors import JoseError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from service.practice_ehr.dress import Refusal
from service.practice_ehr.faults import Fault, Faults
from service.practice_ehr.hospital import CONTROL, SEARCH_PARAMS, BadSearch, Hospital

Json = dict[str, Any]
TOKEN_SECONDS = 300
_PAGE_PARAMS = {"session": "sessionID", "page_context": "-pageContext", "cursor": "cursor", "page": "page"}
_LOGIN = "<!DOCTYPE html><html><head><title>Sign in</title></head><body><form>Please sign in</form></body></html>"


@dataclass
class Seen:
    """One request, without anything that could identify a patient."""

    method: str
    resource_type: str
    status: int = 0
    fault: str = ""


@dataclass
class State:
    """What a running practice hospital remembers."""

    hospital: Hospital
    faults: Faults
    tokens: dict[str, tuple[float, frozenset[str], str]] = field(default_factory=dict)
    used_jti: set[str] = field(default_factory=set)
    sessions: dict[str, tuple[list[Json], int, int]] = field(default_factory=dict)
    requests: list[Seen] = field(default_factory=list)
    token_calls: int = 0
    token_path: str = "/oauth2/token"  # noqa: S105  a path
    reduce_scopes: frozenset[str] = frozenset()
    revoked: bool = False


def create_app(hospital: Hospital, faults: Faults | None = None) -> Starlette:
    """The server of `hospital`; `app.state.ehr` is its State."""
    app = Starlette(
        routes=[
            Route("/fhir/.well-known/smart-configuration", _smart_configuration),
            Route("/fhir/metadata", _metadata),
            Route("/{path:path}/token", _token, methods=["POST"]),
            Route("/fhir/{kind}", _search, methods=["GET"]),
            Route("/fhir/{kind}/_search", _search, methods=["POST"]),
            Route("/fhir/{kind}/{ident}", _read, methods=["GET"]),
        ]
    )
    app.state.ehr = State(hospital, faults or Faults())
    return app


def _state(request: Request) -> State:
    state: State = request.app.state.ehr
    return state


def _base(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}/fhir"


def _outcome(
    status: int, code: str, text: str, content_type: str = "application/fhir+json", details: str = ""
) -> Response:
    issue: Json = {"severity": "error", "code": code, "diagnostics": text}
    if details:
        issue["details"] = {"coding": [{"code": details}], "text": text}
    return Response(
        orjson.dumps({"resourceType": "OperationOutcome", "issue": [issue]}), status, media_type=content_type
    )


def _refuse(refusal: Refusal) -> Response:
    if refusal.body == "html":
        return HTMLResponse("<html><body><h1>Not found</h1></body></html>", refusal.status)
    if refusal.body == "text":
        return PlainTextResponse(refusal.text, refusal.status)
    if refusal.body == "empty":
        return Response(b"", refusal.status)
    return _outcome(refusal.status, "forbidden" if refusal.status == 403 else "not-supported", refusal.text)


async def _smart_configuration(request: Request) -> Response:
    state = _state(request)
    root = _base(request).removesuffix("/fhir")
    v2 = state.hospital.dress.smart_v2
    document = {
        "token_endpoint": root + state.token_path,
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(state.hospital.dress.algorithms),
        "grant_types_supported": ["client_credentials"],
        "capabilities": ["client-confidential-asymmetric", "permission-v2" if v2 else "permission-v1"],
        "scopes_supported": [f"system/{t}.{'rs' if v2 else 'read'}" for t in state.hospital.types],
    }
    return Response(orjson.dumps(document), media_type="application/json")


async def _metadata(request: Request) -> Response:
    state = _state(request)
    root = _base(request).removesuffix("/fhir")
    dress = state.hospital.dress
    resources = [
        {
            "type": kind,
            "interaction": [{"code": "read"}, {"code": "search-type"}],
            "searchParam": [{"name": n, "type": "token"} for n in SEARCH_PARAMS[kind]],
        }
        for kind in state.hospital.types
    ]
    uris = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
    statement = {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-10-01",
        "kind": "instance",
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "software": {"name": dress.software, "version": "2026.10"},
        "rest": [
            {
                "mode": "server",
                "security": {
                    "extension": [{"url": uris, "extension": [{"url": "token", "valueUri": root + state.token_path}]}]
                },
                "resource": resources,
            }
        ],
    }
    return Response(orjson.dumps(statement), media_type=dress.content_type)


async def _token(request: Request) -> Response:
    """Backend services: the assertion is really verified (signature, audience, life time, replay)."""
    state = _state(request)
    if request.url.path != state.token_path:
        return HTMLResponse("<html><body>moved</body></html>", 404)
    state.token_calls += 1
    form = await request.form()
    assertion, scope = str(form.get("client_assertion", "")), str(form.get("scope", ""))
    problem = (
        _check_assertion(state, request, assertion)
        if form.get("grant_type") == "client_credentials"
        else "invalid_grant"
    )
    if problem or state.revoked:
        return Response(orjson.dumps({"error": problem or "invalid_client"}), 400, media_type="application/json")
    allowed = []
    for wanted in scope.split():
        kind = wanted.partition("/")[2].partition(".")[0]
        if (
            kind in state.hospital.types
            and kind not in state.hospital.dress.forbidden
            and kind not in state.reduce_scopes
        ):
            allowed.append(wanted)
    if not allowed:
        return Response(orjson.dumps({"error": "invalid_scope"}), 400, media_type="application/json")
    token = secrets.token_urlsafe(32)
    kinds = frozenset(s.partition("/")[2].partition(".")[0] for s in allowed)
    state.tokens[token] = (time.time() + TOKEN_SECONDS, kinds, "")
    answer = {"access_token": token, "token_type": "bearer", "expires_in": TOKEN_SECONDS, "scope": " ".join(allowed)}
    return Response(orjson.dumps(answer), media_type="application/json", headers={"Cache-Control": "no-store"})


def _check_assertion(state: State, request: Request, assertion: str) -> str:
    """'' or the OAuth error."""
    try:
        header = orjson.loads(base64.urlsafe_b64decode(assertion.split(".")[0] + "=="))
        payload = orjson.loads(base64.urlsafe_b64decode(assertion.split(".")[1] + "=="))
    except (ValueError, IndexError):
        return "invalid_request"
    keys = state.hospital.clients.get(str(payload.get("sub")), [])
    row = next((k for k in keys if k.get("kid") == header.get("kid")), None)
    if row is None or header.get("alg") not in state.hospital.dress.algorithms:
        return "invalid_client"
    try:
        claims = jwt.decode(assertion, jwk.import_key(row), algorithms=[str(header["alg"])]).claims
    except (JoseError, ValueError):
        return "invalid_client"
    now, jti = time.time(), str(claims.get("jti", ""))
    audience = f"{_base(request).removesuffix('/fhir')}{state.token_path}"
    fresh = now - 60 < float(claims.get("exp", 0)) <= now + 360
    if (
        claims.get("iss") != claims.get("sub")
        or claims.get("aud") != audience
        or not fresh
        or not jti
        or len(jti) > 151
    ):
        return "invalid_client"
    if jti in state.used_jti:
        return "invalid_client"
    state.used_jti.add(jti)
    return ""


def _authorize(request: Request, state: State, kind: str) -> Response | None:
    if not state.hospital.clients:
        return None
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    known = state.tokens.get(token)
    if scheme.lower() != "bearer" or known is None or known[0] < time.time():
        return _outcome(401, "login", "invalid or expired token")
    if kind not in known[1]:
        return _refuse(state.hospital.dress.scope_refusal)
    return None


async def _gate(request: Request, kind: str) -> tuple[Response | None, list[Fault], Seen]:
    """Authorization and the faults that replace an answer."""
    state = _state(request)
    seen = Seen(request.method, kind)
    state.requests.append(seen)
    due = state.faults.due(kind)
    for fault in due:
        seen.fault = fault.kind
        if fault.kind == "expire_token":
            state.tokens.clear()
        elif fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
    refused = _authorize(request, state, kind)
    if refused is not None:
        return refused, due, seen
    for fault in due:
        if fault.kind == "status":
            headers = {"Retry-After": fault.retry_after} if fault.retry_after is not None else {}
            response = _outcome(fault.status, "transient", "simulated")
            response.headers.update(headers)
            return response, due, seen
        if fault.kind == "html_login":
            return HTMLResponse(_LOGIN), due, seen
        if fault.kind == "operation_outcome":
            return _outcome(200, "processing", "simulated"), due, seen
        if fault.kind == "drip":
            return StreamingResponse(_drip(), media_type="application/fhir+json"), due, seen
        if fault.kind == "reset":
            return StreamingResponse(_reset(), media_type="application/fhir+json"), due, seen
    if kind not in state.hospital.types:
        return _refuse(state.hospital.dress.refusal), due, seen
    return None, due, seen


async def _drip() -> AsyncIterator[bytes]:
    for byte in b'{"resourceType":"Bundle","entry":[' + b" " * 100_000:
        yield bytes([byte])
        await asyncio.sleep(1)


async def _reset() -> AsyncIterator[bytes]:
    yield b'{"resourceType":"Bundle",'
    raise ConnectionResetError("simulated")


async def _read(request: Request) -> Response:
    kind, ident = request.path_params["kind"], request.path_params["ident"]
    response, _, seen = await _gate(request, kind)
    if response is None:
        state = _state(request)
        resource = state.hospital.read(kind, ident)
        if resource is None:
            response = _outcome(404, "not-found", "no such resource")
        elif kind == "Binary" and "json" not in request.headers.get("accept", "json"):
            response = Response(base64.b64decode(resource["data"]), media_type=resource.get("contentType"))
        else:
            response = Response(orjson.dumps(resource), media_type=state.hospital.dress.content_type)
    seen.status = response.status_code
    return response


async def _search(request: Request) -> Response:
    kind = request.path_params["kind"]
    response, due, seen = await _gate(request, kind)
    if response is None:
        response = await _answer(request, kind, due)
    seen.status = response.status_code
    return response


async def _answer(request: Request, kind: str, due: list[Fault]) -> Response:
    state = _state(request)
    dress, hospital = state.hospital.dress, state.hospital
    params = list(request.query_params.multi_items())
    if request.method == "POST":
        params += [(k, str(v)) for k, v in (await request.form()).multi_items()]
    query = dict(params)
    marker = _PAGE_PARAMS[dress.paging]
    if marker in query:
        session = state.sessions.get(query[marker].rpartition("~")[0])
        if session is None or any(f.kind == "dead_link" for f in due):
            return _outcome(404, "not-found", "the page is gone")
        found, size, _ = session
        offset = int(query[marker].rpartition("~")[2])
        return _page(request, kind, found, size, offset, query[marker].rpartition("~")[0], due)
    if dress.required_param and kind != "Patient" and query.get(dress.required_param) != dress.required_value:
        return _outcome(400, "required", f"{dress.required_param} is required")
    if kind in dress.required_category and "category" not in query and "_id" not in query:
        return _outcome(400, "required", "category or code is required", details="code:required")
    try:
        size = max(1, min(int(query.get("_count", dress.default_count)), dress.max_count))
        plain = [(n, v) for n, v in params if n not in CONTROL]
        if not plain:
            return _outcome(400, "required", "a search needs a parameter")
        found = hospital.search(kind, plain)
    except BadSearch as error:
        return _outcome(400, "not-supported", str(error))
    except ValueError:
        return _outcome(400, "invalid", "_count")
    if "Provenance:target" in query.get("_revinclude", "") and "Provenance" in hospital.types:
        found = [*found, *hospital.provenance(found)]
    session_id = secrets.token_hex(8)
    state.sessions[session_id] = (found, size, len(found))
    return _page(request, kind, found, size, 0, session_id, due)


def _page(
    request: Request, kind: str, found: list[Json], size: int, offset: int, session: str, due: list[Fault]
) -> Response:
    state = _state(request)
    dress, base = state.hospital.dress, _base(request)
    kinds = {f.kind: f for f in due}
    part = found[offset : offset + size]
    if "duplicates" in kinds and offset:
        part = [*found[max(0, offset - size) : offset], *part]
    if "empty_page" in kinds and offset == 0:
        part, size = [], 0
    marker = _PAGE_PARAMS[dress.paging]
    follow = f"{session}~{offset + size}" if offset + size < len(found) or "empty_page" in kinds else ""
    link = f"{base}/{kind}?{urlencode({marker: follow})}" if follow else ""
    if "empty_page" in kinds:
        state.faults.items = [f for f in state.faults.items if f.kind != "empty_page"]
        link = f"{base}/{kind}?{urlencode({marker: f'{session}~0'})}"
    link = _trap(kinds, link, str(request.url), base, kind, marker, session, offset)
    entries: list[Any] = [{"fullUrl": f"{base}/{r['resourceType']}/{r['id']}", "resource": r} for r in part]
    if dress.outcome_in_searchset:
        issue = {"severity": "warning", "code": "suppressed", "diagnostics": "search applies to a sub-resource"}
        entries.append(
            {"resource": {"resourceType": "OperationOutcome", "issue": [issue]}, "search": {"mode": "outcome"}}
        )
    if "bad_entry" in kinds:
        entries += [{"resource": "text"}, {}, {"resource": {"resourceType": kind}}, {"resource": {"id": "x"}}]
    if "wrong_resource" in kinds:
        entries.append({"resource": {"resourceType": "Basic", "id": "b1"}})
    if "huge_line" in kinds and entries:
        entries[0]["resource"] = entries[0]["resource"] | {"text": {"div": "x" * 5_000_000}}
    bundle: Json = {"resourceType": "Bundle", "type": "searchset", "entry": entries}
    if dress.total:
        bundle["total"] = len(found)
    if link:
        bundle["link"] = [{"relation": "self", "url": str(request.url)}, {"relation": "next", "url": link}]
    if not entries:
        bundle.pop("entry")
    body = orjson.dumps(bundle)
    if "truncated_json" in kinds:
        body = body[: len(body) // 2]
    if "deep" in kinds:
        body = b'{"resourceType":"Bundle","x":' + b"[" * 10_000 + b"]" * 10_000 + b"}"
    return Response(body, media_type=dress.content_type)


def _trap(
    kinds: dict[Any, Fault], link: str, here: str, base: str, kind: str, marker: str, session: str, offset: int
) -> str:
    """The next link with a paging fault on it."""
    if "self_loop" in kinds:
        return here
    if "a_b_a" in kinds:
        return f"{base}/{kind}?{urlencode({marker: f'{session}~{0 if offset else 1}'})}"
    if "endless" in kinds:
        return f"{base}/{kind}?{urlencode({marker: f'{session}~0', 'fresh': secrets.token_hex(4)})}"
    if "long_link" in kinds and link:
        return f"{link}&pad={'x' * 8_200}"
    if "foreign_link" in kinds and link:
        return link.replace("127.0.0.1", "127.0.0.2")
    return link

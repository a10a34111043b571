"""Apps that people let into their records: launches, sign-in and consent, codes, rotating refresh tokens, id_tokens.

https://hl7.org/fhir/smart-app-launch/app-launch.html . A code is good once, for the redirect URI and the PKCE challenge
it was made for; a refresh token is good once, and using it twice ends the whole authorization (RFC 9700, 4.14.2), except once more within
the grace period of servers that have one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any
from urllib.parse import unquote, urlencode

from joserfc import jwk, jwt

from service.practice_ehr.auth import ASSERTION_TYPE, AuthorizationServer, Grant, TokenRefused
from service.practice_ehr.dress import Authorization, Json
from service.practice_ehr.faults import Faults
from service.practice_ehr.hospital import App

CLINICIAN = "clinician"
PASSWORD = "practice"  # noqa: S105  nobody in here exists
"""Signs in everybody: the clinician, and each patient under their own id."""
CONTEXT_SCOPES = ("launch", "launch/patient", "openid", "fhirUser", "profile", "offline_access", "online_access")
MOST_WAITING = 1000


class PageRefused(Exception):
    """The request cannot be answered by a redirect, because where to is not known or not allowed: an error page."""


@dataclass(frozen=True)
class Handover:
    """What the EHR's screen knows when it opens an app."""

    patient: str
    encounter: str
    user: str
    expires_at: float


@dataclass(frozen=True)
class Asked:
    """An authorization request whose client and redirect URI are registered."""

    client_id: str
    redirect_uri: str
    state: str
    scopes: tuple[str, ...]
    challenge: str
    nonce: str
    launch: Handover | None = None
    user: str = ""
    wrong: str = ""
    """The OAuth error that it is answered with instead of a page."""


@dataclass(frozen=True)
class Code:
    """What an authorization code stands for."""

    asked: Asked
    granted: tuple[str, ...]
    patient: str
    expires_at: float
    family: str = field(default_factory=lambda: uuid.uuid4().hex)


class Apps:
    """The sign-in page's memory, and what the token endpoint gives for codes and refresh tokens."""

    def __init__(
        self,
        rules: Authorization,
        apps: Mapping[str, App],
        server: AuthorizationServer,
        faults: Faults,
        is_patient: Callable[[str], bool],
    ) -> None:
        self._rules, self._server, self._faults, self._is_patient = rules, server, faults, is_patient
        self._apps: dict[str, App] = {}
        self._lock = threading.RLock()
        self._launches: dict[str, Handover] = {}
        self._waiting: dict[str, Asked] = {}
        self._codes: dict[str, Code] = {}
        self._refresh: dict[str, Code] = {}
        self._used: dict[str, str] = {}
        self._spent: dict[str, tuple[Code, float]] = {}
        """Refresh tokens that were used, and until when they are answered once more."""
        self._dead: set[str] = set()
        for client_id, app in apps.items():
            self.register(client_id, app)

    def __bool__(self) -> bool:
        return bool(self._apps)

    def register(self, client_id: str, app: App) -> None:
        """Register an app, or change it."""
        self._apps[client_id] = app
        if app.keys:
            self._server.register(client_id, app.keys, backend=False)

    def app(self, client_id: str) -> App | None:
        """A registered app."""
        return self._apps.get(client_id)

    def launch(self, patient: str, encounter: str = "", user: str = CLINICIAN) -> str:
        """A launch as the EHR's screen hands it to an app: opaque, good once, for a short time."""
        launch = secrets.token_urlsafe(24)
        with self._lock:
            self._launches[launch] = Handover(patient, encounter, user, self._server.now() + self._rules.launch_seconds)
        return launch

    def revoke_authorizations(self) -> None:
        """Every authorization given so far is withdrawn, as a patient does in the portal; access tokens live on."""
        with self._lock:
            self._dead |= {code.family for code in self._refresh.values()}

    # The sign-in page ------------------------------------------------------------------------------------------------

    def begin(self, params: Mapping[str, str], base: str) -> tuple[str, Asked]:
        """A handle for the pages, and what was asked. Raises PageRefused; what can be told to the app is in `wrong`."""
        app = self._apps.get(params.get("client_id", ""))
        if app is None or params.get("redirect_uri", "") not in app.redirect_uris:
            raise PageRefused("The app or its address is not registered.")
        fault = self._faults.standing("authorize_error")
        launch = params.get("launch", "")
        handover = self._launches.pop(launch, None) if launch else None
        late = handover is None or handover.expires_at <= self._server.now() or self._faults.standing("launch_expired")
        scopes = tuple(params.get("scope", "").split())
        wrong = ""
        if params.get("response_type") != "code":
            wrong = "unsupported_response_type"
        elif (
            params.get("code_challenge_method") != "S256"
            or len(params.get("code_challenge", "")) != 43
            or params.get("aud") != (f"{base}/" if self._rules.aud_slash else base)
            or ("launch" in scopes) != bool(launch)
            or (launch and late)
        ):
            wrong = "invalid_request"
        elif not self._offered(scopes):
            wrong = "invalid_scope"
        if fault:
            wrong = fault.text if fault.text != "Practice fault." else "access_denied"
        asked = Asked(
            params["client_id"],
            params["redirect_uri"],
            params.get("state", ""),
            scopes,
            params.get("code_challenge", ""),
            params.get("nonce", ""),
            handover,
            wrong=wrong,
        )
        handle = secrets.token_urlsafe(24)
        if not wrong:
            self._keep(handle, asked)
        return handle, asked

    def _keep(self, handle: str, asked: Asked) -> None:
        with self._lock:
            while len(self._waiting) >= MOST_WAITING:
                self._waiting.pop(next(iter(self._waiting)))
            self._waiting[handle] = asked

    def waiting(self, handle: str) -> Asked:
        """The request a page belongs to; raises PageRefused."""
        asked = self._waiting.get(handle)
        if asked is None:
            raise PageRefused("This page has ended. Begin again from the app.")
        return asked

    def sign_in(self, handle: str, user: str, password: str) -> Asked | None:
        """The request with its user; None when the name or the password is wrong, or not of whom the EHR launched for."""
        asked = self.waiting(handle)
        known = user == CLINICIAN or self._is_patient(user)
        if not known or not hmac.compare_digest(password.encode(), PASSWORD.encode()):
            return None
        if asked.launch is not None and user != asked.launch.user:
            return None
        signed = replace(asked, user=user)
        self._keep(handle, signed)
        return signed

    def deny(self, handle: str, issuer: str) -> str:
        """Where a person goes who says no."""
        return self.back(self._end(handle), issuer, error="access_denied")

    def allow(self, handle: str, scopes: frozenset[str], patient: str, issuer: str) -> str:
        """Where a person goes who says yes to these scopes, for this patient where they may choose."""
        asked = self._end(handle)
        if not asked.user:
            raise PageRefused("Nobody has signed in.")
        who = asked.launch.patient if asked.launch else patient if asked.user == CLINICIAN else asked.user
        granted = tuple(s for s in self._offered(asked.scopes) if s in scopes)
        if not any("/" in s and s != "launch/patient" for s in granted):
            return self.back(asked, issuer, error="access_denied")
        code = secrets.token_urlsafe(32)
        with self._lock:
            self._codes[code] = Code(asked, granted, who, self._server.now() + self._rules.code_seconds)
        return self.back(asked, issuer, code=code)

    def back(self, asked: Asked, issuer: str, **answer: str) -> str:
        """The redirect to the app, with the issuer's name (RFC 9207)."""
        if self._faults.standing("issuer_foreign"):
            issuer = "https://elsewhere.invalid"
        params = answer | ({"state": asked.state} if asked.state else {}) | {"iss": issuer}
        return f"{asked.redirect_uri}{'&' if '?' in asked.redirect_uri else '?'}{urlencode(params)}"

    def _end(self, handle: str) -> Asked:
        asked = self.waiting(handle)
        with self._lock:
            self._waiting.pop(handle, None)
        return asked

    def _offered(self, scopes: tuple[str, ...]) -> tuple[str, ...]:
        resources, _, _ = self._server.granted(scopes, {"patient", "user"})
        return (*(s for s in scopes if s in CONTEXT_SCOPES), *resources) if resources else ()

    # The token endpoint ----------------------------------------------------------------------------------------------

    def token(self, form: dict[str, str], authorization: str, endpoint: str, issuer: str) -> Json:
        """Answer a code or a refresh token; raises TokenRefused."""
        client_id = self._client(form, authorization, endpoint)
        if form["grant_type"] == "authorization_code":
            return self._for_code(client_id, form, issuer)
        return self._for_refresh(client_id, form.get("refresh_token", ""))

    def revoke(self, form: dict[str, str], authorization: str, endpoint: str) -> None:
        """RFC 7009: an unknown token is as good as revoked."""
        self._client(form, authorization, endpoint)
        token = form.get("token", "")
        with self._lock:
            code = self._refresh.pop(token, None)
            if code is not None:
                self._kill(code.family)
        self._server.revoke(token)

    def _client(self, form: dict[str, str], authorization: str, endpoint: str) -> str:
        """The app that asks, as it is registered to show who it is."""
        if form.get("client_assertion_type") == ASSERTION_TYPE:
            client_id = self._server.verify(form.get("client_assertion", ""), endpoint)
        elif authorization[:6].lower() == "basic ":
            client_id, secret = _basic(authorization[6:])
            app = self._apps.get(client_id)
            if app is None or not app.secret or not hmac.compare_digest(app.secret.encode(), secret.encode()):
                raise TokenRefused("invalid_client", "secret", 401)
        else:
            client_id = form.get("client_id", "")
            app = self._apps.get(client_id)
            if app is None or app.confidential:
                raise TokenRefused("invalid_client", "client", 401)
        if client_id not in self._apps:
            raise TokenRefused("unauthorized_client", "client")
        return client_id

    def _for_code(self, client_id: str, form: dict[str, str], issuer: str) -> Json:
        given = form.get("code", "")
        with self._lock:
            code = self._codes.pop(given, None)
            if code is None:
                family = self._used.get(given)
                if family:  # RFC 6749, 4.1.2: what a code gave dies when it comes again
                    self._kill(family)
                raise TokenRefused("invalid_grant", "code")
            self._used[given] = code.family
        asked = code.asked
        proof = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).decode()
        if not hmac.compare_digest(proof.rstrip("="), asked.challenge):
            raise TokenRefused("invalid_grant", "code_verifier")
        if client_id != asked.client_id or form.get("redirect_uri") != asked.redirect_uri:
            raise TokenRefused("invalid_grant", "redirect_uri")
        if code.expires_at <= self._server.now() or self._faults.standing("code_refused"):
            raise TokenRefused("invalid_grant", "code")
        answer = self._tokens(client_id, code)
        if "openid" in code.granted:
            spoiled = self._faults.standing("id_token_spoiled")
            if spoiled is None or spoiled.text != "missing":
                answer["id_token"] = self._id_token(code, issuer, spoiled.text if spoiled else "")
        return answer

    def _for_refresh(self, client_id: str, given: str) -> Json:
        with self._lock:
            code = self._refresh.pop(given, None)
            if code is not None:
                self._spent[given] = (code, self._server.now() + self._rules.refresh_grace_seconds)
            else:
                code, until = self._spent.pop(given, (None, 0.0))
                code = code if self._server.now() < until else None
            if code is None:
                family = self._used.get(given)
                if family:
                    self._kill(family)
                raise TokenRefused("invalid_grant", "refresh_token")
            self._used[given] = code.family
            if code.asked.client_id != client_id:
                self._kill(code.family)
            if code.family in self._dead or self._faults.standing("refresh_revoked"):
                raise TokenRefused("invalid_grant", "refresh_token")
            return self._tokens(client_id, code)

    def _tokens(self, client_id: str, code: Code) -> Json:
        """An access token, its context, and a refresh token where there may be one."""
        _, readable, searchable = self._server.granted(code.granted, {"patient", "user"})
        whole = any(s.startswith("user/") for s in code.granted)
        grant = Grant(client_id, readable, searchable, 0, "" if whole else code.patient, code.family)
        answer = self._server.issue(grant, code.granted)
        if code.patient:
            answer["patient"] = code.patient
        if code.asked.launch and code.asked.launch.encounter:
            answer["encounter"] = code.asked.launch.encounter
        rule = self._rules.refresh_tokens
        may = rule == "all" or (rule == "confidential" and self._apps[client_id].confidential)
        if may and {"offline_access", "online_access"} & set(code.granted):
            answer["refresh_token"] = secrets.token_urlsafe(32)
            with self._lock:
                self._refresh[answer["refresh_token"]] = code
        return answer

    def _kill(self, family: str) -> None:
        self._dead.add(family)
        self._server.end_family(family)

    def _id_token(self, code: Code, issuer: str, spoiled: str) -> str:
        now, user = int(self._server.now()), code.asked.user
        claims: dict[str, Any] = {
            "iss": "https://elsewhere.invalid" if spoiled == "iss" else issuer,
            "sub": hashlib.sha256(user.encode()).hexdigest()[:32],
            "aud": "another-client" if spoiled == "aud" else code.asked.client_id,
            "iat": now,
            "exp": now - 3600 if spoiled == "exp" else now + 300,
        }
        if code.asked.nonce:
            claims["nonce"] = "another" if spoiled == "nonce" else code.asked.nonce
        if "fhirUser" in code.granted:
            claims["fhirUser"] = f"Practitioner/{user}" if user == CLINICIAN else f"Patient/{user}"
        if spoiled == "alg":  # what everybody can read taken for a shared secret
            secret = jwk.OctKey.import_key(str(signing_key().as_dict(private=False)["n"]))
            return jwt.encode({"alg": "HS256", "kid": signing_key().kid}, claims, secret, algorithms=["HS256"])
        key = jwk.RSAKey.generate_key(2048, auto_kid=False) if spoiled == "signature" else signing_key()
        return jwt.encode({"alg": "RS256", "kid": signing_key().kid}, claims, key, algorithms=["RS256"])


@cache
def signing_key() -> jwk.RSAKey:
    """What id_tokens are signed with: one key a process, made at first use."""
    return jwk.RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)


def signing_keys() -> Json:
    """Its public half, as a JWKS."""
    return {"keys": [dict(signing_key().as_dict(private=False))]}


def _basic(text: str) -> tuple[str, str]:
    """Client id and secret of an Authorization header (RFC 6749, 2.3.1)."""
    try:
        name, _, secret = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise TokenRefused("invalid_client", "header", 401) from None
    return unquote(name), unquote(secret)

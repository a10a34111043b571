"""The hospital's authorization server: SMART backend services, with the client's assertion really verified.

https://hl7.org/fhir/smart-app-launch/backend-services.html : `client_credentials` with a JWT signed by the client's
registered key (RS384 or ES384), `iss` = `sub` = client_id, `aud` = the token endpoint, at most five minutes to live,
`jti` used once.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

import orjson
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from service.practice_ehr.dress import Dress, Json
from service.practice_ehr.faults import Faults

ALGORITHMS = ["RS384", "ES384"]
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST_ASSERTION_SECONDS = 300
LEEWAY_SECONDS = 10
_SCOPE = re.compile(r"^(system|user|patient)/(\*|[A-Za-z]+)\.(read|write|\*|c?r?u?d?s?)$")


@dataclass(frozen=True)
class Grant:
    """What a token is good for."""

    client_id: str
    types: frozenset[str]
    search: frozenset[str]
    expires_at: float
    patient: str = ""
    """The only patient it is good for; empty: all."""
    family: str = ""
    """What it dies with: the authorization it came from."""
    scopes: tuple[str, ...] = ()


class TokenRefused(Exception):
    """The token request is refused with an OAuth error; `reason` says which check failed, without values."""

    def __init__(self, error: str, reason: str, status: int = 400) -> None:
        super().__init__(f"{error}: {reason}")
        self.error, self.reason, self.status = error, reason, status


class AuthorizationServer:
    """Clients, tokens and assertions seen. Clients can be registered and tokens revoked while it runs."""

    def __init__(
        self, dress: Dress, clients: dict[str, list[Json]], faults: Faults, clock: Callable[[], float] = time.time
    ) -> None:
        self._rules, self._types = dress.authorization, tuple(dress.types)
        self._writes = frozenset(dress.writes)
        self._companion = dress.companion.scope if dress.companion else ""
        self._faults, self._clock = faults, clock
        self._clients = {name: list(keys) for name, keys in clients.items()}
        self._backends = set(clients)
        self._tokens: dict[str, Grant] = {}
        self._used: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()

    def register(self, client_id: str, keys: Iterable[Json], *, backend: bool = True) -> None:
        """Register a client with its public JWKs, or replace them. `backend`: it may ask for tokens by itself."""
        with self._lock:
            self._clients[client_id] = list(keys)
            self._backends |= {client_id} if backend else set()

    def revoke_tokens(self) -> None:
        """Every token given so far is dead."""
        with self._lock:
            self._tokens.clear()

    def revoke(self, token: str) -> None:
        """One token is dead."""
        with self._lock:
            self._tokens.pop(token, None)

    @property
    def token_path(self) -> str:
        """Where tokens are given now."""
        return self._rules.moved_token_path if self._faults.standing("token_moved") else self._rules.token_path

    def published_token_url(self, origin: str) -> str:
        """Where discovery says that tokens are given."""
        return f"{'http://elsewhere.invalid' if self._faults.standing('token_foreign') else origin}{self.token_path}"

    def now(self) -> float:
        """The hospital's clock."""
        skew = self._faults.standing("clock_skew")
        return self._clock() + (skew.seconds if skew else 0.0)

    def token(self, form: dict[str, str], endpoint: str) -> Json:
        """Answer a token request; raises TokenRefused."""
        if form.get("grant_type") != "client_credentials":
            raise TokenRefused("unsupported_grant_type", "grant_type")
        if form.get("client_assertion_type") != ASSERTION_TYPE or not form.get("client_assertion"):
            raise TokenRefused("invalid_request", "client_assertion")
        client_id = self.verify(form["client_assertion"], endpoint)
        if client_id not in self._backends:
            raise TokenRefused("unauthorized_client", "grant_type")
        scopes, readable, searchable = self.granted(form.get("scope", "").split(), {"system"})
        if not scopes:
            raise TokenRefused("invalid_scope", "scope")
        return self.issue(Grant(client_id, readable, searchable, 0), scopes)

    def issue(self, grant: Grant, scopes: Iterable[str]) -> Json:
        """A new access token, as the token endpoint tells it."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            life = self._rules.token_seconds
            self._tokens[token] = replace(grant, expires_at=self.now() + life, scopes=tuple(scopes))
        return {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": self._rules.token_seconds,
            "scope": " ".join(scopes),
        }

    def end_family(self, family: str) -> None:
        """Every access token of one authorization is dead."""
        with self._lock:
            self._tokens = {t: g for t, g in self._tokens.items() if g.family != family}

    def grant(self, authorization: str) -> Grant | None:
        """What the bearer token of an Authorization header allows; None when it is missing, unknown or expired."""
        token = bearer(authorization)
        with self._lock:
            grant = self._tokens.get(token)
        if grant is None or grant.expires_at <= self.now() or self._faults.standing("revoked_client"):
            return None
        return grant

    def verify(self, assertion: str, endpoint: str) -> str:
        """The client that signed an assertion for this endpoint; raises TokenRefused."""
        claims = self._signed_claims(assertion)
        client_id, jti, now = str(claims.get("sub", "")), claims.get("jti"), self.now()
        if self._faults.standing("revoked_client"):
            raise self._invalid("revoked")
        if claims.get("iss") != client_id:
            raise self._invalid("iss")
        audience = claims.get("aud")
        if endpoint not in (audience if isinstance(audience, list) else [audience]):
            raise self._invalid("aud")
        expires = _number(claims.get("exp"))
        if (
            expires is None
            or expires <= now - LEEWAY_SECONDS
            or expires > now + LONGEST_ASSERTION_SECONDS + LEEWAY_SECONDS
        ):
            raise self._invalid("exp")
        for name in ("nbf", "iat"):
            when = _number(claims.get(name))
            if name in claims and (when is None or when > now + LEEWAY_SECONDS):
                raise self._invalid(name)
        if not isinstance(jti, str) or not jti or len(jti) > self._rules.jti_max:
            raise self._invalid("jti")
        self._use_once(client_id, jti, expires, now)
        return client_id

    def _signed_claims(self, assertion: str) -> dict[str, Any]:
        """Claims of an assertion whose signature is that of a registered key of the client it names."""
        try:
            parts = jws.extract_compact(assertion.encode("ascii"))
            unverified = orjson.loads(parts.payload)
            client_id = unverified.get("sub") if isinstance(unverified, dict) else None
            with self._lock:
                keys = self._clients.get(client_id) if isinstance(client_id, str) else None
            if not keys:
                raise self._invalid("client")
            row = [k for k in keys if k.get("kid") == parts.headers().get("kid")]
            if not row:
                raise self._invalid("kid")
            # Only the key's own type can verify: an RSA key never checks an ES384 signature.
            return jwt.decode(assertion, KeySet.import_key_set({"keys": row}), algorithms=ALGORITHMS).claims
        except (JoseError, ValueError, UnicodeError, AttributeError):
            raise self._invalid("signature") from None

    def _use_once(self, client_id: str, jti: str, expires: float, now: float) -> None:
        with self._lock:
            self._used = {key: until for key, until in self._used.items() if until > now - LEEWAY_SECONDS}
            if (client_id, jti) in self._used:
                raise self._invalid("replay")
            self._used[(client_id, jti)] = expires

    def _invalid(self, reason: str) -> TokenRefused:
        return TokenRefused("invalid_client", reason, self._rules.invalid_client_status)

    def granted(
        self, asked: Iterable[str], levels: Collection[str]
    ) -> tuple[list[str], frozenset[str], frozenset[str]]:
        """Resource scopes granted (of these levels), types that may be read, types that may be searched."""
        reduced, lied = self._faults.standing("scopes_reduced"), self._faults.standing("scopes_lied")
        denied = set(self._rules.denied_types) | set(reduced.types if reduced else ())
        hidden = set(lied.types if lied else ())
        scopes: list[str] = []
        readable: set[str] = set()
        searchable: set[str] = set()
        for scope in asked:
            if self._companion and scope == self._companion and "system" in levels and scope not in denied:
                scopes.append(scope)
                continue
            match = _SCOPE.match(scope)
            if not match or match[1] not in levels or not self._speaks(match[3]):
                continue
            level, kind, verbs = match.groups()
            kinds = [t for t in self._types if t not in denied] if kind == "*" else [kind]
            for name in kinds:
                if name in denied or name not in self._types:
                    continue
                if name not in self._writes and (verbs == "write" or not set(verbs) - set("cud")):
                    continue
                scopes.append(f"{level}/{name}.{verbs}")
                if name not in hidden:
                    readable |= {name} if verbs in ("read", "*") or ("r" in verbs and verbs != "write") else set()
                    searchable |= {name} if verbs in ("read", "*") or "s" in verbs else set()
        return list(dict.fromkeys(scopes)), frozenset(readable), frozenset(searchable)

    def _speaks(self, verbs: str) -> bool:
        if not verbs:
            return False
        return ("v1" if verbs in ("read", "write", "*") else "v2") in self._rules.scopes


def bearer(authorization: str) -> str:
    """The token of an Authorization header."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

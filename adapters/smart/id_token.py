"""Who signed in: an id_token is believed only with the issuer's signature, for this client, this sign-in and this hour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from adapters.errors import LaunchRefused
from adapters.fhir.http import Http

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "ES256", "ES384", "ES512"]
"""Signatures by a public key only: never `none`, never a shared secret (RFC 8725, 3.1)."""
LEEWAY_SECONDS = 60
MOST_KEYS = 50


async def verified_user(
    http: Http, id_token: str, *, issuer: str, jwks_uri: str, client_id: str, nonce: str, now: float
) -> str:
    """The `fhirUser` (or the subject) of an id_token. https://openid.net/specs/openid-connect-core-1_0.html, 3.1.3.7

    Keys come from the discovered `jwks_uri` through the egress gate; what the token itself says of keys (`jku`, `x5u`,
    `jwk`) is ignored. `now` in Unix time. Raises LaunchRefused (`id_token_invalid`, with the check that failed), and what
    fetching the keys raises.
    """
    answer = await http.send("GET", jwks_uri, headers={"Accept": "application/json"}, lane="jwks", tries=2)
    if answer.status != 200:
        raise _invalid(f"keys: HTTP {answer.status}")
    try:
        claims = jwt.decode(id_token, _keys(answer.json()), algorithms=ALGORITHMS).claims
    except (JoseError, ValueError, UnicodeError, TypeError, KeyError):
        raise _invalid("signature") from None
    check_claims(claims, issuer=issuer, client_id=client_id, nonce=nonce, now=now)
    for name in ("fhirUser", "profile", "sub"):
        value = claims.get(name)
        if isinstance(value, str) and value and (name != "profile" or "/" in value):
            return value[:300]
    raise _invalid("sub")


def check_claims(claims: Mapping[str, Any], *, issuer: str, client_id: str, nonce: str, now: float) -> None:
    """Raise LaunchRefused unless the claims are of this issuer, client, sign-in and time."""
    if not issuer or str(claims.get("iss", "")).rstrip("/") != issuer.rstrip("/"):
        raise _invalid("iss")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if client_id not in audiences or (len(audiences) > 1 and claims.get("azp") != client_id):
        raise _invalid("aud")
    if claims.get("azp") not in (None, client_id):
        raise _invalid("azp")
    expires, issued = _number(claims.get("exp")), _number(claims.get("iat"))
    if expires is None or expires + LEEWAY_SECONDS < now:
        raise _invalid("exp")
    if issued is None or issued - LEEWAY_SECONDS > now:
        raise _invalid("iat")
    if claims.get("nonce") != nonce:
        raise _invalid("nonce")


def _keys(document: Any) -> KeySet:
    """The public signature keys of a JWKS; kinds we cannot use are passed over."""
    rows = document.get("keys") if isinstance(document, dict) else None
    usable = [
        k
        for k in (rows if isinstance(rows, list) else [])[:MOST_KEYS]
        if isinstance(k, dict) and k.get("kty") in ("RSA", "EC") and k.get("use", "sig") == "sig"
    ]
    return KeySet.import_key_set({"keys": usable})


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _invalid(check: str) -> LaunchRefused:
    return LaunchRefused(f"the id_token is not valid: {check}", code="id_token_invalid")

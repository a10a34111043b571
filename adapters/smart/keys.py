"""Client keys for signed assertions (SMART backend services: RS384 or ES384)."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import Any, Literal

from joserfc import jwk, jwt

Algorithm = Literal["RS384", "ES384"]
ASSERTION_SECONDS = 240
LEEWAY_SECONDS = 60
"""Issued a minute ago, good for four more: five minutes in all, as SMART allows, and clocks may differ by a minute."""


@dataclass(frozen=True)
class KeyPair:
    """A private key with its id. `private_pem` never leaves the sealed store and this object."""

    private_pem: str = field(repr=False)
    kid: str
    alg: Algorithm = "ES384"

    @classmethod
    def generate(cls, alg: Algorithm = "ES384") -> KeyPair:
        """A new key: P-384 for ES384, 3072-bit RSA for RS384."""
        kid = uuid.uuid4().hex
        if alg == "ES384":
            pem = jwk.ECKey.generate_key("P-384", private=True, auto_kid=False).as_pem(private=True)
        else:
            pem = jwk.RSAKey.generate_key(3072, private=True, auto_kid=False).as_pem(private=True)
        return cls(pem.decode(), kid, alg)

    def _key(self) -> jwk.ECKey | jwk.RSAKey:
        kind = jwk.ECKey if self.alg == "ES384" else jwk.RSAKey
        return kind.import_key(self.private_pem, {"kid": self.kid, "alg": self.alg, "use": "sig"})

    def public_jwk(self) -> dict[str, Any]:
        """The public half, ready for a JWKS."""
        return dict(self._key().as_dict(private=False)) | {"kid": self.kid, "alg": self.alg, "use": "sig"}

    def assertion(self, client_id: str, audience: str, now: float | None = None) -> str:
        """A signed client assertion for the token endpoint `audience`, good for one use.

        https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html ; `now` is the site's time, Unix seconds.
        """
        issued = int(time.time() if now is None else now)
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": audience,
            "iat": issued - LEEWAY_SECONDS,
            "exp": issued + ASSERTION_SECONDS,
            "jti": uuid.uuid4().hex,
        }
        return jwt.encode({"alg": self.alg, "kid": self.kid, "typ": "JWT"}, claims, self._key(), algorithms=[self.alg])

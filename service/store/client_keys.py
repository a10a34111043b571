"""The key pairs that a site knows us by, and their rotation: publish, switch, drop. No step leaves a site without."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from adapters.smart.keys import Algorithm, KeyPair
from service.store.vault import Vault

Step = Literal["publish", "switch", "drop_old"]
CURRENT, NEXT, OLD = "client_key", "client_key_next", "client_key_old"


class RotationRefused(Exception):
    """A step of the rotation that is not possible now; says why."""


class ClientKeys(Vault):
    """Client keys of sites, sealed."""

    def client_key(self, tenant: str, site: str, alg: Algorithm = "ES384") -> KeyPair:
        """The key that signs for the site; made and sealed at first use."""
        held = self.secret(tenant, site, CURRENT)
        return _opened(held or self._once(tenant, site, CURRENT, _sealable(KeyPair.generate(alg))))

    def client_keys(self, tenant: str, site: str) -> dict[str, KeyPair]:
        """All keys of a site by their part in a rotation: client_key signs, the others are published beside it."""
        found = {name: self.secret(tenant, site, name) for name in (CURRENT, NEXT, OLD)}
        return {name: _opened(held) for name, held in found.items() if held is not None}

    def public_keys(self, tenant: str, site: str) -> list[dict[str, Any]]:
        """The JWKS of a site: the key in use first."""
        return [key.public_jwk() for key in self.client_keys(tenant, site).values()]

    def rotate_client_key(self, tenant: str, site: str, step: Step, alg: Algorithm) -> None:
        """One step of a rotation; raises RotationRefused.

        publish: a new key stands in the JWKS beside the one that signs, until the site has read it. switch: the new one
        signs, the old one stays published for what it has signed. drop_old: the old one is gone.
        """
        self.client_key(tenant, site, alg)
        made = _sealable(KeyPair.generate(alg)) if step == "publish" else b""
        with self.database.transaction(tenant) as db:
            self.lock_secrets(tenant, site, db)
            current, following, old = (self.read_secret(tenant, site, name, db) for name in (CURRENT, NEXT, OLD))
            assert current is not None
            if step == "publish":
                if following is not None or old is not None:
                    raise RotationRefused("a rotation is under way: switch to the new key or drop the old one first")
                self.write_secret(tenant, site, NEXT, made, db)
            elif step == "switch":
                if following is None:
                    raise RotationRefused("there is no new key: publish one first")
                self.write_secret(tenant, site, CURRENT, following, db)
                self.write_secret(tenant, site, OLD, current, db)
                self.remove_secret(tenant, site, NEXT, db)
            else:
                if old is None:
                    raise RotationRefused("there is no old key")
                self.remove_secret(tenant, site, OLD, db)


def _sealable(key: KeyPair) -> bytes:
    return msgspec.json.encode({"pem": key.private_pem, "kid": key.kid, "alg": key.alg})


def _opened(secret: bytes) -> KeyPair:
    data = msgspec.json.decode(secret)
    return KeyPair(data["pem"], data["kid"], data["alg"])

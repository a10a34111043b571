"""Sealed secrets in the store: client keys and tokens, and the token store the adapters use."""

from __future__ import annotations

import asyncio
import os

import msgspec
from sqlalchemy import text

from adapters.smart.backend import Token
from adapters.smart.keys import Algorithm, KeyPair
from service.store.database import Database
from service.store.sealing import Sealer


class Vault:
    """What the store keeps sealed."""

    database: Database
    sealer: Sealer
    _internal_keys: dict[tuple[str, str], bytes]

    def put_secret(self, tenant: str, site: str, name: str, secret: bytes) -> None:
        """Seal and keep a secret."""
        sealed = self.sealer.seal(secret, tenant, site, name)
        with self.database.transaction(tenant) as db:
            db.execute(
                text(
                    "insert into secrets (tenant, site, name, sealed) values (:t, :s, :n, :x) "
                    "on conflict (tenant, site, name) do update set sealed = excluded.sealed"
                ),
                {"t": tenant, "s": site, "n": name, "x": sealed},
            )

    def secret(self, tenant: str, site: str, name: str) -> bytes | None:
        """Open a secret; None when there is none, SealError when it does not open."""
        with self.database.transaction(tenant) as db:
            sealed = db.execute(
                text("select sealed from secrets where tenant = :t and site = :s and name = :n"),
                {"t": tenant, "s": site, "n": name},
            ).scalar()
        return None if sealed is None else self.sealer.open(bytes(sealed), tenant, site, name)

    def delete_secret(self, tenant: str, site: str, name: str) -> None:
        """Forget a secret."""
        with self.database.transaction(tenant) as db:
            db.execute(
                text("delete from secrets where tenant = :t and site = :s and name = :n"),
                {"t": tenant, "s": site, "n": name},
            )

    def internal_key(self, tenant: str, name: str) -> bytes:
        """A random key of the tenant that the service itself uses (audit chain, access keys); made at first use."""
        held = self._internal_keys.get((tenant, name))
        if held is None:
            held = self._once(tenant, "", name, os.urandom(32))
            self._internal_keys[tenant, name] = held
        return held

    def _once(self, tenant: str, site: str, name: str, secret: bytes) -> bytes:
        """The secret that is kept there; `secret` where there is none yet. Two that come at once get the same."""
        held = self.secret(tenant, site, name)
        if held is not None:
            return held
        with self.database.transaction(tenant) as db:
            db.execute(
                text(
                    "insert into secrets (tenant, site, name, sealed) values (:t, :s, :n, :x) "
                    "on conflict (tenant, site, name) do nothing"
                ),
                {"t": tenant, "s": site, "n": name, "x": self.sealer.seal(secret, tenant, site, name)},
            )
        held = self.secret(tenant, site, name)
        assert held is not None
        return held

    def reseal(self, tenant: str) -> int:
        """Seal all of a tenant's secrets anew under the provider's current key; returns how many."""
        with self.database.transaction(tenant) as db:
            rows = db.execute(
                text("select site, name, sealed from secrets where tenant = :t for update"), {"t": tenant}
            ).all()
            for row in rows:
                secret = self.sealer.open(bytes(row.sealed), tenant, row.site, row.name)
                db.execute(
                    text("update secrets set sealed = :x where tenant = :t and site = :s and name = :n"),
                    {
                        "t": tenant,
                        "s": row.site,
                        "n": row.name,
                        "x": self.sealer.seal(secret, tenant, row.site, row.name),
                    },
                )
        return len(rows)

    def client_key(self, tenant: str, site: str, alg: Algorithm = "ES384") -> KeyPair:
        """The site's client key; made and sealed at first use."""
        held = self.secret(tenant, site, "client_key")
        if held is None:
            made = KeyPair.generate(alg)
            body = {"pem": made.private_pem, "kid": made.kid, "alg": made.alg}
            held = self._once(tenant, site, "client_key", msgspec.json.encode(body))
        data = msgspec.json.decode(held)
        return KeyPair(data["pem"], data["kid"], data["alg"])

    def tokens(self, tenant: str) -> SealedTokens:
        """The token store of a tenant's sites."""
        return SealedTokens(self, tenant)


class SealedTokens:
    """Tokens at rest: sealed, durable when `put` returns. Implements the adapters' TokenStore."""

    def __init__(self, vault: Vault, tenant: str) -> None:
        self._vault, self._tenant = vault, tenant

    async def get(self, site: str) -> Token | None:
        """The token of a site."""
        held = await asyncio.to_thread(self._vault.secret, self._tenant, site, "token")
        return msgspec.json.decode(held, type=Token) if held else None

    async def put(self, site: str, token: Token) -> None:
        """Keep a token."""
        await asyncio.to_thread(self._vault.put_secret, self._tenant, site, "token", msgspec.json.encode(token))

    async def delete(self, site: str) -> None:
        """Forget a token."""
        await asyncio.to_thread(self._vault.delete_secret, self._tenant, site, "token")

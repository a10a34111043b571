"""Access keys of the API and the page."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Any

from sqlalchemy import text

from service.store.vault import Vault

_KEY_ID = re.compile(r"[0-9a-f]{12}")


class AccessKeys(Vault):
    """Who may call."""

    def create_api_key(self, tenant: str, role: str, label: str = "") -> tuple[str, str]:
        """A new key: (key id, the token `cb_<id>_<secret>`, told this once). Only a hash of the secret is kept.

        The secret has 256 random bits, so a plain SHA-256 cannot be searched; no slow hash is needed. The row is
        authenticated with the tenant's sealed pepper: whoever can write to the table still makes no key, and no
        key gets another role or tenant.
        """
        key_id, secret = secrets.token_hex(6), secrets.token_hex(32)
        hashed = hash_secret(secret)
        mac = self._mac(tenant, key_id, role, hashed)
        with self.database.transaction(tenant) as db:
            db.execute(
                text(
                    "insert into api_keys (key_id, tenant, role, label, secret_hash, mac) "
                    "values (:k, :t, :r, :l, :h, :m)"
                ),
                {"k": key_id, "t": tenant, "r": role, "l": label, "h": hashed, "m": mac},
            )
        return key_id, f"cb_{key_id}_{secret}"

    def api_key(self, key_id: str) -> dict[str, Any] | None:
        """A key that is neither revoked nor tampered with: the one look-up that comes before the tenant is known."""
        if not _KEY_ID.fullmatch(key_id):
            return None
        with self.database.key_lookup(key_id) as db:
            row = db.execute(
                text("select * from api_keys where key_id = :k and revoked is null"), {"k": key_id}
            ).first()
        if row is None:
            return None
        mac = self._mac(row.tenant, row.key_id, row.role, row.secret_hash)
        return dict(row._mapping) if hmac.compare_digest(mac, row.mac) else None

    def _mac(self, tenant: str, key_id: str, role: str, hashed: str) -> str:
        pepper = self.internal_key(tenant, "pepper")
        return hmac.new(pepper, f"{tenant}|{key_id}|{role}|{hashed}".encode(), hashlib.sha256).hexdigest()

    def api_keys(self, tenant: str) -> list[dict[str, Any]]:
        """A tenant's keys, without their hashes."""
        with self.database.transaction(tenant) as db:
            rows = db.execute(
                text(
                    "select key_id, role, label, created, revoked from api_keys where tenant = :t "
                    "order by created, key_id"
                ),
                {"t": tenant},
            ).all()
        return [
            dict(r._mapping)
            | {"created": r.created.isoformat(), "revoked": r.revoked.isoformat() if r.revoked else None}
            for r in rows
        ]

    def revoke_api_key(self, tenant: str, key_id: str) -> bool:
        """End a key; False when there is no such key."""
        with self.database.transaction(tenant) as db:
            result = db.execute(
                text("update api_keys set revoked = now() where tenant = :t and key_id = :k and revoked is null"),
                {"t": tenant, "k": key_id},
            )
        return bool(result.rowcount)


def hash_secret(secret: str) -> str:
    """What is kept of a key's secret."""
    return hashlib.sha256(secret.encode()).hexdigest()

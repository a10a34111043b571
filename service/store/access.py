"""Access keys and the audit chain."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any

from sqlalchemy import text

from service.store.database import Database


class AccessKeys:
    """Who may call, and who did."""

    database: Database

    def create_api_key(self, tenant: str, role: str, label: str = "") -> tuple[str, str]:
        """A new key: (key id, the token `cb_<id>_<secret>`, told this once). Only a hash of the secret is kept.

        The secret has 256 random bits, so a plain SHA-256 cannot be searched; no slow hash is needed.
        """
        key_id, secret = secrets.token_hex(6), secrets.token_hex(32)
        with self.database.keys() as db:
            db.execute(
                text("insert into api_keys (key_id, tenant, role, label, secret_hash) values (:k, :t, :r, :l, :h)"),
                {"k": key_id, "t": tenant, "r": role, "l": label, "h": hash_secret(secret)},
            )
        return key_id, f"cb_{key_id}_{secret}"

    def api_key(self, key_id: str) -> dict[str, Any] | None:
        """A key that is not revoked, with its tenant: the one look-up that comes before the tenant is known."""
        with self.database.keys() as db:
            row = db.execute(
                text("select * from api_keys where key_id = :k and revoked is null"), {"k": key_id}
            ).first()
        return dict(row._mapping) if row else None

    def api_keys(self, tenant: str) -> list[dict[str, Any]]:
        """A tenant's keys, without their hashes."""
        with self.database.keys() as db:
            rows = db.execute(
                text(
                    "select key_id, role, label, created, revoked from api_keys where tenant = :t order by created, key_id"
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
        with self.database.keys() as db:
            result = db.execute(
                text("update api_keys set revoked = now() where tenant = :t and key_id = :k and revoked is null"),
                {"t": tenant, "k": key_id},
            )
        return bool(result.rowcount)

    def audit(self, tenant: str, actor: str, action: str, outcome: str, patient_id: str | None = None) -> None:
        """Append one row to the tenant's audit chain: each row's hash covers the one before it."""
        with self.database.transaction(tenant) as db:
            db.execute(text("select pg_advisory_xact_lock(hashtextextended(:k, 1))"), {"k": f"audit|{tenant}"})
            last = db.execute(
                text("select seq, hash from audit where tenant = :t order by seq desc limit 1"), {"t": tenant}
            ).first()
            seq, previous = (last.seq + 1, last.hash) if last else (1, "")
            db.execute(
                text(
                    "insert into audit (tenant, seq, actor, action, outcome, patient_id, previous, hash) "
                    "values (:t, :q, :a, :c, :o, :p, :v, :h)"
                ),
                {
                    "t": tenant,
                    "q": seq,
                    "a": actor,
                    "c": action,
                    "o": outcome,
                    "p": patient_id,
                    "v": previous,
                    "h": link_hash(previous, tenant, seq, actor, action, outcome, patient_id),
                },
            )

    def audit_rows(self, tenant: str) -> list[dict[str, Any]]:
        """The audit trail, oldest first."""
        with self.database.transaction(tenant) as db:
            rows = db.execute(text("select * from audit where tenant = :t order by seq"), {"t": tenant}).all()
        return [dict(r._mapping) | {"at": r.at.isoformat()} for r in rows]

    def audit_broken_at(self, tenant: str) -> int | None:
        """The first sequence number that does not fit the chain; None when it is whole."""
        previous, expected = "", 1
        for row in self.audit_rows(tenant):
            link = link_hash(
                previous, tenant, row["seq"], row["actor"], row["action"], row["outcome"], row["patient_id"]
            )
            if row["seq"] != expected or row["previous"] != previous or row["hash"] != link:
                return int(row["seq"])
            previous, expected = row["hash"], expected + 1
        return None


def hash_secret(secret: str) -> str:
    """What is kept of a key's secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def link_hash(
    previous: str, tenant: str, seq: int, actor: str, action: str, outcome: str, patient_id: str | None
) -> str:
    """The hash of one audit row."""
    return hashlib.sha256(json.dumps([previous, tenant, seq, actor, action, outcome, patient_id]).encode()).hexdigest()

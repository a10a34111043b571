"""The audit trail: who did what, when, to whom, with which outcome. A chain per tenant, append-only, no clinical content.

Each row's HMAC covers the row before it, so a row that is changed, inserted or removed breaks the chain for whoever does not
hold the key; the head, authenticated too, tells a trail that was cut off at its end.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, text

from service.store.vault import Vault

_STAFF = re.compile(r"(?:^|/)(Practitioner(?:Role)?/[A-Za-z0-9.-]{1,64})$")
_OTHERS = re.compile(r"(?:^|/)(Patient|RelatedPerson|Person)/[^/]*$")


class AuditTrail(Vault):
    """Appends to and checks the audit chain."""

    clock: Callable[[], str]

    def audit(self, tenant: str, actor: str, action: str, outcome: str, patient_id: str | None = None) -> None:
        """Append one row. When this raises, what was to be audited must not happen."""
        key = self.internal_key(tenant, "audit")
        with self.database.transaction(tenant) as db:
            append(db, key, tenant, self.clock(), actor, action, outcome, patient_id)

    def person_reference(self, tenant: str, site: str, user: str) -> str:
        """How the trail names a person who signed in at a site: `Practitioner/<id>` as the site's directory has it.

        Anybody else (a patient, a relative, the subject of an id_token, which is often a mail address) is told apart by a
        keyed hash only: the same person is the same name, and the name leads to nobody without the tenant's key.
        """
        if not user:
            return ""
        staff = _STAFF.search(user)
        if staff:
            return staff[1]
        kind = _OTHERS.search(user)
        digest = _link(self.internal_key(tenant, "audit"), "person", tenant, site, user)
        return f"{kind[1] if kind else 'person'}/~{digest[:16]}"

    def audit_rows(self, tenant: str) -> list[dict[str, Any]]:
        """The audit trail, oldest first."""
        with self.database.transaction(tenant) as db:
            rows = db.execute(text("select * from audit where tenant = :t order by seq"), {"t": tenant}).all()
        return [dict(r._mapping) for r in rows]

    def audit_broken_at(self, tenant: str) -> int | None:
        """The first sequence number that does not fit the chain; None when it is whole."""
        key = self.internal_key(tenant, "audit")
        with self.database.transaction(tenant, snapshot=True) as db:
            rows = db.execute(text("select * from audit where tenant = :t order by seq"), {"t": tenant}).all()
            head = db.execute(text("select * from audit_heads where tenant = :t"), {"t": tenant}).first()
        previous, expected = "", 1
        for row in rows:
            link = _link(key, previous, tenant, row.seq, row.at, row.actor, row.action, row.outcome, row.patient_id)
            if row.seq != expected or row.previous != previous or not hmac.compare_digest(row.hash, link):
                return expected
            previous, expected = row.hash, expected + 1
        if head is None:
            return None if expected == 1 else expected
        if (head.seq, head.hash) != (expected - 1, previous) or head.mac != _head_mac(key, tenant, head.seq, head.hash):
            return expected
        return None


def append(
    db: Connection,
    key: bytes,
    tenant: str,
    at: str,
    actor: str,
    action: str,
    outcome: str,
    patient_id: str | None,
) -> None:
    """Append one row within a transaction; the tenant's other writers wait until that ends."""
    db.execute(text("select pg_advisory_xact_lock(hashtextextended(:k, 1))"), {"k": f"audit|{tenant}"})
    head = db.execute(text("select seq, hash from audit_heads where tenant = :t"), {"t": tenant}).first()
    seq, previous = (head.seq + 1, head.hash) if head else (1, "")
    link = _link(key, previous, tenant, seq, at, actor, action, outcome, patient_id)
    db.execute(
        text(
            "insert into audit (tenant, seq, at, actor, action, outcome, patient_id, previous, hash) "
            "values (:t, :q, :w, :a, :c, :o, :p, :v, :h)"
        ),
        {
            "t": tenant,
            "q": seq,
            "w": at,
            "a": actor,
            "c": action,
            "o": outcome,
            "p": patient_id,
            "v": previous,
            "h": link,
        },
    )
    db.execute(
        text(
            "insert into audit_heads (tenant, seq, hash, mac) values (:t, :q, :h, :m) "
            "on conflict (tenant) do update set seq = excluded.seq, hash = excluded.hash, mac = excluded.mac"
        ),
        {"t": tenant, "q": seq, "h": link, "m": _head_mac(key, tenant, seq, link)},
    )


def _link(key: bytes, *parts: str | int | None) -> str:
    return hmac.new(key, json.dumps(parts).encode(), hashlib.sha256).hexdigest()


def _head_mac(key: bytes, tenant: str, seq: int, link: str) -> str:
    return _link(key, "head", tenant, seq, link)

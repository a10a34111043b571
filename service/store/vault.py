"""Sealed secrets in the store."""

from __future__ import annotations

import os
import threading

from sqlalchemy import Connection, text

from service.store.database import Database
from service.store.sealed_tokens import TOKEN, SealedTokens
from service.store.sealing import Sealer


class Vault:
    """What the store keeps sealed."""

    database: Database
    sealer: Sealer
    _internal_keys: dict[tuple[str, str], bytes]
    _token_locks: dict[tuple[str, str, str], threading.Lock]

    def put_secret(self, tenant: str, site: str, name: str, secret: bytes) -> None:
        """Seal and keep a secret."""
        with self.database.transaction(tenant) as db:
            self.write_secret(tenant, site, name, secret, db)

    def write_secret(self, tenant: str, site: str, name: str, secret: bytes, db: Connection) -> None:
        """The same within a transaction."""
        db.execute(
            text(
                "insert into secrets (tenant, site, name, sealed) values (:t, :s, :n, :x) "
                "on conflict (tenant, site, name) do update set sealed = excluded.sealed"
            ),
            {"t": tenant, "s": site, "n": name, "x": self.sealer.seal(secret, tenant, site, name)},
        )

    def secret(self, tenant: str, site: str, name: str) -> bytes | None:
        """Open a secret; None when there is none, SealError when it does not open."""
        with self.database.transaction(tenant) as db:
            return self.read_secret(tenant, site, name, db)

    def read_secret(self, tenant: str, site: str, name: str, db: Connection) -> bytes | None:
        """The same within a transaction."""
        sealed = db.execute(
            text("select sealed from secrets where tenant = :t and site = :s and name = :n"),
            {"t": tenant, "s": site, "n": name},
        ).scalar()
        return None if sealed is None else self.sealer.open(bytes(sealed), tenant, site, name)

    def take_secret(self, tenant: str, site: str, name: str) -> bytes | None:
        """Open a secret and forget it: of two who come at once one gets it."""
        with self.database.transaction(tenant) as db:
            sealed = db.execute(
                text("delete from secrets where tenant = :t and site = :s and name = :n returning sealed"),
                {"t": tenant, "s": site, "n": name},
            ).scalar()
        return None if sealed is None else self.sealer.open(bytes(sealed), tenant, site, name)

    def delete_secret(self, tenant: str, site: str, name: str) -> None:
        """Forget a secret."""
        with self.database.transaction(tenant) as db:
            self.remove_secret(tenant, site, name, db)

    def remove_secret(self, tenant: str, site: str, name: str, db: Connection) -> None:
        """The same within a transaction."""
        db.execute(
            text("delete from secrets where tenant = :t and site = :s and name = :n"),
            {"t": tenant, "s": site, "n": name},
        )

    def lock_secrets(self, tenant: str, site: str, db: Connection) -> None:
        """Nobody else changes the site's secrets until the transaction ends."""
        db.execute(
            text("select 1 from secrets where tenant = :t and site = :s order by name for update"),
            {"t": tenant, "s": site},
        )

    def count_secrets(self, tenant: str, site: str, prefix: str, *, expired_before: int) -> int:
        """How many secrets are kept whose name is `prefix`, a Unix time and more; those of a time before are forgotten."""
        place = {"t": tenant, "s": site, "p": f"{prefix}%", "now": expired_before, "at": len(prefix) + 1}
        with self.database.transaction(tenant) as db:
            db.execute(
                text(
                    "delete from secrets where tenant = :t and site = :s and name like :p "
                    "and cast(split_part(substr(name, :at), ':', 1) as bigint) < :now"
                ),
                place,
            )
            left = db.execute(
                text("select count(*) from secrets where tenant = :t and site = :s and name like :p"), place
            )
            return int(left.scalar() or 0)

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

    def tokens(self, tenant: str, patient: str = "") -> SealedTokens:
        """The tokens of a tenant's sites; with `patient` (the site's id) those that this patient's authorization gave."""
        return SealedTokens(self, tenant, f"{TOKEN}:{patient}" if patient else TOKEN)

    def authorized_patients(self, tenant: str, site: str) -> list[str]:
        """The site's ids of patients who have an authorization of their own there."""
        with self.database.transaction(tenant) as db:
            rows = db.execute(
                text("select name from secrets where tenant = :t and site = :s and name like :n order by name"),
                {"t": tenant, "s": site, "n": f"{TOKEN}:%"},
            ).scalars()
            return [str(name).partition(":")[2] for name in rows]

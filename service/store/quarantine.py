"""Quarantine: what was received and could not be used, kept with the reason, and with its bytes until they are purged."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from sqlalchemy import Connection, text

from models.record import Rejected
from service.store.words import clean

Stage = Literal["fetch", "read"]
"""`fetch`: the adapter refused it; `read`: stored as raw, and not readable as what it says it is."""


def set_aside(
    db: Connection,
    place: dict[str, Any],
    stage: Stage,
    rejected: Iterable[Rejected],
    *,
    current: bool = True,
    hashes: Mapping[tuple[str, str], str] | None = None,
) -> None:
    """Put items into quarantine, by default as current; the same item twice is one row.

    `hashes`: content hashes of whole resources by (type, id), for items that are stored as raw too (their own bytes are
    capped).
    """
    rows = [
        {k: place[k] for k in ("t", "p", "s")}
        | {
            "stage": stage,
            "x": place.get("x") or item.section or "",
            "reason": item.reason,
            "detail": clean(item.detail),
            "rt": clean(item.resource_type)[:200],
            "ri": clean(item.resource_id)[:200],
            "source": clean(item.source),
            "content": item.content,
            "hash": (hashes or {}).get((item.resource_type, item.resource_id))
            or hashlib.sha256(item.content).hexdigest(),
            "current": current,
        }
        for item in rejected
    ]
    if rows:
        db.execute(
            text(
                "insert into quarantine (tenant, patient_id, site, stage, section, reason, detail, resource_type, "
                "resource_id, source, content, content_hash, current, left_at) values (:t, :p, :s, :stage, :x, :reason, "
                ":detail, :rt, :ri, :source, :content, :hash, :current, case when :current then null else now() end) "
                "on conflict (tenant, patient_id, site, stage, section, reason, resource_type, md5(resource_id), "
                "md5(source), content_hash) do update set current = quarantine.current or excluded.current, "
                "left_at = case when quarantine.current or excluded.current then null else quarantine.left_at end, "
                # what comes again after its bytes were purged has them again, and its time begins anew
                "content = case when quarantine.purged_at is null then quarantine.content else excluded.content end, "
                "purged_at = null, "
                "received = case when quarantine.purged_at is null then quarantine.received else excluded.received end"
            ),
            rows,
        )

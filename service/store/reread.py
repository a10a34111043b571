"""Normalize all that is current of one patient at one site, and write what became different."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, text

from adapters.normalizer import NormalizationRules, normalize
from models.record import AnyEntry, Ledger, RawResource
from service.store.ledgers import add_to_ledger
from service.store.quarantine import set_aside
from service.store.words import as_json

READING = "3"
"""Raise when the normalizer reads differently: the next commit of each patient then reads everything again."""

_CURRENT = """
select distinct on (resource_type, resource_id) resource_type, resource_id, content_hash, section
from membership where tenant = :t and patient_id = :p and site = :s and gone_at is null
order by resource_type, resource_id, seen_at desc, content_hash, section
"""
"""The current content of each resource. Where two sections hold different ones, the last received counts."""
_CONTENTS = """
select r.*, k.section
from unnest(cast(:kinds as text[]), cast(:ids as text[]), cast(:hashes as text[]), cast(:sections as text[]))
  as k (resource_type, resource_id, content_hash, section)
cross join lateral (select * from raw where tenant = :t and site = :s and resource_type = k.resource_type
  and resource_id = k.resource_id and content_hash = k.content_hash offset 0) r
"""
"""`offset 0` keeps the look-up by the whole key: flattened, and without statistics, the planner reads all of the site for
each resource (seen: 30 s for 10,000 resources)."""


def reread(
    db: Connection,
    tenant: str,
    patient_id: str,
    site: str,
    site_patient: str,
    rules: NormalizationRules | None,
    *,
    always: bool = False,
) -> Ledger:
    """Bring entries and ledger in line with the current resources; cheap when those are as they were."""
    place = {"t": tenant, "p": patient_id, "s": site}
    keys = [tuple(row) for row in db.execute(text(_CURRENT), place).all()]
    fingerprint = _fingerprint(keys, rules, site_patient)
    kept = db.execute(
        text("select body, read_with from ledgers where tenant = :t and patient_id = :p and site = :s"), place
    ).first()
    if kept is not None and kept.read_with == fingerprint and not always:
        base = msgspec.convert(kept.body["read"], Ledger)
    else:
        current = _contents(db, place, keys)
        result = normalize(current, rules=rules, patient_id=site_patient)
        db.execute(
            text(
                "update quarantine set current = false, left_at = coalesce(left_at, now()) where tenant = :t "
                "and patient_id = :p and site = :s and stage = 'read'"
            ),
            place,
        )
        hashes = {(r.resource_type, r.resource_id): r.content_hash for r in current}
        set_aside(db, place, "read", result.quarantine, hashes=hashes)
        _replace_entries(db, place, result.entries)
        base = result.ledger
    ledger = _with_gaps(db, place, base)
    body = {"read": base.to_dict(), "all": ledger.to_dict()}
    db.execute(
        text(
            "insert into ledgers (tenant, patient_id, site, body, read_with) values (:t, :p, :s, cast(:b as jsonb), :f) "
            "on conflict (tenant, patient_id, site) do update set body = excluded.body, read_with = excluded.read_with"
        ),
        place | {"b": as_json(body), "f": fingerprint},
    )
    return ledger


def _fingerprint(keys: Sequence[tuple[str, ...]], rules: NormalizationRules | None, site_patient: str) -> str:
    """What the entries depend on: the resources, the rules, the way of reading."""
    digest = hashlib.sha256(f"{READING}|{site_patient}|{rules.model_dump_json() if rules else ''}".encode())
    for key in keys:
        digest.update("|".join(key).encode())
    return digest.hexdigest()


def _contents(db: Connection, place: dict[str, Any], keys: Sequence[tuple[str, ...]]) -> list[RawResource]:
    kinds, ids, hashes, sections = ([key[i] for key in keys] for i in range(4))
    wanted = {"kinds": kinds, "ids": ids, "hashes": hashes, "sections": sections}
    return [as_raw(row, row.section) for row in db.execute(text(_CONTENTS), place | wanted).all()]


def as_raw(row: Any, section: Any = None) -> RawResource:
    """A row of `raw` as the value it was."""
    return RawResource(
        tenant=row.tenant,
        site=row.site,
        resource_type=row.resource_type,
        resource_id=row.resource_id,
        content=bytes(row.content),
        version=row.version,
        retrieved=row.retrieved,
        fhir_version=row.fhir_version,
        api=row.api,
        section=section,
    )


def _replace_entries(db: Connection, place: dict[str, Any], entries: Sequence[AnyEntry]) -> None:
    """Only what became different is written: a refresh that brings nothing new touches nothing."""
    wanted = {}
    for entry in entries:
        body = as_json(entry)
        wanted[entry.id] = place | {
            "x": entry.section,
            "e": entry.id,
            "b": body,
            "h": hashlib.sha256(body.encode()).hexdigest(),
        }
    held = {
        r.entry_id: r.body_hash
        for r in db.execute(
            text("select entry_id, body_hash from entries where tenant = :t and patient_id = :p and site = :s"), place
        ).all()
    }
    left = sorted(held.keys() - wanted.keys())
    if left:
        db.execute(
            text(
                "delete from entries where tenant = :t and patient_id = :p and site = :s "
                "and entry_id = any(cast(:left as text[]))"
            ),
            place | {"left": left},
        )
    changed = [row for name, row in sorted(wanted.items()) if held.get(name) != row["h"]]
    if changed:
        db.execute(
            text(
                "insert into entries (tenant, patient_id, site, section, entry_id, body, body_hash) "
                "values (:t, :p, :s, :x, :e, cast(:b as jsonb), :h) on conflict (tenant, patient_id, site, entry_id) "
                "do update set section = excluded.section, body = excluded.body, body_hash = excluded.body_hash"
            ),
            changed,
        )


def _with_gaps(db: Connection, place: dict[str, Any], base: Ledger) -> Ledger:
    """The account of a site: what was read, plus what the adapter rejected, plus what is missing."""
    rejected = db.execute(
        text(
            "select resource_type, count(*) as n from quarantine where tenant = :t and patient_id = :p and site = :s "
            "and current and stage = 'fetch' group by resource_type"
        ),
        place,
    ).all()
    missing = db.execute(
        text(
            "select split_part(reference, '/', 1) as resource_type, sum(count) as n from (select reference, "
            "max(count) as count from missing where tenant = :t and patient_id = :p and site = :s group by reference, "
            "case when reference = '' then section end) m group by 1"
        ),
        place,
    ).all()
    extra = [("quarantined", r.resource_type, int(r.n)) for r in rejected]
    extra += [("reported_missing", r.resource_type, int(r.n)) for r in missing]
    return add_to_ledger(base, extra)


def unreadable(db: Connection, place: dict[str, Any]) -> set[tuple[str, str, str]]:
    """(type, id, content hash) of the resources that are current in quarantine because they could not be read."""
    rows = db.execute(
        text(
            "select resource_type, resource_id, content_hash from quarantine where tenant = :t and patient_id = :p "
            "and site = :s and current and stage = 'read'"
        ),
        place,
    ).all()
    return {(r.resource_type, r.resource_id, r.content_hash) for r in rows}

"""Normalize all that is current of one patient at one site, and write what became different."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, text

from adapters.normalizer import NormalizationRules, Normalized, normalize
from adapters.normalizer.rules import DEFAULT_RULES
from models.record import AnyEntry, Ledger, RawResource
from models.terminology import vocabulary
from models.terminology.seeds import seeds_version
from service.store.decided import count_open, decided_here, decisions_of
from service.store.ledgers import add_to_ledger
from service.store.quarantine import set_aside
from service.store.words import as_json

READING = "5"
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


class Current(NamedTuple):
    """What is current of one patient at one site, and on what its entries depend."""

    place: dict[str, Any]
    site_patient: str
    rules: NormalizationRules | None
    versions: dict[str, str]
    keys: list[tuple[str, ...]]


def current(
    db: Connection, tenant: str, patient_id: str, site: str, site_patient: str, rules: NormalizationRules | None
) -> Current:
    """The current resources (their names), and the rules with what people decided for the site."""
    place = {"t": tenant, "p": patient_id, "s": site}
    decided = decisions_of(db, tenant, site)
    if decided:
        rules = (rules or DEFAULT_RULES).deciding(decided)
    keys = [tuple(row) for row in db.execute(text(_CURRENT), place).all()]
    return Current(place, site_patient, rules, versions(rules), keys)


def reread(
    db: Connection, tenant: str, patient_id: str, site: str, site_patient: str, rules: NormalizationRules | None
) -> Ledger:
    """Bring entries and ledger in line with the current resources; cheap when those are as they were."""
    now = current(db, tenant, patient_id, site, site_patient, rules)
    kept = db.execute(
        text("select body, read_with from ledgers where tenant = :t and patient_id = :p and site = :s"), now.place
    ).first()
    if kept is not None and kept.read_with == _fingerprint(db, now):
        return _keep_ledger(db, now, msgspec.convert(kept.body["read"], Ledger), read=False)
    return write(db, now, *read(db, now))


def read(db: Connection, now: Current) -> tuple[list[RawResource], Normalized]:
    """Normalize the current resources; nothing is written."""
    resources = _contents(db, now.place, now.keys)
    return resources, normalize(resources, rules=now.rules, patient_id=now.site_patient)


def write(db: Connection, now: Current, resources: Sequence[RawResource], result: Normalized) -> Ledger:
    """Put what was read in the place of what was there: entries, quarantine, open codes, the account."""
    place = now.place
    db.execute(
        text(
            "update quarantine set current = false, left_at = coalesce(left_at, now()) where tenant = :t "
            "and patient_id = :p and site = :s and stage = 'read'"
        ),
        place,
    )
    hashes = {(r.resource_type, r.resource_id): r.content_hash for r in resources}
    set_aside(db, place, "read", result.quarantine, hashes=hashes)
    _replace_entries(db, place, result.entries)
    count_open(db, place, result.entries)
    return _keep_ledger(db, now, result.ledger, read=True)


def _keep_ledger(db: Connection, now: Current, base: Ledger, *, read: bool) -> Ledger:
    ledger = _with_gaps(db, now.place, base)
    body = {"read": base.to_dict(), "all": ledger.to_dict()}
    written = {"b": as_json(body), "f": _fingerprint(db, now), "v": as_json(now.versions), "new": read}
    db.execute(
        text(
            "insert into ledgers (tenant, patient_id, site, body, read_with, versions, read_at) "
            "values (:t, :p, :s, cast(:b as jsonb), :f, cast(:v as jsonb), now()) "
            "on conflict (tenant, patient_id, site) do update set body = excluded.body, read_with = excluded.read_with, "
            "versions = case when :new then excluded.versions else ledgers.versions end, "
            "read_at = case when :new then excluded.read_at else ledgers.read_at end"
        ),
        now.place | written,
    )
    return ledger


def versions(rules: NormalizationRules | None) -> dict[str, str]:
    """By what entries are made: the way of reading, the shipped tables, the imported releases, the site's rules."""
    said = (rules or DEFAULT_RULES).model_dump_json()
    return {
        "reading": READING,
        "tables": seeds_version(),
        "releases": releases_version(),
        "rules": hashlib.sha256(said.encode()).hexdigest()[:12],
    }


def releases_version() -> str:
    """A digest of the imported releases that this process reads by; '' without any."""
    imported = vocabulary.in_use()
    return imported.fingerprint if imported else ""


def _fingerprint(db: Connection, now: Current) -> str:
    """What the entries depend on: the resources, the rules, the way of reading, the decisions about codes that are there.

    A decision about a code that this patient does not have changes nothing for them.
    """
    digest = hashlib.sha256("|".join([now.site_patient, *now.versions.values()]).encode())
    decided = decided_here(db, now.place) if now.rules is not None and now.rules.decisions else []
    for key in (*now.keys, *decided):
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

"""Reading the record: chart, coverage, raw resources, quarantine, freshness."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import Connection, text

from adapters.normalizer import assemble
from models.record import SECTIONS, AnyEntry, Chart, Coverage, Ledger, RawResource
from service.store.database import Database
from service.store.ledgers import merge_ledgers
from service.store.patients import exists
from service.store.reread import as_raw
from service.store.words import UnknownPatient, instant

PATIENTS_AT_ONCE = 200
_SOME = "select distinct patient_id from entries where tenant = :t and patient_id > :after order by 1 limit :most"
_CODES = """
select c ->> 'system' as system, c ->> 'code' as code, count(distinct (patient_id, site, entry_id)) as entries
from entries, jsonb_path_query(body, 'strict $.** ? (exists (@.system) && exists (@.code))', '{}', true) c
where tenant = :t and patient_id > :after and patient_id <= :last and jsonb_typeof(c -> 'system') = 'string' and jsonb_typeof(c -> 'code') = 'string'
group by 1, 2
"""


class Reading:
    """What is known about a patient."""

    database: Database
    clock: Callable[[], str]

    def chart(self, tenant: str, patient_id: str, *, as_of: str | None = None) -> Chart:
        """The patient's chart from all sites, as of one instant of the database."""
        moment = as_of or self.clock()
        place = {"t": tenant, "p": patient_id}
        with self.database.transaction(tenant, snapshot=True) as db:
            coverage = _coverage(db, place, moment)
            rows = db.execute(text("select body from entries where tenant = :t and patient_id = :p"), place).all()
            books = db.execute(text("select body from ledgers where tenant = :t and patient_id = :p"), place).all()
        entries: list[AnyEntry] = msgspec.convert([r.body for r in rows], list[AnyEntry])
        ledger = merge_ledgers([msgspec.convert(b.body["all"], Ledger) for b in books])
        return assemble(tenant, patient_id, entries, coverage, as_of=moment, ledger=ledger)

    def codes_in_use(self, tenant: str) -> dict[tuple[str, str], int]:
        """(system, code) of everything that the tenant's entries carry or are taken to mean -> in how many entries.

        Read some patients at a time, so that no statement runs long.
        """
        found: Counter[tuple[str, str]] = Counter()
        after = ""
        while True:
            with self.database.transaction(tenant) as db:
                ids = db.execute(text(_SOME), {"t": tenant, "after": after, "most": PATIENTS_AT_ONCE}).scalars().all()
                if not ids:
                    return dict(found)
                place = {"t": tenant, "after": after, "last": ids[-1]}
                for row in db.execute(text(_CODES), place):
                    found[row.system, row.code] += row.entries
            after = ids[-1]

    def coverage(self, tenant: str, patient_id: str, *, as_of: str | None = None) -> tuple[Coverage, ...]:
        """What is known per section and linked site; unasked sections are `not_queried`, old answers `stale`."""
        with self.database.transaction(tenant, snapshot=True) as db:
            return _coverage(db, {"t": tenant, "p": patient_id}, as_of or self.clock())

    def freshness(self, tenant: str, patient_id: str) -> list[dict[str, Any]]:
        """Per site and section: its state, when it was last true, when it was last asked."""
        with self.database.transaction(tenant, snapshot=True) as db:
            place = {"t": tenant, "p": patient_id}
            lines = _coverage(db, place, self.clock())
            rows = db.execute(
                text("select site, section, asked_at from coverage where tenant = :t and patient_id = :p"), place
            ).all()
        asked = {(r.site, r.section): r.asked_at.isoformat() for r in rows}
        return [
            {
                "site": c.site,
                "section": c.section,
                "state": c.state,
                "last_updated": c.as_of or None,
                "last_asked": asked.get((c.site, c.section)),
                "reason": c.reason,
            }
            for c in lines
        ]

    def raw(
        self,
        tenant: str,
        patient_id: str,
        site: str,
        resource_type: str,
        resource_id: str,
        version: str | None = None,
    ) -> RawResource | None:
        """A resource of a patient exactly as received: the current one, or an older `version` (or its content's hash).

        Not one that says it is about somebody else; that is in quarantine only.
        """
        place = {"t": tenant, "p": patient_id, "s": site, "rt": resource_type, "ri": resource_id, "v": version or ""}
        if version == "":
            return None
        with self.database.transaction(tenant) as db:
            row = db.execute(text(_RAW), place).first()
        return None if row is None else as_raw(row, row.section)

    def gone(self, tenant: str, patient_id: str) -> list[dict[str, Any]]:
        """Resources a site no longer returned: out of the chart, kept as raw, with when that was noticed."""
        with self.database.transaction(tenant) as db:
            _known(db, {"t": tenant, "p": patient_id})
            rows = db.execute(
                text(
                    "select site, section, resource_type, resource_id, gone_at from membership where tenant = :t "
                    "and patient_id = :p and gone_at is not null order by gone_at desc, site, resource_type, resource_id"
                ),
                {"t": tenant, "p": patient_id},
            ).all()
        return [dict(r._mapping) | {"gone_at": r.gone_at.isoformat()} for r in rows]

    def quarantine(self, tenant: str, patient_id: str) -> list[dict[str, Any]]:
        """What could not be used, newest first; without the bytes."""
        with self.database.transaction(tenant) as db:
            _known(db, {"t": tenant, "p": patient_id})
            rows = db.execute(
                text(
                    "select id, site, section, reason, detail, resource_type, resource_id, source, current, received, "
                    "length(content) as bytes, purged_at from quarantine where tenant = :t and patient_id = :p order by id desc"
                ),
                {"t": tenant, "p": patient_id},
            ).all()
        return [
            dict(r._mapping)
            | {"received": r.received.isoformat(), "purged_at": r.purged_at.isoformat() if r.purged_at else None}
            for r in rows
        ]

    def quarantined_bytes(self, tenant: str, quarantine_id: int) -> bytes | None:
        """The bytes of a quarantined item, for whoever repairs it; None once they are purged."""
        with self.database.transaction(tenant) as db:
            content = db.execute(
                text("select content from quarantine where tenant = :t and id = :i and purged_at is null"),
                {"t": tenant, "i": quarantine_id},
            ).scalar()
        return None if content is None else bytes(content)


_RAW = """
select r.*, m.section from membership m join raw r on r.tenant = m.tenant and r.site = m.site
  and r.resource_type = m.resource_type and r.resource_id = m.resource_id
where m.tenant = :t and m.patient_id = :p and m.site = :s and m.resource_type = :rt and m.resource_id = :ri
  and case when :v = '' then r.content_hash = m.content_hash and m.gone_at is null
      else r.version = :v or starts_with(r.content_hash, :v) end
  and not exists (select from quarantine q where q.tenant = m.tenant and q.patient_id = m.patient_id
    and q.site = m.site and q.stage = 'read' and q.reason = 'wrong_patient' and q.resource_type = r.resource_type
    and q.resource_id = r.resource_id and q.content_hash = r.content_hash)
order by m.seen_at desc, r.retrieved desc, r.content_hash, m.section limit 1
"""


def _known(db: Connection, place: dict[str, str]) -> None:
    if not exists(db, place["t"], place["p"]):
        raise UnknownPatient(place["p"])


def _coverage(db: Connection, place: dict[str, str], moment: str) -> tuple[Coverage, ...]:
    _known(db, place)
    sites = db.execute(
        text(
            "select l.site, coalesce((s.config->>'freshness_hours')::float, 24) as hours from patient_links l "
            "left join sites s on s.tenant = l.tenant and s.name = l.site "
            "where l.tenant = :t and l.patient_id = :p order by l.site"
        ),
        place,
    ).all()
    rows = db.execute(text("select body from coverage where tenant = :t and patient_id = :p"), place).all()
    known = {(c.section, c.site): c for c in msgspec.convert([r.body for r in rows], list[Coverage])}
    return tuple(
        _aged(
            known.get((section, row.site)) or Coverage(section=section, site=row.site, state="not_queried"),
            moment,
            row.hours,
        )
        for row in sites
        for section in SECTIONS
    )


def _aged(line: Coverage, moment: str, hours: float) -> Coverage:
    if line.state not in ("present", "empty", "none_asserted", "truncated", "filtered") or not line.as_of:
        return line
    if (instant(moment) - instant(line.as_of)).total_seconds() <= hours * 3600:
        return line
    old = f"older than {hours:g} hours"
    if line.state in ("truncated", "filtered"):  # that something was left out is the graver news
        return msgspec.structs.replace(line, reason=f"{line.reason}; {old}" if line.reason else old)
    return msgspec.structs.replace(line, state="stale", reason=old)

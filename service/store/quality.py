"""What quality reports read beside the chart, and the dated reports of sites (counts only; no patient is in them)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import text

from models.record import Ledger, RawResource, Section
from service.store.database import Database
from service.store.ledgers import merge_ledgers
from service.store.reread import as_raw
from service.store.site_reports import report_id_of
from service.store.words import as_json, instant

PAGE = 500
LARGEST_RAW = 65_536
"""Larger resources (documents with their content inside) are not read for a report: their raw elements stay unknown."""
LOST_DAYS = 30
"""How long after it was noticed that a section is gone the patient counts as having lost it."""


class QualityInputs(NamedTuple):
    """Beside the chart: the account, what is in quarantine now, sections lost lately, small raw resources of some sections."""

    ledger: Ledger
    quarantine: list[dict[str, Any]]
    lost: list[Section]
    raw: list[RawResource]


class Quality:
    """Reading for reports, and keeping them."""

    database: Database

    def patients_of_site(self, tenant: str, site: str) -> Iterator[str]:
        """Our ids of all patients linked to a site, page by page."""
        last = ""
        while True:
            with self.database.transaction(tenant) as db:
                rows = db.execute(
                    text(
                        "select patient_id from patient_links where tenant = :t and site = :s and patient_id > :last "
                        "order by patient_id limit :n"
                    ),
                    {"t": tenant, "s": site, "last": last, "n": PAGE},
                ).all()
            yield from (str(r.patient_id) for r in rows)
            if len(rows) < PAGE:
                return
            last = rows[-1].patient_id

    def count_patients_of_site(self, tenant: str, site: str) -> int:
        """How many patients are linked to a site."""
        with self.database.transaction(tenant) as db:
            found = db.execute(
                text("select count(*) from patient_links where tenant = :t and site = :s"), {"t": tenant, "s": site}
            )
            return int(found.scalar() or 0)

    def quality_inputs(
        self, tenant: str, patient_id: str, now: str, *, site: str = "", sections: Sequence[str] = ()
    ) -> QualityInputs:
        """What a report of this patient (at one site, or at all) reads beside the chart."""
        place = {"t": tenant, "p": patient_id, "s": site}
        here = "tenant = :t and patient_id = :p and (:s = '' or site = :s)"
        with self.database.transaction(tenant, snapshot=True) as db:
            books = db.execute(text(f"select body from ledgers where {here}"), place).all()  # noqa: S608  no value in it
            aside = db.execute(
                text(f"select reason, resource_type from quarantine where {here} and current"),  # noqa: S608
                place,
            ).all()
            lost = db.execute(text(_LOST), place | {"now": instant(now), "days": LOST_DAYS}).scalars().all()
            raw = db.execute(text(_SMALL_RAW), place | {"x": list(sections), "most": LARGEST_RAW}).all()
        return QualityInputs(
            merge_ledgers([msgspec.convert(b.body["all"], Ledger) for b in books]),
            [dict(r._mapping) for r in aside],
            [*lost],
            [as_raw(r, r.section) for r in raw],
        )

    def add_quality_report(self, tenant: str, site: str, report: dict[str, Any]) -> str:
        """Keep a site's report; two of one second are one. Returns its id."""
        report_id = report_id_of(report["made"])
        with self.database.transaction(tenant) as db:
            db.execute(
                text(
                    "insert into quality_reports (tenant, site, report_id, report) values (:t, :s, :i, cast(:r as json)) "
                    "on conflict (tenant, site, report_id) do update set report = excluded.report, made = now()"
                ),
                {"t": tenant, "s": site, "i": report_id, "r": as_json(report)},
            )
        return report_id

    def quality_reports(self, tenant: str, site: str) -> list[dict[str, Any]]:
        """Which reports of a site there are, newest first: id, moment, patients."""
        with self.database.transaction(tenant) as db:
            rows = db.execute(
                text(
                    "select report_id, report->>'made' as made, cast(report->>'patients' as integer) as patients "
                    "from quality_reports where tenant = :t and site = :s order by report_id desc"
                ),
                {"t": tenant, "s": site},
            ).all()
        return [dict(r._mapping) for r in rows]

    def quality_report(self, tenant: str, site: str, report_id: str = "") -> dict[str, Any] | None:
        """One report of a site, by default the newest; None where there is none."""
        with self.database.transaction(tenant) as db:
            found: dict[str, Any] | None = db.execute(
                text(
                    "select report from quality_reports where tenant = :t and site = :s and (:i = '' or report_id = :i) "
                    "order by report_id desc limit 1"
                ),
                {"t": tenant, "s": site, "i": report_id},
            ).scalar()
        return found


_LOST = """
select distinct section from (
  select site, section from membership where tenant = :t and patient_id = :p and (:s = '' or site = :s)
  group by site, section
  having bool_and(gone_at is not null)
    and max(gone_at) > cast(:now as timestamptz) - make_interval(days => cast(:days as integer))
) as gone order by section
"""
_SMALL_RAW = """
select r.*, m.section from membership m join raw r on r.tenant = m.tenant and r.site = m.site
  and r.resource_type = m.resource_type and r.resource_id = m.resource_id and r.content_hash = m.content_hash
where m.tenant = :t and m.patient_id = :p and (:s = '' or m.site = :s) and m.gone_at is null
  and m.section = any(cast(:x as text[])) and r.api = 'fhir' and r.size <= :most
"""

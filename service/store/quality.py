"""What quality reports read beside the chart, and the dated reports of sites (counts only; no patient is in them)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import text

from models.record import Ledger, RawResource, Section
from service.store import dated
from service.store.database import Database
from service.store.ledgers import merge_ledgers
from service.store.reread import as_raw
from service.store.words import instant

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
        with self.database.transaction(tenant) as db:
            return dated.keep(db, "quality_reports", tenant, site, report["made"], report)

    def quality_reports(self, tenant: str, site: str) -> list[dict[str, Any]]:
        """Which reports of a site there are, newest first: id, moment, patients."""
        with self.database.transaction(tenant) as db:
            return dated.listed(db, "quality_reports", tenant, site, _COLUMNS)

    def quality_report(self, tenant: str, site: str, report_id: str = "") -> dict[str, Any] | None:
        """One report of a site, by default the newest; None where there is none."""
        with self.database.transaction(tenant) as db:
            return dated.kept(db, "quality_reports", tenant, site, report_id)


_COLUMNS = "report->>'made' as made, cast(report->>'patients' as integer) as patients"
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

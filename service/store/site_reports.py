"""Site reports: what each check of a site found, kept under the moment of the check."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from service.store.database import Database
from service.store.words import as_json


class SiteReports:
    """The reports of a tenant's sites. A report's id is its moment: 20261125T012300Z."""

    database: Database

    def add_site_report(self, tenant: str, site: str, report: dict[str, Any]) -> str:
        """Keep a report (a ConformanceReport as JSON); two of one second are one. Returns its id."""
        report_id = report_id_of(report["checked_at"])
        with self.database.transaction(tenant) as db:
            db.execute(
                text(
                    "insert into site_reports (tenant, site, report_id, report) values (:t, :s, :i, cast(:r as json)) "
                    "on conflict (tenant, site, report_id) do update set report = excluded.report, made = now()"
                ),
                {"t": tenant, "s": site, "i": report_id, "r": as_json(report)},
            )
        return report_id

    def site_reports(self, tenant: str, site: str) -> list[dict[str, Any]]:
        """Which reports there are, newest first: id, moment, state, whether it was probed."""
        with self.database.transaction(tenant) as db:
            rows = db.execute(
                text(
                    "select report_id, report->>'checked_at' as checked_at, report->>'state' as state, "
                    "cast(report->>'probed' as boolean) as probed, report->>'software' as software "
                    "from site_reports where tenant = :t and site = :s order by report_id desc"
                ),
                {"t": tenant, "s": site},
            ).all()
        return [dict(r._mapping) for r in rows]

    def site_report(self, tenant: str, site: str, report_id: str = "") -> dict[str, Any] | None:
        """One report, by default the newest; None where there is none."""
        with self.database.transaction(tenant) as db:
            found: dict[str, Any] | None = db.execute(
                text(
                    "select report from site_reports where tenant = :t and site = :s and (:i = '' or report_id = :i) "
                    "order by report_id desc limit 1"
                ),
                {"t": tenant, "s": site, "i": report_id},
            ).scalar()
        return found


def report_id_of(moment: str) -> str:
    """2026-11-25T01:23:00Z as it stands in addresses and file names."""
    return moment.replace("-", "").replace(":", "")

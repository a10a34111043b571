"""Site reports: what each check of a site found, kept under the moment of the check."""

from __future__ import annotations

from typing import Any

from service.store import dated
from service.store.database import Database

_COLUMNS = (
    "report->>'checked_at' as checked_at, report->>'state' as state, cast(report->>'probed' as boolean) as probed, "
    "report->>'software' as software"
)


class SiteReports:
    """The reports of a tenant's sites. A report's id is its moment: 20261125T012300Z."""

    database: Database

    def add_site_report(self, tenant: str, site: str, report: dict[str, Any]) -> str:
        """Keep a report (a ConformanceReport as JSON); two of one second are one. Returns its id."""
        with self.database.transaction(tenant) as db:
            return dated.keep(db, "site_reports", tenant, site, report["checked_at"], report)

    def site_reports(self, tenant: str, site: str) -> list[dict[str, Any]]:
        """Which reports there are, newest first: id, moment, state, whether it was probed."""
        with self.database.transaction(tenant) as db:
            return dated.listed(db, "site_reports", tenant, site, _COLUMNS)

    def site_report(self, tenant: str, site: str, report_id: str = "") -> dict[str, Any] | None:
        """One report, by default the newest; None where there is none."""
        with self.database.transaction(tenant) as db:
            return dated.kept(db, "site_reports", tenant, site, report_id)

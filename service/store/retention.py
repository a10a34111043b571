"""Retention: what leaves the database once it is old enough. What the chart rests on stays, however old."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from service.settings import Settings
from service.store.database import Database
from service.store.words import instant


class Retention:
    """Deleting what is old. `before` is an ISO 8601 moment; an empty `site` means all of the tenant."""

    settings: Settings
    database: Database

    def purge(self, tenant: str, now: datetime, site: str = "") -> dict[str, int]:
        """Purge raw, quarantine, and reports of sites (of checks and of quality), each site after its own time (`raw_retention_days` of its site file, else
        the setting). Returns how many of each."""
        total = {"raw": 0, "quarantine": 0, "site_reports": 0}
        for name, days in self._days(tenant, site):
            before = (now - timedelta(days=days)).isoformat()
            total["raw"] += self.purge_raw(tenant, before, name)
            total["quarantine"] += self.purge_quarantine(tenant, before, name)
            total["site_reports"] += self._run(_REPORTS.format(table="site_reports"), tenant, before, name)
            total["site_reports"] += self._run(_REPORTS.format(table="quality_reports"), tenant, before, name)
            self._run(_QUALITY_RUNS, tenant, before, name)
        return total

    def purge_raw(self, tenant: str, before: str, site: str = "") -> int:
        """Delete resource versions that left the chart before `before`; returns how many.

        A version leaves when another is stored after it, or when the site no longer returns the resource.
        """
        return self._run(_RAW, tenant, before, site)

    def purge_quarantine(self, tenant: str, before: str, site: str = "") -> int:
        """Drop the bytes of items that were received, and stopped to be current, before `before`; returns how many.

        The row stays, with its reason, its hash and when it was purged: that something was received and could not be used
        is never forgotten. Items the site still sends stay whole.
        """
        return self._run(_QUARANTINE, tenant, before, site)

    def _run(self, statement: str, tenant: str, before: str, site: str) -> int:
        with self.database.transaction(tenant) as db:
            return int(db.execute(text(statement), {"t": tenant, "b": instant(before), "s": site}).rowcount)

    def _days(self, tenant: str, site: str) -> list[tuple[str, int]]:
        with self.database.transaction(tenant) as db:
            rows: Any = db.execute(
                text(
                    "select name, cast(config->>'raw_retention_days' as integer) as days from sites "
                    "where tenant = :t and (:s = '' or name = :s) order by name"
                ),
                {"t": tenant, "s": site},
            ).all()
        return [(r.name, r.days or self.settings.raw_retention_days) for r in rows]


_RAW = """
delete from raw r where r.tenant = :t and r.stored_at < :b and (:s = '' or r.site = :s)
  and not exists (select from membership m where m.tenant = r.tenant and m.site = r.site
    and m.resource_type = r.resource_type and m.resource_id = r.resource_id and m.content_hash = r.content_hash
    and (m.gone_at is null or m.gone_at >= :b))
  and coalesce((select min(later.stored_at) from raw later where later.tenant = r.tenant and later.site = r.site
    and later.resource_type = r.resource_type and later.resource_id = r.resource_id
    and later.stored_at > r.stored_at), r.stored_at) < :b
"""
_QUARANTINE = """
update quarantine set content = '', purged_at = now() where tenant = :t and (:s = '' or site = :s)
  and not current and purged_at is null and received < :b and coalesce(left_at, received) < :b
"""
_REPORTS = """
delete from {table} r where r.tenant = :t and (:s = '' or r.site = :s) and r.made < :b
  and exists (select from {table} later where later.tenant = r.tenant and later.site = r.site
    and later.report_id > r.report_id)
"""
"""The last report of a site stays: it is what the site is known by."""
_QUALITY_RUNS = """
delete from quality_runs where tenant = :t and (:s = '' or site = :s) and finished < :b
"""

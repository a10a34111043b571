"""Sites: how each is configured and how it was last found."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import text

from adapters.profile import SiteConfig, parse_site
from service.store.site_reports import SiteReports
from service.store.words import UnknownSite


class Sites(SiteReports):
    """Configured connections of a tenant."""

    def put_site(self, tenant: str, site: SiteConfig) -> None:
        """Add or replace a site's configuration."""
        body = site.model_dump_json()
        with self.database.transaction(tenant) as db:
            db.execute(
                text(
                    "insert into sites (tenant, name, config) values (:t, :n, cast(:c as jsonb)) "
                    "on conflict (tenant, name) do update set config = excluded.config, state = 'new', detail = ''"
                ),
                {"t": tenant, "n": site.name, "c": body},
            )

    def site(self, tenant: str, name: str) -> SiteConfig:
        """A site's configuration."""
        with self.database.transaction(tenant) as db:
            row = db.execute(
                text("select config from sites where tenant = :t and name = :n"), {"t": tenant, "n": name}
            ).first()
        if row is None:
            raise UnknownSite(name)
        return parse_site(row.config)

    def sites(self, tenant: str) -> list[dict[str, Any]]:
        """All sites with their state and when anything was last read from them."""
        with self.database.transaction(tenant) as db:
            rows = db.execute(
                text(
                    "select s.name, s.config, s.state, s.detail, s.checked_at, s.report, "
                    "(select max(good_as_of) from coverage c where c.tenant = s.tenant and c.site = s.name) as updated "
                    "from sites s where s.tenant = :t order by s.name"
                ),
                {"t": tenant},
            ).all()
        return [
            {
                "name": r.name,
                "title": r.config.get("title", ""),
                "vendor": r.config["vendor"],
                "fhir_base": r.config["fhir_base"],
                "state": r.state,
                "detail": r.detail,
                "checked_at": r.checked_at.isoformat() if r.checked_at else None,
                "last_updated": r.updated or None,
                "report": r.report,
            }
            for r in rows
        ]

    def launch_sites(self, fhir_base: str) -> list[tuple[str, str]]:
        """(tenant, name) of the sites, of all tenants, that the EHR with this address may open.

        The one question about sites that comes before a tenant is known; row-level security answers it with those only.
        """
        with self.database.launch_lookup(fhir_base) as db:
            rows = db.execute(text("select tenant, name from sites order by tenant, name")).all()
        return [(r.tenant, r.name) for r in rows]

    def set_site_state(
        self, tenant: str, name: str, state: str, detail: str = "", report: dict[str, Any] | None = None
    ) -> None:
        """Note how a site was found: ready, needs_reauthorization, unavailable, misconfigured. Of `report` the parts that
        are given replace those of the last one."""
        with self.database.transaction(tenant) as db:
            db.execute(
                text(
                    "update sites set state = :s, detail = :d, checked_at = now(), "
                    "report = coalesce(coalesce(report, '{}') || cast(:r as jsonb), report) "
                    "where tenant = :t and name = :n"
                ),
                {
                    "t": tenant,
                    "n": name,
                    "s": state,
                    "d": detail[:500],
                    "r": msgspec.json.encode(report).decode() if report else None,
                },
            )

"""Dated reports of sites: kept as JSON under the moment they speak for. What a check found, how good the data is."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import Connection, text

from service.store.words import as_json

Table = Literal["site_reports", "quality_reports"]


def report_id_of(moment: str) -> str:
    """2026-11-25T01:23:00Z as it stands in addresses and file names."""
    return moment.replace("-", "").replace(":", "")


def keep(db: Connection, table: Table, tenant: str, site: str, moment: str, report: dict[str, Any]) -> str:
    """Keep a report; two of one second are one. Returns its id."""
    report_id = report_id_of(moment)
    db.execute(
        text(
            f"insert into {table} (tenant, site, report_id, report) values (:t, :s, :i, cast(:r as json)) "  # noqa: S608  our own words
            "on conflict (tenant, site, report_id) do update set report = excluded.report, made = now()"
        ),
        {"t": tenant, "s": site, "i": report_id, "r": as_json(report)},
    )
    return report_id


def listed(db: Connection, table: Table, tenant: str, site: str, columns: str) -> list[dict[str, Any]]:
    """Which reports of a site there are, newest first: their ids, and `columns` (SQL over `report`)."""
    rows = db.execute(
        text(
            f"select report_id, {columns} from {table} "  # noqa: S608  our own words
            "where tenant = :t and site = :s order by report_id desc"
        ),
        {"t": tenant, "s": site},
    ).all()
    return [dict(r._mapping) for r in rows]


def kept(db: Connection, table: Table, tenant: str, site: str, report_id: str = "") -> dict[str, Any] | None:
    """One report of a site, by default the newest; None where there is none."""
    found: dict[str, Any] | None = db.execute(
        text(
            f"select report from {table} where tenant = :t and site = :s and (:i = '' or report_id = :i) "  # noqa: S608
            "order by report_id desc limit 1"
        ),
        {"t": tenant, "s": site, "i": report_id},
    ).scalar()
    return found

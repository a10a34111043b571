"""Refresh runs: how far each is, and its account per site and section."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, text

from models.record import SECTIONS
from service.store.database import Database
from service.store.words import as_json

ENDED = ("done", "failed")
ACCOUNT = ("state", "offered", "stored", "quarantined", "missing", "gone", "requests")


class Runs:
    """Refreshes of a tenant."""

    database: Database

    def begin_run(self, tenant: str, patient_id: str, sites: Sequence[str]) -> str:
        """The run of this request: a new one, or the one under way that asks for the same."""
        asked = sorted(set(sites))
        request = hashlib.sha256("|".join([patient_id, *asked]).encode()).hexdigest()
        while True:
            with self.database.transaction(tenant) as db:
                held = db.execute(
                    text(
                        "insert into runs (tenant, run_id, patient_id, state, request, sites, sections) "
                        "values (:t, :r, :p, 'running', :q, :s, :n) "
                        "on conflict (tenant, request) where finished is null do nothing returning run_id"
                    ),
                    {
                        "t": tenant,
                        "r": uuid.uuid4().hex,
                        "p": patient_id,
                        "q": request,
                        "s": asked,
                        "n": len(asked) * len(SECTIONS),
                    },
                ).scalar()
                if held is None:
                    held = db.execute(
                        text("select run_id from runs where tenant = :t and request = :q and finished is null"),
                        {"t": tenant, "q": request},
                    ).scalar()
            if held is not None:  # else: it ended between the two statements
                return str(held)

    def end_site(self, tenant: str, run_id: str, site: str, report: dict[str, Any]) -> None:
        """Note how a site of a run ended; the last one ends the run. The first report of a site counts."""
        place = {"t": tenant, "r": run_id}
        with self.database.transaction(tenant) as db:
            run = db.execute(
                text("select sites, finished from runs where tenant = :t and run_id = :r for update"), place
            ).first()
            if run is None or run.finished is not None:
                return
            db.execute(
                text(
                    "insert into run_sites (tenant, run_id, site, report) values (:t, :r, :s, cast(:b as jsonb)) "
                    "on conflict (tenant, run_id, site) do nothing"
                ),
                place | {"s": site, "b": as_json(report)},
            )
            reports = {
                row.site: row.report
                for row in db.execute(
                    text("select site, report from run_sites where tenant = :t and run_id = :r"), place
                ).all()
            }
            if not set(run.sites) <= reports.keys():
                return
            account = db.execute(
                text(
                    "select coalesce(sum(offered), 0) as offered, coalesce(sum(stored), 0) as stored, "
                    "coalesce(sum(quarantined), 0) as quarantined, coalesce(sum(missing), 0) as reported_missing "
                    "from run_sections where tenant = :t and run_id = :r"
                ),
                place,
            ).one()
            answers = [reports[name] for name in run.sites]
            state = "failed" if all(a["state"] == "failed" for a in answers) else "done"
            whole = {"state": state, "sites": answers, "ledger": {k: int(v) for k, v in account._mapping.items()}}
            _end(db, tenant, run_id, state, whole)

    def end_run(self, tenant: str, run_id: str, state: str, report: dict[str, Any] | None = None) -> None:
        """End a run (`done` or `failed`). An ended run stays as it ended."""
        with self.database.transaction(tenant) as db:
            _end(db, tenant, run_id, state, report)

    def committed_sections(self, tenant: str, run_id: str, site: str) -> dict[str, dict[str, Any]]:
        """Section -> its state and account, of what a run has committed at a site so far."""
        with self.database.transaction(tenant) as db:
            rows = db.execute(
                text("select * from run_sections where tenant = :t and run_id = :r and site = :s order by section"),
                {"t": tenant, "r": run_id, "s": site},
            ).all()
        return {r.section: {n: getattr(r, n) for n in ACCOUNT} for r in rows}

    def run(self, tenant: str, run_id: str) -> dict[str, Any] | None:
        """A refresh: patient, state, report, and what has been committed so far."""
        with self.database.transaction(tenant, snapshot=True) as db:
            row = db.execute(
                text("select * from runs where tenant = :t and run_id = :r"), {"t": tenant, "r": run_id}
            ).first()
            lines = db.execute(
                text("select * from run_sections where tenant = :t and run_id = :r order by ended, site, section"),
                {"t": tenant, "r": run_id},
            ).all()
        if row is None:
            return None
        return {
            "run_id": row.run_id,
            "patient_id": row.patient_id,
            "state": row.state,
            "report": row.report,
            "started": row.started.isoformat(),
            "finished": row.finished.isoformat() if row.finished else None,
            "sections_asked": row.sections,
            "sections": [{n: getattr(line, n) for n in ("site", "section", *ACCOUNT)} for line in lines],
        }


def _end(db: Connection, tenant: str, run_id: str, state: str, report: dict[str, Any] | None) -> None:
    db.execute(
        text(
            "update runs set state = :s, report = cast(:b as jsonb), finished = now() "
            "where tenant = :t and run_id = :r and finished is null"
        ),
        {"t": tenant, "r": run_id, "s": state, "b": as_json(report) if report is not None else None},
    )

"""Refresh runs: how far each is, and its account per site and section."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

import msgspec
from sqlalchemy import text

from service.store.database import Database

ENDED = ("done", "failed")


class Runs:
    """Refreshes of a tenant."""

    database: Database

    def begin_run(self, tenant: str, patient_id: str, sites: list[str], sections: int = 0) -> str:
        """The run of this request: a new one, or the one under way that asks for the same."""
        request = hashlib.sha256("|".join([patient_id, *sorted(sites)]).encode()).hexdigest()
        while True:
            with self.database.transaction(tenant) as db:
                made = db.execute(
                    text(
                        "insert into runs (tenant, run_id, patient_id, state, request, sections) "
                        "values (:t, :r, :p, 'running', :q, :n) "
                        "on conflict (tenant, request) where finished is null do nothing returning run_id"
                    ),
                    {"t": tenant, "r": uuid.uuid4().hex, "p": patient_id, "q": request, "n": sections},
                ).scalar()
                held = (
                    made
                    or db.execute(
                        text("select run_id from runs where tenant = :t and request = :q and finished is null"),
                        {"t": tenant, "q": request},
                    ).scalar()
                )
            if held:  # else: it ended between the two statements
                return str(held)

    def put_run(
        self, tenant: str, run_id: str, patient_id: str, state: str, report: dict[str, Any] | None = None
    ) -> None:
        """Note how far a refresh is. An ended run stays as it ended."""
        with self.database.transaction(tenant) as db:
            db.execute(
                text(
                    "insert into runs (tenant, run_id, patient_id, state, request, report, finished) values "
                    "(:t, :r, :p, :s, :r, cast(:b as jsonb), case when :s in ('done', 'failed') then now() end) "
                    "on conflict (tenant, run_id) do update set state = excluded.state, finished = excluded.finished, "
                    "report = coalesce(excluded.report, runs.report) where runs.finished is null"
                ),
                {
                    "t": tenant,
                    "r": run_id,
                    "p": patient_id,
                    "s": state,
                    "b": msgspec.json.encode(report).decode() if report else None,
                },
            )

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
        names = ("site", "section", "state", "offered", "stored", "quarantined", "missing", "gone", "requests")
        return {
            "run_id": row.run_id,
            "patient_id": row.patient_id,
            "state": row.state,
            "report": row.report,
            "started": row.started.isoformat(),
            "finished": row.finished.isoformat() if row.finished else None,
            "sections_asked": row.sections,
            "sections": [{n: getattr(line, n) for n in names} for line in lines],
        }

"""Measuring a whole site: a run that adds up its patients in their order, and goes on where it was interrupted.

The sum so far, and the last patient that is in it, are written together: a patient is in it once, however often a process is
killed. The sum is counts only.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from models.quality import Tally
from service.store import audit, dated
from service.store.vault import Vault
from service.store.words import UnknownSite, as_json, instant

BATCH = 20
"""Patients between two notes of how far a run is."""


class NextPatients(NamedTuple):
    """What a run does next: patients of its site after the last one that is in its sum."""

    site: str
    as_of: str
    after: str
    patients: list[str]


class QualityRuns(Vault):
    """Runs over the patients of a site."""

    clock: Callable[[], str]

    def begin_quality_run(self, tenant: str, site: str, actor: str, as_of: str, *, due: bool = False) -> str | None:
        """A new run over the patients of a site as of a moment, and its audit row; returns its id. Where one is under way,
        that one is returned. `due`: only where the schedule of the site asks for one; else None. Raises UnknownSite."""
        key = self.internal_key(tenant, "audit")
        with self.database.transaction(tenant) as db:
            row = db.execute(
                text("select 1 from sites where tenant = :t and name = :s for update"), {"t": tenant, "s": site}
            ).first()
            if row is None:
                raise UnknownSite(site)
            place = {"t": tenant, "s": site, "now": instant(as_of)}
            if due and not db.execute(text(f"select 1 {_DUE} and s.tenant = :t and s.name = :s"), place).first():
                return None
            under_way = db.execute(
                text("select run_id from quality_runs where tenant = :t and site = :s and finished is null"), place
            ).scalar()
            if under_way is not None:
                return str(under_way)
            run_id = uuid.uuid4().hex
            db.execute(
                text(
                    "insert into quality_runs (tenant, run_id, site, actor, as_of, state, total) values "
                    "(:t, :r, :s, :a, :o, 'running', (select count(*) from patient_links where tenant = :t and site = :s))"
                ),
                place | {"r": run_id, "a": actor, "o": as_of},
            )
            audit.append(db, key, tenant, self.clock(), actor, "measure quality", site, None)
        return run_id

    def unfinished_quality_runs(self) -> list[tuple[str, str]]:
        """(tenant, run id) of the runs, of all tenants, that have not ended: what a start takes up again."""
        with self.database.unfinished_lookup() as db:
            rows = db.execute(
                text("select tenant, run_id from quality_runs where finished is null order by started")
            ).all()
        return [(r.tenant, r.run_id) for r in rows]

    def due_quality_sites(self, now: str) -> list[tuple[str, str]]:
        """(tenant, site) of all sites, of any tenant, whose schedule (`quality_every_hours`) asks for a report now."""
        with self.database.unfinished_lookup() as db:
            rows = db.execute(text(f"select s.tenant, s.name {_DUE} order by 1, 2"), {"now": instant(now)}).all()
        return [(r.tenant, r.name) for r in rows]

    def quality_patients(self, tenant: str, run_id: str) -> NextPatients | None:
        """The next patients of a run, at most BATCH; none at its end. None where the run has ended."""
        with self.database.transaction(tenant) as db:
            run = _run(db, tenant, run_id)
            if run is None or run.finished is not None:
                return None
            rows = db.execute(
                text(
                    "select patient_id from patient_links where tenant = :t and site = :s and patient_id > :last "
                    "order by patient_id limit :n"
                ),
                {"t": tenant, "s": run.site, "last": run.last_patient, "n": BATCH},
            ).scalars()
            return NextPatients(run.site, run.as_of, run.last_patient, [str(p) for p in rows])

    def add_to_quality_run(self, tenant: str, run_id: str, done: NextPatients, counted: Tally) -> None:
        """Add the counts of `done.patients` to the run. Where they are in its sum already, nothing is added."""
        with self.database.transaction(tenant) as db:
            run = _run(db, tenant, run_id, " for update")
            if run is None or run.finished is not None or run.last_patient != done.after:
                return
            whole = _tally(run.counts)
            whole.merge(counted)
            db.execute(
                text(
                    "update quality_runs set counts = cast(:c as json), last_patient = :last, patients = patients + :n "
                    "where tenant = :t and run_id = :r"
                ),
                {"t": tenant, "r": run_id, "last": done.patients[-1], "n": len(done.patients)}
                | {"c": as_json([[list(key), count] for key, count in whole])},
            )

    def quality_run_counts(self, tenant: str, run_id: str) -> tuple[str, str, Tally] | None:
        """Site, moment and sum of a run under way; None where it has ended."""
        with self.database.transaction(tenant) as db:
            run = _run(db, tenant, run_id)
        return None if run is None or run.finished is not None else (run.site, run.as_of, _tally(run.counts))

    def end_quality_run(
        self, tenant: str, run_id: str, report: dict[str, Any] | None, failed: str = "", alerts: Sequence[str] = ()
    ) -> None:
        """End a run; its report is kept in the same transaction. An ended run stays as it ended; its sum is in the report."""
        with self.database.transaction(tenant) as db:
            run = _run(db, tenant, run_id, " for update")
            if run is None or run.finished is not None:
                return
            report_id = dated.keep(db, "quality_reports", tenant, run.site, run.as_of, report) if report else ""
            db.execute(
                text(
                    "update quality_runs set state = :state, report_id = :i, error = :e, alerts = cast(:a as json), "
                    "counts = '[]', last_patient = '', finished = now() where tenant = :t and run_id = :r"
                ),
                {"t": tenant, "r": run_id, "state": "failed" if failed else "done", "i": report_id, "e": failed}
                | {"a": as_json(list(alerts))},
            )

    def quality_run(self, tenant: str, run_id: str) -> dict[str, Any] | None:
        """A run: how far it is, and once it has ended the id of its report; None when there is none."""
        with self.database.transaction(tenant) as db:
            run = _run(db, tenant, run_id)
        if run is None:
            return None
        names = ("run_id", "site", "as_of", "state", "patients", "total", "report_id", "error", "alerts")
        return {name: getattr(run, name) for name in names} | {
            "started": run.started.isoformat(),
            "finished": run.finished.isoformat() if run.finished else None,
        }


_DUE = """
from sites s where cast(s.config->>'quality_every_hours' as double precision) > 0 and not exists (
  select from quality_runs r where r.tenant = s.tenant and r.site = s.name and (r.finished is null
    or r.started > cast(:now as timestamptz) - make_interval(secs => cast(s.config->>'quality_every_hours' as double precision) * 3600)))
"""


def _run(db: Connection, tenant: str, run_id: str, more: str = "") -> Any:
    return db.execute(
        text(f"select * from quality_runs where tenant = :t and run_id = :r{more}"),  # noqa: S608  our own words
        {"t": tenant, "r": run_id},
    ).first()


def _tally(counts: list[Any]) -> Tally:
    return Tally((tuple(key), count) for key, count in counts)

"""Re-normalization: what is kept raw is read again with the code, the tables and the decisions of now. The difference is a
report before it is a change; both are made patient by patient, in a run that goes on where it was interrupted.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, text

from adapters.normalizer import NormalizationRules, Normalized
from models.record import Ledger
from models.terminology.seeds import seeds_version
from service.store import audit
from service.store.changes import KINDS, Aside, compare
from service.store.commit import lock
from service.store.reread import READING, current, read, releases_version, write
from service.store.vault import Vault
from service.store.words import as_json

MOST_EXAMPLES = 20
"""Examples of a kind in a report."""
BATCH = 200
"""Patients looked up at once."""

_WANTED = """
select l.patient_id, l.site from ledgers l
where l.tenant = :t and (:s = '' or l.site = :s) and (:p = '' or l.patient_id = :p)
  and (:k = '' or exists (select from open_codes o where o.tenant = l.tenant and o.site = l.site and o.key_id = :k
    and o.patient_id = l.patient_id))
  and not exists (select from renormalized d where d.tenant = l.tenant and d.run_id = :r
    and d.patient_id = l.patient_id and d.site = l.site)
  and (l.site, l.patient_id) > (:after_site, :after_patient)
order by l.site, l.patient_id limit :n
"""


class Renormalizing(Vault):
    """Reading again what is kept raw."""

    clock: Callable[[], str]

    def renormalize(self, tenant: str, patient_id: str, site: str, rules: NormalizationRules | None = None) -> Ledger:
        """Read all that is current of a patient from a site again, with the rules and the code of today."""
        key = self.internal_key(tenant, "audit")
        with self.database.transaction(tenant) as db:
            now = current(db, tenant, patient_id, site, lock(db, tenant, patient_id, site), rules)
            ledger = write(db, now, *read(db, now))
            audit.append(db, key, tenant, self.clock(), "refresh", "renormalize", site, patient_id)
        return ledger

    def begin_renormalization(
        self, tenant: str, actor: str, *, site: str = "", patient_id: str = "", apply: bool
    ) -> str:
        """A new run over a site's patients, one patient's sites, or all; returns its id."""
        run_id = uuid.uuid4().hex
        with self.database.transaction(tenant) as db:
            db.execute(
                text(
                    "insert into renormalizations (tenant, run_id, of_site, of_patient, of_key, apply, actor, state) "
                    "values (:t, :r, :s, :p, '', :apply, :a, 'running')"
                ),
                {"t": tenant, "r": run_id, "s": site, "p": patient_id, "apply": apply, "a": actor},
            )
        return run_id

    def unfinished_renormalizations(self) -> list[tuple[str, str]]:
        """(tenant, run id) of the runs, of all tenants, that have not ended: what a start takes up again."""
        with self.database.unfinished_lookup() as db:
            rows = db.execute(text("select tenant, run_id from renormalizations order by started")).all()
        return [(r.tenant, r.run_id) for r in rows]

    def to_renormalize(self, tenant: str, run_id: str, after: tuple[str, str] = ("", "")) -> list[tuple[str, str]]:
        """The next (site, patient) that a run has not dealt with yet, in their order, at most BATCH; [] at the end."""
        with self.database.transaction(tenant) as db:
            run = _run(db, tenant, run_id)
            if run is None or run.finished is not None:
                return []
            asked = {"t": tenant, "r": run_id, "s": run.of_site, "p": run.of_patient, "k": run.of_key, "n": BATCH}
            rows = db.execute(text(_WANTED), asked | {"after_site": after[0], "after_patient": after[1]}).all()
        return [(r.site, r.patient_id) for r in rows]

    def renormalize_in_run(
        self, tenant: str, run_id: str, patient_id: str, site: str, rules: NormalizationRules | None
    ) -> None:
        """Deal with one patient at one site: compare, and where the run applies, write; with its audit row and the note
        that it is done, in one transaction. Done twice it is done once."""
        key = self.internal_key(tenant, "audit")
        with self.database.transaction(tenant) as db:
            site_patient = lock(db, tenant, patient_id, site)
            run = _run(db, tenant, run_id)
            done = {"t": tenant, "r": run_id, "p": patient_id, "s": site}
            if run is None or run.finished is not None or _is_done(db, done):
                return
            now = current(db, tenant, patient_id, site, site_patient, rules)
            aside, before = _aside(db, now.place), _entries(db, now.place)
            resources, result = read(db, now)
            changes = compare(before, _as_kept(result), aside, _set_aside_by(result))
            if run.apply:
                write(db, now, resources, result)
            if changes.kinds:
                outcome = f"{site}: {sum(changes.kinds.values())} {'changes' if run.apply else 'differences seen'}"
                audit.append(db, key, tenant, self.clock(), run.actor, "renormalize", outcome, patient_id)
            db.execute(
                text(
                    "insert into renormalized (tenant, run_id, patient_id, site, outcome) "
                    "values (:t, :r, :p, :s, cast(:o as jsonb))"
                ),
                done | {"o": as_json(changes.to_dict())},
            )

    def end_renormalization(self, tenant: str, run_id: str, failed: str = "", skipped: Sequence[str] = ()) -> None:
        """End a run with its report. `skipped`: sites whose configuration cannot be read. An ended run stays as it ended; its
        notes of who was done are in the report and in the audit trail, and go."""
        with self.database.transaction(tenant) as db:
            run = _run(db, tenant, run_id, " for update")
            if run is None or run.finished is not None:
                return
            report = _report(db, tenant, run_id) | {"sites_skipped": sorted(skipped)}
            if failed:
                report["error"] = failed
            db.execute(
                text(
                    "update renormalizations set state = :s, report = cast(:b as jsonb), patients = :n, finished = now() "
                    "where tenant = :t and run_id = :r and finished is null"
                ),
                {"t": tenant, "r": run_id, "s": "failed" if failed else "done", "b": as_json(report)}
                | {"n": report["patients"]},
            )
            db.execute(text("delete from renormalized where tenant = :t and run_id = :r"), {"t": tenant, "r": run_id})

    def renormalization(self, tenant: str, run_id: str) -> dict[str, Any] | None:
        """A run and its report; None when there is none. While it is under way `patients` says how far it is."""
        with self.database.transaction(tenant) as db:
            run = _run(db, tenant, run_id)
            if run is None:
                return None
            done = db.execute(
                text("select count(*) from renormalized where tenant = :t and run_id = :r"), {"t": tenant, "r": run_id}
            ).scalar()
        return {
            "run_id": run.run_id,
            "site": run.of_site,
            "patient_id": run.of_patient,
            "decision": run.of_key,
            "apply": run.apply,
            "state": run.state,
            "patients": run.patients if run.finished else int(done or 0),
            "started": run.started.isoformat(),
            "finished": run.finished.isoformat() if run.finished else None,
            "report": run.report,
        }

    def stale_patients(self, tenant: str) -> dict[str, int]:
        """Site -> patients whose entries were made by other code, other shipped tables or other imported releases than now."""
        with self.database.transaction(tenant) as db:
            rows = db.execute(
                text(
                    "select site, count(*) filter (where versions->>'reading' is distinct from :r "
                    "or versions->>'tables' is distinct from :x "
                    "or coalesce(versions->>'releases', '') <> :i) as n from ledgers where tenant = :t group by site"
                ),
                {"t": tenant, "r": READING, "x": seeds_version(), "i": releases_version()},
            ).all()
        return {r.site: int(r.n) for r in rows}


def _run(db: Connection, tenant: str, run_id: str, more: str = "") -> Any:
    return db.execute(
        text(f"select * from renormalizations where tenant = :t and run_id = :r{more}"),  # noqa: S608  our own words
        {"t": tenant, "r": run_id},
    ).first()


def _is_done(db: Connection, done: dict[str, Any]) -> bool:
    found = db.execute(
        text("select 1 from renormalized where tenant = :t and run_id = :r and patient_id = :p and site = :s"), done
    ).first()
    return found is not None


def _entries(db: Connection, place: dict[str, Any]) -> dict[str, dict[str, Any]]:
    rows = db.execute(
        text("select entry_id, body from entries where tenant = :t and patient_id = :p and site = :s"), place
    ).all()
    return {r.entry_id: r.body for r in rows}


def _as_kept(result: Normalized) -> dict[str, dict[str, Any]]:
    """Entries as the database would give them back."""
    return {entry.id: msgspec.json.decode(as_json(entry)) for entry in result.entries}


def _aside(db: Connection, place: dict[str, Any]) -> set[Aside]:
    rows = db.execute(
        text(
            "select resource_type, resource_id, reason from quarantine where tenant = :t and patient_id = :p "
            "and site = :s and current and stage = 'read'"
        ),
        place,
    ).all()
    return {(r.resource_type, r.resource_id, r.reason) for r in rows}


def _set_aside_by(result: Normalized) -> set[Aside]:
    return {(q.resource_type, q.resource_id, q.reason) for q in result.quarantine}


def _report(db: Connection, tenant: str, run_id: str) -> dict[str, Any]:
    """The sum of a run: counts of each kind by site, and the first examples, patient by patient."""
    run = {"t": tenant, "r": run_id}
    counts = db.execute(
        text(
            "select d.site, k.key as kind, sum(k.value::bigint) as n from renormalized d, "
            "jsonb_each_text(d.outcome->'kinds') k where d.tenant = :t and d.run_id = :r group by 1, 2 order by 1, 2"
        ),
        run,
    ).all()
    total = db.execute(
        text(
            "select count(distinct patient_id) as patients, coalesce(sum((outcome->>'entries')::bigint), 0) as entries, "
            "count(distinct patient_id) filter (where outcome->'kinds' <> '{}') as changed from renormalized "
            "where tenant = :t and run_id = :r"
        ),
        run,
    ).one()
    kinds: Counter[str] = Counter()
    by_site: dict[str, dict[str, int]] = {}
    for row in counts:
        kinds[row.kind] += int(row.n)
        by_site.setdefault(row.site, {})[row.kind] = int(row.n)
    return {
        "identical": not kinds,
        "patients": int(total.patients),
        "patients_changed": int(total.changed),
        "entries_changed": int(total.entries),
        "kinds": {k: kinds[k] for k in KINDS if kinds[k]},
        "by_site": by_site,
        "examples": _examples(db, run),
        "versions": {"reading": READING, "tables": seeds_version(), "releases": releases_version()},
    }


def _examples(db: Connection, run: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    shown: dict[str, list[dict[str, Any]]] = {}
    rows = db.execute(
        text(
            "select kind, patient_id, site, example from (select e.key as kind, d.patient_id, d.site, x.value as example, "
            "row_number() over (partition by e.key order by d.site, d.patient_id, x.ordinality) as place "
            "from renormalized d, jsonb_each(d.outcome->'examples') e, "
            "jsonb_array_elements(e.value) with ordinality x where d.tenant = :t and d.run_id = :r) found "
            "where place <= :n order by kind, place"
        ),
        run | {"n": MOST_EXAMPLES},
    ).all()
    for row in rows:
        shown.setdefault(row.kind, []).append({"patient_id": row.patient_id, "site": row.site} | row.example)
    return {kind: shown[kind] for kind in KINDS if kind in shown}

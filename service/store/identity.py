"""One person at several sites: which records may be one, what a steward decided, and moving a record between patients.

A patient of ours is the cluster: `patient_links` says which record of which site is whose, and every other table follows
it. To link two patients is to move the records of one to the other; each fact keeps its site, so the chart of the patient
is the merged one, and unlinking moves exactly the facts of one record back out. History and audit stay.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, text

from models.identity import Pair
from models.record import Demographics
from service.store import audit
from service.store.vault import Vault
from service.store.words import UnknownPatient, clean

MOVED = (
    "patient_links",
    "membership",
    "entries",
    "coverage",
    "ledgers",
    "quarantine",
    "missing",
    "open_codes",
    "renormalized",
)
"""The tables whose rows belong to a record of a site and go where it goes (runs and audit tell what was, and stay)."""


class UnknownPair(KeyError):
    """No such pair in this tenant, or it is decided."""

    code = "unknown_pair"


class LinkRefused(ValueError):
    """Records that cannot be one patient. `code`: same_site, rejected_pair, already_apart, only_record."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Known:
    """A record of a site: whose it is here, and what it says about the person."""

    site: str
    there: str
    patient_id: str
    person: Demographics


def pair_id(one: tuple[str, str], other: tuple[str, str]) -> str:
    """The id of a pair of records, in either order."""
    return hashlib.sha256("|".join(f"{s}|{i}" for s, i in sorted((one, other))).encode()).hexdigest()[:16]


class Identities(Vault):
    """Pairs, decisions, links."""

    clock: Callable[[], str]

    def known_people(self, tenant: str, only: Sequence[tuple[str, str]] | None = None) -> list[Known]:
        """Every record of every site with its demographics (`only`: of these); those that were never read are not among them."""
        given = {
            "t": tenant,
            "some": only is not None,
            "sites": [s for s, _ in only or ()],
            "ids": [i for _, i in only or ()],
        }
        with self.database.transaction(tenant, snapshot=True) as db:
            rows = db.execute(text(_PEOPLE), given).all()
        return [Known(r.site, r.site_patient_id, r.patient_id, msgspec.convert(r.body, Demographics)) for r in rows]

    def people_mark(self, tenant: str) -> str:
        """What is another as soon as anybody of `people_versions` is: a sum over all of it, in one row."""
        with self.database.transaction(tenant) as db:
            return str(db.execute(text(_MARK), {"t": tenant}).scalar_one())

    def people_versions(self, tenant: str) -> dict[tuple[str, str], tuple[str, str]]:
        """(site, id there) -> (patient, version of what the record says), for everybody of `known_people`."""
        with self.database.transaction(tenant, snapshot=True) as db:
            rows = db.execute(text(_VERSIONS), {"t": tenant}).all()
        return {(site, there): (patient, version) for site, there, patient, version in rows}

    def put_pairs(self, tenant: str, pairs: Sequence[Pair]) -> int:
        """Keep what a search over everybody found. Open pairs it did not find again are withdrawn; decided ones stay.

        Returns how many pairs are open.
        """
        rows = []
        for pair in pairs:
            (site_a, id_a), (site_b, id_b) = sorted((pair.left, pair.right))
            rows.append(
                {"t": tenant, "i": pair_id(pair.left, pair.right), "sa": site_a, "ia": clean(id_a), "sb": site_b,
                 "ib": clean(id_b), "d": pair.decision, "w": pair.weight, "s": round(pair.probability, 6),
                 "c": list(pair.codes), "r": pair.reason}
            )  # fmt: skip
        with self.database.transaction(tenant) as db:
            _lock(db, tenant)
            db.execute(
                text(
                    "update identity_pairs set state = 'withdrawn' where tenant = :t and state = 'open' "
                    "and not (pair_id = any(cast(:kept as text[])))"
                ),
                {"t": tenant, "kept": [r["i"] for r in rows]},
            )
            if rows:
                db.execute(text(_PUT), rows)
            found = db.execute(
                text("select count(*) from identity_pairs where tenant = :t and state = 'open'"), {"t": tenant}
            ).scalar()
        return int(found or 0)

    def pairs(self, tenant: str, state: str = "open", limit: int = 100) -> tuple[list[dict[str, Any]], int]:
        """Pairs of a state, the likeliest first, with the patient each record belongs to; and how many there are."""
        with self.database.transaction(tenant, snapshot=True) as db:
            rows = db.execute(text(_PAIRS), {"t": tenant, "s": state, "n": limit}).all()
            total = db.execute(
                text("select count(*) from identity_pairs where tenant = :t and state = :s"), {"t": tenant, "s": state}
            ).scalar()
        return [_row(r) for r in rows], int(total or 0)

    def accept_pair(self, tenant: str, pair: str, actor: str, note: str = "") -> str:
        """Link the two records' patients; returns the patient that both are now. One transaction with its audit row."""
        key = self.internal_key(tenant, "audit")
        with self.database.transaction(tenant) as db:
            _lock(db, tenant)
            row = _open_pair(db, tenant, pair)
            owners = [_owner(db, tenant, row.site_a, row.id_a), _owner(db, tenant, row.site_b, row.id_b)]
            kept, _ = _by_age(db, tenant, owners)
            if owners[0] != owners[1]:
                gone = next(o for o in owners if o != kept)
                _may_be_one(db, tenant, kept, gone)
                self._move(db, tenant, gone, kept, _records(db, tenant, gone), "link", actor, pair, note)
                db.execute(text("delete from patients where tenant = :t and patient_id = :p"), {"t": tenant, "p": gone})
                audit.append(db, key, tenant, self.clock(), "identity", "link", f"{gone} into {kept}", kept)
            _decide(db, tenant, pair, "accepted", actor, note)
        return kept

    def reject_pair(self, tenant: str, pair: str, actor: str, note: str) -> None:
        """Two people: the pair is never offered nor linked again. Records linked already must be unlinked instead."""
        key = self.internal_key(tenant, "audit")
        with self.database.transaction(tenant) as db:
            _lock(db, tenant)
            row = _open_pair(db, tenant, pair)
            one = _owner(db, tenant, row.site_a, row.id_a)
            if one == _owner(db, tenant, row.site_b, row.id_b):
                raise LinkRefused("conflict", "these records are linked: unlink one of them")
            _decide(db, tenant, pair, "rejected", actor, note)
            audit.append(db, key, tenant, self.clock(), "identity", "reject", pair, one)

    def unlink(self, tenant: str, patient_id: str, site: str, actor: str, note: str) -> str:
        """Take a site's record out of a patient; returns the patient it is now: the one it was before, where there was one.

        The record and each that stays are a rejected pair from now on, so that no search links them again.
        """
        key = self.internal_key(tenant, "audit")
        with self.database.transaction(tenant) as db:
            _lock(db, tenant)
            records = _records(db, tenant, patient_id)
            if not records:
                raise UnknownPatient(patient_id)
            if site not in records:
                raise LinkRefused("unknown_site", "that site's record is not linked to this patient")
            if len(records) == 1:
                raise LinkRefused("conflict", "it is the only record of this patient")
            back = db.execute(text(_BEFORE), {"t": tenant, "s": site, "i": records[site], "p": patient_id}).scalar()
            target = str(back) if back and not _records(db, tenant, str(back)) else uuid.uuid4().hex
            db.execute(
                text("insert into patients (tenant, patient_id) values (:t, :p) on conflict do nothing"),
                {"t": tenant, "p": target},
            )
            self._move(db, tenant, patient_id, target, {site: records[site]}, "unlink", actor, "", note)
            for other, there in sorted(records.items()):
                if other != site:
                    _keep_apart(db, tenant, (site, records[site]), (other, there), actor, note)
            outcome = f"{site} out of {patient_id}"
            audit.append(db, key, tenant, self.clock(), "identity", "unlink", outcome, target)
        return target

    def link_history(self, tenant: str, patient_id: str) -> list[dict[str, Any]]:
        """Every link and unlink that a patient, or a record it has now, took part in; oldest first."""
        with self.database.transaction(tenant, snapshot=True) as db:
            rows = db.execute(text(_HISTORY), {"t": tenant, "p": patient_id}).all()
        return [dict(r._mapping) | {"at": r.at.isoformat()} for r in rows]

    def rejected_pairs(self, tenant: str) -> set[str]:
        """Ids of the pairs that are known to be two people."""
        with self.database.transaction(tenant) as db:
            rows = db.execute(
                text("select pair_id from identity_pairs where tenant = :t and state = 'rejected'"), {"t": tenant}
            )
            return {str(i) for i in rows.scalars()}

    def _move(
        self, db: Connection, tenant: str, source: str, target: str, records: dict[str, str], action: str, actor: str,
        pair: str, note: str,
    ) -> None:  # fmt: skip
        """Give the rows of these records to another patient. Whoever commits for them waits, or finds them gone."""
        for site in sorted(records):
            for patient in sorted((source, target)):
                key = f"{tenant}|{patient}|{site}"
                db.execute(text("select pg_advisory_xact_lock(hashtextextended(:k, 0))"), {"k": key})
        place = {"t": tenant, "from": source, "to": target, "sites": sorted(records)}
        for table in MOVED:
            db.execute(
                text(
                    f"update {table} set patient_id = :to where tenant = :t and patient_id = :from "  # noqa: S608
                    "and site = any(cast(:sites as text[]))"
                ),
                place,
            )
        db.execute(
            text(
                "insert into identity_history (tenant, actor, action, site, site_patient_id, from_patient, to_patient, "
                "pair_id, note) values (:t, :a, :c, :s, :i, :from, :to, :pair, :n)"
            ),
            [
                {"t": tenant, "a": actor, "c": action, "s": site, "i": there, "from": source, "to": target,
                 "pair": pair, "n": clean(note)}
                for site, there in sorted(records.items())
            ],
        )  # fmt: skip


_PEOPLE = """
select l.site, l.site_patient_id, l.patient_id, e.body from patient_links l
join lateral (select body from entries e where e.tenant = l.tenant and e.patient_id = l.patient_id and e.site = l.site
  and e.section = 'demographics' order by e.entry_id limit 1) e on true
where l.tenant = :t and (not :some or (l.site, l.site_patient_id) in (
  select * from unnest(cast(:sites as text[]), cast(:ids as text[]))))
order by l.site, l.site_patient_id
"""
_VERSIONS = """
select distinct on (l.site, l.site_patient_id) l.site, l.site_patient_id, l.patient_id, e.body_hash
from patient_links l join entries e on e.tenant = l.tenant and e.patient_id = l.patient_id and e.site = l.site
  and e.section = 'demographics'
where l.tenant = :t order by l.site, l.site_patient_id, e.entry_id
"""
_MARK = """
select count(*) || '|' || coalesce(sum(hashtextextended(l.site || '|' || l.site_patient_id || '|' || l.patient_id || '|'
  || e.entry_id || '|' || e.body_hash, 0)), 0)
from patient_links l join entries e on e.tenant = l.tenant and e.patient_id = l.patient_id and e.site = l.site
  and e.section = 'demographics' where l.tenant = :t
"""
_PUT = """
insert into identity_pairs (tenant, pair_id, site_a, id_a, site_b, id_b, state, decision, weight, score, codes, reason)
values (:t, :i, :sa, :ia, :sb, :ib, 'open', :d, :w, :s, cast(:c as text[]), :r)
on conflict (tenant, pair_id) do update set decision = excluded.decision, weight = excluded.weight,
  score = excluded.score, codes = excluded.codes, reason = excluded.reason,
  state = case when identity_pairs.state = 'withdrawn' then 'open' else identity_pairs.state end
where identity_pairs.state in ('open', 'withdrawn')
"""
_PAIRS = """
select p.*, a.patient_id as patient_a, b.patient_id as patient_b from identity_pairs p
left join patient_links a on a.tenant = p.tenant and a.site = p.site_a and a.site_patient_id = p.id_a
left join patient_links b on b.tenant = p.tenant and b.site = p.site_b and b.site_patient_id = p.id_b
where p.tenant = :t and p.state = :s order by p.decision, p.weight desc, p.pair_id limit :n
"""
_BEFORE = """
select from_patient from identity_history where tenant = :t and site = :s and site_patient_id = :i and to_patient = :p
  and action = 'link' order by seq desc limit 1
"""
_HISTORY = """
select h.at, h.actor, h.action, h.site, h.site_patient_id, h.from_patient, h.to_patient, h.pair_id, h.note
from identity_history h where h.tenant = :t and (h.from_patient = :p or h.to_patient = :p or exists (
  select from patient_links l where l.tenant = h.tenant and l.site = h.site and l.site_patient_id = h.site_patient_id
  and l.patient_id = :p)) order by h.seq
"""


def _lock(db: Connection, tenant: str) -> None:
    """One decision at a time in a tenant."""
    db.execute(text("select pg_advisory_xact_lock(hashtextextended(:k, 2))"), {"k": f"identity|{tenant}"})


def _open_pair(db: Connection, tenant: str, pair: str) -> Any:
    row = db.execute(
        text("select * from identity_pairs where tenant = :t and pair_id = :i and state = 'open'"),
        {"t": tenant, "i": pair},
    ).first()
    if row is None:
        raise UnknownPair(pair)
    return row


def _owner(db: Connection, tenant: str, site: str, there: str) -> str:
    found = db.execute(
        text("select patient_id from patient_links where tenant = :t and site = :s and site_patient_id = :i"),
        {"t": tenant, "s": site, "i": there},
    ).scalar()
    if found is None:
        raise UnknownPatient(there)
    return str(found)


def _records(db: Connection, tenant: str, patient_id: str) -> dict[str, str]:
    rows = db.execute(
        text("select site, site_patient_id from patient_links where tenant = :t and patient_id = :p"),
        {"t": tenant, "p": patient_id},
    ).all()
    return {r.site: r.site_patient_id for r in rows}


def _by_age(db: Connection, tenant: str, patients: Sequence[str]) -> list[str]:
    """The patients, the one that was registered first at the head (twice the same where it is one)."""
    rows = db.execute(
        text(
            "select patient_id from patients where tenant = :t and patient_id = any(cast(:p as text[])) "
            "order by created, patient_id"
        ),
        {"t": tenant, "p": list(patients)},
    ).scalars()
    found = [str(p) for p in rows]
    return found if len(found) > 1 else found * 2


def _may_be_one(db: Connection, tenant: str, one: str, other: str) -> None:
    """Refuse what would put two records of one site together, or a pair that is known to be two people."""
    mine, theirs = _records(db, tenant, one), _records(db, tenant, other)
    if set(mine) & set(theirs):
        raise LinkRefused("conflict", "both have a record at one site: that site has to merge its records first")
    wanted = [pair_id(a, b) for a in mine.items() for b in theirs.items()]
    found = db.execute(
        text(
            "select 1 from identity_pairs where tenant = :t and state = 'rejected' "
            "and pair_id = any(cast(:i as text[]))"
        ),
        {"t": tenant, "i": wanted},
    ).first()
    if found is not None:
        raise LinkRefused("conflict", "a pair of records among them was decided to be two people")


def _decide(db: Connection, tenant: str, pair: str, state: str, actor: str, note: str) -> None:
    db.execute(
        text(
            "update identity_pairs set state = :s, decided_at = now(), decided_by = :a, note = :n "
            "where tenant = :t and pair_id = :i"
        ),
        {"t": tenant, "i": pair, "s": state, "a": actor, "n": clean(note)},
    )


def _keep_apart(
    db: Connection, tenant: str, one: tuple[str, str], other: tuple[str, str], actor: str, note: str
) -> None:
    (site_a, id_a), (site_b, id_b) = sorted((one, other))
    db.execute(
        text(
            "insert into identity_pairs (tenant, pair_id, site_a, id_a, site_b, id_b, state, decision, weight, score, "
            "codes, reason, decided_at, decided_by, note) values (:t, :i, :sa, :ia, :sb, :ib, 'rejected', 'no_match', 0, "
            "0, '{}', 'unlinked', now(), :a, :n) on conflict (tenant, pair_id) do update set state = 'rejected', "
            "decided_at = now(), decided_by = excluded.decided_by, note = excluded.note"
        ),
        {"t": tenant, "i": pair_id(one, other), "sa": site_a, "ia": id_a, "sb": site_b, "ib": id_b, "a": actor,
         "n": clean(note)},
    )  # fmt: skip


def _row(row: Any) -> dict[str, Any]:
    found = dict(row._mapping)
    found.pop("tenant")
    for name in ("found_at", "decided_at"):
        found[name] = found[name].isoformat() if found[name] else None
    return found

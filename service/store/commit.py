"""One site's answer, kept: raw, entries, coverage, quarantine, what is missing, the account and the audit row together.

One transaction, one effect however often it is done. Whoever commits for the same patient and site waits for the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, text

from adapters.normalizer import NormalizationRules
from adapters.source import SectionFetch
from models.record import Coverage, Ledger, RawResource, Rejected
from service.store import audit
from service.store.quarantine import set_aside
from service.store.reread import reread, unreadable
from service.store.vault import Vault
from service.store.words import UnknownPatient, UnknownSite, as_json, clean, instant

GOOD = ("present", "empty", "none_asserted", "truncated", "filtered")
"""The site answered; `truncated` not to the end, so that nothing can be said to have vanished. What a site begins to hold
back (`filtered`) is as gone as what it deleted, and the coverage says so."""
MOST_ID = 200
"""FHIR ids have at most 64 characters. A longer one than this does not fit an index; such a resource is quarantined."""


class Commits(Vault):
    """Writing what sites answered."""

    clock: Callable[[], str]

    def commit_fetch(
        self,
        tenant: str,
        patient_id: str,
        site: str,
        fetches: Sequence[SectionFetch],
        rules: NormalizationRules | None = None,
        *,
        run_id: str | None = None,
        authorized_by: str = "",
    ) -> Ledger:
        """Keep what a site answered for a patient; returns the account of all that is current from that site.

        Raw is stored as received; then everything current of that site is normalized anew (resources refer to each
        other) and the entries that changed are replaced. A section that failed keeps what was known before, and its
        coverage says so. An answer older than the one already kept changes nothing in the chart: its resources are
        kept as raw, what it rejected goes to quarantine, not current. `authorized_by`: by whose authorization it was
        read, as AuditTrail.person_reference names them; the audit rows say so.
        """
        fetches = [_storable(_of(tenant, site, f), self.clock()) for f in fetches]
        key, actor = self.internal_key(tenant, "audit"), f"refresh:{authorized_by}" if authorized_by else "refresh"
        with self.database.transaction(tenant) as db:
            site_patient = lock(db, tenant, patient_id, site)
            place = {"t": tenant, "p": patient_id, "s": site}
            _keep_raw(db, [r for f in fetches for r in f.resources])
            gone = {}
            for fetch in fetches:
                here = place | {"x": fetch.section}
                if _is_late(db, here, fetch.coverage):
                    set_aside(db, here, "fetch", fetch.rejected, current=False)
                    continue
                gone[fetch.section] = _keep_membership(db, here, fetch, self.clock())
                _keep_gaps(db, here, fetch)
                _keep_coverage(db, here, fetch.coverage)
            ledger = reread(db, tenant, patient_id, site, site_patient, rules)
            for fetch in fetches:
                if run_id is not None:
                    _keep_account(db, place, run_id, fetch, gone.get(fetch.section, 0))
                outcome = f"{site}/{fetch.section}: {fetch.coverage.state}"
                audit.append(db, key, tenant, self.clock(), actor, "commit", outcome, patient_id)
        return ledger


def lock(db: Connection, tenant: str, patient_id: str, site: str) -> str:
    """Wait for other writers of this patient and site; returns the patient's id there."""
    db.execute(text("select pg_advisory_xact_lock(hashtextextended(:k, 0))"), {"k": f"{tenant}|{patient_id}|{site}"})
    rows = db.execute(
        text("select site, site_patient_id from patient_links where tenant = :t and patient_id = :p"),
        {"t": tenant, "p": patient_id},
    ).all()
    if not rows:
        raise UnknownPatient(patient_id)
    for row in rows:
        if row.site == site:
            return str(row.site_patient_id)
    raise UnknownSite(site)


def _of(tenant: str, site: str, fetch: SectionFetch) -> SectionFetch:
    if fetch.coverage.site != site or any((r.tenant, r.site) != (tenant, site) for r in fetch.resources):
        raise ValueError("a fetch of another tenant or site")
    return fetch


def _storable(fetch: SectionFetch, now: str) -> SectionFetch:
    """Resources whose id cannot be an id go to quarantine; NUL in an id or version is replaced; nothing is without a time."""
    kept, rejected = [], list(fetch.rejected)
    for raw in fetch.resources:
        if len(raw.resource_id) > MOST_ID or len(raw.resource_type) > MOST_ID:
            rejected.append(
                Rejected(
                    site=raw.site,
                    reason="unreadable",
                    detail=f"the id has more than {MOST_ID} characters",
                    resource_type=raw.resource_type[:MOST_ID],
                    resource_id=raw.resource_id[:MOST_ID],
                    section=fetch.section,
                    content=raw.content,
                )
            )
        else:
            kept.append(
                msgspec.structs.replace(
                    raw,
                    resource_type=clean(raw.resource_type),
                    resource_id=clean(raw.resource_id),
                    version=clean(raw.version),
                    retrieved=raw.retrieved or now,
                )
            )
    return msgspec.structs.replace(fetch, resources=tuple(kept), rejected=tuple(rejected))


def _keep_raw(db: Connection, resources: Sequence[RawResource]) -> None:
    rows = {
        (r.resource_type, r.resource_id, r.content_hash): {
            "t": r.tenant,
            "s": r.site,
            "rt": r.resource_type,
            "ri": r.resource_id,
            "h": r.content_hash,
            "v": r.version,
            "c": r.content,
            "n": len(r.content),
            "f": r.fhir_version,
            "a": r.api,
            "w": r.retrieved,
        }
        for r in resources
    }
    if rows:  # in one order, so that two transactions do not wait for each other
        db.execute(
            text(
                "insert into raw (tenant, site, resource_type, resource_id, content_hash, version, content, size, "
                "fhir_version, api, retrieved) values (:t, :s, :rt, :ri, :h, :v, :c, :n, :f, :a, :w) "
                "on conflict do nothing"
            ),
            [rows[k] for k in sorted(rows)],
        )


def _is_late(db: Connection, here: dict[str, Any], line: Coverage) -> bool:
    """Whether a later answer of the section is already kept (two refreshes at once: the newer one wins)."""
    if line.state not in GOOD or not line.as_of:
        return False
    kept: str | None = db.execute(
        text("select good_as_of from coverage where tenant = :t and patient_id = :p and site = :s and section = :x"),
        here,
    ).scalar()
    return bool(kept) and instant(str(kept)) > instant(line.as_of)


def _keep_membership(db: Connection, here: dict[str, Any], fetch: SectionFetch, now: str) -> int:
    """Which resources are current for the section. A complete answer tells what vanished; returns how many did.

    What an answer offered and we could not read, or not follow, has not vanished.

    A content received earlier than the one that is current does not replace it: a failed answer has no time of its
    own (see `_is_late`), its resources do.
    """
    newest = {(r.resource_type, r.resource_id): r for r in sorted(fetch.resources, key=lambda r: (r.retrieved, r.key))}
    rows = [
        here | {"rt": kind, "ri": found, "h": raw.content_hash, "w": instant(raw.retrieved)}
        for (kind, found), raw in sorted(newest.items())
    ]
    if rows:
        db.execute(
            text(
                "insert into membership (tenant, patient_id, site, section, resource_type, resource_id, content_hash, "
                "seen_at) values (:t, :p, :s, :x, :rt, :ri, :h, :w) on conflict (tenant, patient_id, site, section, "
                "resource_type, resource_id) do update set content_hash = excluded.content_hash, "
                "seen_at = excluded.seen_at, gone_at = null "
                "where excluded.seen_at >= coalesce(membership.gone_at, membership.seen_at)"
            ),
            rows,
        )
    if fetch.coverage.state not in GOOD or fetch.coverage.state == "truncated":
        return 0
    if any(not r.resource_id for r in fetch.rejected):
        return 0  # which resource it was cannot be told: any of those that are not there
    kept = {f"{kind}/{found}" for kind, found in newest} | {
        f"{r.resource_type}/{r.resource_id}" for r in fetch.rejected
    }
    kept |= {m.reference for m in fetch.missing}
    # What could not be read may lead to others (a panel to its members): then only what was searched can be gone.
    only = fetch.coverage.resource_type if fetch.missing else ""
    vanished = db.execute(
        text(
            "update membership set gone_at = :w where tenant = :t and patient_id = :p and site = :s and section = :x "
            "and gone_at is null and not (resource_type || '/' || resource_id = any(cast(:kept as text[]))) "
            "and (:only = '' or resource_type = :only)"
        ),
        here | {"w": instant(fetch.coverage.as_of or now), "kept": sorted(kept), "only": only},
    )
    return int(vanished.rowcount)


def _keep_gaps(db: Connection, here: dict[str, Any], fetch: SectionFetch) -> None:
    """Quarantine (its rows are kept for good, marked current or not) and what is known to be missing now."""
    if fetch.coverage.state in GOOD:
        db.execute(
            text(
                "update quarantine set current = false, left_at = coalesce(left_at, now()) where tenant = :t "
                "and patient_id = :p and site = :s and section = :x and stage = 'fetch'"
            ),
            here,
        )
        db.execute(
            text("delete from missing where tenant = :t and patient_id = :p and site = :s and section = :x"), here
        )
    set_aside(db, here, "fetch", fetch.rejected)
    rows = [
        here | {"r": clean(m.reference)[:500], "w": clean(m.reason)[:500], "n": m.count}
        for m in sorted(fetch.missing, key=lambda m: (m.reference, m.reason))
    ]
    if rows:
        db.execute(
            text(
                "insert into missing (tenant, patient_id, site, section, reference, reason, count) "
                "values (:t, :p, :s, :x, :r, :w, :n) on conflict (tenant, patient_id, site, section, md5(reference), "
                "md5(reason)) do update set count = excluded.count"
            ),
            rows,
        )


def _keep_coverage(db: Connection, here: dict[str, Any], line: Coverage) -> None:
    """A failed section with earlier data is `stale`, with the time it was last good; nothing is wiped."""
    known = db.execute(
        text(
            "select body, good_as_of from coverage where tenant = :t and patient_id = :p and site = :s and section = :x"
        ),
        here,
    ).first()
    good = known.good_as_of if known else ""
    if line.state in GOOD:
        good = line.as_of
    elif good and known:
        before = msgspec.convert(known.body, Coverage)
        why = f"last refresh: {line.state}{': ' + line.reason if line.reason else ''}"
        line = msgspec.structs.replace(before, state="stale", as_of=good, reason=why)
    db.execute(
        text(
            "insert into coverage (tenant, patient_id, site, section, body, good_as_of, asked_at) "
            "values (:t, :p, :s, :x, cast(:b as jsonb), :g, now()) on conflict (tenant, patient_id, site, section) "
            "do update set body = excluded.body, good_as_of = excluded.good_as_of, asked_at = excluded.asked_at"
        ),
        here | {"b": as_json(line), "g": good},
    )


def _keep_account(db: Connection, place: dict[str, Any], run_id: str, fetch: SectionFetch, gone: int) -> None:
    """The section's row in the account of the run: what this fetch offered, and what became of it."""
    unread = unreadable(db, place)
    missing = sum(m.count for m in fetch.missing)
    bad = sum(1 for r in fetch.resources if (r.resource_type, r.resource_id, r.content_hash) in unread)
    numbers = {
        "offered": len(fetch.resources) + len(fetch.rejected) + missing,
        "stored": len(fetch.resources) - bad,
        "quarantined": len(fetch.rejected) + bad,
        "missing": missing,
    }
    db.execute(
        text(
            "insert into run_sections (tenant, run_id, site, section, state, offered, stored, quarantined, missing, "
            "gone, requests) values (:t, :r, :s, :x, :state, :offered, :stored, :quarantined, :missing, :gone, :n) "
            "on conflict (tenant, run_id, site, section) do update set state = excluded.state, "
            "offered = excluded.offered, stored = excluded.stored, quarantined = excluded.quarantined, "
            "missing = excluded.missing, gone = greatest(run_sections.gone, excluded.gone), "
            "requests = excluded.requests"
        ),
        {"t": place["t"], "s": place["s"], "r": run_id, "x": fetch.section}
        | numbers
        | {"state": fetch.coverage.state, "gone": gone, "n": fetch.requests},
    )

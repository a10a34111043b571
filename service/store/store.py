"""The store: raw first, then entries, coverage, quarantine and the account of all, in one transaction.

Every method takes the tenant first, and row-level security stands behind it. All methods are synchronous; they raise
StoreUnavailable when the database cannot be reached, UnknownPatient and UnknownSite for what does not exist.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, text

from adapters.normalizer import NormalizationRules, assemble, normalize
from adapters.profile import SiteConfig, parse_site
from adapters.source import SectionFetch
from models.record import SECTIONS, AnyEntry, Chart, Coverage, Demographics, Ledger, RawResource, Section
from service.settings import Settings
from service.store.access import AccessKeys
from service.store.database import Database
from service.store.sealing import AwsKmsKeyProvider, FileKeyProvider, KeyProvider, Sealer
from service.store.vault import Vault

GOOD = ("present", "empty", "none_asserted", "truncated")
_ENTRIES = msgspec.json.Decoder(list[AnyEntry])


class UnknownPatient(KeyError):
    """No such patient in this tenant."""

    code = "unknown_patient"


class UnknownSite(KeyError):
    """No such site in this tenant."""

    code = "unknown_site"


def now_iso() -> str:
    """Now, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class Store(Vault, AccessKeys):
    """All that Chartbrief remembers."""

    def __init__(
        self, settings: Settings, *, key_provider: KeyProvider | None = None, clock: Callable[[], str] = now_iso
    ) -> None:
        self.settings = settings
        self.database = Database(settings)
        self.clock = clock
        self.sealer = Sealer(key_provider or _provider(settings))

    def close(self) -> None:
        """Close the connections."""
        self.database.close()

    def ping(self, tenant: str = "-") -> None:
        """Raise StoreUnavailable unless the database answers."""
        with self.database.transaction(tenant) as db:
            db.execute(text("select 1"))

    # Sites -----------------------------------------------------------------------------------------------------------

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

    def set_site_state(
        self, tenant: str, name: str, state: str, detail: str = "", report: dict[str, Any] | None = None
    ) -> None:
        """Note how a site was found: ready, needs_reauthorization, unavailable, misconfigured."""
        with self.database.transaction(tenant) as db:
            db.execute(
                text(
                    "update sites set state = :s, detail = :d, checked_at = now(), report = coalesce(cast(:r as jsonb), report) "
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

    # Patients --------------------------------------------------------------------------------------------------------

    def register_patient(self, tenant: str, site: str, site_patient_id: str, patient_id: str | None = None) -> str:
        """Say that a site knows a patient; the same answer however often it is said. Returns our patient id."""
        self.site(tenant, site)
        with self.database.transaction(tenant) as db:
            db.execute(
                text("select pg_advisory_xact_lock(hashtextextended(:k, 0))"),
                {"k": f"{tenant}|{site}|{site_patient_id}"},
            )
            known = db.execute(
                text("select patient_id from patient_links where tenant = :t and site = :s and site_patient_id = :p"),
                {"t": tenant, "s": site, "p": site_patient_id},
            ).scalar()
            if known and patient_id in (None, known):
                return str(known)
            if known:
                raise ValueError("that site's patient is already linked to another patient")
            if patient_id is not None and not self._exists(db, tenant, patient_id):
                raise UnknownPatient(patient_id)
            ours = patient_id or uuid.uuid4().hex
            db.execute(
                text("insert into patients (tenant, patient_id) values (:t, :p) on conflict do nothing"),
                {"t": tenant, "p": ours},
            )
            db.execute(
                text("insert into patient_links (tenant, site, site_patient_id, patient_id) values (:t, :s, :sp, :p)"),
                {"t": tenant, "s": site, "sp": site_patient_id, "p": ours},
            )
        return ours

    @staticmethod
    def _exists(db: Connection, tenant: str, patient_id: str) -> bool:
        found = db.execute(
            text("select 1 from patients where tenant = :t and patient_id = :p"), {"t": tenant, "p": patient_id}
        ).first()
        return found is not None

    def links(self, tenant: str, patient_id: str) -> dict[str, str]:
        """Site -> the patient's id there."""
        with self.database.transaction(tenant) as db:
            if not self._exists(db, tenant, patient_id):
                raise UnknownPatient(patient_id)
            rows = db.execute(
                text(
                    "select site, site_patient_id from patient_links where tenant = :t and patient_id = :p order by site"
                ),
                {"t": tenant, "p": patient_id},
            ).all()
        return {r.site: r.site_patient_id for r in rows}

    def patients(self, tenant: str) -> list[dict[str, Any]]:
        """Registered patients with name, birth date, sites and when they were last read."""
        with self.database.transaction(tenant) as db:
            rows = db.execute(
                text(
                    "select p.patient_id, array(select site from patient_links l where l.tenant = p.tenant and "
                    "l.patient_id = p.patient_id order by site) as sites, "
                    "(select max(good_as_of) from coverage c where c.tenant = p.tenant and c.patient_id = p.patient_id) as updated, "
                    "(select jsonb_agg(e.body order by e.site) from entries e where e.tenant = p.tenant and "
                    "e.patient_id = p.patient_id and e.section = 'demographics') as people "
                    "from patients p where p.tenant = :t order by p.created, p.patient_id"
                ),
                {"t": tenant},
            ).all()
        found = []
        for row in rows:
            people = [msgspec.convert(b, Demographics) for b in row.people or []]
            first = people[0] if people else None
            found.append(
                {
                    "id": row.patient_id,
                    "name": first.name if first else "",
                    "birth_date": first.birth_date if first else None,
                    "gender": first.gender if first else "",
                    "sites": list(row.sites),
                    "last_updated": row.updated or None,
                    "_people": people,
                }
            )
        return found

    def search_patients(
        self, tenant: str, *, name: str | None = None, birth_date: str | None = None, identifier: str | None = None
    ) -> list[dict[str, Any]]:
        """Patients all given criteria hold for: any word of the name by prefix, the birth date, an identifier's value."""
        words = (name or "").casefold().split()
        found = []
        for row in self.patients(tenant):
            for person in row["_people"]:
                texts = [t.casefold() for n in person.names for t in (n.family, *n.given, *n.text.split())]
                if not all(any(t.startswith(w) for t in texts) for w in words):
                    continue
                if birth_date and person.birth_date != birth_date:
                    continue
                if identifier and identifier not in [i.value for i in person.identifiers]:
                    continue
                found.append({k: v for k, v in row.items() if not k.startswith("_")})
                break
        return found

    # One site's answer -----------------------------------------------------------------------------------------------

    def commit_fetch(
        self,
        tenant: str,
        patient_id: str,
        site: str,
        fetches: Sequence[SectionFetch],
        rules: NormalizationRules | None = None,
    ) -> Ledger:
        """Keep what a site answered for a patient: one transaction, one effect however often it is done.

        Raw is stored as received; then everything current of that site is normalized anew (resources refer to each
        other) and its entries replaced. A section that failed keeps what was known before, and its coverage says so.
        """
        links = self.links(tenant, patient_id)
        if site not in links:
            raise UnknownSite(site)
        with self.database.transaction(tenant) as db:
            db.execute(
                text("select pg_advisory_xact_lock(hashtextextended(:k, 0))"), {"k": f"{tenant}|{patient_id}|{site}"}
            )
            for fetch in fetches:
                self._keep_raw(db, tenant, fetch.resources)
                self._keep_membership(db, tenant, patient_id, site, fetch)
                self._keep_gaps(db, tenant, patient_id, site, fetch)
                self._keep_coverage(db, tenant, patient_id, site, fetch.coverage)
            return self._renormalize(db, tenant, patient_id, site, links[site], rules)

    @staticmethod
    def _keep_raw(db: Connection, tenant: str, resources: Iterable[RawResource]) -> None:
        rows = [
            {
                "t": tenant,
                "s": r.site,
                "rt": r.resource_type,
                "ri": r.resource_id,
                "vk": r.key[4],
                "v": r.version,
                "h": r.content_hash,
                "c": r.content,
                "f": r.fhir_version,
                "a": r.api,
                "w": r.retrieved,
            }
            for r in sorted(resources, key=lambda r: r.key)
        ]
        if rows:
            db.execute(
                text(
                    "insert into raw (tenant, site, resource_type, resource_id, version_key, version, content_hash, content, "
                    "fhir_version, api, first_retrieved, retrieved) values (:t, :s, :rt, :ri, :vk, :v, :h, :c, :f, :a, :w, :w) "
                    "on conflict (tenant, site, resource_type, resource_id, version_key) do update set "
                    "retrieved = greatest(raw.retrieved, excluded.retrieved), content = excluded.content, "
                    "content_hash = excluded.content_hash"
                ),
                rows,
            )

    @staticmethod
    def _keep_membership(db: Connection, tenant: str, patient_id: str, site: str, fetch: SectionFetch) -> None:
        """Which resources are current for the section. A complete answer replaces the list: what vanished is gone."""
        place = {"t": tenant, "p": patient_id, "s": site, "x": fetch.section}
        if fetch.coverage.state not in GOOD:
            return
        if fetch.coverage.state != "truncated":
            db.execute(
                text("delete from membership where tenant = :t and patient_id = :p and site = :s and section = :x"),
                place,
            )
        rows = [
            place | {"rt": r.resource_type, "ri": r.resource_id, "vk": r.key[4]}
            for r in sorted(fetch.resources, key=lambda r: r.key)
        ]
        if rows:
            db.execute(
                text(
                    "insert into membership (tenant, patient_id, site, section, resource_type, resource_id, version_key) "
                    "values (:t, :p, :s, :x, :rt, :ri, :vk) on conflict (tenant, patient_id, site, section, resource_type, "
                    "resource_id) do update set version_key = excluded.version_key"
                ),
                rows,
            )

    @staticmethod
    def _keep_gaps(db: Connection, tenant: str, patient_id: str, site: str, fetch: SectionFetch) -> None:
        """Quarantine (kept for good, marked current or not) and what is known to be missing now."""
        place = {"t": tenant, "p": patient_id, "s": site, "x": fetch.section}
        db.execute(
            text(
                "update quarantine set current = false where tenant = :t and patient_id = :p and site = :s and section = :x"
            ),
            place,
        )
        for item in fetch.rejected:
            _quarantine(db, place, item)
        db.execute(
            text("delete from missing where tenant = :t and patient_id = :p and site = :s and section = :x"), place
        )
        rows = [place | {"r": m.reference, "w": m.reason, "n": m.count} for m in fetch.missing]
        if rows:
            db.execute(
                text(
                    "insert into missing (tenant, patient_id, site, section, reference, reason, count) values (:t, :p, :s, :x, :r, :w, :n)"
                ),
                rows,
            )

    @staticmethod
    def _keep_coverage(db: Connection, tenant: str, patient_id: str, site: str, line: Coverage) -> None:
        """A failed section with earlier data is `stale`, with the time it was last good; nothing is wiped."""
        key = {"t": tenant, "p": patient_id, "s": site, "x": line.section}
        known = db.execute(
            text(
                "select body, good_as_of from coverage where tenant = :t and patient_id = :p and site = :s and section = :x"
            ),
            key,
        ).first()
        good = known.good_as_of if known else ""
        if line.state in GOOD:
            good = line.as_of
        elif good and known:
            before = msgspec.convert(known.body, Coverage)
            line = msgspec.structs.replace(
                before,
                state="stale",
                as_of=good,
                reason=f"last refresh: {line.state}{': ' + line.reason if line.reason else ''}",
            )
        db.execute(
            text(
                "insert into coverage (tenant, patient_id, site, section, body, good_as_of) values (:t, :p, :s, :x, cast(:b as jsonb), :g) "
                "on conflict (tenant, patient_id, site, section) do update set body = excluded.body, good_as_of = excluded.good_as_of"
            ),
            key | {"b": msgspec.json.encode(line).decode(), "g": good},
        )

    def _renormalize(
        self,
        db: Connection,
        tenant: str,
        patient_id: str,
        site: str,
        site_patient_id: str,
        rules: NormalizationRules | None,
    ) -> Ledger:
        place = {"t": tenant, "p": patient_id, "s": site}
        rows = db.execute(
            text(
                "select distinct r.resource_type, r.resource_id, r.version, r.content, r.fhir_version, r.api, r.retrieved "
                "from raw r join membership m on m.tenant = r.tenant and m.site = r.site and m.resource_type = r.resource_type "
                "and m.resource_id = r.resource_id and m.version_key = r.version_key "
                "where m.tenant = :t and m.patient_id = :p and m.site = :s"
            ),
            place,
        ).all()
        resources = [
            RawResource(
                tenant=tenant,
                site=site,
                resource_type=r.resource_type,
                resource_id=r.resource_id,
                content=bytes(r.content),
                version=r.version,
                retrieved=r.retrieved,
                fhir_version=r.fhir_version,
                api=r.api,
            )
            for r in rows
        ]
        result = normalize(resources, rules=rules, patient_id=site_patient_id)
        db.execute(
            text(
                "update quarantine set current = false where tenant = :t and patient_id = :p and site = :s and section is null"
            ),
            place,
        )
        for item in result.quarantine:
            _quarantine(db, place | {"x": None}, item)
        db.execute(text("delete from entries where tenant = :t and patient_id = :p and site = :s"), place)
        lines = [place | {"x": e.section, "e": e.id, "b": msgspec.json.encode(e).decode()} for e in result.entries]
        if lines:
            db.execute(
                text(
                    "insert into entries (tenant, patient_id, site, section, entry_id, body) values (:t, :p, :s, :x, :e, cast(:b as jsonb))"
                ),
                lines,
            )
        ledger = self._ledger(db, place, result.ledger)
        db.execute(
            text(
                "insert into ledgers (tenant, patient_id, site, body) values (:t, :p, :s, cast(:b as jsonb)) "
                "on conflict (tenant, patient_id, site) do update set body = excluded.body"
            ),
            place | {"b": msgspec.json.encode(ledger).decode()},
        )
        return ledger

    @staticmethod
    def _ledger(db: Connection, place: dict[str, Any], base: Ledger) -> Ledger:
        """The account of a site: what was read, plus what the adapter rejected, plus what is missing."""
        rejected = db.execute(
            text(
                "select resource_type, count(*) as n from quarantine where tenant = :t and patient_id = :p and site = :s "
                "and current and section is not null group by resource_type"
            ),
            place,
        ).all()
        missing = db.execute(
            text(
                "select split_part(reference, '/', 1) as resource_type, sum(count) as n from (select distinct reference, count "
                "from missing where tenant = :t and patient_id = :p and site = :s) m group by 1"
            ),
            place,
        ).all()
        extra = [("quarantined", r.resource_type, int(r.n)) for r in rejected] + [
            ("reported_missing", r.resource_type, int(r.n)) for r in missing
        ]
        return add_to_ledger(base, extra)

    # Reading ---------------------------------------------------------------------------------------------------------

    def chart(self, tenant: str, patient_id: str, *, as_of: str | None = None) -> Chart:
        """The patient's chart from all sites."""
        moment = as_of or self.clock()
        with self.database.transaction(tenant) as db:
            if not self._exists(db, tenant, patient_id):
                raise UnknownPatient(patient_id)
            place = {"t": tenant, "p": patient_id}
            rows = db.execute(text("select body from entries where tenant = :t and patient_id = :p"), place).all()
            books = db.execute(text("select body from ledgers where tenant = :t and patient_id = :p"), place).all()
        entries = [msgspec.convert(r.body, AnyEntry) for r in rows]
        ledger = merge_ledgers([msgspec.convert(b.body, Ledger) for b in books])
        return assemble(
            tenant, patient_id, entries, self.coverage(tenant, patient_id, as_of=moment), as_of=moment, ledger=ledger
        )

    def coverage(self, tenant: str, patient_id: str, *, as_of: str | None = None) -> tuple[Coverage, ...]:
        """What is known per section and linked site; unasked sections are `not_queried`, old answers `stale`."""
        moment = as_of or self.clock()
        links = self.links(tenant, patient_id)
        with self.database.transaction(tenant) as db:
            rows = db.execute(
                text("select body from coverage where tenant = :t and patient_id = :p"), {"t": tenant, "p": patient_id}
            ).all()
        hours = {
            s["name"]: self.site(tenant, s["name"]).freshness_hours for s in self.sites(tenant) if s["name"] in links
        }
        known = {(c.section, c.site): c for c in (msgspec.convert(r.body, Coverage) for r in rows)}
        found = []
        for site in links:
            for section in SECTIONS:
                line = known.get((section, site)) or Coverage(section=section, site=site, state="not_queried")
                found.append(_aged(line, moment, hours.get(site, 24.0)))
        return tuple(found)

    def raw(self, tenant: str, patient_id: str, site: str, resource_type: str, resource_id: str) -> RawResource | None:
        """The current version of a resource of a patient, exactly as received."""
        with self.database.transaction(tenant) as db:
            row = db.execute(
                text(
                    "select r.* from raw r join membership m on m.tenant = r.tenant and m.site = r.site and "
                    "m.resource_type = r.resource_type and m.resource_id = r.resource_id and m.version_key = r.version_key "
                    "where m.tenant = :t and m.patient_id = :p and m.site = :s and m.resource_type = :rt and m.resource_id = :ri limit 1"
                ),
                {"t": tenant, "p": patient_id, "s": site, "rt": resource_type, "ri": resource_id},
            ).first()
        if row is None:
            return None
        return RawResource(
            tenant=tenant,
            site=site,
            resource_type=resource_type,
            resource_id=resource_id,
            content=bytes(row.content),
            version=row.version,
            retrieved=row.retrieved,
            fhir_version=row.fhir_version,
            api=row.api,
        )

    def quarantine(self, tenant: str, patient_id: str) -> list[dict[str, Any]]:
        """What could not be used, newest first; without the bytes."""
        with self.database.transaction(tenant) as db:
            if not self._exists(db, tenant, patient_id):
                raise UnknownPatient(patient_id)
            rows = db.execute(
                text(
                    "select id, site, section, reason, detail, resource_type, resource_id, source, current, received, "
                    "length(content) as bytes from quarantine where tenant = :t and patient_id = :p order by id desc"
                ),
                {"t": tenant, "p": patient_id},
            ).all()
        return [dict(r._mapping) | {"received": r.received.isoformat()} for r in rows]

    # Runs ------------------------------------------------------------------------------------------------------------

    def put_run(
        self, tenant: str, run_id: str, patient_id: str, state: str, report: dict[str, Any] | None = None
    ) -> None:
        """Note how far a refresh is."""
        with self.database.transaction(tenant) as db:
            db.execute(
                text(
                    "insert into runs (tenant, run_id, patient_id, state, report) values (:t, :r, :p, :s, cast(:b as jsonb)) "
                    "on conflict (tenant, run_id) do update set state = excluded.state, report = coalesce(excluded.report, runs.report), "
                    "finished = case when excluded.state in ('done', 'failed') then now() end"
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
        """A refresh: patient, state, report."""
        with self.database.transaction(tenant) as db:
            row = db.execute(
                text("select * from runs where tenant = :t and run_id = :r"), {"t": tenant, "r": run_id}
            ).first()
        if row is None:
            return None
        return {
            "run_id": row.run_id,
            "patient_id": row.patient_id,
            "state": row.state,
            "report": row.report,
            "started": row.started.isoformat(),
            "finished": row.finished.isoformat() if row.finished else None,
        }

    def purge_raw(self, tenant: str, before: str) -> int:
        """Delete raw versions that nothing uses any more and that were last seen before `before`; returns how many."""
        with self.database.transaction(tenant) as db:
            result = db.execute(
                text(
                    "delete from raw r where r.tenant = :t and r.retrieved < :b and not exists (select 1 from membership m where "
                    "m.tenant = r.tenant and m.site = r.site and m.resource_type = r.resource_type and "
                    "m.resource_id = r.resource_id and m.version_key = r.version_key)"
                ),
                {"t": tenant, "b": before},
            )
        return int(result.rowcount)


def _provider(settings: Settings) -> KeyProvider:
    if settings.kms_key_id:
        import boto3

        return AwsKmsKeyProvider(settings.kms_key_id, boto3.client("kms", endpoint_url=settings.kms_endpoint_url))
    return FileKeyProvider(settings.master_key_file or settings.home / "master.key")


def _quarantine(db: Connection, place: dict[str, Any], item: Any) -> None:
    db.execute(
        text(
            "insert into quarantine (tenant, patient_id, site, section, reason, detail, resource_type, resource_id, source, content, "
            "content_hash) values (:t, :p, :s, :x, :reason, :detail, :rt, :ri, :source, :content, :hash) "
            "on conflict (tenant, patient_id, site, reason, resource_type, resource_id, content_hash) "
            "do update set current = true, section = excluded.section"
        ),
        place
        | {
            "reason": item.reason,
            "detail": item.detail,
            "rt": item.resource_type,
            "ri": item.resource_id,
            "source": item.source,
            "content": item.content,
            "hash": hashlib.sha256(item.content).hexdigest(),
        },
    )


def _aged(line: Coverage, moment: str, hours: float) -> Coverage:
    if line.state not in ("present", "empty", "none_asserted") or not line.as_of:
        return line
    then, now = (datetime.fromisoformat(t.replace("Z", "+00:00")) for t in (line.as_of, moment))
    age = (now - (then if then.tzinfo else then.replace(tzinfo=UTC))).total_seconds() / 3600
    if age <= hours:
        return line
    return msgspec.structs.replace(line, state="stale", reason=f"older than {hours:g} hours")


def add_to_ledger(base: Ledger, extra: Iterable[tuple[str, str, int]]) -> Ledger:
    """`base` plus (column, resource type, count) rows; offered grows with them."""
    rows = {kind: dict(numbers) for kind, numbers in base.by_type.items()}
    for column, kind, count in extra:
        row = rows.setdefault(kind or "unknown", {"offered": 0, "stored": 0, "quarantined": 0, "reported_missing": 0})
        row[column] += count
        row["offered"] += count
    return _total(rows)


def merge_ledgers(ledgers: Iterable[Ledger]) -> Ledger:
    """The sum of several accounts."""
    rows: dict[str, dict[str, int]] = {}
    for ledger in ledgers:
        for kind, numbers in ledger.by_type.items():
            row = rows.setdefault(kind, dict.fromkeys(numbers, 0))
            for name, count in numbers.items():
                row[name] = row.get(name, 0) + count
    return _total(rows)


def _total(rows: dict[str, dict[str, int]]) -> Ledger:
    names = ("offered", "stored", "quarantined", "reported_missing")
    return Ledger(by_type=dict(sorted(rows.items())), **{n: sum(r.get(n, 0) for r in rows.values()) for n in names})


def sections_of(names: Iterable[str] | None) -> tuple[Section, ...]:
    """The named sections in the house's order; all when none are named."""
    wanted = set(names) if names is not None else None
    return tuple(s for s in SECTIONS if wanted is None or s in wanted)

"""Patients of a tenant, and under which id each site knows them."""

from __future__ import annotations

import unicodedata
import uuid
from typing import Any

import msgspec
from sqlalchemy import Connection, text

from models.record import Demographics
from service.store.sites import Sites
from service.store.words import UnknownPatient, as_json, clean


class Patients(Sites):
    """Who is registered."""

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
            if patient_id is not None and not exists(db, tenant, patient_id):
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

    def patient_of(self, tenant: str, site: str, site_patient_id: str) -> str | None:
        """Our id of a site's patient; None where nobody registered them."""
        with self.database.transaction(tenant) as db:
            found: str | None = db.execute(
                text("select patient_id from patient_links where tenant = :t and site = :s and site_patient_id = :p"),
                {"t": tenant, "s": site, "p": site_patient_id},
            ).scalar()
        return found

    def links(self, tenant: str, patient_id: str) -> dict[str, str]:
        """Site -> the patient's id there."""
        with self.database.transaction(tenant) as db:
            if not exists(db, tenant, patient_id):
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
        return [row for row, _ in self._people(tenant)]

    def patient_page(self, tenant: str, first: int, most: int) -> tuple[list[dict[str, Any]], int]:
        """`most` of the registered patients from the `first` (0 is the oldest) on, and how many there are."""
        with self.database.transaction(tenant) as db:
            total = int(
                db.execute(text("select count(*) from patients where tenant = :t"), {"t": tenant}).scalar() or 0
            )
        return [row for row, _ in self._people(tenant, first=first, most=most)], total

    def search_patients(
        self, tenant: str, *, name: str | None = None, birth_date: str | None = None, identifier: str | None = None
    ) -> list[dict[str, Any]]:
        """Patients all given criteria hold for at one site.

        Each word of `name` begins a part of the name (accents and case do not matter); the birth date and an
        identifier's value are equal. Without any criterion nobody is found.
        """
        words = _plain(name or "").split()
        if not (words or birth_date or identifier):
            return []
        identifier = clean(identifier or "")
        wanted = as_json([{"value": identifier}]) if identifier else None
        return [
            row
            for row, people in self._people(tenant, birth_date or None, wanted)
            if any(_matches(person, words, birth_date, identifier) for person in people)
        ]

    def _people(
        self,
        tenant: str,
        birth_date: str | None = None,
        identifier: str | None = None,
        *,
        first: int = 0,
        most: int | None = None,
    ) -> list[tuple[dict[str, Any], list[Demographics]]]:
        """Patients with their demographics; with those of the birth date and the identifier (JSON), where given."""
        asked = {"t": tenant, "birth_date": birth_date, "identifier": identifier, "first": first, "most": most}
        with self.database.transaction(tenant) as db:
            rows = db.execute(text(_PEOPLE), asked).all()
        found = []
        for row in rows:
            people = [msgspec.convert(b, Demographics) for b in row.people or []]
            one = people[0] if people else None
            known = {
                "id": row.patient_id,
                "name": one.name if one else "",
                "birth_date": one.birth_date if one else None,
                "gender": one.gender if one else "",
                "sites": list(row.sites),
                "last_updated": row.updated or None,
            }
            found.append((known, people))
        return found


_PEOPLE = """
select p.patient_id, p.created,
  array(select l.site from patient_links l where l.tenant = p.tenant and l.patient_id = p.patient_id
    order by l.site) as sites,
  (select max(c.good_as_of) from coverage c where c.tenant = p.tenant and c.patient_id = p.patient_id) as updated,
  (select jsonb_agg(e.body order by e.site, e.entry_id) from entries e where e.tenant = p.tenant
    and e.patient_id = p.patient_id and e.section = 'demographics') as people
from patients p
where p.tenant = :t and ((cast(:birth_date as text) is null and cast(:identifier as text) is null)
  or exists (select from entries e where e.tenant = p.tenant and e.patient_id = p.patient_id
    and e.section = 'demographics'
    and (cast(:birth_date as text) is null or e.body->>'birth_date' = :birth_date)
    and (cast(:identifier as text) is null or e.body->'identifiers' @> cast(:identifier as jsonb))))
order by p.created, p.patient_id limit cast(:most as bigint) offset :first
"""


def _matches(person: Demographics, words: list[str], birth_date: str | None, identifier: str | None) -> bool:
    parts = [_plain(t) for n in person.names for t in (n.family, *n.given, *n.text.split(), *n.family.split())]
    return (
        all(any(part.startswith(word) for part in parts) for word in words)
        and (not birth_date or person.birth_date == birth_date)
        and (not identifier or any(i.value == identifier for i in person.identifiers))
    )


def _plain(words: str) -> str:
    decomposed = unicodedata.normalize("NFKD", words.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def exists(db: Connection, tenant: str, patient_id: str) -> bool:
    """Whether the patient is registered."""
    found = db.execute(
        text("select 1 from patients where tenant = :t and patient_id = :p"), {"t": tenant, "p": patient_id}
    ).first()
    return found is not None

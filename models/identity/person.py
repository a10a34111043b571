"""A person as one source knows them, in the form in which people are compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

from models.identity import births, names, numbers, places
from models.identity.births import Birth
from models.identity.names import Name
from models.identity.places import Place
from models.record import Demographics
from models.record.base import Value

_SSN_SYSTEMS = ("us-ssn", "2.16.840.1.113883.4.1")
_DOCUMENTS = {"DL": "license", "PPN": "passport", "NI": "national", "CZ": "citizenship", "HC": "health card"}
_MEMBERSHIP = frozenset({"MB", "SN", "MA", "MC"})
_NOT_OF_A_PERSON = frozenset({"AN", "VN", "ACSN", "FILL", "PLAC", "TAX", "EN", "NPI", "PRN", "RRI", "XX", "U"})
"""Identifier types (HL7 table 0203) of visits, accounts, orders, employers and providers: they tell nobody apart."""

_ADDRESS_USES = {"home": 0, "temp": 2, "work": 3, "billing": 4, "old": 5}
"""Which address is the one they live at: the first that there is; one without a known use comes second."""


class Person(Value, frozen=True):
    """One record of a person. Equal (source, id) is the same record."""

    source: str
    """Whose record: a site, a file."""
    id: str
    """Its id there."""
    name: Name = Name()
    birth: Birth = Birth()
    sex: str = ""
    """f, m, or empty: not told, or neither."""
    adult: bool = False
    """Whether the birth date is known to be old enough not to be a child under its parent's number."""
    place: Place = Place()
    """Where they live."""
    more_places: tuple[Place, ...] = ()
    """Other addresses of theirs: work, temporary, earlier ones."""
    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    national: str = ""
    """Social security number, or another country's."""
    national4: str = ""
    """Its last four digits."""
    records: tuple[str, ...] = ()
    """Record numbers as `namespace|number`."""
    documents: tuple[str, ...] = ()
    """Licences, passports as `kind|issuer|number`."""
    members: tuple[str, ...] = ()
    """Insurance memberships: a family may share one."""

    @property
    def key(self) -> tuple[str, str]:
        """What tells records apart."""
        return self.source, self.id

    @property
    def comparable(self) -> bool:
        """Whether there is enough to find a person by: a name or a number, and something beside it."""
        who: list[object] = [
            self.name.given or self.name.newborn,
            self.name.family,
            self.national,
            self.records,
            self.documents,
        ]
        more: list[object] = [
            self.birth.day or self.birth.partial,
            self.phones,
            self.emails,
            self.place.street,
            self.national4,
        ]
        return any(who) and sum(map(bool, who + more)) > 1


def sex(text: str) -> str:
    """f or m; empty for all that is no statement of one of the two."""
    first = text.strip().casefold()
    if first in ("f", "female", "w", "woman", "girl", "2"):
        return "f"
    return "m" if first in ("m", "male", "man", "boy", "1") else ""


def from_record(entry: Demographics, *, source: str, id: str, today: date) -> Person:
    """A patient of a site, from what its record says: all its names, addresses, telephones and numbers, earlier ones too."""
    current = [n for n in entry.names if n.use not in ("old", "maiden", "nickname")]
    best = next(
        (n for use in ("official", "usual", "") for n in current if n.use == use),
        next(iter(current or entry.names), None),
    )
    name = Name()
    if best is not None:
        name = names.standardize(
            " ".join(best.given[:1]),
            " ".join(best.given[1:]),
            best.family,
            " ".join(best.suffix),
            whole=best.text,
            former=[n.family for n in entry.names if n is not best and n.family],
            nicknames=[" ".join(n.given[:1]) for n in entry.names if n is not best and n.given],
        )
    homes = sorted(entry.addresses, key=lambda a: _ADDRESS_USES.get(a.use, 1))
    lived = [places.standardize(a.lines, a.city, a.state, a.postal_code) for a in homes]
    lived = [p for p in lived if p.street or p.zip or p.city]
    birth = births.standardize(entry.birth_date or "", today=today)
    contacts = [t.partition(": ")[::2] for t in entry.telecom]
    national, national4 = "", ""
    records, documents, members = [], [], []
    for identifier in entry.identifiers:
        kind, system = identifier.type.upper(), identifier.system.casefold()
        if kind in ("SS", "SB") or system.endswith(_SSN_SYSTEMS):
            found = numbers.national(identifier.value)
            national, national4 = national or found[0], national4 or found[1]
            continue
        value = numbers.plain(identifier.value)
        if not value or kind in _NOT_OF_A_PERSON:
            continue
        if kind in _DOCUMENTS:
            documents.append(f"{_DOCUMENTS[kind]}|{system}|{value}")
        elif kind in _MEMBERSHIP:
            members.append(f"{system}|{value}")
        else:
            records.append(f"{system or source}|{value}")
    return Person(
        source=source,
        id=id,
        name=name,
        birth=birth,
        adult=births.adult(birth, today),
        sex=sex(entry.gender) or sex(entry.birth_sex),
        place=lived[0] if lived else Place(),
        more_places=tuple(dict.fromkeys(p for p in lived[1:] if p != lived[0])),
        phones=_all(places.phone(v) for system, v in contacts if system in ("phone", "sms", "contact", "mobile")),
        emails=_all(places.email(v) for _, v in contacts if "@" in v),
        national=national,
        national4=national4,
        records=_all(records),
        documents=_all(documents),
        members=_all(members),
    )


def from_fields(fields: Mapping[str, str], *, source: str, id: str, today: date, day_first: bool = False) -> Person:
    """A row of a file; `fields` by the names of headers.toml. Telephones, e-mails, former and nicknames: several with `;`."""
    at = {k: v.strip() for k, v in fields.items()}

    def said(field: str) -> str:
        return at.get(field, "")

    def several(field: str) -> list[str]:
        return [v for v in said(field).split(";") if v.strip()]

    national, national4 = numbers.national(said("ssn"))
    if said("ssn4") and not national4:
        national4 = numbers.national(said("ssn4"))[1]
    number = numbers.plain(said("mrn"))
    documents = [
        f"{kind}|{issuer}|{value}"
        for kind, issuer in (("license", places.standardize(state=said("state")).state), ("passport", ""))
        if (value := numbers.plain(said(kind)))
    ]
    member = numbers.plain(said("member"))
    birth = births.standardize(said("birth"), today=today, day_first=day_first)
    return Person(
        source=source,
        id=id,
        name=names.standardize(
            said("given"),
            said("middle"),
            said("family"),
            said("suffix"),
            whole=said("name"),
            former=several("former"),
            nicknames=several("nickname"),
        ),
        birth=birth,
        adult=births.adult(birth, today),
        sex=sex(said("sex")),
        place=places.standardize(
            [said("street"), said("street2")],
            said("city"),
            said("state"),
            said("zip"),
            house=said("house"),
            unit=said("unit"),
        ),
        phones=_all(places.phone(v) for v in several("phone")),
        emails=_all(places.email(v) for v in several("email")),
        national=national,
        national4=national4,
        records=(f"{said('site') or source}|{number}",) if number else (),
        documents=_all(documents),
        members=(f"|{member}",) if member else (),
    )


def _all(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({v for v in values if v}))

"""Who is who across sites: search over everybody, the stewards' queue, and `$match` for one person that is asked about."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from threading import Lock
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from adapters.normalizer import normalize
from models.identity import Directory, Pair, Person, candidates_for, from_record, match
from models.identity.matching import judge
from models.identity.rules import rules
from models.identity.scoring import Scorer
from models.record import Demographics, RawResource
from service.api.problems import Problem
from service.api.refusals import refusals
from service.store import Store
from service.store.identity import Known, LinkRefused, UnknownPair, pair_id

GRADES = ("certain", "probable", "possible", "certainly-not")
GRADE_URL = "http://hl7.org/fhir/StructureDefinition/match-grade"
ASKED = "asked"
TENANTS = 4
"""Tenants whose people stand ready at once: some 10 kB a record."""


class _Told(Protocol):
    def links(self, tenant: str, patient_id: str) -> dict[str, str]: ...


@dataclass
class _People:
    """A tenant's people as they were when the store had this mark."""

    directory: Directory = field(default_factory=Directory)
    owner: Mapping[tuple[str, str], str] = field(default_factory=dict)
    mark: str = ""


class _Standing:
    """What `$match` keeps between questions: the people of the tenants that asked last, of each open store, and a scorer."""

    def __init__(self) -> None:
        self.lock = Lock()
        self._of: WeakKeyDictionary[Store, dict[str, _People]] = WeakKeyDictionary()
        self._scorer: Scorer | None = None

    def people(self, store: Store, tenant: str) -> _People:
        """A tenant's; the one that asked longest ago gives way. Under the lock."""
        known = self._of.setdefault(store, {})
        found = known.pop(tenant, None) or _People()
        while len(known) >= TENANTS:
            known.pop(next(iter(known)))
        known[tenant] = found
        return found

    def scorer(self) -> Scorer:
        """The one that is open. Under the lock."""
        self._scorer = self._scorer or Scorer()
        return self._scorer


_STANDING = _Standing()


class Identity:
    """What a steward asks for. Whoever inherits has the store."""

    @property
    def store(self) -> Store:
        """The open store."""
        raise Problem("unavailable")

    def find_same(self, tenant: str, actor: str, *, link: bool = False) -> dict[str, int]:
        """Compare everybody with everybody; keep what is worth a steward's look. `link`: link the certain ones.

        Returns counts: records compared, pairs open, linked, left (certain, yet a link contradicts another record).
        """
        with _refusals():
            known = self.store.known_people(tenant)
            people = {(k.site, k.there): _person(k) for k in known}
            owner = {(k.site, k.there): k.patient_id for k in known}
            apart = self.store.rejected_pairs(tenant)
            found = match(people.values())
            offered = [
                p
                for p in found.pairs
                if p.decision != "no_match"
                and owner[p.left] != owner[p.right]
                and pair_id(p.left, p.right) not in apart
            ]
            self.store.put_pairs(tenant, offered)
            linked = left = 0
            if link:
                for pair in offered:
                    if pair.decision == "match":
                        done = self._link(tenant, actor, pair, people, owner)
                        linked, left = linked + done, left + (not done)
            still_open = self.store.pairs(tenant, limit=1)[1]
        return {"records": len(people), "open": still_open, "linked": linked, "left": left}

    def _link(
        self,
        tenant: str,
        actor: str,
        pair: Pair,
        people: Mapping[tuple[str, str], Person],
        owner: dict[tuple[str, str], str],
    ) -> bool:
        """Link a certain pair, unless any record of one patient contradicts, or shares a site with, one of the other."""
        ours, theirs = owner[pair.left], owner[pair.right]
        if ours == theirs:
            return True
        sides = [[k for k, p in owner.items() if p == whose] for whose in (ours, theirs)]
        cluster = [people[k] for side in sides for k in side]
        if len(cluster) > 2 and _contradicts_itself(cluster):
            return False
        try:
            kept = self.store.accept_pair(tenant, pair_id(pair.left, pair.right), actor, "linked by the model")
        except LinkRefused:
            return False
        owner |= dict.fromkeys([k for side in sides for k in side], kept)
        return True

    def identity_queue(self, tenant: str, state: str = "open", limit: int = 100) -> dict[str, Any]:
        """Pairs of a state, both records beside each other."""
        with _refusals():
            rows, total = self.store.pairs(tenant, state, limit)
            known = {(k.site, k.there): k.person for k in self.store.known_people(tenant)}
        items = []
        for row in rows:
            sides = [
                _side(
                    row[f"site_{s}"], row[f"id_{s}"], row[f"patient_{s}"], known.get((row[f"site_{s}"], row[f"id_{s}"]))
                )
                for s in "ab"
            ]
            kept = (
                "pair_id",
                "state",
                "decision",
                "score",
                "codes",
                "reason",
                "found_at",
                "decided_at",
                "decided_by",
                "note",
            )
            items.append({k: row[k] for k in kept} | {"records": sides})
        return {"items": items, "count": len(items), "total": total}

    def accept_pair(self, tenant: str, pair: str, actor: str, note: str = "") -> dict[str, str]:
        """One person: link them. Returns the patient they are now."""
        with _refusals():
            return {
                "pair_id": pair,
                "state": "accepted",
                "patient_id": self.store.accept_pair(tenant, pair, actor, note),
            }

    def reject_pair(self, tenant: str, pair: str, actor: str, note: str) -> dict[str, str]:
        """Two people: never offer them again."""
        with _refusals():
            self.store.reject_pair(tenant, pair, actor, note)
        return {"pair_id": pair, "state": "rejected"}

    def person_links(self: _Told, tenant: str, patient_id: str) -> dict[str, Any]:
        """The records a patient consists of, and how they came together."""
        links = self.links(tenant, patient_id)
        assert isinstance(self, Identity)
        with _refusals():
            history = self.store.link_history(tenant, patient_id)
        records = [{"site": site, "site_patient_id": there} for site, there in links.items()]
        return {"patient_id": patient_id, "records": records, "history": history}

    def unlink(self: _Told, tenant: str, patient_id: str, site: str, actor: str, note: str) -> dict[str, str]:
        """Take a site's record out again."""
        self.links(tenant, patient_id)
        assert isinstance(self, Identity)
        with _refusals():
            moved = self.store.unlink(tenant, patient_id, site, actor, note)
        return {"patient_id": patient_id, "site": site, "unlinked_patient_id": moved}

    def match_person(
        self, tenant: str, resource: Mapping[str, Any], *, certain_only: bool = False, count: int = 10
    ) -> list[dict[str, Any]]:
        """Patients of ours that a FHIR Patient may be, best first: patient id, score 0-1, grade, demographics.

        `certain_only`: the one that is certain; nobody where there are several (FHIR R4, Patient $match).
        """
        asked = _asked(tenant, resource)
        pairs, owner = self._compared(tenant, asked)
        best: dict[str, tuple[Pair, str]] = {}
        for pair in pairs:
            ours = owner[pair.right]
            grade = grade_of(pair)
            if ours not in best or GRADES.index(grade) < GRADES.index(best[ours][1]):
                best[ours] = (pair, grade)
        ranked = sorted(best.items(), key=lambda b: (GRADES.index(b[1][1]), -_score(*b[1]), b[0]))
        if certain_only:
            certain = [b for b in ranked if b[1][1] == "certain"]
            ranked = certain if len(certain) == 1 else []
        told = ranked[:count]
        with _refusals():
            known = self.store.known_people(tenant, [pair.right for _, (pair, _) in told])
        at = {(k.site, k.there): k.person for k in known}
        return [
            {"patient_id": ours, "score": _score(pair, grade), "grade": grade, "person": at[pair.right]}
            for ours, (pair, grade) in told
            if pair.right in at  # read again, so that nobody is told who was erased a moment ago
        ]

    def _compared(self, tenant: str, asked: Person) -> tuple[list[Pair], Mapping[tuple[str, str], str]]:
        """Who of the store may be `asked`, and whose each record is."""
        with _refusals(), _STANDING.lock:
            mark = self.store.people_mark(tenant)
            people = _STANDING.people(self.store, tenant)
            if people.mark != mark:
                versions = self.store.people_versions(tenant)
                people.directory.refresh(
                    {key: version for key, (_, version) in versions.items()},
                    lambda changed: [_person(k) for k in self.store.known_people(tenant, changed)],
                )
                people.owner = {key: patient for key, (patient, _) in versions.items()}
                people.mark = mark
            return candidates_for(asked, people.directory.near(asked), _STANDING.scorer()), people.owner


def _contradicts_itself(cluster: Sequence[Person]) -> bool:
    """Whether any two of the records speak against being one person."""
    with Scorer() as scorer:
        judged = [judge(s, cluster[s.left], cluster[s.right], rules()) for s in scorer.within([cluster])]
    return any(p.contradicted or p.decision == "no_match" for p in judged)


def grade_of(pair: Pair) -> str:
    """The match grade of FHIR: certain is what would be linked; probable lacks something, possible contradicts something."""
    if pair.decision == "match":
        return "certain"
    if pair.decision == "no_match":
        return "certainly-not"
    return "probable" if pair.weight >= rules().thresholds.match and not pair.contradicted else "possible"


def _score(pair: Pair, grade: str) -> float:
    """The model's probability, kept within the grade: twins score like one person and are none."""
    most = {"certain": 1.0, "probable": 0.99, "possible": 0.89, "certainly-not": 0.0}[grade]
    return round(min(pair.probability, most), 4)


def _person(known: Known) -> Person:
    return from_record(known.person, source=known.site, id=known.there, today=_today())


def _today() -> date:
    return datetime.now(UTC).date()


def _asked(tenant: str, resource: Mapping[str, Any]) -> Person:
    """A Patient as it was asked about, read like one that a site sent."""
    body = dict(resource) | {"id": ASKED}
    raw = RawResource(
        tenant=tenant, site=ASKED, resource_type="Patient", resource_id=ASKED, content=json.dumps(body).encode()
    )
    for entry in normalize([raw], patient_id=ASKED).entries:
        if isinstance(entry, Demographics):
            person = from_record(entry, source=ASKED, id=ASKED, today=_today())
            if person.comparable:
                return person
    raise Problem("invalid_request", "the Patient has no name or number with anything beside it to compare")


def _side(site: str, there: str, patient_id: str | None, person: Demographics | None) -> dict[str, Any]:
    side: dict[str, Any] = {"site": site, "site_patient_id": there, "patient_id": patient_id}
    if person is not None:
        side |= {
            "name": person.name,
            "birth_date": person.birth_date,
            "gender": person.gender,
            "address": [msg for a in person.addresses[:1] for msg in (*a.lines, a.city, a.state, a.postal_code) if msg],
            "telecom": list(person.telecom),
            "identifiers": [f"{i.type or i.system}: {i.value}" for i in person.identifiers],
        }
    return side


@contextmanager
def _refusals() -> Iterator[None]:
    """The store's refusals as problems, those about pairs among them."""
    with refusals():
        try:
            yield
        except UnknownPair:
            raise Problem("unknown_pair") from None
        except LinkRefused as error:
            raise Problem("unknown_site" if error.code == "unknown_site" else "conflict", str(error)) from None

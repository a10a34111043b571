"""Sources that disagree. Each finding names the entries; nothing is resolved here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from adapters.normalizer.hygiene.meaning import exact_key
from models.record import (
    Allergy,
    AnyEntry,
    Conflict,
    ConflictKind,
    Demographics,
    Entry,
    Medication,
    Observation,
    Problem,
)
from models.record.dates import bounds, precision, sort_key
from models.terminology.allergens import category_of
from models.terminology.clinical import negative_scope
from models.terminology.systems import RXNORM

_MOST = 200
"""Conflicts reported for one chart."""


def find_conflicts(entries: Sequence[AnyEntry]) -> tuple[Conflict, ...]:
    """All conflicts among entries that stand (not taken back, no duplicates), in a stable order."""
    standing = [e for e in entries if not e.superseded]
    found = [
        *_activity([e for e in standing if isinstance(e, Medication)], "the same drug"),
        *_activity([e for e in standing if isinstance(e, Problem)], "the same problem"),
        *_doses([e for e in standing if isinstance(e, Medication)]),
        *_allergies([e for e in standing if isinstance(e, Allergy)]),
        *_values([e for e in standing if isinstance(e, Observation)]),
        *_people([e for e in standing if isinstance(e, Demographics)]),
    ]
    return tuple(sorted(set(found), key=lambda c: (c.kind, c.entry_ids, c.detail))[:_MOST])


def _conflict(kind: ConflictKind, members: Sequence[Entry], detail: str) -> Conflict:
    return Conflict(kind=kind, entry_ids=tuple(sorted(e.id for e in members)), detail=detail)


def drug_key(entry: Medication) -> str:
    """What makes two orders the same drug: the RxNorm code, else the first words of the name (the ingredient)."""
    code, mapping = entry.concept.code_in(RXNORM), entry.concept.mapping
    if code and not (
        mapping and mapping.method == "text_match"
    ):  # words give the ingredient alone, whatever the strength
        return f"rxnorm|{code}"
    return _ingredient(entry)


def _ingredient(entry: Medication) -> str:
    """The name up to the first number: 'metformin hydrochloride 500 mg tablet' -> 'metformin'."""
    words = []
    for word in entry.concept.display.casefold().replace(",", " ").split():
        if any(c.isdigit() for c in word):
            break
        words.append(word)
    salts = {
        "hydrochloride",
        "hcl",
        "sodium",
        "besylate",
        "tartrate",
        "succinate",
        "calcium",
        "potassium",
        "oral",
        "tablet",
    }
    return " ".join(w for w in words if w not in salts)


def _problem_key(entry: Problem) -> str:
    """The code it means, whichever system each site speaks; else the target, else the words."""
    target = entry.concept.target
    return exact_key(entry) or (f"{target.system}|{target.code}" if target else entry.concept.display.casefold())


def _activity(entries: Sequence[Medication] | Sequence[Problem], what: str) -> list[Conflict]:
    """Active at one site, over at another, by each site's latest word."""
    groups: dict[str, list[Medication | Problem]] = defaultdict(list)
    for entry in entries:
        if entry.none_asserted or entry.has_flag("refuted") or (isinstance(entry, Medication) and entry.do_not_perform):
            continue
        key = (_ingredient(entry) or drug_key(entry)) if isinstance(entry, Medication) else _problem_key(entry)
        if key:
            groups[key].append(entry)
    found = []
    for members in groups.values():
        latest: dict[str, Medication | Problem] = {}
        for entry in sorted(members, key=lambda e: (sort_key(e.date), e.activity == "active", e.id)):
            known = latest.get(entry.site)
            if (
                known is None
                or known.activity != "active"
                or entry.activity == "active"
                or isinstance(entry, Medication)
            ):
                latest[entry.site] = entry
        said = {e.activity for e in latest.values()}
        if "active" in said and "historical" in said:
            sides = [e for e in latest.values() if e.activity in ("active", "historical")]
            active = sorted(e.site for e in sides if e.activity == "active")
            over = sorted(e.site for e in sides if e.activity == "historical")
            found.append(
                _conflict(
                    "active_vs_stopped", sides, f"{what} is active at {', '.join(active)}, over at {', '.join(over)}"
                )
            )
    return found


def _doses(entries: Sequence[Medication]) -> list[Conflict]:
    """The same active drug with other instructions or strength at another site."""
    groups: dict[str, list[Medication]] = defaultdict(list)
    for entry in entries:
        if entry.activity == "active" and not entry.none_asserted and not entry.do_not_perform:
            key = _ingredient(entry)
            if key:
                groups[key].append(entry)
    found = []
    for members in groups.values():
        newest: dict[str, Medication] = {}
        for entry in sorted(members, key=lambda e: (sort_key(e.date), e.id)):
            newest[entry.site] = entry
        sides = list(newest.values())
        told = {(drug_key(e), tuple(d.text.casefold() for d in e.dosages)) for e in sides}
        if len(sides) > 1 and len(told) > 1:
            found.append(_conflict("different_dose", sides, "the same active drug with other strength or instructions"))
    return found


def _allergies(entries: Sequence[Allergy]) -> list[Conflict]:
    """'No known allergies' at one place, an allergy that stands at another (or at the same); a negative of one category
    contradicts allergies of that category only."""
    none = [e for e in entries if e.none_asserted and e.activity != "historical" and not e.has_flag("refuted")]
    real = [e for e in entries if not e.none_asserted and e.activity != "historical" and not e.has_flag("refuted")]
    scopes = {e.id: negative_scope([(c.system, c.code) for c in e.concept.codings], e.concept.display) for e in none}
    met: set[str] = set()
    sides: list[Allergy] = []
    for entry in real:
        against = {scope for scope in set(scopes.values()) if _contradicts(scope, entry)}
        if against:
            met |= against
            sides.append(entry)
    if not sides:
        return []
    sides += [e for e in none if scopes[e.id] in met]
    return [_conflict("allergy_vs_none", sides, "an allergy is recorded, and 'no known allergies' is stated")]


def _contradicts(scope: str, real: Allergy) -> bool:
    if scope == "medication":
        drug = real.concept.code_in(RXNORM) is not None or category_of(real.substance_class) == "medication"
        return scope in real.categories or drug
    return not scope or scope in real.categories


def _values(entries: Sequence[Observation]) -> list[Conflict]:
    """The same measurement at the same instant with different numbers in the same unit, from different sites."""
    groups: dict[tuple[str, str, str], list[Observation]] = defaultdict(list)
    for entry in entries:
        target, value = entry.concept.target, entry.value
        if target is None or value is None or value.value is None or not entry.date or precision(entry.date) != "time":
            continue
        moment = bounds(entry.date)[0].isoformat()
        groups[(f"{target.system}|{target.code}", moment, value.code or value.unit)].append(entry)
    found = []
    for members in groups.values():
        if len({e.site for e in members}) > 1 and len({e.value.value for e in members if e.value}) > 1:
            found.append(
                _conflict("different_values", members, "the same measurement at the same time has different values")
            )
    return found


def _people(entries: Sequence[Demographics]) -> list[Conflict]:
    found = []
    births = {e.birth_date for e in entries if e.birth_date and len(e.birth_date) == 10}
    if len(births) > 1:
        found.append(_conflict("demographics", [e for e in entries if e.birth_date], "birth dates differ"))
    genders = {e.gender for e in entries if e.gender in ("male", "female")}
    if len(genders) > 1:
        found.append(_conflict("demographics", [e for e in entries if e.gender], "administrative gender differs"))
    deaths = {bool(e.deceased) for e in entries if e.deceased is not None}
    if len(deaths) > 1:
        found.append(
            _conflict("demographics", [e for e in entries if e.deceased is not None], "one source says deceased")
        )
    return [c for c in found if len(c.entry_ids) > 1]

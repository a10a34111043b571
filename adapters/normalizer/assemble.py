"""Entries of all sites -> one chart: repeats folded, duplicates and conflicts marked, remarks on the whole made (hygiene), BMI
and eGFR computed, coverage settled.

A pure function of the *set* of entries: the order of arrival and repetition change no byte of the result. Nothing is
deleted and nothing is resolved: duplicates and contradictions stay and are marked.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from adapters.normalizer import hygiene
from adapters.normalizer.conflicts import find_conflicts
from adapters.normalizer.coverage import none_asserted
from adapters.normalizer.estimates import filtration_rates
from models.record import (
    Allergy,
    AnyEntry,
    Chart,
    Coding,
    Concept,
    Coverage,
    Demographics,
    Entry,
    Flag,
    Immunization,
    Ledger,
    Mapping,
    Medication,
    Observation,
    Problem,
    Procedure,
    Quantity,
    Vital,
    canonical_order,
    entry_id,
)
from models.record.dates import bounds, sort_key, surely_before
from models.terminology.clinical import BMI, HEIGHT, WEIGHT
from models.terminology.systems import LOINC, is_standard
from models.terminology.units import to_base

E = TypeVar("E", bound=Entry)
MOST_RELATED = 50
"""Entries named by one remark; a conflict names all its sides. Without a bound, n sides would name n x n."""
_OURS = frozenset(["duplicate_of", "conflicts_with", "before_birth", *hygiene.CODES])
"""Flags this module sets; they are set anew in every run."""


def assemble(
    tenant: str,
    patient_id: str,
    entries: Iterable[AnyEntry],
    coverage: Iterable[Coverage],
    *,
    as_of: str,
    ledger: Ledger | None = None,
) -> Chart:
    """One chart of `entries` (any sites, any order, repeats allowed)."""
    kept = _fold(entries)
    kept += _body_mass(kept)
    kept += filtration_rates(kept)
    kept = _before_birth(kept)
    kept = _mark_duplicates(kept)
    conflicts = find_conflicts(kept)
    related: dict[str, set[str]] = defaultdict(set)
    for conflict in conflicts:
        for one in conflict.entry_ids:
            related[one].update([i for i in conflict.entry_ids[: MOST_RELATED + 1] if i != one])
    marked = [
        with_flag(e, Flag(code="conflicts_with", related=tuple(sorted(related[e.id])[:MOST_RELATED])))
        if e.id in related
        else e
        for e in kept
    ]
    lines = tuple(coverage)
    said = hygiene.remarks(marked, lines, as_of)
    marked = [msgspec.structs.replace(e, flags=(*e.flags, *said[e.id])) if e.id in said else e for e in marked]
    ordered = canonical_order(marked)
    return Chart(
        tenant=tenant,
        patient_id=patient_id,
        as_of=as_of,
        entries=ordered,
        coverage=settle_coverage(lines, ordered),
        conflicts=conflicts,
        ledger=ledger or Ledger(),
    )


def with_flag(entry: E, flag: Flag) -> E:
    """`entry` with one more remark."""
    return msgspec.structs.replace(entry, flags=(*entry.flags, flag))


def settle_coverage(coverage: Iterable[Coverage], entries: Sequence[AnyEntry]) -> tuple[Coverage, ...]:
    """One line for each section and site; `present` becomes `none_asserted` where all it brought is a negative, and nothing
    that was brought stayed unread."""
    lines = {(c.section, c.site): c for c in sorted(set(coverage), key=lambda c: (c.as_of, c.state))}
    settled = []
    for (section, site), line in sorted(lines.items()):
        if line.state == "present" and not line.quarantined and not line.missing and not line.told:
            here = [e for e in entries if e.section == section and any(o.site == site for o in e.origins)]
            if here and none_asserted(here):
                line = msgspec.structs.replace(line, state="none_asserted")
        settled.append(line)
    return tuple(settled)


def _fold(entries: Iterable[AnyEntry]) -> list[AnyEntry]:
    """One entry for each id, the newest; flags and computed entries of an earlier run taken off."""
    best: dict[str, tuple[tuple[Any, ...], AnyEntry]] = {}
    for entry in entries:
        if entry.origin.method == "computed":
            continue
        if any(f.code in _OURS for f in entry.flags):
            entry = msgspec.structs.replace(entry, flags=tuple(f for f in entry.flags if f.code not in _OURS))
        known = best.get(entry.id)
        if known is None:
            best[entry.id] = ((), entry)
        elif known[1] != entry:
            best[entry.id] = max(((_age(e), e) for e in (known[1], entry)), key=lambda pair: pair[0])
    return [entry for _, (_, entry) in sorted(best.items())]


def _age(entry: AnyEntry) -> tuple[str, int, str, bytes]:
    origin = entry.origin
    number = int(origin.version) if origin.version.isdigit() and len(origin.version) < 18 else 0
    return (origin.retrieved, number, origin.version, msgspec.json.encode(entry))


def _mark_duplicates(entries: list[AnyEntry]) -> list[AnyEntry]:
    """Mark the same fact told twice. Within a site: same kind, code, time and content. Across sites: only measurements
    with the same code, exact time and value (a result that travelled); the rest is for the reader to merge."""
    groups: dict[tuple[Any, ...], list[AnyEntry]] = defaultdict(list)
    for entry in entries:
        key = None if entry.has_flag("entered_in_error") else _sameness(entry)
        if key is not None:
            groups[key].append(entry)
    copies: dict[str, str] = _told_again(entries)
    for members in groups.values():
        if len(members) > 1:
            first, *others = sorted(members, key=_preference)
            kept = copies.get(first.id, first.id)
            copies |= {other.id: kept for other in others if other.id not in copies}
    copies.update(_twins(entries, copies))
    return [with_flag(e, Flag(code="duplicate_of", related=(copies[e.id],))) if e.id in copies else e for e in entries]


def _told_again(entries: list[AnyEntry]) -> dict[str, str]:
    """Entries of documents that tell what a resource of the same site tells: the same kind and code on the same day, with the
    same say on whether it is so. A document is a copy made for somebody; words and details differ, the fact does not."""
    told: dict[tuple[Any, ...], str] = {}
    for entry in sorted(entries, key=lambda e: e.id):
        if entry.origin.method != "document":
            for key in _facts(entry):
                told.setdefault(key, entry.id)
    found: dict[str, str] = {}
    for entry in entries:
        if entry.origin.method == "document":
            match = next((told[key] for key in _facts(entry) if key in told), None)
            if match is not None:
                found[entry.id] = match
    return found


def _facts(entry: AnyEntry) -> list[tuple[Any, ...]]:
    """What an entry says in short, by each of its standard codes: two entries that share one say the same. [] for kinds that
    are not compared so: measurements have their own rule (value and time)."""
    if not isinstance(entry, Problem | Allergy | Medication | Immunization | Procedure) or entry.superseded:
        return []
    say = getattr(entry, "activity", "") or str(getattr(entry, "given", "")) + str(getattr(entry, "done", ""))
    refuted = entry.has_flag("refuted", "negated")
    day = (entry.date or "")[:10] if not isinstance(entry, Allergy) else ""
    doses = _doses(entry) if isinstance(entry, Medication) and entry.activity == "active" else ()
    return [
        (type(entry).__name__, entry.site, c.system, c.code, day, say, refuted, doses)
        for c in entry.concept.codings
        if c.code and is_standard(c.system)
    ]


def _twins(entries: list[AnyEntry], copies: dict[str, str]) -> dict[str, str]:
    """What a site tells through both of its APIs is one fact: the companion's entry repeats the FHIR API's, whose id ends
    with the number that the companion's row gives. Another day is another thing: then the number is a coincidence."""
    told = {(type(e), e.site, e.origin.twin): e for e in entries if e.origin.twin}
    found: dict[str, str] = {}
    for entry in entries if told else ():
        number = entry.origin.resource_id.rpartition("-")[2]
        twin = told.get((type(entry), entry.site, number))
        if twin is None or entry.origin.twin or twin.id in copies or entry.origin.api == twin.origin.api:
            continue
        if entry.date and twin.date and entry.date[:10] == twin.date[:10]:
            found[twin.id] = copies.get(entry.id, entry.id)
    return found


def _preference(entry: AnyEntry) -> tuple[Any, ...]:
    """Which of equal facts is kept: a resource before a document's copy, the newest prescription, the one with fewer remarks, then the smallest id."""
    newest = "".join(chr(0x10FFFF - ord(c)) for c in sort_key(entry.date)[0]) if isinstance(entry, Medication) else ""
    return (entry.origin.method == "document", newest, len(entry.flags), entry.id)


def concept_key(concept: Concept) -> str:
    """What makes two concepts the same: the mapped target, else any code, else the words."""
    target = concept.target
    if target:
        return f"{target.system}|{target.code}"
    for coding in concept.codings:
        if coding.code:
            return f"{coding.system}|{coding.code}"
    return concept.display.casefold().strip()


def _sameness(entry: AnyEntry) -> tuple[Any, ...] | None:
    code = concept_key(entry.concept)
    if isinstance(entry, Medication) and entry.concept.mapping and entry.concept.mapping.method == "text_match":
        code = entry.concept.display.casefold()  # words give the ingredient alone: 10 mg and 20 mg are not one order
    kind = type(entry).__name__
    if isinstance(entry, Observation):
        if not code or not entry.date or (not entry.value_display and not entry.components):
            return None
        value = (
            entry.value_display,
            tuple((concept_key(c.concept), str(c.value or c.value_text)) for c in entry.components),
        )
        exact = len(entry.date) > 10
        moment = bounds(entry.date)[0].isoformat() if exact else entry.date
        return (kind, code, moment, value, "" if exact else entry.site, entry.status in ("cancelled",))
    if isinstance(entry, Medication):
        if not code or entry.activity != "active" or entry.do_not_perform:
            return (kind, entry.site, code, entry.date, entry.status, _doses(entry)) if code and entry.date else None
        return (kind, entry.site, code, "active", _doses(entry))
    if isinstance(entry, Demographics) or not code:
        return None
    content = msgspec.to_builtins(entry)
    for volatile in ("id", "origins", "flags", "encounter", "concept"):
        content.pop(volatile, None)
    return (kind, entry.site, code, msgspec.json.encode(content, order="sorted"))


def _doses(entry: Medication) -> tuple[str, ...]:
    return tuple(d.text.casefold() for d in entry.dosages)


def _before_birth(entries: list[AnyEntry]) -> list[AnyEntry]:
    births = sorted({e.birth_date for e in entries if isinstance(e, Demographics) and e.birth_date})
    if not births:
        return entries
    birth = births[0]
    return [
        with_flag(e, Flag(code="before_birth", detail="date"))
        if e.date and not isinstance(e, Demographics) and surely_before(e.date, birth)
        else e
        for e in entries
    ]


def _body_mass(entries: list[AnyEntry]) -> list[AnyEntry]:
    """BMI = kg / m2 for each weighing on a day without a BMI: with the height of that day, else (adults keep theirs)
    the last height before it at the same site. Both measurements are cited. WHO definition, one decimal."""
    weights = _measured(entries, WEIGHT, "kg")
    heights = _measured(entries, HEIGHT, "cm")
    if not weights or not heights:
        return []
    known = {
        (e.site, (e.date or "")[:10])
        for e in entries
        if isinstance(e, Observation)
        and e.concept.code_in(LOINC) == BMI
        and e.value_display
        and not e.has_flag("entered_in_error")
    }
    adult_from = _adulthood(entries)
    days: dict[str, list[str]] = defaultdict(list)
    for site, day in sorted(heights):
        days[site].append(day)
    made: list[AnyEntry] = []
    for (site, day), (weight, kilograms) in weights.items():
        if (site, day) in known:
            continue
        match = heights.get((site, day))
        if match is None and adult_from and day >= adult_from:
            place = bisect_left(days[site], day)
            last = days[site][place - 1] if place else ""
            match = heights[(site, last)] if last >= adult_from else None
        if match is None or not 30 <= match[1] <= 275:
            continue
        height, centimetres = match
        value = round(kilograms / (centimetres / 100) ** 2, 1)
        target = Coding(system=LOINC, code=BMI, display="Body mass index (BMI)")
        made.append(
            Vital(
                id=entry_id(site, "computed", f"{weight.id}/{height.id}", BMI),
                origins=tuple(
                    msgspec.structs.replace(o, method="computed") for e in (weight, height) for o in e.origins
                ),
                concept=Concept(
                    text="Body mass index (computed)",
                    codings=(target,),
                    mapping=Mapping(method="standard", confidence=1.0, target=target, table="computed"),
                ),
                status="final",
                effective=weight.date,
                category="vital-signs",
                value=Quantity(value=value, unit="kg/m2", code="kg/m2", as_sent=f"{value:g}"),
                flags=(Flag(code="computed_value", detail="weight / height squared", related=(weight.id, height.id)),),
            )
        )
    return made


def _measured(entries: list[AnyEntry], codes: frozenset[str], unit: str) -> dict[tuple[str, str], tuple[Vital, float]]:
    """(site, day) -> the day's last usable measurement in `unit`."""
    found: dict[tuple[str, str], tuple[Vital, float]] = {}
    for entry in sorted(entries, key=lambda e: (sort_key(e.date), e.id)):
        if not isinstance(entry, Vital) or entry.concept.code_in(LOINC) not in codes or not entry.date:
            continue
        value = entry.value
        if value is None or value.value is None or value.comparator or len(entry.date) < 10:
            continue
        if entry.has_flag("entered_in_error", "implausible_value") or entry.status in ("cancelled", "unknown"):
            continue
        converted = to_base(value.value, value.code)
        if converted and converted[1] == unit and converted[0] > 0:
            found[(entry.site, entry.date[:10])] = (entry, converted[0])
    return found


def _adulthood(entries: list[AnyEntry]) -> str:
    """The day the person turned 20 (heights are kept from then on), by the latest birth date told; '' without an exact one."""
    told = [e.birth_date for e in entries if isinstance(e, Demographics) and e.birth_date and len(e.birth_date) == 10]
    return f"{int(max(told)[:4]) + 20:04d}{max(told)[4:]}" if told else ""

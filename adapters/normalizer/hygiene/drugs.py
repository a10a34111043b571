"""Orders that have too much in common, and orders against a recorded allergy (drugs.toml). They inform; nobody stops a drug here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from adapters.normalizer.hygiene.pills import Pill, Way, allergen_class
from adapters.normalizer.hygiene.rules import SameClass, drug_rules
from models.record import Allergy, Flag
from models.terminology.allergens import class_of
from models.terminology.medications import ingredients_of

_SYSTEMIC: tuple[Way, ...] = ("oral", "injected", "patch", "rectal")
_MOST_RELATED = 50


def _others(members: Sequence[Pill], one: Pill) -> tuple[str, ...]:
    return tuple(sorted({m.entry.id for m in members if m.entry.id != one.entry.id})[:_MOST_RELATED])


def same_drug(pills: Sequence[Pill]) -> Iterator[tuple[str, Flag]]:
    """A remark on each of several current orders of the same ingredients taken the same way: from two sites, in two strengths."""
    rule = drug_rules().same_drug
    groups: dict[tuple[frozenset[str], Way], list[Pill]] = defaultdict(list)
    for pill in pills:
        if pill.ingredients:
            groups[(frozenset(i.name for i in pill.ingredients), pill.route)].append(pill)
    for (names, _), members in groups.items():
        sites = sorted({m.entry.site for m in members})
        usual = any(
            i.drug_class in rule.two_orders_usual or i.name in rule.two_orders_usual_ingredients
            for i in members[0].ingredients
        )
        if len(members) < 2 or (usual and len(sites) < 2):
            continue
        detail = f"{' / '.join(sorted(names))} is in {len(members)} current orders"
        detail += f" of {', '.join(sites)}" if len(sites) > 1 else " of one site"
        alike = (
            len(
                {
                    (m.entry.concept.display.casefold(), tuple(d.text.casefold() for d in m.entry.dosages))
                    for m in members
                }
            )
            == 1
        )
        detail += ", with the same wording" if alike else ", with different strengths, forms or instructions"
        for one in members:
            yield (
                one.entry.id,
                Flag(
                    code="same_drug",
                    detail=detail,
                    related=_others(members, one),
                    rule="same_drug",
                    confidence=rule.confidence,
                ),
            )


def same_class(pills: Sequence[Pill]) -> Iterator[tuple[str, Flag]]:
    """A remark on each of several current drugs of a class of which one is enough."""
    systemic = [p for p in pills if p.route in _SYSTEMIC]
    for rule in drug_rules().same_class:
        members = [(p, names) for p in systemic if (names := _of_class(rule, p))]
        drugs = {names for _, names in members}
        for one, mine in members:
            others = [
                p
                for p, names in members
                if names != mine and not set(names) <= set(mine) and not set(mine) <= set(names)
            ]
            if not others or len(drugs) < 2:
                continue
            told = ", ".join(sorted({"+".join(names) for names in drugs}))
            yield (
                one.entry.id,
                Flag(
                    code="same_class",
                    detail=f"{told}: several {rule.name} at once",
                    related=_others(others, one),
                    rule=f"same_class.{rule.name}",
                    confidence=rule.confidence,
                ),
            )


def _of_class(rule: SameClass, pill: Pill) -> tuple[str, ...]:
    """The names of its ingredients that are of the class."""
    return tuple(
        sorted(i.name for i in pill.ingredients if i.drug_class in rule.drug_classes or i.name in rule.ingredients)
    )


def against_allergies(pills: Sequence[Pill], allergies: Sequence[Allergy]) -> Iterator[tuple[str, Flag]]:
    """A remark on each current order of a substance to which an allergy is recorded, and on the allergy."""
    rule = drug_rules().allergy
    ordered: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for allergy in allergies:
        substances = {i.name for i in ingredients_of(allergy.concept)}
        group = allergy.substance_class or class_of(allergy.concept)
        carries = bool(group) and (not substances or group in rule.cross_reactive)
        for pill in pills:
            for name in dict.fromkeys(i.name for i in pill.ingredients):
                if name in substances:
                    detail, sure = f"an allergy or intolerance to {name} is recorded", 0.95
                elif carries and allergen_class(name) == group:
                    detail, sure = f"an allergy or intolerance to its class ({_words(group)}) is recorded", 0.85
                else:
                    continue
                detail += _severity(allergy)
                yield (
                    pill.entry.id,
                    Flag(
                        code="allergy_conflict",
                        detail=detail,
                        related=(allergy.id,),
                        rule="allergy_conflict",
                        confidence=sure,
                    ),
                )
                ordered[allergy.id].append((name, pill.entry.id))
    for allergy_id, rows in ordered.items():
        names = ", ".join(sorted({name for name, _ in rows}))
        yield (
            allergy_id,
            Flag(
                code="allergy_conflict",
                detail=f"{names} is ordered",
                related=tuple(sorted({i for _, i in rows})[:_MOST_RELATED]),
                rule="allergy_conflict",
                confidence=0.85,
            ),
        )


def _words(group: str) -> str:
    return "NSAIDs" if group == "nsaids" else group.replace("_", " ").replace("ace ", "ACE ")


def _severity(allergy: Allergy) -> str:
    """How bad it was or may be, where that is told; as sent."""
    told = [r.severity for r in allergy.reactions if r.severity]
    worst = next((s for s in ("severe", "moderate", "mild") if s in told), "")
    parts = [f"reaction {worst}" if worst else "", "criticality high" if allergy.criticality == "high" else ""]
    said = [p for p in parts if p]
    return f" ({', '.join(said)})" if said else ""

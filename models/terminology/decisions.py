"""What people decided in the review queue: a site's mapping table of its own, asked by the exact thing that was decided on.

A decision is about one `Key` (domain, system, code, wording, unit). It never overrules a standard code whose words agree, nor
a row of the site's own or the vendor's tables: it answers where those leave a question open. What it says is a row of the
format of `tables` (effective dates, confidence, author); what was rejected is remembered beside it.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, NamedTuple

from msgspec import Meta

from models.record import (
    Allergy,
    AnyEntry,
    Coding,
    Concept,
    Immunization,
    Mapping,
    Medication,
    Note,
    Observation,
    Problem,
    Procedure,
    Report,
)
from models.record.base import Value
from models.terminology.tables import Row
from models.terminology.units import ucum_code

TABLE = "site:decisions"
"""Mapping.table of what a decision mapped. Without a version: a decision about one code changes no other entry."""
MOST_WORDING = 300
"""Characters of a wording that can be decided on; longer ones are narrative, and may say whose they are."""

SURE_WORDS = 0.9
"""What the words alone decided less surely than this is asked about."""


class Key(NamedTuple):
    """What one decision is about. `unit` is UCUM where it is known; `text` has one case and one space."""

    domain: str
    system: str
    code: str
    text: str
    unit: str

    @property
    def id(self) -> str:
        """A short name of it, for addresses and tables."""
        return hashlib.sha256("\x1f".join(self).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def key_of(domain: str, codings: Sequence[Coding], text: str, unit: str = "") -> Key | None:
    """The key of a concept; None for one that cannot be decided on (no code and no words, or a narrative)."""
    coding = next((c for c in codings if c.code), None)
    words = text or (coding.display if coding else "") or next((c.display for c in codings if c.display), "")
    folded = " ".join(unicodedata.normalize("NFKC", words).casefold().split())
    if len(folded) > MOST_WORDING:
        folded = ""
    if coding is None and not folded:
        return None
    system, code = (coding.system, coding.code) if coding else ("", "")
    return Key(domain, *(part.replace("\x00", "\ufffd") for part in (system, code, folded, ucum_code(unit) or unit)))


class Decision(Value, frozen=True):
    """The newest version of what was decided about a key. Without a row and without rejections it decides nothing."""

    key: Key
    version: Annotated[int, Meta(description="1 is the first decision about this key.")] = 1
    row: Annotated[
        Row | None, Meta(description="What it means; equivalence unmatched: it has no standard meaning.")
    ] = None
    rejected: Annotated[
        tuple[tuple[str, str], ...], Meta(description="(system, code) never to be proposed again.")
    ] = ()

    @property
    def settled(self) -> bool:
        """Whether there is nothing left to ask."""
        return self.row is not None


class Decisions:
    """All decisions of a site. Immutable; threads may share it."""

    def __init__(self, decisions: Iterable[Decision] = ()) -> None:
        self._by_key = {d.key: d for d in decisions}
        rows = [d.row for d in self._by_key.values() if d.row is not None]
        self.dated = any(row.effective_from or row.effective_to for row in rows)

    def __bool__(self) -> bool:
        return bool(self._by_key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Decisions) and self._by_key == other._by_key

    def __hash__(self) -> int:
        return hash(frozenset(self._by_key))

    def over(
        self, domain: str, codings: Sequence[Coding], text: str, unit: str, date: str, mapping: Mapping | None
    ) -> Mapping | None:
        """The mapping that a decision puts in the place of an open one; None where nothing was decided.

        `date` of the entry: a row holds from and to its days only.
        """
        if not is_open(mapping):
            return None
        key = key_of(domain, codings, text, unit)
        decision = self._by_key.get(key) if key else None
        if decision is None:
            return None
        source = next((c for c in codings if c.code), None)
        if decision.row is not None and decision.row.in_force(date):
            target = decision.row.target
            if target is None:
                return Mapping(method="unmapped", confidence=0.0, source=source, source_text=text, table=TABLE)
            return Mapping(
                method="map_table",
                confidence=decision.row.confidence,
                target=target,
                source=source,
                source_text="" if source else text,
                table=TABLE,
            )
        held = mapping.target if mapping else None
        if held is not None and (held.system, held.code) in decision.rejected:
            return Mapping(method="unmapped", confidence=0.0, source=source, source_text=text)
        return None


NO_DECISIONS = Decisions()


def is_open(mapping: Mapping | None) -> bool:
    """Whether codes and tables left it open what it means: unmapped, told by the words alone, contradicted by them, or a code that
    its system does not have."""
    if mapping is None or mapping.method in ("unmapped", "text_match"):
        return True
    if mapping.method == "map_table":  # a package whose words name another drug: no row in use is below 0.7
        return mapping.confidence < _CONTRADICTED
    return mapping.confidence < 1


_CONTRADICTED = 0.7


class Occurrence(NamedTuple):
    """One concept of an entry that is open, or that a decision answered."""

    key: Key
    concept: Concept
    section: str
    how: str
    """`unmapped`, `mismatch` (code and words contradict each other, or its system lacks the code), `unsure_match` (the words decided, below SURE_WORDS),
    `text_match` (surely) or `decided`."""


_DOMAIN_OF: tuple[tuple[type, str], ...] = (
    (Problem, "condition"),
    (Medication, "medication"),
    (Allergy, "allergen"),
    (Observation, "observation"),
    (Immunization, "vaccine"),
    (Procedure, "procedure"),
    (Report, "observation"),
    (Note, "observation"),
)
"""The domain in which the normalizer asks for the code of each kind of entry (adapters/normalizer/codes.py)."""


def occurrences(entry: AnyEntry) -> Iterator[Occurrence]:
    """What of an entry can be decided on. Entries that the source took back count for nothing."""
    domain = next((name for kind, name in _DOMAIN_OF if isinstance(entry, kind)), "")
    if not domain or entry.has_flag("entered_in_error"):
        return
    held: list[tuple[Concept, str]] = [(entry.concept, "")]
    if isinstance(entry, Observation):
        value = entry.value
        held = [(entry.concept, (value.code or value.unit) if value else "")]
        held += [(part.concept, "") for part in entry.components]
    for concept, unit in held:
        mapping = concept.mapping
        decided = mapping is not None and mapping.table == TABLE
        if not concept or not (decided or is_open(mapping)):
            continue
        key = key_of(domain, concept.codings, concept.text, unit)
        if key is not None:
            yield Occurrence(key, concept, entry.section, "decided" if decided else _openness(mapping))


def _openness(mapping: Mapping | None) -> str:
    if mapping is None or mapping.method == "unmapped":
        return "unmapped"
    if mapping.method in ("standard", "map_table"):
        return "mismatch"
    return "text_match" if mapping.confidence >= SURE_WORDS else "unsure_match"

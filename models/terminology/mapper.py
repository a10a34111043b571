"""What a concept means, in four steps and in this order:

1. a standard code the source sent (checked: do code and words contradict each other?);
2. maintained tables: site-local, then vendor, then shipped; the row in force at the entry's date;
3. the words, where they name exactly one thing;
4. nothing: kept as sent, flagged for review, with candidates.

A package (NDC) is translated into the drug or vaccine in it; where nobody knows it the words decide, and it stands by itself where they
do not. A code that ICD-10-CM does not have is not taken at its word.

Confidence: `standard` 1.0 as sent, 0.5 when the words contradict it, 0.6 when its system does not have it; tables and words carry
their own (docs/terminology.md says which are measured). What is below ACCEPT is returned as a candidate and never used. The
originals are never changed: an Answer stands beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from models.record import Coding, FlagCode, Mapping, Quantity
from models.record.base import Value
from models.terminology import allergens, clinical_drugs, conditions, labs, medications, vaccines, vocabulary
from models.terminology.candidates import Candidate
from models.terminology.contradiction import contradicts
from models.terminology.ndc import ndc9, ndc11_choices
from models.terminology.standing import UNKNOWN, nearest, retired_elsewhere, standing, written
from models.terminology.systems import (
    CPT,
    CVX,
    HCPCS,
    ICD9CM,
    ICD10,
    ICD10CM,
    LOINC,
    NDC,
    RXNORM,
    SNOMED,
    is_standard,
    system_name,
)
from models.terminology.tables import MappingTable, Row

Domain = Literal["condition", "medication", "observation", "vaccine", "allergen", "procedure", "document"]
PREFERRED: dict[Domain, tuple[str, ...]] = {
    "condition": (SNOMED, ICD10CM, ICD10, ICD9CM),
    "medication": (RXNORM, NDC, SNOMED),
    "observation": (LOINC, SNOMED),
    "vaccine": (CVX, NDC),
    "allergen": (RXNORM, SNOMED),
    "procedure": (SNOMED, CPT, HCPCS),
    "document": (LOINC, SNOMED),
}
"""The systems a domain speaks, best first."""
ACCEPT = 0.85
"""A wording below this is a candidate."""
ACCEPT_TABLE = 0.7
"""A row below this is a candidate: `inexact`, or one of several targets."""
CONTRADICTED = 0.5


class Ask(Value, frozen=True):
    """What is asked: the concept as sent and what stands beside it."""

    domain: Annotated[Domain, Meta(description="What kind of thing it is.")]
    codings: Annotated[tuple[Coding, ...], Meta(description="As sent, systems canonical.")] = ()
    text: Annotated[str, Meta(description="The words.")] = ""
    unit: Annotated[str, Meta(description="Unit of the result.")] = ""
    specimen: Annotated[str, Meta(description="Specimen in words.")] = ""
    value: Annotated[Quantity | None, Meta(description="The result, for its range.")] = None
    date: Annotated[str, Meta(description="When the entry happened; decides which rows are in force.")] = ""


class Answer(Value, frozen=True):
    """What it is taken to mean, what else it may mean, and what is to be remarked."""

    mapping: Mapping
    candidates: tuple[Candidate, ...] = ()
    flags: tuple[FlagCode, ...] = ()


class Terminology:
    """The four steps over the tables of one source. Stateless otherwise; threads may share it.

    `tables` in order of their say: site-local first, then vendor, then shipped. Each is (layer, table). Concept maps that were
    imported (models/terminology/vocabulary) come after them.
    """

    def __init__(self, tables: Sequence[tuple[str, MappingTable]] = ()) -> None:
        imported = vocabulary.in_use()
        self.tables = (*tables, *(imported.tables() if imported else ()))
        self.dated = any(table.dated for _, table in self.tables) or (imported is not None and imported.dated)
        self.by_unit = any(row.unit or row.specimen for _, table in self.tables for row in table.rows)
        self.table_words = any(table.by_words for _, table in self.tables)
        self.looks_around = self.dated or self.by_unit or self.table_words

    def map(self, ask: Ask) -> Answer:
        """Ask's meaning. Never raises for what a source sent."""
        coded = self.by_code(ask)
        read = settle(ask.domain, coded.mapping, ask.date) if coded is not None else None
        if read is not None and read.mapping.target is not None and not read.yields:
            return check(_remarked(read), ask)
        row = self.by_table(ask)
        if row is not None and row.mapping.method == "map_table":
            return row
        words = by_words(ask)
        if read is not None and words.mapping.target is None:
            answer = _remarked(read)
            answer = check(answer, ask) if read.mapping.target is not None else answer
            return _also(answer, (*(row.candidates if row else ()), *words.candidates))
        candidates = (*(row.candidates if row else ()), *words.candidates)
        flags: tuple[FlagCode, ...] = words.flags or (("uncertain_mapping",) if candidates else ())
        if read is not None and read.flag is not None:
            flags = (*flags, read.flag)
        return Answer(mapping=words.mapping, candidates=candidates, flags=flags)

    def by_code(self, ask: Ask) -> Answer | None:
        """Step 1: the preferred standard coding; among equals the one the clinician selected. A standard code of a system that
        the domain does not speak counts only after the tables."""
        best, place = preferred(ask.codings, PREFERRED[ask.domain])
        if best is None:
            return None
        if place == len(PREFERRED[ask.domain]) and self.by_table(ask) is not None:
            return None
        return Answer(mapping=Mapping(method="standard", confidence=1.0, target=best, source=best))

    def by_table(self, ask: Ask) -> Answer | None:
        """Step 2: the first table that knows a code, then the first that knows the words; None when none does."""
        held: list[Candidate] = []
        for layer, table in self.tables:
            for coding in ask.codings:
                rows = table.find(coding, ask.text, ask.unit, ask.specimen, ask.date)
                found = _of_rows(rows, layer, table, coding, "", held)
                if found:
                    return found
            if ask.text:
                rows = table.find_text(ask.text, ask.unit, ask.specimen, ask.date)
                found = _of_rows(rows, layer, table, None, ask.text, held)
                if found:
                    return found
        if not held:
            return None
        source = ask.codings[0] if ask.codings else None
        return Answer(
            mapping=Mapping(method="unmapped", confidence=0.0, source=source, source_text=ask.text),
            candidates=tuple(held),
            flags=("uncertain_mapping",),
        )


class Settled(NamedTuple):
    """What becomes of a standard code: translated, or as it is, with the remark it deserves."""

    mapping: Mapping
    candidates: tuple[Candidate, ...] = ()
    flag: FlagCode | None = None
    detail: str = ""
    yields: bool = False
    """Whether tables and words go before it: a package nobody knows, a code that is none."""


_SETTLED = frozenset({NDC, ICD10CM, CVX})


def unsettled(mapping: Mapping) -> bool:
    """Whether `settle` can change a mapping: of other systems only what an imported release retired."""
    if mapping.method != "standard" or mapping.target is None:
        return False
    return mapping.target.system in _SETTLED or vocabulary.in_use() is not None


def settle(domain: str, mapping: Mapping, date: str = "") -> Settled:
    """A standard code as its system writes it; a package as the drug or vaccine in it; a code that its system lacks as such."""
    target = mapping.target
    if target is None or mapping.method != "standard":
        return Settled(mapping)
    if target.system == NDC:
        return _package(domain, mapping, target, date)
    found = standing(target, date) or retired_elsewhere(target, date)
    target = written(target)
    if target is not mapping.target:
        mapping = msgspec.structs.replace(mapping, target=target)
    if found is None or found.kind in ("complete", "category", "retired"):
        return Settled(mapping, flag=found.flag if found else None, detail=found.detail if found else "")
    if found.kind == "unknown":
        mapping = msgspec.structs.replace(mapping, confidence=min(mapping.confidence, UNKNOWN))
        above = nearest(target.code)
        name = conditions.icd10cm_name(above)
        candidate = Candidate(
            target=Coding(system=target.system, code=above, display=name),
            score=0.5,
            why="the category of an unknown code",
        )
        return Settled(mapping, (candidate,), found.flag, found.detail)
    none = Mapping(method="unmapped", confidence=0.0, source=mapping.source)
    return Settled(none, (), found.flag, found.detail, yields=True)


def stands_by_date(mapping: Mapping) -> bool:
    """Whether the day of its entry, or a release imported by then, may change what `settle` makes of a standard code."""
    dated = mapping.target is not None and mapping.target.system in (ICD10CM, NDC)
    return dated or vocabulary.in_use() is not None


def _package(domain: str, mapping: Mapping, target: Coding, date: str) -> Settled:
    read, candidates = translate(target, date, domain)
    if read.target is not None:
        return Settled(msgspec.structs.replace(read, confidence=min(read.confidence, mapping.confidence)))
    if not candidates and not (ndc11_choices(target.code) or ndc9(target.code)):
        none = Mapping(method="unmapped", confidence=0.0, source=mapping.source)
        return Settled(none, (), "unknown_code", f"{target.code[:20]} has no layout of an NDC", yields=True)
    return Settled(mapping, candidates, yields=True)


def _remarked(read: Settled) -> Answer:
    flags: tuple[FlagCode, ...] = (read.flag,) if read.flag else ()
    return Answer(mapping=read.mapping, candidates=read.candidates, flags=flags)


def _also(answer: Answer, candidates: tuple[Candidate, ...]) -> Answer:
    """The answer with further candidates; open where it has any and no target."""
    every = (*answer.candidates, *candidates)
    flags: tuple[FlagCode, ...] = answer.flags
    if every and answer.mapping.target is None and "uncertain_mapping" not in flags:
        flags = (*flags, "uncertain_mapping")
    return Answer(mapping=answer.mapping, candidates=every, flags=flags)


def preferred(codings: Sequence[Coding], prefer: Sequence[str]) -> tuple[Coding | None, int]:
    """The best standard coding and the place of its system in `prefer` (len(prefer): not among them)."""
    best: Coding | None = None
    rank = (len(prefer) + 1, True)
    for coding in codings:
        if coding.code and is_standard(coding.system):
            place = prefer.index(coding.system) if coding.system in prefer else len(prefer)
            if (place, not coding.user_selected) < rank:
                best, rank = coding, (place, not coding.user_selected)
    return best, rank[0]


def _of_rows(
    rows: Sequence[Row], layer: str, table: MappingTable, coding: Coding | None, text: str, held: list[Candidate]
) -> Answer | None:
    title = f"{layer}:{table.title}" if layer else table.title
    if len(rows) == 1 and rows[0].target and rows[0].confidence >= ACCEPT_TABLE:
        mapping = Mapping(
            method="map_table",
            confidence=rows[0].confidence,
            target=rows[0].target,
            source=coding,
            source_text=text,
            table=title,
        )
        return Answer(mapping=mapping)
    held.extend(
        Candidate(target=row.target, score=row.confidence, why=f"{row.equivalence} in {title}")
        for row in rows
        if row.target
    )
    return None


def check(answer: Answer, ask: Ask) -> Answer:
    """Step 1's check: a standard code whose words clearly name something else is kept, flagged, and no longer sure.

    A retired code is kept too; what its publisher says to use instead are candidates.
    """
    target = answer.mapping.target
    wordings = [ask.text, *(c.display for c in ask.codings if c in (target, answer.mapping.source))]
    if target is None or not any(w and contradicts(ask.domain, target, w) for w in wordings):
        return _named(answer, ask.date)
    confidence = min(CONTRADICTED, answer.mapping.confidence)
    mapping = msgspec.structs.replace(answer.mapping, confidence=confidence)
    found = tuple(
        c
        for w in dict.fromkeys(wordings)
        if w
        for c in candidates_for(ask, w)
        if (c.target.system, c.target.code) != (target.system, target.code)
    )
    return Answer(mapping=mapping, candidates=found, flags=("code_text_mismatch", *answer.flags))


def _named(answer: Answer, date: str) -> Answer:
    """The answer with the official name where none was sent, and with the successors of a retired code."""
    imported, mapping = vocabulary.in_use(), answer.mapping
    if imported is None or mapping.target is None:
        return answer
    if not mapping.target.display:
        mapping = msgspec.structs.replace(mapping, target=imported.named(mapping.target, date))
    successors = imported.successors(answer.mapping.target or Coding(), date)
    return Answer(mapping=mapping, candidates=(*answer.candidates, *successors), flags=answer.flags)


def by_words(ask: Ask) -> Answer:
    """Steps 3 and 4: one thing named surely is used; everything else is a candidate, and the concept stays unmapped."""
    source = ask.codings[0] if ask.codings else None
    found: tuple[Candidate, ...] = ()
    text = ask.text
    for wording in dict.fromkeys((ask.text, *(c.display for c in ask.codings))):
        if wording and len(wording) <= MOST_WORDING:
            found, text = candidates_for(ask, wording), wording
        if found:
            break
    if len(found) == 1 and found[0].score >= ACCEPT:
        best = found[0]
        mapping = Mapping(
            method="text_match",
            confidence=best.score,
            target=best.target,
            source=source,
            source_text=text,
            table=best.why,
        )
        return Answer(mapping=mapping)
    mapping = Mapping(method="unmapped", confidence=0.0, source=source, source_text=ask.text)
    return Answer(mapping=mapping, candidates=found, flags=("uncertain_mapping",) if found else ())


MOST_WORDING = 300
"""Characters of a wording worth matching; longer ones are narrative."""


def candidates_for(ask: Ask, wording: str) -> tuple[Candidate, ...]:
    """What `wording` may mean in the domain, best first.

    A whole name in an imported release says most (a clinical drug, not only its ingredient); of conditions the seeds speak first,
    which know everyday names.
    """
    imported = vocabulary.in_use()
    named = imported.by_words(ask.domain, wording, ask.date) if imported else ()
    if ask.domain == "condition":
        return _from_seeds(ask, wording) or named
    if ask.domain == "medication" and imported is not None and not named:
        named = clinical_drugs.match(imported, wording, ask.date)
    return named or _from_seeds(ask, wording)


def _from_seeds(ask: Ask, wording: str) -> tuple[Candidate, ...]:
    if ask.domain == "condition":
        names = conditions.icd10cm_name
        return tuple(
            Candidate(target=Coding(system=ICD10CM, code=w.code, display=names(w.code)), score=w.score, why=w.why)
            for w in conditions.by_wording(wording)
        )
    if ask.domain == "medication":
        return medications.match(wording)
    if ask.domain == "vaccine":
        return vaccines.match(wording)
    if ask.domain == "allergen":
        return allergens.match(wording)
    if ask.domain == "observation":
        return labs.match(wording, ask.unit, ask.specimen, ask.value)
    return ()


def translate(coding: Coding, date: str = "", domain: str = "") -> tuple[Mapping, tuple[Candidate, ...]]:
    """A coding of an older or other system in the one we group by: ICD-9-CM in ICD-10-CM by CMS's GEMs, SNOMED CT by the imported
    map of its release, else by our small one; NDC in RxNorm where RxNorm was imported or RxNav answered, and of a vaccine in CVX.

    One target is a mapping; a choice or a combination gives candidates; `unmapped` otherwise.
    """
    imported = vocabulary.in_use()
    if coding.system == NDC and domain == "vaccine":
        return _vaccine_in(coding, date)
    mapping, candidates = imported.translate(coding, date) if imported else (None, ())
    if mapping is not None or candidates:
        return mapping or Mapping(method="unmapped", confidence=0.0, source=coding), candidates
    said, table = None, ""
    if coding.system == ICD9CM:
        said, table = conditions.from_icd9(coding.code), "shipped:cms-gem@2018"
    elif coding.system == SNOMED:
        said, table = conditions.from_snomed(coding.code), "shipped:snomed-icd10cm"
    none = Mapping(method="unmapped", confidence=0.0, source=coding)
    if said is None or said.kind == "range":
        return none, ()
    targets = [Coding(system=ICD10CM, code=c, display=conditions.icd10cm_name(c)) for c in said.codes]
    if len(targets) == 1:
        return (
            Mapping(method="map_table", confidence=said.confidence, target=targets[0], source=coding, table=table),
            (),
        )
    why = f"{said.kind} of {len(targets)} in {table.partition(':')[2]}, from {system_name(coding.system)} {coding.code}"
    return none, tuple(Candidate(target=t, score=said.confidence, why=why) for t in targets)


def _vaccine_in(coding: Coding, date: str) -> tuple[Mapping, tuple[Candidate, ...]]:
    """A package in CVX: by CDC's imported crosswalk, else by the products of the seed."""
    imported = vocabulary.in_use()
    mapping, candidates = imported.vaccine(coding, date) if imported else (None, ())
    if mapping is not None or candidates:
        return mapping or Mapping(method="unmapped", confidence=0.0, source=coding), candidates
    target = vaccines.of_package(coding.code)
    if target is None:
        return Mapping(method="unmapped", confidence=0.0, source=coding), ()
    table = "shipped:vaccine-ndc"
    return Mapping(method="map_table", confidence=PRODUCT, target=target, source=coding, table=table), ()


PRODUCT = 0.9
"""A vaccine by labeler and product of its package. Stated: CDC's table says it of the product's packages that it has."""

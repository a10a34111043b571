"""CodeableConcept -> Concept: everything as sent, system URIs cleaned, a standard code preferred.

Confidence of the mapping methods used here. `standard` is 1.0 when the source sent the code; 0.95 for a code of the
profile's mapping table. They are stated, not measured: calibration against labelled data belongs to models/terminology.
"""

from __future__ import annotations

from adapters.normalizer.memo import recall
from adapters.normalizer.read import Json, Reader
from adapters.normalizer.rules import NormalizationRules
from models.record import Coding, Concept, Mapping
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
    canonical_system,
    is_standard,
)

PREFER_PROBLEM = (SNOMED, ICD10CM, ICD10, ICD9CM)
PREFER_MEDICATION = (RXNORM, NDC, SNOMED)
PREFER_OBSERVATION = (LOINC, SNOMED)
PREFER_VACCINE = (CVX, NDC)
PREFER_PROCEDURE = (SNOMED, CPT, HCPCS)
PREFER_ALLERGEN = (RXNORM, SNOMED)
PREFER_DOCUMENT = (LOINC, SNOMED)

_NOTHING = Concept()
_HL7 = ("http://terminology.hl7.org/", "http://hl7.org/", "http://unitsofmeasure.org")


def concept_of(
    reader: Reader,
    holder: Json,
    key: str,
    rules: NormalizationRules,
    prefer: tuple[str, ...] = (),
    *,
    flags: bool = False,
) -> Concept:
    """Read `holder[key]` as a Concept. With `flags`, remark on missing, local and unmapped codes (main codes only)."""
    raw = holder.get(key)
    if raw is None:
        concept = _NOTHING
    elif isinstance(raw, str):  # seen in DSTU2-minded servers: a code where a CodeableConcept belongs
        reader.tolerated(key)
        concept = Concept(text=reader.text(holder, key))
    else:
        value = raw if type(raw) is dict else reader.obj(holder, key)
        concept = _concept(reader, value, rules, prefer) if value else _NOTHING
    if flags:
        _remark(reader, concept, key, rules)
    return concept


def concepts_of(
    reader: Reader, holder: Json, key: str, rules: NormalizationRules, prefer: tuple[str, ...] = ()
) -> tuple[Concept, ...]:
    """Read `holder[key]` as a list of Concepts; empty ones are left out."""
    if holder.get(key) is None:
        return ()
    found = (_concept(reader, item, rules, prefer) for item in reader.objs(holder, key))
    return tuple(c for c in found if c)


def code_of(reader: Reader, holder: Json, key: str, known: tuple[str, ...] = ()) -> str:
    """One code of `holder[key]` (CodeableConcept, list of them, or a plain code), lower-cased; its text if uncoded.

    The first of `known` that is among the codes, displays or words: sources put local codes before FHIR's own, and the
    order of a list means nothing. Else the first code as sent.
    """
    raw = holder.get(key)
    if raw is None:
        return ""
    if isinstance(raw, str):  # FHIR's older releases have a plain code here, and some R4 servers kept it
        reader.tolerated(key)
        return reader.text(holder, key).lower()
    items = reader.objs(holder, key) if isinstance(raw, list) else [reader.obj(holder, key)]
    codings = [c for item in items for c in reader.objs(item, "coding")]
    codes = [c for c in (reader.text(coding, "code").lower() for coding in codings) if c]
    texts = [t for t in (reader.text(item, "text").lower() for item in items) if t]
    if known and (len(codes) > 1 or not codes or codes[0] not in known):
        words = {*codes, *texts, *(reader.text(coding, "display").lower() for coding in codings)}
        for code in known:
            if code in words or code.replace("-", " ") in words:
                return code
    return next(iter(codes), next(iter(texts), ""))


def words_of(reader: Reader, holder: Json, key: str, rules: NormalizationRules) -> str:
    """`holder[key]` (CodeableConcept or list) in words."""
    raw = holder.get(key)
    if raw is None:
        return ""
    if isinstance(raw, list):
        return ", ".join(c.display for c in concepts_of(reader, holder, key, rules) if c.display)
    return concept_of(reader, holder, key, rules).display


def _concept(reader: Reader, value: Json, rules: NormalizationRules, prefer: tuple[str, ...]) -> Concept:
    text = reader.text(value, "text")
    raw = value.get("coding")
    if raw is None:
        if not text and ("code" in value or "display" in value):  # a Coding where a CodeableConcept belongs
            reader.tolerated("coding")
            raw = [value]
        else:
            return Concept(text=text) if not prefer else Concept(text=text, mapping=_unmapped(text) if text else None)
    codings, mapping = recall(rules.memory, reader, prefer, raw, lambda r, v: _codings(r, v, rules, prefer))
    if mapping is None and prefer and (codings or text):
        mapping = _unmapped(text, codings[0] if codings else None)
    return Concept(text=text, codings=codings, mapping=mapping)


def _codings(
    reader: Reader, raw: object, rules: NormalizationRules, prefer: tuple[str, ...]
) -> tuple[tuple[Coding, ...], Mapping | None]:
    """The codings in `raw`, and what they are mapped to where they are mapped."""
    found = tuple(c for c in (_coding(reader, item, rules) for item in reader.objs({"coding": raw}, "coding")) if c)
    return found, _mapping(found, rules, prefer) if prefer else None


def _coding(reader: Reader, item: Json, rules: NormalizationRules) -> Coding | None:
    sent, code, display = reader.text(item, "system"), reader.text(item, "code"), reader.text(item, "display")
    if not code and not display:
        return None
    system = (rules.system_aliases and rules.system_aliases.get(sent)) or canonical_system(sent)
    return Coding(
        system=system,
        code=code,
        display=display,
        version=reader.text(item, "version") if "version" in item else "",
        user_selected=item.get("userSelected") is True,
        system_as_sent=sent if sent != system else "",
    )


def _unmapped(text: str, source: Coding | None = None) -> Mapping:
    return Mapping(method="unmapped", confidence=0.0, source=source, source_text=text)


def _mapping(codings: tuple[Coding, ...], rules: NormalizationRules, prefer: tuple[str, ...]) -> Mapping | None:
    """The preferred standard coding; among equals the one the clinician selected; else the profile's table."""
    best: Coding | None = None
    rank = (len(prefer) + 1, True)
    for coding in codings:
        if coding.code and is_standard(coding.system):
            place = prefer.index(coding.system) if coding.system in prefer else len(prefer)
            if (place, not coding.user_selected) < rank:
                best, rank = coding, (place, not coding.user_selected)
    if best is not None and rank[0] < len(prefer):
        return Mapping(method="standard", confidence=1.0, target=best, source=best)
    if rules.code_map:
        for coding in codings:
            row = rules.code_map.get(f"{coding.system}|{coding.code}")
            if row:
                system, code, display = (*row.split("|", 2), "", "")[:3]
                target = Coding(system=system, code=code, display=display)
                return Mapping(method="map_table", confidence=0.95, target=target, source=coding, table="profile")
    if best is not None:
        return Mapping(method="standard", confidence=1.0, target=best, source=best)
    return None


def _remark(reader: Reader, concept: Concept, key: str, rules: NormalizationRules) -> None:
    if not concept:
        reader.flag("missing_code", key)
        return
    if not concept.codings:
        reader.flag("text_only", key)
        return
    if concept.mapping is None or concept.mapping.method != "unmapped":
        return
    reader.flag("unmapped_code", key)
    coded = [c for c in concept.codings if c.code]
    if coded and all(_is_local(c.system, rules) for c in coded):
        reader.flag("local_code_only", key)
    for coding in coded:
        if not coding.system:
            reader.flag("unknown_system", f"{key}: a code without a system")


def _is_local(system: str, rules: NormalizationRules) -> bool:
    return not is_standard(system) and (system.startswith(rules.local_systems) or not system.startswith(_HL7))

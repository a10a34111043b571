"""CodeableConcept -> Concept: everything as sent, system URIs cleaned, a standard code preferred.

The four steps are models/terminology/mapper's: standard code, tables, words, unmapped. Here they are taken apart, so that what
depends on the codings alone is read once for the same JSON (memo), and what depends on the words once for the same words.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from adapters.normalizer.memo import recall
from adapters.normalizer.read import Json, Reader
from adapters.normalizer.rules import NormalizationRules
from adapters.normalizer.wordings import words_beside
from models.record import Coding, Concept, FlagCode, Mapping
from models.terminology import vocabulary
from models.terminology.contradiction import contradicts
from models.terminology.decisions import is_open
from models.terminology.mapper import (
    CONTRADICTED,
    PREFERRED,
    Ask,
    Domain,
    Settled,
    preferred,
    settle,
    stands_by_date,
    unsettled,
)
from models.terminology.systems import canonical_system, is_standard

PREFER_PROBLEM = PREFERRED["condition"]
PREFER_MEDICATION = PREFERRED["medication"]
PREFER_OBSERVATION = PREFERRED["observation"]
PREFER_VACCINE = PREFERRED["vaccine"]
PREFER_PROCEDURE = PREFERRED["procedure"]
PREFER_ALLERGEN = PREFERRED["allergen"]
PREFER_DOCUMENT = PREFERRED["document"]

_DOMAINS: dict[tuple[str, ...], Domain] = {systems: domain for domain, systems in PREFERRED.items()}
_DOMAINS[PREFER_DOCUMENT] = "observation"  # documents have the same systems; whoever reads one names the domain
_NOTHING = Concept()


class Coded(NamedTuple):
    """What the codings of an element give by themselves."""

    codings: tuple[Coding, ...]
    mapping: Mapping | None
    """Where the codings alone decide it."""
    settled: dict[tuple[Domain | None, str], Concept]
    """Text -> the concept, where nothing else can change it. The texts are displays of these codings, or none: no other
    words are kept."""


class About(msgspec.Struct, frozen=True):
    """What stands beside a code: the unit and specimen of its result, and when the entry happened."""

    unit: str = ""
    specimen: str = ""
    date: str = ""
    domain: Domain | None = None
    """Where the systems alone do not tell it: a document's type is no test."""


_UNTOLD = About()
_UNCODED = Coded((), None, {})
_HL7 = ("http://terminology.hl7.org/", "http://hl7.org/", "http://unitsofmeasure.org")


def concept_of(
    reader: Reader,
    holder: Json,
    key: str,
    rules: NormalizationRules,
    prefer: tuple[str, ...] = (),
    *,
    flags: bool = False,
    about: About | None = None,
) -> Concept:
    """Read `holder[key]` as a Concept. With `flags`, remark on missing, local and unmapped codes (main codes only).

    What `about` tells of the result decides where a table's rows or a test's name leave it open.
    """
    raw = holder.get(key)
    concept = _NOTHING
    if isinstance(raw, str):  # seen in DSTU2-minded servers: a code where a CodeableConcept belongs
        reader.tolerated(key)
        concept = wording_of(reader.text(holder, key), rules, prefer)
    elif raw is not None:
        value = raw if type(raw) is dict else reader.obj(holder, key)
        if value:
            return _concept(reader, value, rules, prefer, about or _UNTOLD, key if flags else "")
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


def code_of(reader: Reader, holder: Json, key: str, rules: NormalizationRules, known: tuple[str, ...] = ()) -> str:
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
    if any("text" in item for item in items):
        return _one_code(reader, items, known)
    return recall(rules.memory, reader, ("one of", known), items, _one_code, known)


def _one_code(reader: Reader, items: list[Json], known: tuple[str, ...]) -> str:
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


def wording_of(text: str, rules: NormalizationRules, prefer: tuple[str, ...]) -> Concept:
    """A concept of which only words are known."""
    domain = _DOMAINS.get(prefer)
    if not text or domain is None:
        return Concept(text=text)
    ask = Ask(domain=domain, text=text)
    mapping = _by_table(rules, ask) if rules.terminology.table_words else None
    mapping = mapping or _by_words(rules, ask, ())[0]
    decided = rules.decisions.over(domain, (), text, "", "", mapping) if rules.decisions else None
    return Concept(text=text, mapping=decided or mapping)


def _concept(
    reader: Reader,
    value: Json,
    rules: NormalizationRules,
    prefer: tuple[str, ...],
    about: About = _UNTOLD,
    flagged: str = "",
) -> Concept:
    """Read a CodeableConcept; remarks on it by the name `flagged`, if any. A settled concept gives rise to none."""
    text = reader.text(value, "text")
    raw = value.get("coding")
    if raw is None and not text and ("code" in value or "display" in value):  # a Coding where a CodeableConcept belongs
        reader.tolerated("coding")
        raw = [value]
    domain = about.domain or _DOMAINS.get(prefer)
    coded = _UNCODED
    if raw is not None:
        coded = recall(rules.memory, reader, prefer, raw, _coded, rules, prefer)
        known = coded.settled.get((domain, text))
        if known is not None and vocabulary.in_use() is None:
            return known
    meaning = _meant(coded, text, rules, prefer, domain, about)
    if flagged:
        if meaning.flag is not None:
            reader.flag(meaning.flag, f"{flagged}: {meaning.detail}")
        if meaning.uncertain:
            reader.flag("uncertain_mapping", flagged)
        _remark(reader, meaning.concept, flagged, rules)
    if meaning.settled and (not text or any(c.display == text for c in coded.codings)):
        coded.settled[domain, text] = meaning.concept
    return meaning.concept


class Meaning(NamedTuple):
    """What codings and words beside them are taken to mean."""

    concept: Concept
    settled: bool
    """Codings and text alone made it: neither unit, specimen and date nor a decision could change it."""
    uncertain: bool = False
    """The words may mean several things."""
    flag: FlagCode | None = None
    """What its system says against the code, with its `detail`."""
    detail: str = ""


def _meant(
    coded: Coded, text: str, rules: NormalizationRules, prefer: tuple[str, ...], domain: Domain | None, about: About
) -> Meaning:
    codings, mapping = coded.codings, coded.mapping
    if not prefer or not (codings or text):
        return Meaning(Concept(text=text, codings=codings, mapping=mapping), settled=bool(codings))
    if domain is not None and rules.terminology.looks_around:
        ask = Ask(
            domain=domain,
            codings=codings,
            text=text,
            unit=about.unit,
            specimen=about.specimen,
            date=about.date,
        )
        if not _speaks(mapping, prefer):
            mapping = _by_table(rules, ask) or (mapping if mapping and mapping.method == "standard" else None)
    uncertain = False
    read: Settled | None = None
    dated = False
    if domain is not None and mapping is not None and unsettled(mapping):
        dated = stands_by_date(mapping)
        read = settle(domain, mapping, about.date)
        mapping = _settled(rules, domain, read, text, codings, about)
        uncertain = mapping.target is None and bool(read.candidates)
    if mapping is None:
        if domain is None:
            mapping = _unmapped(text, codings[0] if codings else None)
        else:
            mapping, uncertain = _by_words(
                rules, Ask(domain=domain, text=text, unit=about.unit, specimen=about.specimen), codings
            )
    elif domain is not None and text and _contradicted(rules, domain, mapping, text, read is not None):
        mapping = msgspec.structs.replace(mapping, confidence=min(CONTRADICTED, mapping.confidence))
    settled = bool(codings) and not dated and not is_open(mapping)  # open: by words alone, or by a code they contradict
    if rules.terminology.looks_around and not _speaks(mapping, prefer):
        settled = False
    if rules.decisions and domain is not None:  # they answer what is open
        decided = rules.decisions.over(domain, codings, text, about.unit, about.date, mapping)
        if decided is not None:
            mapping, uncertain = decided, False
    concept = Concept(text=text, codings=codings, mapping=mapping)
    flag, detail = (read.flag, read.detail) if read is not None else (None, "")
    return Meaning(concept, settled, uncertain, flag, detail)


def _settled(
    rules: NormalizationRules, domain: Domain, read: Settled, text: str, codings: tuple[Coding, ...], about: About
) -> Mapping:
    """What is used of a settled code; of one that yields, what tables or words say, and else what is left of it."""
    if not read.yields:
        return read.mapping
    ask = Ask(domain=domain, codings=codings, text=text, unit=about.unit, specimen=about.specimen, date=about.date)
    by_table = _by_table(rules, ask) if rules.terminology.tables else None
    if by_table is not None:
        return by_table
    words, _ = _by_words(rules, ask, codings)
    return words if words.target is not None else read.mapping


def _contradicted(rules: NormalizationRules, domain: Domain, mapping: Mapping, text: str, coded: bool) -> bool:
    """Whether the words beside a standard code, or beside what a standard code was translated to, clearly name something else."""
    if not (mapping.method == "standard" or (coded and mapping.method == "map_table")) or mapping.target is None:
        return False
    return words_beside(rules.word_memory, domain, (), mapping.target, text, "").contradicts


def _speaks(mapping: Mapping | None, prefer: tuple[str, ...]) -> bool:
    """Whether a standard code of a preferred system was sent: no table is asked then."""
    if mapping is None or mapping.method != "standard" or mapping.target is None:
        return False
    return mapping.target.system in prefer


def _by_table(rules: NormalizationRules, ask: Ask) -> Mapping | None:
    found = rules.terminology.by_table(ask)
    return found.mapping if found is not None and found.mapping.method == "map_table" else None


def _by_words(rules: NormalizationRules, ask: Ask, codings: tuple[Coding, ...]) -> tuple[Mapping, bool]:
    """The words' meaning, and whether they have several."""
    source = codings[0] if codings else None
    words = words_beside(rules.word_memory, ask.domain, codings, None, ask.text, ask.unit, ask.specimen)
    if words.target is None:
        return _unmapped(ask.text, source), words.uncertain
    said = ask.text if words.from_text else next((c.display for c in codings if c.display), "")
    mapping = Mapping(
        method="text_match",
        confidence=words.score,
        target=words.target,
        source=source,
        source_text=said,
        table=words.why,
    )
    return mapping, False


def _coded(reader: Reader, raw: object, rules: NormalizationRules, prefer: tuple[str, ...]) -> Coded:
    """The codings in `raw`, and what they are mapped to where they are mapped."""
    found = tuple(c for c in (_coding(reader, item, rules) for item in reader.objs({"coding": raw}, "coding")) if c)
    return Coded(found, _mapping(found, rules, prefer) if prefer else None, {})


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
    """Steps 1 and 2, as far as the codings alone decide; the standard code's own display is checked here."""
    best, place = preferred(codings, prefer)
    domain = _DOMAINS.get(prefer)
    if (best is None or place == len(prefer)) and rules.terminology.tables:
        found = _by_table(rules, Ask(domain=domain or "document", codings=codings))
        if found is not None:
            return found
    if best is None:
        return None
    confidence = 1.0
    if domain is not None and best.display and contradicts(domain, best, best.display):
        confidence = CONTRADICTED
    return Mapping(method="standard", confidence=confidence, target=best, source=best)


def _remark(reader: Reader, concept: Concept, key: str, rules: NormalizationRules) -> None:
    if not concept:
        reader.flag("missing_code", key)
        return
    if not concept.codings:
        reader.flag("text_only", key)
        return
    if concept.mapping is not None and concept.mapping.confidence == CONTRADICTED:
        reader.flag("code_text_mismatch", key)
    if concept.mapping is None or concept.mapping.method not in ("unmapped", "text_match"):
        return
    if concept.mapping.method == "unmapped":
        reader.flag("unmapped_code", key)
    coded = [c for c in concept.codings if c.code]
    if coded and all(_is_local(c.system, rules) for c in coded):
        reader.flag("local_code_only", key)
    for coding in coded:
        if not coding.system:
            reader.flag("unknown_system", f"{key}: a code without a system")


def _is_local(system: str, rules: NormalizationRules) -> bool:
    return not is_standard(system) and (system.startswith(rules.local_systems) or not system.startswith(_HL7))

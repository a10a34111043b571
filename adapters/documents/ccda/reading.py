"""Which reader a clinical statement goes to, and what each section says as a whole.

A statement is known by its templates, in any release of them; where it claims none that we know, by its section and its class
(exports with wrong or missing templates are common, so both roads lead to the same reader).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from adapters.documents.ccda import care, header, medications, observations, statements
from adapters.documents.ccda.document import STATEMENTS, Document, Section, templates
from adapters.documents.ccda.made import INSTRUCTION, Made, Place, inner
from adapters.documents.ccda.sections import (
    ALLERGIES,
    ASSESSED,
    CONDITIONS,
    FAMILY,
    IMMUNIZATIONS,
    PLANS,
    PROCEDURES,
    RECORD_SECTION,
    RESULTS,
    SOCIAL,
    VITALS,
)
from adapters.documents.ccda.values import NO_INFORMATION, Element, attr, key_of, null_flavor
from models.record import Section as RecordSection

_T = "2.16.840.1.113883.10.20.22.4."
_CONCERNS = frozenset({f"{_T}{n}" for n in ("3", "30", "33", "34", "65", "80", "132", "136")})
_DRUG_ACTS = frozenset({f"{_T}35", f"{_T}36"})
_PLANNED = frozenset({f"{_T}{n}" for n in ("39", "40", "41", "42", "43", "44", "120", "121")})
_PROCEDURES = frozenset({f"{_T}{n}" for n in ("12", "13", "14")})
_NOTE = f"{_T}202"
_SOCIAL = frozenset(
    {f"{_T}{n}" for n in ("38", "78", "85", "200", "293", "501", "109")}
    | {observations.PREGNANCY, "2.16.840.1.113883.10.20.34.3.45"}
)
_FUNCTIONAL = frozenset({f"{_T}{n}" for n in ("66", "67", "69", "74", "75", "127", "128")})
_READ_ELSEWHERE = frozenset({f"{_T}{n}" for n in ("45", "46", "500", "47")})
"""Family history and care teams: not part of the record, whatever section they stand in."""

Fate = Literal["entry", "raw_only", "quarantined"]


@dataclass
class Statement:
    """What became of one clinical statement."""

    element: Element
    section: Section | None
    made: list[Made] = field(default_factory=list)
    fate: Fate = "raw_only"
    detail: str = ""


@dataclass
class Said:
    """What a section says as a whole, where no entry says it."""

    section: RecordSection
    words_only: bool
    """Narrative without entries that can be read; otherwise it has no information."""
    null_flavor: str = ""
    code: str = ""
    """The section's LOINC code."""


@dataclass
class Reading:
    """A whole document, read."""

    document: Document
    head: list[Made]
    statements: list[Statement]
    said: list[Said]


def read_document(document: Document) -> Reading:
    """Everything a document holds. Never raises for what it holds: a statement that breaks a reader is quarantined."""
    found: list[Statement] = []
    planned: dict[int, list[Statement]] = {}
    sections: dict[int, Section] = {}
    for section, element in document.statements():
        statement = Statement(element, section)
        found.append(statement)
        if _is_plan(section, element):
            place = id(section) if section is not None else id(element)
            planned.setdefault(place, []).append(statement)
            if section is not None:
                sections[place] = section
        else:
            _read(document, statement)
    for place, members in planned.items():
        _read_plan(document, sections.get(place), members)
    keys = frozenset(key_of(s.element) for s in found if s.element.tag == "encounter")
    head = [*header.patients(document), *header.record(document), *header.encounters(document, keys)]
    read = {id(s.section) for s in found if s.fate != "raw_only"}
    return Reading(document, head, found, [s for s in (_said(x, id(x) in read) for x in document.sections) if s])


_FAULTS = (TypeError, ValueError, AttributeError, KeyError, IndexError, OverflowError, ArithmeticError)


def _read(document: Document, statement: Statement) -> None:
    try:
        made = _made(Place(document, statement.section), statement.element)
    except _FAULTS as error:
        statement.fate, statement.detail = "quarantined", f"{type(error).__name__} in {statement.element.tag}"
        return
    if made:
        statement.made, statement.fate = made, "entry"


def _read_plan(document: Document, section: Section | None, members: list[Statement]) -> None:
    """One plan of all that a section plans; the first statement carries it."""
    try:
        made = care.plan(Place(document, section), [m.element for m in members])
    except _FAULTS as error:
        for member in members:
            member.fate, member.detail = "quarantined", f"{type(error).__name__} in {member.element.tag}"
        return
    for member in members:
        member.fate = "entry"
    members[0].made = made


def _is_plan(section: Section | None, element: Element) -> bool:
    found = templates(element)
    if found & _PLANNED:
        return True
    if section is None or section.code not in PLANS:
        return False
    return care.is_planned(element) or INSTRUCTION in found


def _made(place: Place, element: Element) -> list[Made]:
    found, section, tag = templates(element), place.section_code, element.tag
    if found & _READ_ELSEWHERE or section == FAMILY or _about_another(element):
        return []
    if _NOTE in found:
        return care.note(place, element)
    if tag == "substanceAdministration":
        if medications.is_immunization(element) or section == IMMUNIZATIONS:
            return medications.immunization(place, element)
        return medications.medication(place, element)
    if tag == "supply":
        return medications.supply(place, element)
    if tag == "encounter":
        return care.encounter(place, element)
    if tag == "organizer":
        category = _panel(found, section)
        return observations.panel(place, element, category) if category else _cluster(place, element)
    if tag == "observation":
        return _observation(place, element)
    if found & _DRUG_ACTS:
        return medications.nested_medications(place, element)
    if found & _CONCERNS:
        return statements.concern(place, element)
    if found & _PROCEDURES or section == PROCEDURES:
        return [] if care.is_planned(element) else care.procedure(place, element)
    return statements.concern(place, element) if section in CONDITIONS or section == ALLERGIES else []


def _cluster(place: Place, element: Element) -> list[Made]:
    """The statements of an organizer that is no panel (HL7 C-CDA examples: two doses of one drug); what it plans is no care."""
    made: list[Made] = []
    for child in inner(element, *STATEMENTS):
        if not templates(child) & _PLANNED:
            made += _made(place.within(element), child)
    return made


_THE_PATIENT = frozenset({"SELF", "ONESELF", "116154003"})
"""Role codes, and SNOMED CT 'patient' (seen in case reports)."""


def _about_another(element: Element) -> bool:
    """Whether a statement's subject is a relative of the patient (a mother, a fetus): it is no fact of the patient's."""
    related = element.find("subject/relatedSubject")
    return related is not None and attr(related.find("code"), "code").upper() not in _THE_PATIENT


def _panel(found: frozenset[str], section: str) -> str:
    if f"{_T}26" in found:
        return "vital-signs"
    if f"{_T}1" in found:
        return "laboratory"
    if found & _FUNCTIONAL:
        return "functional-status"
    return _CATEGORIES.get(section, "")


_CATEGORIES = {VITALS: "vital-signs", RESULTS: "laboratory", SOCIAL: "social-history"} | dict.fromkeys(
    ASSESSED, "functional-status"
)


def _observation(place: Place, element: Element) -> list[Made]:
    found, section = templates(element), place.section_code
    if statements.ALLERGY in found:
        return statements.allergy(place, element)
    if statements.PROBLEM in found and section not in (SOCIAL, *ASSESSED):
        return statements.problem(place, element)
    if f"{_T}27" in found:
        return observations.observation(place, element, "vital-signs")
    if f"{_T}2" in found:
        return observations.observation(place, element, "laboratory")
    if found & _SOCIAL:
        return observations.observation(place, element, "social-history")
    if found & _FUNCTIONAL:
        return observations.observation(place, element, "functional-status")
    if found & _PROCEDURES or section == PROCEDURES:
        return care.procedure(place, element)
    if section == ALLERGIES:
        return statements.allergy(place, element)
    if section in CONDITIONS:
        return statements.problem(place, element)
    category = _CATEGORIES.get(section)
    return observations.observation(place, element, category) if category else []


def _said(section: Section, read: bool) -> Said | None:
    """What a section says as a whole; None where a statement of it was read, or where it says nothing."""
    known = RECORD_SECTION.get(section.code)
    if known is None or read:
        return None
    flavor = section.no_information or _null_of_all(section)
    if flavor:
        return Said(known, words_only=False, null_flavor=flavor, code=section.code)
    words = section.text
    if not section.statements and _is_no_information(words):
        return Said(known, words_only=False, null_flavor="NI", code=section.code)
    return Said(known, words_only=True, code=section.code) if words or section.statements else None


def _null_of_all(section: Section) -> str:
    """The null flavor that all statements of a section have, themselves or in what they hold."""
    flavors = {next((f for f in (null_flavor(e) for e in (s, *inner(s))) if f), "") for s in section.statements}
    return flavors.pop() if len(flavors) == 1 else ""


def _is_no_information(words: str) -> bool:
    """Whether all that a section's narrative says is that it has nothing to tell; the heading of its table aside (seen in
    exports without a nullFlavor). "None" and "no known ..." are no such words: they deny."""
    last = words.rstrip(" |").rpartition("\n")[2].strip(" |.").casefold()
    return last in NO_INFORMATION and words.count("\n") <= 2


def statement_name(statement: Statement) -> str:
    """The class of a statement and the code of its section: what is told of it without patient data."""
    code = statement.section.code if statement.section else ""
    return f"{statement.element.tag} in section {code or 'without code'}" + (
        f", mood {attr(statement.element, 'moodCode')}"
        if attr(statement.element, "moodCode") not in ("EVN", "")
        else ""
    )

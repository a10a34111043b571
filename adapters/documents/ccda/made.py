"""What a statement becomes, and what every reader of statements needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from adapters.documents.ccda.document import Document, Section, templates
from adapters.documents.ccda.values import (
    Element,
    Json,
    actor,
    attr,
    codeable,
    codes,
    interval,
    one_line,
    time_of,
)

PROBLEM_STATUS, SEVERITY, REACTION, CRITICALITY = (
    "2.16.840.1.113883.10.20.22.4.6",
    "2.16.840.1.113883.10.20.22.4.8",
    "2.16.840.1.113883.10.20.22.4.9",
    "2.16.840.1.113883.10.20.22.4.145",
)
ALLERGY_STATUS, AGE, INDICATION = (
    "2.16.840.1.113883.10.20.22.4.28",
    "2.16.840.1.113883.10.20.22.4.31",
    "2.16.840.1.113883.10.20.22.4.19",
)
COMMENT, INSTRUCTION = "2.16.840.1.113883.10.20.22.4.64", "2.16.840.1.113883.10.20.22.4.20"


@dataclass
class Made:
    """One resource in R4's shape out of one statement."""

    kind: str
    item: Json
    element: Element
    part: str = ""
    """Tells resources apart that were made of one element."""
    negated: str = ""
    """The path of a negation that R4 has no element for; '' for none."""


@dataclass
class Place:
    """Where a statement stands: its document and section, and the statement around it."""

    document: Document
    section: Section | None = None
    outer: Element | None = None

    @property
    def section_code(self) -> str:
        """LOINC code of the section; '' when the statement stands in none."""
        return self.section.code if self.section else ""

    def within(self, outer: Element) -> Place:
        """The place of what stands in `outer`."""
        return Place(self.document, self.section, outer)

    def code(self, element: Element | None) -> Json:
        """CD -> CodeableConcept."""
        return codeable(element, self.document.narrative)

    def words(self, element: Element) -> str:
        """The statement's own words: its text, by reference or in place."""
        return self.document.narrative.text(element.find("text"))

    def named(self, element: Element | None, statement: Element) -> Json:
        """A code, or the statement's words where there is neither code nor original text."""
        found = self.code(element)
        if found:
            return found
        words = self.words(statement)
        return {"text": words} if words else {}


Reader = Callable[[Place, Element], list[Made]]


def inner(element: Element, *tags: str) -> Iterator[Element]:
    """The statements directly within an element's relationships and components."""
    for relation in element:
        if relation.tag in ("entryRelationship", "component"):
            for child in relation:
                if not tags or child.tag in tags:
                    yield child


def with_template(element: Element, *roots: str) -> Element | None:
    """The first statement directly within that claims one of these templates."""
    return next((e for e in inner(element) if templates(e).intersection(roots)), None)


def all_with_template(element: Element, *roots: str) -> list[Element]:
    """All statements directly within that claim one of these templates."""
    return [e for e in inner(element) if templates(e).intersection(roots)]


def is_negated(element: Element) -> bool:
    """negationInd, of the statement or of its value."""
    return attr(element, "negationInd") == "true"


def status(element: Element) -> str:
    """The ActStatus, lower case."""
    return attr(element.find("statusCode"), "code").lower()


def author_time(*elements: Element | None) -> str:
    """The first time at which one of the statements was written down."""
    for element in elements:
        if element is not None:
            for author in element.findall("author"):
                when = time_of(author.find("time"))
                if when:
                    return when
    return ""


def author(*elements: Element | None) -> Json:
    """The first named author of the statements."""
    for element in elements:
        if element is not None:
            for found in element.findall("author"):
                named = actor(found)
                if named:
                    return named
    return {}


def value_of(element: Element | None) -> Element | None:
    """An observation's first value."""
    return None if element is None else element.find("value")


def notes(place: Place, element: Element) -> list[Json]:
    """Comments and instructions as Annotations."""
    found = []
    for child in inner(element, "act", "observation"):
        commented = templates(child) & {COMMENT, INSTRUCTION} or any(
            c == "48767-8" for _, c in codes(child.find("code"))
        )
        words = place.words(child) if commented else ""
        if words:
            found.append({"text": words})
    return found


def own_words(code: Json, others: Iterable[Json]) -> tuple[Json, str]:
    """`code` without words that are those of `others`, and these words ('' for none).

    Seen in certification documents: the originalText of the allergen refers to the reaction, that of a visit to its
    diagnosis. Codeine is then called "Shortness of Breath". Where a code with a name of its own stands there, that is the name.
    """
    words = str(code.get("text", ""))
    taken = {
        str(w).casefold() for o in others for w in (o.get("text"), *(c.get("display") for c in o.get("coding", [])))
    }
    if not words or words.casefold() not in taken or not any(c.get("display") for c in code.get("coding", [])):
        return code, ""
    return {k: v for k, v in code.items() if k != "text"}, words


def performers(element: Element) -> list[Json]:
    """Who did it, as Procedure.performer and the like."""
    named = [actor(p) for p in element.findall("performer")]
    return [{"actor": a} for a in named if a]


def reasons(place: Place, element: Element) -> list[Json]:
    """Indications as reasonCode."""
    found = [place.code(value_of(e)) for e in all_with_template(element, INDICATION)]
    return [c for c in found if c]


def ended(element: Element | None) -> tuple[bool, str]:
    """Whether a condition's time has an end, and the end where it is known. C-CDA R2.1: a resolved problem of which nobody knows
    the date has a `high` with nullFlavor UNK; other null flavors say nothing."""
    high = None if element is None else element.find("high")
    if high is None:
        return False, ""
    when = interval(element)[1]
    return bool(when) or attr(high, "nullFlavor") == "UNK", when


def kept(item: Json) -> Json:
    """`item` without what is empty."""
    return {k: v for k, v in item.items() if v not in ("", None, [], {})}


def title_of(place: Place) -> str:
    """The section's title, for what has no words of its own."""
    return place.section.title if place.section else ""


def material(element: Element) -> Element | None:
    """The drug or vaccine of a substanceAdministration or supply."""
    for path in ("consumable/manufacturedProduct", "product/manufacturedProduct"):
        product = element.find(path)
        if product is not None:
            found = product.find("manufacturedMaterial")
            return found if found is not None else product.find("manufacturedLabeledDrug")
    return None


def material_code(place: Place, element: Element) -> Json:
    """The coded drug; its name, else the statement's words, where there is no code."""
    held = material(element)
    made = place.code(held.find("code")) if held is not None else {}
    name = held.find("name") if held is not None else None
    if not made.get("text") and name is not None and one_line(name):
        made["text"] = one_line(name)
    if not made:
        words = place.words(element)
        made = {"text": words} if words else {}
    return made

"""CDA data types -> FHIR data types as dicts. Nothing is completed: what is null stays absent, with its reason.

Elements have local names here (see document.normalize_names): `code`, `sdtc_raceCode`. Types: HL7 v3 Data Types R1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

import lxml.etree

Element: TypeAlias = lxml.etree._Element
Json = dict[str, Any]

XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
UCUM = "http://unitsofmeasure.org"
SNOMED_OID = "2.16.840.1.113883.6.96"
ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
NULLS = {
    "NI": ("unknown", "no information"),
    "UNK": ("unknown", "unknown"),
    "ASKU": ("asked-unknown", "asked but unknown"),
    "NAV": ("temp-unknown", "temporarily unavailable"),
    "NASK": ("not-asked", "not asked"),
    "MSK": ("masked", "masked"),
    "NA": ("not-applicable", "not applicable"),
    "OTH": ("unsupported", "other"),
    "QS": ("unknown", "a sufficient quantity"),
    "TRC": ("unknown", "trace"),
}
"""v3 NullFlavor -> FHIR data-absent-reason and words (https://terminology.hl7.org/CodeSystem-v3-NullFlavor.html)."""
NO_INFORMATION = frozenset(
    {
        "no information",
        "no information available",
        "no information found",
        "no information recorded",
        "no data",
        "no data available",
        "no data recorded",
        "not available",
        "not on file",
        "no records found",
    }
)
"""Words by which exports say that they have nothing to tell, in narrative and in the names of things."""
_TS = re.compile(r"(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\.\d+)?([+-]\d{4}|[+-]\d{2}|Z)?")
_NUMBER = re.compile(r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,3})?")
_BLANKS = re.compile(r"[ \t\r\n\u00a0]+")
_BLOCKS = frozenset(
    {"paragraph", "list", "item", "table", "tr", "caption", "br", "thead", "tbody", "title", "footnote"}
)
MOST_WORDS = 20_000
"""Code points of a referenced piece of narrative."""


class Narrative:
    """The ids of a document's narrative, for `<reference value="#id"/>`."""

    def __init__(self, root: Element) -> None:
        self._targets: dict[str, Element] = {}
        for block in root.iter("text"):
            for element in block.iter():
                name = element.get("ID")
                if name:
                    self._targets.setdefault(name, element)
        self._named: dict[str, set[tuple[str, str]]] = {}
        for original in root.iter("originalText"):
            coded, value = original.getparent(), attr(original.find("reference"), "value")
            if value and coded is not None and attr(coded, "code"):
                self._named.setdefault(value, set()).add((attr(coded, "codeSystem"), attr(coded, "code")))

    def text(self, element: Element | None) -> str:
        """The words of an ED element: what its reference leads to, else its own."""
        if element is None:
            return ""
        target = self._target(element)
        return one_line(element if target is None else target)

    def is_row(self, element: Element | None) -> bool:
        """Whether an ED element refers to several cells: words about the thing, and not its name."""
        target = self._target(element) if element is not None else None
        return target is not None and sum(1 for _ in target.iter("td", "th")) > 1

    def is_shared(self, element: Element | None) -> bool:
        """Whether an ED element refers to words that several codes claim as theirs (seen: one reference copied through all
        procedures, so that a stent was called a polypectomy): they name none of them."""
        value = attr(element.find("reference"), "value") if element is not None else ""
        return len(self._named.get(value, ())) > 1

    def _target(self, element: Element) -> Element | None:
        value = attr(element.find("reference"), "value")
        return self._targets.get(value.removeprefix("#")) if value else None


def one_line(element: Element) -> str:
    """An element's words on one line."""
    return _BLANKS.sub(" ", block_text(element).replace("\n", " ")).strip(" |")[:MOST_WORDS]


def block_text(element: Element) -> str:
    """Readable text of narrative: blocks on lines of their own, cells apart. Elements nest at most MOST_DEPTH deep."""
    parts: list[str] = []
    _collect(element, parts)
    lines = (_BLANKS.sub(" ", line).strip() for line in "".join(parts).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _collect(element: Element, parts: list[str]) -> None:
    tag = element.tag
    if tag in _BLOCKS:
        parts.append("\n")
    if element.text:
        parts.append(_BLANKS.sub(" ", element.text))
    for child in element:
        _collect(child, parts)
        if child.tag in ("td", "th"):
            parts.append(" | ")
        if child.tail:
            parts.append(_BLANKS.sub(" ", child.tail))
    if tag in _BLOCKS and tag != "br":
        parts.append("\n")


def attr(element: Element | None, name: str) -> str:
    """A trimmed attribute; '' when absent."""
    return "" if element is None else (element.get(name) or "").strip()


def null_flavor(element: Element | None) -> str:
    """The null flavor, upper case; '' when there is none."""
    return attr(element, "nullFlavor").upper()


def system(oid: str, name: str = "") -> str:
    """A code system as FHIR writes it; its name where no OID is given (seen in old exports)."""
    return f"urn:oid:{oid}" if oid and oid[0].isdigit() else oid or name


def _coding(element: Element) -> Json | None:
    code, display = attr(element, "code"), attr(element, "displayName")
    if not code and not display:
        return None
    made = {
        "system": system(attr(element, "codeSystem"), attr(element, "codeSystemName")),
        "code": code,
        "display": display,
        "version": attr(element, "codeSystemVersion"),
    }
    return {k: v for k, v in made.items() if v}


def codeable(element: Element | None, narrative: Narrative) -> Json:
    """CD, CE, CO, CV -> CodeableConcept with its translations; {} when it says nothing."""
    if element is None:
        return {}
    codings = [c for c in (_coding(e) for e in (element, *element.findall("translation"))) if c]
    original = element.find("originalText")
    named = any(c.get("display") for c in codings)
    unsure = named and (narrative.is_row(original) or narrative.is_shared(original))
    text = "" if unsure else narrative.text(original)
    if named and text.casefold() in NO_INFORMATION:
        text = ""
    made: Json = {}
    if codings:
        made["coding"] = codings
    if text:
        made["text"] = text
    return made


def worded(concept: Json) -> str:
    """A CodeableConcept in words."""
    if concept.get("text"):
        return str(concept["text"])
    codings = concept.get("coding", [])
    return next((str(c["display"]) for c in codings if c.get("display")), next((str(c["code"]) for c in codings), ""))


def codes(element: Element | None) -> list[tuple[str, str]]:
    """(code system OID, code) of an element and its translations."""
    if element is None:
        return []
    return [
        (attr(e, "codeSystem"), attr(e, "code")) for e in (element, *element.findall("translation")) if attr(e, "code")
    ]


def snomed(element: Element | None) -> str:
    """The SNOMED CT code of an element or of its translations; the plain code where no system is told; '' for none."""
    found = codes(element)
    return next((c for s, c in found if s == SNOMED_OID), next((c for s, c in found if not s), ""))


def absent_reason(flavor: str) -> Json:
    """A null flavor as dataAbsentReason."""
    code, words = NULLS.get(flavor, ("unknown", flavor.lower()))
    return {"coding": [{"system": ABSENT, "code": code}], "text": words}


def instant(text: str) -> str:
    """HL7 TS -> FHIR date as precise as it came; what is no date comes back as it is, and the reader says so."""
    text = text.strip()
    found = _TS.fullmatch(text)
    if not found:
        return text
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    made = "-".join(p for p in (year, month, day) if p)
    if not hour or minute is None:  # an hour alone is no FHIR time: the day is what can be said
        return made
    made += f"T{hour}:{minute}" + (f":{second}" if second else "")
    if second and fraction:
        made += fraction[:10]
    if zone:
        zone = zone if len(zone) != 3 else f"{zone}00"
        made += zone if zone == "Z" else f"{zone[:3]}:{zone[3:]}"
    return made


def time_of(element: Element | None) -> str:
    """The one time of a TS or IVL_TS: its value, else low, center, high; '' when all are null."""
    if element is None:
        return ""
    for source in (element, element.find("low"), element.find("center"), element.find("high")):
        if source is not None and attr(source, "value"):
            return instant(attr(source, "value"))
    return ""


def interval(element: Element | None) -> tuple[str, str]:
    """low and high of an IVL_TS ('' where null); a bare value is the low."""
    if element is None:
        return "", ""
    low, high = attr(element.find("low"), "value"), attr(element.find("high"), "value")
    return instant(low or attr(element, "value") or attr(element.find("center"), "value")), instant(high)


def put_period(item: Json, stem: str, element: Element | None) -> None:
    """effectiveTime as `{stem}DateTime` or `{stem}Period`."""
    low, high = interval(element)
    if high:
        item[f"{stem}Period"] = {k: v for k, v in (("start", low), ("end", high)) if v}
    elif low:
        item[f"{stem}DateTime"] = low


def number(text: str) -> Decimal | None:
    """A number with its digits; None for anything else."""
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def quantity(element: Element | None) -> Json:
    """PQ, INT, REAL, MO -> Quantity; a value that is no number is left as it is for the reader; {} when null.

    A unit outside UCUM makes the value null (OTH), and number and unit stand in a translation."""
    if element is None:
        return {}
    if not attr(element, "value"):
        told = next((t for t in element.findall("translation") if attr(t, "value")), None)
        if told is None:
            return {}
        words = told.find("originalText")
        unit = attr(told, "unit") or attr(told, "displayName") or (one_line(words) if words is not None else "")
        found = number(attr(told, "value"))
        made: Json = {"value": attr(told, "value") if found is None else found}
        return made | ({"unit": unit} if unit else {})
    sent = attr(element, "value")
    found = number(sent)
    made = {"value": sent if found is None else found}
    unit = attr(element, "unit") or attr(element, "currency")
    if unit and unit != "1":
        made |= {"unit": unit, "code": unit, "system": UCUM}
    elif not unit:
        told_unit = element.find("translation/originalText")
        if told_unit is not None and one_line(told_unit):
            made["unit"] = one_line(told_unit)
    return made


def bounded(element: Element) -> Json:
    """IVL_PQ (IVL_INT, IVL_REAL): {"valueQuantity"} with a comparator when one bound is open, else {"valueRange"}."""
    low, high = element.find("low"), element.find("high")
    lower, upper = quantity(low), quantity(high)
    if lower and upper:
        return {"valueRange": {"low": lower, "high": upper}}
    if upper:
        return {"valueQuantity": upper | {"comparator": "<" if attr(high, "inclusive") == "false" else "<="}}
    if lower:
        return {"valueQuantity": lower | {"comparator": ">" if attr(low, "inclusive") == "false" else ">="}}
    middle = quantity(element) or quantity(element.find("center"))
    return {"valueQuantity": middle} if middle else {}


def value_x(element: Element, narrative: Narrative) -> Json:
    """An observation's value as value[x] or dataAbsentReason, by its declared type, else by its attributes."""
    made = _typed(element, narrative)
    if made:
        return made
    flavor = null_flavor(element)
    return {"dataAbsentReason": absent_reason(flavor)} if flavor else {}


def _typed(element: Element, narrative: Narrative) -> Json:
    declared = attr(element, XSI_TYPE).rpartition(":")[2] or _guessed(element)
    if declared in ("CD", "CE", "CO", "CV", "CS"):
        concept = codeable(element, narrative)
        return {"valueCodeableConcept": concept} if concept else {}
    if declared in ("PQ", "INT", "REAL", "MO"):
        found = quantity(element)
        return {"valueQuantity": found} if found else {}
    if declared.startswith("IVL_") and declared != "IVL_TS":
        return bounded(element)
    if declared.startswith("RTO"):
        top, bottom = quantity(element.find("numerator")), quantity(element.find("denominator"))
        return {"valueRatio": {"numerator": top, "denominator": bottom}} if top or bottom else {}
    if declared == "TS":
        return {"valueDateTime": instant(attr(element, "value"))} if attr(element, "value") else {}
    if declared == "IVL_TS":
        low, high = interval(element)
        if not low and not high:
            return {}
        return {"valuePeriod": {k: v for k, v in (("start", low), ("end", high)) if v}}
    if declared == "BL":
        said = attr(element, "value")
        return {"valueBoolean": said == "true"} if said in ("true", "false") else {}
    words = narrative.text(element) or attr(element, "value") or attr(element, "extension")
    return {"valueString": words} if words else {}


def _guessed(element: Element) -> str:
    if attr(element, "code") or element.find("translation") is not None:
        return "CD"
    if element.find("low") is not None or element.find("high") is not None:
        return "IVL_PQ"
    return "PQ" if number(attr(element, "value")) is not None else "ST"


def name_of(element: Element) -> Json:
    """PN -> HumanName."""
    made: Json = {
        "family": " ".join(one_line(e) for e in element.findall("family") if one_line(e)),
        "given": [one_line(e) for e in element.findall("given") if one_line(e)],
        "prefix": [one_line(e) for e in element.findall("prefix") if one_line(e)],
        "suffix": [one_line(e) for e in element.findall("suffix") if one_line(e)],
        "use": _NAME_USES.get(attr(element, "use").split(" ")[0], ""),
    }
    if any("BR" in attr(e, "qualifier") for e in element.findall("family")) and not made["use"]:
        made["use"] = "maiden"
    if not made["family"] and not made["given"]:
        made["text"] = one_line(element)
    low, high = interval(element.find("validTime"))
    if low or high:
        made["period"] = {k: v for k, v in (("start", low), ("end", high)) if v}
    return {k: v for k, v in made.items() if v}


_NAME_USES = {"L": "usual", "C": "official", "P": "nickname", "A": "anonymous", "ASGN": "usual"}
"""EntityNameUse -> name-use (US Core/C-CDA mapping guide)."""


def shown_name(elements: Iterable[Element]) -> str:
    """The first name of a person or organization, in its usual order."""
    for element in elements:
        parts = [one_line(e) for tag in ("prefix", "given", "family", "suffix") for e in element.findall(tag)]
        words = " ".join(p for p in parts if p) or one_line(element)
        if words:
            return words
    return ""


def actor(holder: Element | None) -> Json:
    """An author, performer, informant: {"display": name}; {} when nobody is named."""
    if holder is None:
        return {}
    for path in (
        ".//assignedPerson/name",
        ".//relatedPerson/name",
        ".//associatedPerson/name",
        ".//playingEntity/name",
        ".//representedOrganization/name",
        ".//softwareName",
    ):
        name = shown_name(holder.findall(path))
        if name:
            return {"display": name}
    return {}


def identifiers(holder: Element) -> list[Json]:
    """II -> Identifier, null ones left out."""
    made = []
    for element in holder.findall("id"):
        root, extension = attr(element, "root"), attr(element, "extension")
        if root and extension:
            made.append(
                {"system": f"urn:oid:{root}" if root[0].isdigit() and "." in root else root, "value": extension}
            )
        elif root:
            made.append({"system": "urn:ietf:rfc:3986", "value": root})
    return made


def key_of(holder: Element) -> str:
    """`root^extension` of the first id that names something; '' when none does."""
    for element in holder.findall("id"):
        root, extension = attr(element, "root"), attr(element, "extension")
        if root or extension:
            return f"{root}^{extension}" if extension else root
    return ""

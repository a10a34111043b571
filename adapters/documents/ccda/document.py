"""A C-CDA document or fragment: its head, its sections, and their clinical statements."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from adapters.documents.ccda.sections import section_code
from adapters.documents.ccda.values import (
    Element,
    Narrative,
    attr,
    block_text,
    key_of,
    null_flavor,
    one_line,
)
from adapters.documents.safe_xml import XmlRefused, parse_xml

V3 = "urn:hl7-org:v3"
_SDTC = "urn:hl7-org:sdtc"
_HEAD = re.compile(rb"urn:hl7-org:v3|<(?:\w+:)?ClinicalDocument[\s>]")
STATEMENTS = (
    "act",
    "encounter",
    "observation",
    "observationMedia",
    "organizer",
    "procedure",
    "regionOfInterest",
    "substanceAdministration",
    "supply",
)
"""The clinical statements of CDA R2."""
_FRAGMENT = b'<fragment xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:sdtc="urn:hl7-org:sdtc">'
_DECLARATION = re.compile(rb"^\s*<\?xml[^>]*\?>")
_ENCODING = re.compile(rb"""encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_PARTS = frozenset(
    {*STATEMENTS, "section", "entry", "component", "structuredBody", "recordTarget", "patientRole", "patient"}
)


def is_cda(data: bytes) -> bool:
    """Whether bytes look like CDA, by namespace or root; nothing is parsed."""
    start = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    return start[:1] == b"<" and _HEAD.search(start) is not None


@dataclass
class Section:
    """One section with its place in the record's vocabulary."""

    element: Element
    code: str
    title: str
    path: str
    statements: list[Element] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The section's narrative, without those of the sections within."""
        found = self.element.find("text")
        return "" if found is None else block_text(found)

    @property
    def no_information(self) -> str:
        """The null flavor of a section that says it has nothing to tell; '' otherwise."""
        return null_flavor(self.element)


class Document:
    """A parsed document. `root` has local names: CDA's own bare, SDTC extensions as sdtc_name."""

    def __init__(self, root: Element, data: bytes) -> None:
        self.root = root
        self.whole = root.tag == "ClinicalDocument"
        self.narrative = Narrative(root)
        self.id, self.version = _identity(root, data) if self.whole else (f"fragment-{_digest(data)}", "")
        self.sections = [self._section(e) for e in _sections(root)]
        self._keys: Counter[str] = Counter(key_of(e) for e in root.iter(*STATEMENTS) if key_of(e))

    @classmethod
    def parse(cls, data: bytes) -> Document | None:
        """The document; None for XML that is neither C-CDA nor a part of one. Raises XmlRefused."""
        try:
            root = parse_xml(data)
        except XmlRefused as refused:
            if refused.code != "not_xml":
                raise
            root = _fragment(data, refused)
        normalize_names(root)
        if root.tag == "ClinicalDocument":
            return cls(root, data)
        if root.tag in _PARTS or (root.tag == "fragment" and any(child.tag in _PARTS for child in root)):
            return cls(root, data)
        return None

    @property
    def unstructured(self) -> tuple[bytes, str] | None:
        """Content and MIME type of a document whose body is another file; None for a structured one."""
        text = self.root.find("component/nonXMLBody/text")
        if text is None:
            return None
        words = "".join(str(part) for part in text.itertext())
        if attr(text, "representation") != "B64":
            return words.encode("utf-8", "replace"), attr(text, "mediaType") or "text/plain"
        try:
            return base64.b64decode("".join(words.split()), validate=True), attr(text, "mediaType")
        except (binascii.Error, ValueError):
            return b"", attr(text, "mediaType")

    @property
    def replaces(self) -> str:
        """The id of the document that this one replaces; '' when it does not say."""
        for related in self.root.findall("relatedDocument"):
            parent = related.find("parentDocument")
            if attr(related, "typeCode") == "RPLC" and parent is not None:
                return _set_of(parent) or key_of(parent)
        return ""

    def text(self) -> str:
        """All narrative with the titles of its sections."""
        parts = [f"{s.title}\n{s.text}".strip() for s in self.sections if s.text]
        return "\n\n".join(parts)

    def statements(self) -> Iterator[tuple[Section | None, Element]]:
        """Every clinical statement that stands in an entry of a section, or at the top of a fragment."""
        for section in self.sections:
            for statement in section.statements:
                yield section, statement
        if not self.whole:
            for element in self._loose():
                yield None, element

    def key(self, element: Element) -> str:
        """What names a statement in every version of the document: its id where it is the only one, else its place."""
        found = key_of(element)
        return found if found and self._keys[found] == 1 else self.path(element)

    def path(self, element: Element) -> str:
        """XPath by local names."""
        return str(self.root.getroottree().getpath(element))

    def _section(self, element: Element) -> Section:
        code, title = element.find("code"), element.find("title")
        words = one_line(title) if title is not None else attr(code, "displayName")
        statements = [s for entry in element.findall("entry") for s in entry if s.tag in STATEMENTS]
        known = section_code(attr(code, "code"), templates(element))
        return Section(element, known, words, self.path(element), statements)

    def _loose(self) -> list[Element]:
        """Statements of a fragment that stand in no section; the outermost only."""
        if self.root.tag in STATEMENTS:
            return [self.root]
        if self.root.tag == "section":
            return []
        found: list[Element] = []
        level = [self.root]
        while level:
            children = [c for e in level for c in e if c.tag != "section"]
            found += [c for c in children if c.tag in STATEMENTS]
            level = [c for c in children if c.tag in ("fragment", "entry", "component", "entryRelationship")]
        return found


def templates(element: Element) -> frozenset[str]:
    """The roots of an element's templateIds: which release of a template it is does not change how it is read."""
    return frozenset(attr(e, "root") for e in element.findall("templateId"))


def normalize_names(root: Element) -> None:
    """Rename elements in place: CDA's by their local name, SDTC's with `sdtc_` before it; others keep their namespace."""
    for element in root.iter():
        tag = element.tag
        if tag[0] == "{":
            space, _, name = tag[1:].partition("}")
            if space == V3:
                element.tag = name
            elif space == _SDTC:
                element.tag = f"sdtc_{name}"


def _fragment(data: bytes, refused: XmlRefused) -> Element:
    """Parts of documents as guides print them: several roots, prefixes that only the whole document declares."""
    head = _DECLARATION.match(data)
    body = data[head.end() :] if head else data
    named = _ENCODING.search(head[0]) if head else None
    encoding = b'<?xml version="1.0" encoding="' + (named[1] if named else b"UTF-8") + b'"?>'
    if b"<ClinicalDocument" in body[:4096] or not body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise refused
    try:
        return parse_xml(encoding + _FRAGMENT + body.lstrip(b"\xef\xbb\xbf") + b"</fragment>")
    except XmlRefused as again:
        raise (again if again.code != "not_xml" else refused) from None


def _sections(root: Element) -> list[Element]:
    return [root] if root.tag == "section" else list(root.iter("section"))


def _set_of(head: Element) -> str:
    found = head.find("setId")
    if found is None:
        return ""
    root, extension = attr(found, "root"), attr(found, "extension")
    return f"{root}^{extension}" if root and extension else root or extension


def _identity(root: Element, data: bytes) -> tuple[str, str]:
    """(id, version): a document's set and its number in it; without a set, its own id; without that, its content."""
    version = root.find("versionNumber")
    return _set_of(root) or key_of(root) or f"document-{_digest(data)}", attr(version, "value")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]

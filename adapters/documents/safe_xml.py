"""XML from strangers: no DOCTYPE, so no entities; no XInclude; caps on bytes, depth and nodes.

A DOCTYPE is refused before libxml2 sees the document: lxml with resolve_entities=False does not fetch anything, but it drops
the text of an entity without a word, and a dose may stand there. The prolog is read by expat, which stops at the root.
"""

from __future__ import annotations

import re
from typing import Literal
from xml.parsers import expat

import lxml.etree

MOST_BYTES = 50_000_000
"""Bytes of one document. Certification documents are under 1 MB; those with embedded images reach 20."""
MOST_DEPTH = 100
"""Nesting levels. C-CDA's own deepest are about 30; narrative tables add 10."""
MOST_NODES = 1_000_000
"""Elements of one document."""
_XINCLUDE = "{http://www.w3.org/2001/XInclude}"

_SAID_TO_BE_WIDE = re.compile(
    rb"""\A(\s*<\?xml\b[^>]{0,100}?\bencoding\s*=\s*["'])(?:utf-16|ucs-2|iso-10646-ucs-2)(?=["'])""", re.I
)
"""A declaration in single bytes that says each character has two: what .NET writes into a string that is then saved as
UTF-8. The bytes are believed."""

XmlFault = Literal["not_xml", "unsafe_xml", "too_deep", "too_large"]


class XmlRefused(ValueError):
    """The bytes are not read as XML. `detail` names the rule or the line, never what stood there."""

    def __init__(self, code: XmlFault, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code: XmlFault = code
        self.detail = detail


class _RootReached(Exception):
    pass


def parse_xml(data: bytes) -> lxml.etree._Element:
    """The root element; raises XmlRefused. Comments and processing instructions are left out."""
    if len(data) > MOST_BYTES:
        raise XmlRefused("too_large", f"over {MOST_BYTES} bytes")
    data = _SAID_TO_BE_WIDE.sub(rb"\1UTF-8", data, count=1)
    _check_prolog(data)
    parser = lxml.etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        strip_cdata=True,
    )
    try:
        root = lxml.etree.fromstring(data, parser)
    except lxml.etree.XMLSyntaxError as error:
        raise _fault(error) from None
    except ValueError:
        raise XmlRefused("not_xml", "no XML text") from None
    if root.getroottree().docinfo.doctype:
        raise XmlRefused("unsafe_xml", "DOCTYPE")
    _check_size(root)
    return root


def _check_prolog(data: bytes) -> None:
    """Refuse a DOCTYPE. Reads up to the root element's start tag."""

    def doctype(*_: object) -> None:
        raise XmlRefused("unsafe_xml", "DOCTYPE")

    def root(*_: object) -> None:
        raise _RootReached

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = doctype
    parser.EntityDeclHandler = doctype
    parser.StartElementHandler = root
    try:
        parser.Parse(data, True)
    except _RootReached:
        return
    except XmlRefused:  # by the handlers
        raise
    except expat.ExpatError as error:
        raise XmlRefused("not_xml", f"line {error.lineno}") from None
    except (ValueError, LookupError):  # an encoding nobody knows
        raise XmlRefused("not_xml", "unknown encoding") from None
    raise XmlRefused("not_xml", "no element")


def _fault(error: lxml.etree.XMLSyntaxError) -> XmlRefused:
    words = str(error)
    if "Excessive depth" in words:
        return XmlRefused("too_deep", f"more than {MOST_DEPTH} levels")
    if "huge" in words.lower():
        return XmlRefused("too_large", "a text over 10 MB")
    return XmlRefused("not_xml", f"line {error.lineno or 0}")


def _check_size(root: lxml.etree._Element) -> None:
    depth = nodes = 0
    for event, element in lxml.etree.iterwalk(root, events=("start", "end")):
        if event == "end":
            depth -= 1
            continue
        depth, nodes = depth + 1, nodes + 1
        if depth > MOST_DEPTH:
            raise XmlRefused("too_deep", f"more than {MOST_DEPTH} levels")
        if nodes > MOST_NODES:
            raise XmlRefused("too_large", f"more than {MOST_NODES} elements")
        if not isinstance(element.tag, str):
            raise XmlRefused("unsafe_xml", "an entity")
        if element.tag.startswith(_XINCLUDE):
            raise XmlRefused("unsafe_xml", "XInclude")

"""From the place of an origin back to what stands there: `/ClinicalDocument/.../observation[2]`, XPath by local names."""

from __future__ import annotations

import re

import lxml.etree

from adapters.documents.ccda.document import Document

_STEP = re.compile(r"([A-Za-z_][\w.-]*)(?:\[(\d{1,6})\])?")


def split(path: str) -> tuple[str, str]:
    """(path of the attachment, place in its document) of an origin's path; ('', '') where it leads into no document."""
    if path.startswith("/"):
        return "", path
    holder, hash_, place = path.partition("#")
    return (holder, place) if hash_ and place.startswith("/") else ("", "")


def standing_at(data: bytes, place: str) -> tuple[str, str]:
    """(the place as far as it exists, the XML of the element there). The rest of a place leads into what was made of the
    element. ('', '') where the document has another root; raises XmlRefused."""
    document = Document.parse(data)
    if document is None:
        return "", ""
    names = [_STEP.fullmatch(step) for step in place.split("/")[1:]]
    if not names or names[0] is None or names[0][1] != document.root.tag:
        return "", ""
    element = document.root
    for found in names[1:]:
        inside = [child for child in element if found is not None and child.tag == found[1]]
        number = int(found[2] or 1) if found is not None else 1
        if not 1 <= number <= len(inside):
            break
        element = inside[number - 1]
    lxml.etree.cleanup_namespaces(element)
    return document.path(element), lxml.etree.tostring(element, encoding="unicode", with_tail=False)

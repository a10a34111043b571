"""FHIR in XML -> the same resource as JSON, by the rules of https://hl7.org/fhir/xml.html and json.html.

Numbers keep their digits, the narrative stays XHTML text, extensions of a primitive go beside it (`_birthDate`). What the
tables do not know (fhir_elements) is told by the XML itself: an element that stands there once is a single value. Text
and elements that are not FHIR's are refused, because leaving them out would lose what somebody wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TypeAlias

import lxml.etree
import msgspec

from adapters.documents.safe_xml import XmlRefused, parse_xml
from adapters.normalizer.fhir_elements import Element, element_of
from adapters.normalizer.releases import foreign_release
from adapters.normalizer.releases.told import is_fhir_xml
from models.record import RawResource

_FHIR = "{http://hl7.org/fhir}"
_SCHEMA = "{http://www.w3.org/2001/XMLSchema-instance}"
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_TURNED = ("DSTU2", "R5")

Node: TypeAlias = lxml.etree._Element
Json = dict[str, Any]


class NotFhirXml(ValueError):
    """XML in FHIR's namespace that is no resource. The words name the rule and the element, never a value."""


def resource_root(data: bytes) -> Node:
    """The root element of a FHIR XML document; raises XmlRefused or NotFhirXml."""
    root = parse_xml(data)
    if not str(root.tag).startswith(_FHIR):
        raise NotFhirXml("the root is not FHIR's")
    return root


def name_of(node: Node) -> str:
    """An element's name; raises NotFhirXml for one of another namespace."""
    tag = str(node.tag)
    if not tag.startswith(_FHIR):
        raise NotFhirXml(f"an element of another namespace in {_holder(node)}")
    return tag.removeprefix(_FHIR)


def _holder(node: Node) -> str:
    parent = node.getparent()
    return "the document" if parent is None else str(lxml.etree.QName(parent).localname)


def members(container: Node) -> Iterator[tuple[str, str, Node | None]]:
    """Place, fullUrl and resource of each entry of a Bundle or parameter of a Parameters; None: an entry without one that
    is neither request nor response."""
    part = "entry" if name_of(container) == "Bundle" else "parameter"
    for index, entry in enumerate(container.iterchildren(f"{_FHIR}{part}")):
        held = entry.find(f"{_FHIR}resource")
        url = entry.find(f"{_FHIR}fullUrl")
        full_url = "" if url is None else url.get("value", "")
        if held is not None and len(held):
            yield f"#{part}[{index}]", full_url, held[0]
        elif part == "entry" and entry.find(f"{_FHIR}request") is None and entry.find(f"{_FHIR}response") is None:
            yield f"#{part}[{index}]", full_url, None


def as_json(node: Node) -> tuple[bytes, str]:
    """A resource as JSON, and the release other than R4 that it shows it is written in ('' for none)."""
    kind = name_of(node)
    made = _resource(node, "R4")
    release = foreign_release(made, kind)
    if release in _TURNED:
        made = _resource(node, release)
    return msgspec.json.encode(made), release


def as_xml(node: Node) -> bytes:
    """The bytes of one resource, with the namespaces it needs."""
    return bytes(lxml.etree.tostring(node, encoding="utf-8", with_tail=False))


def json_of(raw: RawResource) -> bytes:
    """A FHIR resource's JSON: its content, or what its XML says. Raises XmlRefused or NotFhirXml."""
    if raw.content[:1] != b"<" or not is_fhir_xml(raw.content):
        return raw.content
    return msgspec.json.encode(_resource(resource_root(raw.content), raw.fhir_version))


def _resource(node: Node, release: str) -> Json:
    kind = name_of(node)
    return {"resourceType": kind} | _elements(node, kind, release)


def _elements(node: Node, holder: str, release: str) -> Json:
    """The members of an object: attributes `id` and `url`, then the elements by their names."""
    made: Json = {}
    for key, value in node.attrib.items():
        if key in ("id", "url"):
            made[str(key)] = value
        elif key != "value" and not str(key).startswith(_SCHEMA):
            raise NotFhirXml(f"an attribute of another kind in {name_of(node)}")
    if (node.text or "").strip() or any((child.tail or "").strip() for child in node):
        raise NotFhirXml(f"text between the elements of {name_of(node)}")
    groups: dict[str, list[Node]] = {}
    for child in node:
        if lxml.etree.QName(child).localname == "div":  # with or without XHTML's namespace: nothing else has this name
            made["div"] = lxml.etree.tostring(child, encoding="unicode", with_tail=False)
        else:
            groups.setdefault(name_of(child), []).append(child)
    for name, group in groups.items():
        _put(made, name, group, element_of(release, holder, name), release)
    return made


def _put(made: Json, name: str, group: list[Node], element: Element, release: str) -> None:
    many = bool(element.repeats) or len(group) > 1
    if element.kind == "resource":
        values = [_resource(inner, release) for child in group for inner in child]
        many = bool(element.repeats) or len(values) > 1
        beside: list[Json | None] = []
    elif all(_is_value(child, element) for child in group):
        values = [_value(child.get("value"), element) for child in group]
        beside = [_beside(child, release) for child in group]
    else:
        values = [_elements(child, element.type, release) for child in group]
        beside = []
        for child, value in zip(group, values, strict=True):
            if "value" in child.attrib:  # a value and elements of its own: both stay
                value.setdefault("value", child.get("value"))
    if any(v is not None for v in values):
        made[name] = values if many else values[0]
    if any(beside):
        made[f"_{name}"] = beside if many else beside[0]


def _is_value(node: Node, element: Element) -> bool:
    """Whether an element is a primitive, whatever another release says of its name."""
    others = any(child.tag != f"{_FHIR}extension" for child in node)
    return not others and ("value" in node.attrib or element.kind in ("boolean", "number", "string"))


def _value(text: str | None, element: Element) -> Any:
    if text is None:
        return None
    if element.kind == "boolean" and text in ("true", "false"):
        return text == "true"
    if element.kind == "number" and _NUMBER.fullmatch(text):
        return msgspec.Raw(text.encode())
    return text


def _beside(node: Node, release: str) -> Json | None:
    """Id and extensions of a primitive."""
    found = _elements(node, "Element", release)
    return found or None


__all__ = ["NotFhirXml", "XmlRefused", "as_json", "as_xml", "json_of", "members", "name_of", "resource_root"]

"""FHIR JSON -> XML, written from https://hl7.org/fhir/json.html for the tests: it knows no cardinalities and no types."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import lxml.etree
import orjson

FHIR, XHTML = "http://hl7.org/fhir", "http://www.w3.org/1999/xhtml"


def to_xml(resource: dict[str, Any]) -> bytes:
    """A resource as an XML document."""
    return lxml.etree.tostring(_resource(resource), encoding="utf-8", xml_declaration=True)


def loads(text: str | bytes) -> Any:
    """JSON whose decimals keep their digits."""
    return json.loads(text, parse_float=Decimal)


def dumps(resource: Any) -> bytes:
    """As JSON, decimals with their digits."""
    return orjson.dumps(resource, default=lambda d: orjson.Fragment(str(d)))


def _resource(resource: dict[str, Any]) -> lxml.etree._Element:
    made = lxml.etree.Element(f"{{{FHIR}}}{resource['resourceType']}", nsmap={None: FHIR})
    _fill(made, {k: v for k, v in resource.items() if k != "resourceType"}, resource=True)
    return made


def _fill(node: lxml.etree._Element, holder: dict[str, Any], *, resource: bool = False) -> None:
    names = dict.fromkeys(k.removeprefix("_") for k in holder)
    for name in names:
        if name == "div":
            node.append(lxml.etree.fromstring(holder[name]))
            continue
        if (name == "id" and not resource) or (name == "url" and lxml.etree.QName(node).localname.endswith("xtension")):
            node.set(name, holder[name])
            continue
        values, beside = _listed(holder.get(name)), _listed(holder.get(f"_{name}"))
        for index in range(max(len(values), len(beside))):
            value = values[index] if index < len(values) else None
            extra = beside[index] if index < len(beside) else None
            child = lxml.etree.SubElement(node, f"{{{FHIR}}}{name}")
            if isinstance(value, dict) and "resourceType" in value:
                child.append(_resource(value))
            elif isinstance(value, dict):
                _fill(child, value)
            elif value is not None:
                child.set("value", str(value).lower() if isinstance(value, bool) else str(value))
            if extra:
                _fill(child, extra)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]

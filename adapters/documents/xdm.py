"""IHE XDM: a package of documents with a list of them, `IHE_XDM/<submission set>/METADATA.XML` (ITI TF-2 3.32, ebRIM 3.0).

Each document is an ExtrinsicObject; its Slots name the file (`URI`, relative to the list) and its SHA-1 (`hash`).
"""

from __future__ import annotations

from dataclasses import dataclass
from posixpath import dirname, normpath
from urllib.parse import unquote

import lxml.etree

from adapters.documents.safe_xml import parse_xml


@dataclass(frozen=True)
class Listed:
    """A document that the list names."""

    name: str
    """The member's name in the archive, upper case: XDM writes 8.3 names, unpackers change their case."""
    kind: str
    sha1: str
    """Lower-case hex; '' where the list does not say."""


def is_list(name: str) -> bool:
    """Whether a member is a list of documents."""
    parts = plain(name).split("/")
    return parts[-1] == "METADATA.XML" and "IHE_XDM" in parts[:-1]


def plain(name: str) -> str:
    """A member's name, to be compared: forward slashes, upper case, without `.` and empty steps."""
    return normpath(name.replace("\\", "/").lstrip("/")).upper()


def listed(name: str, data: bytes) -> list[Listed]:
    """The documents that the list `name` names; raises XmlRefused. One without a file name is left out: it is elsewhere."""
    folder = dirname(plain(name))
    found = []
    for element in parse_xml(data).iter("{*}ExtrinsicObject"):
        slots = {(s.get("name") or ""): _value(s) for s in element.iter("{*}Slot")}
        where = unquote(slots.get("URI", ""))
        if where and "://" not in where:
            found.append(
                Listed(plain(f"{folder}/{where}"), element.get("mimeType") or "", slots.get("hash", "").strip().lower())
            )
    return found


def _value(slot: lxml.etree._Element) -> str:
    """A slot's value; a long URI stands in several, numbered `1|`, `2|` (ITI TF-3 4.2.3.2.27)."""
    values = [(v.text or "").strip() for v in slot.iter("{*}Value")]
    if len(values) > 1 and all(v[:2] == f"{n}|" for n, v in enumerate(values, 1)):
        return "".join(v[2:] for v in values)
    return values[0] if values else ""

"""One page of a search, taken apart without changing a byte of its resources.

Numbers keep the digits the source wrote (1.50 stays 1.50): resources are slices of the body, not parsed and written
again. A page that no parser takes (cut off, nested 10,000 deep, bytes that are no UTF-8) is split by a small scanner, so
that one bad entry costs one entry and not the page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson

from adapters.errors import BadAnswer
from adapters.fhir.http import Answer

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["{}\[\],]', re.DOTALL)
_MEMBER = re.compile(rb'\s*"(resourceType|link|total|entry)"\s*:\s*(.*)', re.DOTALL)
_RESOURCE = re.compile(rb'\s*"resource"\s*:\s*(.*)', re.DOTALL)
_NOTHING = msgspec.Raw(b"")


class _Bundle(msgspec.Struct):
    resourceType: msgspec.Raw = _NOTHING
    link: msgspec.Raw = _NOTHING
    total: msgspec.Raw = _NOTHING
    entry: msgspec.Raw = _NOTHING


class _Entry(msgspec.Struct):
    resource: msgspec.Raw = _NOTHING


@dataclass
class Page:
    """What a page holds: raw resources, entries that hold none, links, and whether the body ended too early."""

    resources: list[bytes] = field(default_factory=list)
    strays: list[bytes] = field(default_factory=list)
    links: list[Any] = field(default_factory=list)
    total: int | None = None
    cut: bool = False


def read_page(answer: Answer) -> Page:
    """The page in an answer; BadAnswer when it is no Bundle."""
    members, cut = _members(answer.text)
    kind = _value(members.get("resourceType", b""))
    if kind != "Bundle":
        raise answer.unusable() if cut else _other(answer, kind)
    page = Page(cut=cut)
    total = _value(members.get("total", b""))
    page.total = total if isinstance(total, int) and not isinstance(total, bool) else None
    links = _value(members.get("link", b""))
    page.links = [x for x in links if isinstance(x, dict)] if isinstance(links, list) else []
    _take_entries(page, members.get("entry", b""))
    return page


def _other(answer: Answer, kind: Any) -> BadAnswer:
    if kind == "OperationOutcome":
        words, code = "an OperationOutcome instead of a Bundle", "operation_outcome"
    else:
        words, code = "something else than a Bundle", "wrong_resource_type"
    return BadAnswer(words, code=code, status=answer.status, body=answer.body)


def _members(body: bytes) -> tuple[dict[str, bytes], bool]:
    """The members of the bundle that matter, as slices of the body; and whether the body is cut off."""
    try:
        made = msgspec.json.decode(body, type=_Bundle)
        return {name: bytes(getattr(made, name)) for name in _Bundle.__struct_fields__}, False
    except (msgspec.DecodeError, RecursionError):
        pass
    if not _is_object(body):
        return {}, _value(body) is None
    parts, whole = split(body)
    found = [m for m in (_MEMBER.match(p) for p in parts) if m]
    return {m.group(1).decode(): m.group(2) for m in found}, not whole


def _take_entries(page: Page, entries: bytes) -> None:
    text = entries.strip()
    if not text or text == b"null":
        return
    if not text.startswith(b"["):
        page.strays.append(text)
        return
    try:
        items = [bytes(x) for x in msgspec.json.decode(text, type=list[msgspec.Raw])]
    except (msgspec.DecodeError, RecursionError):
        items, whole = split(text)
        page.cut = page.cut or not whole
    for item in items:
        resource = _resource_of(item)
        (page.resources if resource else page.strays).append(resource or item)


def _resource_of(entry: bytes) -> bytes:
    """The resource inside an entry; b"" when there is none."""
    try:
        found = bytes(msgspec.json.decode(entry, type=_Entry).resource)
    except (msgspec.DecodeError, RecursionError):
        parts, _ = split(entry) if _is_object(entry) else ([], True)
        named = (_RESOURCE.match(p) for p in parts)
        found = next((m.group(1).strip() for m in named if m), b"")
    return found if _is_object(found) else b""


def _is_object(text: bytes) -> bool:
    return text.lstrip()[:1] == b"{"


def _value(text: bytes) -> Any:
    try:
        return orjson.loads(text) if text else None
    except orjson.JSONDecodeError:
        return None


def split(text: bytes) -> tuple[list[bytes], bool]:
    """The parts between the outermost commas of a JSON array or object, and whether it was closed.

    Looks at strings, brackets and commas only; whether each part is JSON is for its reader to say.
    """
    parts, depth, start = [], 0, 0
    for token in _TOKEN.finditer(text):
        sign = token.group()
        if sign in (b"{", b"["):
            depth += 1
            start = token.end() if depth == 1 else start
        elif sign in (b"}", b"]"):
            depth -= 1
            if depth == 0:
                parts.append(text[start : token.start()])
                return [p for p in parts if p.strip()], True
        elif sign == b"," and depth == 1:
            parts.append(text[start : token.start()])
            start = token.end()
        elif sign == b'"':  # a string that never ends: the body was cut inside it
            break
    if depth:
        parts.append(text[start:])
    return [p for p in parts if p.strip()], False

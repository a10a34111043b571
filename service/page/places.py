"""Facts that were read from documents: the document of an origin, what stands at its place, and whom such facts refer to."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Iterator, Sequence

from adapters.documents.ccda.places import split, standing_at
from adapters.documents.safe_xml import XmlRefused
from models.record import AnyEntry, Chart, Encounter, Origin, Report

ContentOf = Callable[[str, str, str, str], bytes | None]
"""(site, type, id, version) -> the bytes; None when they are gone."""


def is_place(origin: Origin) -> bool:
    """Whether an origin leads into a document."""
    return bool(split(origin.path)[1])


def statement(origin: Origin, content: bytes, content_of: ContentOf) -> tuple[str, str]:
    """(place, XML) of what an origin in a document was read from; ('', '') where it cannot be shown."""
    holder, place = split(origin.path)
    data = content if not holder else _attached(origin, content, holder, content_of)
    try:
        return standing_at(data, place) if data is not None else ("", "")
    except XmlRefused:
        return "", ""


def _attached(origin: Origin, content: bytes, holder: str, content_of: ContentOf) -> bytes | None:
    """The document that a DocumentReference carries, or has at a Binary."""
    try:
        item = json.loads(content)
        for step in holder.replace("[", ".").replace("]", "").split("."):
            item = item[int(step)] if isinstance(item, list) else item[step]
        if isinstance(item.get("data"), str):
            return base64.b64decode("".join(item["data"].split()), validate=True)
        kind, _, found = str(item.get("url", "")).rpartition("/")
        if kind.rpartition("/")[2] != "Binary":
            return None
        held = content_of(origin.site, "Binary", found, "")
        return base64.b64decode(json.loads(held)["data"], validate=True) if held is not None else None
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError, binascii.Error):
        return None


def with_referred(chart: Chart, entries: Sequence[AnyEntry]) -> list[AnyEntry]:
    """`entries`, each followed by those of its own document that it refers to: a report's results, a visit's diagnoses."""
    places: dict[tuple[str, str], AnyEntry] = {}
    found: dict[str, AnyEntry] = {}
    for entry in entries:
        found.setdefault(entry.id, entry)
        for reference in _inside(entry):
            if not places:
                places = {(e.origin.reference, e.origin.path): e for e in chart.entries if is_place(e.origin)}
            holder = split(entry.origin.path)[0]
            path = f"{holder}{reference}" if holder else reference.removeprefix("#")
            target = places.get((entry.origin.reference, path))
            if target is not None:
                found.setdefault(target.id, target)
    return list(found.values())


def _inside(entry: AnyEntry) -> Iterator[str]:
    """What an entry refers to within its document."""
    told: Iterable[str] = ()
    if isinstance(entry, Report):
        told = entry.results
    elif isinstance(entry, Encounter):
        told = (d.reference for d in entry.diagnoses)
    yield from (t for t in told if t.startswith("#/"))

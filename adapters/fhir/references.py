"""What a resource refers to, as far as it is worth fetching: drugs, people, places, documents, grouped results. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from adapters.normalizer.values import reference_key

Key = tuple[str, str]
"""Type and id."""
MOST_DEPTH = 8
"""Levels of a resource that are looked at. References of FHIR resources stand within five."""
_GROUPS = frozenset({"result", "hasMember", "related", "target"})
"""Elements that lead from a report or panel to its Observations (R4: result, hasMember; DSTU2: related.target)."""


@dataclass(frozen=True)
class Attached:
    """What an attachment says of the document behind its URL."""

    content_type: str = ""
    size: int | None = None


@dataclass
class References:
    """What a set of resources refers to."""

    resources: set[Key] = field(default_factory=set)
    documents: dict[Key, Attached] = field(default_factory=dict)
    elsewhere: set[tuple[str, str]] = field(default_factory=set)
    """Label and URL of what is named at other servers, or at an address that is no resource: never fetched."""


def references_of(resource: Any, base: str, types: frozenset[str], into: References) -> None:
    """Add what `resource` refers to of `types`. A reference that brings a name needs no fetch; a drug's code does."""
    for element, node in _nodes(resource):
        target = node.get("reference")
        if isinstance(target, str):
            kind = reference_key(target).rpartition("/")[0]
            named = node.get("display") is not None and kind != "Medication"
            ungrouped = kind == "Observation" and element not in _GROUPS
            if kind in types and not named and not ungrouped:
                _add(target, base, into)
        url = node.get("url")
        if isinstance(url, str) and url and "contentType" in node and "data" not in node and "Binary" in types:
            _add_document(url, node, base, into)


def _add(target: str, base: str, into: References) -> None:
    key = key_at(target, base)
    if key:
        into.resources.add(key)
    else:
        into.elsewhere.add((reference_key(target), target))


def _add_document(url: str, node: dict[str, Any], base: str, into: References) -> None:
    key = key_at(url, base)
    if key and key[0] == "Binary":
        size = node.get("size")
        kind = node.get("contentType")
        into.documents[key] = Attached(
            kind.partition(";")[0].strip().lower() if isinstance(kind, str) else "",
            size if isinstance(size, int) and not isinstance(size, bool) else None,
        )
    else:
        into.elsewhere.add(("a document at another address", url))


def key_at(reference: str, base: str) -> Key | None:
    """Type and id of a reference to a resource of the server at `base`; None for any other."""
    text = reference.strip()
    if "://" in text:
        if not text.startswith(f"{base}/"):
            return None
        text = text[len(base) + 1 :]
    kind, _, found = reference_key(text).rpartition("/")
    return (kind, found) if kind and found not in ("", ".", "..") and "/" not in kind else None


def _nodes(resource: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object within a resource, with the name of its element; not of contained resources and extensions."""
    level: list[tuple[str, Any]] = [("", resource)]
    for _ in range(MOST_DEPTH):
        below: list[tuple[str, Any]] = []
        for name, node in level:
            if isinstance(node, list):
                below += [(name, item) for item in node]
            elif isinstance(node, dict):
                yield name, node
                below += [
                    (key, value)
                    for key, value in node.items()
                    if isinstance(value, dict | list) and key not in _SKIPPED
                ]
        level = below


_SKIPPED = frozenset({"contained", "extension", "modifierExtension", "photo"})

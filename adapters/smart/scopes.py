"""The smallest scopes for what is asked, in the syntax the server speaks, and what it granted of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

_SCOPE = re.compile(r"^(?:system|user|patient)/(\*|[A-Za-z]+)\.(\*|read|write|(?=[cruds])c?r?u?d?s?)(?:\?.*)?$")


def syntax_of(
    capabilities: Iterable[str], scopes_supported: Iterable[str], wanted: str = "auto"
) -> Literal["v1", "v2"]:
    """`v2` where the server declares permission-v2 or lists v2 scopes without v1; else `v1`, which all understand."""
    if wanted in ("v1", "v2"):
        return "v2" if wanted == "v2" else "v1"
    declared = set(capabilities)
    listed = list(scopes_supported)
    if "permission-v1" in declared:
        return "v1"
    has_v1 = any(s.endswith((".read", ".write", ".*")) for s in listed)
    has_v2 = any(re.search(r"/[A-Za-z*]+\.(?=[cruds])c?r?u?d?s?$", s) for s in listed)
    if "permission-v2" in declared:
        # Seen: permission-v2 is declared and only v1 scopes are listed. What is listed is believed.
        return "v1" if has_v1 and not has_v2 else "v2"
    return "v2" if has_v2 and not has_v1 else "v1"


def minimum_scopes(resource_types: Iterable[str], syntax: Literal["v1", "v2"]) -> tuple[str, ...]:
    """`system/Type.read` (v1) or `system/Type.rs` (v2) for each type, sorted; never a wildcard."""
    suffix = "rs" if syntax == "v2" else "read"
    return tuple(f"system/{name}.{suffix}" for name in sorted(set(resource_types)))


def granted_types(
    granted: str | None, asked: Iterable[str], need: Literal["read", "search"] = "read"
) -> frozenset[str]:
    """The types of `asked` scopes that `granted` lets us read, or search (v2 tells them apart). No `scope` in the
    answer means all that was asked (RFC 6749, 5.1)."""
    names = {m.group(1) for s in asked if (m := _SCOPE.match(s))}
    if granted is None:
        return frozenset(names)
    allowed: set[str] = set()
    for scope in granted.split():
        match = _SCOPE.match(scope)
        if not match:
            continue
        kind, verbs = match.groups()
        if verbs in ("read", "*") or (verbs != "write" and need[0] in verbs):
            allowed |= names if kind == "*" else ({kind} & names)
    return frozenset(allowed)

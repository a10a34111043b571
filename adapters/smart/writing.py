"""The smallest scopes for writing, and whether what was granted covers it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal

Need = Literal["read", "search", "create", "update"]
_SCOPE = re.compile(r"^(?:system|user|patient)/(\*|[A-Za-z]+)\.(\*|read|write|(?=[cruds])c?r?u?d?s?)(?:\?.*)?$")
UPDATED = frozenset({"CarePlan"})
"""Types that are written by changing what is there; the others are created."""
_V1 = {"read": "read", "search": "read", "create": "write", "update": "write"}


def writing_scopes(
    writes: Mapping[str, Literal["create", "update"]], syntax: Literal["v1", "v2"], level: str = "system"
) -> tuple[str, ...]:
    """Create and search (to find what is there already), or read and update; for these types and nothing else."""
    if syntax == "v2":
        return tuple(f"{level}/{name}.{'cs' if what == 'create' else 'ru'}" for name, what in sorted(writes.items()))
    return tuple(f"{level}/{name}.{verb}" for name in sorted(writes) for verb in ("read", "write"))


def delegated_writing_scopes(types: Iterable[str], syntax: Literal["v1", "v2"], level: str) -> tuple[str, ...]:
    """What a person is asked for beside reading, so that these types may be written: `.write`, or only `.c` or `.u`.

    Scopes of their own, not letters added to those for reading: a person may refuse the one and grant the other. With
    them goes the Provenance that says who wrote it. Reading and searching are asked for anyway.
    """
    wanted = sorted(types)
    if not wanted:
        return ()
    verbs = {name: "write" if syntax == "v1" else "u" if name in UPDATED else "c" for name in (*wanted, "Provenance")}
    return tuple(f"{level}/{name}.{verb}" for name, verb in verbs.items())


def covers(granted: str | None, asked: Iterable[str], resource_type: str, need: Need) -> bool:
    """Whether the granted scopes let us do it; no `scope` in the answer means all that was asked (RFC 6749, 5.1)."""
    for scope in asked if granted is None else granted.split():
        match = _SCOPE.match(scope)
        if match and match[1] in ("*", resource_type):
            verbs = match[2]
            if verbs == "*" or (verbs == _V1[need] if verbs in ("read", "write") else need[0] in verbs):
                return True
    return False

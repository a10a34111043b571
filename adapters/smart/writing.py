"""The smallest scopes for writing, and whether what was granted covers it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal

Need = Literal["read", "search", "create", "update"]
_SCOPE = re.compile(r"^(?:system|user|patient)/(\*|[A-Za-z]+)\.(\*|read|write|(?=[cruds])c?r?u?d?s?)(?:\?.*)?$")
_V1 = {"read": "read", "search": "read", "create": "write", "update": "write"}


def writing_scopes(
    writes: Mapping[str, Literal["create", "update"]], syntax: Literal["v1", "v2"], level: str = "system"
) -> tuple[str, ...]:
    """Create and search (to find what is there already), or read and update; for these types and nothing else."""
    if syntax == "v2":
        return tuple(f"{level}/{name}.{'cs' if what == 'create' else 'ru'}" for name, what in sorted(writes.items()))
    return tuple(f"{level}/{name}.{verb}" for name in sorted(writes) for verb in ("read", "write"))


def covers(granted: str | None, asked: Iterable[str], resource_type: str, need: Need) -> bool:
    """Whether the granted scopes let us do it; no `scope` in the answer means all that was asked (RFC 6749, 5.1)."""
    for scope in asked if granted is None else granted.split():
        match = _SCOPE.match(scope)
        if match and match[1] in ("*", resource_type):
            verbs = match[2]
            if verbs == "*" or (verbs == _V1[need] if verbs in ("read", "write") else need[0] in verbs):
                return True
    return False

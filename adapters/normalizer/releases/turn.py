"""The tool of the releases: move elements of one resource to their R4 names, and remember where they stood.

Every helper takes any JSON: what does not have the shape it turns is passed on as it is, for the tolerant readers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from adapters.normalizer.read import Json
from models.record import AnyEntry, Flag, Origin

_WORD = re.compile(r"[A-Za-z]+(\[x\])?")


class Turned(dict[str, Any]):
    """A resource in R4's shape. `names`: R4 element -> its name in the resource as received."""

    names: dict[str, str]

    def retrace(self, entries: Iterable[AnyEntry]) -> list[AnyEntry]:
        """Entries whose paths lead into the resource as received."""
        return [
            msgspec.structs.replace(
                e,
                origins=tuple(self._origin(o) for o in e.origins),
                flags=tuple(self._flag(f) for f in e.flags),
            )
            for e in entries
        ]

    def _origin(self, origin: Origin) -> Origin:
        path = self.path(origin.path)
        return origin if path == origin.path else msgspec.structs.replace(origin, path=path)

    def _flag(self, flag: Flag) -> Flag:
        """A remark begins with element names, up to the first colon; what follows is words."""
        names, colon, words = flag.detail.partition(":")
        said = ", ".join(self.path(n) for n in names.split(", ")) + colon + words
        return flag if said == flag.detail else msgspec.structs.replace(flag, detail=said)

    def path(self, path: str) -> str:
        """An R4 path by the names of the resource as received."""
        found = _WORD.match(path)
        return self.names.get(found[0], found[0]) + path[found.end() :] if found else path


class Turn:
    """One resource (or an element of one) being turned. The one it is made of is not changed."""

    def __init__(self, item: Mapping[str, Any]) -> None:
        self.item = Turned(item)
        self.names: dict[str, str] = {}

    def move(self, old: str, new: str, shape: Callable[[Any], Any] | None = None) -> None:
        """Give element `old` the name `new`, its value shaped; nothing where R4's own element is there already."""
        if new in self.item:
            return
        self.names[new] = old
        if old in self.item:
            value = self.item.pop(old)
            made = value if shape is None else shape(value)
            if made is not None:
                self.item[new] = made

    def reshape(self, name: str, shape: Callable[[Any], Any]) -> None:
        """Shape an element that has the same name in R4."""
        if name in self.item:
            self.item[name] = shape(self.item[name])


Turns = Mapping[str, Callable[[Turn], None]]
"""Resource type -> what turns it, in place."""
NAMELESS = "*"
"""In Turns: what is done to resources of every type."""


def turn(item: Json, kind: str, turns: Turns) -> Turned:
    """A resource in R4's shape, with what it contains."""
    made = Turn(item)
    for key in (NAMELESS, kind):
        if key in turns:
            turns[key](made)
    held = made.item.get("contained")
    if isinstance(held, list):
        made.item["contained"] = [
            dict(turn(c, str(c.get("resourceType")), turns)) if isinstance(c, dict) else c for c in held
        ]
    made.item.names = made.names
    return made.item


def listed(value: Any) -> Any:
    """A lone value as a list of one."""
    return value if isinstance(value, list) else [value]


def noted(value: Any) -> Any:
    """Words as a list of one Annotation; a lone Annotation as a list of one."""
    return [{"text": value}] if isinstance(value, str) else listed(value)


def coded(system: str, codes: Mapping[str, str] | None = None) -> Callable[[Any], Any]:
    """A plain code as a CodeableConcept of `system`, translated by `codes` where they name it."""

    def shape(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        code = value.strip()
        return {"coding": [{"system": system, "code": (codes or {}).get(code, code)}]}

    return shape


def translated(codes: Mapping[str, str]) -> Callable[[Any], Any]:
    """A plain code by another name where `codes` has one."""
    return lambda value: codes.get(value.strip(), value) if isinstance(value, str) else value


def each(shape: Callable[[Json], Any]) -> Callable[[Any], Any]:
    """Shape an object, or every object of a list."""

    def over(value: Any) -> Any:
        if isinstance(value, list):
            return [shape(v) if isinstance(v, dict) else v for v in value]
        return shape(value) if isinstance(value, dict) else value

    return over


def truth(value: Any) -> bool | None:
    """A boolean, as JSON or as a word; None for what is neither."""
    if isinstance(value, str):
        value = {"true": True, "false": False}.get(value.strip().lower())
    return value if isinstance(value, bool) else None


def deny(made: Turn, element: str, status: str) -> None:
    """A flag that says it did not happen becomes the status that says so; one that cannot be read leaves it unknown.

    Entered in error stays entered in error: it says nothing of either.
    """
    value = made.item.get(element)
    said = False if value is None else truth(value)
    if said is False:
        made.item.pop(element, None)
        return
    if made.item.get("status") != "entered-in-error":
        made.item["status"] = status if said else "unknown"
        made.names["status"] = element
    made.item.pop(element)

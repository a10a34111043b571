"""US Core's must-support elements (us_core.toml), and which of them an entry has."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from models.record import AnyEntry, Concept
from models.record.base import Value

Need = Literal["mandatory", "must_support", "uscdi"]
Presence = Literal["present", "absent", "unknown"]
INPATIENT = frozenset({"IMP", "ACUTE", "NONAC", "OBSENC", "EMER", "SS"})
"""v3 ActCode classes with a stay that ends in a disposition."""

CONDITIONS: dict[str, Callable[[Any], bool]] = {
    "": lambda entry: True,
    "died": lambda entry: bool(entry.deceased or entry.deceased_date),
    "resolved": lambda entry: bool(entry.activity == "historical"),
    "problem_list": lambda entry: bool(entry.category != "encounter-diagnosis"),
    "encounter_diagnosis": lambda entry: bool(entry.category == "encounter-diagnosis"),
    "has_no_parts": lambda entry: not (entry.components or entry.has_member or entry.absent_reason),
    "measured": lambda entry: entry.value is not None and entry.value.value is not None,
    "inpatient": lambda entry: entry.encounter_class in INPATIENT,
    "not_done": lambda entry: entry.given is False,
}
"""For which entries an element is expected; docs/quality.md words them."""


class Element(Value, frozen=True):
    """One element of a profile."""

    path: str
    need: Need
    field: str = ""
    raw: str = ""
    when: str = ""


class Profile(Value, frozen=True):
    """The elements of one kind of entry; counted are entries that come from these resource types."""

    types: tuple[str, ...]
    elements: tuple[Element, ...]

    @property
    def reads_raw(self) -> bool:
        """Whether an element is in no field of the record."""
        return any(e.raw for e in self.elements)


@cache
def _data() -> tuple[str, dict[str, Profile]]:
    data = tomllib.loads((Path(__file__).parent / "us_core.toml").read_text(encoding="utf-8"))
    version = data.pop("version")
    found = {kind: Profile.from_dict(table) for kind, table in data.items()}
    for profile in found.values():
        for element in profile.elements:
            if (
                element.need not in get_args(Need)
                or element.when not in CONDITIONS
                or bool(element.field) == bool(element.raw)
            ):
                raise ValueError(f"us_core.toml: {element.path}")
    return version, found


def source_version() -> str:
    """Which guide the lists are from."""
    return _data()[0]


def profiles() -> dict[str, Profile]:
    """Kind of entry (its JSON `kind`) -> its profile."""
    return _data()[1]


def presence(element: Element, entry: AnyEntry, raw: Mapping[str, Any] | None) -> Presence:
    """Whether the entry has the element; unknown for an element of the resource when that is not at hand."""
    if element.raw:
        return "unknown" if raw is None else "present" if _in_raw(raw, element.raw.split(".")) else "absent"
    if element.field.startswith("no:"):
        return "absent" if any(f.code == element.field[3:] for f in entry.flags) else "present"
    for names in _paths(element.field):
        if _held(entry, names):
            return "present"
    return "absent"


@cache
def _paths(field: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(path.split(".")) for path in field.split("|"))


def _held(value: Any, names: tuple[str, ...]) -> bool:
    for at, name in enumerate(names):
        value = getattr(value, name)
        if isinstance(value, tuple):
            rest = names[at + 1 :]
            return any(_held(item, rest) for item in value) if rest else bool(value)
        if value is None:
            return False
    return bool(value) if isinstance(value, Concept) else value not in (None, "")


def _in_raw(value: Any, names: list[str]) -> bool:
    if isinstance(value, list):
        return any(_in_raw(item, names) for item in value)
    if not names:
        return value not in (None, "", {})
    return isinstance(value, Mapping) and _in_raw(value.get(names[0]), names[1:])


def counted(entry: AnyEntry, profile: Profile) -> bool:
    """Entries that stand, came as a resource the profile speaks of, and assert something: not computed, not an explicit negative."""
    origin = entry.origin
    if entry.superseded or origin.method == "computed" or origin.resource_type not in profile.types:
        return False
    return not getattr(entry, "none_asserted", False)


def expected(element: Element, entry: AnyEntry) -> bool:
    """Whether the element is to be expected of this entry."""
    return CONDITIONS[element.when](entry)

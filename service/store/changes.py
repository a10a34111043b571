"""How two normalizations of the same raw differ: the report that comes before a change. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

KINDS = (
    "mapping_changed",
    "value_changed",
    "flag_added",
    "flag_removed",
    "field_changed",
    "entry_appeared",
    "entry_vanished",
    "quarantine_added",
    "quarantine_released",
)
"""`field_changed`: anything else in an entry that is not as it was."""
MOST_EXAMPLES = 3
"""Examples of a kind kept of one patient at one site."""
_VALUES = ("value", "value_concept", "value_text", "components")
_APART = {"flags", "concept", "id", "kind", *_VALUES}
Json = dict[str, Any]


@dataclass
class Changes:
    """What became different of one patient at one site: how many entries and quarantined items, what, and examples."""

    entries: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[Json]] = field(default_factory=dict)

    def note(self, kind: str, /, **example: Any) -> None:
        """Count one change; the first ones are kept to be looked at."""
        self.kinds[kind] += 1
        shown = self.examples.setdefault(kind, [])
        if len(shown) < MOST_EXAMPLES:
            shown.append(example)

    def to_dict(self) -> Json:
        """JSON; kinds in their order."""
        return {
            "entries": self.entries,
            "kinds": {k: self.kinds[k] for k in KINDS if self.kinds[k]},
            "examples": {k: self.examples[k] for k in KINDS if k in self.examples},
        }


Aside = tuple[str, str, str]
"""(resource type, id, reason) of a quarantined resource."""


def compare(
    before: Mapping[str, Json], after: Mapping[str, Json], aside: Iterable[Aside], now: Iterable[Aside]
) -> Changes:
    """The changes from `before` to `after` (entries as JSON by id), and from `aside` to `now` (what is in quarantine)."""
    changes = Changes()
    for entry_id in sorted(before.keys() | after.keys()):
        old, new = before.get(entry_id), after.get(entry_id)
        if old == new:
            continue
        changes.entries += 1
        if old is None or new is None:
            held = new or old or {}
            changes.note("entry_appeared" if old is None else "entry_vanished", **_name(held), what=_words(held))
        else:
            _differ(changes, old, new)
    held_before, held_now = set(aside), set(now)
    for kind, moved in (("quarantine_released", held_before - held_now), ("quarantine_added", held_now - held_before)):
        for resource_type, resource_id, reason in sorted(moved):
            changes.note(kind, reference=f"{resource_type}/{resource_id}", reason=reason)
    return changes


def _differ(changes: Changes, old: Json, new: Json) -> None:
    said = _name(new)
    was, now = _mapping(old), _mapping(new)
    if was != now:
        changes.note("mapping_changed", **said, what=_words(new), before=was, after=now)
    values = [(old.get(name), new.get(name)) for name in _VALUES]
    if any(a != b for a, b in values):
        shown = [(_value(a), _value(b)) for a, b in values if a != b]
        changes.note("value_changed", **said, before=shown[0][0], after=shown[0][1])
    for kind, gained in (("flag_added", _flags(new) - _flags(old)), ("flag_removed", _flags(old) - _flags(new))):
        for (code, detail), count in sorted(gained.items()):
            for _ in range(count):
                changes.note(kind, **said, flag=code, detail=detail)
    other = sorted(name for name in (old.keys() | new.keys()) - _APART if old.get(name) != new.get(name))
    if _sent(old) != _sent(new):
        other.append("concept")
    if other or (old.get("flags") != new.get("flags") and _flags(old) == _flags(new)):
        changes.note("field_changed", **said, fields=other or ["flags"])


def _name(entry: Json) -> Json:
    """Which entry it is: its id leads whoever may read the record to it."""
    origin = (entry.get("origins") or [{}])[0]
    return {
        "entry_id": entry.get("id", ""),
        "kind": entry.get("kind", ""),
        "reference": f"{origin.get('resource_type', '')}/{origin.get('resource_id', '')}",
    }


def _words(entry: Json) -> str:
    concept = entry.get("concept") or {}
    codings = concept.get("codings") or [{}]
    return str(concept.get("text") or codings[0].get("display") or codings[0].get("code") or "")


def _mapping(entry: Json) -> Json | None:
    """What an entry is taken to mean and why."""
    mapping = (entry.get("concept") or {}).get("mapping")
    if mapping is None:
        return None
    target = mapping.get("target") or {}
    shown = {name: mapping.get(name) for name in ("method", "confidence", "table") if mapping.get(name) is not None}
    return shown | {name: target[name] for name in ("system", "code", "display") if target.get(name)}


def _sent(entry: Json) -> Json:
    return {name: value for name, value in (entry.get("concept") or {}).items() if name != "mapping"}


def _flags(entry: Json) -> Counter[tuple[str, str]]:
    return Counter((flag.get("code", ""), flag.get("detail", "")) for flag in entry.get("flags") or [])


def _value(value: Any) -> Any:
    if isinstance(value, list):
        return f"{len(value)} components"
    if isinstance(value, dict) and "codings" in value:
        return _words({"concept": value})
    return value

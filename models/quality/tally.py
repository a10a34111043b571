"""Counts that add up: one patient's counts plus another's are the counts of both, in any order and grouping."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

Key = tuple[str, ...]


class Tally:
    """Non-negative counts under keys such as ("element", "problem", "Condition.code", "present").

    A site's report is the sum of its patients' tallies; the size depends on how many different keys there are, not on how many
    patients, so a million of them can be added one after the other.
    """

    __slots__ = ("counts",)

    def __init__(self, counts: Iterable[tuple[Key, int]] = ()) -> None:
        self.counts: Counter[Key] = Counter()
        for key, count in counts:
            self.add(*key, count=count)

    def add(self, *key: str, count: int = 1) -> None:
        """`count` more under `key`. A key that was counted is known, at 0 too."""
        if count < 0:
            raise ValueError("a tally only grows")
        self.counts[key] += count

    def merge(self, other: Tally) -> None:
        """Add all of `other`."""
        for key, count in other.counts.items():
            self.counts[key] += count

    def get(self, *key: str) -> int:
        """The count under exactly this key; 0 where nothing was counted."""
        return self.counts.get(key, 0)

    def total(self, *prefix: str) -> int:
        """The sum under all keys that begin with `prefix`."""
        return sum(count for key, count in self.counts.items() if key[: len(prefix)] == prefix)

    def under(self, *prefix: str) -> dict[str, int]:
        """The next part of the keys below `prefix`, with the sum below each, sorted by name."""
        found: Counter[str] = Counter()
        for key, count in self.counts.items():
            if len(key) > len(prefix) and key[: len(prefix)] == prefix:
                found[key[len(prefix)]] += count
        return dict(sorted(found.items()))

    def __iter__(self) -> Iterator[tuple[Key, int]]:
        return iter(sorted(self.counts.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tally) and dict(self.counts) == dict(other.counts)

    __hash__ = None  # type: ignore[assignment]  # it grows

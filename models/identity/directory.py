"""Many people, standing ready for the question whether somebody is among them.

Kept between questions (a store's people are standardized once, not at every question), and held to the store by
versions: who is new, changed or gone since is told by comparing them, so that no writer has to think of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from models.identity.blocking import MOST, keys
from models.identity.person import Person

Key = tuple[str, str]
SAMPLE = 40
"""Of the records with a key that is too common to tell anything, so many are still looked at: enough to see that it is."""


class Directory:
    """People by the keys of blocking.py. Not for several threads at once."""

    def __init__(self) -> None:
        self._people: dict[Key, tuple[str, Person]] = {}
        self._at: defaultdict[str, set[Key]] = defaultdict(set)

    def __len__(self) -> int:
        return len(self._people)

    def refresh(self, versions: Mapping[Key, str], read: Callable[[list[Key]], Iterable[Person]]) -> None:
        """Make this what `versions` (record -> version) says; `read` gives the people whose version is another."""
        for key in [k for k in self._people if k not in versions]:
            self._drop(key)
        changed = sorted(k for k, version in versions.items() if self._people.get(k, ("",))[0] != version)
        if not changed:
            return
        for person in read(changed):
            self._drop(person.key)
            self._people[person.key] = (versions[person.key], person)
            for shared in keys(person):
                self._at[shared].add(person.key)

    def _drop(self, key: Key) -> None:
        _, person = self._people.pop(key, ("", None))
        for known in keys(person) if person else ():
            self._at[known].discard(key)
            if not self._at[known]:
                del self._at[known]

    def near(self, person: Person) -> list[Person]:
        """Who has a key in common with `person`, in the order of their keys."""
        found: set[Key] = set()
        for key in keys(person):
            sharing = self._at.get(key, set())
            found |= sharing if len(sharing) <= MOST else set(sorted(sharing)[:SAMPLE])
        return [self._people[key][1] for key in sorted(found)]

"""Which pairs are compared at all: those that have one of many cheap keys in common.

Each key is a way in which two records of one person still agree when the others fail: a birth date without its year, a
family name as it sounds, a home and an initial. A key that very many have tells nothing and is passed over (MOST). The
same keys find the candidates of one person that is asked about (index.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from models.identity.person import Person
from models.identity.words import root

MOST = 400
"""Records with one key, from which on it is passed over: a block of 400 is 80,000 pairs that agree in little else."""

MOST_WEAK = 30
"""The same for a key that tells little even in a town (a name alone): WEAK is what those begin with."""
WEAK = "~"

_CODES = {
    c: d for d, letters in zip("123456", ("bfpv", "cgjkqsxz", "dt", "l", "mn", "r"), strict=True) for c in letters
}


def soundex(word: str) -> str:
    """The American Soundex of a name (National Archives: h and w do not separate equal codes, vowels do).

    A word of other letters than a-z is its own sound.
    """
    if not re.fullmatch(r"[a-z]+", word):
        return word
    made, last = word[0], _CODES.get(word[0], "")
    for letter in word[1:]:
        code = _CODES.get(letter, "")
        if code and code != last:
            made += code
        if letter not in "hw":
            last = code
    return f"{made}000"[:4]


def keys(person: Person) -> tuple[str, ...]:
    """All keys of a record, sorted."""
    return tuple(sorted({*_by_name(person), *_by_place(person), *_by_number(person)}))


def _by_name(person: Person) -> Iterator[str]:
    """Name with name, name with birth date; exchanged names and exchanged days meet, too."""
    name, birth = person.name, person.birth
    family_sounds = {soundex(f) for f in (name.family, *name.families) if f}
    given_sounds = {soundex(g) for g in {name.given, *name.givens, root(name.given)} if len(g) > 1}
    for given in given_sounds:
        for family in family_sounds:
            yield "names:" + "".join(sorted((given, family)))
    sounds = family_sounds | given_sounds
    for sound in sounds:
        yield f"{WEAK}name:{sound}"
    known = birth.day or birth.partial
    if not known:
        return
    year, month, day = known[:4], known[5:7], known[8:]
    for sound in sounds:
        yield f"year:{year}{sound}"
    if not day:
        return
    yield f"born:{known}{person.place.zip}"
    if not (name.given and name.family):
        yield f"born:{known}"
    for letter in {n[0] for n in (name.given, name.family, *name.families, *name.givens) if n}:
        yield f"born:{known}{letter}"
    one, other = sorted((month, day))
    for sound in sounds:
        yield f"days:{year}{one}{other}{sound}"
        yield f"anyyear:{month}{day}{sound}"
        yield f"month:{year}{month}{sound}"
    if name.newborn:
        yield from (f"newborn:{known}{family}" for family in family_sounds)


def _by_place(person: Person) -> Iterator[str]:
    """A home, a street or a neighbourhood, with a part of the name or the birth date."""
    name, born = person.name, person.birth.day
    initials = {n[0] for n in (name.given, name.family, *name.families) if n}
    sounds = {soundex(n) for n in {name.given, root(name.given), name.family, *name.families} if len(n) > 1}
    for place in (person.place, *person.more_places):
        town = place.zip or place.city
        if place.house and place.street:
            for initial in initials:
                yield f"home:{place.house}{place.street[:5]}{initial}"
            if born:
                yield f"home:{place.house}{place.street[:5]}{born[:4]}"
        if place.street and town and born:
            yield f"street:{place.street[:6]}{town}{born[:4]}"
        if place.street:
            for sound in sounds:
                yield f"street:{place.street[:6]}{sound}"
        for where in {place.zip, place.city} - {""}:
            for sound in sounds:
                yield f"town:{where}{sound}"
            if place.house:
                yield f"town:{where}{place.house}{born[:4]}"
            if born:
                yield f"town:{where}{born[5:]}"


def _by_number(person: Person) -> Iterator[str]:
    """What is a person's own, whole; and the parts of it that a slip leaves as they were."""
    name, national = person.name, person.national
    if national:
        yield f"number:{national}"
        half = len(national) // 2
        for part in (f"a{national[:half]}", f"b{national[-half:]}"):
            for more in {person.birth.day[:4], *(soundex(n) for n in (name.given, name.family) if n)} - {""}:
                yield f"number:{part}{more}"
    if person.national4:
        for more in {person.birth.day, soundex(name.family) if name.family else ""} - {""}:
            yield f"number:{person.national4}{more}"
    for phone in person.phones:
        yield f"phone:{phone[-10:]}"
        yield from (f"phone:{phone[-7:]}{n[0]}" for n in (name.given, name.family) if n)
    for email in person.emails:
        yield f"email:{email}"
        user, _, host = email.partition("@")
        yield f"{WEAK}user:{user[:5]}"
        yield f"{WEAK}host:{host}"
    for value in (*person.records, *person.documents):
        yield f"paper:{value}"
    for value in person.members:
        yield from (f"member:{value}{n[0]}" for n in (name.given,) if n)

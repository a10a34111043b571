"""Releases beside R4: a resource of DSTU2 or R5 is turned into the R4 shape the readers know, and read by them.

One pure step per release and type (`dstu2`, `r5`): dict in, dict out. It renames, wraps and translates closed code lists
(a status, an encounter class) and touches nothing else: what R4 writes alike stays as it is, so that turning an R4
resource changes nothing but what R4 does not have. The bytes stay as received; codes, texts, dates and numbers are never
changed; what another release cannot say is absent, not guessed. Negations (`wasNotGiven`, `notPerformed`, `wasNotTaken`,
`prohibited`, `adherence`) become the R4 status that says so, and one that cannot be read becomes `unknown`.

Entries point into the resource as received: `Turned.retrace` gives element paths in origins and remarks their own names
back (`recordedDate` is `dateRecorded` in DSTU2). Statuses and the reasons for `activity` speak R4's vocabulary.

Which release: what the source's capability statement declares (RawResource.fhir_version); where that is R4, which is also
what nobody declared, elements that only another release has (`signs`). Files: `told`.
"""

from adapters.normalizer.read import Json
from adapters.normalizer.releases.dstu2 import DSTU2
from adapters.normalizer.releases.r5 import R5
from adapters.normalizer.releases.signs import foreign_release
from adapters.normalizer.releases.told import release_of
from adapters.normalizer.releases.turn import Turned, Turns, turn

UNREAD = frozenset({"STU3"})
"""Releases that are recognized and not read: their resources go to quarantine as `unsupported_version`."""
READABLE = "DSTU2, R4, R4B and R5 are read"
_TURNS: dict[str, Turns] = {"DSTU2": DSTU2, "R5": R5}


def written_in(resource: Json, kind: str, declared: str) -> str:
    """The release a resource is to be read as. A source that declares R4 (or nothing) may still send another."""
    if declared in _TURNS or declared in UNREAD:
        return declared
    return foreign_release(resource, kind) or declared


def in_r4(resource: Json, kind: str, release: str) -> Json:
    """`resource` in R4's shape: itself where the release is R4 or R4B, or its type is written alike; else a Turned."""
    turns = _TURNS.get(release)
    return resource if turns is None else turn(resource, kind, turns)


__all__ = ["READABLE", "UNREAD", "Turned", "foreign_release", "in_r4", "release_of", "written_in"]

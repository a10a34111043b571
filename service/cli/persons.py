"""Whom the files of one command are about. Two people never share a record because they share a number: where files that
name the same patient id contradict each other about who that is, they are kept apart and it is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from adapters.normalizer.ccda import CDA, heads_of
from adapters.normalizer.fhir_xml import json_of
from adapters.normalizer.read import NotJson, parse
from models.record import RawResource


class Files(Protocol):
    """What several files held (service.cli.loaded.Loaded)."""

    site: str
    """The site that all files share, unless they have to be kept apart."""
    resources: list[RawResource]
    parts: list[tuple[str, int]]
    warnings: list[dict[str, Any]]

    def owner(self, resource: RawResource) -> str | None:
        """The patient a resource says it belongs to."""

    def by_patient(self) -> dict[str, list[RawResource]]:
        """Resources of each patient."""


@dataclass(frozen=True)
class Claim:
    """What one file says of who a patient is."""

    born: str = ""
    family: frozenset[str] = frozenset()
    given: frozenset[str] = frozenset()
    sex: str = ""

    def differs(self, other: Claim) -> str:
        """In what two claims cannot be of one person; '' where they may be. A married name or a nickname alone, or what
        one of them does not say, is no contradiction; another birth date is, and so are two of family name, given name
        and sex."""
        if self.born and other.born:
            digits = min(len(self.born), len(other.born))
            if self.born[:digits] != other.born[:digits]:
                return "birth date"
        apart = [
            word
            for word, mine, theirs in (
                ("family name", self.family, other.family),
                ("given name", self.given, other.given),
                ("sex", _one(self.sex), _one(other.sex)),
            )
            if mine and theirs and not mine & theirs
        ]
        return " and ".join(apart) if len(apart) > 1 else ""

    @property
    def words(self) -> str:
        """Initials and year of birth: enough to tell two people apart, and no more."""
        letters = [f"{min(names)[:1].upper()}." for names in (self.given, self.family) if names]
        return ", ".join(p for p in (" ".join(letters), f"born {self.born[:4]}" if self.born else "") if p) or "unnamed"


def _one(word: str) -> frozenset[str]:
    return frozenset({word} - {"", "unknown", "other"})


def claims_of(resource: RawResource) -> Iterator[Claim]:
    """What a Patient resource or the head of a document claims; nothing for any other."""
    if resource.resource_type == CDA:
        yield from (_claim(item) for item in heads_of(resource.content))
    elif resource.resource_type == "Patient":
        try:
            item = parse(json_of(resource))
        except NotJson:
            return
        if isinstance(item, dict):
            yield _claim(item)


def _claim(item: dict[str, Any]) -> Claim:
    """Of a Patient in any release's shape, tolerant of every other."""
    names = [n for n in _list(item.get("name")) if isinstance(n, dict)]
    born, sex = item.get("birthDate"), item.get("gender")
    return Claim(
        born=born[:10] if isinstance(born, str) else "",
        family=frozenset(w for n in names for w in _words(n.get("family"))),
        given=frozenset(w for n in names for w in _words(n.get("given"))),
        sex=sex.casefold() if isinstance(sex, str) else "",
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _words(value: Any) -> list[str]:
    return [w for v in _list(value) if isinstance(v, str) for w in v.casefold().replace("-", " ").split()]


def keep_apart(loaded: Files) -> None:
    """Give the resources of a file a site of their own where it contradicts an earlier file about who a patient is: neither
    the person nor what has the same type and id may become one with the other's."""
    known: dict[tuple[str, str], list[tuple[Claim, str]]] = {}
    start = 0
    for name, many in loaded.parts:
        here = loaded.resources[start : start + many]
        claims = [(owner, claim) for r in here for claim in claims_of(r) if (owner := loaded.owner(r))]
        number, site, first = 1, loaded.site, True
        while clash := next(
            (
                (owner, claim, *earlier, why)
                for owner, claim in claims
                for earlier in known.get((owner, site), [])
                if (why := claim.differs(earlier[0]))
            ),
            None,
        ):
            if first:
                loaded.warnings.append(_differing(name, *clash))
            number, first = number + 1, False
            site = f"{loaded.site}-{number}"
        for owner, claim in claims:
            known.setdefault((owner, site), []).append((claim, name))
        if site != loaded.site:
            loaded.resources[start : start + many] = [msgspec.structs.replace(r, site=site) for r in here]
        start += many


def _differing(name: str, owner: str, claim: Claim, earlier: Claim, file: str, why: str) -> dict[str, Any]:
    return {
        "code": "patients_differ",
        "message": f"{file} ({earlier.words}) and {name} ({claim.words}) name the same patient id, and differ in {why}: "
        "they are kept apart as two people",
        "patient": owner,
        "files": [file, name],
        "differs": why,
    }


def warnings_of(loaded: Files, patient: str | None) -> list[dict[str, Any]]:
    """The warnings of the files, and whom the choice of one patient leaves out."""
    found = list(loaded.warnings)
    if patient is not None:
        others = {p: g for p, g in loaded.by_patient().items() if p != patient.removeprefix("Patient/")}
        if others:
            many = sum(map(len, others.values()))
            found.append(
                {
                    "code": "patients_left_out",
                    "message": f"{many} resources of {len(others)} other patients in these files are left out",
                    "patients": list(others)[:100],
                    "resources": many,
                }
            )
    return found


def who(group: list[RawResource]) -> str:
    """Who a group of resources is about, in the fewest words."""
    return next((claim.words for r in group for claim in claims_of(r)), "unnamed")

"""Which release the given files are, and its reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from models.terminology.releases.archive import Archive, Part
from models.terminology.releases.base import Item, Kind, ReleaseError
from models.terminology.releases.formats import ccsr, cvx, cvx_ndc, fhir, gem, icd10cm, loinc, rxnorm, snomed

_READERS: dict[Kind, tuple[Callable[[list[Part]], list[Part]], Callable[[list[Part], str], Iterator[Item]]]] = {
    "rxnorm": (rxnorm.parts, rxnorm.read),
    "snomed": (snomed.parts, snomed.read),
    "loinc": (loinc.parts, loinc.read),
    "ccsr": (ccsr.parts, ccsr.read),
    "icd9-gem": (gem.parts, gem.read),
    "cvx-ndc": (cvx_ndc.parts, cvx_ndc.read),
    "cvx": (cvx.parts, cvx.read),
    "icd-10-cm": (icd10cm.parts, icd10cm.read),
}
"""Most telling first."""


class Found(NamedTuple):
    """A release among the given files: what it is, which parts it uses, what it says."""

    kind: Kind
    used: list[Part]
    items: Callable[[], Iterator[Item]]


def recognized(archive: Archive, kind: str = "") -> list[Found]:
    """The releases in what was given: one, or any number of value sets and concept maps. Raises `wrong_file`, `several_releases`."""
    found: list[Found] = []
    for name, (parts, read) in _READERS.items():
        if kind in ("", name) and (used := parts(archive.parts)):
            found.append(Found(name, used, lambda u=used, r=read: r(u, archive.label)))  # type: ignore[misc]
    if not found and kind in ("", "valueset", "conceptmap"):
        for part in archive.parts:
            for resource in fhir.resources(part):
                of: Kind = "valueset" if resource["resourceType"] == "ValueSet" else "conceptmap"
                if kind in ("", of):
                    found.append(Found(of, [part], lambda r=resource, p=part: fhir.read(r, p.name)))  # type: ignore[misc]
    if not found:
        what = (
            f"a {kind} release"
            if kind
            else "a release that is known (LOINC, RxNorm, SNOMED CT, ICD-10-CM, GEM, CVX, CDC vaccine NDC, CCSR, ValueSet, ConceptMap)"
        )
        raise ReleaseError("wrong_file", f"{archive.label}: there is not {what} in it")
    if len(found) > 1 and found[0].kind in _READERS:
        kinds = ", ".join(f.kind for f in found)
        raise ReleaseError("several_releases", f"{archive.label}: {kinds}; say with --system which to read")
    return found

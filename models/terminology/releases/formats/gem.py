"""General equivalence mappings between ICD-9-CM and ICD-10-CM diagnoses: CMS's text files (2018_I9gem.txt), or CSV of them.

Five flags: approximate, no map, combination, scenario, choice list (CMS, GEMs Documentation and User's Guide, 2018: the last).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from models.terminology.conditions import dotted, dotted9
from models.terminology.releases.archive import Part, head, lines
from models.terminology.releases.base import About, Entry, Item, Link, ReleaseError
from models.terminology.releases.formats.loinc import rows

_ROW = re.compile(r"(\S{3,7})[ \t]+(\S{3,7})[ \t]+([01]{3}\d\d)")
_YEAR = re.compile(r"(20\d\d)")
LAST = "2018"


def parts(found: list[Part]) -> list[Part]:
    """The map from ICD-9-CM; the other direction is another map and gives the reverse links."""
    used: dict[str, Part] = {}
    for part in found:
        used.setdefault(_direction(part), part)
    return [used[kind] for kind in ("gem", "gem_back") if kind in used]


def _direction(part: Part) -> str:
    if not part.base.endswith((".txt", ".csv")):
        return ""
    first = head(part).splitlines()[:1]
    names = [cell.strip().strip('"').lower() for cell in first[0].split(",")] if first else []
    if names[:2] == ["icd9cm", "icd10cm"]:
        return "gem"
    if names[:2] == ["icd10cm", "icd9cm"]:
        return "gem_back"
    if not first or not _ROW.fullmatch(first[0].strip()):
        return ""
    return "gem_back" if "i10" in part.base or first[0].lstrip()[:1] == "A" else "gem"  # A00.0, the first of ICD-10-CM


def read(used: list[Part], label: str) -> Iterator[Item]:
    """A link for each row, its flags as the note; ICD-9-CM codes get no names, CMS's file has none."""
    found = _YEAR.search(" ".join((label, *(p.name for p in used))))
    seen: set[str] = set()
    for part in used:
        kind = _direction(part)
        here, there = (dotted9, dotted) if kind == "gem" else (dotted, dotted9)
        for code, target, flags in _pairs(part, kind):
            source = here(code)
            yield Link(kind=kind, code=source, target="" if flags[1] == "1" else there(target), note=flags)
            if kind == "gem" and source not in seen:
                seen.add(source)
                yield Entry(code=source)
    version = found[1] if found else LAST
    yield About(kind="icd9-gem", version=version, effective_from=f"{int(version) - 1}-10-01", title="ICD-9-CM GEMs")


def _pairs(part: Part, kind: str) -> Iterator[tuple[str, str, str]]:
    if part.base.endswith(".csv"):
        for number, row in rows(part, ("icd9cm", "icd10cm", "flags")):
            if not re.fullmatch(r"[01]{3}\d\d", row["flags"]):
                raise ReleaseError("invalid_row", f"{part.name} line {number}: the flags must be five digits")
            pair = (row["icd9cm"], row["icd10cm"])
            yield (*(pair if kind == "gem" else pair[::-1]), row["flags"])
        return
    for number, line in enumerate(lines(part), 1):
        if found := _ROW.fullmatch(line.strip()):
            yield found[1], found[2], found[3]
        elif line.strip():
            raise ReleaseError("invalid_row", f"{part.name} line {number}: code, code and five flags are expected")

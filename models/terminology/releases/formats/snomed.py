"""SNOMED CT RF2 snapshot: concepts, descriptions, is-a, associations of inactive concepts, the map to ICD-10-CM.

Columns: SNOMED International, Release File Specifications (https://docs.snomed.org, RF2). The US extended map is reference set
6011000124106 (NLM, SNOMED CT to ICD-10-CM Map). Only English descriptions are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from models.terminology.releases.archive import Part, table
from models.terminology.releases.base import About, Entry, Item, Link, ReleaseError, Skipped, Term

FSN = "900000000000003001"
IS_A = "116680003"
PREFERRED = "900000000000548007"
US_ENGLISH = "900000000000509007"
ICD10CM_MAP = "6011000124106"
ASSOCIATIONS = {
    "900000000000526001": "replaced by",
    "900000000000527005": "same as",
    "900000000000524003": "moved to",
    "900000000000523009": "possibly equivalent to",
    "1186921001": "possibly replaced by",
    "1186924009": "partially equivalent to",
    "900000000000530003": "alternative",
    "900000000000528000": "was a",
}
"""Association reference sets, by what they say of an inactive concept; the first two are certain."""
CERTAIN = frozenset({"replaced by", "same as"})
_DATE = re.compile(r"(?:snapshot|snapshot-en|en)?_([A-Z]{2}\d*|INT)_(\d{8})(?:T\w+)?\.txt", re.I)
_TAG = re.compile(r"\s*\(([^()]+)\)$")
_KINDS = (
    ("concept", re.compile(r"sct2_concept_(?:\w*)snapshot")),
    ("description", re.compile(r"sct2_description_(?:\w*)snapshot-en")),
    ("relationship", re.compile(r"sct2_relationship_(?:\w*)snapshot")),
    ("language", re.compile(r"der2_crefset_language(?:\w*)snapshot-en")),
    ("association", re.compile(r"der2_crefset_association(?:\w*)snapshot")),
    ("map", re.compile(r"der2_iissscc?refset_extendedmap(?:\w*)snapshot")),
)


def parts(found: list[Part]) -> list[Part]:
    """The files of the snapshot. A full or delta release alone is refused: `not_a_snapshot`."""
    used = [part for part in found if _kind(part)]
    if used and not any(_kind(p) == "concept" for p in used):
        raise ReleaseError("missing_file", "the RF2 snapshot of concepts (sct2_Concept_Snapshot_*.txt) is missing")
    if not used and any(part.base.startswith("sct2_concept_") for part in found):
        raise ReleaseError(
            "not_a_snapshot", "only the Snapshot files of an RF2 release are read; Full and Delta are not"
        )
    return used


def _kind(part: Part) -> str:
    return next((kind for kind, name in _KINDS if name.match(part.base)), "")


def read(used: list[Part], label: str) -> Iterator[Item]:
    """Concepts with their preferred names; several editions may lie in one release: a concept's newest row counts."""
    by_kind: dict[str, list[Part]] = {}
    for part in used:
        by_kind.setdefault(_kind(part), []).append(part)
    status = _states(by_kind["concept"])
    if "description" not in by_kind:
        raise ReleaseError(
            "missing_file", "the RF2 snapshot of English descriptions (sct2_Description_Snapshot-en_*) is missing"
        )
    preferred = _preferred(by_kind.get("language", []))
    yield from _names(by_kind["description"], status, preferred)
    for part in by_kind.get("relationship", ()):
        for _, row in _rows(part, 10):
            if row[2] == "1" and row[7] == IS_A:
                yield Link(kind="parent", code=row[4], target=row[5])
    for part in by_kind.get("association", ()):
        for _, row in _rows(part, 7):
            if row[2] == "1" and row[4] in ASSOCIATIONS and row[5] in status:
                yield Link(kind="replaced_by", code=row[5], target=row[6], note=ASSOCIATIONS[row[4]])
    for part in by_kind.get("map", ()):
        for _, row in _rows(part, 13):
            if row[4] != ICD10CM_MAP:
                yield Skipped(reason="a map to another system than ICD-10-CM")
            elif row[2] == "1":
                yield Link(
                    kind="icd10cm",
                    code=row[5],
                    target=row[10],
                    note="\t".join((row[6].zfill(3), row[7].zfill(3), row[8], row[9])),
                )
    yield _about(by_kind["concept"])


def _rows(part: Part, width: int) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells below the header; raises `missing_column` where there is none."""
    rows = table(part, "\t", width)
    _, first = next(rows, (0, [""]))
    if first[0] != "id":
        raise ReleaseError("missing_column", f"{part.name}: an RF2 header that begins with `id` is expected")
    yield from rows


def _states(found: list[Part]) -> dict[str, bool]:
    newest: dict[str, tuple[str, bool]] = {}
    for part in found:
        for _, row in _rows(part, 5):
            if row[0] not in newest or row[1] > newest[row[0]][0]:
                newest[row[0]] = row[1], row[2] == "1"
    return {code: active for code, (_, active) in newest.items()}


def _preferred(found: list[Part]) -> set[str]:
    """Ids of the descriptions that US English prefers."""
    return {
        row[5]
        for part in found
        for _, row in _rows(part, 7)
        if row[2] == "1" and row[4] == US_ENGLISH and row[6] == PREFERRED
    }


def _names(found: list[Part], status: dict[str, bool], preferred: set[str]) -> Iterator[Item]:
    best: dict[str, str] = {}
    full: dict[str, str] = {}
    for part in found:
        for _, row in _rows(part, 9):
            code, term = row[4], row[7]
            if row[2] != "1" or code not in status:
                continue
            if row[6] == FSN:
                full[code] = term
            else:
                if row[0] in preferred or code not in best:
                    best[code] = term
                if status[code]:
                    yield Term(code=code, words=term)
    for code, active in status.items():
        name = full.get(code, "")
        tag = _TAG.search(name)
        yield Entry(
            code=code,
            display=best.get(code) or _TAG.sub("", name),
            status="active" if active else "inactive",
            kind=tag[1] if tag else "",
        )
        if active and name:
            yield Term(code=code, words=_TAG.sub("", name))


def _about(found: list[Part]) -> About:
    editions = sorted((m[2], m[1].upper()) for part in found if (m := _DATE.search(part.base)))
    if not editions:
        return About(kind="snomed", title="SNOMED CT")
    date, edition = editions[-1]
    day = f"{date[:4]}-{date[4:6]}-{date[6:]}"
    return About(kind="snomed", version=f"{edition}-{day}", effective_from=day, title="SNOMED CT")

"""ValueSet and ConceptMap resources (VSAC's FHIR service and others), alone or in a Bundle; JSON.

Of a value set its expansion counts, whole (`total` says how many there must be); without one, the codes it lists. One that is defined
by filters or by other value sets and has no expansion cannot be evaluated here: `valueset_not_expanded`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from models.terminology.releases.archive import Part, head
from models.terminology.releases.base import About, Item, Link, Member, ReleaseError
from models.terminology.systems import canonical_system
from models.terminology.tables import MappingTable, TableError, parse_table

MOST_BYTES = 200_000_000


def resources(part: Part) -> list[dict[str, Any]]:
    """The ValueSets and ConceptMaps of a JSON file; [] when it holds none."""
    if not part.base.endswith(".json") or "resourceType" not in head(part):
        return []
    with part.opened() as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ReleaseError("too_large", f"{part.name}: more than {MOST_BYTES // 1_000_000} MB")
    try:
        found = json.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError):
        raise ReleaseError("invalid_json", f"{part.name}: not JSON, or cut off") from None
    if isinstance(found, dict) and found.get("resourceType") == "Bundle":
        inside = [e.get("resource") for e in found.get("entry") or [] if isinstance(e, dict)]
    else:
        inside = [found]
    return [r for r in inside if isinstance(r, dict) and r.get("resourceType") in ("ValueSet", "ConceptMap")]


def read(resource: dict[str, Any], name: str) -> Iterator[Item]:
    """What one resource says."""
    is_set = resource["resourceType"] == "ValueSet"
    subject = str(resource.get("url") or "")
    if not subject:
        raise ReleaseError("missing_column", f"{name}: a {resource['resourceType']} without url cannot be asked for")
    date = str(resource.get("date") or "")[:10]
    yield from _members(resource, subject) if is_set else _rows(resource, subject)
    yield About(
        kind="valueset" if is_set else "conceptmap",
        version=str(resource.get("version") or date),
        effective_from=date if len(date) == 10 else "",
        subject=subject,
        title=str(resource.get("title") or resource.get("name") or subject),
    )


def _members(resource: dict[str, Any], subject: str) -> Iterator[Member]:
    expansion = resource.get("expansion")
    if isinstance(expansion, dict):
        found = list(_contains(expansion.get("contains"), subject, 0))
        total = expansion.get("total")
        listed = sum(1 for _ in found)
        if isinstance(total, int) and total > listed:
            raise ReleaseError(
                "truncated", f"{subject}: the expansion says {total} codes and holds {listed}; get all its pages"
            )
        yield from found
        return
    compose = resource.get("compose")
    includes = _objects(compose.get("include") if isinstance(compose, dict) else None, subject)
    excludes = _objects(compose.get("exclude") if isinstance(compose, dict) else None, subject)
    if not includes or any(
        i.get("filter") or i.get("valueSet") or not i.get("concept") for i in (*includes, *excludes)
    ):
        raise ReleaseError(
            "valueset_not_expanded",
            f"{subject}: defined by filters, whole systems or other value sets; give its expansion",
        )
    left_out = {(m.system, m.code) for e in excludes for m in _concepts(e, subject)}
    for include in includes:
        yield from (m for m in _concepts(include, subject) if (m.system, m.code) not in left_out)


def _contains(found: Any, subject: str, depth: int) -> Iterator[Member]:
    if depth > 50:
        raise ReleaseError("invalid_json", f"{subject}: nested too deep")
    for item in _objects(found, subject):
        if item.get("code") and item.get("abstract") is not True:
            yield Member(
                system=canonical_system(str(item.get("system", ""))),
                code=str(item["code"]),
                display=str(item.get("display", "")),
            )
        yield from _contains(item.get("contains"), subject, depth + 1)


def _concepts(include: dict[str, Any], subject: str) -> Iterator[Member]:
    system = canonical_system(str(include.get("system", "")))
    for concept in _objects(include.get("concept"), subject):
        yield Member(system=system, code=str(concept.get("code", "")), display=str(concept.get("display", "")))


def _objects(value: Any, subject: str) -> list[dict[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(v, dict) for v in value):
        raise ReleaseError("invalid_json", f"{subject}: a list of objects is expected")
    return value


def _rows(resource: dict[str, Any], subject: str) -> Iterator[Link]:
    """The rows of a map as mapping tables have them (models/terminology/tables)."""
    try:
        table: MappingTable = parse_table(json.dumps(resource).encode(), ".json", subject)
    except TableError as error:
        raise ReleaseError(error.code, str(error)) from None
    for row in table.rows:
        yield Link(
            kind="row",
            code=f"{row.system}|{row.code}",
            target=f"{row.target_system}|{row.target_code}",
            note=msgspec.json.encode(row).decode(),
        )

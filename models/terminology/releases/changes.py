"""What a newer version of a release changes: code by code, and for the codes that are in use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Annotated, Literal

from msgspec import Meta

from models.record.base import Value
from models.terminology.releases.base import Entry, ReleaseError
from models.terminology.releases.index import Index
from models.terminology.words import plain

What = Literal["added", "removed", "deprecated", "discouraged", "reactivated", "renamed", "replaced", "mapped"]
"""`deprecated`: was valid, is not; `removed`: not listed any more; `replaced`: its successor changed; `mapped`: its maps changed."""
MAPS = ("icd10cm", "gem", "gem_back", "ccsr", "ndc", "cvx", "row")
ASKED = ("loinc", "rxnorm", "snomed", "icd-10-cm", "cvx")
"""Releases that know every code of their system; a code in use that they do not know is worth a line."""
_WORST: tuple[What, ...] = (
    "removed",
    "deprecated",
    "mapped",
    "replaced",
    "discouraged",
    "renamed",
    "reactivated",
    "added",
)


class Change(Value, frozen=True):
    """One code that says something else in the newer version."""

    what: Annotated[What, Meta(description="What happened to it.")]
    code: Annotated[str, Meta(description="The code; of value sets system|code.")]
    display: Annotated[str, Meta(description="Its name now, else its last one.")] = ""
    before: Annotated[str, Meta(description="Name, status or maps in the older version.")] = ""
    after: Annotated[str, Meta(description="The same in the newer one.")] = ""
    replaced_by: Annotated[tuple[str, ...], Meta(description="What the newer version says to use instead.")] = ()
    in_use: Annotated[int, Meta(description="How often it is in use, where that was asked.")] = 0


class Report(Value, frozen=True):
    """What changes between two versions."""

    old: Annotated[str, Meta(description="Name of the older version.")]
    new: Annotated[str, Meta(description="Name of the newer version.")]
    counts: Annotated[dict[str, int], Meta(description="Changes by what they are, of all codes.")]
    changes: Annotated[tuple[Change, ...], Meta(description="The changes: of the codes in use, or of all.")]
    in_use: Annotated[int | None, Meta(description="Codes in use that were looked at; None: all codes were.")] = None
    unknown: Annotated[tuple[str, ...], Meta(description="Codes in use that the newer version does not know.")] = ()


def report(old: Index, new: Index, in_use: dict[str, int] | None = None) -> Report:
    """The changes from `old` to `new`, worst first. `in_use`: code -> how often; only those are told one by one.

    Raises ReleaseError when they are not versions of one thing.
    """
    a, b = old.manifest, new.manifest
    if (a.kind, a.subject) != (b.kind, b.subject):
        raise ReleaseError("not_comparable", f"{a.name} and {b.name} are not versions of one thing")
    counts: Counter[str] = Counter()
    told: list[Change] = []
    for change in _changes(old, new):
        counts[change.what] += 1
        if in_use is None:
            told.append(change)
        elif change.code in in_use:
            told.append(_used(change, in_use[change.code]))
    told.sort(key=lambda c: (_WORST.index(c.what), -c.in_use, c.code))
    asked = in_use or () if b.kind in ASKED else ()
    unknown = tuple(sorted(code for code in asked if not _knows(new, code)))
    return Report(
        old=a.name,
        new=b.name,
        counts={what: counts[what] for what in _WORST if counts[what]},
        changes=tuple(told),
        in_use=None if in_use is None else len(in_use),
        unknown=unknown,
    )


def _used(change: Change, times: int) -> Change:
    return Change.from_dict(change.to_dict() | {"in_use": times})


def _knows(index: Index, code: str) -> bool:
    if index.manifest.kind == "valueset":
        system, _, bare = code.rpartition("|")
        return index.has_member(system, bare)
    return index.find(code) is not None or any(index.links(kind, code) for kind in MAPS)


def _changes(old: Index, new: Index) -> Iterator[Change]:
    if new.manifest.kind == "valueset":
        yield from _of_members(old, new)
        return
    before = {entry.code: entry for entry in old.entries()}
    for now in new.entries():
        was = before.pop(now.code, None)
        if was is None:
            if now.status != "inactive":
                yield Change(what="added", code=now.code, display=now.display, after=now.status)
        else:
            yield from _of_one(was, now, new)
    for was in before.values():
        if was.status != "inactive" or new.manifest.kind not in ("rxnorm",):  # RxNorm drops what it retired before
            yield Change(
                what="removed",
                code=was.code,
                display=was.display,
                before=was.status,
                replaced_by=successors(new, was.code),
            )
    yield from _of_links(old, new)


def _of_one(was: Entry, now: Entry, new: Index) -> Iterator[Change]:
    if was.status != now.status:
        what: What = "reactivated"
        if now.status == "inactive":
            what = "deprecated"
        elif now.status == "discouraged":
            what = "discouraged"
        instead = successors(new, now.code) if what != "reactivated" else ()
        yield Change(
            what=what, code=now.code, display=now.display, before=was.status, after=now.status, replaced_by=instead
        )
    if was.display and now.display and plain(was.display) != plain(now.display):
        yield Change(what="renamed", code=now.code, display=now.display, before=was.display, after=now.display)


def _of_links(old: Index, new: Index) -> Iterator[Change]:
    """Codes whose maps or successors differ; a code that is newly inactive has its successor beside that."""
    for kind in (*MAPS, "replaced_by"):
        before, after = _grouped(old, kind), _grouped(new, kind)
        for code in sorted(before.keys() & after.keys() if kind == "replaced_by" else before.keys() | after.keys()):
            left, right = before.get(code, ()), after.get(code, ())
            if left == right or (kind != "replaced_by" and not (left and _knows(old, code))):
                continue
            entry = new.find(code) or old.find(code)
            display = entry.display if entry else ""
            what: What = "replaced" if kind == "replaced_by" else "mapped"
            instead = tuple(target for target, _ in right) if kind == "replaced_by" else ()
            yield Change(
                what=what, code=code, display=display, before=_listed(left), after=_listed(right), replaced_by=instead
            )


def _grouped(index: Index, kind: str) -> dict[str, tuple[tuple[str, str], ...]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for link in index.all_links(kind):
        found.setdefault(link.code, []).append((link.target, link.note))
    return {code: tuple(sorted(pairs)) for code, pairs in found.items()}


def _listed(pairs: Collection[tuple[str, str]]) -> str:
    return ", ".join(dict.fromkeys(target or "(none)" for target, _ in pairs)) or "(none)"


def _of_members(old: Index, new: Index) -> Iterator[Change]:
    before = {f"{m.system}|{m.code}": m for m in old.members()}
    for member in new.members():
        key = f"{member.system}|{member.code}"
        was = before.pop(key, None)
        if was is None:
            yield Change(what="added", code=key, display=member.display)
        elif was.display and member.display and plain(was.display) != plain(member.display):
            yield Change(what="renamed", code=key, display=member.display, before=was.display, after=member.display)
    for key, was in before.items():
        yield Change(what="removed", code=key, display=was.display)


def successors(index: Index, code: str) -> tuple[str, ...]:
    """What an index says to use instead of `code`."""
    return tuple(dict.fromkeys(link.target for link in index.links("replaced_by", code)))

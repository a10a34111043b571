"""Imported releases of this installation: where they lie, which codes are in use, what a newer one changes for them."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from adapters.egress import is_loopback_name
from adapters.rxnav import RxNav
from models.record import AnyEntry
from models.terminology import vocabulary
from models.terminology.conditions import dotted, dotted9
from models.terminology.ndc import ndc11
from models.terminology.ndc_answers import NdcAnswer, NdcAnswers
from models.terminology.releases.base import SYSTEM_OF, Manifest, ReleaseError
from models.terminology.releases.changes import Report, report
from models.terminology.releases.shelf import Shelf, Version, chosen
from models.terminology.systems import CVX, ICD9CM, ICD10CM, NDC, canonical_system
from models.terminology.vaccines import cvx_of

FOLDER = "terminology"
Codes = dict[tuple[str, str], int]
"""(canonical system, code) -> in how many entries or rows."""


def shelf(home: Path) -> Shelf:
    """The releases imported below a home folder."""
    return Shelf(home / FOLDER)


def use_imported(home: Path) -> None:
    """Let this process read by what was imported, as it stands now. Raises ReleaseError for a damaged index."""
    vocabulary.use(vocabulary.Vocabulary.at(home / FOLDER))


def codes_of(entries: Iterable[AnyEntry]) -> Codes:
    """The codes that entries carry or are taken to mean, each once an entry."""
    found: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        found.update(set(_codings(msgspec.to_builtins(entry))))
    return dict(found)


def _codings(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        if isinstance(value.get("code"), str) and isinstance(value.get("system"), str):
            yield value["system"], value["code"]
        for inner in value.values():
            yield from _codings(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _codings(inner)


def codes_of_csv(data: bytes, name: str) -> Codes:
    """The codes of a CSV with the columns system and code. Raises ReleaseError."""
    try:
        rows = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        columns = {(title or "").strip().lower(): title for title in rows.fieldnames or ()}
        if not {"system", "code"} <= columns.keys():
            raise ReleaseError("missing_column", f"{name}: the columns system and code are needed")
        found: Counter[tuple[str, str]] = Counter()
        for row in rows:
            system, code = (row[columns["system"]] or "").strip(), (row[columns["code"]] or "").strip()
            if code:
                found[canonical_system(system), code] += 1
    except (UnicodeDecodeError, csv.Error):
        raise ReleaseError("invalid_row", f"{name}: not a CSV in UTF-8") from None
    return dict(found)


def in_use_of(manifest: Manifest, codes: Codes) -> dict[str, int]:
    """Of the codes in use those that a release speaks of, as it writes them."""
    if manifest.subject:
        return {f"{system}|{code}": count for (system, code), count in codes.items()}
    wanted = SYSTEM_OF[manifest.kind]
    found: Counter[str] = Counter()
    for (system, code), count in codes.items():
        if system == wanted:
            found[_written(system, code)] += count
        elif system == NDC and manifest.kind == "rxnorm" and ndc11(code):
            found[ndc11(code)] += count
    return dict(found)


def _written(system: str, code: str) -> str:
    if system == ICD10CM:
        return dotted(code)
    if system == ICD9CM:
        return dotted9(code)
    return cvx_of(code) if system == CVX else code


def ndcs_to_ask(home: Path, codes: Codes, today: str, days: int) -> tuple[list[str], int]:
    """The drug codes in use that neither an imported RxNorm nor a fresh answer of RxNav explains; and how many are in use."""
    used = sorted({ndc11(code) for system, code in codes if system == NDC and ndc11(code)})
    current = shelf(home).current("rxnorm")
    index = shelf(home).index(current.path) if current else None
    unknown = [code for code in used if index is None or not index.links("ndc", code)]
    return NdcAnswers(home / FOLDER / vocabulary.ANSWERS).due(unknown, today, days), len(used)


async def ask_rxnav(home: Path, base: str, codes: list[str], today: str) -> tuple[list[NdcAnswer], int]:
    """Ask RxNav for codes and keep its answers; how many could not be asked. http is spoken on this machine only.

    Raises ConfigurationError for an address that may not be called.
    """
    local = urlsplit(base).scheme == "http" and is_loopback_name(urlsplit(base).hostname or "")
    kept = NdcAnswers(home / FOLDER / vocabulary.ANSWERS)
    async with RxNav(base, allow_loopback=local) as client:
        answers, failed = await client.ndcs(codes, today)
    for answer in answers:
        kept.put(answer)
    return answers, failed


def compared(shelf: Shelf, old: Version, new: Version, codes: Codes | None) -> Report:
    """What changes from one version to the other: for `codes`, or for all (None)."""
    used = None if codes is None else in_use_of(new.manifest, codes)
    return report(shelf.index(old.path), shelf.index(new.path), used)


def before(shelf: Shelf, version: Version, begins: str = "") -> Version | None:
    """The version that `version` would take the place of: the one in force on its first day."""
    manifest = version.manifest
    others = [
        v
        for v in shelf.versions(manifest.kind, manifest.subject)
        if v.path != version.path and v.manifest.subject == manifest.subject
    ]
    return chosen(others, begins or manifest.effective_from)


def row_of(version: Version) -> dict[str, Any]:
    """A version as JSON says it."""
    manifest = version.manifest.to_dict()
    in_force = version.in_force.begins if version.in_force else None
    return {"name": version.manifest.name, "in_force_from": in_force, **manifest}

"""LOINC: Loinc.csv of the release (or LoincTableCore.csv), and MapTo.csv for what replaces a deprecated code.

Columns: LOINC Users' Guide, appendix A. STATUS is ACTIVE, TRIAL, DISCOURAGED or DEPRECATED. Old releases hold MAP_TO in the main
table. The file does not say its version: the newest VersionLastChanged in it is the release, unless its name says (Loinc_2.81).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress

from models.terminology.releases.archive import Part, head, lines
from models.terminology.releases.base import About, Entry, Item, Link, ReleaseError, Skipped, Status, Term

_STATUS: dict[str, Status] = {
    "ACTIVE": "active",
    "TRIAL": "trial",
    "DISCOURAGED": "discouraged",
    "DEPRECATED": "inactive",
}
_CODE = re.compile(r"\d{1,8}-\d")
_VERSION = re.compile(r"loinc[_-]?(?:table[_-]?)?v?(\d\.\d{1,2})", re.I)
NEEDED = ("LOINC_NUM", "COMPONENT", "STATUS", "LONG_COMMON_NAME")


def parts(found: list[Part]) -> list[Part]:
    """The main table (the full one before its core) and MapTo.csv."""
    tables = [p for p in found if p.base in ("loinc.csv", "loinctablecore.csv") or _is_main(p)]
    tables.sort(key=lambda p: (p.base != "loinc.csv", p.path))
    maps = [p for p in found if p.base in ("mapto.csv", "map_to.csv")]
    return [*tables[:1], *maps[:1]] if tables else []


def _is_main(part: Part) -> bool:
    if not part.base.endswith(".csv"):
        return False
    first = head(part).partition("\n")[0]
    return "LOINC_NUM" in first and "STATUS" in first and "COMPONENT" in first


def read(used: list[Part], label: str) -> Iterator[Item]:
    """Concepts, wordings, replacements; panels' answers are not read."""
    newest: tuple[int, ...] = ()
    for _, row in rows(used[0], NEEDED):
        code, status = row["LOINC_NUM"].strip(), _STATUS.get(row["STATUS"].strip().upper())
        if not _CODE.fullmatch(code):
            yield Skipped(reason="not a LOINC code")
            continue
        if status is None:
            yield Skipped(reason="unknown status")
            continue
        name = row["LONG_COMMON_NAME"].strip() or row["COMPONENT"].strip()
        yield Entry(code=code, display=name, status=status, kind=row.get("CLASS", "").strip())
        if status != "inactive":
            for column in ("SHORTNAME", "DisplayName", "CONSUMER_NAME"):
                if row.get(column, "").strip():
                    yield Term(code=code, words=row[column])
        with suppress(ValueError):
            newest = max(newest, tuple(int(n) for n in row.get("VersionLastChanged", "").strip().split(".")))
        for target in re.findall(_CODE, row.get("MAP_TO", "")):
            yield Link(kind="replaced_by", code=code, target=target, note="MAP_TO")
    for part in used[1:]:
        for _, row in rows(part, ("LOINC", "MAP_TO")):
            if _CODE.fullmatch(row["LOINC"].strip()) and _CODE.fullmatch(row["MAP_TO"].strip()):
                yield Link(kind="replaced_by", code=row["LOINC"].strip(), target=row["MAP_TO"].strip(), note="MAP_TO")
    named = _VERSION.search(label) or next((m for p in used if (m := _VERSION.search(p.name))), None)
    version = named[1] if named else f"{newest[0]}.{newest[1]:02d}" if len(newest) > 1 else ""
    yield About(kind="loinc", version=version, title="LOINC")


def rows(part: Part, needed: Iterable[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells by column of a CSV with a header. Raises `missing_column`, `truncated`, `invalid_row`."""
    reader = csv.reader(lines(part), strict=True)
    header: list[str] = []
    held: tuple[int, list[str]] | None = None
    try:
        for cells in reader:
            if not header:
                header = [cell.strip().strip("'") for cell in cells]
                missing = [column for column in needed if column not in header]
                if missing:
                    raise ReleaseError("missing_column", f"{part.name}: the column {', '.join(missing)} is missing")
                continue
            if held is not None:
                yield _row(part, header, *held, last=False)
            held = (reader.line_num, cells) if cells else held and None
    except csv.Error as error:
        code = "truncated" if "unexpected end" in str(error) else "invalid_row"
        raise ReleaseError(code, f"{part.name} line {reader.line_num}: {error}") from None
    if not header:
        raise ReleaseError("empty_source", f"{part.name}: the file is empty")
    if held is not None:
        yield _row(part, header, *held, last=True)


def _row(part: Part, header: list[str], number: int, cells: list[str], *, last: bool) -> tuple[int, dict[str, str]]:
    if len(cells) != len(header):
        code = "truncated" if last and len(cells) < len(header) else "invalid_row"
        raise ReleaseError(code, f"{part.name} line {number}: {len(header)} columns are expected, {len(cells)} found")
    return number, dict(zip(header, cells, strict=True))

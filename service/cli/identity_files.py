"""`identity match`: files of people in, a file of pairs out."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models.identity import Matches, match
from models.identity.tables import Table, TableError, read
from service.cli.output import CommandError

COLUMNS = ("file_a", "id_a", "line_a", "file_b", "id_b", "line_b", "decision", "score", "weight", "rules", "reason")
"""`score`: the model's probability, 0 to 1, before any rule; `weight`: its log2 odds; `rules`: codes of the rules that held."""
NOT_COMPARED = "not_compared"
ASIDE = {
    "too_few_fields": "fewer fields than the header",
    "too_many_fields": "more fields than the header",
    "too_little_to_compare": "no name or number, or nothing beside it",
}


@dataclass(frozen=True)
class Linked:
    """What was read, found and written."""

    tables: list[Table]
    found: Matches
    document: dict[str, Any]


def link(inputs: Sequence[Path], out: Path, *, within: bool, max_bytes: int) -> Linked:
    """Read one or two files, match, write the pairs. Raises CommandError."""
    if len(inputs) > 2:
        raise CommandError("usage", "--in is given once (who is who within) or twice (across)")
    for file in inputs:
        if not file.is_file():
            raise CommandError("file_not_found", f"no such file: {file}", file=str(file))
        if out.exists() and out.samefile(file):
            raise CommandError("same_file", "--out would overwrite an input", file=str(out))
    if len(inputs) == 2 and inputs[0].samefile(inputs[1]):
        raise CommandError("same_file", "both --in are one file; give it once to look within", file=str(inputs[0]))
    if not out.parent.is_dir():
        raise CommandError("file_not_found", f"no such folder: {out.parent}", file=str(out))
    names = [f.name for f in inputs]
    if len(set(names)) < len(names):
        names = [str(f) for f in inputs]
    tables = [_table(file, name, max_bytes) for file, name in zip(inputs, names, strict=True)]
    first, *rest = (t.people for t in tables)
    across = bool(rest) and not within
    found = match(first, rest[0]) if across else match([p for t in tables for p in t.people])
    _write(out, tables, found)
    counts = Counter(p.decision for p in found.pairs)
    scope = "pairs across the two files only" if across else "pairs within the file"
    if rest and within:
        scope = "pairs across the files and within each"
    document = {
        "files": [_account(t) for t in tables],
        "scope": scope,
        "decisions": {d: counts[d] for d in ("match", "review", "no_match")},
        "groups": len(found.groups),
        "out": str(out),
    }
    return Linked(tables, found, document)


def _table(file: Path, name: str, max_bytes: int) -> Table:
    if file.stat().st_size > max_bytes:
        raise CommandError("too_large", f"{file} has more than {max_bytes // 1_000_000} MB (--max-mb)", file=str(file))
    try:
        return read(file.read_bytes(), name, today=datetime.now(UTC).date())
    except OSError:
        raise CommandError("file_unreadable", f"{file} cannot be read", file=str(file)) from None
    except TableError as error:
        raise CommandError(error.code, str(error), file=str(file)) from None


def _account(table: Table) -> dict[str, Any]:
    """rows = compared + set_aside."""
    return {
        "file": table.name,
        "encoding": table.encoding,
        "delimiter": table.delimiter,
        "columns": table.columns,
        "unused_columns": list(table.unused),
        "rows": table.rows,
        "compared": len(table.people),
        "set_aside": [{"line": r.line, "reason": r.reason} for r in table.set_aside],
        "not_believed": table.remarks,
    }


def _write(out: Path, tables: Sequence[Table], found: Matches) -> None:
    """All of it or nothing: written beside, then renamed."""
    by_name = {t.name: t for t in tables}
    beside = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with beside.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for p in found.pairs:
                sides = [c for source, key in (p.left, p.right) for c in (source, by_name[source].ids[key], int(key))]
                score, weight = f"{p.probability:.6f}", f"{p.weight:.2f}"
                writer.writerow([*sides, p.decision, score, weight, " ".join(p.codes), p.reason])
            for table in tables:
                for row in table.set_aside:
                    writer.writerow(
                        [table.name, row.id, row.line, "", "", "", NOT_COMPARED, "", "", row.reason, ASIDE[row.reason]]
                    )
        beside.replace(out)
    except OSError:
        beside.unlink(missing_ok=True)
        raise CommandError("file_unreadable", f"{out} cannot be written", file=str(out)) from None

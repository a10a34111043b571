"""Mapping tables: what a code or a wording of a source means, kept by people. CSV, TOML, or a FHIR ConceptMap.

A table has a name and a version; a row is in force from `effective_from` to `effective_to` (both included, either may be
absent). Loading is strict: an unknown column, a confidence above 1, two rows that say different things of the same code at
the same time are errors with a stable code. The format is described in docs/terminology.md.
"""

from __future__ import annotations

import csv
import io
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from models.record import Coding
from models.record.base import Value
from models.terminology.systems import canonical_system
from models.terminology.words import plain

Equivalence = Literal["equal", "wider", "narrower", "inexact", "unmatched"]
"""What the target is to the source: the same, says less, says more, overlaps; `unmatched`: known to have no target."""

CONFIDENCE: dict[str, float] = {"equal": 0.95, "wider": 0.85, "narrower": 0.7, "inexact": 0.6, "unmatched": 0.0}
"""Of a row that gives none. Stated, not measured."""
_CHOICE = 0.5
"""Rows no surer than this may give one code several targets: they are candidates, none of them is used."""
MOST_BYTES = 64_000_000
MOST_ROWS = 500_000
_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?")


class TableError(ValueError):
    """A mapping table cannot be loaded. `code` is stable; the message names line and column, never a cell's words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Row(Value, frozen=True):
    """One decision: this code (or these words) of this system means that."""

    system: Annotated[str, Meta(description="Source system, canonical; empty: any.")] = ""
    code: Annotated[str, Meta(description="Source code; empty: the words decide.")] = ""
    text: Annotated[str, Meta(description="Source wording; beside a code it must fit too.")] = ""
    unit: Annotated[str, Meta(description="Unit of the result, where only it tells two tests apart.")] = ""
    specimen: Annotated[str, Meta(description="Specimen, likewise.")] = ""
    target_system: Annotated[str, Meta(description="System of the target, canonical.")] = ""
    target_code: Annotated[str, Meta(description="The target's code.")] = ""
    display: Annotated[str, Meta(description="The target in words.")] = ""
    equivalence: Annotated[Equivalence, Meta(description="What the target is to the source.")] = "equal"
    confidence: Annotated[float, Meta(ge=0, le=1, description="How sure, 0 to 1.")] = 0.95
    effective_from: Annotated[str, Meta(description="First day in force (YYYY, YYYY-MM or YYYY-MM-DD).")] = ""
    effective_to: Annotated[str, Meta(description="Last day in force.")] = ""
    author: Annotated[str, Meta(description="Who decided.")] = ""
    note: Annotated[str, Meta(description="Why.")] = ""

    @property
    def target(self) -> Coding | None:
        """The target; None for a row that says there is none."""
        if not self.target_code:
            return None
        return Coding(system=self.target_system, code=self.target_code, display=self.display)

    def in_force(self, date: str) -> bool:
        """Whether the row holds on `date` (as precise as known). Without a date: whether it holds to this day."""
        if not date:
            return not self.effective_to
        return _starts(self.effective_from) <= _ends(date) and _starts(date) <= _ends(self.effective_to)


def _starts(date: str) -> str:
    return date[:10] or "0000"


def _ends(date: str) -> str:
    return (date[:10] or "9999") + "~"  # sorts after everything the date begins with


COLUMNS = frozenset(Row.__struct_fields__)
Key = tuple[str, str]


class MappingTable:
    """A named, versioned table of rows, asked by code or by words."""

    def __init__(self, name: str, rows: Iterable[Row], version: str = "") -> None:
        self.name, self.version, self.rows = name, version, tuple(rows)
        self._by_code: dict[Key, list[Row]] = {}
        self._by_text: dict[str, list[Row]] = {}
        for row in self.rows:
            if row.code:
                self._by_code.setdefault((row.system, row.code), []).append(row)
            else:
                self._by_text.setdefault(plain(row.text), []).append(row)
        for rows_of_key in (*self._by_code.values(), *self._by_text.values()):
            _refuse_contradictions(rows_of_key)

    @property
    def title(self) -> str:
        """Name and version, as stored beside a mapping."""
        return f"{self.name}@{self.version}" if self.version else self.name

    @cached_property
    def dated(self) -> bool:
        """Whether the date of an entry can change what the table says."""
        return any(row.effective_from or row.effective_to for row in self.rows)

    @property
    def by_words(self) -> bool:
        """Whether words can decide."""
        return bool(self._by_text) or any(row.text for row in self.rows)

    def find(
        self, coding: Coding, text: str = "", unit: str = "", specimen: str = "", date: str = ""
    ) -> tuple[Row, ...]:
        """The rows in force for a coding that say most about it; several are a choice, unknown which."""
        rows = [*self._by_code.get((coding.system, coding.code), ()), *self._by_code.get(("", coding.code), ())]
        return _best(rows, text or coding.display, unit, specimen, date) if coding.code else ()

    def find_text(self, text: str, unit: str = "", specimen: str = "", date: str = "") -> tuple[Row, ...]:
        """The rows in force for a wording without a code that the table knows."""
        return _best(self._by_text.get(plain(text), ()), text, unit, specimen, date) if self._by_text else ()


def _best(rows: Iterable[Row], text: str, unit: str, specimen: str, date: str) -> tuple[Row, ...]:
    best: list[Row] = []
    rank: tuple[int, str] = (-1, "")
    for row in rows:
        wanted = ((row.text, text), (row.unit, unit), (row.specimen, specimen))
        if not row.in_force(date) or any(w and plain(w) != plain(given) for w, given in wanted):
            continue
        place = (2 * sum(bool(w) for w, _ in wanted) + bool(row.system), row.effective_from)
        if place > rank:
            best, rank = [row], place
        elif place == rank:
            best.append(row)
    return tuple(best)


def _refuse_contradictions(rows: list[Row]) -> None:
    for n, row in enumerate(rows):
        for other in rows[n + 1 :]:
            same = (row.text, row.unit, row.specimen, row.effective_from) == (
                other.text,
                other.unit,
                other.specimen,
                other.effective_from,
            )
            differs = (row.target_system, row.target_code) != (other.target_system, other.target_code)
            sure = min(row.confidence, other.confidence) > _CHOICE
            if same and differs and sure:
                raise TableError(
                    "contradicting_rows", f"two rows give {row.system or 'any system'}|{row.code} different targets"
                )


def load_table(path: Path, name: str = "") -> MappingTable:
    """Read a table by the kind its name says: .csv, .tsv, .toml, .json (ConceptMap). Raises TableError."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise TableError("table_too_large", f"{path.name}: more than {MOST_BYTES // 1_000_000} MB")
        data = path.read_bytes()
    except FileNotFoundError:
        raise TableError("table_not_found", f"no such mapping table: {path.name}") from None
    except OSError as error:
        raise TableError("table_unreadable", f"{path.name}: {error.strerror}") from None
    return parse_table(data, path.suffix.lower(), name or path.stem, path.name)


def parse_table(data: bytes, kind: str, name: str, label: str = "") -> MappingTable:
    """A table from bytes; `kind` is .csv, .tsv, .toml or .json. Raises TableError."""
    label = label or name
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TableError("table_not_utf8", f"{label}: not UTF-8 at byte {error.start}") from None
    if kind in (".csv", ".tsv"):
        return MappingTable(name, _limited(_csv_rows(text, "\t" if kind == ".tsv" else ",", label), label))
    if kind == ".toml":
        return _toml_table(text, name, label)
    if kind == ".json":
        return _concept_map(text, name, label)
    raise TableError("unknown_table_format", f"{label}: .csv, .tsv, .toml or .json is expected")


def _limited(rows: Iterator[Row], label: str) -> list[Row]:
    found = []
    for row in rows:
        found.append(row)
        if len(found) > MOST_ROWS:
            raise TableError("table_too_large", f"{label}: more than {MOST_ROWS} rows")
    return found


def _csv_rows(text: str, delimiter: str, label: str) -> Iterator[Row]:
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [cell.strip().lower() for cell in next(lines, [])]
        _check_columns(header, label)
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) > len(header):
                raise TableError("invalid_row", f"{label} line {lines.line_num}: more cells than columns")
            bare = map(unshielded, cells)
            yield row_of(dict(zip(header, bare, strict=False)), f"{label} line {lines.line_num}")
    except csv.Error as error:
        raise TableError("invalid_csv", f"{label} line {lines.line_num}: {error}") from None


_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def shielded(cell: str) -> str:
    """A cell that a spreadsheet shows as words: one that begins like a formula gets an apostrophe (OWASP, CSV injection)."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def unshielded(cell: str) -> str:
    """The cell that `shielded` made safe."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _check_columns(header: Iterable[str], label: str) -> None:
    names = list(header)
    unknown = sorted(set(names) - COLUMNS)
    if unknown:
        raise TableError(
            "unknown_column",
            f"{label}: unknown column {', '.join(u or '(empty)' for u in unknown)}; known are {', '.join(sorted(COLUMNS))}",
        )
    if len(names) != len(set(names)):
        raise TableError("unknown_column", f"{label}: a column stands there twice")
    if "target_code" not in names or not {"code", "text"} & set(names):
        raise TableError("missing_column", f"{label}: target_code and one of code, text are needed")


def row_of(cells: Mapping[str, Any], where: str) -> Row:
    """One row from cells by column name; raises TableError naming `where` and the column."""
    unknown = sorted(set(cells) - COLUMNS)
    if unknown:
        raise TableError("unknown_column", f"{where}: unknown column {', '.join(unknown)}")
    given = {name: str(value).strip() for name, value in cells.items() if value is not None and str(value).strip()}
    if not given.get("code") and not given.get("text"):
        raise TableError("invalid_row", f"{where}: neither code nor text")
    equivalence = given.get("equivalence", "equal" if given.get("target_code") else "unmatched").lower()
    equivalence = "equal" if equivalence in ("equivalent", "=") else equivalence
    if equivalence not in CONFIDENCE:
        raise TableError("invalid_row", f"{where}: equivalence must be one of {', '.join(CONFIDENCE)}")
    if bool(given.get("target_code")) != (equivalence != "unmatched"):
        raise TableError("invalid_row", f"{where}: a target_code, or the equivalence unmatched, and not both")
    if given.get("target_code") and not given.get("target_system"):
        raise TableError("invalid_row", f"{where}: target_system is missing")
    for column in ("effective_from", "effective_to"):
        if given.get(column) and not _DATE.fullmatch(given[column]):
            raise TableError("invalid_row", f"{where}: {column} must be YYYY, YYYY-MM or YYYY-MM-DD")
    if given.get("effective_from") and _starts(given["effective_from"]) > _ends(given.get("effective_to", "")):
        raise TableError("invalid_row", f"{where}: effective_to lies before effective_from")
    try:
        confidence = float(given.pop("confidence", CONFIDENCE[equivalence]))
    except ValueError:
        raise TableError("invalid_row", f"{where}: confidence must be a number") from None
    if not 0 <= confidence <= 1:
        raise TableError("invalid_row", f"{where}: confidence must lie between 0 and 1")
    for column in ("system", "target_system"):
        if column in given:
            given[column] = canonical_system(given[column])
    given["equivalence"] = equivalence
    return Row(confidence=confidence, **given)  # type: ignore[arg-type]  # checked above


def rows_of(cells: Iterable[Any], label: str) -> list[Row]:
    """Rows from objects (a site file's, a TOML table's); raises TableError."""
    found = []
    for n, item in enumerate(cells, 1):
        if not isinstance(item, Mapping):
            raise TableError("invalid_row", f"{label} row {n}: a table of columns is expected")
        found.append(row_of(item, f"{label} row {n}"))
    return found


def _toml_table(text: str, name: str, label: str) -> MappingTable:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TableError("invalid_toml", f"{label}: {error}") from None
    unknown = sorted(set(data) - {"name", "version", "row"})
    if unknown or not isinstance(data.get("row"), list):
        raise TableError(
            "unknown_column" if unknown else "invalid_row", f"{label}: name, version and [[row]] are expected"
        )
    return MappingTable(str(data.get("name", name)), rows_of(data["row"], label), version=str(data.get("version", "")))


_R4 = {
    "equal": "equal",
    "equivalent": "equal",
    "wider": "wider",
    "subsumes": "wider",
    "narrower": "narrower",
    "specializes": "narrower",
    "inexact": "inexact",
    "relatedto": "inexact",
    "unmatched": "unmatched",
    "disjoint": "unmatched",
    "source-is-narrower-than-target": "wider",
    "source-is-broader-than-target": "narrower",
    "related-to": "inexact",
    "not-related-to": "unmatched",
}
"""ConceptMap equivalence (R4) and relationship (R5) in our words. R4's `wider`: the target is wider than the source."""


def _concept_map(text: str, name: str, label: str) -> MappingTable:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise TableError("invalid_json", f"{label}: not JSON") from None
    if not isinstance(data, dict) or data.get("resourceType") != "ConceptMap":
        raise TableError("not_a_concept_map", f"{label}: a FHIR ConceptMap is expected")
    rows: list[Row] = []
    for g, group in enumerate(_list(data, "group", label)):
        for e, element in enumerate(_list(group, "element", label)):
            where = f"{label} group[{g}].element[{e}]"
            source = {"system": group.get("source", ""), "code": element.get("code", "")}
            targets = _list(element, "target", label)
            if element.get("noMap") is True:
                targets = [{"equivalence": "unmatched"}]
            made = []
            for target in targets:
                said = str(target.get("equivalence") or target.get("relationship") or "equivalent")
                if said not in _R4:
                    raise TableError("invalid_row", f"{where}: unknown equivalence")
                if target.get("dependsOn") or target.get("product"):
                    raise TableError("unsupported_row", f"{where}: dependsOn and product are not read")
                kind = _R4[said]
                cells = {**source, "equivalence": kind, "note": target.get("comment", "")}
                if kind != "unmatched":
                    cells |= {"target_system": group.get("target", ""), "target_code": target.get("code", "")}
                    cells |= {"display": target.get("display", "")}
                made.append(row_of(cells, where))
            rows.extend(_one_meaning(made))
    return MappingTable(str(data.get("name") or name), rows, version=str(data.get("version", "")))


def _one_meaning(rows: list[Row]) -> list[Row]:
    """A code with several targets means none of them for sure: the surest share their confidence, the others keep theirs."""
    if len(rows) < 2:
        return rows
    best = max(row.confidence for row in rows)
    equals = sum(row.confidence == best for row in rows)
    return [msgspec.structs.replace(row, confidence=min(_CHOICE, round(row.confidence / equals, 3))) for row in rows]


def _list(holder: Any, key: str, label: str) -> list[dict[str, Any]]:
    value = holder.get(key, []) if isinstance(holder, dict) else None
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise TableError("invalid_json", f"{label}: {key} must be a list of objects")
    return value

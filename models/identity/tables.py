"""Files of people: a CSV of any delimiter, encoding and column names -> people, and every row that could not be one."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from datetime import date

from models.identity import births
from models.identity.person import Person, from_fields
from models.identity.words import headers
from models.record.base import Value

DELIMITERS = ",;\t|"
LONGEST_FIELD = 100_000
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_ELSE = ("birth", "ssn", "ssn4", "mrn", "license", "passport", "member", "street", "zip", "phone", "email")
_SEVERAL = frozenset({"phone", "email", "former", "nickname"})
"""Fields of which a person may have several, in as many columns."""
_WHOSE = re.compile(
    r"^(?:patient|pat|pt|person|client|member|subject|legal|current|primary|residential|home|permanent)_"
)


class TableError(ValueError):
    """A file that is no table of people. `code`: empty_file, not_a_table, missing_columns."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Row(Value, frozen=True):
    """A row set aside: its line, its id where it has one, and why (a code, no value of the row)."""

    line: int
    id: str
    reason: str


class Table(Value, frozen=True):
    """What a file held. rows = people + set_aside."""

    name: str
    encoding: str
    delimiter: str
    columns: dict[str, str]
    """Field -> the column (or columns, with `; ` between) that it was read from."""
    unused: tuple[str, ...]
    rows: int
    people: tuple[Person, ...]
    """With the line number as id; two rows may have one id in the file."""
    ids: dict[str, str]
    """Line number -> id in the file."""
    set_aside: tuple[Row, ...]
    remarks: dict[str, int]
    """What was sent and not believed, by kind, with how often: birth_default, birth_implausible, ..."""


def read(data: bytes, name: str, *, today: date) -> Table:
    """Read a file of people; raises TableError where it is none."""
    text, encoding = _decoded(data)
    if not text.strip():
        raise TableError("empty_file", f"{name} is empty")
    first = next(line for line in text.splitlines() if line.strip())
    delimiter = max(DELIMITERS, key=first.count)
    csv.field_size_limit(LONGEST_FIELD)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        titles = next(row for row in reader if any(cell.strip() for cell in row))
        numbered = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise TableError("not_a_table", f"{name} cannot be read as CSV at line {reader.line_num}: {error}") from None
    columns, at = _columns(titles, name)
    bodies = [(line, row) for line, row in numbered if any(cell.strip() for cell in row)]
    if not bodies:
        raise TableError("empty_file", f"{name} has a header and no rows")
    day_first = "birth" in at and births.day_first(
        row[at["birth"][0]] for _, row in bodies if len(row) > at["birth"][0]
    )
    people, aside, ids, remarks = list[Person](), list[Row](), dict[str, str](), Counter[str]()
    for line, row in bodies:
        own = row[at["id"][0]].strip() if "id" in at and len(row) > at["id"][0] else ""
        if len(row) != len(titles):
            aside.append(
                Row(line=line, id=own, reason="too_few_fields" if len(row) < len(titles) else "too_many_fields")
            )
            continue
        fields = {field: ";".join(row[i] for i in places) for field, places in at.items() if field != "id"}
        person = from_fields(fields, source=name, id=f"{line:09d}", today=today, day_first=day_first)
        if person.birth.remark:
            remarks[f"birth_{person.birth.remark}"] += 1
        if fields.get("ssn", "").strip() and not (person.national or person.national4):
            remarks["ssn_not_valid"] += 1
        if not person.comparable:
            aside.append(Row(line=line, id=own, reason="too_little_to_compare"))
            continue
        people.append(person)
        ids[person.id] = own or f"line {line}"
    return Table(
        name=name,
        encoding=encoding,
        delimiter=delimiter,
        columns=columns,
        unused=tuple(t.strip() for i, t in enumerate(titles) if not any(i in places for places in at.values())),
        rows=len(bodies),
        people=tuple(people),
        ids=ids,
        set_aside=tuple(aside),
        remarks=dict(sorted(remarks.items())),
    )


def _decoded(data: bytes) -> tuple[str, str]:
    """The text: as its byte order mark says, else UTF-8, else Windows-1252 as old exports are."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _or_none(data, encoding), encoding
    if b"\x00" in data[:4096]:
        raise TableError("not_a_table", "the file is no text")
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace"), "windows-1252"


def _or_none(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise TableError("not_a_table", f"the file is not the {encoding} that it begins as") from None


def _columns(titles: list[str], name: str) -> tuple[dict[str, str], dict[str, list[int]]]:
    """Field -> title, field -> positions. Of several columns for one field the commonest spelling counts (_SEVERAL: all)."""
    spellings = list(headers())
    found: dict[str, list[tuple[int, int]]] = {}
    for i, title in enumerate(titles):
        if (spelling := _spelling(title)) is not None:
            found.setdefault(headers()[spelling], []).append((spellings.index(spelling), i))
    named = ("family" in found and "given" in found) or "name" in found
    if not named or not any(f in found for f in _ELSE):
        lacking = [] if named else ["a name (given_name and family_name, or name)"]
        if not any(f in found for f in _ELSE):
            lacking.append("something besides it (birth_date, ssn, mrn, address, zip, phone, email)")
        raise TableError(
            "missing_columns",
            f"{name} lacks {' and '.join(lacking)}; it has: {', '.join(t.strip() for t in titles)[:500]}",
        )
    at = {f: [i for _, i in sorted(places)][: None if f in _SEVERAL else 1] for f, places in found.items()}
    return {field: "; ".join(titles[i].strip() for i in places) for field, places in at.items()}, at


def _spelling(title: str) -> str | None:
    """The title as headers.toml has it; None where it is not there."""
    plain = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", title.strip()).lower()).strip("_")
    less = _WHOSE.sub("", plain)
    return next((s for s in (plain, plain.replace("_", ""), less, less.replace("_", "")) if s in headers()), None)

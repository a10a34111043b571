"""A CSV of codes and wordings -> the same CSV with what each row means. Every row stays; a bad one says why.

Reads UTF-8 (with or without BOM), UTF-16 with BOM, else Windows-1252; comma, semicolon, tab or bar between cells. An unclosed
quote costs its own line and no other. Rows are read and written one by one; what a row means is remembered for the same cells,
because files of a hospital's codes repeat.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO, NamedTuple, TextIO, get_args

from models.record import Coding, FlagCode, Mapping
from models.terminology import conditions
from models.terminology.candidates import Candidate
from models.terminology.mapper import Answer, Ask, Domain, Terminology, translate
from models.terminology.ndc import ndc11
from models.terminology.systems import (
    CPT,
    CVX,
    HCPCS,
    ICD9CM,
    ICD10,
    ICD10CM,
    ICD10PCS,
    LOINC,
    NDC,
    RXNORM,
    SNOMED,
    canonical_system,
)
from models.terminology.vaccines import cvx_of, vaccines

READ = ("system", "code", "text", "unit", "specimen", "domain")
ADDED = (
    "target_system",
    "target_code",
    "target_display",
    "method",
    "confidence",
    "candidates",
    "mapped_as",
    "flags",
    "error",
)
DOMAINS: tuple[str, ...] = get_args(Domain)
MOST_CELL = 100_000
"""Characters of a cell we match; longer ones are kept and the row says so."""
MOST_CANDIDATES = 20
"""Candidates told for a row; an ICD-9-CM injury code may have hundreds."""
MOST_LINES = 1_000
"""Physical lines of one record; beyond that a quote was not closed."""
_OF_SYSTEM: dict[str, Domain] = {
    LOINC: "observation",
    ICD10CM: "condition",
    ICD10: "condition",
    ICD9CM: "condition",
    SNOMED: "condition",
    RXNORM: "medication",
    NDC: "medication",
    CVX: "vaccine",
    CPT: "procedure",
    HCPCS: "procedure",
    ICD10PCS: "procedure",
}
_TRIED: tuple[Domain, ...] = ("observation", "condition", "medication", "vaccine", "allergen")


class MapError(ValueError):
    """The file cannot be mapped at all. `code` is stable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Mapped(NamedTuple):
    """The result: how it was encoded, how many rows, by method, how many of them have an error; `text` of a map in memory."""

    encoding: str
    rows: int
    by_method: dict[str, int]
    errors: int
    text: str = ""


class _Record(NamedTuple):
    cells: list[str]
    error: str


def map_csv(data: bytes, terminology: Terminology, domain: Domain | None = None) -> Mapped:
    """Map every row of `data` in memory. Raises MapError where there is no header to read by."""
    out = io.StringIO(newline="")
    return map_stream(io.BytesIO(data), out, terminology, domain)._replace(text=out.getvalue())


def map_stream(source: BinaryIO, out: TextIO, terminology: Terminology, domain: Domain | None = None) -> Mapped:
    """Map every row of a seekable file; `out` is opened with newline="". Raises MapError where there is no header to read by."""
    encoding = _encoding(source)
    text = io.TextIOWrapper(source, encoding=_CODECS[encoding], errors="replace", newline="")
    try:
        return _mapped(_Lines(text), out, terminology, domain, encoding)
    finally:
        text.detach()


def _mapped(lines: _Lines, out: TextIO, terminology: Terminology, domain: Domain | None, encoding: str) -> Mapped:
    first = lines.first()
    if not first:
        raise MapError("empty_file", "the file is empty")
    delimiter = _delimiter(first)
    records = _records(lines, delimiter)
    header = next(records)
    names = [cell.strip().lower() for cell in header.cells]
    if header.error or not {"code", "text"} & set(names):
        raise MapError("no_columns", f"the header needs one of the columns code, text; known are {', '.join(READ)}")
    titles = [f"input_{t.strip()}" if n in ADDED else t for n, t in zip(names, header.cells, strict=True)]
    places = {name: names.index(name) for name in READ if name in names}
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\r\n")  # else a lone CR in a cell is not quoted
    writer.writerow([*titles, *ADDED])
    methods: Counter[str] = Counter()
    known: dict[tuple[str, ...], dict[str, str]] = {}
    rows = errors = 0
    for record in records:
        if not any(cell.strip() for cell in record.cells):
            continue
        rows += 1
        cells, error = list(record.cells), record.error
        if len(cells) > len(titles) and not error:
            error = f"more cells than columns: {json.dumps(cells[len(titles) :], ensure_ascii=False)}"
        if error:
            added = {"error": error}
        else:
            asked = tuple(cells[p] if p < len(cells) else "" for p in places.values())
            found = known.get(asked)
            if found is None:
                found = _row(dict(zip(places, asked, strict=True)), terminology, domain)
                if len(known) < MOST_KNOWN:
                    known[asked] = found
            added = found
        errors += bool(added.get("error"))
        methods[added.get("method") or "error"] += 1
        kept = (cells + [""] * len(titles))[: len(titles)]
        writer.writerow([*kept, *(added.get(name, "") for name in ADDED)])
    return Mapped(encoding, rows, dict(sorted(methods.items())), errors)


MOST_KNOWN = 50_000
"""Different rows whose meaning is remembered within one file."""
_CODECS = {"utf-8": "utf-8-sig", "utf-16": "utf-16", "cp1252": "cp1252"}
_WORKBOOK = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""First bytes of .xlsx and .xls."""


def _encoding(source: BinaryIO) -> str:
    """By its BOM, else UTF-8 where all of it is, else Windows-1252; the file is rewound. Raises MapError for what is no text."""
    start = source.read(4)
    source.seek(0)
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    if start in _WORKBOOK:
        raise MapError("not_csv", "this is a workbook; save it as CSV")
    decoder: codecs.IncrementalDecoder = codecs.getincrementaldecoder("utf-8")()
    found = "utf-8"
    while block := source.read(1 << 20):
        if len(block) > 4 and block.count(0) > len(block) // 4:
            raise MapError("not_csv", "a quarter of it are zero bytes: not a text file, or UTF-16 without BOM")
        try:
            decoder.decode(block)
        except UnicodeDecodeError:
            found = "cp1252"
            decoder = codecs.getincrementaldecoder("cp1252")(errors="replace")
    if found == "utf-8":
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            found = "cp1252"
    source.seek(0)
    return found


def _delimiter(first: str) -> str:
    return max(",;\t|", key=first.count) if any(c in first for c in ",;\t|") else ","


class _Lines:
    """The lines of a file for csv.reader, with those of the record under way; too many of them are an unclosed quote."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines, self._back = iter(lines), deque[str]()
        self.taken: list[str] = []

    def first(self) -> str:
        """The first line with something in it, which stays; '' where there is none."""
        for line in self._lines:
            if line.strip():
                self._back.append(line)
                return line
        return ""

    def put_back(self) -> str:
        """Give back all lines of the record but its first, which is returned."""
        self._back.extendleft(reversed(self.taken[1:]))
        first = self.taken[0]
        self.taken.clear()
        return first

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if len(self.taken) >= MOST_LINES:
            raise csv.Error("unclosed quote")
        line = self._back.popleft() if self._back else next(self._lines)
        self.taken.append(line)
        return line


def _records(lines: _Lines, delimiter: str) -> Iterator[_Record]:
    """Records of the file. A line whose quote is not closed within MOST_LINES is a record by itself, with an error."""
    csv.field_size_limit(max(csv.field_size_limit(), MOST_RECORD))
    while True:
        try:
            for cells in csv.reader(lines, delimiter=delimiter, strict=True):
                lines.taken.clear()
                yield _Record(cells, "")
            return
        except csv.Error as problem:
            bare = lines.put_back().rstrip("\r\n")
            yield _Record(bare.split(delimiter), f"not CSV: {problem}")


MOST_RECORD = 200_000_000
"""Characters of a cell csv.reader takes; _row says which are too long to be matched."""


def _row(cells: dict[str, str], terminology: Terminology, domain: Domain | None) -> dict[str, str]:
    if any(len(value) > MOST_CELL for value in cells.values()):
        return {"error": f"a cell of more than {MOST_CELL} characters"}
    given = {name: " ".join(value.split()) for name, value in cells.items()}
    own = given.get("domain", "").lower()
    if own and own not in DOMAINS:
        return {"error": f"unknown domain; known are {', '.join(DOMAINS)}"}
    code, text = given.get("code", ""), given.get("text", "")
    if not code and not text:
        return {"error": "neither code nor text"}
    coding = Coding(system=canonical_system(given.get("system", "")), code=code)
    coding = _written(coding)
    ask = Ask(
        domain="condition",
        codings=(coding,) if code else (),
        text=text,
        unit=given.get("unit", ""),
        specimen=given.get("specimen", ""),
    )
    chosen: Domain | None = own or domain  # type: ignore[assignment]  # checked above
    chosen = chosen or _inferred(ask)
    return _told(*_answer(terminology, ask, chosen))


def _written(coding: Coding) -> Coding:
    """The code as its system writes it, with the official name where the seeds have it."""
    if coding.system == ICD10CM:
        code = conditions.dotted(coding.code)
        return Coding(system=coding.system, code=code, display=conditions.icd10cm_name(code))
    if coding.system == ICD10:  # WHO's: another system, whose names we do not have
        return Coding(system=coding.system, code=conditions.dotted(coding.code))
    if coding.system == ICD9CM:
        return Coding(system=coding.system, code=conditions.dotted9(coding.code))
    if coding.system == NDC:
        return Coding(system=coding.system, code=ndc11(coding.code) or coding.code)
    if coding.system == CVX:
        known = vaccines().get(cvx_of(coding.code))
        return Coding(system=CVX, code=cvx_of(coding.code), display=known.name if known else "")
    return coding


def _inferred(ask: Ask) -> Domain | None:
    for coding in ask.codings:
        if coding.system == NDC and translate(coding, domain="vaccine")[0].target is not None:
            return "vaccine"
        if coding.system in _OF_SYSTEM:
            return _OF_SYSTEM[coding.system]
    return "observation" if ask.unit or ask.specimen else None


def _answer(terminology: Terminology, ask: Ask, domain: Domain | None) -> tuple[Answer, str]:
    if domain is not None:
        return _modern(terminology.map(_as(ask, domain))), domain
    answers = [(terminology.map(_as(ask, tried)), tried) for tried in _TRIED]
    sure = [(a, d) for a, d in answers if a.mapping.target is not None]
    if sure and len({(a.mapping.target.system, a.mapping.target.code) for a, _ in sure if a.mapping.target}) == 1:
        return sure[0]
    found = [
        Candidate(target=m.target, score=m.confidence, why=m.table or f"as {d}")
        for a, d in answers
        if (m := a.mapping).target is not None
    ]
    found += [c for a, _ in answers for c in a.candidates]
    found += [c for coding in ask.codings if not coding.system for c in _by_shape(coding.code)]
    unique = {(c.target.system, c.target.code): c for c in sorted(found, key=lambda c: c.score)}
    ranked = tuple(sorted(unique.values(), key=lambda c: -c.score))
    flags: tuple[FlagCode, ...] = ("uncertain_mapping",) if ranked else ()
    source = ask.codings[0] if ask.codings else None
    mapping = Mapping(method="unmapped", confidence=0.0, source=source, source_text=ask.text)
    return Answer(mapping=mapping, candidates=ranked, flags=flags), ""


def _as(ask: Ask, domain: Domain) -> Ask:
    return Ask(domain=domain, codings=ask.codings, text=ask.text, unit=ask.unit, specimen=ask.specimen)


def _modern(answer: Answer) -> Answer:
    """ICD-9-CM rows in ICD-10-CM by CMS's equivalence maps: what a user of such codes asks for."""
    target = answer.mapping.target
    if target is None or target.system != ICD9CM or answer.mapping.method != "standard":
        return answer
    mapping, candidates = translate(target)
    if mapping.target is None and not candidates:
        return answer
    if answer.flags:  # the words contradict the code: its translation is no surer
        mapping = Mapping(
            method=mapping.method,
            confidence=min(mapping.confidence, answer.mapping.confidence),
            target=mapping.target,
            source=target,
            table=mapping.table,
        )
    flags = answer.flags if mapping.target else (*answer.flags, "uncertain_mapping")
    return Answer(mapping=mapping, candidates=(*candidates, *answer.candidates), flags=flags)


def _by_shape(code: str) -> Sequence[Candidate]:
    """A code without a system, where its shape and its being known tell: ICD-10-CM."""
    name = conditions.icd10cm_name(code) if 3 <= len(code) <= 8 and code[:1].isalpha() else ""
    if not name:
        return ()
    target = Coding(system=ICD10CM, code=conditions.dotted(code), display=name)
    return (Candidate(target=target, score=0.6, why="a code without a system that ICD-10-CM has"),)


def _told(answer: Answer, domain: str) -> dict[str, str]:
    mapping = answer.mapping
    target = mapping.target or Coding()
    candidates: list[dict[str, str | float]] = [
        {"system": c.target.system, "code": c.target.code, "display": c.target.display, "score": c.score, "why": c.why}
        for c in answer.candidates[:MOST_CANDIDATES]
    ]
    if len(answer.candidates) > MOST_CANDIDATES:
        candidates.append({"left_off": len(answer.candidates) - MOST_CANDIDATES})
    return {
        "target_system": target.system,
        "target_code": target.code,
        "target_display": target.display,
        "method": mapping.method,
        "confidence": f"{mapping.confidence:g}",
        "candidates": json.dumps(candidates, ensure_ascii=False) if candidates else "",
        "mapped_as": domain,
        "flags": " ".join(answer.flags),
    }

"""ICD-10-CM: the order file, the codes file, the tabular list (XML), or several of them together.

Order file (CMS, "Code Descriptions in Tabular Order"): columns 1-5 number, 7-13 code, 15 header (0) or billable (1), 17-76 short
name, 78- long name. Codes file: code, blanks, name; a bare list of codes is read too. The tabular list gives the hierarchy,
inclusion terms, and the 7th characters from which the codes below a category are made.
Since 2026 the second character may be a letter (QA0).
FY2026 is in force from 2025-10-01; its April release from 2026-04-01.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from typing import Any
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from models.terminology.conditions import dotted
from models.terminology.releases.archive import Part, head, lines
from models.terminology.releases.base import About, Entry, Item, Link, ReleaseError, Skipped, Term

CODE = re.compile(r"[A-Z](?:\d[0-9A-Z]|[A-Z]\d)(?:\.?[0-9A-Z]{1,4})?")
_ORDER = re.compile(r"(\d{5}) ([A-Z](?:\d[0-9A-Z]|[A-Z]\d)[0-9A-Z]{0,4}) +([01]) (.{60}) (.+)")
_ORDERLY = re.compile(r"\d{5} [A-Z](?:\d[0-9A-Z]|[A-Z]\d)[0-9A-Z]{0,4} +[01] ")
_LISTED = re.compile(r"([A-Z](?:\d[0-9A-Z]|[A-Z]\d)[0-9A-Z]{0,4})(?:[ \t]+(\S.*))?")
_BLOCK = re.compile(r"[A-Z](?:\d[0-9A-Z]|[A-Z]\d)-[A-Z](?:\d[0-9A-Z]|[A-Z]\d)|\d{1,2}")
_DIED = re.compile(r"S06..[78][DS]")
"""The list's own note at S06: the 7th characters D and S do not apply where the 6th character is 7 or 8 (death)."""
_YEAR = re.compile(r"(20\d\d)")


def parts(found: list[Part]) -> list[Part]:
    """At most one file of each kind. Addenda (what changed since last year) and the indexes are no code lists."""
    used: dict[str, Part] = {}
    for part in sorted(found, key=lambda p: p.path):
        kind = "" if "addend" in part.base else _kind(part)
        if kind:
            used.setdefault(kind, part)
    if "order" in used:
        used.pop("codes", None)
    return [used[kind] for kind in ("order", "codes", "tabular") if kind in used]


def _kind(part: Part) -> str:
    if part.base.endswith(".xml"):
        return "tabular" if "ICD10CM.tabular" in head(part) else ""
    if not part.base.endswith(".txt") or "icd10pcs" in part.base:
        return ""
    sample = [line.rstrip() for line in head(part).splitlines()[:30] if line.strip()]
    if sample and all(_ORDERLY.match(line) for line in sample[:-1] or sample):
        return "order"
    fits = [line for line in sample[:-1] or sample if _LISTED.fullmatch(line) or _BLOCK.fullmatch(line)]
    listed = sum(bool(_LISTED.fullmatch(line)) for line in fits)
    return "codes" if sample and len(fits) >= len(sample) - 1 and listed and "gem" not in part.base else ""


def read(used: list[Part], label: str) -> Iterator[Item]:
    """Names from the order or codes file, else from the tabular list; parents; inclusion terms."""
    entries: dict[str, Entry] = {}
    year = ""
    for part in used:
        kind = _kind(part)
        if kind == "tabular":
            year = yield from _tabular(part, entries)
        else:
            yield from _order(part, entries) if kind == "order" else _codes(part, entries)
    for code, entry in entries.items():
        yield entry
        if parent := _above(code, entries):
            yield Link(kind="parent", code=code, target=parent)
    yield _about(" ".join((label, *(part.name for part in used))), year)


def _above(code: str, entries: dict[str, Entry]) -> str:
    """The nearest shorter code that there is; placeholders (S06.2X7A) have none of their own."""
    bare = code.replace(".", "")
    return next((up for n in range(len(bare) - 1, 2, -1) if (up := dotted(bare[:n])) in entries), "")


def _order(part: Part, entries: dict[str, Entry]) -> Iterator[Item]:
    held = ""
    for number, line in enumerate(lines(part), 1):
        if not line.strip():
            continue
        found = _ORDER.fullmatch(line.rstrip())
        if not found:
            held = held or f"{part.name} line {number}"
            continue
        if held:
            raise ReleaseError("invalid_row", f"{held}: not a row of an ICD-10-CM order file")
        code = dotted(found[2])
        entries[code] = Entry(code=code, display=found[5].strip(), kind="billable" if found[3] == "1" else "header")
        if found[4].strip() != found[5].strip():
            yield Term(code=code, words=found[4].strip())
    if held:
        raise ReleaseError("truncated", f"{held}: the file is cut off")


def _codes(part: Part, entries: dict[str, Entry]) -> Iterator[Item]:
    for number, line in enumerate(lines(part), 1):
        text = line.strip()
        found = _LISTED.fullmatch(text)
        if found:
            code = dotted(found[1])
            entries[code] = Entry(code=code, display=found[2] or "", kind="billable" if found[2] else "")
        elif _BLOCK.fullmatch(text):
            yield Skipped(reason="a chapter or block")
        elif text:
            raise ReleaseError("invalid_row", f"{part.name} line {number}: not a row of an ICD-10-CM codes file")


def _tabular(part: Part, entries: dict[str, Entry]) -> Generator[Item, None, str]:
    """The list as a stream: a category is handled when it ends, then forgotten. Returns the fiscal year it names."""
    year, depth, complete = "", 0, not entries
    try:
        with part.opened() as file:
            for event, node in iterparse(file, events=("start", "end"), forbid_dtd=True):
                if node.tag == "diag":
                    depth += 1 if event == "start" else -1
                    if event == "end" and depth == 0:
                        yield from _category(node, {}, entries, complete)
                        node.clear()
                elif event == "end" and node.tag == "version" and not year:
                    year = (node.text or "").strip()
    except DefusedXmlException:
        raise ReleaseError("unsafe_xml", f"{part.name}: a document type or entities; no release has them") from None
    except ParseError as error:
        code = "truncated" if "no element found" in str(error) or "unclosed" in str(error) else "invalid_xml"
        raise ReleaseError(code, f"{part.name}: {error}") from None
    return year


def _category(node: Any, seventh: dict[str, str], entries: dict[str, Entry], complete: bool) -> Iterator[Item]:
    code, name = (node.findtext("name") or "").strip(), (node.findtext("desc") or "").strip()
    if not CODE.fullmatch(code):
        yield Skipped(reason="a code that is none")
        return
    below = node.findall("diag")
    defined = node.find("sevenChrDef")
    if defined is not None:
        seventh = {(e.get("char") or "").strip(): (e.text or "").strip() for e in defined.findall("extension")}
    known = entries.get(code)
    if known is None or not known.display:
        kind = known.kind if known and known.kind else "header" if below or seventh else "billable"
        entries[code] = Entry(code=code, display=name, kind=kind)
    for terms in (*node.findall("inclusionTerm"), *node.findall("includes")):
        for note in terms.findall("note"):
            if note.text:
                yield Term(code=code, words=note.text)
    if not below:
        for char, words in seventh.items():
            bare = code.replace(".", "").ljust(6, "X") + char
            if _DIED.fullmatch(bare):
                continue
            longer, full = dotted(bare), f"{name}, {words}" if words else name
            known = entries.get(longer)
            if (known is None and complete) or (known is not None and not known.display):
                entries[longer] = Entry(code=longer, display=full, kind="billable")
    for child in below:
        yield from _category(child, seventh, entries, complete)


def _about(text: str, year: str) -> About:
    low = text.lower()
    found = _YEAR.search(low)
    year = found[1] if found else year if _YEAR.fullmatch(year) else ""
    if not year:
        return About(kind="icd-10-cm", title="ICD-10-CM")
    if "april" in low or re.search(r"\bapr\b", low):
        return About(kind="icd-10-cm", version=f"{year}-04", effective_from=f"{year}-04-01", title="ICD-10-CM")
    return About(kind="icd-10-cm", version=year, effective_from=f"{int(year) - 1}-10-01", title="ICD-10-CM")

"""CVX: CDC's list of vaccines administered, as bars between cells (cvx.txt) or XML (CVXCodes).

Cells: code, short description, full name, note, status, non-vaccine, last updated (CDC, IIS code sets). The version is the day of the
newest row (HL7, Using CVX). Codes have at least two digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from models.terminology.releases.archive import Part, head, lines
from models.terminology.releases.base import About, Entry, Item, ReleaseError, Skipped, Status, Term
from models.terminology.vaccines import cvx_of

_STATUS: dict[str, Status] = {
    "active": "active",
    "inactive": "inactive",
    "never active": "inactive",
    "pending": "trial",
    "non-us": "active",
}
"""An inactive CVX is right for vaccines given earlier; it is not to be given any more."""
_ROW = re.compile(r"\s*\d{1,3}\s*\|[^|]+\|[^|]+\|")
_US = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")
_ISO = re.compile(r"(\d{4})[/-](\d{2})[/-](\d{2})")


def parts(found: list[Part]) -> list[Part]:
    """The list, XML first."""
    used = [p for p in found if p.base.endswith(".xml") and "CVXCodes" in head(p)]
    return (used or [p for p in found if p.base.endswith(".txt") and _listed(p)])[:1]


def _listed(part: Part) -> bool:
    sample = [line for line in head(part).splitlines()[:5] if line.strip()]
    return bool(sample) and any(_ROW.match(line) for line in sample[:2]) and sample[0].count("|") in (6, 7)


def read(used: list[Part], label: str) -> Iterator[Item]:
    """Vaccines with both names."""
    newest = ""
    for code, short, full, status, updated in _xml(used[0]) if used[0].base.endswith(".xml") else _bars(used[0]):
        if not code.isdigit():
            yield Skipped(reason="a code that is none")
            continue
        code = cvx_of(code)
        known = _STATUS.get(status.lower())
        if known is None:
            yield Skipped(reason="unknown status")
            continue
        yield Entry(code=code, display=short or full, status=known, kind=status)
        if full and known != "inactive":
            yield Term(code=code, words=full)
        newest = max(newest, _day(updated))
    yield About(kind="cvx", version=newest, effective_from=newest, title="CVX")


def _bars(part: Part) -> Iterator[tuple[str, str, str, str, str]]:
    for number, line in enumerate(lines(part), 1):
        cells = [cell.strip() for cell in line.rstrip("\r\n").split("|")]
        if not line.strip() or (number == 1 and not cells[0].isdigit()):  # an empty line, a header
            continue
        if len(cells) < 7:
            raise ReleaseError("truncated", f"{part.name} line {number}: seven cells are expected, {len(cells)} found")
        yield cells[0], cells[1], cells[2], cells[4], cells[6]


def _xml(part: Part) -> Iterator[tuple[str, str, str, str, str]]:
    try:
        with part.opened() as file:
            for _, node in iterparse(file, events=("end",), forbid_dtd=True):
                if node.tag == "CVXInfo":
                    said = {child.tag.lower(): (child.text or "").strip() for child in node}
                    yield (
                        said.get("cvxcode", ""),
                        said.get("shortdescription", ""),
                        said.get("fullvaccinename", ""),
                        said.get("status", ""),
                        said.get("lastupdated", ""),
                    )
                    node.clear()
    except DefusedXmlException:
        raise ReleaseError("unsafe_xml", f"{part.name}: a document type or entities; no release has them") from None
    except ParseError as error:
        raise ReleaseError("truncated", f"{part.name}: {error}") from None


def newest_of(days: Iterable[str]) -> str:
    """The last of days as CDC writes them (9/15/2025, 2025-09-15), YYYY-MM-DD; '' where none is one."""
    return max((_day(text) for text in days), default="")


def _day(text: str) -> str:
    if found := _ISO.search(text):
        return f"{found[1]}-{found[2]}-{found[3]}"
    if found := _US.search(text):
        return f"{found[3]}-{int(found[1]):02d}-{int(found[2]):02d}"
    return ""

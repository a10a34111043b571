"""CDC's tables of vaccine packages: NDC -> CVX. The lookup crosswalk, Unit of Use or Unit of Sale, as published (bars), or as CSV.

Columns are found by their titles, in the spellings of the years: `Sale NDC11`, `SaleNDC11`, `Use NDC11`, `NDC11`, `CVX Code`,
`CVXCode` (https://www2a.cdc.gov/vaccines/iis/iisstandards/ndc_tableaccess.asp). A package of several vaccines has several rows.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator

from models.terminology.ndc import ndc11
from models.terminology.releases.archive import Part, head, lines
from models.terminology.releases.base import About, Entry, Item, Link, ReleaseError, Skipped
from models.terminology.releases.formats.cvx import newest_of
from models.terminology.vaccines import cvx_of

_NDC = frozenset({"ndc11", "salendc11", "usendc11", "useunitndc11", "saleunitndc11", "outerndc11", "innerndc11"})
_CVX = frozenset({"cvxcode", "cvx"})
_NAME = ("saleproprietaryname", "useunitpropname", "propname", "saleunitpropname", "proprietaryname")
_UPDATED = ("salelastupdate", "uselastupdate", "lastupdateddate", "lastupdated", "useunitlastupdate")


def _titles(line: str) -> tuple[list[str], str]:
    delimiter = max("|,\t", key=line.count)
    cells = next(csv.reader([line.lstrip("\ufeff")], delimiter=delimiter), [])
    return [re.sub(r"[^a-z0-9]", "", cell.lower()) for cell in cells], delimiter


def parts(found: list[Part]) -> list[Part]:
    """All tables that name packages and their CVX."""
    return [p for p in found if p.base.endswith((".txt", ".csv")) and _names_both(p)]


def _names_both(part: Part) -> bool:
    first = head(part).splitlines()[:1]
    titles = _titles(first[0])[0] if first else []
    return bool(_NDC & set(titles)) and bool(_CVX & set(titles))


def read(used: list[Part], label: str) -> Iterator[Item]:
    """A link from each package, of sale and of use, to its CVX; the package's name."""
    updated: list[str] = []
    for part in used:
        rows = iter(lines(part))
        titles, delimiter = _titles(next(rows))
        packages = [n for n, title in enumerate(titles) if title in _NDC]
        cvx = next(n for n, title in enumerate(titles) if title in _CVX)
        name = next((titles.index(t) for t in _NAME if t in titles), None)
        days = [n for n, title in enumerate(titles) if title in _UPDATED]
        for number, cells in enumerate(csv.reader(rows, delimiter=delimiter), 2):
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) < len(titles) - 1:  # CDC's rows may lack the last, empty cell
                raise ReleaseError(
                    "truncated", f"{part.name} line {number}: {len(titles)} cells are expected, {len(cells)} found"
                )
            code = cvx_of(cells[cvx])
            if not code.isdigit():
                yield Skipped(reason="a row without a CVX")
                continue
            updated.extend(cells[n] for n in days if n < len(cells))
            for package in dict.fromkeys(cells[n].strip() for n in packages if n < len(cells)):
                eleven = ndc11(package)
                if eleven:
                    yield Entry(code=eleven, display=cells[name].strip() if name is not None else "")
                    yield Link(kind="cvx", code=eleven, target=code)
                elif package:
                    yield Skipped(reason="an NDC that is none")
    newest = newest_of(updated)
    yield About(kind="cvx-ndc", version=newest, effective_from=newest, title="CDC vaccine NDC crosswalk")

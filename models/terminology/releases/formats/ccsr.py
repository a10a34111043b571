"""CCSR for ICD-10-CM diagnoses: AHRQ's DXCCSR_v2026-1.csv, in which code cells and headers are in single quotes.

One code may have up to six categories; the default ones for inpatient and outpatient data are marked.
v2026-1 covers codes through September 2026: in force from 2025-10-01 (AHRQ HCUP, CCSR user guide).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from models.terminology.conditions import dotted
from models.terminology.releases.archive import Part, head
from models.terminology.releases.base import About, Entry, Item, Link, Skipped
from models.terminology.releases.formats.loinc import rows

_CODE, _NAME = "ICD-10-CM CODE", "ICD-10-CM CODE DESCRIPTION"
_VERSION = re.compile(r"v(20\d\d)-(\d)", re.I)


def parts(found: list[Part]) -> list[Part]:
    """The mapping file."""
    return [p for p in found if p.base.endswith(".csv") and _CODE in head(p)[:400] and "CCSR" in head(p)][:1]


def read(used: list[Part], label: str) -> Iterator[Item]:
    """Codes, and a link to each of their categories; its note says where it is the default."""
    for _, row in rows(used[0], (_CODE, "CCSR CATEGORY 1")):
        code = row[_CODE].strip(" '")
        if not code:
            yield Skipped(reason="a row without a code")
            continue
        code = dotted(code)
        yield Entry(code=code, display=row.get(_NAME, "").strip())
        defaults = {where: row.get(f"Default CCSR CATEGORY {where}", "").strip(" '") for where in ("IP", "OP")}
        for n in range(1, 7):
            category = row.get(f"CCSR CATEGORY {n}", "").strip(" '")
            if category:
                marks = "+".join(where for where, default in defaults.items() if default == category)
                yield Link(kind="ccsr", code=code, target=category, note=f"{n} {marks}".strip())
    found = _VERSION.search(label) or _VERSION.search(used[0].name)
    version = f"{found[1]}-{found[2]}" if found else ""
    start = f"{int(found[1]) - 1}-10-01" if found else ""
    yield About(kind="ccsr", version=version, effective_from=start, title="CCSR for ICD-10-CM")

"""What a quality report consists of: every number with its denominator. JSON in and out without loss.

A share is None where its denominator is 0: nothing was counted, so nothing is known; that is not 0 %.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from models.quality.expectations import Severity
from models.quality.must_support import Need
from models.record import Section

FORMAT = "chartbrief-quality/1"
Scope = Literal["site", "patient", "files"]


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a report; zeros and Nones are written out."""


class Completeness(Part, frozen=True):
    """Of the entries of `kind` that are expected to have the element: how many do. `of` = present + absent."""

    kind: str
    path: str
    need: Need
    when: str
    present: int
    absent: int
    unknown: int
    of: int
    share: float | None


class CodingShares(Part, frozen=True):
    """The standing entries of a section by how they are coded; they sum to `of`. `confidence`: mapped ones by tenths."""

    section: Section
    standard: int
    map_table: int
    text_match: int
    local_code: int
    words_only: int
    nothing: int
    of: int
    standard_share: float | None
    not_standard: int
    confidence: tuple[int, ...]


class Expectation(Part, frozen=True):
    """One rule of lists that should not be empty: patients it applies to = met + broken + unknown."""

    rule: str
    title: str
    why: str
    severity: Severity
    met: int
    broken: int
    unknown: int
    of: int
    share_broken: float | None


class SectionQuality(Part, frozen=True):
    """One section: who has it, what its coverage is, how new its facts are, repeats, units, resources."""

    section: Section
    some: int
    none: int
    unknown: int
    entries: int
    duplicates: int
    coverage: dict[str, int]
    newest: dict[str, int]
    asked: dict[str, int]
    units: dict[str, int]
    resources: dict[str, int]
    lost: int


class Remark(Part, frozen=True):
    """Entries of a section that carry a quality flag, of all its entries."""

    code: str
    section: Section
    entries: int
    of: int
    share: float | None


class Finding(Part, frozen=True):
    """One thing to fix: `affected` of `of` `unit`, what it does, what to do. `examples` in a patient's report only."""

    key: str
    severity: Severity
    title: str
    affected: int
    of: int
    share: float
    unit: str
    effect: str
    fix: str
    examples: tuple[str, ...] = ()


class QualityReport(Part, frozen=True):
    """The quality of a site's, a patient's or some files' data at one moment."""

    format: str
    scope: Scope
    name: str
    made: str
    us_core: str
    patients: int
    findings: tuple[Finding, ...]
    completeness: tuple[Completeness, ...]
    coding: tuple[CodingShares, ...]
    expectations: tuple[Expectation, ...]
    sections: tuple[SectionQuality, ...]
    flags: tuple[Remark, ...]
    conflicts: dict[str, int]
    patients_with_conflicts: int
    resources: dict[str, int]
    quarantine: dict[str, int]
    lost: dict[str, int]
    small_cells: int
    examples: dict[str, tuple[str, ...]] = {}
    unmeasured: int = 0
    """Patients of the site whose record could not be measured; they are in no other number."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready builtins."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found

    @classmethod
    def from_dict(cls, data: Any) -> QualityReport:
        """Read a report; raises msgspec.ValidationError for anything that is none of this format."""
        report = msgspec.convert(data, cls)
        if report.format != FORMAT:
            raise msgspec.ValidationError(f"not {FORMAT}")
        return report

"""The tests that names are matched to: our seed, or the rows of a LOINC release the user imported."""

from __future__ import annotations

from functools import cache
from typing import Annotated

from msgspec import Meta

from models.record.base import Value
from models.terminology.seeds import seed_rows


class LabTerm(Value, frozen=True):
    """One test. An index is built from any iterable of these; a release's importer yields the same."""

    code: Annotated[str, Meta(description="LOINC code.")]
    component: Annotated[str, Meta(description="What is measured, in our words or the release's.")]
    property: Annotated[str, Meta(description="mass_conc, substance_conc, enzyme_conc, number_conc, presence, ...")] = (
        ""
    )
    time: Annotated[str, Meta(description="point or 24 h.")] = "point"
    system: Annotated[str, Meta(description="serum/plasma, blood, urine, ...")] = ""
    scale: Annotated[str, Meta(description="qn, ord, nom or titer.")] = "qn"
    method: Annotated[str, Meta(description="Method, where it distinguishes; several with commas.")] = ""
    challenge: Annotated[str, Meta(description="fasting, trough, 2 h after 75 g, ...")] = ""
    unit: Annotated[str, Meta(description="UCUM code of the canonical unit; empty where there is none.")] = ""
    low: Annotated[float | None, Meta(description="Lowest plausible value, in that unit.")] = None
    high: Annotated[float | None, Meta(description="Highest plausible value.")] = None
    rank: Annotated[int, Meta(ge=1, le=9, description="1 every day ... 5 rare.")] = 5
    names: Annotated[tuple[str, ...], Meta(description="Names met at hospitals and laboratories.")] = ()
    check: Annotated[str, Meta(description="Where code and meaning were compared; `unverified` is never accepted.")] = (
        ""
    )

    def title(self) -> str:
        """The test in our own words."""
        parts = [self.component.replace(" unspecified method", "")]
        if self.challenge:
            parts.append(self.challenge)
        where = f"{self.time} {self.system}" if self.time == "24 h" else self.system
        words = f"{', '.join(parts)} ({self.property.replace('_', ' ')}, {where})"
        return f"{words}, {self.method}" if self.method else words


@cache
def seed_terms() -> tuple[LabTerm, ...]:
    """The seed's tests."""
    return tuple(
        LabTerm(
            code=code,
            component=component,
            property=prop,
            time=time,
            system=system,
            scale=scale,
            method=method,
            challenge=challenge,
            unit=unit,
            low=float(low) if low else None,
            high=float(high) if high else None,
            rank=int(rank),
            check=check,
            names=tuple(names.split(";")) if names else (),
        )
        for (
            code,
            component,
            prop,
            time,
            system,
            scale,
            method,
            challenge,
            unit,
            low,
            high,
            rank,
            check,
            names,
        ) in seed_rows("lab-anchors.tsv")
    )


@cache
def by_code() -> dict[str, LabTerm]:
    """LOINC code -> the seed's test."""
    return {term.code: term for term in seed_terms()}

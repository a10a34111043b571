"""Values we estimate from what was measured: the glomerular filtration rate, where a creatinine came without one.

CKD-EPI 2021 creatinine equation, without race (Inker et al., N Engl J Med 2021;385:1737-1749, doi:10.1056/NEJMoa2102953):
142 x min(Scr/k, 1)^a x max(Scr/k, 1)^-1.200 x 0.9938^age x 1.012 if female; k 0.7 and a -0.241 for women, 0.9 and -0.302 for men;
Scr in mg/dL. For adults (18 and over), by the administrative sex; nothing is estimated where age or sex is not known or told twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from models.record import (
    AnyEntry,
    Coding,
    Concept,
    Demographics,
    Flag,
    Mapping,
    Observation,
    Quantity,
    Result,
    entry_id,
)
from models.terminology.labs.anchors import by_code
from models.terminology.systems import LOINC

CKD_EPI_2021 = "98979-8"
CREATININE = frozenset({"2160-0", "14682-9", "38483-4", "59826-8"})
GFR = frozenset({"69405-9", "77147-7", "94677-2", "70969-1", "50044-7"})
"""Reported filtration rates beside those of the seed."""
_MOLAR = 88.42
"""umol/L of creatinine in 1 mg/dL (113.12 g/mol)."""


def ckd_epi_2021(creatinine: float, age: int, *, female: bool) -> float:
    """mL/min per 1.73 m2 from mg/dL and full years."""
    k, a = (0.7, -0.241) if female else (0.9, -0.302)
    ratio = creatinine / k
    rate: float = 142 * min(ratio, 1.0) ** a * max(ratio, 1.0) ** -1.2 * 0.9938**age
    return rate * 1.012 if female else rate


def filtration_rates(entries: Sequence[AnyEntry]) -> list[AnyEntry]:
    """One estimate for each creatinine of a day on which its site reported no filtration rate; both inputs are cited."""
    person = _person(entries)
    if person is None:
        return []
    who, born, female = person
    reported = {(e.site, (e.date or "")[:10]) for e in entries if isinstance(e, Observation) and _is_gfr(e)}
    made: list[AnyEntry] = []
    for entry in entries:
        day = (entry.date or "")[:10]
        if not isinstance(entry, Result) or len(day) < 10 or (entry.site, day) in reported:
            continue
        creatinine = _creatinine(entry)
        years = _age(born, day)
        if creatinine is None or not 18 <= years <= 120:
            continue
        made.append(_estimate(entry, who, round(ckd_epi_2021(creatinine, years, female=female))))
    return made


def _is_gfr(entry: Observation) -> bool:
    code = entry.concept.code_in(LOINC) or ""
    term = by_code().get(code)
    held = entry.value_display and not entry.has_flag("entered_in_error")
    return bool(held) and (code in GFR or (term is not None and term.property == "area_rate"))


def _creatinine(entry: Result) -> float | None:
    """mg/dL in blood, where it is a plain, plausible, final number."""
    code, value = entry.concept.code_in(LOINC), entry.value
    if code not in CREATININE or value is None or value.canonical_value is None or value.comparator:
        return None
    if entry.has_flag("entered_in_error", "implausible_value") or entry.status in (
        "cancelled",
        "unknown",
        "registered",
    ):
        return None
    number = value.canonical_value if value.canonical_code == "mg/dL" else value.canonical_value / _MOLAR
    return number if number > 0 else None


def _person(entries: Sequence[AnyEntry]) -> tuple[Demographics, str, bool] | None:
    told = [e for e in entries if isinstance(e, Demographics) and not e.has_flag("entered_in_error")]
    births = {e.birth_date for e in told if e.birth_date}
    sexes = {e.gender for e in told if e.gender in ("female", "male")}
    if len(births) != 1 or len(sexes) != 1 or len(birth := births.pop()) != 10:
        return None
    who = min((e for e in told if e.birth_date), key=lambda e: e.id)
    return who, birth, sexes.pop() == "female"


def _age(born: str, day: str) -> int:
    return int(day[:4]) - int(born[:4]) - (day[5:] < born[5:])


def _estimate(creatinine: Result, who: Demographics, rate: int) -> Result:
    target = Coding(system=LOINC, code=CKD_EPI_2021, display="Estimated glomerular filtration rate (CKD-EPI 2021)")
    inputs = (creatinine.id, who.id)
    detail = "CKD-EPI 2021 from creatinine, age and administrative sex (doi:10.1056/NEJMoa2102953)"
    return Result(
        id=entry_id(creatinine.site, "computed", creatinine.id, CKD_EPI_2021),
        origins=tuple(msgspec.structs.replace(o, method="computed") for e in (creatinine, who) for o in e.origins),
        concept=Concept(
            text="eGFR (estimated, CKD-EPI 2021)",
            codings=(target,),
            mapping=Mapping(method="standard", confidence=1.0, target=target, table="computed"),
        ),
        status="final",
        effective=creatinine.date,
        category="laboratory",
        value=Quantity(
            value=float(rate),
            unit="mL/min/1.73m2",
            code="mL/min/{1.73_m2}",
            as_sent=str(rate),
            canonical_value=float(rate),
            canonical_code="mL/min/{1.73_m2}",
        ),
        flags=(
            Flag(code="computed_value", detail=detail, related=inputs),
            Flag(code="estimated_value", detail="CKD-EPI 2021", related=inputs),
        ),
    )

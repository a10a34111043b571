"""The canonical unit of an analyte and the way to it; the limits of what a living patient can have.

Canonical units and limits are the seed's (seeds/lab-anchors.tsv), by LOINC. Between mass and substance an analyte's molar mass
decides, between equivalents and moles its valence. Molar masses: PubChem (https://pubchem.ncbi.nlm.nih.gov), g/mol; urea nitrogen
counts its two nitrogen atoms; triglyceride is reported as triolein; hemoglobin is not converted (monomer and tetramer are both in
use). International units are never converted into mass.
"""

from __future__ import annotations

from functools import lru_cache

from models.record import Quantity
from models.terminology.labs.anchors import LabTerm, by_code
from models.terminology.units import convert, unit_of

MOLAR_MASS: dict[str, float] = {
    "glucose": 180.156, "glucose fasting": 180.156, "estimated average glucose": 180.156, "creatinine": 113.12,
    "urea nitrogen": 28.014, "urea": 60.056, "calcium": 40.078, "calcium ionized": 40.078, "calcium corrected for albumin": 40.078,
    "magnesium": 24.305, "phosphate": 30.974, "bilirubin total": 584.66, "bilirubin direct": 584.66, "bilirubin indirect": 584.66,
    "uric acid": 168.11, "cholesterol total": 386.65, "cholesterol in hdl": 386.65, "cholesterol in ldl": 386.65,
    "cholesterol in ldl calculated": 386.65, "cholesterol in ldl direct": 386.65, "cholesterol in vldl": 386.65,
    "cholesterol non hdl": 386.65, "triglyceride": 885.43, "iron": 55.845, "iron binding capacity total": 55.845,
    "iron binding capacity unsaturated": 55.845, "cobalamin": 1355.37, "folate": 441.4, "25-hydroxyvitamin d3": 400.64,
    "thyroxine": 776.87, "thyroxine free": 776.87, "triiodothyronine": 650.97, "triiodothyronine free": 650.97, "cortisol": 362.46,
    "testosterone": 288.42, "estradiol": 272.38, "progesterone": 314.46, "ammonia": 17.031, "lactate": 90.08,
    "homocysteine": 135.18, "zinc": 65.38, "copper": 63.546, "lead": 207.2, "retinol": 286.45, "digoxin": 780.94,
    "ethanol": 46.07, "lithium": 6.94, "methotrexate": 454.44, "theophylline": 180.16, "phenytoin": 252.27, "salicylate": 138.12,
    "acetaminophen": 151.16, "dehydroepiandrosterone sulfate": 368.49,
}  # fmt: skip
VALENCE: dict[str, int] = {
    "sodium": 1, "potassium": 1, "chloride": 1, "bicarbonate": 1, "carbon dioxide total": 1, "anion gap": 1, "lithium": 1,
    "base excess": 1, "base deficit": 1, "calcium": 2, "calcium ionized": 2, "magnesium": 2, "anion gap 3": 1, "anion gap 4": 1,
}  # fmt: skip
_UNITLESS = frozenset(
    {"{INR}", "{ratio}", "[pH]", "{specific_gravity}", "{index}", "{score}", "{titer}", "{s_co_ratio}"}
)
_A1C, _A1C_IFCC = "4548-4", "59261-8"


def canonical(loinc: str, value: float, code: str) -> tuple[float, str] | None:
    """`value` of unit `code` in the canonical unit of the analyte; None when the analyte, the unit or the way is unknown.

    HbA1c: NGSP % = 0.09148 x IFCC mmol/mol + 2.152 (IFCC/NGSP master equation, https://ngsp.org/ifccngsp.asp).
    """
    said = _linear(loinc, code)
    return None if said is None else (value * said[0] + said[1], said[2])


@lru_cache(maxsize=4096)
def _linear(loinc: str, code: str) -> tuple[float, float, str] | None:
    """(factor, offset, unit) from `code` to the analyte's canonical unit. Every way here is a straight line."""
    term = by_code().get(loinc)
    if term is None or not term.unit:
        return None
    zero, one = _convert(term, 0.0, code), _convert(term, 1.0, code)
    return None if zero is None or one is None else (one - zero, zero, term.unit)


def _convert(term: LabTerm, value: float, code: str) -> float | None:
    to = term.unit
    if term.code == _A1C and code == "mmol/mol":
        return 0.09148 * value + 2.152
    if term.code == _A1C_IFCC and code == "%":
        return (value - 2.152) / 0.09148
    if to in _UNITLESS:
        return value if code in ("", "1", "{ratio}", to) else None
    if to == "{copies}/mL" and code in ("{copies}/mL", "/mL"):
        return value
    if not code:
        return None
    direct = convert(value, code, to)
    if direct is not None:
        return direct
    same = _same(term, code)
    if same:
        return convert(value, same, to)
    return _by_amount(term, value, code)


def _same(term: LabTerm, code: str) -> str:
    """Another spelling of the analyte's own unit. The letter U alone, and IU for an enzyme, mean the analyte's unit."""
    if term.property.startswith("enzyme") and "[IU]" in code:
        return code.replace("[IU]", "U")
    if term.property == "arbitrary_conc":
        for own in ("[IU]", "[arb'U]"):
            if own in term.unit and "[" not in code and "U" in code:
                return code.replace("U", own)
    if "{FEU}" in term.unit or "{DDU}" in term.unit:
        return code + term.unit[-5:] if "{" not in code else ""
    if "{creat}" in term.unit and "{" not in code:
        return code + "{creat}"
    if "{Hb}" in term.unit and code.endswith("/g"):
        return code + "{Hb}"
    if term.unit == "/100{WBCs}" and code in ("%", "1"):
        return term.unit
    return ""


def _by_amount(term: LabTerm, value: float, code: str) -> float | None:
    """Between mass, moles and equivalents of one substance; both sides are the same amount in the same volume (or time)."""
    a, b = unit_of(code), unit_of(term.unit)
    if a is None or b is None:
        return None
    kinds = tuple(unit.kind.partition("/") for unit in (a, b))
    if kinds[0][2] != kinds[1][2]:
        return None
    mass = MOLAR_MASS.get(term.component)
    charge = VALENCE.get(term.component)
    moles = {"mol": 1.0, "g": 1 / mass if mass else None, "eq": 1 / charge if charge else None}
    up, down = moles.get(kinds[0][0]), moles.get(kinds[1][0])
    if up is None or down is None:
        return None
    return value * a.factor * up / (b.factor * down)


def with_canonical(loinc: str, quantity: Quantity) -> Quantity:
    """`quantity` with its canonical value beside what was sent; unchanged where there is none."""
    if quantity.value is None:
        return quantity
    said = canonical(loinc, quantity.value, quantity.code)
    if said is None:
        return quantity
    number, code = said
    return Quantity(
        value=quantity.value,
        unit=quantity.unit,
        code=quantity.code,
        comparator=quantity.comparator,
        as_sent=quantity.as_sent,
        canonical_value=number if code == quantity.code else float(f"{number:.10g}"),
        canonical_code=code,
    )


@lru_cache(maxsize=4096)
def limits(loinc: str) -> tuple[float, float, str] | None:
    """(lowest, highest, unit) of what a living patient can have; wide on purpose: a flag, never a filter."""
    term = by_code().get(loinc)
    if term is None or term.low is None or term.high is None:
        return None
    return term.low, term.high, term.unit

"""Unit spellings -> UCUM codes. A seed of units met in EHRs; unknown units stay as they were sent.

UCUM: https://ucum.org/ucum. Compared case-sensitively first (UCUM is), then by a table of lower-cased print spellings.
"""

from __future__ import annotations

_UCUM = frozenset(
    "% 1 10*3/uL 10*6/uL 10*9/L 10*12/L mm[Hg] kg g mg ug ng pg [lb_av] [oz_av] cm m mm [in_i] [ft_i] kg/m2 Cel [degF] "
    "/min {beats}/min {breaths}/min mg/dL g/dL ug/dL ng/dL ng/mL pg/mL ug/mL mg/L g/L ug/L mmol/L umol/L nmol/L pmol/L "
    "meq/L mEq/L U/L [IU]/L m[IU]/L u[IU]/mL [IU]/mL mL/min/{1.73_m2} mL/min mg/g ug/mg mg/mmol fL pg s min h d wk mo a "
    "{INR} {score} {#} {ratio} /[HPF] /[LPF] /uL mL L mL/h L/min mmol/mol kPa m2 mOsm/kg ng/mL/h {cigarettes}/d "
    "{pack}/a mV ms U kU/L {titer} mg/kg m/s".split()
)
_SPELLINGS = {
    "mmhg": "mm[Hg]",
    "mm hg": "mm[Hg]",
    "lb": "[lb_av]",
    "lbs": "[lb_av]",
    "pound": "[lb_av]",
    "pounds": "[lb_av]",
    "oz": "[oz_av]",
    "in": "[in_i]",
    "inch": "[in_i]",
    "inches": "[in_i]",
    "ft": "[ft_i]",
    "kgs": "kg",
    "kilogram": "kg",
    "kilograms": "kg",
    "grams": "g",
    "centimeters": "cm",
    "c": "Cel",
    "°c": "Cel",
    "deg c": "Cel",
    "degc": "Cel",
    "celsius": "Cel",
    "f": "[degF]",
    "°f": "[degF]",
    "deg f": "[degF]",
    "degf": "[degF]",
    "fahrenheit": "[degF]",
    "bpm": "/min",
    "beats/min": "/min",
    "beats/minute": "/min",
    "breaths/min": "/min",
    "breaths/minute": "/min",
    "per minute": "/min",
    "percent": "%",
    "% of total hemoglobin": "%",
    "mg/dl": "mg/dL",
    "g/dl": "g/dL",
    "ug/dl": "ug/dL",
    "mcg/dl": "ug/dL",
    "ng/dl": "ng/dL",
    "ng/ml": "ng/mL",
    "pg/ml": "pg/mL",
    "mcg/ml": "ug/mL",
    "mg/l": "mg/L",
    "mmol/l": "mmol/L",
    "umol/l": "umol/L",
    "meq/l": "meq/L",
    "u/l": "U/L",
    "iu/l": "[IU]/L",
    "miu/l": "m[IU]/L",
    "uiu/ml": "u[IU]/mL",
    "miu/ml": "m[IU]/mL",
    "ml/min/1.73m2": "mL/min/{1.73_m2}",
    "ml/min/1.73 m2": "mL/min/{1.73_m2}",
    "ml/min/1.73m^2": "mL/min/{1.73_m2}",
    "ml/min/{1.73_m2}": "mL/min/{1.73_m2}",
    "mg/g creat": "mg/g",
    "mcg/mg": "ug/mg",
    "k/ul": "10*3/uL",
    "thou/ul": "10*3/uL",
    "10^3/ul": "10*3/uL",
    "x10e3/ul": "10*3/uL",
    "10*3/ul": "10*3/uL",
    "m/ul": "10*6/uL",
    "10^6/ul": "10*6/uL",
    "x10e6/ul": "10*6/uL",
    "10*6/ul": "10*6/uL",
    "10^9/l": "10*9/L",
    "kg/m2": "kg/m2",
    "kg/m^2": "kg/m2",
    "kg/m²": "kg/m2",
    "fl": "fL",
    "inr": "{INR}",
    "ratio": "{ratio}",
    "score": "{score}",
    "years": "a",
    "year": "a",
    "months": "mo",
    "days": "d",
    "hours": "h",
    "minutes": "min",
    "seconds": "s",
    "mcg": "ug",
}


def ucum_code(unit: str) -> str:
    """The UCUM code for a unit as printed; '' when it is not known."""
    if not unit:
        return ""
    if unit in _UCUM:
        return unit
    return _SPELLINGS.get(unit.strip().lower(), "")


_TO_BASE: dict[str, tuple[str, float, float]] = {
    # unit -> (base, factor, offset): base = value * factor + offset
    "kg": ("kg", 1.0, 0.0),
    "g": ("kg", 0.001, 0.0),
    "[lb_av]": ("kg", 0.45359237, 0.0),
    "[oz_av]": ("kg", 0.028349523125, 0.0),
    "cm": ("cm", 1.0, 0.0),
    "m": ("cm", 100.0, 0.0),
    "mm": ("cm", 0.1, 0.0),
    "[in_i]": ("cm", 2.54, 0.0),
    "[ft_i]": ("cm", 30.48, 0.0),
    "Cel": ("Cel", 1.0, 0.0),
    "[degF]": ("Cel", 5 / 9, -160 / 9),
}


def to_base(value: float, ucum: str) -> tuple[float, str] | None:
    """Body measures in kg, cm or Cel (exact international definitions); None for other units."""
    row = _TO_BASE.get(ucum)
    return (value * row[1] + row[2], row[0]) if row else None

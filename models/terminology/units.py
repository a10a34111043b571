"""Units: print spellings -> UCUM, and conversion to an analyte's canonical unit.

UCUM: https://ucum.org/ucum. Kinds are strict: mass, substance, equivalents, counts, enzyme activity and every arbitrary unit
([IU], [arb'U], index) are kinds of their own, and nothing is converted between kinds except by an analyte's molar mass or valence
(analytes.py). Codes that no table here knows are parsed by ucumvert (imported when first met: 1.5 s); it takes arbitrary units for
pure numbers, so units with a bracketed arbitrary unit or an equivalent are never asked of it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple


class Unit(NamedTuple):
    """What a code measures: base = value * factor + offset, in the base unit of `kind`."""

    kind: str
    factor: float
    offset: float = 0.0


_PREFIX = {"": 1.0, "d": 1e-1, "c": 1e-2, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15, "k": 1e3}
_VOLUME = {
    "L": 1.0,
    "dL": 0.1,
    "mL": 1e-3,
    "uL": 1e-6,
    "nL": 1e-9,
    "fL": 1e-15,
    "cL": 1e-2,
    "m3": 1e3,
    "mm3": 1e-6,
    "cm3": 1e-3,
}
_ARBITRARY = (
    "[IU]", "[arb'U]", "[GPL'U]", "[MPL'U]", "[APL'U]", "[EU]", "[CFU]", "[PFU]", "[beth'U]", "[USP'U]", "[iU]", "[BAU]",
)  # fmt: skip
_COUNTS = {
    "": 1.0, "1": 1.0, "10*3": 1e3, "10*6": 1e6, "10*9": 1e9, "10*12": 1e12, "10*5": 1e5, "10*4": 1e4, "10*2": 1e2,
    "{cells}": 1.0, "{#}": 1.0,
}  # fmt: skip


def _build() -> dict[str, Unit]:
    made: dict[str, Unit] = {}

    def amounts(atom: str, base: str, prefixes: str) -> dict[str, tuple[str, float]]:
        return {f"{p}{atom}": (base, _PREFIX[p]) for p in prefixes.split("|")}

    top = amounts("g", "g", "k||d|m|u|n|p|f") | amounts("mol", "mol", "k||m|u|n|p|f") | amounts("eq", "eq", "|m|u|n")
    top |= amounts("U", "U", "k||m|u|n") | amounts("kat", "kat", "|m|u|n") | amounts("osm", "osm", "|m")
    for unit in _ARBITRARY:
        top |= amounts(unit, unit, "k||m|u")
    for name, (base, factor) in top.items():
        made[name] = Unit(base, factor)
        for volume, litres in _VOLUME.items():
            made[f"{name}/{volume}"] = Unit(f"{base}/L", factor / litres)
            if base == "g":
                for told in ("FEU", "DDU"):
                    made[f"{name}/{volume}{{{told}}}"] = Unit(f"g{{{told}}}/L", factor / litres)
        for time, seconds in (("d", 86400.0), ("(24.h)", 86400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0)):
            made[f"{name}/{time}"] = Unit(f"{base}/s", factor / seconds)
        for tail in ("", "{creat}", "{Hb}", "{Hgb}", "{prot}"):
            for weight in ("kg", "g", "mg", "ug"):
                made[f"{name}/{weight}{tail}"] = Unit(f"{base}/g{tail}", factor / top[weight][1])
            for moles in ("mol", "mmol"):
                made[f"{name}/{moles}{tail}"] = Unit(f"{base}/mol{tail}", factor / top[moles][1])
    for count, times in _COUNTS.items():
        for volume, litres in _VOLUME.items():
            made[f"{count}/{volume}"] = Unit("1/L", times / litres)
    for what in ("copies", "Copies"):
        for volume, litres in _VOLUME.items():
            made[f"{{{what}}}/{volume}"] = Unit("{copies}/L", 1 / litres)
    for volume, litres in _VOLUME.items():
        made[volume] = Unit("L", litres)
        for time, seconds in (("min", 60.0), ("h", 3600.0), ("s", 1.0), ("d", 86400.0)):
            made[f"{volume}/{time}"] = Unit("L/s", litres / seconds)
    made |= {
        "%": Unit("1", 0.01), "1": Unit("1", 1.0), "{ratio}": Unit("1", 1.0), "L/L": Unit("1", 1.0), "10*-3": Unit("1", 0.001),
        "kg": Unit("g", 1e3), "[lb_av]": Unit("g", 453.59237), "[oz_av]": Unit("g", 28.349523125),
        "m": Unit("m", 1.0), "cm": Unit("m", 0.01), "mm": Unit("m", 0.001), "um": Unit("m", 1e-6),
        "[in_i]": Unit("m", 0.0254), "[ft_i]": Unit("m", 0.3048), "m2": Unit("m2", 1.0), "kg/m2": Unit("g/m2", 1e3),
        "Cel": Unit("K", 1.0, 273.15), "[degF]": Unit("K", 5 / 9, 459.67 * 5 / 9), "K": Unit("K", 1.0),
        "mm[Hg]": Unit("Pa", 133.322387415), "kPa": Unit("Pa", 1000.0), "Pa": Unit("Pa", 1.0), "cm[H2O]": Unit("Pa", 98.0665),
        "/min": Unit("1/s", 1 / 60), "{beats}/min": Unit("1/s", 1 / 60), "{breaths}/min": Unit("1/s", 1 / 60),
        "s": Unit("s", 1.0), "ms": Unit("s", 1e-3), "min": Unit("s", 60.0), "h": Unit("s", 3600.0), "d": Unit("s", 86400.0),
        "wk": Unit("s", 604800.0), "mo": Unit("mo", 1.0), "a": Unit("mo", 12.0),
        "mm/h": Unit("m/s", 1e-3 / 3600), "m/s": Unit("m/s", 1.0),
        "mL/min/{1.73_m2}": Unit("L/s/1.73m2", 1e-3 / 60), "mL/s/{1.73_m2}": Unit("L/s/1.73m2", 1e-3),
        "/[HPF]": Unit("/[HPF]", 1.0), "/[LPF]": Unit("/[LPF]", 1.0), "[pH]": Unit("[pH]", 1.0),
        "{INR}": Unit("{INR}", 1.0), "{titer}": Unit("{titer}", 1.0), "{index}": Unit("{index}", 1.0),
        "{score}": Unit("{score}", 1.0), "{#}": Unit("{#}", 1.0), "{specific_gravity}": Unit("{specific_gravity}", 1.0),
        "{s_co_ratio}": Unit("{s_co_ratio}", 1.0), "/100{WBCs}": Unit("/100{WBCs}", 1.0),
        "{Log_IU}/mL": Unit("{Log_IU}/mL", 1.0), "{Log_copies}/mL": Unit("{Log_copies}/mL", 1.0), "mV": Unit("V", 1e-3),
        "ng/mL/h": Unit("g/L/s", 1e-6 / 3600), "{cigarettes}/d": Unit("{cigarettes}/d", 1.0), "{pack}/a": Unit("{pack}/a", 1.0),
    }  # fmt: skip
    return made


_UNITS = _build()

_SPELLINGS = {
    "mmhg": "mm[Hg]", "mm hg": "mm[Hg]", "mm(hg)": "mm[Hg]", "torr": "mm[Hg]",
    "lb": "[lb_av]", "lbs": "[lb_av]", "pound": "[lb_av]", "pounds": "[lb_av]", "#": "{#}", "oz": "[oz_av]", "ounces": "[oz_av]",
    "in": "[in_i]", "inch": "[in_i]", "inches": "[in_i]", "ft": "[ft_i]", "feet": "[ft_i]",
    "kgs": "kg", "kilogram": "kg", "kilograms": "kg", "grams": "g", "gm": "g", "gram": "g", "centimeters": "cm", "cms": "cm",
    "c": "Cel", "°c": "Cel", "deg c": "Cel", "degc": "Cel", "celsius": "Cel", "degrees c": "Cel",
    "f": "[degF]", "°f": "[degF]", "deg f": "[degF]", "degf": "[degF]", "fahrenheit": "[degF]", "degrees f": "[degF]",
    "bpm": "/min", "beats/min": "/min", "beats/minute": "/min", "beats per minute": "/min", "breaths/min": "/min",
    "breaths/minute": "/min", "breaths per minute": "/min", "br/min": "/min", "per minute": "/min", "insp/min": "/min",
    "percent": "%", "pct": "%", "% of total hemoglobin": "%", "% of total hgb": "%", "% of total": "%", "%tot": "%", "vol%": "%",
    "% (calc)": "%", "% binding": "%",
    "mg/g creat": "mg/g", "mg/gcreat": "mg/g", "mg/g cr": "mg/g", "mg/gm": "mg/g", "mcg/mg": "ug/mg", "mcg/mg creat": "ug/mg",
    "ug/mg creat": "ug/mg", "mg/g creatinine": "mg/g", "mcg/mg cr": "ug/mg", "mg/mmol creat": "mg/mmol",
    "ml/min/1.73m2": "mL/min/{1.73_m2}", "ml/min/1.73 m2": "mL/min/{1.73_m2}", "ml/min/1.73m^2": "mL/min/{1.73_m2}",
    "ml/min/1.73": "mL/min/{1.73_m2}", "ml/min/1.73m²": "mL/min/{1.73_m2}", "ml/min/1.73 m²": "mL/min/{1.73_m2}",
    "ml/min/{1.73_m2}": "mL/min/{1.73_m2}", "ml/min/{1.73_m}": "mL/min/{1.73_m2}", "ml/min per 1.73 m2": "mL/min/{1.73_m2}",
    "ml/min/1.73sqm": "mL/min/{1.73_m2}", "ml/min/1.73 sq m": "mL/min/{1.73_m2}", "ml/min/{1.73m2}": "mL/min/{1.73_m2}",
    "kg/m^2": "kg/m2", "kg/m²": "kg/m2", "kg/sq m": "kg/m2",
    "cumm": "/uL", "/cumm": "/uL", "k/cumm": "10*3/uL", "m/cumm": "10*6/uL", "mil/cumm": "10*6/uL",
    "inr": "{INR}", "ratio": "{ratio}", "(calc)": "{ratio}", "score": "{score}", "index": "{index}", "index value": "{index}",
    "iv": "{index}", "ai": "{index}", "titer": "{titer}", "ph": "[pH]", "ph units": "[pH]", "s/co": "{s_co_ratio}",
    "s/co ratio": "{s_co_ratio}", "specific gravity": "{specific_gravity}",
    "years": "a", "year": "a", "yrs": "a", "yr": "a", "months": "mo", "days": "d", "weeks": "wk", "hours": "h", "hrs": "h",
    "hr": "h", "minutes": "min", "mins": "min", "seconds": "s", "sec": "s", "secs": "s",
    "mm/hr": "mm/h", "mm/hour": "mm/h", "mm/1 hr": "mm/h", "mm/1h": "mm/h",
    "hpf": "/[HPF]", "/hpf": "/[HPF]", "/lpf": "/[LPF]", "#/hpf": "/[HPF]", "per hpf": "/[HPF]", "lpf": "/[LPF]", "#/lpf": "/[LPF]", "per lpf": "/[LPF]",
    "/100 wbc": "/100{WBCs}", "/100wbc": "/100{WBCs}", "per 100 wbc": "/100{WBCs}", "/100 wbcs": "/100{WBCs}",
    "nrbc/100 wbc": "/100{WBCs}", "#/100 wbc": "/100{WBCs}",
    "copies/ml": "{copies}/mL", "cp/ml": "{copies}/mL", "copies per ml": "{copies}/mL", "log copies/ml": "{Log_copies}/mL",
    "log10 copies/ml": "{Log_copies}/mL", "log iu/ml": "{Log_IU}/mL", "log10 iu/ml": "{Log_IU}/mL",
    "femtoliters": "fL", "micron3": "fL", "cu mic": "fL", "um3": "fL", "mcm3": "fL", "picograms": "pg", "uug": "pg",
    "ehrlich units": "[EU]/dL", "eu/dl": "[EU]/dL", "e.u./dl": "[EU]/dL", "ehrlich u/dl": "[EU]/dL", "eu": "[EU]/dL",
    "gpl": "[GPL'U]/mL", "gpl u/ml": "[GPL'U]/mL", "gpl'u/ml": "[GPL'U]/mL", "mpl": "[MPL'U]/mL", "mpl u/ml": "[MPL'U]/mL",
    "apl": "[APL'U]/mL", "apl u/ml": "[APL'U]/mL", "mcg": "ug", "μg": "ug", "units/l": "U/L", "unit/l": "U/L", "units/ml": "U/mL",
    "mosm/kg h2o": "mosm/kg", "mosmol/kg": "mosm/kg", "mosm/kg": "mosm/kg", "mos/kg": "mosm/kg", "mosmo/kg": "mosm/kg",
    "u/g hb": "U/g{Hb}", "u/g hgb": "U/g{Hb}", "l/min": "L/min", "lpm": "L/min", "liters/min": "L/min",
    "mg/24 hours": "mg/(24.h)", "antibody index": "{index}", "au/ml": "[arb'U]/mL", "ru/ml": "[arb'U]/mL", "ku/l": "k[IU]/L",
    "ku(a)/l": "k[IU]/L", "kua/l": "k[IU]/L", "mmol/mol hb": "mmol/mol", "ng/ml/hr": "ng/mL/h", "ug/l deq": "ug/L",
}  # fmt: skip
"""Print spellings (lower case) that the rules below do not reach. kU/L is a spelling of allergy laboratories: kilo-IU."""

_RULES = tuple(
    (re.compile(pattern), put)
    for pattern, put in (
        (r"[µμ]|^mc(?=g|l|mol|m3)|(?<=[/ ])mc(?=g|l)", "u"),
        (r"\s*/\s*", "/"),
        (r"^x\s*(?=10)", ""),
        (
            r"^(thousands?|thous?|thou|th|k|10\^3|10e3|10\*3|10\(3\)|10\*\*3|1000)\s*(cells)?/(?=(ul|mm3|ml|cmm))",
            "10*3/",
        ),
        (r"^(millions?|mill|mil|m|10\^6|10e6|10\*6|10\(6\)|10\*\*6)\s*(cells)?/(?=(ul|mm3|cmm))", "10*6/"),
        (r"^(10\^9|10e9|10\*9|10\(9\)|g)/l$", "10*9/l"),
        (r"^(10\^12|10e12|10\*12|10\(12\))/l$", "10*12/l"),
        (r"^(cells?|#|ct|cell)/(?=(ul|mm3|cmm|ml|l)$)", "/"),
        (r"/(mm3|cmm|mm\^3|cu mm)$", "/ul"),
        (r"^(m|u|k)?i\.?u\.?/", r"\1[iu]/"),
        (r"/(24 ?h(r|rs|our|ours)?|day|d)$", "/(24.h)"),
        (r"/hr$", "/h"),
        (r"\s*feu$|\{feu\}$", "{FEU}"),
        (r"\s*ddu$|\{ddu\}$", "{DDU}"),
        (r"^gm?s?(?=/)", "g"),
        (r"^meq(?=/)", "meq"),
        (r"^au(?=/)", "[arb'u]"),
    )
)
_CASE = {
    "l": "L", "dl": "dL", "ml": "mL", "ul": "uL", "nl": "nL", "fl": "fL", "cl": "cL", "u": "U", "mu": "mU", "uu": "uU", "ku": "kU",
    "[iu]": "[IU]", "m[iu]": "m[IU]", "u[iu]": "u[IU]", "k[iu]": "k[IU]", "[arb'u]": "[arb'U]", "pa": "Pa", "kpa": "kPa",
    "[hpf]": "[HPF]", "[lpf]": "[LPF]", "ml{FEU}": "mL{FEU}", "ml{DDU}": "mL{DDU}", "l{FEU}": "L{FEU}", "dl{FEU}": "dL{FEU}",
    "l{DDU}": "L{DDU}", "[ph]": "[pH]",
}  # fmt: skip
"""UCUM's own case of a lower-cased part."""


@lru_cache(maxsize=4096)
def ucum_code(unit: str) -> str:
    """The UCUM code for a unit as printed; '' when it is not known."""
    if not unit:
        return ""
    if unit in _UNITS:
        return unit
    low = " ".join(unit.strip().lower().split())
    if low in _SPELLINGS:
        return _SPELLINGS[low]
    for pattern, put in _RULES:
        low = pattern.sub(put, low)
    if low in _SPELLINGS:
        return _SPELLINGS[low]
    code = "/".join(_CASE.get(part, part) for part in low.split("/"))
    return code if code in _UNITS else ""


_HELD = re.compile(r"\[|\{|eq|(?<![a-zA-Z])U(?![a-z])|kat|osm")
"""What ucumvert takes for a pure number or for a mole: never asked of it."""


@lru_cache(maxsize=1024)
def unit_of(code: str) -> Unit | None:
    """What a UCUM code measures; None for codes that are no UCUM or hold units that cannot be converted."""
    known = _UNITS.get(code)
    if known is not None or not code or len(code) > 40 or _HELD.search(code):
        return known
    return _parsed(code)


def _parsed(code: str) -> Unit | None:
    from ucumvert import PintUcumRegistry  # 1.5 s, and only for units that no table has

    global _registry
    try:
        _registry = _registry or PintUcumRegistry()
        quantity = _registry.from_ucum(code).to_base_units()
        kind = " ".join(f"{name}{power:g}" for name, power in sorted(quantity.dimensionality.items()))
        return Unit(f"ucum {kind}", float(quantity.magnitude)) if kind else None
    except Exception:  # noqa: BLE001 - a parser's many errors all say: no unit that we can convert
        return None


_registry: Any = None


def convert(value: float, code: str, to: str) -> float | None:
    """`value` of unit `code` in unit `to` of the same kind; None when they are of different kinds or unknown."""
    if code == to:
        return value if unit_of(code) is not None else None
    a, b = unit_of(code), unit_of(to)
    if a is None or b is None or a.kind != b.kind:
        return None
    return (value * a.factor + a.offset - b.offset) / b.factor


_BASES = ("kg", "cm", "Cel")


def to_base(value: float, ucum: str) -> tuple[float, str] | None:
    """Body measures in kg, cm or Cel (exact international definitions); None for other units."""
    if ucum not in _BODY:
        return None
    for base in _BASES:
        told = convert(value, ucum, base)
        if told is not None:
            return told, base
    return None


_BODY = frozenset(["kg", "g", "[lb_av]", "[oz_av]", "cm", "m", "mm", "[in_i]", "[ft_i]", "Cel", "[degF]"])

"""What a laboratory or a nurse reads off a body on one day: raw values by measure key."""

from __future__ import annotations

from collections.abc import Callable

from service.practice_ehr.population.body import BETA_BLOCKERS, RENIN, Body, ckd_epi_2021, creatinine_of
from service.practice_ehr.population.catalog import measure


def rounded(key: str, value: float) -> float:
    """A value as a laboratory prints it."""
    decimals = measure(key).decimals
    return round(value, decimals) if decimals else float(round(value))


def laboratory(body: Body, keys: tuple[str, ...]) -> dict[str, float]:
    """Results of these tests, rounded; eGFR always follows from the printed creatinine."""
    values: dict[str, float] = {}
    for key in keys:
        if key == "egfr":
            values[key] = float(round(ckd_epi_2021(values["creatinine"], body.age, body.female)))
        elif key == "ldl":
            values[key] = max(20.0, _friedewald(values))
        else:
            values[key] = rounded(key, _raw(body, key, values))
    return values


def _friedewald(values: dict[str, float]) -> float:
    return float(round(values["cholesterol"] - values["hdl"] - values["triglycerides"] / 5))


def _raw(body: Body, key: str, so_far: dict[str, float]) -> float:
    if key in _DERIVED:
        return _DERIVED[key](body, so_far)
    if key in _STEADY:
        mean, spread = _STEADY[key]
        return body.measured(mean, spread)
    raise KeyError(key)


def _potassium(body: Body) -> float:
    level = 4.2 + max(0.0, 60 - body.gfr) * 0.014
    level += 0.2 if any(d in body.drugs for d in RENIN) else 0.0
    level += 0.3 if "spironolactone_25" in body.drugs else 0.0
    level -= 0.25 if body.drugs & {"furosemide_20", "furosemide_40", "hydrochlorothiazide_25"} else 0.0
    return min(6.4, level + body.potassium_excess)


def _hemoglobin(body: Body) -> float:
    level = body.hemoglobin - max(0.0, 50 - body.gfr) * 0.045
    return level - (2.6 if _lacks_iron(body) else 0.0)


def _lacks_iron(body: Body) -> bool:
    return body.has("iron_deficiency_anemia") and "ferrous_sulfate" not in body.drugs


_STEADY = {
    "sodium": (140.0, 0.012), "chloride": (102.5, 0.015), "calcium": (9.4, 0.02), "protein": (7.1, 0.03),
    "albumin": (4.2, 0.03), "bilirubin": (0.6, 0.25), "alp": (74.0, 0.12), "ast": (23.0, 0.16), "alt": (25.0, 0.2),
    "wbc": (7.0, 0.16), "platelets": (248.0, 0.09), "psa": (1.9, 0.15), "troponin": (9.0, 0.2),
}  # fmt: skip

_DERIVED: dict[str, Callable[[Body, dict[str, float]], float]] = {
    # Estimated average glucose (Nathan et al., Diabetes Care 2008;31:1473); a fasting sample lies somewhat under it.
    "glucose": lambda b, v: b.measured(28.7 * b.a1c - 46.7 - 14, 0.06),
    "creatinine": lambda b, v: creatinine_of(b.measured(b.gfr, 0.03), b.age, b.female),
    "bun": lambda b, v: b.measured(13 + max(0.0, 75 - b.gfr) * 0.42, 0.1),
    "potassium": lambda b, v: b.measured(_potassium(b), 0.025),
    "co2": lambda b, v: b.measured(25.5 - max(0.0, 45 - b.gfr) * 0.12, 0.04),
    "hemoglobin": lambda b, v: b.measured(_hemoglobin(b), 0.025),
    "rbc": lambda b, v: v["hemoglobin"] / (2.55 if _lacks_iron(b) else 2.95),
    "hematocrit": lambda b, v: v["hemoglobin"] * 2.98,
    "mcv": lambda b, v: v["hematocrit"] * 10 / v["rbc"],
    "cholesterol": lambda b, v: b.measured(b.ldl + 48 + 27, 0.04),
    "triglycerides": lambda b, v: b.measured(110 + (b.a1c - 5.3) * 16, 0.14),
    "hdl": lambda b, v: b.measured(52 if b.female else 45, 0.06),
    "a1c": lambda b, v: b.measured(b.a1c, 0.018),
    "ferritin": lambda b, v: b.measured(8.0 if _lacks_iron(b) else 88.0, 0.15),
    "tsh": lambda b, v: b.measured(b.tsh, 0.1),
    "uacr": lambda b, v: b.measured(b.albuminuria, 0.22),
    "inr": lambda b, v: b.measured(b.inr, 0.16 if b.inr > 1.5 else 0.04),
    "ntprobnp": lambda b, v: b.measured(b.ntprobnp * (1 + b.fluid * 0.5), 0.12),
    "fev1_ratio": lambda b, v: b.measured(58 if b.has("copd") else 72 if b.has("asthma") else 80, 0.03),
}


def vital_signs(body: Body) -> dict[str, float]:
    """Vital signs of one visit, rounded; weight carries the water of heart failure."""
    adult = body.age >= 13
    systolic = body.measured(body.systolic, 0.035) if adult else body.measured(88 + body.age * 1.6, 0.04)
    rate = 74.0 if adult else 118 - body.age * 4.0
    rate -= 8 if any(b in body.drugs for b in BETA_BLOCKERS) else 0
    rate += 8 if body.has("atrial_fibrillation") else 0
    values = {
        "systolic": systolic,
        "diastolic": body.measured(44 + 0.27 * systolic, 0.05),
        "heart_rate": body.measured(rate + body.fluid * 4, 0.07),
        "respiratory_rate": body.measured((15 if adult else 28 - body.age) + body.fluid * 1.2, 0.07),
        "temperature": body.measured(36.7, 0.005),
        "spo2": min(100.0, body.measured(97.6 - (3.4 if body.has("copd") else 0) - body.fluid * 1.2, 0.008)),
        "weight": body.measured(body.weight + body.fluid, 0.004),
        "height": body.height,
    }
    return {key: rounded(key, value) for key, value in values.items()}

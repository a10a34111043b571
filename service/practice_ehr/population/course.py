"""Disease courses: small recurrences that move a patient's measurements from visit to visit, with treatment effects.

Deterministic: each patient draws from a generator seeded by the population's seed and the patient's key. eGFR follows
from creatinine, age and sex by CKD-EPI 2021 (Inker et al., N Engl J Med 2021;385:1737), so the two never disagree.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date


def ckd_epi_2021(creatinine: float, age: float, female: bool) -> float:
    """eGFR in mL/min/1.73 m2 from serum creatinine in mg/dL (CKD-EPI 2021, without race)."""
    kappa, alpha = (0.7, -0.241) if female else (0.9, -0.302)
    ratio = creatinine / kappa
    return 142 * min(ratio, 1) ** alpha * max(ratio, 1) ** -1.200 * 0.9938**age * (1.012 if female else 1)


@dataclass
class Body:
    """What is measured of a person; `step` moves it on by a number of days."""

    rng: random.Random
    born: date
    female: bool
    height: float
    weight: float
    systolic: float = 122.0
    diastolic: float = 76.0
    hba1c: float = 5.3
    creatinine: float = 0.85
    hemoglobin: float = 13.8
    ldl: float = 118.0
    drift: dict[str, float] = field(default_factory=dict)
    """Change of a measurement in a year, untreated."""
    target: dict[str, float] = field(default_factory=dict)
    """Where treatment pulls a measurement; it closes half of the distance in a quarter year."""

    def step(self, days: int) -> None:
        """Let time pass."""
        years = days / 365.25
        for name in ("weight", "systolic", "diastolic", "hba1c", "creatinine", "hemoglobin", "ldl"):
            value = getattr(self, name) + self.drift.get(name, 0.0) * years
            if name in self.target:
                value += (self.target[name] - value) * (1 - 0.5 ** (days / 91))
            setattr(self, name, value)

    def age(self, day: date) -> float:
        """Years."""
        return (day - self.born).days / 365.25

    def noise(self, value: float, share: float) -> float:
        """A reading of `value` with measurement noise of that share."""
        return value * (1 + self.rng.gauss(0, share))

    def labs(self, day: date) -> dict[str, float]:
        """All laboratory values of a day, consistent with each other."""
        creatinine = round(max(0.4, self.noise(self.creatinine, 0.03)), 2)
        hba1c = round(max(4.4, self.noise(self.hba1c, 0.015)), 1)
        hdl, triglycerides = self.noise(48, 0.06), self.noise(110 + 12 * max(0.0, hba1c - 5.5), 0.12)
        ldl = self.noise(self.ldl, 0.05)
        return {
            "hba1c": hba1c,
            "glucose": round(self.noise(28.7 * hba1c - 46.7, 0.08)),  # ADAG: eAG = 28.7 A1c - 46.7
            "creatinine": creatinine,
            "egfr": round(ckd_epi_2021(creatinine, self.age(day), self.female)),
            "potassium": round(self.noise(4.2 + 0.5 * max(0.0, creatinine - 1.2), 0.03), 1),
            "sodium": round(self.noise(140, 0.01)),
            "bun": round(self.noise(14 * creatinine**0.9 / 0.85, 0.08)),
            "ldl": round(ldl),
            "hdl": round(hdl),
            "triglycerides": round(triglycerides),
            "cholesterol": round(ldl + hdl + triglycerides / 5),
            "hemoglobin": round(self.noise(self.hemoglobin, 0.02), 1),
            "wbc": round(self.noise(6.8, 0.12), 1),
            "platelets": round(self.noise(245, 0.08)),
            "uacr": round(
                max(3.0, self.noise(12 + 60 * max(0.0, creatinine - 0.95) + 9 * max(0.0, hba1c - 6.5), 0.15))
            ),
            "bnp": round(max(8.0, self.noise(40, 0.2))),
        }

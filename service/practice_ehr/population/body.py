"""What goes on in a body: each quantity relaxes towards a target set by diseases, age and drugs, month by month.

A coarse model, made to give charts whose numbers hang together (creatinine and eGFR, HbA1c and glucose, blood pressure and
drugs); it predicts nothing about real people. Sizes of drug effects are in the order of those in package inserts.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from datetime import date, timedelta

# Change of the target by each drug while it is taken.
SYSTOLIC = {
    "lisinopril_10": -9, "lisinopril_20": -13, "losartan_50": -10, "losartan_100": -14,
    "amlodipine_5": -8, "amlodipine_10": -12, "hydrochlorothiazide_25": -8, "carvedilol_6": -4,
    "metoprolol_25": -3, "metoprolol_50": -5, "spironolactone_25": -5, "empagliflozin_10": -3,
    "furosemide_20": -2, "furosemide_40": -3,
}  # fmt: skip
A1C = {"metformin_500": -0.7, "metformin_1000": -1.2, "empagliflozin_10": -0.7, "semaglutide": -1.3, "glargine": -1.4}
LDL = {"atorvastatin_20": 0.6, "atorvastatin_40": 0.52, "atorvastatin_80": 0.46}
LEVOTHYROXINE = {"levothyroxine_50": 50, "levothyroxine_75": 75, "levothyroxine_100": 100}
BETA_BLOCKERS = ("carvedilol_6", "metoprolol_25", "metoprolol_50")
RENIN = ("lisinopril_10", "lisinopril_20", "losartan_50", "losartan_100")
DAYS_PER_MONTH = 30.4375


def years_between(start: date, end: date) -> float:
    """Time between two dates in years."""
    return (end - start).days / 365.25


def age_on(birth: date, day: date) -> int:
    """Completed years."""
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))


def ckd_epi_2021(creatinine: float, age: int, female: bool) -> float:
    """Estimated GFR in mL/min/1.73 m2 from serum creatinine in mg/dL (Inker et al., NEJM 2021;385:1737)."""
    kappa, alpha = (0.7, -0.241) if female else (0.9, -0.302)
    ratio = creatinine / kappa
    value = 142 * math.pow(min(ratio, 1.0), alpha) * math.pow(max(ratio, 1.0), -1.2) * math.pow(0.9938, age)
    return value * 1.012 if female else value


def creatinine_of(gfr: float, age: int, female: bool) -> float:
    """The inverse of ckd_epi_2021."""
    kappa, alpha = (0.7, -0.241) if female else (0.9, -0.302)
    at_kappa = 142 * 0.9938**age * (1.012 if female else 1.0)
    return float(kappa * (gfr / at_kappa) ** (-1 / 1.2 if gfr < at_kappa else 1 / alpha))


@dataclass
class Body:
    """State of one body. `onsets`: condition -> when it began, whether or not anyone has recorded it."""

    birth: date
    female: bool
    rng: random.Random
    today: date
    height: float = 170.0
    weight: float = 75.0
    gfr: float = 95.0
    gfr_loss_per_year: float = 0.8
    base_systolic: float = 118.0
    base_ldl: float = 118.0
    base_a1c: float = 5.3
    levothyroxine_need: float = 88.0
    hemoglobin: float = 14.0
    mood: float = 2.0
    ejection_fraction: float = 62.0
    onsets: dict[str, date] = field(default_factory=dict)
    drugs: set[str] = field(default_factory=set)
    systolic: float = 0.0
    a1c: float = 0.0
    ldl: float = 0.0
    tsh: float = 1.8
    albuminuria: float = 6.0
    ntprobnp: float = 70.0
    fluid: float = 0.0
    inr: float = 1.0
    potassium_excess: float = 0.0

    def __post_init__(self) -> None:
        self.systolic, self.a1c, self.ldl = self.base_systolic, self.base_a1c, self.base_ldl

    def has(self, condition: str) -> bool:
        """Whether the disease is there now."""
        return condition in self.onsets and self.onsets[condition] <= self.today

    def years_with(self, condition: str) -> float:
        """Years since onset; 0 without the disease."""
        return years_between(self.onsets[condition], self.today) if self.has(condition) else 0.0

    @property
    def age(self) -> int:
        """Completed years today."""
        return age_on(self.birth, self.today)

    def advance(self, day: date) -> None:
        """Let time pass until `day`, in steps of at most a month; a disease that begins on the way begins on its day's step."""
        while self.today < day:
            days = min(30, (day - self.today).days)
            self._step(days / DAYS_PER_MONTH)
            self.today += timedelta(days=days)

    def _step(self, months: float) -> None:
        self.systolic = _relax(self.systolic, self._systolic_target(), months, tau=1.0)
        self.a1c = _relax(self.a1c, self._a1c_target(), months, tau=2.5)
        self.ldl = _relax(self.ldl, self.base_ldl * min([LDL[d] for d in self.drugs if d in LDL] or [1.0]), months, 1.2)
        self.tsh = _relax(self.tsh, self._tsh_target(), months, tau=1.3)
        self.ntprobnp = _relax(self.ntprobnp, self._ntprobnp_target(), months, tau=1.0)
        self.inr = _relax(self.inr, 2.4 if "warfarin_5" in self.drugs else 1.0, months, tau=0.3)
        self.mood = _relax(self.mood, self._mood_target(), months, tau=1.5)
        self.fluid = _relax(self.fluid, 0.0, months, tau=0.5)
        self._kidney(months)
        if "semaglutide" in self.drugs:
            self.weight = _relax(self.weight, 21 + 22 * (self.height / 100) ** 2, months, tau=40)

    def _systolic_target(self) -> float:
        target = self.base_systolic + max(0, self.age - 50) * 0.2
        if self.has("hypertension"):
            target += 30 + min(12, self.years_with("hypertension") * 0.6)
        return max(102.0, target + sum(SYSTOLIC.get(d, 0) for d in self.drugs))

    def _a1c_target(self) -> float:
        if not self.has("diabetes"):
            return 5.9 if self.has("prediabetes") else self.base_a1c
        untreated = 7.9 + min(4.0, 0.22 * self.years_with("diabetes"))
        # fsum: the drugs are a set, and a plain sum of floats depends on its order
        return max(5.9, untreated + math.fsum(A1C.get(d, 0) for d in self.drugs))

    def _tsh_target(self) -> float:
        if not self.has("hypothyroidism"):
            return 1.8
        dose = max([LEVOTHYROXINE[d] for d in self.drugs if d in LEVOTHYROXINE] or [0])
        return max(0.9, 2.2 + (1 - dose / self.levothyroxine_need) * 11)

    def _ntprobnp_target(self) -> float:
        target = 60 + max(0, self.age - 50) * 4.0
        if self.has("heart_failure"):
            target += (62 - self.ejection_fraction) * 70
            target *= 0.6 if any(b in self.drugs for b in BETA_BLOCKERS) else 1.0
            target *= 0.75 if self.drugs & {"furosemide_20", "furosemide_40"} else 1.0
        if self.has("atrial_fibrillation"):
            target += 320
        return target

    def _mood_target(self) -> float:
        if not self.has("depression"):
            return 2.0
        relief = 12 if "sertraline_100" in self.drugs else 8 if "sertraline_50" in self.drugs else 0
        # An episode wanes by itself as well, over some two years.
        return max(2.0, 16 - relief - 5 * self.years_with("depression"))

    def _kidney(self, months: float) -> None:
        loss = self.gfr_loss_per_year if self.age >= 40 else 0.3
        loss *= 0.75 if any(d in self.drugs for d in RENIN) else 1.0
        loss *= 0.65 if "empagliflozin_10" in self.drugs else 1.0
        self.gfr = max(14.0, self.gfr - loss * months / 12)
        target = 7.0
        if self.has("diabetes"):
            target = 12 + 22 * max(0.0, self.years_with("diabetes") - 2) + max(0.0, 60 - self.gfr) * 3
        target *= 0.65 if any(d in self.drugs for d in RENIN) else 1.0
        target *= 0.7 if "empagliflozin_10" in self.drugs else 1.0
        self.albuminuria = _relax(self.albuminuria, target, months, tau=4)

    def measured(self, value: float, spread: float) -> float:
        """A reading of a true value: analytical and day-to-day variation as a share of it."""
        return value * (1 + spread * max(-2.2, min(2.2, self.rng.gauss(0, 1))))


def _relax(value: float, target: float, months: float, tau: float) -> float:
    return value + (target - value) * min(1.0, months / tau)

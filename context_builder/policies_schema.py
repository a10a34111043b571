"""Selection policies: what each purpose must show and what it prefers, as data a clinician can read.

`policies/analytes.toml` names the measurements that matter and their LOINC codes; `policies/<purpose>.toml` says what
a purpose must include, the floor of each section and the weights of the rest. Unknown keys do not load.
"""

from __future__ import annotations

import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from context_builder.document import Purpose

FOLDER = Path(__file__).parent / "policies"

Block = Literal[
    "past_problems",
    "past_medications",
    "vitals",
    "labs",
    "care_plans",
    "encounters",
    "reports",
    "immunizations",
    "procedures",
    "social_history",
    "assessments",
    "notes",
]


class Strict(BaseModel):
    """Immutable; a misspelled key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Analyte(Strict):
    """A measurement known by name: the LOINC codes that mean it."""

    name: str = Field(min_length=1)
    section: Literal["vitals", "labs", "social_history"] = Field(
        description="Where it stands; answers of the social history are also found among the assessments."
    )
    loinc: tuple[str, ...] = Field(min_length=1)
    variants: dict[str, str] = Field(
        default={}, description="Codes that must not share a row with the others, and what is added to the name."
    )
    trend: bool = Field(default=False, description="May get a trend line of its own.")
    words: tuple[str, ...] = Field(default=(), description="Words of a question that ask for it (lower case).")

    @model_validator(mode="after")
    def _variants_are_its_codes(self) -> Analyte:
        if not set(self.variants) <= set(self.loinc):
            raise ValueError(f"{self.name}: a variant is none of its codes")
        return self


class Analytes(Strict):
    """All known measurements, in the order in which they are printed."""

    analyte: tuple[Analyte, ...]

    @model_validator(mode="after")
    def _codes_are_unambiguous(self) -> Analytes:
        codes = [code for a in self.analyte for code in a.loinc]
        if len(codes) != len(set(codes)):
            raise ValueError("a LOINC code belongs to two analytes")
        return self


class Must(Strict):
    """What has to be shown besides allergies, active problems, current medications, conflicts and coverage."""

    latest: tuple[str, ...] = Field(description="Analytes whose latest value is shown, however old.")
    abnormal_days: int = Field(gt=0, description="Abnormal results this recent are shown (the latest of each test).")
    critical_days: int = Field(gt=0, description="Critical results (HH, LL, AA) this recent are shown.")


class Score(Strict):
    """How the rest is weighed: weight x (recency + bonuses). All bonuses are added to a recency between 0 and 1."""

    half_life_days: float = Field(gt=0, description="An event this old counts half of today's.")
    abnormal: float = Field(ge=0, description="Bonus for an abnormal result.")
    analyte: float = Field(ge=0, description="Bonus for a known analyte.")
    active: float = Field(ge=0, description="Bonus for a plan that is under way.")
    narrative: float = Field(ge=0, description="Bonus for a report with a conclusion or a note with text.")
    question: float = Field(default=0, ge=0, description="Bonus when the words of the question match.")
    repeat_discount: float = Field(ge=0, description="How fast repeats of the same thing lose weight.")
    lasting: float = Field(
        ge=0, description="What a past problem, procedure or vaccination is worth however long ago it was."
    )


class Policy(Strict):
    """One purpose."""

    purpose: Purpose
    about: str = Field(min_length=1)
    window_days: int | None = Field(default=None, gt=0, description="Dated events older than this are left out.")
    columns: tuple[int, int, int] = Field(description="Date columns of a table, per level of compactness.")
    excerpt_chars: tuple[int, int, int] = Field(description="Length of a narrative excerpt, per level.")
    quotes: int = Field(ge=0, description="So many narratives are quoted, best first; of the others the title.")
    must: Must
    score: Score
    floor: dict[Block, int] = Field(description="The newest so many of a section come before anything else.")
    weight: dict[Block, float] = Field(description="Weight of a section; 0 leaves it out (reason: policy).")


@lru_cache(maxsize=1)
def load_analytes() -> Analytes:
    """The known measurements."""
    return Analytes.model_validate(tomllib.loads((FOLDER / "analytes.toml").read_text(encoding="utf-8")))


@lru_cache(maxsize=16)
def load_policy(purpose: Purpose) -> Policy:
    """The policy of one purpose; its analytes are checked against the list."""
    policy = Policy.model_validate(tomllib.loads((FOLDER / f"{purpose}.toml").read_text(encoding="utf-8")))
    unknown = set(policy.must.latest) - {a.name for a in load_analytes().analyte}
    if unknown:
        raise ValueError(f"{purpose}.toml: unknown analytes {sorted(unknown)}")
    return policy

"""The built-in synthetic population: longitudinal patients whose courses hang together, some known to several hospitals.

    patients = generate(seed=7, patients=24)
    star = patients[0]                      # key STAR_KEY, known to all three hospitals
    star.given, star.family, star.birth_date, star.hospitals
    star.identifier("lakeshore")            # (system, record number) there; star.name_at("prairie") as typed there

A hospital is named by its key in `people.HOSPITALS` or by the dress it wears by default.
"""

from service.practice_ehr.population.cast import CANARY_TOKENS
from service.practice_ehr.population.generate import (
    PATIENTS,
    SEED,
    TODAY,
    SyntheticPatient,
    canary,
    generate,
    hospital_key,
    hospital_resources,
)
from service.practice_ehr.population.people import HOSPITALS
from service.practice_ehr.population.story_star import STAR_KEY

__all__ = [
    "CANARY_TOKENS",
    "HOSPITALS",
    "PATIENTS",
    "SEED",
    "STAR_KEY",
    "TODAY",
    "SyntheticPatient",
    "canary",
    "generate",
    "hospital_key",
    "hospital_resources",
]

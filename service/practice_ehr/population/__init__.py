"""The built-in synthetic population of the practice hospitals. Nobody in it exists."""

from service.practice_ehr.population.generate import (
    STAR_KEY,
    TODAY,
    SyntheticPatient,
    canary,
    generate,
    hospital_resources,
)
from service.practice_ehr.population.record import HOSPITALS

__all__ = ["HOSPITALS", "STAR_KEY", "TODAY", "SyntheticPatient", "canary", "generate", "hospital_resources"]

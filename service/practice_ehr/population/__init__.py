"""The built-in synthetic population: longitudinal patients whose courses hang together, some known to several hospitals."""

from service.practice_ehr.population.generate import STAR_KEY, SyntheticPatient, canary, generate, hospital_resources

__all__ = ["STAR_KEY", "SyntheticPatient", "canary", "generate", "hospital_resources"]

"""Raw resources (DSTU2, R4, R4B, R5) -> record entries or quarantine; entries of all sites -> one chart. Pure."""

from adapters.normalizer.assemble import assemble
from adapters.normalizer.coverage import coverage_from_entries
from adapters.normalizer.files import parse_file
from adapters.normalizer.normalize import Disposition, Normalized, normalize
from adapters.normalizer.read import subject_of
from adapters.normalizer.rules import NormalizationRules

__all__ = [
    "Disposition",
    "NormalizationRules",
    "Normalized",
    "assemble",
    "coverage_from_entries",
    "normalize",
    "parse_file",
    "subject_of",
]

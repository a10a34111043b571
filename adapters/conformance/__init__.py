"""What a site really supports, probed with a test patient, and how that differs from before or from its profile."""

from adapters.conformance.drift import Difference, compare, compare_with_profile
from adapters.conformance.probing import check
from adapters.conformance.report import ConformanceReport, read_report

__all__ = ["ConformanceReport", "Difference", "check", "compare", "compare_with_profile", "read_report"]

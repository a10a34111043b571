"""Comparing site reports, for the command line and the API: one document for both."""

from __future__ import annotations

from typing import Any, get_args

from adapters.conformance import ConformanceReport, Difference, compare, compare_with_profile
from adapters.conformance.drift import Severity
from adapters.profile import load_profile

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
Compared = tuple[dict[str, Any], list[Difference]]


def with_profile(report: ConformanceReport) -> Compared:
    """What the profile of the site's vendor counts on and the report did not find. Raises ConfigurationError where that
    profile is not there any more."""
    differences = compare_with_profile(load_profile(report.vendor, variant=report.variant), report)
    variant = f"/{report.variant}" if report.variant else ""
    return _document(f"profile {report.vendor}{variant}", report, differences), differences


def with_earlier(before: ConformanceReport, after: ConformanceReport) -> Compared:
    """What changed between two reports of a site."""
    differences = compare(before, after)
    return _document(f"{before.site} {before.checked_at}", after, differences), differences


def _document(before: str, after: ConformanceReport, differences: list[Difference]) -> dict[str, Any]:
    return {
        "before": before,
        "after": f"{after.site} {after.checked_at}",
        "probed": after.probed,
        "counts": {s: sum(d.severity == s for d in differences) for s in SEVERITIES},
        "differences": [d.model_dump() for d in differences],
        "upgrades": [w.model_dump(mode="json") for w in after.upgrades],
    }

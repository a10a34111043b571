"""The site report as one self-contained page: no script, nothing to load, everything escaped."""

from __future__ import annotations

from adapters.conformance import ConformanceReport
from service.page.routes import templates


def report_page(report: ConformanceReport) -> str:
    """The page."""
    return templates().get_template("site_report.html").render(report=report)

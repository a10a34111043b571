"""Quality reports: of a patient when asked, of a site kept under their dates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from models.quality import NotComparable, QualityReport, Trend, compare
from service.api.problems import Problem
from service.api.refusals import earlier, known, refusals
from service.quality import of_patient
from service.store import Store

if TYPE_CHECKING:
    from service.workflows import Runtime


class Quality:
    """How good the data is. Whoever inherits has the store."""

    runtime: Runtime | None = None

    @property
    def store(self) -> Store:
        """The open store."""
        raise Problem("unavailable")

    def _runtime(self) -> Runtime:
        """The running workflows."""
        raise Problem("unavailable")

    def patient_quality(self, tenant: str, patient_id: str, now: str) -> QualityReport:
        """One patient's report, with the entries behind its findings."""
        known(patient_id, "unknown_patient")
        with refusals():
            return of_patient(self.store, tenant, patient_id, now)

    def measure_site(self, tenant: str, name: str, actor: str, now: str, wait_seconds: float = 0) -> dict[str, Any]:
        """Begin to measure all patients of a site (or follow the run under way), and wait for the end at most
        `wait_seconds`; returns the run."""
        with refusals():
            runtime = self._runtime()
            return self.quality_run(tenant, name, runtime.measure_site(tenant, name, actor, now), wait_seconds)

    def quality_run(self, tenant: str, name: str, run_id: str, wait_seconds: float = 0) -> dict[str, Any]:
        """How far the measuring of a site is, and the id of its report once it has ended."""
        known(run_id, "unknown_run")
        with refusals():
            self.store.site(tenant, name)
            if self.runtime is not None:
                found = self.runtime.quality_run(tenant, run_id, wait_seconds)
            else:  # a process without workflows tells what is written down
                found = self.store.quality_run(tenant, run_id)
        if found is None or found["site"] != name:
            raise Problem("unknown_run")
        return found

    def last_quality(self, tenant: str, name: str) -> dict[str, Any] | None:
        """The newest kept report of a site; None where there is none."""
        with refusals():
            self.store.site(tenant, name)
            return self.store.quality_report(tenant, name)

    def site_qualities(self, tenant: str, name: str) -> list[dict[str, Any]]:
        """Which reports of a site are kept, newest first."""
        with refusals():
            self.store.site(tenant, name)
            return self.store.quality_reports(tenant, name)

    def site_quality(self, tenant: str, name: str, report_id: str = "") -> QualityReport:
        """One kept report of a site; by default the newest."""
        if report_id:
            known(report_id, "not_found")
        with refusals():
            self.store.site(tenant, name)
            found = self.store.quality_report(tenant, name, report_id)
        try:
            return QualityReport.from_dict(found)
        except msgspec.ValidationError:  # none, or one that an older Chartbrief wrote
            words = (
                "there is no report of that id" if report_id else "there is no quality report of this site: make one"
            )
            raise Problem("not_found", words) from None

    def quality_trend(self, tenant: str, name: str, report_id: str, against: str = "previous") -> Trend:
        """How a kept report differs from the one before it, or from another."""
        report = self.site_quality(tenant, name, report_id)
        if against == "previous":
            against = earlier(self.site_qualities(tenant, name), report_id)
        try:
            return compare(self.site_quality(tenant, name, against), report)
        except NotComparable as error:
            raise Problem("not_found", str(error)) from None

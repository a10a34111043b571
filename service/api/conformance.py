"""Checks of sites and their reports: started, kept, listed, compared."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from adapters.conformance import ConformanceReport
from adapters.errors import ConfigurationError
from service.api.problems import Problem
from service.api.refusals import earlier, known, refusals
from service.reports import with_earlier, with_profile
from service.store import Store

if TYPE_CHECKING:
    from service.workflows import Runtime

PREVIOUS, PROFILE = "previous", "profile"
_CHECKING: set[tuple[str, str]] = set()
_LOCK = threading.Lock()


class Conformance:
    """What sites were found to support. Whoever inherits has the store and the workflows."""

    @property
    def store(self) -> Store:
        """The open store."""
        raise Problem("unavailable")

    def site(self, tenant: str, name: str) -> dict[str, Any]:
        """One site."""
        raise Problem("unknown_site")

    def check_site(self, tenant: str, name: str, patient_id: str | None = None) -> dict[str, Any]:
        """Discover and authorize at a site; probe it with a test patient (their id at the site).

        It answers within about a minute (the deadline of a check). One check of a site at a time in this process: two
        would measure each other, and count together against the site's limits.
        """
        self.site(tenant, name)
        with _alone(tenant, name), refusals():
            return self._runtime().check_site(tenant, name, patient_id)

    def ours(self, tenant: str, site: str, site_patient_id: str) -> str:
        """Our id of a site's patient, for the audit; empty where they are not registered."""
        with refusals():
            return self.store.patient_of(tenant, site, site_patient_id) or ""

    def site_reports(self, tenant: str, name: str) -> list[dict[str, Any]]:
        """The reports of a site, newest first, without their content."""
        self.site(tenant, name)
        with refusals():
            return self.store.site_reports(tenant, name)

    def site_report(self, tenant: str, name: str, report_id: str = "") -> ConformanceReport:
        """One report of a site; by default that of its last check."""
        self.site(tenant, name)
        if report_id:
            known(report_id, "not_found")
        with refusals():
            found = self.store.site_report(tenant, name, report_id)
        try:
            return ConformanceReport.model_validate(found)
        except ValidationError:  # none, or one that an older Chartbrief wrote
            words = "there is no report of that id" if report_id else "there is no report of this site: check it"
            raise Problem("not_found", words) from None

    def compare_reports(self, tenant: str, name: str, report_id: str, against: str = PREVIOUS) -> dict[str, Any]:
        """How a report differs from the one before it, from another one, or from what the vendor's profile expects."""
        report = self.site_report(tenant, name, report_id)
        if against == PROFILE:
            try:
                return with_profile(report)[0]
            except ConfigurationError as error:  # a report of a vendor whose profile is not there any more
                raise Problem("not_found", str(error)) from None
        if against == PREVIOUS:
            against = earlier(self.site_reports(tenant, name), report_id)
        return with_earlier(self.site_report(tenant, name, against), report)[0]

    def _runtime(self) -> Runtime:
        raise Problem("unavailable", "this process runs no workflows")


@contextmanager
def _alone(tenant: str, site: str) -> Iterator[None]:
    with _LOCK:
        if (tenant, site) in _CHECKING:
            raise Problem("conflict", "a check of this site is under way; its report will be the last one")
        _CHECKING.add((tenant, site))
    try:
        yield
    finally:
        with _LOCK:
            _CHECKING.discard((tenant, site))

"""Quality reports of what is stored: charts in, one at a time, a report out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import structlog

from adapters.normalizer.read import NotJson, parse
from adapters.normalizer.releases import written_in
from models.quality import QualityReport, Tally, account, alerts, make_report, measure
from models.quality.measure import Raw
from models.record import AnyEntry, RawResource
from service.store import Store, StoreUnavailable, UnknownPatient

log = structlog.get_logger("chartbrief.quality")

RAW_SECTIONS = ("demographics", "encounters", "procedures", "care_plans", "notes", "assessments")
"""Sections in whose resources us_core.toml reads elements that the record has no field for."""


def of_patient(store: Store, tenant: str, patient_id: str, now: str) -> QualityReport:
    """The report of a stored patient over all their sites, with the entries behind the findings: PHI."""
    tally, examples = _measured(store, tenant, patient_id, now, "")
    return make_report(tally, scope="patient", name=patient_id, made=now, examples=examples)


def measure_next(store: Store, tenant: str, run_id: str) -> bool:
    """Measure the next patients of a run over a site and add them to its sum; False when there are none left."""
    done = store.quality_patients(tenant, run_id)
    if done is None or not done.patients:
        return False
    tally = Tally()
    for patient_id in done.patients:
        try:
            tally.merge(_measured(store, tenant, patient_id, done.as_of, done.site)[0])
        except StoreUnavailable:
            raise
        except UnknownPatient:  # unlinked meanwhile
            continue
        except Exception as error:  # noqa: BLE001  one record that breaks us must not hide all others; it is counted
            log.error("quality_unmeasured", run_id=run_id, site=done.site, error=type(error).__name__)
            tally.add("unmeasured")
    store.add_to_quality_run(tenant, run_id, done, tally)
    return True


def end_run(store: Store, tenant: str, run_id: str, failed: str = "") -> None:
    """End a run over a site: its report is kept (counts only), with the alerts against the one before."""
    found = store.quality_run_counts(tenant, run_id)
    if found is None:
        return
    site, made, tally = found
    if failed:
        store.end_quality_run(tenant, run_id, None, failed)
        return
    report = make_report(tally, scope="site", name=site, made=made)
    store.end_quality_run(
        tenant, run_id, report.to_dict(), alerts=[a.words for a in alerts(report, _before(store, tenant, site))]
    )


def _before(store: Store, tenant: str, site: str) -> QualityReport | None:
    """The newest kept report of the site; None where there is none of this format."""
    found = store.quality_report(tenant, site)
    try:
        return None if found is None else QualityReport.from_dict(found)
    except msgspec.ValidationError:
        return None


def _measured(
    store: Store, tenant: str, patient_id: str, now: str, site: str
) -> tuple[Tally, dict[str, tuple[str, ...]]]:
    chart = store.chart(tenant, patient_id, as_of=now)
    inputs = store.quality_inputs(tenant, patient_id, now, site=site, sections=RAW_SECTIONS)
    names = [site] if site else list(store.links(tenant, patient_id))
    found = measure(
        chart,
        site=site,
        raw=raw_of(inputs.raw),
        freshness_hours={name: store.site(tenant, name).freshness_hours for name in names},
        lost=inputs.lost,
    )
    tally = found.tally
    tally.merge(account(inputs.ledger, inputs.quarantine))
    return tally, found.examples


def raw_of(resources: Iterable[RawResource]) -> Raw:
    """Entry -> the resource it was read from, where that is JSON in R4's shape; each is parsed when first asked for."""
    known = {(r.site, r.resource_type, r.resource_id): r for r in resources if r.api == "fhir"}

    def find(entry: AnyEntry) -> Mapping[str, Any] | None:
        origin = entry.origin
        raw = known.get((origin.site, origin.resource_type, origin.resource_id))
        if raw is None or origin.method != "structured":
            return None
        try:
            resource = parse(raw.content)
        except NotJson:
            return None
        if not isinstance(resource, dict) or not written_in(resource, raw.resource_type, raw.fhir_version).startswith(
            "R4"
        ):
            return None
        return resource

    return find

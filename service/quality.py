"""Quality reports of what is stored: charts in, one at a time, a report out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from adapters.normalizer.read import NotJson, parse
from adapters.normalizer.releases import written_in
from models.quality import QualityReport, Tally, account, make_report, measure
from models.quality.measure import Raw
from models.record import AnyEntry, RawResource

if TYPE_CHECKING:
    from service.store import Store

RAW_SECTIONS = ("demographics", "encounters", "procedures", "care_plans", "notes", "assessments")
"""Sections in whose resources us_core.toml reads elements that the record has no field for."""


def of_patient(store: Store, tenant: str, patient_id: str, now: str) -> QualityReport:
    """The report of a stored patient over all their sites, with the entries behind the findings: PHI."""
    tally, examples = _measured(store, tenant, patient_id, now, "")
    return make_report(tally, scope="patient", name=patient_id, made=now, examples=examples)


def of_site(store: Store, tenant: str, site: str, now: str) -> QualityReport:
    """The report of all stored patients of a site, one after the other; counts only."""
    store.site(tenant, site)
    tally = Tally()
    for patient_id in store.patients_of_site(tenant, site):
        tally.merge(_measured(store, tenant, patient_id, now, site)[0])
    return make_report(tally, scope="site", name=site, made=now)


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

"""One hospital, two servers: what its DSTU2 server tells is what its R4 server tells, through the whole pipe."""

from __future__ import annotations

import asyncio
import tomllib
from collections import Counter
from typing import Any

import pytest
from adapter_kit import Clock, balanced, key_pair, opened, site_at

from adapters.normalizer import assemble, normalize
from adapters.profile import parse_site
from adapters.section import SectionFetch
from models.record import Chart
from service.practice_ehr import Dress, PracticeEhr, built_in_hospital, load_dress
from service.practice_ehr.connect import site_file
from service.practice_ehr.population import generate, hospital_resources

HOSPITAL = "river-valley"
PATIENTS = 11
PEOPLE = [p.patient_id(HOSPITAL) for p in generate(patients=PATIENTS) if p.key in ("p01", "p05", "p11")]
"""One with an admission and reported drugs, one with allergies, one with care that was refused and a plan."""
WHERE = {"id", "origins"}
"""What tells where a fact stands."""
UNSAID = {"medication": {"intent", "category", "reported"}, "care_plan": {"title"}}
"""What DSTU2 has no element for."""
REPORTED = {
    "requester",
    "refills",
    "quantity",
    "days_supply",
    "encounter",
    "status",
    "status_reason",
    "activity_reason",
}
"""What a MedicationStatement of DSTU2 has no element for, beside a MedicationRequest that repeats a report."""


async def charts(dress: Dress, people: list[str]) -> tuple[dict[str, Chart], list[SectionFetch], PracticeEhr]:
    """Each person's chart, as refreshed from a hospital in `dress` with a token, and what the fetches brought."""
    key = key_pair("ES384")
    fetched: list[SectionFetch] = []
    made = {}
    resources = hospital_resources(HOSPITAL, patients=PATIENTS)
    with PracticeEhr("north", resources, dress=dress, clients={"client-1": [key.public_jwk()]}) as ehr:
        variant = dress.variant
        async with opened(site_at(ehr.base_url, "oracle_health", auth="backend", variant=variant), Clock()) as source:
            report = await source.discover()
            assert report.capabilities.release == ehr.state.dress.release
            for person in people:
                fetches = await source.fetch_patient(person)
                rules = source.profile.normalization
                raws = [r for f in fetches for r in f.resources]
                assert {r.fhir_version for r in raws} == {ehr.state.dress.release}
                read = normalize(raws, rules=rules, patient_id=person)
                assert read.ledger.balanced and not read.quarantine
                as_of = max(r.retrieved for r in raws)
                made[person] = assemble("t1", person, read.entries, [f.coverage for f in fetches], as_of=as_of)
                fetched += fetches
    return made, fetched, ehr


def facts(chart: Chart) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Entries by kind, resource id and place within the resource, without where they came from."""
    found = {}
    for entry in chart.entries:
        said = entry.to_dict()
        kind = said["kind"]
        hidden = WHERE | UNSAID.get(kind, set())
        if kind == "medication" and said.get("reported"):
            hidden = hidden | REPORTED
        said["flags"] = sorted({f.code for f in entry.flags} - {"duplicate_of", "conflicts_with"})
        found[kind, entry.origin.resource_id, entry.origin.path] = {k: v for k, v in said.items() if k not in hidden}
    return found


@pytest.fixture(scope="module")
def both() -> Any:
    older = load_dress("oracle_health_dstu2")
    newer = load_dress("oracle_health").model_copy(update={"name": older.name})  # its name decides the local codes
    return tuple(asyncio.run(charts(dress, PEOPLE)) for dress in (newer, older))


def test_both_servers_give_the_same_clinical_facts(both: Any) -> None:
    (newer, _, _), (older, _, _) = both
    assert len(newer) == len(older) == 3
    kinds: Counter[str] = Counter()
    for person, chart in newer.items():
        wanted, found = facts(chart), facts(older[person])
        assert found.keys() == wanted.keys()
        for key, said in wanted.items():
            assert found[key] == said, key
        kinds.update(key[0] for key in wanted)
    assert len(kinds) == 13 and kinds.total() > 400, kinds


def test_the_charts_have_the_same_coverage_and_conflicts(both: Any) -> None:
    (newer, fetched, _), (older, fetched_older, _) = both
    assert all(balanced(f) for f in fetched_older)
    for person, chart in newer.items():
        states = {c.section: c.state for c in chart.coverage}
        assert {c.section: c.state for c in older[person].coverage} == states
        assert len(older[person].conflicts) == len(chart.conflicts)
    assert {f.coverage.state for f in fetched} == {f.coverage.state for f in fetched_older}


def test_nothing_that_was_not_done_is_told_as_done(both: Any) -> None:
    _, (older, _, ehr) = both
    refused = {
        r["id"]
        for k in ("Immunization", "Procedure")
        for r in ehr.state.store.of_type(k)
        if r.get("wasNotGiven") or r.get("notPerformed")
    }
    assert len(refused) >= 2
    told = [e for c in older.values() for e in c.entries if e.origin.resource_id in refused]
    assert told and all(e.status == "not-done" and e.has_flag("negated") for e in told)
    assert not any(getattr(e, "given", None) or getattr(e, "done", None) for e in told)


def test_origins_lead_into_what_the_server_sent(both: Any) -> None:
    _, (older, _, ehr) = both
    for chart in older.values():
        for entry in chart.entries:
            for origin in entry.origins:
                assert ehr.state.store.get(origin.resource_type, origin.resource_id) is not None
    types = {e.origin.resource_type for c in older.values() for e in c.entries}
    assert {"MedicationOrder", "MedicationStatement"} <= types and "MedicationRequest" not in types


def test_the_site_file_of_the_older_server_names_the_variant() -> None:
    ehr = PracticeEhr(built_in_hospital("oracle_health_dstu2", patients=1))
    try:
        site = parse_site(tomllib.loads(site_file(ehr)))
    finally:
        ehr.stop()
    assert site.variant == "dstu2" and site.fhir_base.startswith(ehr.origin + "/dstu2/")
    asked = {q.resource_type for q in site.profile().sections["medications"].queries}
    assert asked == {"MedicationOrder", "MedicationStatement"}

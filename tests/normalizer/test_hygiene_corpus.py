"""Remarks on real and on synthetic charts: few on clean charts, plausible on those of several hospitals."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from normalizer_kit import CORPUS, NOW

from adapters.normalizer import assemble, coverage_from_entries, hygiene, normalize, parse_file
from models.record import Chart, RawResource
from service.practice_ehr.population import TODAY, generate


def remarks_of(chart: Chart) -> list[tuple[str, str]]:
    return [(f.code, f.rule) for e in chart.entries for f in e.flags if f.code in hygiene.CODES]


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS.exists(), reason="the corpus ../shared/data is absent")
def test_clean_charts_of_one_site_get_few_remarks() -> None:
    """Synthea ends its acute conditions and has one site: what is remarked there is nearly always a false alarm."""
    counted: Counter[str] = Counter()
    files = sorted((CORPUS / "fhir-synthea-r4").glob("*.json"))
    for path in files:
        raws, _ = parse_file(path.read_bytes(), path.name, tenant="t", site="s", retrieved=NOW)
        entries = normalize(raws).entries
        chart = assemble("t", "p", entries, coverage_from_entries(entries, {"s"}), as_of=NOW)
        counted.update(code for code, _ in remarks_of(chart))
    assert files and sum(counted.values()) <= len(files)
    assert not counted["same_problem"] and not counted["missing_results"]


def test_the_practice_hospitals_show_what_was_written_into_their_stories() -> None:
    """Shared patients are told twice, one has two anticoagulants, another an ACE inhibitor and a sartan; most have nothing."""
    now = f"{TODAY.isoformat()}T12:00:00Z"
    found: dict[str, list[tuple[str, str]]] = {}
    for person in generate():
        entries = []
        for hospital in person.hospitals:
            raws = [
                RawResource(
                    tenant="t", site=hospital, resource_type=r["resourceType"], resource_id=r["id"], content=json.dumps(r).encode(), retrieved=now
                )
                for r in person.resources(hospital)
            ]  # fmt: skip
            entries += normalize(raws).entries
        chart = assemble("t", "p", entries, coverage_from_entries(entries, set(person.hospitals)), as_of=now)
        said = remarks_of(chart)
        if said:
            found[person.key] = said
        if len(person.hospitals) == 1:
            assert not {"same_problem"} & {code for code, _ in said}
    rules = {rule for said in found.values() for _, rule in said}
    assert {
        "same_problem",
        "same_drug",
        "same_class.oral anticoagulants",
        "same_class.renin-angiotensin inhibitors",
    } <= rules
    assert len(found) <= len(generate()) / 2

"""The deterministic renderer's own statements pass the verifier: the same rules hold for both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.normalizer import assemble, coverage_from_entries, normalize, parse_file
from context_builder import BudgetTooSmall, ContextDocument, ContextRequest, build_context, summarize
from context_builder.document import Statement
from context_builder.verify import verify
from models.record import Chart
from service.practice_ehr.population import generate

AS_OF = "2026-11-01T12:00:00Z"
CORPUS = Path(__file__).parents[3].parent / "shared" / "data"


def chart_of(parts: list[tuple[str, bytes]]) -> Chart:
    resources = [
        r for site, data in parts for r in parse_file(data, "x.json", tenant="t", site=site, retrieved=AS_OF)[0]
    ]
    entries = normalize(resources).entries
    return assemble("t", "p", entries, coverage_from_entries(entries, tuple(s for s, _ in parts)), as_of=AS_OF)


def documents(chart: Chart) -> Iterator[ContextDocument]:
    for purpose, budget in (("summary", 2000), ("visit_prep", 8000)):
        request = ContextRequest(purpose=purpose, budget_tokens=budget)
        try:
            yield build_context(chart, request)
        except BudgetTooSmall as error:
            yield build_context(chart, request.model_copy(update={"budget_tokens": error.needed_tokens}))


def withheld(chart: Chart) -> list[tuple[str, tuple[str, ...]]]:
    found = []
    for doc in documents(chart):
        said = [Statement(text=s.text, cites=s.cites, kind=s.kind) for s in summarize(doc).statements]
        assert said
        found += [(w.statement.text, w.reasons) for w in verify(said, doc).withheld]
    return found


@pytest.mark.parametrize("number", range(12))
def test_population(number: int) -> None:
    patient = generate(patients=12)[number]
    parts = [
        (h, json.dumps({"resourceType": "Bundle", "entry": [{"resource": r} for r in patient.resources(h)]}).encode())
        for h in patient.hospitals
    ]
    assert withheld(chart_of(parts)) == []


@pytest.mark.corpus
@pytest.mark.parametrize("folder", ["fhir-synthea-r4", "fhir-uscore-inferno"])
def test_corpus(folder: str) -> None:
    if not (CORPUS / folder).is_dir():
        pytest.skip(f"{folder} is not beside the project")
    files = sorted((CORPUS / folder).glob("*.json"))[:6]
    assert files
    for file in files:
        assert withheld(chart_of([("file", file.read_bytes())])) == [], file.name

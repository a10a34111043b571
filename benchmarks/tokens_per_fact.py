"""Tokens of a context for each fact it holds, against the raw FHIR JSON of the same facts.

Raw is the resources that the included facts came from, as compact JSON without their narrative `text`, counted with the
same tokenizer: what a caller would paste into a prompt who takes the trouble to choose. Patients: the Synthea set where
it stands beside the project, else generated ones. Run: python -m benchmarks.tokens_per_fact
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from typing import Any

from benchmarks.patients import DATA, chart_of, resources
from context_builder import BudgetTooSmall, ContextDocument, ContextRequest, build_context
from context_builder.tokens import tokenizer_for
from models.record import Chart

BUDGETS = (1_000, 2_000, 4_000, 8_000)
Json = dict[str, Any]


def patients() -> Iterator[tuple[Chart, dict[str, Json]]]:
    """Charts with their resources by Type/id."""
    bundles = sorted((DATA / "fhir-synthea-r4").glob("*.json"))
    if bundles:
        for path in bundles:
            found = [e["resource"] for e in json.loads(path.read_bytes())["entry"]]
            yield chart_of(found), by_reference(found)
        return
    for seed in range(6):
        found = resources(400, seed)
        yield chart_of(found), by_reference(found)


def by_reference(found: list[Json]) -> dict[str, Json]:
    """Resources by Type/id."""
    return {f"{r['resourceType']}/{r['id']}": r for r in found}


def raw_text(document: ContextDocument, known: dict[str, Json]) -> str:
    """The resources of the included facts, one JSON a line, as compact as JSON gets."""
    references = dict.fromkeys(o.reference for fact in document.facts for o in fact.origin)
    kept = [{k: v for k, v in known[r].items() if k != "text"} for r in references if r in known]
    return "\n".join(json.dumps(resource, separators=(",", ":"), ensure_ascii=False) for resource in kept)


def main() -> None:
    """Measure and print."""
    tokenizer = tokenizer_for(None)
    everybody = list(patients())
    print(f"{len(everybody)} patients, {sum(len(c.entries) for c, _ in everybody)} entries; cl100k tokens")
    print(f"{'budget':>7} {'facts':>7} {'tokens/fact':>12} {'raw/fact':>9} {'raw / ours':>11} {'p50 of patients':>16}")
    for budget in BUDGETS:
        facts = ours = raw = 0
        ratios = []
        for chart, known in everybody:
            try:
                document = build_context(chart, ContextRequest(budget_tokens=budget))
            except BudgetTooSmall:
                continue
            spent = tokenizer.count(raw_text(document, known))
            facts += len(document.facts)
            ours += document.token_count
            raw += spent
            ratios.append(spent / document.token_count)
        print(
            f"{budget:>7} {facts:>7} {ours / facts:>12.1f} {raw / facts:>9.0f} {raw / ours:>10.1f}x"
            f" {statistics.median(ratios):>15.1f}x"
        )


if __name__ == "__main__":
    main()

"""Whether what must not be missing is there, at every budget: recall of must-include entries, and budget overshoots.

The wanted entries are counted here from the chart alone (allergies, active problems, current medications, latest value of
each key measurement, both sides of conflicts), without the selection under test. A refused budget is neither hit nor miss:
it is counted, with whether the budget it names suffices. Run: python -m benchmarks.must_include
"""

from __future__ import annotations

from typing import get_args

from benchmarks.patients import chart
from benchmarks.tokens_per_fact import patients
from context_builder import BudgetTooSmall, ContextDocument, ContextRequest, build_context
from context_builder.document import Purpose
from context_builder.policies_schema import load_analytes, load_policy
from context_builder.tokens import tokenizer_for
from models.record import Allergy, AnyEntry, Chart, Medication, Observation, Problem
from models.record.dates import sort_key

BUDGETS = (1_000, 2_000, 4_000, 8_000)


def wanted(patient: Chart, purpose: Purpose) -> set[str]:
    """The entries no context may miss."""
    standing = [e for e in patient.entries if not e.superseded and not e.has_flag("refuted")]
    found = {e.id for e in standing if isinstance(e, Allergy)}
    found |= {e.id for e in standing if isinstance(e, Problem) and e.activity == "active"}
    found |= {e.id for e in standing if isinstance(e, Medication) and e.activity != "historical"}
    found |= {i for c in patient.conflicts if c.kind != "different_values" for i in c.entry_ids}
    names: dict[tuple[str, str], str] = {(a.section, code): a.name for a in load_analytes().analyte for code in a.loinc}
    latest: dict[str, AnyEntry] = {}
    for entry in standing:
        if not isinstance(entry, Observation) or not entry.value_display or not entry.date:
            continue
        name = names.get((entry.section, entry.concept.code_in("http://loinc.org") or ""))
        if name in load_policy(purpose).must.latest:
            known = latest.get(name)
            if known is None or sort_key(entry.date)[0] > sort_key(known.date)[0]:
                latest[name] = entry
    same_time = {
        name: [e for e in standing if e.section == one.section and e.date == one.date] for name, one in latest.items()
    }
    alone = [one for name, one in latest.items() if sum(e.concept == one.concept for e in same_time[name]) == 1]
    return found | {e.id for e in alone}


def main() -> None:
    """Measure and print."""
    tokenizer = tokenizer_for(None)
    everybody = [c for c, _ in patients()] + [chart(size) for size in (100, 300, 1_000)]
    print(f"{len(everybody)} patients x {len(get_args(Purpose))} purposes")
    print(
        f"{'budget':>7} {'built':>6} {'recall':>8} {'worst':>7} {'overshoots':>11} {'refused':>8} {'needed number suffices':>23}"
    )
    for budget in BUDGETS:
        hits = total = overshoots = refused = suffices = built = 0
        worst = 1.0
        for patient in everybody:
            for purpose in get_args(Purpose):
                request = ContextRequest(purpose=purpose, budget_tokens=budget)
                try:
                    document: ContextDocument = build_context(patient, request)
                except BudgetTooSmall as error:
                    refused += 1
                    again = build_context(patient, request.model_copy(update={"budget_tokens": error.needed_tokens}))
                    suffices += tokenizer.count(again.text) <= error.needed_tokens
                    continue
                built += 1
                overshoots += tokenizer.count(document.text) > budget
                must = wanted(patient, purpose)
                shown = must & {i for fact in document.facts for i in fact.entry_ids}
                hits, total = hits + len(shown), total + len(must)
                worst = min(worst, len(shown) / len(must) if must else 1.0)
        print(
            f"{budget:>7} {built:>6} {hits / total:>8.4f} {worst:>7.3f} {overshoots:>11} {refused:>8}"
            f" {f'{suffices} of {refused}':>23}"
        )


if __name__ == "__main__":
    main()

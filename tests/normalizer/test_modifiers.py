"""What changes the meaning of a resource from inside it: modifiers, several interpretations, steps out of order, old names."""

from __future__ import annotations

import pytest
from normalizer_kit import cc, chart, condition, flags, observation, one, order, quantity, resource

from context_builder import ContextRequest, build_context, summarize

NEGATED = [{"url": "http://vendor.example/negated", "valueBoolean": True}]


@pytest.mark.parametrize(
    "item",
    [
        condition(text="Asthma", modifierExtension=NEGATED),
        order(modifierExtension=NEGATED),
        observation(valueQuantity=quantity(7.2, "%"), modifierExtension=NEGATED),
        resource("AllergyIntolerance", code=cc(text="Peanut"), modifierExtension=NEGATED),
    ],
)
def test_a_modifier_nobody_can_read_is_told_with_the_fact(item: dict) -> None:
    assert "unread_modifier" in flags(one(item))
    document = build_context(chart(item), ContextRequest())
    (fact,) = document.facts
    assert "meaning changed at the source" in fact.text
    assert any("meaning changed at the source" in s.text for s in summarize(document).statements)
    assert "unread_modifier" not in flags(one({k: v for k, v in item.items() if k != "modifierExtension"}))


@pytest.mark.parametrize(
    ("codes", "told"), [(["N", "H"], "H"), (["H", "N"], "H"), (["U", "HH"], "HH"), (["N"], "N"), (["U", "N"], "U")]
)
def test_of_several_interpretations_the_one_that_calls_for_attention_is_told(codes: list[str], told: str) -> None:
    item = observation(valueQuantity=quantity(7, "%"), interpretation=[cc(c) for c in codes])
    assert one(item).interpretation == told
    assert bool(one(item).abnormal) == (told in ("H", "HH"))


def test_steps_are_told_in_the_order_in_which_they_are_taken() -> None:
    steps = [{"sequence": 2, "text": "then 10 mg"}, {"sequence": 1, "text": "first 5 mg"}, {"text": "with water"}]
    assert [d.text for d in one(order(dosageInstruction=steps)).dosages] == ["first 5 mg", "then 10 mg", "with water"]


def test_a_name_that_was_given_up_comes_last_even_if_it_was_official() -> None:
    maiden = {"use": "official", "family": "Birch", "period": {"end": "2010-05-01"}}
    married = {"use": "official", "family": "Alder", "period": {"start": "2010-05-01"}}
    person = one(resource("Patient", "p", name=[maiden, married]))
    assert person.name == "Alder" and [n.family for n in person.names] == ["Alder", "Birch"]
    later = maiden | {"period": {"end": "2090"}}
    assert one(resource("Patient", "p", name=[later, married])).name == "Birch"

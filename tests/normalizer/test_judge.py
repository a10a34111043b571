"""The strict judge: what the specification's classes refuse, by path and rule, without a value of a patient."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from normalizer_kit import CORPUS, Json, condition, observation, order, quantity, resource

from adapters.normalizer import parse_file
from adapters.normalizer.judge import Rule, Violation, judge

CANARY = "Vantongeren-8812"


def verdict(item: Json, release: str = "R4") -> list[str]:
    found = judge(json.dumps(item).encode(), item["resourceType"], release)
    assert found is not None
    return [f"{v.path} {v.rule}" for v in found]


@pytest.mark.parametrize("item", [condition(), order(), observation(valueQuantity=quantity(7.1, "%"))])
def test_what_the_specification_allows_has_no_violation(item: Json) -> None:
    assert verdict(item) == []


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"status": None}, ["status required"]),
        ({"code": None}, ["code required"]),
        ({"code": [{"text": CANARY}]}, ["code type"]),
        ({"subject": CANARY}, ["subject type"]),
        ({"effectiveDateTime": CANARY}, ["effectiveDateTime format"]),
        ({"effectiveDateTime": "2024-02-31"}, ["effectiveDateTime format"]),
        ({"valueString": CANARY, "valueInteger": 1}, ["Observation choice"]),
        ({"valueQuantity": {"value": CANARY}}, ["valueQuantity.value format"]),
        ({"component": [{"valueString": CANARY}]}, ["component[0].code required"]),
        ({"comments": CANARY}, ["comments unknown_element"]),
        ({CANARY: 1}, ["(unnamed) unknown_element"]),
        ({"note": [{"text": 5}]}, ["note[0].text type"]),
        ({"id": CANARY + " x"}, ["id format"]),
        ({"contained": [{"resourceType": CANARY}]}, ["Observation other"]),
    ],
)
def test_each_breach_is_named_by_path_and_rule(fields: Json, found: list[str]) -> None:
    item = observation(**{k: v for k, v in fields.items() if k not in ("code",)})
    item = {k: v for k, v in (item | fields).items() if v is not None}
    assert verdict(item) == found


def test_bytes_that_are_no_json_break_one_rule() -> None:
    for content in (b"", b"{", b"\xff"):
        assert judge(content, "Patient") == (Violation(path="Patient", rule="json"),)


@pytest.mark.parametrize("kind", ["Nonsense", "medicationorder", "", "../x", "fhirtypes", "Élan"])
def test_types_without_classes_are_not_judged(kind: str) -> None:
    assert judge(b"{}", kind) is None


def test_each_release_is_judged_by_its_own_classes() -> None:
    r5 = resource("Encounter", status="completed", **{"class": [{"text": "x"}]})
    assert verdict(r5, "R5") == [] and verdict(r5, "R4") != []
    r4 = resource("Encounter", status="finished", **{"class": {"code": "AMB"}})
    assert verdict(r4, "R4") == verdict(r4, "R4B") == [] and verdict(r4, "R5") != []
    stu3 = resource("Condition", clinicalStatus="active")
    assert verdict(stu3, "STU3") == [] and verdict(stu3, "R4") != []
    assert judge(b"{}", "Condition", "DSTU2") is None


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.dictionaries(
        st.sampled_from([*observation(), "component", "value", "valueString", CANARY, "x.y"]),
        st.sampled_from([CANARY, [CANARY], {CANARY: CANARY}, 1.5, True, [], {}, None]),
        max_size=6,
    )
)
def test_no_value_and_no_odd_name_is_repeated(fields: dict[str, Any]) -> None:
    item = observation() | fields | {"resourceType": "Observation"}
    found = judge(json.dumps(item).encode(), "Observation")
    assert found is not None
    for violation in found:
        assert CANARY not in str(violation) and violation.rule in get_args(Rule)


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS.exists(), reason="the corpus ../shared/data is absent")
def test_r4b_classes_judge_r4_fairly() -> None:
    """The base of the decision to judge R4 by R4B: real R4 from three makers passes, but for what is really wrong."""
    refused = []
    for name in sorted((CORPUS / "fhir-uscore-examples").glob("*.json")):
        for item in parse_file(name.read_bytes(), name.name, tenant="t", site="s", retrieved="")[0]:
            found = judge(item.content, item.resource_type)
            if found:
                refused.append((item.resource_type, [str(v) for v in found]))
    assert refused == [("DiagnosticReport", ["text.div is required"])]

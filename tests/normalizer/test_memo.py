"""What is read once and remembered: the second reading equals the first, remarks included, and nothing personal stays."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from normalizer_kit import LOINC, SNOMED, Json, cc, condition, observation, one, quantity

from adapters.normalizer import NormalizationRules, memo
from adapters.normalizer.memo import recall
from adapters.normalizer.read import Reader
from models.record import Coding, Concept
from models.terminology.decisions import Decision, Decisions, key_of
from models.terminology.tables import Row


def told(rules: NormalizationRules, item: Json) -> Json:
    return one(item, rules=rules).to_dict()


@pytest.mark.parametrize(
    "code",
    [
        pytest.param({"coding": {"system": LOINC, "code": "4548-4"}}, id="object for a list"),
        pytest.param({"coding": [{"system": LOINC, "code": 45}]}, id="number for a code"),
        pytest.param({"coding": [{"system": "urn:local", "code": "x"}]}, id="local code"),
        pytest.param({"coding": [{"code": "x"}]}, id="no system"),
        pytest.param({"coding": [{"code": "x", "display": 1.50}]}, id="digits"),
        pytest.param({"system": LOINC, "code": "4548-4"}, id="coding for a concept"),
    ],
)
def test_remarks_are_made_every_time_not_only_the_first(code: Json) -> None:
    rules = NormalizationRules()
    first = told(rules, observation(code=code, valueQuantity=quantity(7, "%")))
    assert first["flags"]
    assert told(rules, observation(code=code, valueQuantity=quantity(7, "%"))) == first


@pytest.mark.parametrize(("left", "right"), [(True, 1), (1, "1"), (True, "true"), (False, 0)])
def test_values_that_python_calls_equal_are_told_apart(left: Any, right: Any) -> None:
    def item(value: Any) -> Json:
        return observation(
            code={"coding": [{"system": LOINC, "code": "4548-4", "userSelected": value, "display": value}]}
        )

    rules = NormalizationRules()
    told(rules, item(left))
    assert told(rules, item(right)) == told(NormalizationRules(), item(right))


_CODING = st.fixed_dictionaries(
    {},
    optional={
        "system": st.sampled_from([LOINC, "loinc", SNOMED, "urn:oid:2.16.840.1.113883.6.96", "urn:x", "", 7, None]),
        "code": st.sampled_from(["8480-6", "195967001", " x ", "", 5, 5.0, True, ["a"], {}]),
        "display": st.sampled_from(["Systolic", "", 3, None]),
        "userSelected": st.sampled_from([True, False, 1, "true"]),
    },
)
_CONCEPT = st.one_of(
    st.sampled_from(["x", 5, [], {}]),
    st.fixed_dictionaries(
        {},
        optional={"coding": st.one_of(_CODING, st.lists(_CODING, max_size=2)), "text": st.sampled_from(["a", "b", 1])},
    ),
)
_SHARED = NormalizationRules(
    system_aliases={"urn:x": LOINC}, code_map={f"{SNOMED}|x": f"{LOINC}|1"}, category_hints={"a": "vitals"}
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(code=_CONCEPT, category=st.one_of(_CONCEPT, st.lists(_CONCEPT, max_size=2)), value=_CONCEPT)
def test_a_full_memory_gives_what_an_empty_one_gives(code: Any, category: Any, value: Any) -> None:
    item = observation(code=code, category=category, valueCodeableConcept=value)
    assert told(_SHARED, item) == told(_SHARED.model_copy(), item)


def test_rules_remember_apart() -> None:
    item = observation(code={"coding": [{"system": "urn:x", "code": "8480-6"}]}, valueString="x")
    plain, knowing = NormalizationRules(), NormalizationRules(system_aliases={"urn:x": LOINC})
    assert told(plain, item)["kind"] == "result"
    assert told(knowing, item)["kind"] == "vital"
    told_since = plain.model_copy(update={"system_aliases": {"urn:x": LOINC}})
    assert told(told_since, item)["kind"] == "vital"
    assert told(plain, item)["kind"] == "result"
    assert plain == NormalizationRules() == copy.deepcopy(plain)
    assert "memory" not in plain.model_dump_json()


def test_the_words_beside_a_code_and_results_are_not_remembered() -> None:
    rules = NormalizationRules()
    secret = "since her divorce"
    told(rules, condition(text=secret, note=[{"text": secret}], onsetString=secret))
    told(rules, observation(code=cc("4548-4", secret, LOINC), valueString=secret, category=[cc("exam")]))
    told(rules, observation(code={"text": secret}, valueCodeableConcept=cc("1", secret)))
    assert rules.memory
    assert secret not in repr(rules.memory)


def test_a_concept_remembered_whole_is_shared_and_holds_no_words_but_those_of_its_codes() -> None:
    rules = NormalizationRules()
    code = {"coding": [{"system": LOINC, "code": "4548-4", "display": "Hemoglobin A1c"}]}

    def read(text: str) -> Concept:
        return one(observation(code=code | {"text": text}, valueQuantity=quantity(7, "%")), rules=rules).concept

    assert read("Hemoglobin A1c") is read("Hemoglobin A1c")
    own = read("A1c, drawn after her divorce")
    assert own.text == "A1c, drawn after her divorce" and own.mapping == read("Hemoglobin A1c").mapping
    assert "divorce" not in repr(rules.memory)


def test_what_a_date_a_unit_or_a_decision_can_change_is_asked_every_time() -> None:
    local = {"coding": [{"system": "urn:oid:1.2", "code": "77", "display": "Potassium"}]}
    row = {"system": "1.2", "code": "77", "target_system": "LN"}
    dated = NormalizationRules(
        mapping_rows=(
            row | {"target_code": "2823-3", "effective_to": "2019"},
            row | {"target_code": "6298-4", "effective_from": "2020"},
        )
    )
    by_unit = NormalizationRules(mapping_rows=(row | {"target_code": "2823-3", "unit": "mmol/L"},))
    decided = NormalizationRules()
    told(decided, observation(code=local, valueQuantity=quantity(4, "")))
    key = key_of("observation", [Coding(system="urn:oid:1.2", code="77", display="Potassium")], "", "")
    assert key is not None
    answer = Row(system="urn:oid:1.2", code="77", target_system=LOINC, target_code="6298-4")
    deciding = decided.deciding(Decisions([Decision(key=key, row=answer)]))

    def target(rules: NormalizationRules, date: str, unit: str) -> str | None:
        item = observation(code=local, effectiveDateTime=date, valueQuantity=quantity(4, unit))
        return one(item, rules=rules).concept.code_in(LOINC)

    for _ in range(2):
        assert [target(dated, day, "") for day in ("2018-05-01", "2021-05-01")] == ["2823-3", "6298-4"]
        assert [target(by_unit, "2021", unit) for unit in ("mmol/L", "")] == ["2823-3", None]
        assert [target(rules, "2021", "") for rules in (decided, deciding, decided)] == [None, "6298-4", None]


def test_a_status_list_and_a_code_of_the_same_json_are_remembered_apart() -> None:
    rules = NormalizationRules()
    twisted = [{"coding": [{"code": "active"}], "code": "active"}]
    for item in (condition(category=twisted), condition(severity={"coding": twisted}, clinicalStatus=twisted)):
        assert told(rules, item) == told(NormalizationRules(), item)
    assert told(rules, condition(category=twisted)) == told(NormalizationRules(), condition(category=twisted))


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memo, "MOST_REMEMBERED", 3)
    memory: memo.Memory = {}
    calls: list[str] = []

    def read(_: Reader, raw: str) -> str:
        calls.append(raw)
        return raw.upper()

    for raw in ["a", "b", "c", "d", "a", "x" * memo.MOST_BYTES, "x" * memo.MOST_BYTES, "a"]:
        assert recall(memory, Reader({}), "upper", raw, read) == raw.upper()
        assert len(memory) <= 3
    assert calls == ["a", "b", "c", "d", "a", "x" * memo.MOST_BYTES, "x" * memo.MOST_BYTES]

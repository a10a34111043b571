"""What a decision answers, and what it leaves alone."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.normalizer import NormalizationRules, normalize
from models.record import AnyEntry, Coding, RawResource
from models.terminology.decisions import TABLE, Decision, Decisions, Key, key_of, occurrences
from models.terminology.tables import Row

LOCAL = "urn:oid:1.2.3.4.5"
LOINC = "http://loinc.org"
ROW = Row(target_system=LOINC, target_code="2345-7", display="Glucose", equivalence="equal", confidence=0.95)


def result(code: Any, day: str = "2025-01-01", unit: str = "mg/dL", kind: str = "Observation") -> RawResource:
    body = {"resourceType": kind, "id": "o1", "status": "final", "code": code, "effectiveDateTime": day}
    body |= {"category": [{"coding": [{"code": "laboratory"}]}], "subject": {"reference": "Patient/p1"}}
    body |= {"valueQuantity": {"value": 5, "unit": unit}}
    return RawResource(tenant="t", site="s", resource_type=kind, resource_id="o1", content=json.dumps(body).encode())


def read(raw: RawResource, *decisions: Decision, rules: NormalizationRules | None = None) -> AnyEntry:
    (entry,) = normalize([raw], rules=(rules or NormalizationRules()).deciding(Decisions(decisions))).entries
    return entry


SENT = {"text": "Qzx sugar", "coding": [{"system": LOCAL, "code": "Q1"}]}
KEY = Key("observation", LOCAL, "Q1", "qzx sugar", "mg/dL")


def test_a_decision_maps_and_the_original_stays() -> None:
    entry = read(result(SENT), Decision(key=KEY, row=ROW))
    mapping = entry.concept.mapping
    assert mapping is not None and (mapping.method, mapping.table, mapping.confidence) == ("map_table", TABLE, 0.95)
    assert entry.concept.code_in(LOINC) == "2345-7" and entry.concept.codings[0].code == "Q1"
    assert not entry.has_flag("unmapped_code", "local_code_only", "uncertain_mapping")
    assert [o.how for o in occurrences(entry)] == ["decided"]


@pytest.mark.parametrize(
    "other",
    [
        SENT | {"text": "Qzx salt"},
        SENT | {"coding": [{"system": LOCAL, "code": "Q2"}]},
        SENT | {"coding": [{"system": LOCAL + ".6", "code": "Q1"}]},
        SENT | {"coding": [{"system": LOCAL, "code": "Q1"}, {"system": LOINC, "code": "718-7"}]},
    ],
)
def test_a_decision_is_about_exactly_what_was_decided_and_never_over_a_standard_code(other: Any) -> None:
    entry = read(result(other), Decision(key=KEY, row=ROW))
    assert entry.concept.code_in(LOINC) != "2345-7"
    assert read(result(SENT, unit="mmol/L"), Decision(key=KEY, row=ROW)).concept.target is None


def test_the_sites_own_table_is_asked_first() -> None:
    own = {"system": LOCAL, "code": "Q1", "target_system": LOINC, "target_code": "2339-0"}
    entry = read(result(SENT), Decision(key=KEY, row=ROW), rules=NormalizationRules(mapping_rows=(own,)))
    assert entry.concept.code_in(LOINC) == "2339-0"


@pytest.mark.parametrize(
    ("day", "mapped"), [("2024-12-31", False), ("2025-01-01", True), ("2025-06-30", True), ("2025-07-01", False)]
)
def test_a_decision_holds_from_and_to_its_days(day: str, mapped: bool) -> None:
    row = Row(target_system=LOINC, target_code="2345-7", effective_from="2025-01-01", effective_to="2025-06-30")
    entry = read(result(SENT, day), Decision(key=KEY, row=row))
    assert (entry.concept.target is not None) == mapped
    assert [o.how for o in occurrences(entry)] == ["decided" if mapped else "unmapped"], (
        "counted under the key all the same"
    )


def problem(code: Any) -> RawResource:
    body = {"resourceType": "Condition", "id": "c1", "code": code, "subject": {"reference": "Patient/p1"}}
    body |= {"clinicalStatus": {"coding": [{"code": "active"}]}, "onsetDateTime": "2020"}
    return RawResource(
        tenant="t", site="s", resource_type="Condition", resource_id="c1", content=json.dumps(body).encode()
    )


CONTRADICTED = {"text": "Asthma", "coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "E11.9"}]}
MISMATCH = Key("condition", "http://hl7.org/fhir/sid/icd-10-cm", "E11.9", "asthma", "")


def test_a_code_that_its_words_contradict_can_be_decided_either_way() -> None:
    (found,) = occurrences(read(problem(CONTRADICTED)))
    assert (found.key, found.how) == (MISMATCH, "mismatch")
    icd = MISMATCH.system
    for code in ("J45.909", "E11.9"):  # the words are right; the code is
        row = Row(target_system=icd, target_code=code)
        entry = read(problem(CONTRADICTED), Decision(key=MISMATCH, row=row))
        assert entry.concept.target is not None and entry.concept.target.code == code
        assert not entry.has_flag("code_text_mismatch"), "somebody has looked"
    barred = read(problem(CONTRADICTED), Decision(key=MISMATCH, rejected=((icd, "E11.9"),)))
    assert barred.concept.target is None and barred.has_flag("unmapped_code")
    assert barred.concept.codings[0].code == "E11.9", "what was sent stays"


def test_a_rejected_target_that_the_words_chose_is_not_used() -> None:
    raw = problem({"text": "Hypertension"})
    entry = read(raw)
    target = entry.concept.target
    assert target is not None and entry.concept.mapping and entry.concept.mapping.method == "text_match"
    key = key_of("condition", (), "Hypertension")
    assert key is not None
    assert read(raw, Decision(key=key, rejected=((target.system, target.code),))).concept.target is None
    assert read(raw, Decision(key=key, rejected=((target.system, "other"),))).concept.target == target
    none = read(raw, Decision(key=key, row=Row(equivalence="unmatched")))
    assert none.concept.target is None and [o.how for o in occurrences(none)] == ["decided"]


def test_a_narrative_is_no_wording_to_decide_on_and_scripts_stay_apart() -> None:
    assert key_of("condition", (), "x " * 200) is None
    assert key_of("condition", (Coding(system=LOCAL, code="1"),), "x " * 200) == Key("condition", LOCAL, "1", "", "")
    assert key_of("condition", (), "糖尿病") != key_of("condition", (), "高血压")
    assert key_of("observation", (), "a", "mg") != key_of("observation", (), "a", "µg")


PRESSURE = {"text": "Qzx blood pressure", "coding": [{"system": LOINC, "code": "85354-9"}]}
values = st.one_of(
    st.builds(
        lambda unit, code, system: {"valueQuantity": {"value": 5, "unit": unit, "code": code, "system": system}},
        st.sampled_from(["mg/dL", "MG/DL", "mg/dl", "%", "", "furlong"]),
        st.sampled_from(["", "mg/dL", "junk", "%"]),
        st.sampled_from(["", "http://unitsofmeasure.org", "urn:local"]),
    ),
    st.sampled_from(["5.4 mg/dL", "<0.1", "1:80", "positive"]).map(lambda words: {"valueString": words}),
    st.just({"valueQuantity": {"unit": "mg/dL"}}),
    st.just({"valueQuantity": {"value": "high", "unit": "mg/dL"}}),
    st.just({}),
)


@settings(max_examples=80, derandomize=True, deadline=None)
@given(text=st.text(max_size=30), code=st.text(max_size=8), display=st.text(max_size=12), value=values)
def test_what_an_entry_counts_as_is_what_a_decision_about_it_answers(
    text: str, code: str, display: str, value: dict[str, Any]
) -> None:
    """The key that is counted after reading is the key that is asked while reading: else a decision would change nothing."""
    concept = {"text": text, "coding": [{"system": LOCAL, "code": code, "display": display}]}
    one = with_value(result(concept), value)
    panel = with_value(result(PRESSURE), {"component": [{"code": concept} | value] * 2 + [{"code": PRESSURE}]})
    for raw in (one, panel):
        for entry in normalize([raw]).entries:
            for found in occurrences(entry):
                if found.key.code == "85354-9":
                    continue
                decision = Decisions([Decision(key=found.key, row=ROW)])
                again = normalize([raw], rules=NormalizationRules().deciding(decision)).entries
                (same,) = [e for e in again if e.id == entry.id]
                assert (found.key, "decided") in [(o.key, o.how) for o in occurrences(same)]


def with_value(raw: RawResource, value: dict[str, Any]) -> RawResource:
    body = json.loads(raw.content)
    del body["valueQuantity"]
    return msgspec.structs.replace(raw, content=json.dumps(body | value).encode())


def test_a_documents_type_is_asked_and_counted_as_a_document() -> None:
    raw = result({}, kind="DocumentReference")
    body = json.loads(raw.content) | {"type": {"text": "Qzx summary"}, "date": "2025-01-01T00:00:00Z"}
    raw = msgspec.structs.replace(raw, content=json.dumps(body).encode())
    (found,) = occurrences(read(raw))
    assert found.key == Key("document", "", "", "qzx summary", "")
    note = Row(target_system=LOINC, target_code="34133-9", display="Summary of episode note")
    entry = read(raw, Decision(key=found.key, row=note))
    assert entry.concept.target is not None and entry.concept.target.code == "34133-9"
    glucose = body | {"type": {"text": "Glucose"}}
    entry = read(msgspec.structs.replace(raw, content=json.dumps(glucose).encode()))
    assert entry.concept.target is None, "a document of that name is no laboratory test"
    untyped = body | {"type": None, "description": "Letter about Mrs. Oduya"}
    untyped.pop("type")
    assert not list(occurrences(read(msgspec.structs.replace(raw, content=json.dumps(untyped).encode()))))

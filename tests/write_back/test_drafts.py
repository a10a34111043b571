"""What we would write: valid FHIR, the digits as given, the same identifier for the same words, or a refusal with a code."""

from __future__ import annotations

import base64
import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.fhir.drafts import VITALS, BadDraft, PlanChange, changed_plan, document, observation, provenance
from adapters.normalizer.judge import judge

AT = "2026-11-24T09:30:00-06:00"
PLAN = {
    "resourceType": "CarePlan",
    "id": "c1",
    "status": "active",
    "intent": "plan",
    "subject": {"reference": "Patient/p1"},
    "extension": [{"url": "https://x.example/dose", "valueDecimal": "NUMBER"}],
    "note": [{"text": "Their note."}],
}
CURRENT = json.dumps(PLAN).replace('"NUMBER"', "1.50").encode()


def change(**more: str) -> PlanChange:
    return PlanChange(care_plan="c1", patient="p1", at=AT, **more)


def test_a_vital_sign_keeps_its_digits_and_says_who_measured_it() -> None:
    draft = observation("p1", "body-temperature", "98.60", AT, unit="[degF]", patient_reported=True)
    assert b'"value":98.60' in draft.content
    made = json.loads(draft.content)
    assert made["valueQuantity"]["code"] == "[degF]" and made["code"]["coding"][0]["code"] == "8310-5"
    assert made["performer"] == [{"reference": "Patient/p1"}] and draft.by_patient
    assert "performer" not in json.loads(observation("p1", "heart-rate", "72", AT).content)


def test_a_blood_pressure_is_a_panel_of_two() -> None:
    made = json.loads(observation("p1", "blood-pressure", "120/80", AT).content)
    values = {c["code"]["coding"][0]["code"]: c["valueQuantity"]["value"] for c in made["component"]}
    assert values == {"8480-6": 120, "8462-4": 80} and "valueQuantity" not in made


@pytest.mark.parametrize(
    ("vital", "value", "unit", "code"),
    [
        ("mood", "7", "", "unknown_vital"),
        ("heart-rate", "fast", "", "invalid_value"),
        ("heart-rate", "1e2", "", "invalid_value"),
        ("heart-rate", "-72", "", "invalid_value"),
        ("heart-rate", "72", "bpm", "invalid_unit"),
        ("heart-rate", "720", "", "implausible_value"),
        ("body-temperature", "98.6", "", "implausible_value"),
        ("body-weight", "70000", "[lb_av]", "implausible_value"),
        ("blood-pressure", "120", "", "invalid_value"),
        ("blood-pressure", "80/120", "", "implausible_value"),
        ("blood-pressure", "120/x", "", "invalid_value"),
    ],
)
def test_a_vital_sign_that_cannot_be_is_refused(vital, value, unit, code) -> None:
    with pytest.raises(BadDraft) as error:
        observation("p1", vital, value, AT, unit=unit)
    assert error.value.code == code and value not in str(error.value).replace("120/80", "")


@pytest.mark.parametrize("at", ["", "2026-11-24", "2026-11-24T09:30", "2026-11-24T09:30:00", "now"])
def test_a_time_without_its_zone_is_refused(at) -> None:
    for make in (lambda: observation("p1", "heart-rate", "72", at), lambda: document("p1", "text", at)):
        with pytest.raises(BadDraft) as error:
            make()
        assert error.value.code == "invalid_instant"


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.sampled_from(sorted(VITALS)), st.decimals("0.1", "700", places=2), st.sampled_from(["p1", "p2"]))
def test_every_draft_is_valid_and_two_are_one_exactly_when_they_say_the_same(
    vital: str, value: Decimal, who: str
) -> None:
    try:
        draft = observation(who, vital, str(value), AT)
    except BadDraft as error:
        assert error.code == "implausible_value"
        return
    assert judge(draft.content, "Observation") == ()
    assert draft == observation(who, vital, str(value), AT)
    others = [observation("p3", vital, str(value), AT), observation(who, vital, str(value), AT.replace("09", "10"))]
    assert len({draft.identifier, *(o.identifier for o in others)}) == 3


def test_a_summary_is_a_preliminary_document_and_one_whenever_it_is_written() -> None:
    draft = document("p1", "Known: gout.\x00\u200b\n", AT)
    made = json.loads(draft.content)
    attachment = made["content"][0]["attachment"]
    assert base64.b64decode(attachment["data"]) == b"Known: gout." and attachment["size"] == 12
    assert made["docStatus"] == "preliminary" and "machine" in made["description"]
    later = document("p1", "Known: gout.", AT.replace("24T", "25T"))
    assert later.identifier == draft.identifier != document("p1", "Known: gout", AT).identifier


@pytest.mark.parametrize(("text", "code"), [(" \n", "empty_text"), ("x" * 200_001, "text_too_long")])
def test_a_summary_of_nothing_or_too_much_is_refused(text, code) -> None:
    with pytest.raises(BadDraft) as error:
        document("p1", text, AT)
    assert error.value.code == code


def test_a_plan_is_changed_only_where_asked_and_the_same_change_twice_is_none() -> None:
    asked = change(note="Call on Friday.", activity="Weigh daily", status="on-hold")
    changed = changed_plan(CURRENT, asked)
    assert changed is not None and b"1.50" in changed
    made = json.loads(changed)
    assert made["status"] == "on-hold" and [n["text"] for n in made["note"]] == ["Their note.", "Call on Friday."]
    assert made["activity"] == [{"detail": {"status": "not-started", "description": "Weigh daily"}}]
    assert {k: v for k, v in made.items() if k not in ("status", "note", "activity")} == {
        k: v for k, v in json.loads(CURRENT).items() if k not in ("status", "note")
    }
    assert changed_plan(changed, asked) is None
    assert changed_plan(changed, change(note="Call on Friday.")) is None


@pytest.mark.parametrize(
    ("current", "asked", "code"),
    [
        (CURRENT, change(), "nothing_to_change"),
        (CURRENT, change(status="done"), "invalid_status"),
        (CURRENT, change(note=" "), "empty_text"),
        (b"{", change(note="x"), "wrong_resource"),
        (b'{"resourceType": "CarePlan", "id": "c2"}', change(note="x"), "wrong_resource"),
        (CURRENT.replace(b"Patient/p1", b"Patient/p2"), change(note="x"), "wrong_patient"),
        (CURRENT.replace(b"Patient/p1", b"Group/p1"), change(note="x"), "wrong_patient"),
        (CURRENT.replace(b'"intent"', b'"intend"'), change(note="x"), "invalid_resource"),
    ],
)
def test_a_plan_that_cannot_be_changed_is_refused(current, asked, code) -> None:
    with pytest.raises(BadDraft) as error:
        changed_plan(current, asked)
    assert error.value.code == code


def test_the_provenance_names_the_patient_where_they_reported_it() -> None:
    made = json.loads(provenance("Observation", "o1", "create", AT, "p1"))
    assert [a["who"] for a in made["agent"]] == [{"reference": "Patient/p1"}, {"display": "Chartbrief"}]
    assert made["target"] == [{"reference": "Observation/o1"}] and made["activity"]["coding"][0]["code"] == "CREATE"

"""Encounters, immunizations, procedures and care plans."""

from __future__ import annotations

import pytest
from normalizer_kit import Json, cc, condition, flags, one, quantity, resource


def encounter(**fields: object) -> Json:
    made: Json = {
        "status": "finished",
        "class": {"code": "AMB"},
        "type": [cc("185349003", "Check up")],
        "period": {"start": "2024-01-05T09:00:00Z", "end": "2024-01-05T09:45:00Z"},
    }
    return resource("Encounter", **(made | fields))


@pytest.mark.parametrize(
    ("fields", "remote"),
    [
        ({}, False),
        ({"class": {"code": "IMP"}}, False),
        ({"class": {"code": "VR"}}, True),
        ({"class": {"code": "virtual"}}, True),
        ({"type": [cc("448337001")]}, True),
        ({"type": [cc("99442", system="http://www.ama-assn.org/go/cpt")]}, True),
        ({"type": [cc("", "Video Visit - follow up")]}, True),
        ({"type": [cc("1", display="Telehealth consultation")]}, True),
        ({"location": [{"location": {"display": "Telemedicine room"}}]}, True),
        ({"class": {"code": "OTHER"}}, None),
        ({"class": None}, None),
    ],
)
def test_remote_in_person_or_not_said(fields: Json, remote: bool | None) -> None:
    assert one(encounter(**fields)).telehealth is remote


def test_an_encounter_with_everything_it_refers_to() -> None:
    ward = {"resourceType": "Location", "id": "w", "name": "Ward 7"}
    clinic = {"resourceType": "Organization", "id": "o", "name": "Harbour Clinic"}
    role = {"resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": "Practitioner/d"}}
    doctor = {"resourceType": "Practitioner", "id": "d", "name": [{"text": "Dr. Ada Okafor"}]}
    item = encounter(
        location=[{"location": {"reference": "Location/w"}}],
        serviceProvider={"reference": "Organization/o"},
        participant=[{"individual": {"reference": "PractitionerRole/r"}, "type": [cc("ATND", "attender")]}],
        diagnosis=[{"condition": {"reference": "Condition/c"}, "use": cc("AD", "Admission diagnosis")}],
        reasonCode=[cc("", "Cough")],
        hospitalization={"dischargeDisposition": cc("home", "Home")},
    )
    made = one(item, ward, clinic, role, doctor, condition("c"))
    assert made.location[0].name == "Ward 7" and made.service_provider.name == "Harbour Clinic"
    assert made.participants[0].name == "Dr. Ada Okafor" and made.participants[0].role == "attender"
    assert made.diagnoses[0].name == "Asthma" and made.diagnoses[0].role == "Admission diagnosis"
    assert made.reasons[0].display == "Cough" and made.disposition == "Home" and made.length_hours == 0.75


def test_times_of_an_encounter_are_kept_and_only_exact_ones_are_subtracted() -> None:
    made = one(encounter(period={"start": "2024-01", "end": "2024-01-05T10:00:00Z"}))
    assert (made.start, made.length_hours) == ("2024-01", None)
    turned = one(encounter(period={"start": "2024-02-01", "end": "2024-01-01"}))
    assert "status_conflict" in flags(turned) and turned.end == "2024-01-01"
    assert "missing_date" in flags(one(encounter(period=None)))
    assert "missing_code" in flags(one(encounter(type=None, **{"class": None})))


def test_a_class_in_another_shape_is_read_around() -> None:
    made = one(encounter(**{"class": {"coding": [{"code": "EMER"}]}}))
    assert made.encounter_class == "EMER" and "tolerated" in flags(made)
    assert one(encounter(**{"class": {"display": "Inpatient"}})).encounter_class == "IMP"


@pytest.mark.parametrize(
    ("status", "given"),
    [("completed", True), ("not-done", False), ("entered-in-error", False), (None, None), ("in-progress", None)],
)
def test_only_a_completed_immunization_was_given(status: str | None, given: bool | None) -> None:
    item = resource(
        "Immunization",
        status=status,
        vaccineCode=cc("140", "Influenza", "http://hl7.org/fhir/sid/cvx"),
        occurrenceDateTime="2023-10",
    )
    made = one(item)
    assert made.given is given and made.occurrence == "2023-10"
    assert ("negated" in flags(made)) is (status == "not-done")


def test_a_refused_immunization_keeps_its_reason_and_counts_as_nothing() -> None:
    item = resource("Immunization", status="not-done", statusReason=cc("PATOBJ", "Patient objection"), vaccineCode=cc("", "Influenza"), occurrenceString="autumn 2023", lotNumber="A1", protocolApplied=[{"doseNumberPositiveInt": 2}], primarySource=False)  # fmt: skip
    made = one(item)
    assert (made.given, made.status_reason, made.occurrence_text) == (False, "Patient objection", "autumn 2023")
    assert (made.lot, made.dose_number, made.primary_source) == ("A1", "2", False)
    assert "missing_date" not in flags(made)


@pytest.mark.parametrize(
    ("status", "done"),
    [
        ("completed", True),
        ("not-done", False),
        ("entered-in-error", False),
        ("in-progress", None),
        ("stopped", None),
        (None, None),
    ],
)
def test_only_a_completed_procedure_was_done(status: str | None, done: bool | None) -> None:
    made = one(resource("Procedure", status=status, code=cc("73761001", "Colonoscopy"), performedDateTime="2021"))
    assert made.done is done and made.performed == "2021"
    assert ("negated" in flags(made)) is (status == "not-done")


@pytest.mark.parametrize(
    ("fields", "start", "end", "words"),
    [
        ({"performedDateTime": "2021-03"}, "2021-03", None, ""),
        ({"performedPeriod": {"start": "2021-03-01", "end": "2021-03-02"}}, "2021-03-01", "2021-03-02", ""),
        ({"performedString": "in his youth"}, None, None, "in his youth"),
        ({"performedAge": quantity(12, "a")}, None, None, "age 12 years"),
        ({"performedRange": {"low": quantity(10, "a"), "high": quantity(12, "a")}}, None, None, "age 10 to 12 years"),
        ({"performedDateTime": "spring"}, None, None, "spring"),
        ({}, None, None, ""),
    ],
)
def test_when_a_procedure_was_done(fields: Json, start: str | None, end: str | None, words: str) -> None:
    made = one(resource("Procedure", status="completed", code=cc("", "Appendectomy"), **fields))
    assert (made.performed, made.performed_end, made.performed_text) == (start, end, words)
    assert ("missing_date" in flags(made)) is (not fields)


def plan(**fields: object) -> Json:
    made: Json = {
        "status": "active",
        "intent": "plan",
        "category": [cc("assess-plan", system="x"), cc("", "Diabetes care")],
    }
    return resource("CarePlan", **(made | fields))


def test_a_structured_care_plan() -> None:
    goal = resource("Goal", "g", description={"text": "A1c below 7"})
    activity = {"detail": {"code": cc("", "Walk daily"), "status": "in-progress", "scheduledString": "mornings"}}
    made = one(
        plan(
            activity=[activity, {}],
            goal=[{"reference": "Goal/g"}],
            addresses=[{"reference": "Condition/c"}],
            period={"start": "2024-01"},
        ),
        goal,
        condition("c"),
    )
    assert made.concept.display == "Diabetes care" and made.activity == "active" and made.start == "2024-01"
    assert [(a.text, a.status, a.scheduled) for a in made.activities] == [("Walk daily", "in-progress", "mornings")]
    assert made.goals == ("A1c below 7",) and made.addresses[0].name == "Asthma"


@pytest.mark.parametrize(
    ("fields", "activity"),
    [
        ({"period": {"end": "2024-01-31"}}, "historical"),
        ({"status": "completed"}, "historical"),
        ({"status": "draft"}, "uncertain"),
        ({}, "active"),
    ],
)
def test_which_plans_are_current(fields: Json, activity: str) -> None:
    assert one(plan(**fields)).activity == activity


def test_a_plan_in_words_only_is_text_without_markup() -> None:
    div = "<div xmlns='http://www.w3.org/1999/xhtml'><h2>Plan</h2><p>Walk &lt;30 min&gt;<br/>Eat <b>less</b></p><script>steal()</script><ul><li>one</li><li>two</li></ul></div>"
    made = one(plan(category=None, text={"status": "additional", "div": div}))
    lines = [line for line in made.narrative.split("\n") if line]
    assert lines == ["Plan", "Walk <30 min>", "Eat less", "one", "two"]
    assert "steal" not in made.narrative


def test_a_long_narrative_is_not_cut_inside_its_markup() -> None:
    div = "<div>" + "<p>word</p>" * 3000 + "<p>last</p></div>"
    assert one(plan(text={"div": div})).narrative.endswith("last")
    huge = one(plan(text={"div": f"<div>{'x' * 1_100_000}</div>"}))
    assert "truncated_text" in flags(huge) and len(huge.narrative) == 1_000_000

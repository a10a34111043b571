"""Observation: vital signs, results, social history and surveys, as sources really send them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from normalizer_kit import LOINC, Json, cc, flags, observation, one, quantity, raw, read

from adapters.normalizer import NormalizationRules, normalize
from adapters.normalizer.read import MOST_TOLERATED, Reader
from models.record import Assessment, Result, SocialHistory, Vital


def pressure(systolic: Any = 132, diastolic: Any = 84, **fields: Any) -> Json:
    parts = [
        {"code": cc(code, system=LOINC)}
        | (value if isinstance(value, dict) else {"valueQuantity": quantity(value, "mm[Hg]")})
        for code, value in (("8480-6", systolic), ("8462-4", diastolic))
    ]
    return observation(code="85354-9", **({"component": parts} | fields))


def test_a_blood_pressure_panel_becomes_two_entries_that_say_where_they_stand() -> None:
    systolic, diastolic = read(pressure()).entries
    assert [type(e) for e in (systolic, diastolic)] == [Vital, Vital]
    assert [e.concept.code_in(LOINC) for e in (systolic, diastolic)] == ["8480-6", "8462-4"]
    assert [str(e.value) for e in (systolic, diastolic)] == ["132 mm[Hg]", "84 mm[Hg]"]
    assert [e.origin.path for e in (systolic, diastolic)] == ["component[0]", "component[1]"]
    assert systolic.id != diastolic.id and systolic.effective == diastolic.effective == "2024-03-01"


@pytest.mark.parametrize("code", ["85354-9", "55284-4", "96607-7", "35094-2"])
def test_every_blood_pressure_panel_is_split(code: str) -> None:
    assert len(read(pressure() | {"code": cc(code, system=LOINC)}).entries) == 2


def test_a_panel_under_a_local_code_is_known_by_its_components() -> None:
    assert len(read(pressure() | {"code": cc("BP", "Blood pressure", "urn:oid:1.2.3")}).entries) == 2
    glucose = [{"code": cc("2345-7", system=LOINC), "valueQuantity": quantity(90, "mg/dL")}]
    assert one(observation(code="24323-8", component=glucose)).components[0].value.value == 90


def test_what_qualifies_a_pressure_is_no_vital_sign_of_its_own() -> None:
    panel = pressure()
    panel["component"] += [
        {"code": cc("", "Cuff size"), "valueString": "large"},
        {"code": cc("55428-7", "Number of measurements", LOINC), "valueQuantity": quantity(3, "{#}")},
        {"code": cc("8867-4", "Heart rate", LOINC), "valueQuantity": quantity(71, "/min")},
    ]
    systolic, diastolic, pulse = read(panel).entries
    assert pulse.concept.code_in(LOINC) == "8867-4" and pulse.origin.path == "component[4]"
    for entry in (systolic, diastolic):
        assert [c.concept.display for c in entry.components] == ["Cuff size", "Number of measurements"]


def test_a_missing_half_of_a_pressure_is_a_state_and_not_a_value() -> None:
    absent = {"dataAbsentReason": cc("not-performed", "Not performed")}
    systolic, diastolic = read(pressure(diastolic=absent)).entries
    assert systolic.value.value == 132 and systolic.absent_reason == ""
    assert diastolic.value is None and diastolic.absent_reason == "Not performed"
    assert "missing_value" not in flags(diastolic)
    silent = read(pressure(diastolic={})).entries[1]
    assert "missing_value" in flags(silent) and silent.value_display == ""


def test_the_reason_of_the_panel_is_not_the_reason_of_a_component_with_a_value() -> None:
    systolic, diastolic = read(pressure(diastolic={}, dataAbsentReason=cc("error", "Device error"))).entries
    assert (systolic.absent_reason, diastolic.absent_reason) == ("", "Device error")


def test_the_interpretation_of_a_panel_judges_neither_pressure() -> None:
    own = {"valueQuantity": quantity(110, "mm[Hg]"), "interpretation": [cc("H", system="x")]}
    systolic, diastolic = read(pressure(diastolic=own, interpretation=[cc("L", system="x")])).entries
    assert systolic.abnormal is None and "interpretation of the panel: L" in systolic.notes
    assert diastolic.abnormal is True and diastolic.interpretation == "H"


def test_a_panel_that_says_something_itself_keeps_it() -> None:
    made = read(pressure(valueString="132/84, sitting")).entries
    assert [e.origin.path for e in made] == ["", "component[0]", "component[1]"]
    assert made[0].value_text == "132/84, sitting" and made[0].components == ()


@pytest.mark.parametrize(
    ("digits", "printed"),
    [("7.0", "7.0 %"), ("7.10", "7.10 %"), ("7", "7 %"), ("0.00", "0.00 %"), ("1e2", "100 %"), ("12345678901234567890", "12345678901234567890 %")],
)  # fmt: skip
def test_numbers_keep_the_digits_that_were_sent(digits: str, printed: str) -> None:
    item = observation()
    content = b'{"resourceType":"Observation","id":"1","status":"final","subject":{"reference":"Patient/p"},'
    content += b'"code":{"text":"x"},"valueQuantity":{"unit":"%","value":' + digits.encode() + b"}}"
    entry: Any = normalize([raw(item, content=content)]).entries[0]
    assert str(entry.value) == printed and entry.value.value == float(digits)


def test_bounds_stay_bounds() -> None:
    entry = one(
        observation(valueQuantity=quantity(0.1, "ng/mL", comparator="<"), referenceRange=[{"high": quantity(4)}])
    )
    assert str(entry.value) == "<0.1 ng/mL"
    assert entry.abnormal is None, "a bound is compared with nothing"
    within = one(observation(valueQuantity=quantity("<0.10", "ng/mL")))
    assert (within.value.comparator, within.value.value, within.value.as_sent) == ("<", 0.1, "0.10")
    assert "tolerated" in flags(within)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"valueString": "Trace"}, "Trace"),
        ({"valueCodeableConcept": cc("260385009", "Negative")}, "Negative"),
        ({"valueBoolean": True}, "yes"),
        ({"valueInteger": 3}, "3"),
        ({"valueRange": {"low": quantity(2), "high": quantity(5)}}, "2 to 5"),
        ({"valueRatio": {"numerator": quantity(1), "denominator": quantity(64)}}, "1:64"),
        ({"valuePeriod": {"start": "2024-01"}}, "2024-01 to ?"),
        ({"valueDateTime": "2023-11"}, "2023-11"),
        ({"valueTime": "10:30:00"}, "10:30:00"),
        ({"valueSampledData": {"data": "1 2 3"}}, "sampled data, 3 points"),
        ({"valueQuantity": {"value": "positive", "unit": "titer"}}, "positive titer"),
        ({"valueQuantity": "6.1"}, "6.1"),
    ],
)
def test_every_type_of_value_is_shown(value: Json, text: str) -> None:
    assert one(observation(**value)).value_display == text


@pytest.mark.parametrize(
    "value",
    [{}, {"valueQuantity": {"unit": "%"}}, {"valueCodeableConcept": {}}, {"valueString": "  "}, {"valueRange": {}}],
)
def test_no_value_is_said_to_be_none(value: Json) -> None:
    entry = one(observation(**value))
    assert entry.value_display == "" and entry.value is None
    assert "missing_value" in flags(entry)


def test_a_reason_for_no_value_is_a_state() -> None:
    entry = one(observation(dataAbsentReason=cc("unknown", "Unknown")))
    assert entry.absent_reason == "Unknown" and "missing_value" not in flags(entry)
    both = one(observation(dataAbsentReason=cc("unknown", "Unknown"), valueQuantity=quantity(7, "%")))
    assert both.value.value == 7 and "status_conflict" in flags(both)


@pytest.mark.parametrize(
    ("category", "code", "kind"),
    [
        (["vital-signs"], "8867-4", Vital),
        (["laboratory"], "4548-4", Result),
        (["social-history"], "72166-2", SocialHistory),
        (["survey"], "44261-6", Assessment),
        (["exam"], "29545-1", Assessment),
        (["imaging"], "24627-2", Result),
        ([], "8867-4", Vital),
        ([], "72166-2", SocialHistory),
        ([], "44261-6", Assessment),
        ([], "4548-4", Result),
        (["exam", "vital-signs"], "8867-4", Vital),
        (["exam"], "29463-7", Vital),
        (["survey", "laboratory"], "4548-4", Result),
        (["laboratory"], "2708-6", Result),
        (["ward-round"], "4548-4", Result),
    ],
)
def test_the_section_follows_category_and_code(category: list[str], code: str, kind: type) -> None:
    made = one(observation(code=code, category=[cc(c, system="x") for c in category], valueQuantity=quantity(1, "%")))
    assert type(made) is kind
    assert type(one(observation(code=code, category=[cc(c, system="x") for c in reversed(category)]))) is kind


def test_a_sites_own_category_is_data() -> None:
    rules = NormalizationRules(category_hints={"flowsheet": "vitals"})
    item = observation(code="X9", category=[cc("Flowsheet", system="urn:oid:1.2")])
    assert type(one(item, rules=rules)) is Vital and type(one(item)) is Result


@pytest.mark.parametrize(
    ("fields", "abnormal"),
    [
        ({"valueQuantity": quantity(7, "%"), "referenceRange": [{"low": quantity(4, "%"), "high": quantity(5.6, "%")}]}, True),
        ({"valueQuantity": quantity(5, "%"), "referenceRange": [{"low": quantity(4, "%"), "high": quantity(5.6, "%")}]}, False),
        ({"valueQuantity": quantity(5, "%"), "referenceRange": [{"low": quantity(4, "mmol/mol")}]}, None),
        ({"valueQuantity": quantity(5, "%"), "referenceRange": [{"text": "4 - 5.6"}]}, None),
        ({"valueQuantity": quantity(5, "%"), "referenceRange": [{"high": quantity(6)}, {"high": quantity(4)}]}, None),
        ({"valueQuantity": quantity(5, "%")}, None),
        ({"valueQuantity": quantity(5, "%"), "interpretation": [cc("H", system="x")], "referenceRange": [{"high": quantity(6, "%")}]}, True),
        ({"valueQuantity": quantity(5, "%"), "interpretation": [{"text": "Abnormal High"}]}, True),
        ({"valueCodeableConcept": cc("260385009", "Negative"), "interpretation": [cc("N", system="x")]}, False),
    ],
)  # fmt: skip
def test_abnormal_is_said_by_the_source_else_by_its_range_else_by_nobody(fields: Json, abnormal: bool | None) -> None:
    assert one(observation(**fields)).abnormal is abnormal


def test_reference_ranges_are_kept_as_sent() -> None:
    span = {"low": quantity(4.0, "%"), "high": quantity(5.6, "%"), "appliesTo": [cc("", "adult")], "text": ""}
    made = one(observation(valueQuantity=quantity(5, "%"), referenceRange=[span]))
    assert str(made.reference_ranges[0]) == "4.0-5.6" and made.reference_ranges[0].applies_to == "adult"


@pytest.mark.parametrize(
    ("code", "value", "implausible"),
    [("8480-6", quantity(13, "mm[Hg]"), True), ("8480-6", quantity(130, "mm[Hg]"), False), ("29463-7", quantity(1500, "[lb_av]"), True),
     ("29463-7", quantity(180, "[lb_av]"), False), ("8310-5", quantity(98.6, "Cel"), True), ("8310-5", quantity(98.6, "[degF]"), False),
     ("4548-4", quantity(71, "%"), True), ("8302-2", quantity(175, "furlong"), False)],
)  # fmt: skip
def test_what_no_living_patient_has_is_flagged_and_kept(code: str, value: Json, implausible: bool) -> None:
    made = one(observation(code=code, valueQuantity=value))
    assert ("implausible_value" in flags(made)) is implausible
    assert made.value.value == value["value"]


@pytest.mark.parametrize(
    ("fields", "flag"),
    [
        ({"status": None}, "missing_status"),
        ({"status": "done"}, "unknown_status"),
        ({"status": "entered-in-error"}, "entered_in_error"),
        ({"effectiveDateTime": None}, "missing_date"),
        ({"effectiveDateTime": "last week"}, "invalid_date"),
        ({"effectiveDateTime": "2031"}, "future_date"),
        ({"effectiveDateTime": "2024-07-02T00:00:00Z"}, "future_date"),
        ({"code": None}, "missing_code"),
        ({"code": {"text": "A1c"}}, "text_only"),
        ({"code": cc("4711", "A1c", "urn:oid:1.2.840.114350.1")}, "local_code_only"),
        ({"code": {"coding": [{"code": "4711"}]}}, "unknown_system"),
        ({"code": cc("8867-4", system=LOINC), "valueQuantity": {"value": 70}}, "missing_unit"),
        ({"valueQuantity": {"value": 70, "unit": "furlong"}}, "unknown_unit"),
        ({"subject": None}, "missing_subject"),
        ({"category": {"text": "laboratory"}}, "tolerated"),
    ],
)
def test_what_is_missing_or_odd_is_a_remark_and_not_the_end(fields: Json, flag: str) -> None:
    assert flag in flags(one(observation(**({"valueQuantity": quantity(7, "%")} | fields))))


@pytest.mark.parametrize("moment", ["2024-06", "2024", "2024-06-30", "2024-07-01T01:00:00+14:00", "2024-07-01"])
def test_today_is_no_future_in_any_zone(moment: str) -> None:
    assert "future_date" not in flags(one(observation(effectiveDateTime=moment)))


@pytest.mark.parametrize("when", ["2019", "2019-03", "2019-03-04", "2019-03-04T10:15:00.5+02:00"])
def test_a_date_stays_as_precise_as_it_came(when: str) -> None:
    assert one(observation(effectiveDateTime=when)).date == when


@pytest.mark.parametrize(
    ("fields", "start", "end"),
    [
        ({"effectivePeriod": {"start": "2024-01", "end": "2024-02"}}, "2024-01", "2024-02"),
        ({"effectivePeriod": {"end": "2024-02"}}, "2024-02", "2024-02"),
        ({"effectiveInstant": "2024-01-05T10:00:00Z"}, "2024-01-05T10:00:00Z", None),
        ({"effectiveTiming": {"event": ["2024-01-05"]}}, "2024-01-05", None),
        ({"effectiveDateTime": "2024-01-05 10:15"}, "2024-01-05T10:15", None),
        ({"effectiveDateTime": "20240105"}, "2024-01-05", None),
    ],
)
def test_every_way_to_say_when(fields: Json, start: str, end: str | None) -> None:
    made = one(observation(**({"effectiveDateTime": None} | fields)))
    assert (made.effective, made.effective_end) == (start, end)


def test_entered_in_error_is_said_even_behind_many_other_remarks() -> None:
    reader = Reader({})
    for number in range(200):
        reader.tolerated(f"component[{number}]")
        reader.flag("missing_value", f"component[{number}]")
    reader.flag("entered_in_error", "status")
    said = Counter(f.code for f in reader.flags)
    assert said["tolerated"] == MOST_TOLERATED and said["missing_value"] == 200 and said["entered_in_error"] == 1


def test_the_standard_code_is_preferred_and_the_others_stay() -> None:
    codings = [
        {"system": "urn:oid:1.2.840.114350.1", "code": "1558", "display": "HGBA1C"},
        {"system": "http://loinc", "code": "4548-4"},
    ]
    made = one(observation(code={"coding": codings, "text": "A1c"}))
    assert made.concept.target.system == LOINC and made.concept.target.system_as_sent == "http://loinc"
    assert made.concept.mapping.method == "standard" and made.concept.mapping.confidence == 1.0
    assert made.concept.codings[0].code == "1558" and made.concept.display == "A1c"


def test_a_local_code_is_translated_by_the_profiles_table_and_says_so() -> None:
    rules = NormalizationRules(code_map={"urn:oid:1.2|77": f"{LOINC}|4548-4|Hemoglobin A1c"})
    made = one(observation(code=cc("77", "GlyHb", "urn:oid:1.2")), rules=rules)
    assert made.concept.mapping.method == "map_table" and made.concept.mapping.confidence < 1
    assert made.concept.code_in(LOINC) == "4548-4" and made.concept.mapping.source.code == "77"

"""Dosage instructions: as written where they are, else in English that a nurse would write."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from normalizer_kit import Json, cc, one, order, quantity

from models.record import Dosage

DAILY = {"frequency": 1, "period": 1, "periodUnit": "d"}


def dosage(item: Json) -> Dosage:
    found: Dosage = one(order(dosageInstruction=[item])).dosages[0]
    return found


def dose(value: object, unit: str = "", **more: object) -> Json:
    return {"doseAndRate": [{"doseQuantity": {"value": value} | ({"unit": unit} if unit else {})}]} | more


def dose_range(low: Json | None, high: Json | None, **more: object) -> Json:
    span = ({"low": low} if low else {}) | ({"high": high} if high else {})
    return {"doseAndRate": [{"doseRange": span}]} | more


def every(**repeat: object) -> Json:
    return {"timing": {"repeat": repeat}}


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ({"text": "1 tablet twice daily"} | dose(2, "mg"), "1 tablet twice daily"),
        ({"patientInstruction": "with food"} | dose(2, "mg"), "with food"),
        (dose(1) | every(frequency=2, period=1, periodUnit="d"), "1, 2 times a day"),
        (dose(1) | every(**DAILY), "1 once a day"),
        (dose(500, "mg", route=cc("", "oral")) | every(frequency=2, period=1, periodUnit="d"), "500 mg oral, 2 times a day"),
        (dose(5, "mg", asNeededCodeableConcept=cc("", "pain"), timing={"code": cc("", "QHS")}), "5 mg QHS as needed for pain"),
        (dose(5, "mg", asNeededCodeableConcept=cc("", "as needed")), "5 mg as needed"),
        (dose(5, "mg", asNeededBoolean=False) | every(**DAILY), "5 mg once a day"),
        (dose(5, "mg", asNeededBoolean=True) | every(**DAILY), "5 mg once a day as needed"),
        (
            dose_range(quantity(1, "mg"), quantity(2, "mg"), asNeededBoolean=True) | every(period=6, periodUnit="h"),
            "1 to 2 mg every 6 hours as needed",
        ),
        (dose_range(quantity(500, "mg"), quantity(1, "g")), "500 mg to 1 g"),
        (dose_range({"value": 1, "unit": "tablet"}, {"value": 2, "unit": "tablets"}), "1 to 2 tablets"),
        (dose_range({"value": 1}, {"value": 2, "unit": "tablet"}), "1 to 2 tablets"),
        (dose_range(quantity(5, "mg"), None), "at least 5 mg"),
        (dose_range(None, quantity(5, "mg")), "up to 5 mg"),
        (dose(2, "tablet"), "2 tablets"),
        (dose(1, "tablets"), "1 tablet"),
        (dose(0.5, "TAB"), "0.5 tablet"),
        (dose(2, "{puff}"), "2 puffs"),
        (dose(2, "patch"), "2 patches"),
        (dose(20, "units"), "20 units"),
        (dose(2, "mL"), "2 mL"),
        ({"doseAndRate": [{"rateQuantity": quantity(100, "mL/h")}]}, "at 100 mL/h"),
        (
            {"doseAndRate": [{"rateRatio": {"numerator": quantity(1, "mg"), "denominator": quantity(1, "h")}}]},
            "at 1 mg per hour",
        ),
        (
            {"doseAndRate": [{"rateRatio": {"numerator": quantity(1, "L"), "denominator": quantity(8, "h")}}]},
            "at 1 L per 8 hours",
        ),
        (
            {"doseAndRate": [{"rateRange": {"low": quantity(2, "L/min"), "high": quantity(4, "L/min")}}]},
            "at 2 to 4 L/min",
        ),
    ],
)  # fmt: skip
def test_instructions_in_words(item: Json, text: str) -> None:
    assert dosage(item).text == text


@pytest.mark.parametrize(
    ("repeat", "words"),
    [
        ({"frequency": 1, "period": 1, "periodUnit": "d"}, "once a day"),
        ({"period": 1, "periodUnit": "d"}, "every day"),
        ({"frequency": 3, "period": 1.0, "periodUnit": "wk"}, "3 times a week"),
        ({"frequency": 2, "period": 1, "periodUnit": "h"}, "2 times an hour"),
        ({"frequency": 1, "period": 1, "periodUnit": "h"}, "every hour"),
        ({"frequency": 1, "period": 8, "periodUnit": "h"}, "every 8 hours"),
        ({"period": 4, "periodMax": 6, "periodUnit": "h"}, "every 4 to 6 hours"),
        ({"frequency": 2, "period": 3, "periodUnit": "d"}, "2 times every 3 days"),
        ({"frequency": 2, "frequencyMax": 3, "period": 1, "periodUnit": "d"}, "2 to 3 times a day"),
        ({"frequency": 1, "frequencyMax": 2, "period": 1, "periodUnit": "mo"}, "1 to 2 times a month"),
        ({"frequency": 3}, "3 times"),
        ({"frequency": 1}, "once"),
        ({"when": ["HS"]}, "at bedtime"),
        ({"when": ["MORN", "EVE"]}, "in the morning and in the evening"),
        ({"when": ["AC"], "offset": 30}, "30 minutes before meals"),
        ({"when": ["XYZ"]}, "XYZ"),
        (DAILY | {"timeOfDay": ["08:00:00"]}, "once a day at 08:00"),
        ({"dayOfWeek": ["mon", "wed", "fri"]}, "on Monday, Wednesday and Friday"),
        (DAILY | {"duration": 30, "durationMax": 60, "durationUnit": "min"}, "once a day over 30 to 60 minutes"),
        (DAILY | {"duration": 1, "durationUnit": "h"}, "once a day over 1 hour"),
        (DAILY | {"count": 10}, "once a day (10 doses in all)"),
        ({"count": 1}, "(1 dose in all)"),
    ],
)
def test_timing_in_words(repeat: Json, words: str) -> None:
    assert dosage(dose(5, "mg") | every(**repeat)).frequency == words


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({"boundsPeriod": {"start": "2024-05-01", "end": "2024-05-07T10:00:00Z"}}, "from 2024-05-01 to 2024-05-07"),
        ({"boundsPeriod": {"start": "2024-05-01"}}, "from 2024-05-01"),
        ({"boundsPeriod": {"end": "2024-05-07"}}, "until 2024-05-07"),
        ({"boundsPeriod": {"start": "2024-05-01", "end": "2024-05-01"}}, "on 2024-05-01"),
        ({"boundsDuration": quantity(7, "d")}, "for 7 days"),
        ({"boundsDuration": quantity(1, "wk")}, "for 1 week"),
        ({"boundsDuration": {"value": 2, "unit": "weeks"}}, "for 2 weeks"),
        ({"boundsDuration": {"value": 1}}, ""),
        ({"boundsRange": {"low": quantity(5, "d"), "high": quantity(7, "d")}}, "for 5 to 7 days"),
    ],
)
def test_how_long_in_words(bounds: Json, words: str) -> None:
    assert dosage(dose(5, "mg") | every(**DAILY, **bounds)).text == f"5 mg once a day {words}".strip()


def test_named_days_of_a_single_course() -> None:
    found = dosage(dose(5, "mg", timing={"event": ["2024-05-01", "2024-05-08T08:00:00Z"]}))
    assert found.text == "5 mg on 2024-05-01 and 2024-05-08"


def test_the_amount_and_as_needed_stay_beside_the_words() -> None:
    found = dosage(dose(1, "tablets", asNeededCodeableConcept=cc("", "pain")) | every(**DAILY))
    assert found.dose is not None
    assert (found.dose.value, found.dose.unit, found.as_needed) == (1, "tablets", True)


ANY = st.sampled_from([None, 0, 1, 2, 2.5, -1, "", "2", "d", "h", True, [], ["MORN"], {}, {"value": 1}, [{"value": 2}]])
KEYS = ("frequency", "frequencyMax", "period", "periodMax", "periodUnit", "when", "offset", "dayOfWeek", "timeOfDay",
        "count", "countMax", "duration", "durationUnit", "boundsPeriod", "boundsDuration", "boundsRange")  # fmt: skip


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    repeat=st.dictionaries(st.sampled_from(KEYS), ANY),
    rate=st.dictionaries(st.sampled_from(["doseQuantity", "doseRange", "rateQuantity", "rateRatio", "rateRange"]), ANY),
)
def test_no_shape_loses_the_order_and_words_are_clean(repeat: Json, rate: Json) -> None:
    for made in one(order(dosageInstruction=[{"timing": {"repeat": repeat}, "doseAndRate": [rate]}])).dosages:
        assert made.text == " ".join(made.text.split())
        assert "None" not in made.text
        assert not re.search(r"(?<![-.\d])(?<!to )1 times", made.text)

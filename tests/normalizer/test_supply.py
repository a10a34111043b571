"""How long orders last, what was dispensed, and the proportion of days covered."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from normalizer_kit import RXNORM, Json, cc, one, order, quantity, read, resource

from models.record import Medication
from models.record.supply import covered_days, supplies
from models.terminology.adherence import days_covered

DAILY: Json = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}
TWICE: Json = {"repeat": {"frequency": 2, "period": 1, "periodUnit": "d"}}


def drug(rid: str = "m", use: list[Json] | None = None, name: str = "lisinopril 10 MG tablet", **fields: Any) -> Json:
    supply = {k: fields.pop(k) for k in ("quantity", "numberOfRepeatsAllowed", "expectedSupplyDuration") if k in fields}
    return order(
        rid,
        medicationCodeableConcept=cc("", name, RXNORM),
        authoredOn=fields.pop("authoredOn", "2024-01-01"),
        dosageInstruction=use,
        dispenseRequest=supply or None,
        **fields,
    )


def use(amount: float, timing: Json, unit: str = "tablet", **more: Any) -> list[Json]:
    return [{"timing": timing, "doseAndRate": [{"doseQuantity": {"value": amount, "unit": unit}}]} | more]


@pytest.mark.parametrize(
    ("timing", "times"),
    [
        (DAILY, 1.0),
        (TWICE, 2.0),
        ({"repeat": {"frequency": 1, "period": 8, "periodUnit": "h"}}, 3.0),
        ({"repeat": {"period": 12, "periodUnit": "h"}}, 2.0),
        ({"repeat": {"frequency": 1, "period": 1, "periodUnit": "wk"}}, 0.1429),
        ({"repeat": {"when": ["CM", "CV"]}}, 2.0),
        ({"repeat": {"timeOfDay": ["08:00:00"]}}, 1.0),
        ({"code": {"coding": [{"code": "BID"}]}}, 2.0),
        ({"repeat": {"frequency": 1, "frequencyMax": 2, "period": 1, "periodUnit": "d"}}, None),
        ({"repeat": {"period": 4, "periodMax": 6, "periodUnit": "h"}}, None),
        ({"repeat": {"dayOfWeek": ["mon"], "frequency": 1, "period": 1, "periodUnit": "d"}}, None),
        ({"repeat": {"count": 1}}, None),
        ({}, None),
    ],
)
def test_times_a_day(timing: Json, times: float | None) -> None:
    (dosage,) = one(drug(use=use(1, timing, text="as told") if timing else [{"text": "as told"}])).dosages
    assert dosage.per_day == times


@pytest.mark.parametrize(
    ("item", "days"),
    [
        (drug(expectedSupplyDuration=quantity(30, "d")), 30),
        (drug(expectedSupplyDuration=quantity(30, "d"), numberOfRepeatsAllowed=2), 90),
        (drug(use=use(1, TWICE), quantity={"value": 60, "unit": "tablets"}), 30),
        (drug(use=use(1, TWICE), quantity={"value": 60, "unit": "TAB"}, numberOfRepeatsAllowed=1), 60),
        (drug(use=use(2, DAILY), quantity={"value": 60, "code": "{tablet}"}), 30),
        (drug(use=use(10, DAILY, "mg"), quantity={"value": 30, "unit": "tablet"}), None),  # mg are no tablets
        (drug(use=use(1, DAILY, asNeededBoolean=True), quantity={"value": 30, "unit": "tablet"}), None),
        (drug(use=[*use(1, DAILY), *use(2, DAILY)], quantity={"value": 30, "unit": "tablet"}), None),  # a titration
        (drug(use=use(1, DAILY)), None),
        (drug(expectedSupplyDuration=quantity(3000, "d")), None),
        (drug(expectedSupplyDuration=quantity(30, "d"), authoredOn="2024-01"), None),
        (drug(expectedSupplyDuration=quantity(30, "d"), doNotPerform=True), None),
        (drug(expectedSupplyDuration=quantity(90, "d"), use=[{"text": "x", "timing": {"repeat": {"boundsPeriod": {"start": "2024-01-01", "end": "2024-01-10"}}}}]), 10),
    ],
)  # fmt: skip
def test_days_an_order_covers(item: Json, days: float | None) -> None:
    assert covered_days(one(item)) == days


def fill(
    rid: str, when: str, days: float | None = 30, status: str = "completed", of: str = "MedicationRequest/m"
) -> Json:
    return resource(
        "MedicationDispense", rid, status=status, whenHandedOver=when, authorizingPrescription=[{"reference": of}],
        daysSupply=quantity(days, "d") if days is not None else None,
    )  # fmt: skip


def test_dispenses_stand_with_their_order_and_are_no_drug_of_their_own() -> None:
    made = read(
        drug(expectedSupplyDuration=quantity(30, "d"), numberOfRepeatsAllowed=11),
        fill("d2", "2024-02-05"), fill("d1", "2024-01-03"), fill("d3", "2024-03-01", status="cancelled"),
        fill("d4", "2024-03-01", of="MedicationRequest/other"),
    )  # fmt: skip
    (entry,) = made.entries
    assert isinstance(entry, Medication)
    assert [(d.reference, d.when, d.days_supply) for d in entry.dispenses] == [
        ("MedicationDispense/d1", "2024-01-03", 30),
        ("MedicationDispense/d2", "2024-02-05", 30),
    ]
    assert {made.dispositions[n] for n in made.dispositions if n.startswith("MedicationDispense")} == {"support"}
    assert covered_days(entry) == 60 and {s.basis for s in supplies(entry)} == {"dispensed"}


def test_a_dispense_of_a_bundle_finds_its_order_by_uuid() -> None:
    entry = one(drug("m"), fill("d", "2024-01-03", of="urn:uuid:m"))
    assert [d.when for d in entry.dispenses] == ["2024-01-03"]


def meds(*items: Json) -> list[Medication]:
    return [e for e in read(*items).entries if isinstance(e, Medication)]


def test_days_covered_as_pqa_counts_them() -> None:
    fills = [fill("1", "2024-01-01"), fill("2", "2024-01-21"), fill("3", "2024-04-01")]
    (found,) = days_covered(meds(drug(), *fills), "2024-01-01", "2024-04-30")
    # 30 days, 30 more moved behind them (to March 1), 30 from April 1 on
    assert (found.ingredient, found.first, found.days, found.covered, found.fills) == (
        "lisinopril",
        "2024-01-01",
        121,
        90,
        3,
    )
    assert found.basis == "dispensed" and found.meets_definition and found.proportion == pytest.approx(90 / 121)


def test_the_period_begins_with_its_first_fill_and_ends_with_the_period() -> None:
    fills = [fill("1", "2023-12-15"), fill("2", "2024-02-01", 60)]
    (found,) = days_covered(meds(drug(), *fills), "2024-01-01", "2024-02-29")
    assert (found.first, found.days, found.covered, found.meets_definition) == ("2024-02-01", 29, 29, False)


def test_orders_alone_are_an_upper_bound_and_say_so() -> None:
    item = drug(expectedSupplyDuration=quantity(30, "d"), numberOfRepeatsAllowed=3)
    (found,) = days_covered(meds(item), "2024-01-01", "2024-06-30")
    assert (found.covered, found.basis, found.meets_definition) == (120, "ordered", False)
    assert not days_covered(meds(drug()), "2024-01-01", "2024-06-30")  # nothing says how long it lasts


def test_two_orders_of_one_ingredient_are_counted_together() -> None:
    items = [drug("m", name="Zestril 10 MG"), drug("n", name="lisinopril 20 MG tablet", authoredOn="2024-02-01")]
    fills = [fill("1", "2024-01-01"), fill("2", "2024-02-01", of="MedicationRequest/n")]
    (found,) = days_covered(meds(*items, *fills), "2024-01-01", "2024-04-30")
    assert found.covered == 60 and len(found.orders) == 2


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 200), st.integers(1, 120)), min_size=1, max_size=8), st.randoms())
def test_covered_days_are_days_and_need_no_order(rows: list[tuple[int, int]], chance: Any) -> None:
    def made(pairs: list[tuple[int, int, int]]) -> Any:
        fills = [fill(str(n), (date(2024, 1, 1) + timedelta(days=at)).isoformat(), days) for n, at, days in pairs]
        return days_covered(meds(drug(), *fills), "2024-01-01", "2024-06-30")

    numbered = [(n, at, days) for n, (at, days) in enumerate(rows)]
    shuffled = list(numbered)
    chance.shuffle(shuffled)
    assert made(numbered) == made(shuffled)
    for found in made(numbered):
        inside = [days for at, days in rows if at <= 181]
        assert 0 < found.covered <= min(found.days, sum(inside))


@pytest.mark.parametrize(
    ("item", "activity"),
    [
        (drug(expectedSupplyDuration=quantity(10, "d"), authoredOn="2023-10-01"), "uncertain"),  # nobody closed it
        (drug(use=use(1, TWICE), quantity={"value": 20, "unit": "tablet"}, authoredOn="2023-10-01"), "uncertain"),
        (drug(expectedSupplyDuration=quantity(30, "d"), numberOfRepeatsAllowed=11, authoredOn="2023-10-01"), "active"),
        (drug(expectedSupplyDuration=quantity(10, "d"), authoredOn="2024-03-01"), "active"),
        (drug(authoredOn="2023-10-01"), "active"),
        (drug(use=use(1, TWICE, asNeededBoolean=True), quantity={"value": 20, "unit": "tablet"}, authoredOn="2023-10-01"), "active"),
        (drug(expectedSupplyDuration=quantity(10, "d"), authoredOn="2023-10-01", status="stopped"), "historical"),
    ],
)  # fmt: skip
def test_an_active_order_whose_supply_ended_long_ago_is_unsure(item: Json, activity: str) -> None:
    entry = one(item)
    assert entry.activity == activity and entry.has_flag("stale_active") is (activity == "uncertain")
    assert ("its supply ended 20" in entry.activity_reason) is (activity == "uncertain")


def test_an_order_of_the_last_year_there_is() -> None:
    item = drug(expectedSupplyDuration=quantity(30, "d"), numberOfRepeatsAllowed=999, authoredOn="9999-12-31")
    assert supplies(one(item))[0].end == "9999-12-31"
    (found,) = days_covered(meds(item), "9999-12-01", "9999-12-31")
    assert found.covered <= 1


def test_a_late_fill_keeps_an_order_current() -> None:
    item = drug(expectedSupplyDuration=quantity(30, "d"), authoredOn="2023-07-01")
    assert one(item).activity == "uncertain" and one(item, fill("d", "2024-06-01")).activity == "active"

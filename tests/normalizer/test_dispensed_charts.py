"""Whole charts of medications with what pharmacies handed over: currency, two sources, refills, days covered."""

from __future__ import annotations

import pytest
from normalizer_kit import NOW, RXNORM, Json, cc, chart_of, order, quantity, raw, resource

from adapters.normalizer import normalize
from models.record import Chart, Medication
from models.record.supply import covered_days, supplies
from models.terminology.adherence import days_covered


def drug(rid: str, name: str, written: str, **more: Json) -> Json:
    return order(rid, medicationCodeableConcept=cc("", name, RXNORM), authoredOn=written, **more)


def fill(rid: str, when: str, days: float = 30, of: str = "m", **more: str) -> Json:
    made = {"status": "completed", "whenHandedOver": when, "daysSupply": quantity(days, "d")} | more
    return resource(
        "MedicationDispense", rid, authorizingPrescription=[{"reference": f"MedicationRequest/{of}"}], **made
    )


def made(*here: Json, there: tuple[Json, ...] = ()) -> Chart:
    entries = [e for site, items in (("a", here), ("b", there)) if items for e in normalize([raw(i, site=site) for i in items]).entries]  # fmt: skip
    return chart_of(entries)


def med(chart: Chart, rid: str = "m") -> Medication:
    (found,) = [e for e in chart.of(Medication) if e.origin.resource_id == rid]
    return found


OLD = drug("m", "lisinopril 10 MG tablet", "2021-05-01")


@pytest.mark.parametrize(
    ("fills", "activity", "flagged", "reason"),
    [
        ((), "uncertain", True, "written more than"),
        ((fill("d", "2024-06-01"),), "active", False, "last filled 2024-06-01"),
        ((fill("d", "2021-06-01"),), "uncertain", True, "written more than"),
        ((fill("d", "2024-06-01", status="cancelled"),), "uncertain", True, "written more than"),
        ((fill("d", "2024-06-01", of="other"),), "uncertain", True, "written more than"),
    ],
    ids=["silent", "filled lately", "filled long ago", "not handed over", "another order's"],
)
def test_an_old_order_is_current_by_its_fills_only(
    fills: tuple[Json, ...], activity: str, flagged: bool, reason: str
) -> None:
    entry = med(made(OLD, *fills))
    assert (entry.activity, entry.has_flag("stale_active")) == (activity, flagged) and reason in entry.activity_reason


def test_an_order_whose_last_fill_ran_out_long_ago_is_no_longer_current() -> None:
    recent = drug("m", "lisinopril 10 MG tablet", "2023-07-15")
    assert med(made(recent)).activity == "active", "nothing says how long it lasts"
    entry = med(made(recent, fill("d1", "2023-07-16"), fill("d2", "2023-08-16")))
    assert entry.activity == "uncertain" and "its supply ended 2023-09-14" in entry.activity_reason
    later = med(made(recent, fill("d1", "2023-07-16"), fill("d3", "2024-06-20")))
    assert later.activity == "active" and not later.has_flag("stale_active")


def test_a_stopped_order_stays_stopped_whatever_was_handed_over() -> None:
    stopped = drug("m", "lisinopril 10 MG tablet", "2024-01-01", status="stopped")
    assert med(made(stopped, fill("d", "2024-06-20"))).activity == "historical"


def test_refills_are_what_was_allowed_and_fills_what_happened() -> None:
    allowed = {"numberOfRepeatsAllowed": 2, "expectedSupplyDuration": quantity(30, "d")}
    bare = drug("m", "lisinopril 10 MG tablet", "2024-01-01", dispenseRequest=allowed)
    ordered, filled = med(made(bare)), med(made(bare, fill("d1", "2024-01-05"), fill("d2", "2024-03-05")))
    assert (ordered.refills, covered_days(ordered), [s.fills for s in supplies(ordered)]) == (2, 90, [3])
    assert (filled.refills, covered_days(filled)) == (2, 60)
    assert [(s.begin, s.end, s.basis) for s in supplies(filled)] == [
        ("2024-01-05", "2024-02-03", "dispensed"), ("2024-03-05", "2024-04-03", "dispensed"),
    ]  # fmt: skip
    (found,) = days_covered(made(bare, fill("d1", "2024-01-05"), fill("d2", "2024-03-05")).of(Medication), "2024-01-01", "2024-06-30")  # fmt: skip
    assert (found.first, found.days, found.covered, found.fills, found.basis) == ("2024-01-05", 178, 60, 2, "dispensed")
    assert found.meets_definition


def test_one_drug_of_two_sources_is_told_on_both_and_covered_once() -> None:
    chart = made(
        drug("m", "lisinopril 10 MG tablet", "2024-03-01"), fill("d1", "2024-03-02"),
        there=(drug("n", "Zestril 20 MG tablet", "2024-03-10"), fill("d2", "2024-03-12", of="n")),
    )  # fmt: skip
    here, elsewhere = med(chart, "m"), med(chart, "n")
    flags = {e.id: f for e in (here, elsewhere) for f in e.flags if f.code == "same_drug"}
    assert {i: f.related for i, f in flags.items()} == {here.id: (elsewhere.id,), elsewhere.id: (here.id,)}
    assert "of a, b" in flags[here.id].detail
    assert here.activity == elsewhere.activity == "active", "a remark stops nothing"
    (found,) = days_covered(chart.of(Medication), "2024-03-01", "2024-06-28")
    assert (found.covered, found.fills, len(found.orders)) == (60, 2, 2), "the second supply begins when the first ends"


def test_fills_of_one_site_do_not_reach_the_order_of_another_with_the_same_id() -> None:
    chart = made(drug("m", "lisinopril 10 MG tablet", "2021-05-01"), there=(fill("d", "2024-06-01"), drug("n", "metformin 500 MG", "2024-01-01")))  # fmt: skip
    assert not med(chart).dispenses and med(chart).activity == "uncertain" and NOW > "2024-06-01"

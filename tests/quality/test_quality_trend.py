"""Two reports compared: what got worse, and alerts for what was there and is not any more."""

from __future__ import annotations

from typing import Any

import pytest
from quality_kit import NOW, chart, drug, local, problem, result, visit

from models.quality import NotComparable, QualityReport, Tally, alerts, compare, make_report, measure
from models.record import Chart, Flag, Quantity


def report(*charts: Chart, name: str = "north", scope: Any = "site", **more: Any) -> QualityReport:
    tally = Tally()
    for one in charts:
        tally.merge(measure(one, **more).tally)
    return make_report(tally, scope=scope, name=name, made=NOW)


def test_a_section_that_nobody_has_any_more_is_an_alert() -> None:
    before = report(chart(result(), visit()), chart(visit()))
    (gone,) = compare(before, report(chart(visit()), chart(visit()))).alerts
    assert (gone.code, gone.section, gone.before, gone.before_of, gone.after) == ("section_gone", "labs", 1, 2, 0)
    assert "answered with nothing" in gone.words
    (failed,) = compare(before, report(chart(visit(), states={"labs": "failed"}), chart(visit()))).alerts
    assert "unknown whether there are none" in failed.words
    assert compare(before, before).alerts == ()
    assert compare(report(chart(visit())), before).alerts == (), "more is no loss"


def test_a_share_that_falls_is_an_alert_only_where_a_share_means_something() -> None:
    def some(having: int, of: int) -> QualityReport:
        return report(*([chart(result())] * having + [chart(visit())] * (of - having)))

    assert [a.code for a in compare(some(10, 20), some(8, 20)).alerts if a.section == "labs"] == ["section_shrunk"]
    assert [a for a in compare(some(10, 20), some(9, 20)).alerts if a.section == "labs"] == []
    assert [a for a in compare(some(5, 9), some(2, 9)).alerts if a.section == "labs"] == []


def test_patients_who_lost_a_section_are_an_alert_without_an_earlier_report() -> None:
    (alert,) = alerts(report(chart(visit()), lost=["labs"]))
    assert (alert.code, alert.section, alert.before, alert.before_of) == ("section_lost", "labs", 1, 1)


def test_changes_say_what_got_worse_first_with_their_counts() -> None:
    before = report(chart(drug("1"), drug("2"), problem("1")))
    flagged = result("1", value=Quantity(value=900), flags=(Flag(code="implausible_value"),))
    after = report(chart(drug("1"), drug("2"), problem("1", local()), flagged))
    trend = compare(before, after)
    coding = next(c for c in trend.changes if c.key == "coding/problems")
    assert (coding.before, coding.after, coding.delta, coding.direction) == (1.0, 0.0, -1.0, "worse")
    assert (coding.before_count, coding.before_of, coding.after_count, coding.after_of) == (1, 1, 0, 1)
    new = next(c for c in trend.changes if c.key == "coding/labs")
    assert (new.before, new.delta, new.direction) == (None, None, "unknown"), "nothing was counted then"
    back = compare(after, before)
    assert next(c for c in back.changes if c.key == "coding/problems").direction == "better"
    order = [c.direction for c in trend.changes]
    assert order == sorted(order, key=lambda d: d != "worse")


def test_a_flag_that_is_gone_is_better_and_not_unknown() -> None:
    flagged = result("1", flags=(Flag(code="future_date"),))
    trend = compare(report(chart(flagged, result("2"))), report(chart(result("1"), result("2"))))
    (change,) = [c for c in trend.changes if c.key.startswith("flag/")]
    assert (change.before, change.after, change.direction) == (0.5, 0.0, "better")


def test_nothing_gets_better_by_being_gone() -> None:
    flagged = result("1", flags=(Flag(code="future_date"),))
    trend = compare(report(chart(flagged)), report(chart(states={"labs": "failed"})))
    by_key = {c.key: c for c in trend.changes}
    assert by_key["flag/future_date/labs"].direction == "unknown", "of no entries nobody knows"
    assert (by_key["presence/labs"].before, by_key["presence/labs"].after) == (1.0, None)
    assert {a.code for a in trend.alerts} == {"section_gone"}


def test_different_things_are_not_compared() -> None:
    one = report(chart(visit()))
    for other in (report(chart(visit()), name="south"), report(chart(visit()), scope="files")):
        with pytest.raises(NotComparable):
            compare(one, other)

"""Partial dates: nothing is invented, and answers are given only where every reading of the date agrees."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.record.dates import (
    age_years,
    bounds,
    is_partial_date,
    precision,
    sort_key,
    surely_before,
    within_days,
)

SETTINGS = settings(max_examples=150, deadline=None, derandomize=True)
days = st.dates(min_value=date(1900, 1, 1), max_value=date(2099, 12, 31))
moments = st.datetimes(min_value=datetime(1900, 1, 2), max_value=datetime(2099, 12, 30))
zones = st.sampled_from(["", "Z", "+02:00", "-05:00", "+14:00", "+05:30"])
partial = st.one_of(
    days.map(lambda d: f"{d.year:04d}"),
    days.map(lambda d: f"{d.year:04d}-{d.month:02d}"),
    days.map(lambda d: d.isoformat()),
    st.builds(lambda m, z: m.isoformat(timespec="seconds") + z, moments, zones),
    st.builds(lambda m, z: m.isoformat(timespec="milliseconds") + z, moments, zones),
)


@pytest.mark.parametrize(
    "text",
    [
        "2019",
        "2019-03",
        "2019-02-28",
        "2020-02-29",
        "2019-03-04T10:15",
        "2019-03-04T10:15:00.123456789Z",
        "2016-12-31T23:59:60Z",
    ],
)
def test_what_fhir_allows_is_a_date(text: str) -> None:
    assert is_partial_date(text)
    first, last = bounds(text)
    assert first <= last


@pytest.mark.parametrize(
    "text",
    ["", "19", "2019-13", "2019-02-30", "2019-2-3", "2019-02-29", "0000", "2019-03-04T25:00", "2019-03-04T10", "03/04/2019",
     "2019-03-04\n", "2019-03-04T10:15+0100", " 2019", None, 2019, ["2019"]],
)  # fmt: skip
def test_what_is_no_date_is_refused(text: object) -> None:
    assert not is_partial_date(text)


@SETTINGS
@given(partial)
def test_bounds_hold_every_reading_and_no_more(text: str) -> None:
    assert is_partial_date(text)
    first, last = bounds(text)
    assert first <= last
    width = {"year": (364, 366), "month": (27, 31), "day": (0, 1), "time": (0, 0)}[precision(text)]
    assert timedelta(days=width[0]) <= last - first <= timedelta(days=width[1])
    if precision(text) != "time":
        assert first.isoformat().startswith(text) and last.isoformat().startswith(text)


@SETTINGS
@given(partial, partial)
def test_before_is_strict_and_never_a_guess(left: str, right: str) -> None:
    assert not (surely_before(left, right) and surely_before(right, left))
    assert not surely_before(left, left)
    assert surely_before(left, right) == (bounds(left)[1] < bounds(right)[0])
    if surely_before(left, right):
        assert sort_key(left) < sort_key(right)


@SETTINGS
@given(st.lists(st.one_of(st.none(), partial), max_size=8))
def test_the_order_is_total_and_undated_comes_first(values: list[str | None]) -> None:
    ordered = sorted(values, key=sort_key)
    backwards = values[::-1]
    backwards.sort(key=sort_key)
    assert [sort_key(v) for v in ordered] == [sort_key(v) for v in backwards]
    undated = [v for v in ordered if v is None]
    assert ordered[: len(undated)] == undated


@SETTINGS
@given(partial, st.integers(0, 4000), moments)
def test_an_unsure_date_counts_as_inside_a_window(text: str, length: int, now: datetime) -> None:
    as_of = now.isoformat(timespec="seconds") + "Z"
    end = now.replace(microsecond=0, tzinfo=UTC)
    first, last = bounds(text)
    inside = last >= end - timedelta(days=length) and first <= end
    assert within_days(text, as_of, length) == inside


@SETTINGS
@given(days, days)
def test_an_age_is_told_only_when_every_reading_gives_the_same(born: date, today: date) -> None:
    exact = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    assert age_years(born.isoformat(), today.isoformat()) == (exact if exact >= 0 else None)
    rough = age_years(f"{born.year}", today.isoformat())
    assert rough is None or rough == exact


def test_a_birth_year_alone_decides_the_age_only_on_the_last_day_of_a_year() -> None:
    assert age_years("1958", "2024-06-30") is None
    assert age_years("1958", "2024-12-31") == 66
    assert age_years("1958-04", "2024-06-30") == 66
    assert age_years("1958-06", "2024-06-15") is None

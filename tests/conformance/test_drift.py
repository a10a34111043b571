"""Two checks, and exactly what changed between them."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from conformance_kit import checked, dress_with, drift, told
from fault_kit import hospital
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.conformance import ConformanceReport, compare, compare_with_profile, read_report
from adapters.conformance.evidence import latency
from adapters.conformance.report import (
    Coding,
    Freshness,
    Latency,
    PagingFound,
    Parameter,
    SearchFound,
    TypeFound,
    windows,
)
from adapters.errors import ConfigurationError
from adapters.profile import Profile, Upgrade, load_profile, vendors
from service.practice_ehr import Fault

LOCAL = {
    "name": "ours",
    "types": ("Observation",),
    "paths": ("code",),
    "mode": "instead",
    "share": 1.0,
    "system": "urn:oid:9.9",
}


async def test_nothing_changed_is_no_difference():
    assert await drift() == []


@pytest.mark.parametrize(
    ("fault", "wanted"),
    [
        (Fault(kind="scopes_lied", types=("Condition",)), [("breaks", "search", "Condition")]),
        (Fault(kind="scopes_reduced", types=("Condition",)), [("breaks", "search", "Condition")]),
        (Fault(kind="scopes_reduced", types=("Medication",)), [("degrades", "read", "Medication")]),
        (Fault(kind="status", status=404, resource_type="Practitioner"), [("degrades", "read", "Practitioner")]),
        (Fault(kind="html_login", resource_type="Encounter"), [("breaks", "search", "Encounter")]),
        (Fault(kind="delay", resource_type="Procedure", seconds=0.6), [("degrades", "latency", "Procedure")]),
        (Fault(kind="token_moved"), [("info", "token_endpoint", "site")]),
        (Fault(kind="revoked_client"), [("breaks", "state", "site")]),
        (Fault(kind="bad_entry", resource_type="Immunization"), [("degrades", "quarantine", "Immunization")]),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)  # fmt: skip
async def test_one_fault_is_one_difference(fault, wanted):
    assert told(await drift(fault, tries=1)) == wanted


async def test_a_link_that_dies_breaks_paging():
    found = await drift(Fault(kind="dead_link", resource_type="Observation", page=2), page=3, tries=1)
    assert told(found) == [("breaks", "paging", "Observation")]


@pytest.mark.parametrize(
    ("after", "wanted"),
    [
        (dress_with("", gone=("Procedure",)), [("breaks", "search", "Procedure")]),
        (dress_with("", gone=("Medication",)), [("degrades", "read", "Medication")]),
        (dress_with("Observation", ["_id", "patient"]), [("degrades", "parameter", "Observation category")]),
        (
            dress_with("CarePlan", ["_id", "patient"], unknown_params="refuse"),
            [("breaks", "search", "CarePlan")],
        ),
        (dress_with("", changes={"local_codes": (LOCAL,)}), [("degrades", "coding", "Observation")]),
        (dress_with("", meta={"last_updated": False}), "last_updated"),
        (dress_with("", software="Practice EHR 2"), [("info", "software", "site")]),
    ],
    ids=["type-gone", "read-type-gone", "parameter-ignored", "parameter-refused", "local-codes", "undated", "software"],
)  # fmt: skip
async def test_an_upgrade_of_the_hospital_is_told(after, wanted):
    found = told(await drift(after=after))
    if wanted == "last_updated":
        assert {(s, c) for s, c, _ in found} == {("degrades", "last_updated")} and len(found) >= 10
    else:
        assert found == wanted


async def test_what_comes_back_is_good_news_only():
    with hospital(dress_with("", changes={"local_codes": (LOCAL,)}), auth=True) as ehr:
        ehr.faults.set(Fault(kind="scopes_lied", types=("Condition",)))
        before = await checked(ehr)
    with hospital(auth=True, port=ehr.port) as ehr:
        found = compare(before, await checked(ehr))
    assert told(found) == [("info", "search", "Condition"), ("info", "coding", "Observation")]


async def test_a_check_without_a_patient_is_compared_by_declarations_only():
    with hospital(auth=True) as ehr:
        probed, bare = await checked(ehr), await checked(ehr, None)
        ehr.faults.set(Fault(kind="scopes_reduced", types=("Condition",)))
        reduced = await checked(ehr, None)
    assert told(compare(probed, bare)) == [("degrades", "probes", "site")]
    assert compare(bare, probed) == []
    assert told(compare(bare, reduced)) == [("breaks", "search", "Condition")]


@pytest.mark.parametrize("dress", ["epic", "oracle_health", "athenahealth", "eclinicalworks", "generic"])
async def test_a_dress_gives_what_its_profile_expects(dress):
    with hospital(dress, auth=True) as ehr:
        report = await checked(ehr)
    assert [d for d in compare_with_profile(load_profile(dress), report) if d.severity != "info"] == []


async def test_a_site_that_gives_less_than_its_profile_expects_breaks():
    dress = dress_with("Observation", ["_id", "patient"], gone=("Immunization", "Location"))
    with hospital(dress, auth=True) as ehr:
        ehr.faults.set(Fault(kind="status", status=403, resource_type="CarePlan"))
        report = await checked(ehr)
    assert told(compare_with_profile(load_profile("generic"), report)) == [
        ("breaks", "search", "CarePlan"),
        ("breaks", "search", "Immunization"),
        ("degrades", "read", "Location"),
        ("degrades", "parameter", "Observation category"),
    ]


STATES = st.sampled_from(["present", "empty", "truncated", "failed", "not_supported", "not_authorized", "not_queried"])
COUNTS = st.integers(0, 40)
SEARCHES = st.builds(
    SearchFound,
    params=st.just(()),
    sections=st.just(("labs",)),
    state=STATES,
    evidence=st.sampled_from(["live", "declared"]),
)
TYPES = st.builds(
    TypeFound,
    use=st.sampled_from(["search", "read"]),
    declared=st.sampled_from([True, False, None]),
    granted=st.sampled_from([True, False, None]),
    state=STATES,
    reason=st.sampled_from(["", "HTTP 403"]),
    evidence=st.sampled_from(["live", "declared", "none"]),
    searches=st.dictionaries(st.sampled_from(["Observation?category=laboratory", "Observation"]), SEARCHES, max_size=2),
    params=st.dictionaries(
        st.sampled_from(["patient", "category", "_count"]),
        st.builds(
            Parameter,
            declared=st.sampled_from([True, False, None]),
            live=st.sampled_from(["used", "ignored", "refused", "unclear", "not_probed"]),
        ),
    ),
    latency=st.none() | st.builds(Latency, samples=COUNTS, p50=st.integers(0, 9000), p95=COUNTS, p99=COUNTS),
    outcomes=st.dictionaries(st.sampled_from(["warning/processing", "error/forbidden"]), COUNTS),
    quarantined=st.dictionaries(st.sampled_from(["not_json", "wrong_patient"]), COUNTS),
    coding=st.none() | COUNTS.map(lambda n: Coding(entries=n + 5, standard=n, local=5)),
    freshness=st.none() | COUNTS.map(lambda n: Freshness(resources=n + 1, dated=n)),
    paging=st.none()
    | st.builds(PagingFound, pages=st.integers(1, 2), total=st.booleans(), trouble=st.sampled_from(["", "http_404"])),
)


def report_of(types: dict[str, Any], state: str = "ready") -> ConformanceReport:
    return ConformanceReport(
        site="north", vendor="generic", fhir_base="https://a.example", checked_at="2026-11-01T00:00:00Z", state=state,
        probed=True, types=types,
    )  # fmt: skip


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.dictionaries(st.sampled_from(["Observation", "Medication"]), TYPES),
    st.dictionaries(st.just("Observation"), TYPES),
)
def test_a_report_never_differs_from_itself_and_any_two_can_be_compared(one, other):
    assert compare(report_of(one), report_of(one)) == []
    found = compare(report_of(one), report_of(other))
    assert found == sorted(found, key=lambda d: (["breaks", "degrades", "info"].index(d.severity), d.where, d.code))
    assert all(d.before != d.after for d in found)
    assert ConformanceReport.model_validate_json(report_of(one).model_dump_json()) == report_of(one)


@settings(max_examples=50, derandomize=True)
@given(st.lists(st.floats(0, 60), min_size=1))
def test_percentiles_are_samples_in_order(seconds):
    found = latency(seconds)
    assert found.p50 <= found.p95 <= found.p99 == round(max(seconds) * 1000) or found.p99 <= round(max(seconds) * 1000)
    assert {found.p50, found.p95, found.p99} <= {round(s * 1000) for s in seconds}


@pytest.mark.parametrize(
    ("today", "wanted"),
    [(date(2026, 11, 24), "2026-11"), (date(2026, 12, 1), "2027-02"), (date(2026, 3, 1), "2026-05")],
)
def test_the_calendar_note_names_the_next_month(today, wanted):
    upgrade = Upgrade(
        name="versions",
        months=(2, 5, 8, 11),
        note="new versions four times a year",
        source="somewhere said",
        date=today,
    )
    assert windows((upgrade,), today)[0].next_month == wanted
    assert windows((upgrade.model_copy(update={"months": ()}),), today)[0].next_month == ""


def test_upgrade_windows_are_strict_data_with_their_source():
    found = {v: load_profile(v).upgrades for v in vendors()}
    assert found["epic"][0].months == (2, 5, 8, 11)
    for rows in found.values():
        for row in rows:
            assert row.source and date(2025, 1, 1) < row.date < date(2027, 1, 1)
    own = {
        "name": "own",
        "months": [13],
        "note": "the hospital's own weekend",
        "source": "its help desk",
        "date": date(2026, 1, 1),
    }
    with pytest.raises(ConfigurationError, match="months"):
        load_profile("generic", {"upgrades": [own]})
    assert Profile.model_fields["upgrades"].default == ()


def test_a_file_that_is_no_report_says_so(tmp_path: Path):
    for name, content in (
        ("a.json", "{}"),
        ("b.json", "nonsense"),
        ("c.json", report_of({}).model_dump_json().replace('"schema_version":1', '"schema_version":2')),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(ConfigurationError, match=name) as caught:
            read_report(tmp_path / name)
        assert caught.value.code == "not_a_report"
    with pytest.raises(ConfigurationError) as caught:
        read_report(tmp_path / "none.json")
    assert caught.value.code == "file_not_found"

"""The promises under fault (F01 to F07, F10, F11), each measured against the practice EHR.

N nothing lost, D nothing doubled, L nothing leaked, V visible in the coverage. `contents` of a run under a fault that
passes equals that of the fault-free run; under one that does not pass, the coverage says so and the rest is there.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager

import pytest
from adapter_kit import Clock, balanced, opened, site_at
from fault_kit import PATIENT, at, contents, hospital, keys, refresh

from adapters.smart.tokens import MemoryTokens
from models.record import SECTIONS
from service.practice_ehr import Fault, PracticeEhr

GOOD = ("present", "empty")


def answered(dress: str) -> str:
    """The state of a section that came whole: one dress says in every answer that it holds something back."""
    return "filtered" if dress == "epic" else "present"


@pytest.fixture(scope="module")
def open_ehr():
    with hospital(vitals=20) as ehr:
        yield ehr


@pytest.fixture(scope="module")
def dressed():
    """Open hospitals by dress, started when first asked for."""
    running: dict[str, PracticeEhr] = {}

    def one(dress: str) -> PracticeEhr:
        if dress not in running:
            running[dress] = hospital(dress).start()
        running[dress].faults.clear()
        running[dress].state.requests.clear()
        return running[dress]

    yield one
    for ehr in running.values():
        ehr.stop()


@pytest.fixture(scope="module")
def clean(open_ehr):
    return asyncio.run(refresh(open_ehr, page=5))


@contextmanager
def faulty(ehr: PracticeEhr, *faults: Fault):
    ehr.faults.set(*faults)
    ehr.state.requests.clear()
    try:
        yield ehr
    finally:
        ehr.faults.clear()


def unhurt(fetches, clean, *hurt):
    """Every section but the hurt ones is as without the fault; every account balances."""
    for section in set(SECTIONS) - set(hurt):
        assert fetches[section].coverage.state == clean[section].coverage.state, section
        assert contents({section: fetches[section]}) == contents({section: clean[section]}), section
    assert all(balanced(f) for f in fetches.values())


# --- F01


@pytest.mark.parametrize("given", ["2", "date:3", None])
async def test_f01_a_429_that_passes_loses_nothing_and_is_waited_for(open_ehr, clean, given):
    clock = Clock()
    fault = Fault(kind="status", resource_type="Condition", status=429, retry_after=given, times=2)
    with faulty(open_ehr, fault) as ehr:
        fetches = await refresh(ehr, clock, page=5)
        seen = [r.status for r in ehr.requests if r.resource_type == "Condition"]
    assert seen[:3] == [429, 429, 200] and contents(fetches) == contents(clean)
    if given:
        assert sum(clock.slept) >= 4, "twice two seconds at least"
    assert clock.at <= 60


@pytest.mark.parametrize("given", ["18000", "999999999", "date:90000"])
async def test_f01_an_absurd_wait_ends_the_section_and_no_call_comes_before_its_time(open_ehr, clean, given):
    clock = Clock()
    with faulty(open_ehr, Fault(kind="status", resource_type="Observation", status=429, retry_after=given)) as ehr:
        fetches = await refresh(ehr, clock, page=5, max_wait_seconds=30, concurrency=1)
        assert sum(r.resource_type == "Observation" and r.interaction == "search" for r in ehr.requests) == 1
    hurt = ("vitals", "labs", "social_history", "assessments")
    assert {fetches[s].coverage.state for s in hurt} == {"failed"} and sum(clock.slept) < 30
    assert any("http_429" in fetches[s].coverage.reason for s in hurt)
    unhurt(fetches, clean, *hurt, "reports")
    assert fetches["reports"].coverage.state == "present" and fetches["reports"].coverage.missing == 1, (
        "its result is behind the 429"
    )


# --- F02


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_f02_a_burst_passes(open_ehr, clean, status):
    with faulty(open_ehr, Fault(kind="status", status=status, body="html", times=6)) as ehr:
        fetches = await refresh(ehr, Clock(), page=5, tries=8)
    assert contents(fetches) == contents(clean)


@pytest.mark.parametrize("status", [500, 503])
async def test_f02_what_stays_broken_is_failed_after_bounded_tries_and_the_rest_is_served(open_ehr, clean, status):
    with faulty(open_ehr, Fault(kind="status", resource_type="Condition", status=status)) as ehr:
        fetches = await refresh(ehr, Clock(), page=5)
        assert sum(r.resource_type == "Condition" for r in ehr.requests) == 4
    assert fetches["problems"].coverage.state == "failed" and f"http_{status}" in fetches["problems"].coverage.reason
    unhurt(fetches, clean, "problems")


# --- F03


@pytest.mark.parametrize("kind", ["reset", "cut"])
async def test_f03_broken_connections(open_ehr, clean, kind):
    with faulty(open_ehr, Fault(kind=kind, resource_type="Condition", times=2)) as ehr:
        assert contents(await refresh(ehr, Clock(), page=5)) == contents(clean)
    with faulty(open_ehr, Fault(kind=kind, resource_type="Condition")) as ehr:
        async with at(ehr, Clock(), page=5) as source:
            fetches = {f.section: f for f in await source.fetch_patient(PATIENT)}
            assert idle_connections(source) <= source.profile.limits.concurrency
            assert busy_connections(source) == 0
    assert fetches["problems"].coverage.state == "failed" and fetches["problems"].coverage.reason == "connection_failed"
    unhurt(fetches, clean, "problems")


def idle_connections(source) -> int:
    return sum(c.is_idle() for c in source._http._gate._inner._pool.connections)


def busy_connections(source) -> int:
    return sum(not c.is_idle() and not c.is_closed() for c in source._http._gate._inner._pool.connections)


# --- F04


@pytest.mark.parametrize("kind", ["drip", "delay"])
async def test_f04_the_total_deadline_trips(open_ehr, clean, kind):
    fault = Fault(kind=kind, resource_type="Condition", seconds=0.1 if kind == "drip" else 30.0)
    with faulty(open_ehr, fault) as ehr:
        began = time.monotonic()
        async with at(ehr, Clock(), page=5, request_seconds=1.5, tries=1) as source:
            fetches = {f.section: f for f in await source.fetch_patient(PATIENT)}
            assert busy_connections(source) == 0
    assert time.monotonic() - began < 20
    assert fetches["problems"].coverage.state == "failed" and fetches["problems"].coverage.reason == "timeout"
    unhurt(fetches, clean, "problems")


async def test_f04_bodies_without_end_meet_the_cap(open_ehr, clean):
    with faulty(open_ehr, Fault(kind="huge_line", resource_type="Condition", size=3_000_000)) as ehr:
        fetches = await refresh(ehr, Clock(), page=5, max_body_bytes=1_000_000)
    assert fetches["problems"].coverage.state == "failed" and "too_large" in fetches["problems"].coverage.reason
    unhurt(fetches, clean, "problems")


# --- F05


@pytest.mark.parametrize(
    ("fault", "state", "kept"),
    [
        (Fault(kind="bad_entry", resource_type="Condition"), "present", 5),
        (Fault(kind="wrong_entries", resource_type="Condition"), "present", 5),
        (Fault(kind="deep", resource_type="Condition"), "present", 4),
        (Fault(kind="huge_line", resource_type="Condition", size=2_000_000), "present", 5),
        (Fault(kind="truncated_json", resource_type="Condition"), "truncated", None),
        (Fault(kind="html_login", resource_type="Condition"), "failed", 0),
        (Fault(kind="wrong_resource", resource_type="Condition"), "failed", 0),
        (Fault(kind="operation_outcome", resource_type="Condition"), "failed", 0),
    ],
    ids=lambda v: v.kind if isinstance(v, Fault) else None,
)
async def test_f05_bad_parts_go_to_quarantine_and_the_rest_of_the_page_is_kept(open_ehr, clean, fault, state, kept):
    with faulty(open_ehr, fault) as ehr:
        fetches = await refresh(ehr, Clock(), page=20)
    problems = fetches["problems"]
    assert problems.coverage.state == state, problems.coverage
    assert len(keys(problems)) == kept if kept is not None else 0 < len(keys(problems)) < 5
    if fault.kind != "huge_line":
        assert problems.rejected and not problems.coverage.complete
        assert all(r.content and r.reason and r.section == "problems" for r in problems.rejected)
    unhurt(fetches, clean, "problems")


async def test_f05_a_body_that_is_cut_once_is_asked_for_again(open_ehr, clean):
    with faulty(open_ehr, Fault(kind="truncated_json", resource_type="Condition", times=1)) as ehr:
        assert contents(await refresh(ehr, Clock(), page=5)) == contents(clean)


# --- F06


@pytest.mark.parametrize("dress", ["epic", "oracle_health", "athenahealth"])
async def test_f06_a_token_endpoint_that_moves_is_found_again(dress):
    with hospital(dress, auth=True) as ehr:
        expected = await refresh(ehr)
        async with at(ehr) as source:
            await source.discover()
            ehr.faults.set(Fault(kind="token_moved"))
            ehr.state.auth.revoke_tokens()
            ehr.state.requests.clear()
            fetches = {f.section: f for f in await source.fetch_patient(PATIENT)}
            found = [r.interaction for r in ehr.requests].count("smart-configuration")
        assert contents(fetches) == contents(expected) and found == 1


# --- F07


@pytest.mark.parametrize("dress", ["generic", "epic", "oracle_health"])
async def test_f07_a_token_that_dies_at_page_k_for_every_k(dress):
    """Exactly one refresh; no page lost or twice."""
    with hospital(dress, auth=True, vitals=20) as ehr:
        async with at(ehr, page=4) as source:
            expected = keys(await source.fetch(PATIENT, "vitals"))
            pages = sum(r.interaction == "search" for r in ehr.requests)
        assert len(expected) == 20 and pages >= 5
        for k in range(1, pages + 1):
            ehr.faults.set(Fault(kind="expire_token", resource_type="Observation", first=k, times=1))
            ehr.state.requests.clear()
            async with at(ehr, page=4) as source:
                fetched = await source.fetch(PATIENT, "vitals")
            assert keys(fetched) == expected and fetched.coverage.state == answered(dress)
            assert ehr.state.token_calls == 2, k
            statuses = [r.status for r in ehr.requests if r.interaction == "search"]
            assert statuses.count(200) == pages and 401 in statuses, "each page once"
            assert balanced(fetched)


async def test_f07_all_sections_under_way_share_the_refresh():
    with hospital(auth=True) as ehr:
        expected = await refresh(ehr)
        async with at(ehr, concurrency=14) as source:
            await source.discover()
            ehr.state.requests.clear()
            ehr.state.auth.revoke_tokens()
            fetches = {f.section: f for f in await source.fetch_patient(PATIENT)}
        assert contents(fetches) == contents(expected) and ehr.state.token_calls == 1


async def test_f08_a_revoked_client_costs_one_call_and_is_told_everywhere():
    with hospital(auth=True) as ehr:
        async with at(ehr) as source:
            await source.discover()
            ehr.faults.set(Fault(kind="revoked_client"))
            ehr.state.requests.clear()
            fetches = await source.fetch_patient(PATIENT)
        assert {f.coverage.state for f in fetches} == {"not_authorized"} and ehr.state.token_calls == 1
        assert all("needs_reauthorization" in f.coverage.reason for f in fetches)


# --- F10


@pytest.mark.parametrize(
    ("kind", "state", "reason"),
    [
        ("self_loop", "truncated", "paging_loop"),
        ("a_b_a", "truncated", "paging_loop"),
        ("endless", "truncated", "paging_endless"),
        ("foreign_link", "truncated", "egress_"),
        ("duplicates", "present", ""),
        ("empty_page", "present", ""),
        ("long_link", "present", ""),
        ("dead_link", "truncated", "a page was lost"),
    ],
)
@pytest.mark.parametrize("dress", ["generic", "epic", "oracle_health", "athenahealth"])
async def test_f10_paging_traps(dressed, dress, kind, state, reason):
    ehr = dressed(dress)
    async with at(ehr, Clock(), page=2) as source:
        expected = keys(await source.fetch(PATIENT, "problems"))
        ehr.faults.set(Fault(kind=kind))
        ehr.state.requests.clear()
        fetched = await source.fetch(PATIENT, "problems")
    assert len(expected) == 5 and len(ehr.requests) <= 25
    wanted = answered(dress) if state == "present" else state
    assert fetched.coverage.state == wanted and reason in fetched.coverage.reason, fetched.coverage
    got = keys(fetched)
    assert len(got) == len(set(got)) and set(got) <= set(expected) and balanced(fetched)
    if state == "present":
        assert got == expected and fetched.coverage.missing == 0
    else:
        assert got and not fetched.coverage.complete


@pytest.mark.parametrize("dress", ["generic", "epic", "oracle_health", "athenahealth"])
@pytest.mark.parametrize("first", [1, 2])
async def test_f10_a_session_that_dies_once_is_begun_anew(dressed, dress, first):
    ehr = dressed(dress)
    async with at(ehr, Clock(), page=2) as source:
        expected = keys(await source.fetch(PATIENT, "problems"))
        ehr.faults.set(Fault(kind="dead_link", first=first, times=1))
        fetched = await source.fetch(PATIENT, "problems")
    assert keys(fetched) == expected and fetched.coverage.state == answered(dress)


# --- F11


@pytest.mark.parametrize("seconds", [-50, -30, 30, 50])
async def test_f11_a_clock_that_differs_within_the_leeway_does_not_matter(seconds):
    with hospital(auth=True) as ehr:
        expected = await refresh(ehr)
        ehr.faults.set(Fault(kind="clock_skew", seconds=seconds))
        assert contents(await refresh(ehr)) == contents(expected) and ehr.state.token_calls == 2


async def test_f11_a_token_that_the_site_thinks_expired_is_replaced_and_a_second_read_is_harmless():
    tokens = MemoryTokens()
    with hospital(auth=True) as ehr:
        site = site_at(ehr.base_url, auth="backend")
        runs = []
        for skew in (0, 600):  # ten minutes ahead: yesterday's token is dead there, alive here
            ehr.faults.set(Fault(kind="clock_skew", seconds=skew)) if skew < 60 else ehr.state.auth.revoke_tokens()
            async with opened(site, tokens=tokens) as source:
                runs.append(contents({f.section: f for f in await source.fetch_patient(PATIENT)}))
        assert runs[0] == runs[1] and ehr.state.token_calls == 2


# --- any mixture


@pytest.mark.parametrize("seed", range(4))
async def test_several_faults_at_once_keep_the_account(open_ehr, clean, seed):
    import random

    pick = random.Random(seed)
    types = [
        "Observation",
        "Condition",
        "Encounter",
        "MedicationRequest",
        "DocumentReference",
        "Practitioner",
        "Binary",
    ]
    kinds = [
        "status",
        "reset",
        "truncated_json",
        "html_login",
        "bad_entry",
        "duplicates",
        "empty_page",
        "dead_link",
        "wrong_entries",
    ]
    faults = [
        Fault(kind=pick.choice(kinds), resource_type=pick.choice(types), first=pick.randint(1, 3), times=pick.choice([1, 2, None]), status=pick.choice([401, 403, 404, 429, 500]))
        for _ in range(5)
    ]  # fmt: skip
    with faulty(open_ehr, *faults) as ehr:
        fetches = await refresh(ehr, Clock(), page=4)
    for section, fetch in fetches.items():
        assert balanced(fetch)
        whole = contents({section: fetch}) >= contents({section: clean[section]})
        assert whole or not fetch.coverage.complete, f"{section} lost something and says it did not"
        assert contents({section: fetch}) <= contents(clean) | contents({section: clean[section]})

"""Tokens a person's authorization gave, under fault: F06 to F09 with refresh tokens that are good for one use.

The oracle is the practice hospital: a refresh token used twice ends the whole authorization there.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from adapter_kit import Clock, Reply, WireServer, balanced, bundle, observation, opened, routes, site_at
from fault_kit import PATIENT, contents, record
from sign_in_kit import app_at, count, params, sign_in

from adapters.errors import AuthorizationError, SiteUnavailable
from adapters.smart.tokens import MemoryTokens, Token
from adapters.source import Source
from service.practice_ehr import Fault, PracticeEhr
from service.settings import Settings
from service.store import Store
from service.workflows.site_work import check_site, refresh_site

REDIRECT = "http://127.0.0.1:1/smart/callback"
CLIENT = "client-1"


@pytest.fixture(scope="module")
def ehr() -> Iterator[PracticeEhr]:
    with PracticeEhr("north", record(), apps={CLIENT: app_at(REDIRECT)}) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_faults(ehr: PracticeEhr) -> None:
    ehr.faults.clear()


def site_of(ehr: PracticeEhr, **limits: Any) -> Any:
    overrides = {"paging": {"count": 3}}
    more = {"redirect_uri": REDIRECT, "client_auth": "none", "overrides": overrides}
    return site_at(ehr.base_url, auth="standalone", limits=limits, **more)


async def authorized(ehr: PracticeEhr, tokens: Any, **more: Any) -> Any:
    """The site, and its token in the store, as the callback would have put it there."""
    site = site_of(ehr)
    async with Source("t1", site, tokens=tokens, **more) as source:
        url, kept = await source.begin_launch()
        back = await asyncio.to_thread(sign_in, url, PATIENT)
        await tokens.put(site.name, await source.finish_launch(kept, params(back)))
    return site


async def read(site: Any, tokens: Any, **more: Any) -> dict[str, Any]:
    async with opened(site, tokens=tokens, **more) as source:
        return {f.section: f for f in await source.fetch_patient(PATIENT)}


def answered_pages(ehr: PracticeEhr, start: int) -> Counter[tuple[int, int]]:
    """How often each page of the Observation searches since then was answered, by its number and its size."""
    seen = [s for s in ehr.requests[start:] if s.resource_type == "Observation" and s.interaction == "search"]
    return Counter((s.page, s.count) for s in seen if s.status == 200)


async def test_token_death_at_every_page_is_one_refresh_and_the_same_chart(ehr: PracticeEhr) -> None:
    """F07 for every k, with a refresh token that changes each time."""
    tokens = MemoryTokens()
    site = await authorized(ehr, tokens)
    start = len(ehr.requests)
    expected = await read(site, tokens)
    walked = answered_pages(ehr, start)
    assert walked.total() >= 7, "pages of Observations, of four searches"
    for k in range(1, walked.total() + 1):
        ehr.faults.set(Fault(kind="expire_token", resource_type="Observation", interaction="search", first=k, times=1))
        before, start = ehr.state.token_calls, len(ehr.requests)
        held = await tokens.get(site.name)
        fetches = await read(site, tokens)
        assert contents(fetches) == contents(expected), k
        assert answered_pages(ehr, start) == walked, "each page was answered once"
        assert any(seen.status == 401 for seen in ehr.requests[start:]), k
        assert all(balanced(fetch) for fetch in fetches.values())
        assert {f.coverage.state for f in fetches.values()} == {f.coverage.state for f in expected.values()}
        assert ehr.state.token_calls == before + 1, k
        assert (await tokens.get(site.name)).refresh_token != held.refresh_token


async def test_twenty_parallel_401s_in_one_process_are_one_refresh(ehr: PracticeEhr) -> None:
    tokens = MemoryTokens()
    site = await authorized(ehr, tokens)
    async with opened(site, tokens=tokens) as source:
        await source.discover()
        before, start = ehr.state.token_calls, len(ehr.requests)
        ehr.state.auth.revoke_tokens()
        url = f"{ehr.base_url}/Observation?patient={PATIENT}&n="
        answers = await asyncio.gather(*(source.get(f"{url}{n}", "Observation") for n in range(20)))
    assert {a.status for a in answers} == {200} and ehr.state.token_calls == before + 1
    statuses = [seen.status for seen in ehr.requests[start:] if seen.resource_type == "Observation"]
    assert (statuses.count(401), statuses.count(200)) == (20, 20), "all were refused, and all came through"


def test_twenty_threads_over_two_stores_are_one_refresh(ehr: PracticeEhr, settings: Settings, store: Store) -> None:
    """F09: two processes of one database, each with ten threads; the rotated refresh token is used by nobody twice."""
    other = Store(settings)  # what another process has: its own connections and locks
    site = asyncio.run(authorized(ehr, store.tokens("t1")))
    refused = asyncio.run(store.tokens("t1").get(site.name))
    ehr.state.auth.revoke_tokens()
    ehr.faults.set(Fault(kind="delay", resource_type="token", seconds=0.4))  # whoever is not held back overtakes
    before, found, start = ehr.state.token_calls, list[Any](), threading.Barrier(20)

    def one(own: Store) -> None:
        async def ask() -> Any:
            async with opened(site, tokens=own.tokens("t1")) as source:
                await source._endpoints()
                await asyncio.to_thread(start.wait, 30)
                return await source.auth.token(not_this=refused.access_token)

        found.append(asyncio.run(ask()))

    threads = [threading.Thread(target=one, args=(store if n % 2 else other,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    other.close()
    assert len(found) == 20 and len({t.access_token for t in found}) == 1
    assert ehr.state.token_calls == before + 1
    assert asyncio.run(store.tokens("t1").get(site.name)) == found[0]


def test_a_restart_between_refresh_and_use_costs_nothing(ehr: PracticeEhr, settings: Settings, store: Store) -> None:
    site = asyncio.run(authorized(ehr, store.tokens("t1")))

    async def renew() -> None:
        async with opened(site, tokens=store.tokens("t1")) as source:
            await source._endpoints()
            known = await source._tokens.get(site.name)
            await source.auth.token(not_this=known.access_token)  # and nobody uses it: the process ends

    asyncio.run(renew())
    before = ehr.state.token_calls
    again = Store(settings)
    fetches = asyncio.run(read(site, again.tokens("t1")))
    assert fetches["vitals"].coverage.state == "present" and ehr.state.token_calls == before
    ehr.state.auth.revoke_tokens()
    fetches = asyncio.run(read(site, again.tokens("t1")))
    again.close()
    assert fetches["vitals"].coverage.state == "present" and ehr.state.token_calls == before + 1


def test_a_database_that_goes_away_in_the_middle_loses_no_refresh_token(
    ehr: PracticeEhr, store: Store, admin_sql: Any
) -> None:
    """The connection dies between asking the site and keeping its answer, which holds the only token that still works."""
    site = asyncio.run(authorized(ehr, store.tokens("t1")))
    held = asyncio.run(store.tokens("t1").get(site.name))
    ehr.faults.set(Fault(kind="delay", resource_type="token", seconds=1.0))

    async def renew() -> Token:
        async with opened(site, tokens=store.tokens("t1")) as source:
            await source._endpoints()
            return await source.auth.token(not_this=held.access_token)

    found: list[Token] = []
    thread = threading.Thread(target=lambda: found.append(asyncio.run(renew())))
    thread.start()
    ours = "locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())"
    while not admin_sql(f"select 1 from pg_locks where {ours} and granted"):
        assert thread.is_alive()
    time.sleep(0.4)  # the old token is read by now, the site has not answered yet
    ended = admin_sql(f"select pg_terminate_backend(pid) from pg_locks where {ours} and granted")
    thread.join(60)
    assert ended and found[0].refresh_token != held.refresh_token
    assert asyncio.run(store.tokens("t1").get(site.name)) == found[0]


async def test_a_refresh_that_nobody_waits_for_any_more_is_still_kept(ehr: PracticeEhr) -> None:
    """A deadline passes while the site is rotating: the new refresh token is the only one that works from there on."""
    tokens = MemoryTokens()
    site = await authorized(ehr, tokens)
    ehr.faults.set(Fault(kind="delay", resource_type="token", seconds=0.3, times=1))
    held = await tokens.get(site.name)
    async with opened(site, tokens=tokens) as source:
        await source._endpoints()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await source.auth.token(not_this=held.access_token)
        assert (await tokens.get(site.name)) == held
    kept = await tokens.get(site.name)
    assert kept.refresh_token != held.refresh_token
    ehr.state.auth.revoke_tokens()
    assert (await read(site, tokens))["vitals"].coverage.state == "present"


async def test_a_token_near_its_end_is_renewed_before_it_is_used(ehr: PracticeEhr) -> None:
    tokens, clock = MemoryTokens(), Clock()
    site = await authorized(ehr, tokens)
    before = ehr.state.token_calls
    async with opened(site, clock, tokens=tokens) as source:
        await source.discover()
        assert ehr.state.token_calls == before
        clock.at += 300 - 59
        await source.discover()
        await source.get(f"{ehr.base_url}/Patient/{PATIENT}", "Patient")
        assert ehr.state.token_calls == before + 1
    assert all(seen.status != 401 for seen in ehr.requests[-3:])


def test_a_revoked_refresh_token_is_asked_about_once_and_stops_no_other_site(
    ehr: PracticeEhr, settings: Settings, store: Store
) -> None:
    """F08: one call in all, however many runs and processes; every section says so; the open site beside it is read."""
    site = site_of(ehr)
    store.put_site("t1", site)
    patient_id = store.register_patient("t1", site.name, PATIENT)
    asyncio.run(authorized(ehr, store.tokens("t1", PATIENT)))
    with PracticeEhr("south", record()) as south:
        store.put_site("t1", site_at(south.base_url, name="south"))
        store.register_patient("t1", "south", PATIENT, patient_id)
        assert refresh(store, patient_id, site.name)["state"] == "ready"
        ehr.state.auth.revoke_tokens()
        ehr.state.apps.revoke_authorizations()
        before, other = ehr.state.token_calls, Store(settings)
        reports = [refresh(s, patient_id, site.name) for s in (store, other, store)]
        beside = refresh(store, patient_id, "south")
        other.close()
    assert ehr.state.token_calls == before + 1
    assert {r["state"] for r in reports} == {"needs_reauthorization"} and beside["state"] == "ready"
    assert {s for r in reports for s in r["sections"].values()} == {"not_authorized"}
    states = {row["name"]: row["state"] for row in store.sites("t1")}
    assert states == {site.name: "needs_reauthorization", "south": "ready"}
    assert check_site(store, "t1", site.name)["state"] == "needs_reauthorization"
    kept = asyncio.run(store.tokens("t1", PATIENT).get(site.name))
    assert kept.ended and not kept.refresh_token and not kept.access_token
    chart = store.chart("t1", patient_id)
    lines = [c for c in chart.coverage if c.site == site.name]
    assert lines and all(c.state in ("not_authorized", "stale") for c in lines)
    asyncio.run(authorized(ehr, store.tokens("t1", PATIENT)))
    assert refresh(store, patient_id, site.name)["state"] == "ready", "authorized again"


def refresh(store: Store, patient_id: str, site: str) -> dict[str, Any]:
    run = store.begin_run("t1", patient_id, [site])
    report = refresh_site(store, "t1", run, patient_id, site)
    store.end_run("t1", run, "done")
    return report


async def test_a_moved_token_endpoint_is_found_for_refreshes_too(ehr: PracticeEhr) -> None:
    """F06."""
    tokens = MemoryTokens()
    site = await authorized(ehr, tokens)
    async with opened(site, tokens=tokens) as source:
        await source.discover()
        ehr.faults.set(Fault(kind="token_moved"))
        ehr.state.auth.revoke_tokens()
        answer = await source.get(f"{ehr.base_url}/Patient/{PATIENT}", "Patient")
    assert answer.status == 200


@pytest.mark.parametrize("broken", [Reply(drop=True), Reply(503), Reply(200, b"<html>")])
async def test_a_refresh_whose_answer_is_lost_is_not_sent_again(broken: Reply) -> None:
    """It may have taken effect: sending the old refresh token once more would end the authorization at the site."""
    base = {"access_token": "a0", "expires_in": 300, "refresh_token": "r1"}
    async with WireServer(lambda r: table(r)) as server:
        config = {"token_endpoint": f"{server.origin}/token", "authorization_endpoint": f"{server.origin}/authorize"}
        table = routes(
            {"/.well-known/smart-configuration": config, "/token": [broken, base]}, bundle(observation("o1"))
        )
        site = site_at(server.base, auth="standalone", redirect_uri=REDIRECT, client_auth="none")
        tokens, held = MemoryTokens(), Token("a", 0, base=server.base, refresh_token="r0", patient="p1")
        await tokens.put(site.name, held)
        async with opened(site, Clock(), tokens=tokens) as source:
            with pytest.raises((SiteUnavailable, AuthorizationError)):
                await source.discover()
        assert len([r for r in server.requests if r.method == "POST"]) == 1
        assert await tokens.get(site.name) == held, "a later run tries again"
        async with opened(site, Clock(), tokens=tokens) as source:
            await source.discover()
        assert (await tokens.get(site.name)).refresh_token == "r1"


async def test_an_authorization_of_one_patient_is_used_for_nobody_else(ehr: PracticeEhr) -> None:
    tokens = MemoryTokens()
    site = await authorized(ehr, tokens)
    before = len(ehr.requests)
    async with opened(site, tokens=tokens) as source:
        fetched = await source.fetch("somebody-else", "problems")
    assert fetched.coverage.state == "not_authorized" and "another_patient" in fetched.coverage.reason
    assert all(seen.resource_type in ("metadata", "smart-configuration") for seen in ehr.requests[before:])
    assert count(ehr, "authorize") > 0

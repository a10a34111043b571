"""Requests at once: one count for a site in the whole process, and what most waits for goes first."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from adapter_kit import Clock, Reply, WireServer, bundle, observation, opened, resource, routes, site_at
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.fhir.slots import MOST_BEHIND, UNKNOWN_SECONDS, Slots, shared_slots


async def order_of(slots: Slots, *waiting: tuple[str, float, float | None]) -> list[str]:
    """In which order these get the only slot, after somebody who holds it while they come."""
    served: list[str] = []

    async def one(name: str, behind: float, began: float | None) -> None:
        async with slots.slot(behind, began):
            served.append(name)

    async with slots.slot():
        tasks = [asyncio.ensure_future(one(*w)) for w in waiting]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    return served


async def test_what_most_waits_for_goes_first_and_equals_in_the_order_they_came():
    slots = Slots(1, now=lambda: 0.0)
    waiting = [("short", 1.0, None), ("long", 5.0, None), ("short too", 1.0, None), ("none", 0.0, None)]
    assert await order_of(slots, *waiting) == ["long", "short", "short too", "none"]


async def test_of_two_refreshes_the_earlier_one_ends_earlier_but_nobody_waits_for_ever():
    slots = Slots(1, now=lambda: 1000.0)
    assert await order_of(slots, ("new", 2.0, 999.0), ("old", 1.0, 990.0)) == ["old", "new"]
    late, ancient = ("late", 0.0, 999.0 - 2 * MOST_BEHIND), ("ancient", 0.0, -1e9)
    assert await order_of(slots, late, ancient) == ["late", "ancient"], "age counts up to a limit only"
    assert await order_of(slots, ("much", MOST_BEHIND, None), ("more", 1e9, None)) == ["much", "more"]


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    st.integers(1, 3),
    st.lists(st.tuples(st.floats(0, 9), st.booleans(), st.booleans(), st.integers(0, 3)), min_size=1, max_size=14),
)
async def test_whoever_is_cancelled_no_slot_is_lost_and_none_is_given_twice(most, callers):
    slots, inside, peak, served = Slots(most), 0, 0, 0

    async def one(behind: float, more: bool, steps: int) -> None:
        nonlocal inside, peak, served
        async with slots.slot(behind) as turn:
            inside += 1
            peak = max(peak, inside)
            try:
                for _ in range(steps):
                    await asyncio.sleep(0)
                turn.more = more
            finally:
                inside -= 1
        served += 1

    tasks = [asyncio.ensure_future(one(behind, more, steps)) for behind, more, _, steps in callers]
    await asyncio.sleep(0)
    for task, (_, _, cancelled, steps) in zip(tasks, callers, strict=True):
        for _ in range(steps):
            await asyncio.sleep(0)
        if cancelled:
            task.cancel()
    ended = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
    assert peak <= most and served == sum(e is None for e in ended)
    async with asyncio.timeout(5):  # and all of them can be had again
        held = [slots.slot() for _ in range(most)]
        for slot in held:
            await slot.__aenter__()
        for slot in held:
            await slot.__aexit__(None, None, None)


async def test_a_slot_is_kept_a_moment_for_the_next_page_and_not_longer():
    slots, served = Slots(1, now=lambda: 0.0), []

    async def chain(pages: int) -> None:
        for page in range(1, pages + 1):
            async with slots.slot(5.0) as turn:
                served.append(page)
                await asyncio.sleep(0)
                turn.more = True  # also after the last: nobody comes, and the others go on

    async def short() -> None:
        async with slots.slot(1.0):
            served.append("short")

    await asyncio.wait_for(asyncio.gather(chain(3), short()), 5)
    assert served == [1, 2, 3, "short"]


def test_an_event_loop_that_ends_while_it_waits_takes_no_slot_with_it():
    slots, held, go = Slots(1), threading.Event(), threading.Event()

    async def hold() -> None:
        async with slots.slot():
            held.set()
            await asyncio.to_thread(go.wait, 10)

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01), slots.slot(9.0):
                pass

    async def last() -> str:
        async with asyncio.timeout(5), slots.slot():
            return "served"

    holder = threading.Thread(target=lambda: asyncio.run(hold()))
    holder.start()
    held.wait(10)
    asyncio.run(give_up())
    found: list[str] = []
    waiter = threading.Thread(target=lambda: found.append(asyncio.run(last())))
    waiter.start()
    go.set()
    holder.join(10)
    waiter.join(10)
    assert found == ["served"]


async def test_four_patients_in_four_threads_are_as_many_requests_at_once_as_the_site_allows():
    """Each has a Source and an event loop of its own; the site says 3."""
    inside, peak, server_side = 0, 0, asyncio.Event()

    async def handle(request: Any) -> Reply:
        nonlocal inside, peak
        inside += 1
        peak = max(peak, inside)
        if peak == 3:
            server_side.set()
        await asyncio.wait([asyncio.ensure_future(server_side.wait())], timeout=5)  # three must come together
        for _ in range(20):
            await asyncio.sleep(0)
        inside -= 1
        patient = request.params.get("patient", "p1")
        found = {"resourceType": "Patient", "id": "p1"} if "/Patient/" in request.path else bundle()
        return Reply(404) if "metadata" in request.path else Reply(body=found | {"about": patient})

    async with WireServer(handle) as server:

        async def refresh() -> set[str]:
            async with opened(site_at(server.base, limits={"concurrency": 3})) as source:
                return {f.coverage.state for f in await source.fetch_patient("p1")}

        states = await asyncio.gather(*(asyncio.to_thread(lambda: asyncio.run(refresh())) for _ in range(4)))
    assert peak == 3 and len(server.requests) == 4 * 17
    assert states == [{"present", "empty"}] * 4


def test_clients_of_one_host_share_and_the_smaller_number_holds_while_both_live():
    one = shared_slots("https://ehr.example/a/fhir", 8)
    assert shared_slots("https://EHR.example/b/fhir", 2) is one and one._most == 2
    assert shared_slots("https://other.example/fhir", 8) is not one
    one.took("Observation", 0.5)
    one.took("Encounter", 0.1)
    assert (one.usual("Observation"), one.usual("Condition")) == (0.5, 0.3), "an unknown type is like the others"
    assert shared_slots("https://third.example/fhir", 8).usual("Condition") == UNKNOWN_SECONDS
    del one
    again = shared_slots("https://ehr.example/a/fhir", 8)
    assert again._most == 8 and again.usual("Observation") == 0.5, "what it took is remembered, the limit is not"


async def test_the_longest_search_begins_first_and_its_next_pages_overtake_everybody(monkeypatch):
    """With one request at a time: laboratory results before allergies, though allergies are asked for first."""
    monkeypatch.setattr(
        "adapters.fhir.slots.LINGER_SECONDS", 30.0
    )  # a busy machine reads a page slower than a site sends
    pages = [bundle(observation(f"l{n}"), next_link=f"?n={n + 1}") for n in range(5)] + [bundle(observation("l9"))]

    async def once_all_stand_in_line() -> Reply:
        while len(source._http.slots._line) < 2:
            await asyncio.sleep(0.01)
        return Reply(body=pages[0])

    labs = [lambda _request: once_all_stand_in_line(), *pages[1:]]
    table = {"/Observation": labs, "/AllergyIntolerance": bundle(), "/Condition": bundle()}
    table |= {"/Patient/p1": {"resourceType": "Patient", "id": "p1"}}
    async with WireServer(routes(table)) as server, opened(site_at(server.base, limits={"concurrency": 1})) as source:
        for kind in (
            "AllergyIntolerance",
            "Condition",
        ):  # else what the statement took on a busy machine is their measure
            source._http.slots.took(kind, 1e-6)
        fetched = await source.fetch_patient("p1", ["allergies", "problems", "labs"])
    assert [f.section for f in fetched] == ["allergies", "problems", "labs"]
    assert [r.path.rpartition("/")[2] for r in server.requests[1:7]] == ["Observation"] * 6


async def test_a_site_that_is_known_to_be_slow_with_a_type_is_asked_for_it_first():
    server_clock = Clock()
    table = {"/Condition": bundle(resource("Condition", "c1")), "/Immunization": bundle(), "/Procedure": bundle()}
    async with WireServer(routes(table)) as server, opened(site_at(server.base), server_clock) as source:
        wanted = ["problems", "immunizations", "procedures"]
        for kind, seconds in (("Condition", 0.1), ("Immunization", 0.2), ("Procedure", 3.0)):
            source._http.slots.took(kind, seconds)
        assert source.longest_first(wanted) == ["procedures", "immunizations", "problems"]
        assert source.longest_first(["immunizations", "labs"]) == ["labs", "immunizations"]

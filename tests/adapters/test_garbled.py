"""Status 200 with something that is not the answer: asked for again like every other passing trouble, then told (F05)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from adapter_kit import Clock, Reply, WireServer, balanced, bundle, ids, observation, opened, routes, site_at

LOGIN = Reply(200, b"<!DOCTYPE html><html>Sign in</html>", {"content-type": "text/html"})
WHOLE = bundle(observation("o1"), observation("o2"))
CUT = Reply(200, json.dumps(WHOLE).encode()[:-60], {"content-type": "application/fhir+json"})
EMPTY = Reply(200, b"")
GARBLED = pytest.mark.parametrize("garbled", [LOGIN, CUT, EMPTY], ids=["login page", "cut off", "empty"])


async def vitals(answers: Any, **more: Any) -> tuple[Any, int]:
    """The section, and how often the site was asked for its first page."""
    async with WireServer(routes({"/Observation?category=vital-signs": answers} | more)) as server:
        async with opened(site_at(server.base), Clock()) as source:
            fetched = await source.fetch("p1", "vitals")
        assert balanced(fetched)
        return fetched, len(server.paths("Observation"))


@GARBLED
async def test_what_passes_is_asked_for_again_and_nothing_is_told_of_it(garbled):
    fetched, asked = await vitals([garbled, garbled, WHOLE])
    assert ids(fetched) == ["Observation/o1", "Observation/o2"] and asked == 3
    assert fetched.coverage.state == "present" and not fetched.rejected and not fetched.coverage.reason


@pytest.mark.parametrize(
    ("garbled", "state", "reason"),
    [(LOGIN, "failed", "html_body"), (CUT, "truncated", "truncated_json"), (EMPTY, "failed", "empty_body")],
    ids=["login page", "cut off", "empty"],
)
async def test_what_does_not_pass_is_asked_for_as_often_as_anything_and_told(garbled, state, reason):
    fetched, asked = await vitals(garbled)
    assert asked == 4 and fetched.coverage.state == state and reason in fetched.coverage.reason
    assert fetched.rejected or garbled is EMPTY, "what came is kept for whoever looks into it"


@GARBLED
async def test_a_later_page_and_a_referenced_resource_are_asked_for_again_too(garbled):
    measured = observation("o1", performer=[{"reference": "Practitioner/d1"}])
    doctor = {"resourceType": "Practitioner", "id": "d1"}
    answers = [bundle(measured, next_link="?n=2"), garbled, bundle(observation("o2"))]

    def pages(request: Any) -> Any:
        return answers.pop(0)

    table = {"/Observation": pages, "/Practitioner/d1": [garbled, doctor]}
    async with WireServer(routes(table)) as server, opened(site_at(server.base), Clock()) as source:
        fetched = await source.fetch("p1", "vitals")
    assert ids(fetched) == ["Observation/o1", "Observation/o2", "Practitioner/d1"]
    assert fetched.coverage.state == "present" and not fetched.missing


@pytest.mark.parametrize(
    "wrong",
    [
        Reply(200, b'{"resourceType":"Bundle","entry":[{"resource":' + b"[" * 10_000 + b"]" * 10_000 + b"}]}"),
        Reply(200, b'{"resourceType":"Bundle","entry":[{"resource":{"id":"a\x01"}}]}'),
        Reply(200, b'{"resourceType":"Patient","id":"p1"}'),
    ],
    ids=["deep", "a bad character", "another resource"],
)
async def test_what_is_whole_and_wrong_would_come_again_as_it_is(wrong):
    _, asked = await vitals(wrong)
    assert asked == 1


async def test_discovery_passes_over_a_login_page_and_asks_for_both_documents_side_by_side():
    """Neither is answered before both were asked for; the first answer of each is a login page."""
    statement = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [{"mode": "server"}]}
    asked: set[str] = set()
    both, left = asyncio.Event(), {"metadata": [LOGIN, statement], "smart-configuration": [LOGIN, None]}

    async def handle(request: Any) -> Reply:
        name = request.path.rpartition("/")[2]
        if name not in left:
            return Reply(body={"access_token": "t", "expires_in": 300, "scope": "system/*.read"})
        asked.add(name)
        if len(asked) == 2:
            both.set()
        await asyncio.wait_for(both.wait(), 4)
        answer = left[name].pop(0)
        config = {"token_endpoint": f"{server.origin}/token"}
        return answer if isinstance(answer, Reply) else Reply(body=answer or config)

    async with WireServer(handle) as server, opened(site_at(server.base, auth="backend"), Clock()) as source:
        report = await source.discover()
    assert report.capabilities.declared and report.discovered_by == "well-known"
    assert len(server.requests) == 5

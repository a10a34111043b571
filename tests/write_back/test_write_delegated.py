"""Writing with the authorization of a person who signed in: asked for by type, explained, and refused before it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from adapter_kit import site_at
from practice_kit import record
from sign_in_kit import app_at, params, sign_in

from adapters.fhir.drafts import Draft, PlanChange, document, observation
from adapters.fhir.write import WriteOutcome, needs, write
from adapters.profile import SiteConfig
from adapters.smart.tokens import MemoryTokens
from adapters.smart.writing import delegated_writing_scopes
from adapters.source import Source
from service.practice_ehr import PracticeEhr, load_dress
from service.practice_ehr.dress import Dress

AT = "2026-11-24T09:30:00Z"
REDIRECT = "http://127.0.0.1:1/smart/callback"
PULSE = observation("alder", "heart-rate", "72", AT, patient_reported=True)
LETTER = document("alder", "Known: gout.", AT)
NOTE = PlanChange(care_plan="alder-p1", patient="alder", at=AT, note="Call on Friday.")


@pytest.fixture(params=["v1", "v2"])
def syntax(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def ehr(syntax: str) -> Iterator[PracticeEhr]:
    data = load_dress("writable").model_dump()
    data["authorization"]["scopes"] = [syntax]
    resources = [*record("alder", measures=2), *record("birch", "Birch", "1950-03", measures=2)]
    with PracticeEhr(
        "north", resources, dress=Dress.model_validate(data), apps={"client-1": app_at(REDIRECT)}
    ) as running:
        yield running


def site_of(ehr: PracticeEhr, *write_types: str, **more: Any) -> SiteConfig:
    return site_at(
        ehr.base_url, auth="standalone", redirect_uri=REDIRECT, client_auth="none", write=list(write_types), **more
    )


async def authorized(site: SiteConfig, user: str = "alder", **choices: Any) -> MemoryTokens:
    """The token of somebody who signed in and allowed what `choices` leave."""
    tokens = MemoryTokens()
    async with Source("t1", site, tokens=tokens) as source:
        url, kept = await source.begin_launch()
        back = await asyncio.to_thread(lambda: sign_in(url, user, **choices))
        await tokens.put(site.name, await source.finish_launch(kept, params(back)))
    return tokens


async def put(site: SiteConfig, tokens: MemoryTokens, thing: Draft | PlanChange) -> WriteOutcome:
    async with Source("t1", site, tokens=tokens, writes=needs(thing)) as source:
        return await write(source, thing, AT, send=True)


def writes(ehr: PracticeEhr) -> int:
    return sum(s.interaction in ("create", "update") for s in ehr.requests)


async def test_a_person_lets_us_write_what_the_hospital_permits(ehr: PracticeEhr, syntax: str) -> None:
    site = site_of(ehr, "Observation", "CarePlan")
    tokens = await authorized(site)
    asked = set((await tokens.get("north")).asked.split())  # type: ignore[union-attr]
    wanted = {
        "v1": {"patient/CarePlan.write", "patient/Observation.write", "patient/Provenance.write"},
        "v2": {"patient/CarePlan.u", "patient/Observation.c", "patient/Provenance.c"},
    }[syntax]
    reading = {"v1": ".read", "v2": ".rs"}[syntax]
    assert {s for s in asked if s.startswith("patient/") and not s.endswith(reading)} == wanted
    for thing, state in ((PULSE, "created"), (NOTE, "updated")):
        found = await put(site, tokens, thing)
        assert (found.state, found.provenance) == (state, "created"), found
    found = await put(site, tokens, LETTER)
    assert (found.state, found.code) == ("refused", "not_permitted")


async def test_each_scope_is_explained(ehr: PracticeEhr) -> None:
    async with Source("t1", site_of(ehr, "Observation")) as source:
        await source.begin_launch()
        why = source.why_scopes()
    assert all(why.values()) and set(why) == set(source.auth.asked)
    writing = {k: v for k, v in why.items() if "as the hospital permits" in v}
    assert len(writing) == 1 and "Observation" in next(iter(writing)) and "create" in next(iter(writing.values()))


async def test_nothing_is_asked_where_nothing_is_permitted(ehr: PracticeEhr) -> None:
    tokens = await authorized(site_of(ehr))
    asked = (await tokens.get("north")).asked.split()  # type: ignore[union-attr]
    assert not [s for s in asked if s.endswith((".write", ".c", ".u"))]


async def test_what_the_person_refused_is_told_by_type_and_not_sent(ehr: PracticeEhr) -> None:
    site = site_of(ehr, "Observation", "CarePlan")
    tokens = await authorized(site, without=r"patient/Observation\.(write|c)$")
    before = writes(ehr)
    found = await put(site, tokens, PULSE)
    assert (found.state, found.code) == ("refused", "scope_not_granted") and writes(ehr) == before
    assert "did not grant writing Observation" in found.message
    assert (await put(site, tokens, NOTE)).state == "updated", "the other type was granted"


async def test_an_authorization_from_before_it_was_permitted_says_so(ehr: PracticeEhr) -> None:
    tokens = await authorized(site_of(ehr))
    found = await put(site_of(ehr, "Observation"), tokens, PULSE)
    assert (found.state, found.code) == ("refused", "scope_not_granted") and writes(ehr) == 0
    assert "authorize again" in found.message and "after" in found.message


async def test_a_token_of_another_patient_writes_nothing(ehr: PracticeEhr) -> None:
    site = site_of(ehr, "Observation")
    tokens = await authorized(site, "birch")
    found = await put(site, tokens, PULSE)
    assert (found.state, found.code) == ("refused", "another_patient") and writes(ehr) == 0


def test_the_scopes_are_of_the_permitted_types_and_their_provenance() -> None:
    assert delegated_writing_scopes((), "v2", "user") == ()
    assert delegated_writing_scopes(["DocumentReference"], "v2", "user") == (
        "user/DocumentReference.c",
        "user/Provenance.c",
    )

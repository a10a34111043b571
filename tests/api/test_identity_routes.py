"""`$match`, the queue and links, by real requests."""

from __future__ import annotations

from typing import Any

import pytest
from api_kit import OURS, Asked, World, problem
from fhir.resources.R4B.bundle import Bundle
from store_kit import add_site, fetch, raw

GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
ANA: dict[str, Any] = {
    "name": [{"family": "Quimby", "given": ["Marjorie", "Lee"]}],
    "birthDate": "1961-05-06",
    "gender": "female",
    "address": [{"line": ["12 North Main Street"], "city": "Boston", "state": "MA", "postalCode": "02139"}],
    "telecom": [{"system": "phone", "value": "617-555-2345"}],
}
PEOPLE = {
    ("east", "e1"): ANA,
    ("south", "s1"): ANA | {"address": [{"line": ["12 N Main St"], "city": "BOSTON", "postalCode": "02139-1234"}]},
    ("west", "w1"): ANA | {"name": [{"family": "Quimby", "given": ["Nora"]}]},
    ("west", "w2"): ANA | {"birthDate": "1961-06-05"},
}


@pytest.fixture
def people(world: World) -> dict[tuple[str, str], str]:
    """Ana at two hospitals, her twin, and somebody whose birthday reads exchanged."""
    found = {}
    for (site, there), body in PEOPLE.items():
        add_site(world.store, OURS, site)
        ours = world.store.register_patient(OURS, site, there)
        read = [fetch("demographics", [raw("Patient", there, body, tenant=OURS, site=site)], site=site)]
        world.store.commit_fetch(OURS, ours, site, read)
        found[site, there] = ours
    return found


def parameters(patient: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": {"resourceType": "Patient"} | patient}, *(
        {"name": k, ("valueBoolean" if isinstance(v, bool) else "valueInteger"): v} for k, v in more.items())]}  # fmt: skip


def graded(bundle: dict[str, Any]) -> list[tuple[str, str]]:
    return [(e["resource"]["id"], e["search"]["extension"][0]["valueCode"]) for e in bundle.get("entry", [])]


async def test_match_answers_with_scores_and_grades(asked: Asked, people: dict[tuple[str, str], str]) -> None:
    answer = await asked("POST", "/fhir/Patient/$match", json=parameters(ANA))
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/fhir+json"
    bundle = answer.json()
    Bundle.model_validate(bundle)
    grades = dict(graded(bundle))
    assert [grades[people[k]] for k in PEOPLE] == ["certain", "certain", "certainly-not", "possible"]
    scores = [e["search"]["score"] for e in bundle["entry"]]
    assert scores == sorted(scores, reverse=True) and all(0 <= s <= 1 for s in scores) and scores[-1] == 0
    assert all(e["search"]["extension"][0]["url"] == GRADE and e["search"]["mode"] == "match" for e in bundle["entry"])
    assert bundle["entry"][0]["resource"]["name"][0]["family"] == "Quimby"
    assert asked.world.audited()[-1][1:3] == ("POST /fhir/Patient/$match", "ok")


async def test_match_count_and_only_certain(asked: Asked, people: dict[tuple[str, str], str]) -> None:
    first = (await asked("POST", "/fhir/Patient/$match", json=parameters(ANA, count=1))).json()
    assert [g for _, g in graded(first)] == ["certain"]
    several = (await asked("POST", "/fhir/Patient/$match", json=parameters(ANA, onlyCertainMatches=True))).json()
    assert several["total"] == 0 and "entry" not in several, "two who are certain are none that is"
    await asked("POST", "/v1/identity/find", "admin", json={"link": True})
    one = (await asked("POST", "/fhir/Patient/$match", json=parameters(ANA, onlyCertainMatches=True))).json()
    assert graded(one) == [(people["east", "e1"], "certain")], "linked, they are one"


async def test_a_bare_patient_and_a_partial_one(asked: Asked, people: dict[tuple[str, str], str]) -> None:
    bare = {"resourceType": "Patient", "name": [{"family": "Quimby", "given": ["Marjorie"]}], "birthDate": "1961-05-06"}
    found = (await asked("POST", "/fhir/Patient/$match", json=bare)).json()
    assert {g for i, g in graded(found) if i == people["east", "e1"]} == {"probable"}, "name and birth date alone"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "invalid_request"),
        ({"resourceType": "Parameters"}, "invalid_request"),
        ({"resourceType": "Parameters", "parameter": ["x"]}, "invalid_request"),
        (parameters({}) | {"parameter": []}, "invalid_request"),
        (parameters({}), "invalid_request"),
        (parameters({"name": [{"family": "Zqsecret"}]}), "invalid_request"),
        (parameters({"name": "Zqsecret", "birthDate": {"a": 1}, "address": 7}), "invalid_request"),
        (parameters(ANA, count=0), "invalid_request"),
        ({"resourceType": "Parameters", "parameter": [{"name": "onlyCertainMatches", "valueString": "Zqsecret"}]}, "invalid_request"),
    ],
)  # fmt: skip
async def test_what_cannot_be_matched_is_refused_without_quoting_it(
    asked: Asked, body: dict[str, Any], code: str
) -> None:
    answer = await asked("POST", "/fhir/Patient/$match", json=body)
    assert problem(answer) == (422, code) and "Zqsecret" not in answer.text


async def test_find_queue_accept_links_unlink(asked: Asked, people: dict[tuple[str, str], str]) -> None:
    ana, other = people["east", "e1"], people["south", "s1"]
    found = (await asked("POST", "/v1/identity/find", "admin")).json()
    assert found["linked"] == 0 and found["open"] == 3, found
    queue = (await asked("GET", "/v1/identity/pairs")).json()
    assert queue["count"] == queue["total"] == 3 and queue["items"][0]["decision"] == "match"
    top = queue["items"][0]
    assert {r["name"] for r in top["records"]} == {"Marjorie Lee Quimby"} and "Quimby" not in top["reason"]
    pair = top["pair_id"]
    done = (await asked("POST", f"/v1/identity/pairs/{pair}/accept", json={"note": "seen together"})).json()
    assert done["patient_id"] == ana
    assert asked.world.audited()[-1][1:] == ("POST /v1/identity/pairs/{pair_id}/accept", "ok", ana)
    chart = (await asked("GET", f"/v1/patients/{ana}/chart")).json()
    assert {e["origins"][0]["site"] for e in chart["entries"]} == {"east", "south"}
    assert problem(await asked("GET", f"/v1/patients/{other}/chart")) == (404, "unknown_patient")
    links = (await asked("GET", f"/v1/patients/{ana}/links")).json()
    assert [r["site"] for r in links["records"]] == ["east", "south"] and links["history"][0]["note"] == "seen together"
    answer = await asked("POST", f"/v1/patients/{ana}/unlink", json={"site": "south", "note": "two people"})
    assert answer.json()["unlinked_patient_id"] == other
    assert (await asked("GET", f"/v1/patients/{other}/chart")).status_code == 200
    again = (await asked("POST", "/v1/identity/find", "admin", json={"link": True})).json()
    assert again["linked"] == 0, "what was taken apart stays apart"


async def test_the_certain_are_linked_once_and_the_twin_never(asked: Asked, people: dict[tuple[str, str], str]) -> None:
    first = (await asked("POST", "/v1/identity/find", "admin", json={"link": True})).json()
    again = (await asked("POST", "/v1/identity/find", "admin", json={"link": True})).json()
    assert (first["linked"], again["linked"]) == (1, 0)
    assert asked.world.store.links(OURS, people["east", "e1"]) == {"east": "e1", "south": "s1"}
    assert asked.world.store.links(OURS, people["west", "w1"]) == {"west": "w1"}


async def test_a_decision_is_made_once(asked: Asked, people: dict[tuple[str, str], str]) -> None:
    await asked("POST", "/v1/identity/find", "admin")
    pair = (await asked("GET", "/v1/identity/pairs")).json()["items"][0]["pair_id"]
    assert problem(await asked("POST", f"/v1/identity/pairs/{pair}/reject", json={}))[1] == "invalid_request"
    assert (await asked("POST", f"/v1/identity/pairs/{pair}/reject", json={"note": "twins"})).status_code == 200
    for path in (f"{pair}/accept", f"{pair}/reject", "0000/accept", "..%00/accept"):
        body = {"note": "x"}
        assert problem(await asked("POST", f"/v1/identity/pairs/{path}", json=body))[0] == 404, path
    rejected = (await asked("GET", "/v1/identity/pairs?state=rejected")).json()
    assert [(i["pair_id"], i["note"]) for i in rejected["items"]] == [(pair, "twins")]


async def test_the_other_tenant_is_not_asked(asked: Asked, people: dict[tuple[str, str], str]) -> None:
    headers = {"Authorization": f"Bearer {asked.world.stranger_token}"}
    bundle = (await asked.client.post("/fhir/Patient/$match", json=parameters(ANA), headers=headers)).json()
    assert bundle["total"] == 0

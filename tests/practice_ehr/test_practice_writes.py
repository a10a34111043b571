"""Writing into a practice hospital over plain HTTP: what any client sees."""

from __future__ import annotations

from typing import Any

import pytest
from practice_kit import HTTP, Client, Json, observation, record

from service.practice_ehr import Dress, PracticeEhr, load_dress

FHIR = {"Content-Type": "application/fhir+json"}
ASKED = "identifier=urn:x|1"


@pytest.fixture
def ehr(start: Any) -> PracticeEhr:
    return start("writable", record("alder", measures=2))


def body(**more: Any) -> Json:
    made = observation("ignored", "alder", "2026-11-24T09:00:00Z", 72)
    return made | {"identifier": [{"system": "urn:x", "value": "1"}]} | more


def post(ehr: PracticeEhr, resource: Any, kind: str = "Observation", **headers: str) -> Any:
    told = FHIR | {k.replace("_", "-"): v for k, v in headers.items()}
    more: Json = {"content": resource} if isinstance(resource, bytes) else {"json": resource}
    return HTTP.post(f"{ehr.base_url}/{kind}", headers=told, **more)


def plan(ehr: PracticeEhr) -> Json:
    found: Json = HTTP.get(f"{ehr.base_url}/CarePlan/alder-p1").json()
    return found


def put(ehr: PracticeEhr, resource: Json, match: str = "", where: str = "CarePlan/alder-p1") -> Any:
    return HTTP.put(f"{ehr.base_url}/{where}", json=resource, headers=FHIR | ({"If-Match": match} if match else {}))


def test_create_gives_an_id_a_version_and_a_place(ehr: PracticeEhr) -> None:
    answer = post(ehr, body())
    made = answer.json()
    assert answer.status_code == 201 and made["id"] != "ignored" and answer.headers["etag"] == 'W/"1"'
    assert answer.headers["location"] == f"{ehr.base_url}/Observation/{made['id']}/_history/1"
    assert HTTP.get(answer.headers["location"]).json() == made


def test_a_conditional_create_makes_one_and_refuses_between_several(ehr: PracticeEhr) -> None:
    first, second = (post(ehr, body(), If_None_Exist=ASKED) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 200) and second.json()["id"] == first.json()["id"]
    post(ehr, body())
    third = post(ehr, body(), If_None_Exist=ASKED)
    assert (third.status_code, third.json()["issue"][0]["code"]) == (412, "multiple-matches")
    assert post(ehr, body(), If_None_Exist="nothing=1").status_code == 412


def test_an_update_needs_the_current_version(ehr: PracticeEhr) -> None:
    changed = plan(ehr) | {"title": "Changed"}
    assert put(ehr, changed).status_code == 412
    assert put(ehr, changed, 'W/"9"').json()["issue"][0]["code"] == "conflict"
    done = put(ehr, changed, 'W/"1"')
    assert (done.status_code, done.headers["etag"], done.json()["title"]) == (200, 'W/"2"', "Changed")
    assert put(ehr, changed | {"title": "Again"}, 'W/"1"').status_code == 412 and plan(ehr)["title"] == "Changed"


@pytest.mark.parametrize(
    ("sent", "kind", "status", "code"),
    [
        (b"{", "Observation", 400, "structure"),
        (b"[]", "Observation", 400, "invalid"),
        (body(resourceType="Condition"), "Observation", 400, "invalid"),
        (body(status=None), "Observation", 422, "structure"),
        (body(surprise=1), "Observation", 422, "structure"),
        (body(subject={"reference": "Patient/nobody"}), "Observation", 422, "business-rule"),
        (body(subject=None), "Observation", 422, "business-rule"),
        (body(), "Condition", 405, "not-supported"),
        (b"x" * 1_000_001, "Observation", 413, "too-long"),
    ],
)
def test_what_is_wrong_is_told_by_an_outcome(ehr: PracticeEhr, sent: Any, kind: str, status: int, code: str) -> None:
    if isinstance(sent, dict):
        sent = {k: v for k, v in sent.items() if v is not None}
    before = len(list(ehr.state.store.of_type("Observation")))
    answer = post(ehr, sent, kind)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (status, code)
    assert len(list(ehr.state.store.of_type("Observation"))) == before


def test_a_plan_cannot_become_anothers_or_be_made_by_an_update(ehr: PracticeEhr) -> None:
    ehr.put({"resourceType": "Patient", "id": "birch"})
    stolen = plan(ehr) | {"subject": {"reference": "Patient/birch"}}
    assert put(ehr, stolen, 'W/"1"').status_code == 422
    assert put(ehr, plan(ehr) | {"id": "new"}, 'W/"1"').status_code == 400
    assert put(ehr, plan(ehr) | {"id": "new"}, where="CarePlan/new").status_code == 404
    assert post(ehr, body(), Content_Type="text/plain").status_code == 415


def test_the_statement_says_exactly_what_is_taken() -> None:
    data = load_dress("writable").model_dump()
    data["writes"]["Observation"]["conditional"] = False
    with PracticeEhr("north", record("alder"), dress=Dress.model_validate(data)) as ehr:  # type: ignore[arg-type]
        rows = {r["type"]: r for r in HTTP.get(f"{ehr.base_url}/metadata").json()["rest"][0]["resource"]}
        told = {t: [i["code"] for i in r["interaction"] if i["code"] in ("create", "update")] for t, r in rows.items()}
        assert {t: c for t, c in told.items() if c} == {
            "Observation": ["create"],
            "DocumentReference": ["create"],
            "CarePlan": ["update"],
            "Provenance": ["create"],
        }
        assert (
            rows["Observation"]["conditionalCreate"] is False and rows["DocumentReference"]["conditionalCreate"] is True
        )
        assert [post(ehr, body(), If_None_Exist=ASKED).status_code for _ in range(2)] == [201, 201]


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        ("system/Observation.read system/Observation.write", 201),
        ("system/Observation.*", 201),
        ("system/Observation.cs", 201),
        ("system/Observation.cruds", 201),
        ("system/Observation.read", 403),
        ("system/Observation.rs", 403),
        ("system/Observation.ru", 403),
        ("system/CarePlan.write", 403),
    ],
)
def test_a_token_covers_what_its_scopes_say(start: Any, scope: str, status: int) -> None:
    who = Client()
    ehr = start("writable", record("alder", measures=1), clients={who.client_id: [who.jwk]})
    answer = post(ehr, body(), **who.headers(ehr, scope))
    assert answer.status_code == status
    assert post(ehr, body()).status_code == 401

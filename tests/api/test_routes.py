"""What each route answers to whom it serves."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from api_kit import OURS, Asked, World, problem
from fastapi import FastAPI

from models.record import Chart, json_schema
from service.api import description
from service.api.app import create_app
from service.api.problems import CODES


@pytest.fixture
def world(shared: World) -> World:
    return shared


@pytest.fixture
def app(shared: World) -> FastAPI:
    return create_app(shared.store.settings, shared.store)


async def test_sites_say_what_state_they_are_in(asked: Asked) -> None:
    answer = (await asked("GET", "/v1/sites")).json()
    assert answer["count"] == len(answer["items"])
    (north,) = [site for site in answer["items"] if site["name"] == "north"]
    assert (north["state"], north["last_updated"]) == ("new", "2026-03-04T10:00:00Z")
    one = (await asked("GET", "/v1/sites/north", role="operator")).json()
    assert one["fhir_base"] == "https://north.example/fhir" and one["jwks"] == {"keys": []}


async def test_a_site_is_connected_changed_and_not_silently_replaced(asked: Asked) -> None:
    config = {"name": "south", "fhir_base": "https://south.example/fhir/", "client_id": "abc", "title": "South"}
    made = await asked("POST", "/v1/sites", role="admin", json=config)
    assert made.status_code == 201 and made.headers["location"] == "/v1/sites/south"
    (key,) = made.json()["jwks"]["keys"]
    assert key["kty"] == "EC" and "d" not in key, "the public half only"
    assert problem(await asked("POST", "/v1/sites", role="admin", json=config)) == (409, "conflict")
    changed = await asked("PUT", "/v1/sites/south", role="admin", json=config | {"title": "South General"})
    assert changed.json()["title"] == "South General" and changed.json()["jwks"]["keys"] == [key]
    other = await asked("PUT", "/v1/sites/west", role="admin", json=config)
    assert problem(other) == (422, "invalid_site")


async def test_a_wrong_site_is_explained(asked: Asked) -> None:
    answer = await asked("POST", "/v1/sites", role="admin", json={"name": "x", "fhir_bse": "https://a.example"})
    assert problem(answer) == (422, "invalid_site")
    assert "fhir_bse" in answer.json()["detail"] and "fhir_base" in answer.json()["detail"]
    answer = await asked(
        "POST", "/v1/sites", role="admin", json={"name": "x", "fhir_base": "https://a", "vendor": "no"}
    )
    assert (answer.status_code, answer.json()["reason"]) == (422, "unknown_vendor")


async def test_patients_are_found_by_name_birth_date_and_identifier(asked: Asked) -> None:
    for body in ({"name": "odu"}, {"birth_date": "1961-05-06"}, {"identifier": "MRN-77"}, {"name": "ana oduya"}):
        found = (await asked("POST", "/v1/patients/search", json=body)).json()
        assert [i["id"] for i in found["items"]] == [asked.world.patient], body
        assert found["items"][0]["name"] == "Ana Oduya" and found["total"] == 1
    nobody = (await asked("POST", "/v1/patients/search", json={"name": "odu", "birth_date": "1999"})).json()
    assert nobody == {"items": [], "count": 0, "total": 0}


async def test_registering_twice_is_one_patient_and_a_contradiction_is_a_conflict(asked: Asked) -> None:
    body = {"site": "north", "site_patient_id": "p2"}
    first = await asked("POST", "/v1/patients", role="integration", json=body)
    again = await asked("POST", "/v1/patients", role="integration", json=body)
    assert first.status_code == again.status_code == 201 and first.json() == again.json()
    ours = first.json()["patient_id"]
    assert ours in first.headers["location"]
    assert asked.world.audited()[-1][3] == ours, "the audit names whom it was about"
    for more in ({"patient_id": asked.world.patient}, {"site_patient_id": "p3", "patient_id": ours}):
        clash = await asked("POST", "/v1/patients", role="integration", json=body | more)
        assert problem(clash) == (409, "conflict")
    unknown = await asked("POST", "/v1/patients", role="admin", json={"site": "nowhere", "site_patient_id": "1"})
    assert problem(unknown) == (404, "unknown_site")


async def test_the_chart_is_a_chart_and_can_be_narrowed(asked: Asked) -> None:
    answer = await asked("GET", "/v1/patients/{p}/chart")
    chart = msgspec.json.decode(answer.content, type=Chart)
    assert chart.tenant == OURS and {e.section for e in chart.entries} == {"demographics", "problems", "notes"}
    assert {c.state for c in chart.coverage} >= {"present", "failed", "empty", "not_queried"}
    some = msgspec.json.decode((await asked("GET", "/v1/patients/{p}/chart?section=problems")).content, type=Chart)
    assert {e.section for e in some.entries} == {"problems"} and some.coverage == chart.coverage
    wrong = await asked("GET", "/v1/patients/{p}/chart?section=feelings")
    assert problem(wrong) == (422, "invalid_request") and "feelings" not in wrong.text


async def test_a_resource_comes_back_byte_for_byte_also_by_the_version_an_origin_names(asked: Asked) -> None:
    chart = (await asked("GET", "/v1/patients/{p}/chart?section=problems")).json()
    (origin,) = chart["entries"][0]["origins"]
    path = f"/v1/patients/{{p}}/raw/{origin['site']}/{origin['resource_type']}/{origin['resource_id']}"
    answer = await asked("GET", path)
    kept = asked.world.store.raw(OURS, asked.world.patient, "north", "Condition", "c1")
    assert kept is not None and answer.content == kept.content
    assert answer.headers["content-type"] == "application/fhir+json"
    assert answer.headers["etag"] == f'"{kept.content_hash}"'
    assert (await asked("GET", path, params={"version": origin["version"]})).content == kept.content
    assert problem(await asked("GET", path, params={"version": "0"})) == (404, "unknown_resource")


async def test_context_and_summary_cite_what_the_chart_holds(asked: Asked) -> None:
    document = (await asked("POST", "/v1/patients/{p}/context", json={"budget_tokens": 1000})).json()
    assert document["token_count"] <= 1000 == document["budget_tokens"]
    assert document["ledger"]["offered"] == document["ledger"]["included"] + document["ledger"]["omitted"]
    assert any("Gout" in f["text"] for f in document["facts"])
    summary = (await asked("POST", "/v1/patients/{p}/summary")).json()
    keys = {f["key"] for f in document["facts"]}
    assert summary["statements"] and all(set(s["cites"]) <= keys for s in summary["statements"])
    assert summary["state"] == "record_only" and "Gout" in summary["text"]


async def test_freshness_says_when_each_section_was_last_true(asked: Asked) -> None:
    answer = (await asked("GET", "/v1/patients/{p}/freshness", role="operator")).json()
    assert answer["sites"] == {"north": "2026-03-04T10:00:00Z"}
    lines = {line["section"]: line for line in answer["sections"]}
    assert lines["problems"]["last_updated"] == "2026-03-04T10:00:00Z" and lines["problems"]["age_seconds"] > 0
    assert lines["allergies"] | {"state": "failed", "last_updated": None, "reason": "http_503"} == lines["allergies"]
    assert lines["vitals"]["state"] == "not_queried" and lines["vitals"]["age_seconds"] is None


async def test_quarantine_lists_the_reason_and_keeps_the_bytes(asked: Asked) -> None:
    answer = (await asked("GET", "/v1/patients/{p}/quarantine", role="operator")).json()
    (row,) = answer["items"]
    assert (row["reason"], row["resource_type"], row["resource_id"]) == ("wrong_patient", "Condition", "c9")
    assert row["bytes"] > 0 and "content" not in row


async def test_the_record_schema_is_published(asked: Asked) -> None:
    assert (await asked("GET", "/v1/schema/record", role="operator")).json() == json.loads(json.dumps(json_schema()))


async def test_without_workflows_a_refresh_is_unavailable_not_lost(asked: Asked) -> None:
    answer = await asked("POST", "/v1/patients/{p}/refresh")
    assert problem(answer) == (503, "unavailable") and int(answer.headers["retry-after"]) > 0
    assert problem(await asked("GET", "/v1/patients/{p}/refresh/abc")) == (404, "unknown_run")


OPEN_PATHS = ("/healthz", "/readyz", "/.well-known/jwks/{tenant}/{site}")


async def test_the_description_covers_every_route_and_resolves(asked: Asked) -> None:
    schema = (await asked("GET", "/openapi.json", role=None)).json()
    assert schema["openapi"].startswith("3.1")
    text = json.dumps(schema)
    assert "HTTPValidationError" not in text

    def walk(node: object) -> None:
        if isinstance(node, dict):
            reference = node.get("$ref")
            if isinstance(reference, str):
                found = schema
                for part in reference.removeprefix("#/").split("/"):
                    found = found[part]
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(schema)
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            assert operation["description"], path
            assert (operation["security"] == []) == (operation["x-roles"] == []) == (path in OPEN_PATHS)


@pytest.mark.parametrize("path", ["/docs", "/login", "/static/page.css", "/static/page.js", "/static/icon.svg"])
async def test_what_is_open_needs_no_other_host(asked: Asked, path: str) -> None:
    answer = await asked("GET", path, role=None)
    assert answer.status_code == 200
    assert "http://" not in answer.text.replace("http://www.w3.org/2000/svg", "") and "https://" not in answer.text


async def test_health_and_readiness_are_open(asked: Asked) -> None:
    assert (await asked("GET", "/healthz", role=None)).json() == {"status": "ok"}
    assert (await asked("GET", "/readyz", role=None)).json() == {"status": "ready"}


async def test_a_patient_nobody_has_read_yet_is_unknown_in_every_section(asked: Asked) -> None:
    body = {"site": "north", "site_patient_id": "unread"}
    ours = (await asked("POST", "/v1/patients", role="integration", json=body)).json()["patient_id"]
    document = (await asked("POST", f"/v1/patients/{ours}/context")).json()
    assert document["facts"] == [] and {c["state"] for c in document["coverage"]} == {"not_queried"}
    page = (await asked("GET", f"/patients/{ours}")).text
    assert "Allergies (not asked)" in page and "no known" not in page.lower()


def test_every_route_and_code_is_in_the_documentation(app: FastAPI) -> None:
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    routes = [path for path in description.openapi(app)["paths"] if f"{path}`" not in text]
    assert routes == []
    assert [code for code in CODES if f"`{code}`" not in text] == []

"""The review queue over HTTP: who may, whose it is, what is shown, and that a decision takes effect."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from api_kit import CANARY, OURS, THEIRS, Asked, World, problem
from store_kit import fetch, raw

from models.terminology.tables import parse_table, shielded, unshielded
from service.api.app import create_app
from service.settings import Settings
from service.store import Store
from service.workflows import Runtime

LOCAL = "urn:oid:1.2.3.4.5"
LOINC = "http://loinc.org"
REVIEW = "/v1/terminology/review"


def lab(found: str, words: str, tenant: str, day: str = "2025-03-17") -> Any:
    body = {
        "status": "final",
        "category": [{"coding": [{"code": "laboratory"}]}],
        "code": {"text": words, "coding": [{"system": LOCAL, "code": "Q1", "display": "Local sugar"}]},
        "subject": {"reference": "Patient/p1", "display": "Mirembe Oduya"},
        "effectiveDateTime": day,
        "performer": [{"display": "Dr Secretname"}],
        "note": [{"text": "call Mirembe"}],
        "valueQuantity": {"value": 5.4, "unit": "mg/dL"},
        "referenceRange": [{"low": {"value": 3}, "high": {"value": 6}}],
    }
    return raw("Observation", found, body, tenant=tenant)


@pytest.fixture
def world(world: World) -> World:
    """With a local lab code for both tenants: the same code, other words."""
    for tenant, patient, words in ((OURS, world.patient, "Qzx sugar"), (THEIRS, world.stranger, f"{CANARY}sugar")):
        labs = fetch("labs", [lab("o1", words, tenant), lab("o2", words, tenant)], as_of="2026-03-04T11:00:00Z")
        world.store.commit_fetch(tenant, patient, "north", [labs])
    return world


@pytest.fixture
def runtime(store: Store) -> Iterator[Runtime]:
    with Runtime(store) as running:
        yield running


@pytest.fixture
async def asked(settings: Settings, store: Store, world: World, runtime: Runtime) -> AsyncIterator[Asked]:
    app = create_app(settings, store, runtime)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        yield Asked(client, world)


async def only(asked: Asked) -> dict[str, Any]:
    (line,) = [i for i in (await asked("GET", REVIEW)).json()["items"] if i["code"] == "Q1"]
    return dict(line)


async def test_from_the_queue_to_a_decision_and_back(asked: Asked, world: World) -> None:
    line = await only(asked)
    assert (line["patients"], line["entries"], line["section"], line["unit"]) == (1, 2, "labs", "mg/dL")
    path = f"{REVIEW}/north/{line['key']}"
    shown = await asked("GET", path)
    example = shown.json()["examples"][0]
    assert (example["value"], example["range"], example["year"]) == ("5.4 mg/dL", "3-6", "2025")
    for whose in ("Oduya", "Mirembe", "Secretname", world.patient, "p1", "2025-03", "o1"):
        assert whose not in shown.text, whose

    target = {"system": "LOINC", "code": "2345-7", "display": "Glucose"}
    made = await asked("POST", f"{path}/accept", json={"target": target, "note": "same assay", "wait_seconds": 60})
    assert made.status_code == 200 and made.json()["renormalization"]["report"]["kinds"]["mapping_changed"] == 2
    chart = (await asked("GET", "/v1/patients/{p}/chart?section=labs")).json()
    assert {e["concept"]["mapping"]["target"]["code"] for e in chart["entries"]} == {"2345-7"}
    again = await asked("POST", f"{path}/accept", json={"target": target, "wait_seconds": 60})
    assert again.json()["renormalization"] is None and again.json()["decision"]["version"] == 1, "decided already"
    queue = (await asked("GET", REVIEW)).json()
    assert not [i for i in queue["items"] if i["code"] == "Q1"]
    (decided,) = (await asked("GET", f"{REVIEW}?state=decided")).json()["items"]
    assert (decided["entries"], decided["following_decision"], decided["decision"]["author"]) == (
        2, 1, world.key_ids["clinician"],
    )  # fmt: skip

    table = await asked("GET", "/v1/terminology/decisions/north", "integration")
    assert table.headers["content-type"].startswith("text/csv")
    (row,) = csv.DictReader(io.StringIO(table.text))
    assert (row["code"], row["target_system"], row["target_code"], row["note"]) == ("Q1", LOINC, "2345-7", "same assay")
    (loaded,) = parse_table(table.content, ".csv", "north").rows
    assert (loaded.code, loaded.author) == ("Q1", world.key_ids["clinician"]), "it is a mapping table"

    back = await asked("POST", f"{path}/withdraw", "admin", json={"reason": "another assay", "wait_seconds": 60})
    assert back.json()["decision"]["version"] == 2 and back.json()["renormalization"]["report"]["patients_changed"] == 1
    assert (await only(asked))["key"] == line["key"]
    history = (await asked("GET", path)).json()["history"]
    assert [(v["verdict"], v["note"]) for v in history] == [("accepted", "same assay"), ("withdrawn", "another assay")]
    assert world.store.audit_broken_at(OURS) is None
    assert [r[2] for r in world.audited() if r[1] == "terminology decision"] == [
        f"north/{line['key']}: accepted, version 1",
        f"north/{line['key']}: withdrawn, version 2",
    ]


async def test_who_decides_hears_of_the_same_code_with_another_unit(asked: Asked, world: World) -> None:
    """Another spelling of the unit is the same question; another unit, or none, is not, and is told."""

    def sent(found: str, value: dict[str, Any]) -> Any:
        made = json.loads(lab(found, "Qzx sugar", OURS).content)
        del made["valueQuantity"]
        return raw(
            "Observation",
            found,
            {k: v for k, v in made.items() if k not in ("id", "resourceType")} | value,
            tenant=OURS,
        )

    values = [
        {"valueQuantity": {"value": 5, "unit": "MG/DL"}},
        {"valueQuantity": {"value": 5, "unit": "mg/dl", "code": "local7", "system": "urn:local"}},
        {"valueString": "5.1 mg/dL"},
        {"valueQuantity": {"value": 5, "unit": "mmol/L"}},
        {"valueString": "see comment"},
    ]
    labs = [sent(f"u{n}", value) for n, value in enumerate(values)]
    world.store.commit_fetch(OURS, world.patient, "north", [fetch("labs", labs, as_of="2026-03-04T12:00:00Z")])
    lines = {i["unit"]: i for i in (await asked("GET", REVIEW)).json()["items"] if i["code"] == "Q1"}
    assert {unit: i["entries"] for unit, i in lines.items()} == {"mg/dL": 3, "mmol/L": 1, "": 1}
    path = f"{REVIEW}/north/{lines['mg/dL']['key']}"
    assert {o["unit"] for o in (await asked("GET", path)).json()["others"]} == {"mmol/L", ""}
    target = {"system": "LOINC", "code": "2345-7", "display": "Glucose"}
    made = (await asked("POST", f"{path}/accept", json={"target": target, "wait_seconds": 60})).json()
    assert {(o["unit"], o["key"], o["entries"]) for o in made["still_open"]} == {
        (unit, lines[unit]["key"], 1) for unit in ("mmol/L", "")
    }
    held = {
        e.origin.resource_id: e.concept.target
        for e in world.store.chart(OURS, world.patient).entries
        if e.section == "labs"
    }
    assert {rid: target.code if target else None for rid, target in held.items()} == {
        "u0": "2345-7", "u1": "2345-7", "u2": "2345-7", "u3": None, "u4": None,
    }, "what was decided, and nothing else"  # fmt: skip


async def test_an_exported_cell_is_no_formula_and_loads_as_it_was(asked: Asked, world: World) -> None:
    line = await only(asked)
    target = {"system": "LOINC", "code": "2345-7", "display": "=HYPERLINK(1)"}
    path = f"{REVIEW}/north/{line['key']}"
    await asked("POST", f"{path}/accept", json={"target": target, "note": "@SUM(A1)", "wait_seconds": 60})
    table = await asked("GET", "/v1/terminology/decisions/north")
    (row,) = csv.DictReader(io.StringIO(table.text))
    assert (row["display"], row["note"]) == ("'=HYPERLINK(1)", "'@SUM(A1)")
    (loaded,) = parse_table(table.content, ".csv", "north").rows
    assert (loaded.display, loaded.note) == ("=HYPERLINK(1)", "@SUM(A1)")


@pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@x", "\tx", "\rx", "'=1", "''-", "", "x=1", "'x", "1-2"])
def test_a_shield_comes_off_as_it_went_on(cell: str) -> None:
    safe = shielded(cell)
    assert unshielded(safe) == cell and safe[:1] not in {"=", "+", "-", "@", "\t", "\r"}


async def test_a_rejected_target_is_never_proposed_again(asked: Asked, world: World) -> None:
    patient = world.store.register_patient(OURS, "north", "p2")
    body = {"code": {"text": "Hepatitis B"}, "subject": {"reference": "Patient/p2"}}
    world.store.commit_fetch(
        OURS,
        patient,
        "north",
        [fetch("problems", [raw("Condition", "h1", body, tenant=OURS)], as_of="2026-03-04T11:00:00Z")],
    )
    items = (await asked("GET", f"{REVIEW}?domain=condition&everything=true")).json()["items"]
    (line,) = [i for i in items if i["text"] == "hepatitis b"]
    path = f"{REVIEW}/north/{line['key']}"
    found = (await asked("GET", path)).json()
    meaning, candidates = found["meaning_without_decision"], found["candidates"]
    proposed = candidates[0] if candidates else meaning
    target = {"system": proposed["system"], "code": proposed["code"]}
    made = await asked("POST", f"{path}/reject", json={"reason": "no", "target": target, "wait_seconds": 60})
    assert made.json()["decision"]["verdict"] == "open"
    after = (await asked("GET", path)).json()
    assert target not in [{"system": c["system"], "code": c["code"]} for c in after["candidates"]]
    chart = world.store.chart(OURS, patient)
    (entry,) = [e for e in chart.entries if e.section == "problems"]
    assert entry.concept.target is None or entry.concept.target.code != target["code"]
    assert after["state"] == "open", "the question stays"
    none = await asked("POST", f"{path}/reject", json={"reason": "it is a vaccine", "wait_seconds": 60})
    assert none.json()["decision"]["verdict"] == "no_target"
    assert target in none.json()["decision"]["rejected"], "and what was rejected before stays rejected"
    assert not [i for i in (await asked("GET", REVIEW)).json()["items"] if i["key"] == line["key"]]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"target": {"system": LOCAL, "code": "1"}}, "invalid_target"),
        (
            {"target": {"system": LOINC, "code": "2345-7"}, "effective_from": "2025-02", "effective_to": "2024"},
            "invalid_target",
        ),
        ({"target": {"system": LOINC, "code": "2345-7"}, "equivalence": "inexact"}, "invalid_request"),
        ({"target": {"system": LOINC, "code": ""}}, "invalid_request"),
    ],
)
async def test_what_cannot_be_a_meaning(asked: Asked, body: Any, code: str) -> None:
    line = await only(asked)
    answer = await asked("POST", f"{REVIEW}/north/{line['key']}/accept", json=body)
    assert problem(answer) == (422, code)
    assert (await only(asked))["decision"] is None


async def test_another_tenants_code_does_not_exist(asked: Asked, world: World) -> None:
    (theirs,) = [c for c in world.store.review_queue(THEIRS) if c["text"] == f"{CANARY}sugar".lower()]
    listed = await asked("GET", f"{REVIEW}?everything=true&limit=500")
    assert CANARY.lower() not in listed.text.lower()
    path = f"{REVIEW}/north/{theirs['key']}"
    target = {"target": {"system": LOINC, "code": "2345-7"}}
    for answer in (
        await asked("GET", path),
        await asked("POST", f"{path}/accept", json=target),
        await asked("POST", f"{path}/reject", json={"reason": "x"}),
        await asked("POST", f"{path}/withdraw", json={"reason": "x"}),
    ):
        assert problem(answer) == (404, "unknown_code")
    _, run = world.store.decide(THEIRS, "north", theirs["key"], "no_target", actor="them", author="them")
    assert problem(await asked("GET", f"/v1/renormalize/{run}", "admin")) == (404, "unknown_run")
    assert CANARY.lower() not in (await asked("GET", "/v1/terminology/decisions/north")).text.lower()
    assert problem(await asked("GET", f"{REVIEW}?site=nowhere")) == (404, "unknown_site")


async def test_only_who_may_decides(asked: Asked) -> None:
    line = await only(asked)
    path = f"{REVIEW}/north/{line['key']}"
    target = {"target": {"system": LOINC, "code": "2345-7"}}
    for role in ("integration", "operator"):
        assert problem(await asked("POST", f"{path}/accept", role, json=target)) == (403, "forbidden")
    assert problem(await asked("GET", REVIEW, "operator")) == (403, "forbidden"), "wordings come from records"
    assert problem(await asked("POST", "/v1/renormalize", json={})) == (403, "forbidden")
    assert (await only(asked))["decision"] is None


async def test_renormalize_over_http(asked: Asked, world: World) -> None:
    body = {"patient_id": world.patient, "wait_seconds": 60}
    report = await asked("POST", "/v1/renormalize", "admin", json=body)
    assert report.status_code == 200 and report.json()["report"]["identical"]
    assert [r[3] for r in world.audited()][-1] == world.patient, "the audit row says whom it was about"
    later = await asked("POST", "/v1/renormalize", "admin", json={"site": "north", "apply": True})
    assert later.status_code in (200, 202)
    place = later.headers["location"]
    while (found := (await asked("GET", place, "admin")).json())["finished"] is None:
        pass
    assert found["state"] == "done" and found["apply"] and found["report"]["patients"] == 1
    assert problem(await asked("POST", "/v1/renormalize", "admin", json={"patient_id": world.stranger})) == (
        404, "unknown_patient",
    )  # fmt: skip

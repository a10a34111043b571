"""Writing through the service: the command, the routes, who may, and the one audit row of each."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from practice_kit import record

from adapters.profile import parse_site
from service.access import Role
from service.api.app import create_app
from service.cli.main import main
from service.practice_ehr import Hospital, PracticeEhr
from service.settings import Settings
from service.store import Store

Run = Callable[..., tuple[int, Any]]
PULSE = {"kind": "observation", "site": "north", "vital": "heart-rate", "value": "72", "at": "2026-11-24T09:30:00Z"}
ARGUMENTS = ("--site", "north", "--vital", "heart-rate", "--value", "72", "--at", "2026-11-24T09:30:00Z")


@pytest.fixture
def hospital() -> Iterator[PracticeEhr]:
    with PracticeEhr(Hospital(key="north", dress="writable", resources=record("alder", measures=2), clients={})) as ehr:
        yield ehr


@pytest.fixture
def patient(store: Store, settings: Settings, hospital: PracticeEhr) -> str:
    """A patient of a connected site that permits writes."""
    site = parse_site(
        {
            "name": "north",
            "fhir_base": hospital.base_url,
            "client_id": "chartbrief",
            "allow_loopback": True,
            "write": ["Observation", "DocumentReference", "CarePlan"],
        }
    )
    store.put_site(settings.tenant, site)
    hospital.register("chartbrief", [store.client_key(settings.tenant, "north", "ES384").public_jwk()])
    return store.register_patient(settings.tenant, "north", "alder")


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("CHARTBRIEF_HOME", str(settings.home))
    monkeypatch.setenv("DATABASE_URL", str(settings.database_url))

    def command(*arguments: object) -> tuple[int, Any]:
        capsys.readouterr()
        code = main(["write", *map(str, arguments), "--json"])
        return code, json.loads(capsys.readouterr().out)

    return command


def audited(store: Store, tenant: str) -> list[tuple[str, str, str | None]]:
    return [(r["action"], r["outcome"], r["patient_id"]) for r in store.audit_rows(tenant)]


def test_the_command_shows_first_and_sends_when_told_to(
    run: Run, patient: str, hospital: PracticeEhr, store: Store, settings: Settings
) -> None:
    code, shown = run("observation", patient, *ARGUMENTS)
    assert (code, shown["state"], shown["resource"]["valueQuantity"]["value"]) == (0, "dry_run", 72)
    assert not any(s.interaction == "create" for s in hospital.requests)
    results = [run("observation", patient, *ARGUMENTS, "--send") for _ in range(2)]
    assert [(c, d["state"]) for c, d in results] == [(0, "created"), (0, "already_there")]
    assert (
        sum(r["effectiveDateTime"] == "2026-11-24T09:30:00Z" for r in hospital.state.store.of_type("Observation")) == 1
    )
    sent = ("CLI write observation --send", "ok", patient)
    assert audited(store, settings.tenant) == [("CLI write observation", "ok", patient), sent, sent]


def test_a_document_and_a_care_plan(run: Run, patient: str, hospital: PracticeEhr, tmp_path: Path) -> None:
    file = tmp_path / "summary.txt"
    file.write_text("Known: gout.")
    assert run("document", patient, "--site", "north", "--file", file, "--send")[1]["state"] == "created"
    code, stored = run("document", patient, "--site", "north", "--send")
    assert (code, stored["state"]) == (0, "created") and stored["resource"]["docStatus"] == "preliminary"
    asked = ("care-plan", patient, "alder-p1", "--site", "north", "--note", "Call on Friday.", "--send")
    assert [run(*asked)[1]["state"] for _ in range(2)] == ["updated", "already_there"]
    assert [n["text"] for n in (hospital.state.store.get("CarePlan", "alder-p1") or {})["note"]] == ["Call on Friday."]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code", "reason"),
    [
        (("observation", "PATIENT", *ARGUMENTS[:5], "720", *ARGUMENTS[6:]), 3, "invalid_write", "implausible_value"),
        (("observation", "PATIENT", *ARGUMENTS[:7], "yesterday"), 2, "invalid_request", None),
        (("observation", "nobody", *ARGUMENTS), 6, "unknown_patient", None),
        (("observation", "PATIENT", "--site", "west", *ARGUMENTS[2:]), 6, "unknown_site", None),
        (("document", "PATIENT", "--site", "north", "--file", "absent.txt"), 3, "file_not_found", None),
        (("care-plan", "PATIENT", "alder-p1", "--site", "north"), 3, "invalid_write", "nothing_to_change"),
        (("care-plan", "PATIENT", "nowhere", "--site", "north", "--note", "x"), 7, "write_refused", "not_found"),
    ],
)
def test_what_cannot_be_written_says_why(
    run: Run, patient: str, arguments: Any, exit_code: int, code: str, reason: Any
) -> None:
    done, document = run(*(patient if a == "PATIENT" else a for a in arguments))
    assert (done, document["error"]["code"], document["error"].get("reason")) == (exit_code, code, reason)


async def test_the_routes_preview_and_write_and_only_some_may(
    patient: str, hospital: PracticeEhr, store: Store, settings: Settings
) -> None:
    keys = {role: store.create_api_key(settings.tenant, role, role)[1] for role in Role}
    app = create_app(settings, store)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:

        async def ask(path: str, body: Any, role: Role = Role.CLINICIAN) -> httpx.Response:
            headers = {"authorization": f"Bearer {keys[role]}"}
            return await client.post(f"/v1/patients/{patient}/writes{path}", json=body, headers=headers)

        preview = await ask("/preview", PULSE)
        assert (preview.status_code, preview.json()["state"]) == (200, "dry_run")
        assert preview.json()["scopes"] == [
            f"system/{t}.{v}" for t in ("Observation", "Provenance") for v in ("read", "write")
        ]
        first, second = await ask("", PULSE), await ask("", PULSE)
        assert [r.json()["state"] for r in (first, second)] == ["created", "already_there"]
        for role in (Role.INTEGRATION, Role.OPERATOR):
            assert (await ask("", PULSE, role)).status_code == 403
        store.put_site(settings.tenant, store.site(settings.tenant, "north").model_copy(update={"write": ()}))
        refused = await ask("", PULSE)
        problem = refused.json()
        assert (refused.status_code, problem["code"], problem["reason"], problem["state"]) == (
            409,
            "write_refused",
            "not_permitted",
            "refused",
        )
        assert "resource" not in problem and "72" not in problem["detail"]
    rows = audited(store, settings.tenant)
    assert [o for a, o, _ in rows if a == "POST /v1/patients/{patient_id}/writes"] == [
        "ok",
        "ok",
        "denied",
        "denied",
        "refused",
    ]
    assert [o for a, o, _ in rows if a.endswith("/writes/preview")] == ["ok"]
    assert {p for _, _, p in rows} == {patient}


def test_the_token_for_reading_is_not_replaced_by_one_for_writing(
    run: Run, patient: str, store: Store, settings: Settings
) -> None:
    assert run("observation", patient, *ARGUMENTS, "--send")[0] == 0
    assert asyncio.run(store.tokens(settings.tenant).get("north")) is None

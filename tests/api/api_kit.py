"""A small world behind the API: two tenants whose sites and patient ids have the same names, and who is who."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import uvicorn
from fastapi import FastAPI
from store_kit import add_patient, add_site, condition, fetch, person, raw

from service.access import Role
from service.api.app import server_config
from service.settings import Settings
from service.store import Store

OURS, THEIRS = "ours", "theirs"
CANARY = "Zqcanary"
"""Begins every name, number and word of clinical content of the other tenant, and of nothing else."""


@contextmanager
def own_store(postgres_url: str, home: Path) -> Iterator[Store]:
    """A store for the tests of a module that only ask; each test that writes has one of its own."""
    name = f"shared_{os.getpid()}_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f"create database {name} template chartbrief_template")
        store = Store(Settings(home=home, database_url=postgres_url.replace("/postgres?", f"/{name}?")))
        yield store
        store.close()
        admin.execute(f"drop database {name} with (force)")


PATIENT = {"reference": "Patient/p1"}
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
RESOURCES: list[dict[str, Any]] = [
    {
        "resourceType": "Patient",
        "id": "p1",
        "identifier": [{"system": "urn:oid:1.2.3", "value": "MRN-77"}],
        "name": [{"family": "Oduya", "given": ["Mirembe"]}],
        "birthDate": "1961-09",
        "gender": "female",
    },
    {
        "resourceType": "Condition",
        "id": "c1",
        "subject": PATIENT,
        "clinicalStatus": {"coding": [{"system": CLINICAL, "code": "active"}]},
        "code": {"text": "Gout", "coding": [{"system": "http://snomed.info/sct", "code": "90560007"}]},
        "onsetDateTime": "2020",
    },
]
"""What the practice hospital of the walks holds."""


@dataclass(frozen=True)
class World:
    """What is in the store."""

    store: Store
    patient: str
    stranger: str
    tokens: dict[str, str]
    key_ids: dict[str, str]
    stranger_token: str

    def audited(self, tenant: str = OURS) -> list[tuple[str, str, str, str | None]]:
        """The rows that requests left: actor, action, outcome, patient."""
        rows = self.store.audit_rows(tenant)
        return [(r["actor"], r["action"], r["outcome"], r["patient_id"]) for r in rows if r["actor"] != "refresh"]


def populate(store: Store) -> World:
    """Commit the same ids for two tenants; only the content differs."""
    patients = {}
    for tenant, family, words in ((OURS, "Oduya", "Gout"), (THEIRS, f"{CANARY}name", f"{CANARY}disease")):
        patients[tenant] = add_patient(store, tenant)
        add_site(store, tenant, freshness_hours=1e6)
        here = {"tenant": tenant}
        note = {"status": "current", "type": {"text": f"{words} note"}, "subject": {"reference": "Patient/p1"}}
        store.commit_fetch(
            tenant,
            patients[tenant],
            "north",
            [
                fetch("demographics", [person(family=family, **here)]),
                fetch("problems", [condition("c1", words, **here), condition("c9", patient="another", **here)]),
                fetch("notes", [raw("DocumentReference", "d1", note, **here)]),
                fetch("allergies", state="failed", reason="http_503"),
                fetch("labs", state="empty"),
            ],
        )
    keys = {role: store.create_api_key(OURS, role, role) for role in Role}
    return World(
        store=store,
        patient=patients[OURS],
        stranger=patients[THEIRS],
        tokens={role: token for role, (_, token) in keys.items()},
        key_ids={role: key_id for role, (key_id, _) in keys.items()},
        stranger_token=store.create_api_key(THEIRS, "admin")[1],
    )


@dataclass(frozen=True)
class Asked:
    """Requests with a role's key."""

    client: httpx.AsyncClient
    world: World

    async def __call__(self, method: str, path: str, role: str | None = "clinician", **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.world.tokens[role]}"} if role else {}
        headers |= more.pop("headers", {})
        return await self.client.request(method, path.replace("{p}", self.world.patient), headers=headers, **more)


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a problem document, which must be one."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body = answer.json()
    assert body["status"] == answer.status_code and body["type"] == f"urn:chartbrief:problem:{body['code']}"
    assert body["title"]
    return answer.status_code, body["code"]


@contextmanager
def serving(app: FastAPI, **config: Any) -> Iterator[str]:
    """The app behind a real server on loopback."""
    server = uvicorn.Server(server_config(app, "127.0.0.1", 0, lifespan="off", **config))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)

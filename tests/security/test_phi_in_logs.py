"""A canary through every route, well-formed and broken: nothing of it in any log of the process (S04)."""

from __future__ import annotations

import io
import itertools
import json
import logging
from collections.abc import Iterator
from typing import Any

import api_kit
import httpx
import pytest
from api_kit import CANARY, THEIRS, World, serving

from service import logs
from service.access import ROUTES
from service.api.app import create_app
from service.settings import Settings
from service.store import Store

PATHS = {
    "pair_id": CANARY,
    "site": "north",
    "tenant": CANARY,
    "run_id": CANARY,
    "report_id": CANARY,
    "resource_type": "Condition",
    "resource_id": "c1",
    "name": f"{CANARY}.css",
}
BODIES: tuple[dict[str, Any], ...] = (
    {"json": {"name": CANARY, "family": CANARY, "question": CANARY, "site_patient_id": CANARY}},
    {"json": {"family": f"{CANARY}name"}},
    {"json": {"name": f"{CANARY}name"}},
    {"json": {"secret": CANARY}},
    {"json": {"purpose": "question", "question": f"has {CANARY} gout?"}},
    {"content": f'{{"{CANARY}": '.encode(), "headers": {"content-type": "application/json"}},
    {"data": {"name": CANARY, "key": CANARY, "next": f"/{CANARY}"}},
    {"content": CANARY.encode() * 400_000, "headers": {"content-type": "application/json"}},
)


@pytest.fixture
def everything_logged() -> Iterator[io.StringIO]:
    """structlog as in production, and every logger of the standard library at DEBUG but those production silences."""
    stream = io.StringIO()
    logs.configure(logging.DEBUG, stream)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s %(exc_info)s"))
    root = logging.getLogger()
    names = [
        n
        for n in logging.root.manager.loggerDict
        if n.partition(".")[0] not in {q.partition(".")[0] for q in logs.QUIET}
    ]
    with pytest.MonkeyPatch.context() as patch:
        for logger in (root, *map(logging.getLogger, names)):
            patch.setattr(logger, "level", logging.DEBUG)
            patch.setattr(logger, "disabled", False)
            logger.manager._clear_cache()
        root.addHandler(handler)
        yield stream
        root.removeHandler(handler)
    root.manager._clear_cache()
    logs.configure(stream=io.StringIO())


def test_no_route_logs_who_it_was_about(
    settings: Settings, store: Store, everything_logged: io.StringIO, admin_sql: Any
) -> None:
    world: World = api_kit.populate(store)
    entry = admin_sql("select entry_id from entries where tenant = %s and section = 'problems'", THEIRS)[0][0]
    headers = {"authorization": f"Bearer {world.stranger_token}"}
    answers = []
    with serving(create_app(settings, store)) as base, httpx.Client(base_url=base, timeout=20) as client:

        def ask(route: str, sent: dict[str, Any]) -> None:
            method, template = route.split(" ")
            path = template.format(patient_id=world.stranger, entry_ids=entry, **PATHS)
            given = sent.get("headers", {}) | headers
            answers.append(
                client.request(method, path, params={"version": CANARY, "q": CANARY}, **sent | {"headers": given})
            )
            if not sent:
                answers.append(client.request(method, path, headers=headers))

        for route, sent in itertools.product(ROUTES, ({}, *BODIES)):
            if method_takes(route, sent):
                ask(route, sent)
        client.get(f"/{CANARY}/nothing")
        client.get("/v1/sites", headers={"authorization": f"Bearer {CANARY}", "cookie": f"chartbrief_session={CANARY}"})
        admin_sql("update entries set body = jsonb_set(body, '{origins}', %s)", json.dumps([{"site": CANARY}]))
        for route in ROUTES:
            if method_takes(route, {}):
                ask(route, {})
    logged = everything_logged.getvalue()
    assert CANARY not in logged
    assert world.stranger not in logged, "paths name patients"
    assert world.stranger_token.split("_")[2] not in logged
    lines = [json.loads(line) for line in logged.splitlines() if line.startswith("{")]
    assert len([line for line in lines if line["event"] == "request"]) >= len(answers)
    assert all(set(line) <= logs.ALLOWED for line in lines)
    assert {line["route"] for line in lines if "route" in line} >= set(ROUTES), "every route was asked"
    assert any(line["event"] == "defect" for line in lines), "also when a defect had the record in its hands"
    shown = [a for a in answers if a.status_code == 200 and CANARY in a.text]
    assert len(shown) >= 8, "the canary sings where it may"
    assert not [
        a for a in answers if a.status_code >= 400 and "text/html" not in a.headers["content-type"] and CANARY in a.text
    ]
    assert CANARY not in json.dumps(store.audit_rows(THEIRS))


def method_takes(route: str, sent: dict[str, Any]) -> bool:
    return not sent or route.startswith(("POST", "PUT"))

"""kill -9 between the site's answer to a refresh token and our commit of the new one, which nobody has from then on.

That window cannot be closed: the site has given up the old token and only the dead process knew the new one. So the old
one is tried once. A site with a grace period answers it; at any other the authorization is over, and everybody is told.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from adapter_kit import site_at
from fault_kit import PATIENT, record
from proxy import PostgresProxy
from sign_in_kit import app_at, params, sign_in
from workflow_kit import until

from adapters.smart.tokens import Token
from adapters.source import Source
from service.practice_ehr import Fault, PracticeEhr, load_dress
from service.settings import Settings
from service.store import Store
from service.workflows.site_work import refresh_site

RENEWING = Path(__file__).with_name("renewing.py")
ROOT = Path(__file__).parents[2]
REDIRECT = "http://127.0.0.1:1/smart/callback"
APP = {"auth": "standalone", "redirect_uri": REDIRECT, "client_auth": "none"}


@pytest.fixture
def hospital() -> Iterator[Callable[[int], PracticeEhr]]:
    """Starts a practice hospital whose used refresh tokens are answered for so many seconds more."""
    running: list[PracticeEhr] = []

    def start(grace: int) -> PracticeEhr:
        dress = load_dress("generic")
        rules = dress.authorization.model_copy(update={"refresh_grace_seconds": grace})
        dress = dress.model_copy(update={"authorization": rules})
        running.append(PracticeEhr("north", record(), dress=dress, apps={"client-1": app_at(REDIRECT)}).start())
        return running[-1]

    yield start
    for ehr in running:
        ehr.stop()


@pytest.fixture
def proxy(database_url: str) -> Iterator[PostgresProxy]:
    with PostgresProxy(database_url) as running:
        yield running


def connect(store: Store, ehr: PracticeEhr) -> str:
    """The site, its patient, and the authorization as the callback would have kept it; returns our patient id."""
    site = site_at(ehr.base_url, **APP)
    store.put_site("t1", site)
    patient_id = store.register_patient("t1", site.name, PATIENT)

    async def authorize() -> None:
        tokens = store.tokens("t1", PATIENT)
        async with Source("t1", site, tokens=tokens) as source:
            url, kept = await source.begin_launch()
            back = await asyncio.to_thread(sign_in, url, PATIENT)
            await tokens.put(site.name, await source.finish_launch(kept, params(back)))

    asyncio.run(authorize())
    return patient_id


def kept(store: Store) -> Token:
    token = asyncio.run(store.tokens("t1", PATIENT).get("north"))
    assert token is not None
    return token


def refresh(store: Store, patient_id: str, site: str = "north") -> dict[str, Any]:
    run = store.begin_run("t1", patient_id, [site])
    report = refresh_site(store, "t1", run, patient_id, site)
    store.end_run("t1", run, "done")
    return report


def die_in_the_window(
    ehr: PracticeEhr, store: Store, settings: Settings, proxy: PostgresProxy, patient_id: str
) -> None:
    """A process renews; the database cannot be reached when the site answers, and then the process is killed."""
    before, held, run = ehr.state.token_calls, kept(store), store.begin_run("t1", patient_id, ["north"])
    ehr.state.auth.revoke_tokens()
    ehr.faults.set(Fault(kind="delay", resource_type="token", seconds=0.5))
    command = [sys.executable, str(RENEWING), str(settings.home), proxy.url, patient_id, "north", run]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        until(lambda: ehr.faults._hits[0])  # the site has the old refresh token
        proxy.down()
        until(lambda: ehr.state.token_calls > before)  # and has answered with a new one
    finally:
        process.kill()
        process.wait(30)
    ehr.faults.clear()
    assert kept(store) == held, "the new refresh token died with the process"
    assert ehr.state.token_calls == before + 1


def test_where_the_old_token_is_over_it_is_tried_once_and_everybody_is_told(
    hospital: Any, store: Store, settings: Settings, proxy: PostgresProxy
) -> None:
    ehr = hospital(0)
    patient_id = connect(store, ehr)
    with PracticeEhr("south", record()) as south:
        store.put_site("t1", site_at(south.base_url, name="south"))
        store.register_patient("t1", "south", PATIENT, patient_id)
        die_in_the_window(ehr, store, settings, proxy, patient_id)
        before = ehr.state.token_calls
        reports = [refresh(store, patient_id) for _ in range(3)]
        beside = refresh(store, patient_id, "south")
    assert ehr.state.token_calls == before + 1, "asked once, not at every refresh"
    assert {r["state"] for r in reports} == {"needs_reauthorization"} and beside["state"] == "ready"
    assert {state for r in reports for state in r["sections"].values()} == {"not_authorized"}
    states = {row["name"]: row["state"] for row in store.sites("t1")}
    assert states == {"north": "needs_reauthorization", "south": "ready"}
    assert kept(store).ended and not kept(store).refresh_token
    connect(store, ehr)
    assert refresh(store, patient_id)["state"] == "ready", "authorized again"


def test_where_the_site_has_a_grace_period_nothing_is_lost(
    hospital: Any, store: Store, settings: Settings, proxy: PostgresProxy
) -> None:
    ehr = hospital(60)
    patient_id = connect(store, ehr)
    die_in_the_window(ehr, store, settings, proxy, patient_id)
    before, held = ehr.state.token_calls, kept(store)
    assert refresh(store, patient_id)["state"] == "ready"
    assert ehr.state.token_calls == before + 1 and kept(store).refresh_token != held.refresh_token
    ehr.state.auth.revoke_tokens()
    assert refresh(store, patient_id)["state"] == "ready", "the token it gave the second time works on"

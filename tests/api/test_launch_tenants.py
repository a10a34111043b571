"""An EHR opens a server of several tenants: the right tenant's site, or none. Real HTTP, a practice EHR, two tenants."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

for _room in ("practice_ehr", "adapters"):
    sys.path.insert(0, str(Path(__file__).parents[1] / _room))

from api_kit import own_store, problem, serving  # noqa: E402
from practice_kit import record  # noqa: E402
from sign_in_kit import app_at, params, sign_in  # noqa: E402

from adapters.profile import parse_site  # noqa: E402
from service.api.app import create_app  # noqa: E402
from service.practice_ehr import PracticeEhr  # noqa: E402
from service.store import Store  # noqa: E402

OWN, A, B = "default", "clinic-a", "clinic-b"
"""The tenant of the process, and two others."""


@dataclass
class World:
    """Two hospitals, one service, and no site yet."""

    store: Store
    api: str
    shared: PracticeEhr
    alone: PracticeEhr

    def site(self, tenant: str, name: str, ehr: PracticeEhr, auth: str = "ehr_launch", **more: Any) -> None:
        data = {
            "name": name,
            "fhir_base": ehr.base_url,
            "auth": auth,
            "client_id": f"app-{tenant}-{name}",
            "client_auth": "none",
            "redirect_uri": f"{self.api}/smart/callback",
            "allow_loopback": True,
        }
        site = parse_site(data | more)
        self.store.put_site(tenant, site)
        ehr.register_app(site.client_id, app_at(site.redirect_uri, f"{self.api}/smart/launch/{tenant}/{name}"))

    def browser(self) -> httpx.Client:
        return httpx.Client(base_url=self.api, timeout=20, trust_env=False, verify=False)

    def token(self, tenant: str, site: str, patient: str) -> Any:
        return asyncio.run(self.store.tokens(tenant, patient).get(site))

    def connected(self, tenant: str) -> list[str]:
        return [p for row in self.store.sites(tenant) for p in self.store.authorized_patients(tenant, row["name"])]


@pytest.fixture
def world(postgres_url: str, tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        store = stack.enter_context(own_store(postgres_url, tmp_path))
        apps = {"first": app_at("http://127.0.0.1:1/smart/callback")}
        shared, alone = (
            stack.enter_context(PracticeEhr(name, [*record("alder"), *record("birch", "Birch")], apps=apps))
            for name in ("shared", "alone")
        )
        yield World(store, stack.enter_context(serving(create_app(store.settings, store))), shared, alone)


def refused(answer: httpx.Response) -> str:
    assert answer.status_code == 403 and "set-cookie" not in answer.headers and "location" not in answer.headers
    return answer.text


def test_one_base_of_two_tenants_is_told_apart_by_the_address_and_never_guessed(world: World) -> None:
    world.site(A, "ward", world.shared)
    world.site(B, "ward", world.shared)
    with world.browser() as browser:
        opened = browser.get(world.shared.launch_page(f"app-{B}-ward", "birch"))
        assert f"/smart/launch/{B}/ward?" in opened.headers["location"]
        away = browser.get(opened.headers["location"]).headers["location"]
        assert params(away)["client_id"] == f"app-{B}-ward"
        assert browser.get(sign_in(away, "clinician")).status_code == 200
        assert world.connected(B) == ["birch"] and world.connected(A) == [] and world.connected(OWN) == []
        assert world.token(A, "ward", "birch") is None

        asked = {"iss": world.shared.base_url, "launch": "x"}
        assert "register /smart/launch/{tenant}/{site}" in refused(browser.get("/smart/launch", params=asked))
        world.site(OWN, "ward", world.shared)  # the process's own tenant is no better guess
        assert "Several sites" in refused(browser.get("/smart/launch", params=asked))
    assert world.store.audit_rows(A) == [], "a stranger writes into nobody's trail"
    (row,) = [r for r in world.store.audit_rows(B) if r["action"] == "GET /smart/callback"]
    assert row["actor"].startswith("smart:ward") and row["patient_id"] == world.store.patient_of(B, "ward", "birch")


def test_the_shared_address_finds_the_one_site_of_whichever_tenant(world: World) -> None:
    world.site(A, "ward", world.shared)
    world.site(B, "ward", world.alone)
    world.site(OWN, "portal", world.alone, auth="standalone")  # nobody opens us from there
    with world.browser() as browser:
        for tenant, ehr in ((A, world.shared), (B, world.alone)):
            launch = params(browser.get(ehr.launch_page(f"app-{tenant}-ward", "alder")).headers["location"])
            away = browser.get("/smart/launch", params=launch).headers["location"]
            assert params(away)["client_id"] == f"app-{tenant}-ward" and away.startswith(ehr.origin)
            assert browser.get(sign_in(away, "clinician")).status_code == 200
            assert world.connected(tenant) == ["alder"]
    assert world.connected(OWN) == []


def test_another_tenants_base_opens_no_site(world: World) -> None:
    """`iss` of one tenant's hospital at the address of another's: nothing is asked of anybody, nothing is told."""
    world.site(A, "ward", world.shared)
    world.site(B, "ward", world.alone)
    world.site(A, "portal", world.shared, auth="standalone")
    before = len(world.shared.requests) + len(world.alone.requests)
    tries = [
        (f"{B}/ward", world.shared.base_url),
        (f"{A}/ward", world.alone.base_url),
        (f"{A}/ward", ""),
        (f"{A}/portal", world.shared.base_url),
        (f"{A}/nowhere", world.shared.base_url),
        ("nobody/ward", world.shared.base_url),
        ("%00/ward", world.shared.base_url),
        (f"{A}'/ward", world.shared.base_url),
    ]
    with world.browser() as browser:
        pages = {
            refused(browser.get(f"/smart/launch/{path}", params={"iss": iss, "launch": "x"})) for path, iss in tries
        }
        assert len(pages) == 1 and "No site with this address" in pages.pop(), "one answer: what exists is not told"
        for iss in ("\x00", "x" * 5000, "https://x\x00y", f"{world.shared.base_url}%"):
            assert "No site with this address" in refused(browser.get("/smart/launch", params={"iss": iss}))
    assert len(world.shared.requests) + len(world.alone.requests) == before


def test_an_answer_for_one_tenant_cannot_be_brought_to_another(world: World) -> None:
    """The cookie names the tenant: with another name in it the sign-in is not found there."""
    world.site(A, "ward", world.shared)
    world.site(B, "ward", world.shared)
    with world.browser() as browser:
        opened = browser.get(world.shared.launch_page(f"app-{A}-ward", "alder"))
        away = browser.get(opened.headers["location"])
        back = sign_in(away.headers["location"], "clinician")
        name, _, value = away.headers["set-cookie"].partition(";")[0].partition("=")
        assert value.startswith(f"{A}.")
        forged = httpx.get(back, headers={"cookie": f"{name}={B}{value.removeprefix(A)}"}, trust_env=False)
        assert "is over" in refused(forged) and world.connected(B) == []
        assert browser.get(back).status_code == 200 and world.connected(A) == ["alder"]


def test_the_look_up_before_a_tenant_is_known_shows_nothing_else(world: World) -> None:
    """Row-level security answers it: sites with this base that an EHR may open, no other row and no change."""
    from service.store.database import StoreDefect

    world.site(A, "ward", world.shared)
    world.site(A, "portal", world.shared, auth="standalone")
    world.site(B, "ward", world.alone)
    assert world.store.launch_sites(world.shared.base_url) == [(A, "ward")]
    assert world.store.launch_sites("") == [] and world.store.launch_sites("%") == []
    from sqlalchemy import text

    with world.store.database.launch_lookup(world.shared.base_url) as db:
        assert db.execute(text("select count(*) from secrets")).scalar() == 0
        assert db.execute(text("update sites set state = 'x'")).rowcount == 0
        assert db.execute(text("delete from sites")).rowcount == 0
    with pytest.raises(StoreDefect), world.store.database.launch_lookup(world.shared.base_url) as db:
        db.execute(text("insert into sites (tenant, name, config) values ('clinic-a', 'x', '{}')"))


def test_connecting_over_http_gives_no_secret_and_names_whom_it_was_about(world: World) -> None:
    tenant = A
    key = world.store.create_api_key(tenant, "admin")[1]
    base = f"{world.api}/v1/sites"
    with httpx.Client(headers={"authorization": f"Bearer {key}"}, trust_env=False, timeout=20) as admin:
        world.site(tenant, "portal", world.alone, auth="standalone", client_auth="client_secret")
        world.alone.register_app(
            f"app-{tenant}-portal", app_at(f"{world.api}/smart/callback", secret="canary secret/+")
        )
        for wrong in ("", "canary\n", "c" * 1001):
            answer = admin.put(f"{base}/portal/secret", json={"secret": wrong if wrong != "canary\n" else "can\nary"})
            assert problem(answer) == (422, "invalid_request") and "ary" not in answer.text
        kept = admin.put(f"{base}/portal/secret", json={"secret": "canary secret/+"})
        assert kept.status_code == 204 and kept.content == b""
        nobody = admin.post(f"{base}/portal/connect", json={"patient_id": "f" * 32})
        assert problem(nobody) == (404, "unknown_patient")
        ours = world.store.register_patient(tenant, "portal", "alder")
        address = admin.post(f"{base}/portal/connect", json={"patient_id": ours}).json()
        assert set(address) == {"site", "open"} and ours not in address["open"]
        with world.browser() as browser:
            away = browser.get(address["open"]).headers["location"]
            assert browser.get(sign_in(away, "alder")).status_code == 200
        assert world.connected(tenant) == ["alder"]
        shown = "".join(admin.get(f"{base}{path}").text for path in ("", "/portal"))
        assert "canary" not in shown and world.token(tenant, "portal", "alder").access_token not in shown
        ended = admin.post(f"{base}/portal/disconnect", json={"patient_id": ours}).json()
        assert ended == {"site": "portal", "ended": 1, "confirmed_by_site": 1} and world.connected(tenant) == []
        about = [r["patient_id"] for r in world.store.audit_rows(tenant) if r["action"].endswith("connect")]
        assert about == ["f" * 32, ours, ours]
        assert problem(admin.post(f"{base}/portal/rotate-key", json={"step": "publish"})) == (409, "conflict")

        world.site(tenant, "keyed", world.alone, auth="backend", client_auth="private_key_jwt")
        steps = [
            admin.post(f"{base}/keyed/rotate-key", json={"step": s}).json() for s in ("publish", "switch", "drop_old")
        ]
        assert [len(s["jwks"]["keys"]) for s in steps] == [2, 2, 1] and steps[0]["signs"] != steps[1]["signs"]
        assert all("d" not in k for s in steps for k in s["jwks"]["keys"])
        assert problem(admin.post(f"{base}/keyed/rotate-key", json={"step": "x"})) == (422, "invalid_request")
        assert problem(admin.post(f"{base}/keyed/connect"))[0] == 502
        for path in ("connect", "disconnect"):
            assert problem(admin.post(f"{base}/nowhere/{path}")) == (404, "unknown_site")

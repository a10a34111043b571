"""Connecting a site by a person's sign-in, over real HTTP: our API, a practice hospital, a browser between them (S12)."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import psycopg
import pytest

for _room in ("practice_ehr", "adapters"):
    sys.path.insert(0, str(Path(__file__).parents[1] / _room))

from api_kit import own_store, serving  # noqa: E402
from practice_kit import record  # noqa: E402
from sign_in_kit import app_at, count, params, sign_in  # noqa: E402

from adapters.errors import LaunchRefused  # noqa: E402
from adapters.profile import parse_site  # noqa: E402
from service.api.app import create_app  # noqa: E402
from service.api.connections import Problem  # noqa: E402
from service.api.services import Services  # noqa: E402
from service.practice_ehr import Fault, PracticeEhr  # noqa: E402
from service.store import Store  # noqa: E402
from service.workflows.connecting import Connecting, cookie_name  # noqa: E402
from service.workflows.site_work import check_site, refresh_site  # noqa: E402

TENANT = "default"
ASK = httpx.Client(timeout=20, trust_env=False, verify=False)
SECRET = "canary client secret/+"


@dataclass
class World:
    """A hospital that signs people in, our service, and the site of each kind."""

    ehr: PracticeEhr
    store: Store
    api: str
    services: Services

    def site(self, name: str, auth: str, **more: Any) -> None:
        data = {
            "name": name,
            "fhir_base": self.ehr.base_url,
            "auth": auth,
            "client_id": f"app-{name}",
            "client_auth": "none",
            "redirect_uri": f"{self.api}/smart/callback",
            "allow_loopback": True,
            "overrides": {"limits": {"requests_per_second": 10_000}},
        }
        site = parse_site(data | more)
        self.store.put_site(TENANT, site)
        known: dict[str, Any] = {}
        if site.client_auth == "client_secret":
            self.store.put_secret(TENANT, name, "client_secret", SECRET.encode())
            known = {"secret": SECRET}
        if site.client_auth == "private_key_jwt":
            self.store.client_key(TENANT, name)
            known = {"keys": tuple(self.store.public_keys(TENANT, name))}
        self.ehr.register_app(
            site.client_id, app_at(site.redirect_uri, f"{self.api}/smart/launch/{TENANT}/{name}", **known)
        )

    def browser(self) -> httpx.Client:
        return httpx.Client(base_url=self.api, timeout=20, trust_env=False, verify=False)

    def leave(self, browser: httpx.Client, site: str, patient_id: str = "") -> str:
        """Follow the address that `site connect` prints; where it leads to."""
        answer = browser.get(self.services.connect_address(TENANT, site, patient_id))
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    def connect(self, site: str, user: str = "alder", **more: Any) -> httpx.Response:
        with self.browser() as browser:
            return browser.get(sign_in(self.leave(browser, site), user, **more))

    def token(self, site: str, patient: str = "") -> Any:
        return asyncio.run(self.store.tokens(TENANT, patient).get(site))

    def audited(self) -> list[tuple[str, str, str, str | None]]:
        rows = self.store.audit_rows(TENANT)
        return [(r["actor"], r["action"], r["outcome"], r["patient_id"]) for r in rows]


@pytest.fixture(scope="module")
def world(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ExitStack() as stack:
        store = stack.enter_context(own_store(postgres_url, tmp_path_factory.mktemp("home")))
        apps = {"first": app_at("http://127.0.0.1:1/smart/callback")}
        resources = [*record("alder"), *record("birch", "Birch", "1950-03", measures=3)]
        ehr = stack.enter_context(PracticeEhr("north", resources, apps=apps))
        app = create_app(store.settings, store)
        yield World(ehr, store, stack.enter_context(serving(app)), app.state.services)


@pytest.fixture(autouse=True)
def _no_faults(world: World) -> None:
    world.ehr.faults.clear()


def refused(answer: httpx.Response) -> str:
    """The words of a page that says no; it must be a page, give no cookie and lead nowhere."""
    assert answer.status_code in (403, 502), answer.text
    assert answer.headers["content-type"].startswith("text/html") and "location" not in answer.headers
    return answer.text


@pytest.mark.parametrize("kind", ["none", "client_secret", "private_key_jwt"])
def test_a_patient_connects_and_their_record_is_read(world: World, kind: str) -> None:
    name = f"portal-{kind.replace('_', '-')}"
    world.site(name, "standalone", client_auth=kind)
    answer = world.connect(name)
    assert answer.status_code == 200 and "Connected" in answer.text
    token = world.token(name, "alder")
    assert (token.patient, token.user, bool(token.refresh_token)) == ("alder", "Patient/alder", True)
    assert world.token(name) is None and world.token(name, "birch") is None
    patient_id = world.store.register_patient(TENANT, name, "alder")
    me = world.store.person_reference(TENANT, name, "Patient/alder")
    assert world.audited()[-1] == (f"smart:{name}:{me}", "GET /smart/callback", "ok", patient_id)
    report = refresh_site(world.store, TENANT, world.store.begin_run(TENANT, patient_id, [name]), patient_id, name)
    assert report["state"] == "ready" and report["ledger"]["stored"] > 30
    found = check_site(world.store, TENANT, name)
    assert found["state"] == "ready" and "patient/Observation.read" in found["scopes_asked"]
    assert all("write" not in s and "*" not in s for s in found["scopes_asked"])
    why = found["why_scopes"]
    assert set(why) == set(found["scopes_asked"]) and all(why.values())
    assert "vitals" in why["patient/Observation.read"] and "stay connected" in why["offline_access"]


def test_the_ehr_opens_us_for_the_patient_on_its_screen(world: World) -> None:
    world.site("ward", "ehr_launch")
    with world.browser() as browser:
        opened = browser.get(world.ehr.launch_page("app-ward", "birch", "enc-7"))
        away = browser.get(opened.headers["location"])
        asked = params(away.headers["location"])
        assert asked["aud"] == world.ehr.base_url and asked["launch"] and asked["code_challenge_method"] == "S256"
        assert "launch" in asked["scope"].split() and "launch/patient" not in asked["scope"].split()
        answer = browser.get(sign_in(away.headers["location"], "clinician"))
    assert answer.status_code == 200
    token = world.token("ward", "birch")
    assert (token.patient, token.encounter, token.user) == ("birch", "enc-7", "Practitioner/clinician")
    ours = world.store.patient_of(TENANT, "ward", "birch")
    assert world.audited()[-1] == ("smart:ward:Practitioner/clinician", "GET /smart/callback", "ok", ours)
    assert ours is not None
    refresh_site(world.store, TENANT, world.store.begin_run(TENANT, ours, ["ward"]), ours, "ward")
    rows = [r for r in world.audited() if r[1] == "commit" and r[2].startswith("ward/")]
    assert len(rows) >= 11 and {(who, about) for who, _, _, about in rows} == {
        ("refresh:Practitioner/clinician", ours)
    }, "what was read by their authorization says so"


def test_a_user_level_authorization_is_one_for_the_site(world: World) -> None:
    world.site("clinic", "standalone", scope_level="user")
    assert world.connect("clinic", "clinician").status_code == 200
    assert world.token("clinic").user == "Practitioner/clinician"
    assert all(s.startswith(("user/", "openid", "fhirUser", "offline")) for s in world.token("clinic").asked.split())


def test_less_granted_than_asked_is_shown_by_type(world: World) -> None:
    world.site("less", "standalone")
    answer = world.connect("less", without="(Condition|Immunization)")
    assert answer.status_code == 200 and "Condition" in answer.text and "Immunization" in answer.text
    found = check_site(world.store, TENANT, "less")
    assert found["types_refused"] == ["Condition", "Immunization"] and found["state"] == "ready"
    patient_id = world.store.register_patient(TENANT, "less", "alder")
    run = world.store.begin_run(TENANT, patient_id, ["less"])
    report = refresh_site(world.store, TENANT, run, patient_id, "less")
    assert report["sections"]["problems"] == report["sections"]["immunizations"] == "not_authorized"
    assert report["sections"]["vitals"] == "present"


OUTCOMES = {
    "user_denied": ("denied", {"allow": False}, ()),
    "denied at once": ("denied", {}, (Fault(kind="authorize_error", text="access_denied"),)),
    "invalid_scope": ("none of the scopes", {}, (Fault(kind="authorize_error", text="invalid_scope"),)),
    "temporarily": ("could not be used", {}, (Fault(kind="authorize_error", text="temporarily_unavailable"),)),
    "words of theirs": ("refused the sign-in: refused", {}, (Fault(kind="authorize_error", text="Mary Canary"),)),
    "code_refused": ("code was used before", {}, (Fault(kind="code_refused"),)),
    "issuer_mismatch": ("another server", {}, (Fault(kind="issuer_foreign"),)),
    **{
        f"id_token {way}": ("id_token", {}, (Fault(kind="id_token_spoiled", text=way),))
        for way in ("signature", "alg", "iss", "aud", "exp", "nonce", "missing")
    },
}


@pytest.mark.parametrize("name", OUTCOMES)
def test_what_goes_wrong_at_the_site_is_said_and_nothing_is_kept(world: World, name: str) -> None:
    words, person, faults = OUTCOMES[name]
    world.site("wrong", "standalone")
    world.ehr.faults.set(*faults)
    before = count(world.ehr, "revoke")
    page = refused(world.connect("wrong", **person))
    assert words in page and "Canary" not in page
    assert world.token("wrong", "alder") is None and world.store.authorized_patients(TENANT, "wrong") == []
    if name.startswith("id_token"):  # what was given with it is given back
        assert count(world.ehr, "revoke") == before + 2


def test_a_launch_that_is_too_old_or_comes_twice_is_an_expired_launch(world: World) -> None:
    world.site("late", "ehr_launch")
    with world.browser() as browser:
        world.ehr.faults.set(Fault(kind="launch_expired"))
        away = browser.get(browser.get(world.ehr.launch_page("app-late", "birch")).headers["location"])
        assert "open it from the EHR again" in refused(browser.get(sign_in(away.headers["location"], "clinician")))
        world.ehr.faults.clear()
        opened = browser.get(world.ehr.launch_page("app-late", "birch")).headers["location"]
        first, second = (browser.get(opened).headers["location"] for _ in range(2))
        assert browser.get(sign_in(first, "clinician")).status_code == 200
        assert "open it from the EHR again" in refused(browser.get(sign_in(second, "clinician")))


def test_an_iss_that_is_no_configured_site_is_not_even_looked_up(world: World) -> None:
    world.site("mine", "ehr_launch")
    world.site("portal", "standalone")
    other = PracticeEhr("other")  # its port is open; nobody answers until it is started
    hostile = [
        other.base_url,
        "http://169.254.169.254/latest/meta-data",
        "https://evil.example/fhir",
        f"{world.ehr.base_url}.evil.example",
        f"{world.ehr.base_url}/../other",
        f"{world.ehr.base_url}?x=1",
        f"https://evil.example@{urlsplit(world.ehr.base_url).netloc}/fhir",
        "file:///etc/passwd",
        "",
    ]
    before = len(world.ehr.requests)
    with other, world.browser() as browser:
        for iss in hostile:
            for path in ("/smart/launch", f"/smart/launch/{TENANT}/mine"):
                answer = browser.get(path, params={"iss": iss, "launch": "x"})
                assert "no site with this address" in refused(answer).lower() and "set-cookie" not in answer.headers
        assert other.requests == [] and len(world.ehr.requests) == before
        with_slash = browser.get(
            f"/smart/launch/{TENANT}/mine", params={"iss": f"{world.ehr.base_url}/", "launch": "x"}
        )
        assert with_slash.status_code == 303, "a slash at the end names the same base"


def test_state_belongs_to_one_browser_and_one_answer(world: World) -> None:
    world.site("state", "standalone")
    with world.browser() as victim, world.browser() as attacker:
        back = sign_in(world.leave(attacker, "state"), "birch")
        assert "no sign-in under way" in refused(victim.get(back)), "an attacker's answer in the victim's browser"
        state = params(back)["state"]
        forged = {"cookie": f"{cookie_name(state)}=default.{'A' * 43}"}
        assert "Another browser" in refused(victim.get(back, headers=forged))
        assert "finished before" in refused(attacker.get(back)), "a forged try has used the state up"
        assert world.token("state", "birch") is None

        mine, other = (world.leave(attacker, "state") for _ in range(2))
        back, elsewhere = sign_in(mine, "birch"), sign_in(other, "birch")
        swapped = back.replace(
            urlencode({"s": params(back)["state"]})[2:], urlencode({"s": params(elsewhere)["state"]})[2:]
        )
        assert params(swapped)["state"] == params(elsewhere)["state"]
        assert "code was used before" in refused(attacker.get(swapped)), "another sign-in's code fails PKCE"
        for wrong in ("", "x", f"{int(time.time())}.{'A' * 43}", "9999999999." + "A" * 43, params(back)["state"] + "x"):
            answer = attacker.get("/smart/callback", params={"state": wrong, "code": "c"})
            assert "no sign-in under way" in refused(answer)


def test_an_answer_counts_once_and_a_code_replayed_ends_what_it_gave(world: World) -> None:
    world.site("replay", "standalone")
    with world.browser() as browser:
        away = world.leave(browser, "replay")
        kept = dict(browser.cookies)
        back = sign_in(away, "alder")
        assert browser.get(back).status_code == 200
        cookie = "; ".join(f"{k}={v}" for k, v in kept.items())
        again = ASK.get(back, headers={"cookie": cookie})
        assert "finished before" in refused(again)
    form = {"grant_type": "authorization_code", "code": params(back)["code"], "client_id": "app-replay",
            "redirect_uri": f"{world.api}/smart/callback", "code_verifier": "x" * 43}  # fmt: skip
    assert ASK.post(world.ehr.token_url, data=form).json()["error"] == "invalid_grant"
    headers = {"Authorization": f"Bearer {world.token('replay', 'alder').access_token}"}
    assert ASK.get(f"{world.ehr.base_url}/Patient/alder", headers=headers).status_code == 401


def test_nothing_leads_anywhere_but_to_the_site(world: World) -> None:
    """Open redirect: no parameter of ours is followed, and a discovery document cannot send people elsewhere."""
    world.site("redirect", "standalone")
    with world.browser() as browser:
        address = world.services.connect_address(TENANT, "redirect")
        for more in ("next", "redirect_uri", "url", "iss", "launch"):
            away = browser.get(f"{address}&{more}=https://evil.example/")
            assert away.headers["location"].startswith(f"{world.ehr.origin}/oauth2/authorize?")
            assert params(away.headers["location"])["redirect_uri"] == f"{world.api}/smart/callback"
        for forged in ("", "x", address.partition("ticket=")[2][:-3] + "abc", "other." + "A" * 20 + "." + "A" * 43):
            assert "not an address of ours" in refused(browser.get("/smart/start", params={"ticket": forged})).lower()
    assert world.store.secret("other", "", "launch_tickets") is None, "a stranger makes no keys"


def test_an_address_is_good_for_an_hour_and_a_sign_in_for_ten_minutes(world: World) -> None:
    world.site("old", "standalone")
    now = time.time()

    def at(seconds: float) -> Connecting:
        return Connecting(world.store, clock=lambda: now + seconds)

    ticket = params(at(0).address(TENANT, "old"))["ticket"]
    departure = at(3590).start(ticket)
    with pytest.raises(LaunchRefused, match="too old"):
        at(3610).start(ticket)
    back = params(sign_in(departure.url, "alder"))
    with pytest.raises(LaunchRefused, match="took too long"):
        at(3590 + 610).finish(back, {departure.cookie: departure.value})
    departure = at(0).start(ticket)
    back = params(sign_in(departure.url, "alder"))
    at(1200).start(params(at(1200).address(TENANT, "old"))["ticket"])  # clears away what nobody came back for in time
    with pytest.raises(LaunchRefused, match="is over"):
        at(500).finish(back, {departure.cookie: departure.value})


def test_another_patient_than_was_asked_for_is_refused_and_given_back(world: World) -> None:
    world.site("whose", "standalone")
    patient_id = world.store.register_patient(TENANT, "whose", "birch")
    with world.browser() as browser:
        page = refused(browser.get(sign_in(world.leave(browser, "whose", patient_id), "alder")))
        assert "another patient" in page and world.store.authorized_patients(TENANT, "whose") == []
        assert browser.get(sign_in(world.leave(browser, "whose", patient_id), "birch")).status_code == 200
    assert world.store.authorized_patients(TENANT, "whose") == ["birch"]


def test_disconnecting_revokes_at_the_site_and_forgets_here(world: World) -> None:
    world.site("gone", "standalone")
    world.connect("gone")
    token = world.token("gone", "alder")
    assert world.services.disconnect(TENANT, "gone") == {"site": "gone", "ended": 1, "confirmed_by_site": 1}
    assert world.token("gone", "alder") is None
    headers = {"Authorization": f"Bearer {token.access_token}"}
    assert ASK.get(f"{world.ehr.base_url}/Patient/alder", headers=headers).status_code == 401
    form = {"grant_type": "refresh_token", "refresh_token": token.refresh_token, "client_id": "app-gone"}
    assert ASK.post(world.ehr.token_url, data=form).json()["error"] == "invalid_grant"
    found = check_site(world.store, TENANT, "gone")
    assert (found["state"], found["error"]["code"]) == ("needs_reauthorization", "not_connected")


def test_our_public_keys_are_there_for_the_site_and_rotate_without_a_gap(world: World) -> None:
    world.site("keyed", "standalone", client_auth="private_key_jwt")
    world.connect("keyed")

    def published() -> list[str]:
        answer = ASK.get(f"{world.api}/.well-known/jwks/{TENANT}/keyed")
        assert answer.status_code == 200 and '"d"' not in answer.text
        world.ehr.register_app("app-keyed", app_at(f"{world.api}/smart/callback", keys=tuple(answer.json()["keys"])))
        return [k["kid"] for k in answer.json()["keys"]]

    def works() -> bool:
        world.ehr.state.auth.revoke_tokens()
        return bool(check_site(world.store, TENANT, "keyed")["state"] == "ready")

    (first,) = published()
    world.services.rotate_key(TENANT, "keyed", "publish")
    assert published()[0] == first and len(published()) == 2 and works()
    world.services.rotate_key(TENANT, "keyed", "switch")
    second = published()[0]
    assert second != first and first in published() and works()
    world.services.rotate_key(TENANT, "keyed", "drop_old")
    assert published() == [second] and works()
    for step in ("switch", "drop_old"):
        with pytest.raises(Problem, match="conflict"):
            world.services.rotate_key(TENANT, "keyed", step)
    for unknown in ("default/nowhere", "nobody/keyed"):
        answer = ASK.get(f"{world.api}/.well-known/jwks/{unknown}")
        assert answer.status_code == 404 and answer.json()["code"] == "not_found"


def test_no_token_code_or_secret_lies_in_the_database_in_clear(world: World) -> None:
    """S05: tokens, verifiers, secrets and private keys are sealed wherever they rest."""
    world.site("sealed", "standalone", client_auth="client_secret")
    with world.browser() as browser:
        away = world.leave(browser, "sealed")
        back = sign_in(away, "alder")
        assert browser.get(back).status_code == 200
        world.leave(browser, "sealed")  # one that is still under way
    token = world.token("sealed", "alder")
    with psycopg.connect(world.store.database.url.replace("+psycopg", "")) as db:
        tables = db.execute(
            "select schemaname, tablename from pg_tables where schemaname in ('public', 'dbos')"
        ).fetchall()
        rows = [row for schema, name in tables for row in db.execute(f'select * from "{schema}"."{name}"')]
    dump = "".join(bytes(v).decode("latin-1") if isinstance(v, bytes) else str(v) for row in rows for v in row)
    assert len(tables) > 15 and "sealed" in dump
    for clear in (token.access_token, token.refresh_token, SECRET, params(away)["state"], params(back)["code"]):
        assert clear not in dump
    assert "PRIVATE KEY" not in dump

"""Signing in and out of the page, and what another site cannot do with a browser that is signed in."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from http.cookies import SimpleCookie

import api_kit
import httpx
import pytest
from api_kit import World

from service.api.app import create_app
from service.api.auth import COOKIE
from service.api.session import FailedLogins, Sessions


@pytest.fixture(scope="module")
def world(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with api_kit.own_store(postgres_url, tmp_path_factory.mktemp("home")) as store:
        yield api_kit.populate(store)


@pytest.fixture
async def browser(world: World) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(world.store.settings, world.store)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        yield client


async def sign_in(browser: httpx.AsyncClient, key: str, **fields: str) -> httpx.Response:
    return await browser.post("/login", data={"key": key, **fields}, headers={"sec-fetch-site": "same-origin"})


async def test_a_key_gives_a_session_and_signing_out_ends_it_everywhere(
    browser: httpx.AsyncClient, world: World
) -> None:
    asked_first = await browser.get(f"/patients/{world.patient}")
    assert asked_first.status_code == 401 and f'value="/patients/{world.patient}"' in asked_first.text
    answer = await sign_in(browser, world.tokens["clinician"], next=f"/patients/{world.patient}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/patients/{world.patient}")
    cookie = SimpleCookie(answer.headers["set-cookie"])[COOKIE]
    assert cookie["httponly"] and cookie["samesite"].lower() == "strict" and cookie["path"] == "/"
    assert not cookie["secure"] and int(cookie["max-age"]) == 1800
    assert world.tokens["clinician"].split("_")[2] not in answer.headers["set-cookie"], (
        "the key's secret stays out of it"
    )
    page = await browser.get(f"/patients/{world.patient}")
    assert page.status_code == 200 and "Oduya" in page.text
    copied = {"cookie": f"{COOKIE}={browser.cookies[COOKIE]}"}
    out = await browser.post("/logout", headers={"sec-fetch-site": "same-origin"})
    assert out.status_code == 303 and COOKIE not in browser.cookies
    stolen = await browser.get(f"/patients/{world.patient}", headers=copied)
    assert stolen.status_code == 401 and "Oduya" not in stolen.text


async def test_over_https_the_cookie_is_for_https_only(browser: httpx.AsyncClient, world: World) -> None:
    answer = await browser.post("https://test/login", data={"key": world.tokens["clinician"]})
    assert SimpleCookie(answer.headers["set-cookie"])[COOKIE]["secure"]


async def test_signing_in_leads_nowhere_else(browser: httpx.AsyncClient, world: World) -> None:
    for target in ("https://evil.example/", "//evil.example", "/\\evil.example", "/patients/x/../../y", "/login\n"):
        answer = await sign_in(browser, world.tokens["clinician"], next=target)
        assert answer.headers["location"] == "/", target


async def test_another_site_cannot_act_with_our_session(browser: httpx.AsyncClient, world: World) -> None:
    await sign_in(browser, world.tokens["clinician"])
    for headers in (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://evil"},
        {"origin": "null"},
    ):
        for path in ("/logout", f"/v1/patients/{world.patient}/context", f"/patients/{world.patient}/refresh"):
            answer = await browser.post(path, headers=headers)
            assert answer.status_code == 403 and "cross_site" in answer.text, (path, headers)
        login = await browser.post("/login", data={"key": world.tokens["admin"]}, headers=headers)
        assert login.status_code == 403, "nobody is signed in to somebody else's account"
    same = await browser.post(f"/v1/patients/{world.patient}/context", headers={"origin": "http://test"})
    assert same.status_code == 200


async def test_ten_wrong_keys_a_minute_are_enough_and_hold_up_no_program(
    browser: httpx.AsyncClient, world: World
) -> None:
    for _ in range(FailedLogins.MOST):
        wrong = await sign_in(browser, "cb_000000000000_" + "0" * 64)
        assert wrong.status_code == 401 and "not valid" in wrong.text
    held = await sign_in(browser, world.tokens["clinician"])
    assert held.status_code == 429 and 0 < int(held.headers["retry-after"]) <= 60
    bearer = {"authorization": f"Bearer {world.tokens['clinician']}"}
    assert (await browser.get("/v1/sites", headers=bearer)).status_code == 200


async def test_people_are_found_without_their_names_in_a_url(browser: httpx.AsyncClient, world: World) -> None:
    await sign_in(browser, world.tokens["clinician"])
    assert "Ana Oduya" in (await browser.get("/")).text
    for form, found in (({"name": "odu"}, True), ({"birth_date": "1961-05-06"}, True), ({"identifier": "x"}, False)):
        answer = await browser.post("/", data=form, headers={"sec-fetch-site": "same-origin"})
        assert answer.status_code == 200 and ("Ana Oduya" in answer.text) == found
    wrong = await browser.post("/", data={"birth_date": "May"}, headers={"sec-fetch-site": "same-origin"})
    assert wrong.status_code == 200 and 'role="alert"' in wrong.text
    forms = re.findall(r"<form[^>]*>", (await browser.get("/")).text)
    assert forms and all('method="post"' in form for form in forms)


async def test_an_error_is_a_page_for_a_person(browser: httpx.AsyncClient, world: World) -> None:
    await sign_in(browser, world.tokens["clinician"])
    answer = await browser.get("/patients/nobody")
    assert answer.status_code == 404 and "No such patient" in answer.text and "unknown_patient" in answer.text
    await sign_in(browser, world.tokens["operator"])
    assert (await browser.get(f"/patients/{world.patient}")).status_code == 403
    for form in (b"a=1&" * 20, b"key=\xff\xfe", b"key=%00"):
        answer = await browser.post(
            "/login", content=form, headers={"content-type": "application/x-www-form-urlencoded"}
        )
        assert answer.status_code in (400, 401), form


async def test_a_model_is_asked_on_request_only_and_its_absence_has_a_reason(world: World) -> None:
    settings = world.store.settings.model_copy(update={"model_id": "anthropic.some-model", "model_baa_declared": False})
    transport = httpx.ASGITransport(app=create_app(settings, world.store))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as browser:
        await sign_in(browser, world.tokens["clinician"])
        page = await browser.get(f"/patients/{world.patient}")
        assert "no language model" in page.text and "Write a summary" in page.text
        written = await browser.post(f"/patients/{world.patient}/summary", headers={"sec-fetch-site": "same-origin"})
    assert written.status_code == 200 and "Gout" in written.text
    assert "model_not_permitted" in written.text or "BAA" in written.text, "why there is no model's text"
    assert "Write a summary" not in written.text


def test_a_session_ends_in_time_and_cannot_be_forged() -> None:
    sessions = Sessions(b"k" * 32, seconds=60)
    value = sessions.issue("abc", now=1000)
    found = sessions.read(value, now=1059)
    assert found is not None and found.key_id == "abc"
    assert sessions.read(value, now=1060) is None
    assert Sessions(b"other" * 8, seconds=60).read(value, now=1001) is None
    body, _, signature = value.partition(".")
    for forged in ("", ".", body, f"{body}.", f".{signature}", f"{body[:-2]}AA.{signature}", "é.é", "a" * 10_000):
        assert sessions.read(forged, now=1001) is None
    sessions.end(value, now=1001)
    assert sessions.read(value, now=1002) is None
    assert sessions.read(sessions.issue("abc", now=1001), now=1002) is not None, "another session of the same key"


def test_failed_sign_ins_are_forgotten_after_a_minute_and_addresses_do_not_pile_up() -> None:
    failed = FailedLogins()
    for second in range(FailedLogins.MOST):
        assert failed.wait("a", now=100 + second) == 0
        failed.failed("a", now=100 + second)
    assert failed.wait("a", now=110) == 50 and failed.wait("b", now=110) == 0
    assert failed.wait("a", now=160) == 0
    for address in range(FailedLogins.ADDRESSES + 5):
        failed.failed(str(address), now=200)
    assert len(failed._failed) == FailedLogins.ADDRESSES

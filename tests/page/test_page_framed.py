"""A framed launch in a real browser: the cookie of the sign-in comes along under the EHR's page, and under no other."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

for _room in ("practice_ehr", "adapters"):
    sys.path.insert(0, str(Path(__file__).parents[1] / _room))

from api_kit import own_store, serving  # noqa: E402
from practice_kit import record  # noqa: E402
from sign_in_kit import BROWSER, app_at, params, sign_in  # noqa: E402

from adapters.profile import parse_site  # noqa: E402
from service.api.app import create_app  # noqa: E402
from service.practice_ehr import PracticeEhr  # noqa: E402
from service.store import Store  # noqa: E402

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
TENANT = "clinic"
Place = tuple[PracticeEhr, str, str, str, Store]


class _Screen(BaseHTTPRequestHandler):
    """The EHR's screen: a page with a frame in it."""

    def do_GET(self) -> None:
        body = b"<!doctype html><title>Screen</title><iframe name='app'></iframe>"
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def place(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The EHR, and addresses: of its screen, of another site's page, of the app (127.0.0.1: another site than localhost)."""
    with ExitStack() as stack:
        screens = []
        for _ in range(2):
            server = ThreadingHTTPServer(("127.0.0.1", 0), _Screen)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            screens.append(f"http://localhost:{server.server_address[1]}")
        store = stack.enter_context(own_store(postgres_url, tmp_path_factory.mktemp("home")))
        apps = {"first": app_at("http://127.0.0.1:1/smart/callback")}
        ehr = stack.enter_context(PracticeEhr("north", record("alder"), apps=apps))
        api = stack.enter_context(serving(create_app(store.settings, store)))
        for name, ancestors in (("framed", [screens[0]]), ("plain", [])):
            redirect = f"{api}/smart/callback"
            data = {
                "name": name,
                "fhir_base": ehr.base_url,
                "auth": "ehr_launch",
                "client_id": f"app-{name}",
                "client_auth": "none",
                "redirect_uri": redirect,
                "allow_loopback": True,
                "frame_ancestors": ancestors,
            }
            store.put_site(TENANT, parse_site(data))
            ehr.register_app(f"app-{name}", app_at(redirect, f"{api}/smart/launch/{TENANT}/{name}"))
        yield ehr, screens[0], screens[1], api, store


@pytest.mark.parametrize(("name", "where"), [("framed", 0), ("framed", 1), ("plain", 0)])
async def test_a_sign_in_in_a_frame(chromium: Any, place: Place, name: str, where: int) -> None:
    ehr, *screens, _, store = place
    async with await chromium.new_context() as context:
        await _walk(context, ehr, screens[where], store, name, where)


async def _walk(context: Any, ehr: PracticeEhr, screen: str, store: Store, name: str, where: int) -> None:
    page = await context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(screen)
    launch = BROWSER.get(ehr.launch_page(f"app-{name}", "alder")).headers["location"]
    async with page.expect_request(f"{ehr.origin}/oauth2/authorize**"):
        await page.evaluate("url => { document.querySelector('iframe').src = url }", launch)
    (away,) = [url for url in asked if "/oauth2/authorize" in url]
    away = away.replace(params(away)["launch"], ehr.launch("alder"))  # the browser has used that one up
    back = sign_in(away, "clinician")  # the EHR's own page, which it shows as it likes
    before = len(store.audit_rows(TENANT)) + len(store.audit_rows("default"))
    replace = (
        "url => { document.body.innerHTML = '<iframe name=back></iframe>'; document.querySelector('iframe').src = url }"
    )
    await page.evaluate(replace, back)
    for _ in range(1500):
        if len(store.audit_rows(TENANT)) + len(store.audit_rows("default")) > before:
            break
        await page.wait_for_timeout(20)
    frame = page.frame("back")
    if name == "plain":
        row = store.audit_rows("default")[-1]
        assert (row["action"], row["outcome"]) == ("GET /smart/callback", "denied"), "its cookie does not come along"
        return
    row = store.audit_rows(TENANT)[-1]
    assert (row["action"], row["outcome"]) == ("GET /smart/callback", "ok"), "the cookie came along"
    if where == 1:
        for _ in range(1500):
            if frame.url not in ("", "about:blank"):
                break
            await page.wait_for_timeout(20)
        assert frame.url.startswith("chrome-error:")
        assert await frame.locator("h1:has-text('Connected')").count() == 0, (
            "but another page may not show what came of it"
        )
        return
    await frame.wait_for_selector("h1:has-text('Connected')")
    assert await frame.get_attribute("main a", "target") == "_blank"
    (cookie,) = [c for c in await context.cookies() if c["name"].startswith("chartbrief_launch_")]
    assert cookie["sameSite"] == "None" and cookie["secure"] and cookie["httpOnly"]

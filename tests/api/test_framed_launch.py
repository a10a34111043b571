"""A launch that an EHR shows in a frame: only where the site file names its origin, and only the sign-in's own pages."""

from __future__ import annotations

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

from api_kit import own_store, serving  # noqa: E402
from practice_kit import record  # noqa: E402
from sign_in_kit import app_at, sign_in  # noqa: E402

from adapters.errors import ConfigurationError  # noqa: E402
from adapters.profile import parse_site  # noqa: E402
from service.api.app import create_app  # noqa: E402
from service.practice_ehr import PracticeEhr  # noqa: E402
from service.store import Store  # noqa: E402

TENANT = "clinic"
EHR_PAGES = ("https://ehr.example", "https://portal.example:8443")


@dataclass
class World:
    """One hospital, one service."""

    ehr: PracticeEhr
    store: Store
    api: str

    def site(self, name: str, **more: Any) -> None:
        redirect = f"{self.api}/smart/callback"
        data = {
            "name": name,
            "fhir_base": self.ehr.base_url,
            "auth": "ehr_launch",
            "client_id": f"app-{name}",
            "client_auth": "none",
            "redirect_uri": redirect,
            "allow_loopback": True,
        }
        self.store.put_site(TENANT, parse_site(data | more))
        self.ehr.register_app(f"app-{name}", app_at(redirect, f"{self.api}/smart/launch/{TENANT}/{name}"))

    def browser(self) -> httpx.Client:
        return httpx.Client(base_url=self.api, timeout=20, trust_env=False, verify=False)

    def launched(self, browser: httpx.Client, name: str) -> httpx.Response:
        return browser.get(browser.get(self.ehr.launch_page(f"app-{name}", "alder")).headers["location"])


@pytest.fixture(scope="module")
def world(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ExitStack() as stack:
        store = stack.enter_context(own_store(postgres_url, tmp_path_factory.mktemp("home")))
        apps = {"first": app_at("http://127.0.0.1:1/smart/callback")}
        ehr = stack.enter_context(PracticeEhr("north", record("alder"), apps=apps))
        yield World(ehr, store, stack.enter_context(serving(create_app(store.settings, store))))


def framing(answer: httpx.Response) -> tuple[str | None, str]:
    """X-Frame-Options and the directive of the policy."""
    policy = answer.headers["content-security-policy"]
    (ancestors,) = [part.strip() for part in policy.split(";") if part.strip().startswith("frame-ancestors")]
    return answer.headers.get("x-frame-options"), ancestors.removeprefix("frame-ancestors ")


def arrive(world: World, away: httpx.Response, **person: Any) -> httpx.Response:
    """The browser's way back; httpx keeps no Secure cookie for http, which browsers do on this machine."""
    back = sign_in(away.headers["location"], "clinician", **person)
    cookie = away.headers["set-cookie"].partition(";")[0]
    return httpx.get(back, headers={"cookie": cookie}, trust_env=False, timeout=20)


def test_a_site_that_names_origins_is_shown_under_these_and_its_cookie_comes_along(world: World) -> None:
    world.site("framed", frame_ancestors=EHR_PAGES)
    with world.browser() as browser:
        away = world.launched(browser, "framed")
    cookie = {part.strip().lower() for part in away.headers["set-cookie"].split(";")}
    assert {"httponly", "secure", "partitioned", "samesite=none", "path=/smart/callback"} <= cookie
    done = arrive(world, away)
    assert done.status_code == 200 and 'target="_blank"' in done.text and "window of its own" in done.text
    for answer in (away, done):
        assert framing(answer) == (None, " ".join(EHR_PAGES))
    assert "script-src 'self'" in done.headers["content-security-policy"]


def test_what_is_refused_is_said_in_the_frame_too(world: World) -> None:
    world.site("framed", frame_ancestors=EHR_PAGES)
    with world.browser() as browser:
        away = world.launched(browser, "framed")
    answer = arrive(world, away, allow=False)
    assert answer.status_code == 403 and "denied" in answer.text
    assert framing(answer) == (None, " ".join(EHR_PAGES))


def test_every_other_site_and_page_stands_in_no_frame(world: World) -> None:
    world.site("framed", frame_ancestors=EHR_PAGES)
    world.site("plain")
    with world.browser() as browser:
        away = world.launched(browser, "plain")
        assert (
            "samesite=lax" in away.headers["set-cookie"].lower()
            and "partitioned" not in away.headers["set-cookie"].lower()
        )
        done = arrive(world, away)
        assert done.status_code == 200 and "You can close this window" in done.text
        framed = world.launched(browser, "framed")
        state = framed.headers["set-cookie"].partition("=")
        forged = f"{state[0]}={TENANT}.{'A' * 43}"  # of a framed sign-in, by somebody who did not begin it
        back = sign_in(framed.headers["location"], "clinician")
        others = [
            away,
            done,
            httpx.get(back, headers={"cookie": forged}, trust_env=False),
            browser.get("/smart/callback?state=x"),
            browser.get("/smart/launch", params={"iss": world.ehr.base_url, "launch": "x"}),
            browser.get("/smart/launch/clinic/nowhere", params={"iss": world.ehr.base_url}),
            browser.get("/"),
            browser.get("/login"),
            browser.get("/docs"),
        ]
        for answer in others:
            assert framing(answer) == ("DENY", "'none'"), answer.url


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"frame_ancestors": ["http://ehr.example"]}, "must be https"),
        ({"frame_ancestors": ["https://*.ehr.example"]}, "frame_ancestors"),
        ({"frame_ancestors": ["*"]}, "frame_ancestors"),
        ({"frame_ancestors": ["https://ehr.example/"]}, "frame_ancestors"),
        ({"frame_ancestors": ["https://ehr.example; script-src *"]}, "frame_ancestors"),
        ({"frame_ancestors": ["https://ehr.example"], "auth": "standalone"}, "ehr_launch"),
    ],
)
def test_only_whole_origins_of_https_can_be_named(more: dict[str, Any], words: str) -> None:
    data = {
        "name": "a",
        "fhir_base": "https://a.example/fhir",
        "auth": "ehr_launch",
        "client_id": "x",
        "client_auth": "none",
        "redirect_uri": "https://brief.example/smart/callback",
    }
    assert parse_site(data | {"frame_ancestors": ["https://ehr.example:8443"]}).frame_ancestors
    with pytest.raises(ConfigurationError, match=words):
        parse_site(data | more)

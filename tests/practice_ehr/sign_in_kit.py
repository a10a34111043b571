"""A person at a practice hospital's sign-in page, and apps registered there."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from service.practice_ehr import App, PracticeEhr

BROWSER = httpx.Client(timeout=10, trust_env=False, verify=False, limits=httpx.Limits(max_keepalive_connections=0))


def app_at(redirect_uri: str, launch_url: str = "", **more: Any) -> App:
    return App(redirect_uris=(redirect_uri,), launch_url=launch_url, **more)


def fields(page: str) -> list[tuple[str, str]]:
    """The hidden and checked fields of a form."""
    return [(unescape(n), unescape(v)) for n, v in re.findall(r"name='([^']*)' value='([^']*)'(?: checked)?>", page)]


def sign_in(
    url: str,
    user: str,
    *,
    password: str = "practice",
    allow: bool = True,
    without: str = "nothing",
    patient: str = "",
) -> str:
    """Go through the pages; the address they lead to in the end. `without`: scopes (a pattern) that are unchecked."""
    first = BROWSER.get(url)
    if first.is_redirect:
        return str(first.headers["location"])
    assert first.status_code == 200, first.text
    action = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}{urlsplit(url).path}"
    form = [(n, v) for n, v in fields(first.text) if n != "user"]
    second = post(action, [*form, ("user", user), ("password", password)])
    assert second.status_code == 200, second.text
    kept = [(n, v) for n, v in fields(second.text) if n != "scope" or not re.search(without, v)]
    chosen = [("patient", patient)] if patient else []
    third = post(action, [*kept, *chosen, ("answer", "allow" if allow else "deny")])
    assert third.status_code == 302, third.text
    return str(third.headers["location"])


def post(url: str, form: list[tuple[str, str]]) -> httpx.Response:
    from urllib.parse import urlencode

    return BROWSER.post(url, content=urlencode(form), headers={"content-type": "application/x-www-form-urlencoded"})


def params(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def count(ehr: PracticeEhr, what: str) -> int:
    return sum(seen.interaction == what for seen in ehr.requests)

"""The start page with many patients: a page at a time, nobody left out, nobody twice."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from api_kit import OURS, own_store
from store_kit import add_site, fetch, person

from service.api.app import create_app
from service.page.routes import PATIENTS_A_PAGE
from service.store import Store

MANY = 2 * PATIENTS_A_PAGE + 3


@pytest.fixture(scope="module")
def store(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with own_store(postgres_url, tmp_path_factory.mktemp("home")) as opened:
        for tenant in (OURS, "theirs"):
            add_site(opened, tenant)
        for number in range(MANY):
            opened.register_patient(OURS, "north", f"p{number}")
        theirs = opened.register_patient("theirs", "north", "p0")
        last = opened.register_patient(OURS, "north", f"p{MANY - 1}")
        opened.commit_fetch(
            OURS, last, "north", [fetch("demographics", [person(f"p{MANY - 1}", family="Lastly", tenant=OURS)])]
        )
        assert theirs != last
        yield opened


@pytest.fixture
async def reader(store: Store) -> Iterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {store.create_api_key(OURS, 'clinician')[1]}"}
    transport = httpx.ASGITransport(app=create_app(store.settings, store))
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
        yield client


def shown(page: httpx.Response) -> list[str]:
    assert page.status_code == 200
    return re.findall(r'href="/patients/([0-9a-f]{32})"', page.text)


async def test_the_pages_hold_everybody_once_and_lead_to_each_other(reader: httpx.AsyncClient, store: Store) -> None:
    seen: list[str] = []
    address: str | None = "/"
    steps = 0
    while address:
        page = await reader.get(address)
        seen += shown(page)
        steps += 1
        assert len(shown(page)) <= PATIENTS_A_PAGE
        assert (steps > 1) == ('rel="prev"' in page.text)
        following = re.search(r'rel="next" href="([^"]+)"', page.text)
        address = following[1] if following else None
    assert steps == 3 and seen == [p["id"] for p in store.patients(OURS)] and len(set(seen)) == MANY
    assert f"201 to {MANY} of {MANY} patients" in page.text and "Lastly" in page.text
    found = await reader.post("/", content="name=lastly", headers={"content-type": "application/x-www-form-urlencoded"})
    assert shown(found) == [seen[-1]], "the search finds whoever is on no first page"


@pytest.mark.parametrize("page", ["0", "-1", "x", "1e3", "99999999999999999999", "%00", "1'--", ""])
async def test_a_page_that_is_none_is_the_first(reader: httpx.AsyncClient, page: str) -> None:
    answer = await reader.get(f"/?page={page}")
    assert shown(answer) == shown(await reader.get("/")) and len(shown(answer)) == PATIENTS_A_PAGE


async def test_a_page_behind_the_last_says_so(reader: httpx.AsyncClient) -> None:
    answer = await reader.get("/?page=999999")
    assert (
        shown(answer) == []
        and f"There are {MANY} patients" in answer.text
        and "No patient is registered" not in answer.text
    )

"""Paging (F10): whatever links a server makes, nothing is lost without a word and nothing comes twice."""

from __future__ import annotations

import json
from typing import Any

import pytest
from adapter_kit import bundle, observation, outcome, resource
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.errors import AdapterError, BadAnswer, NotSupported, SiteUnavailable
from adapters.fhir.http import Answer
from adapters.fhir.search import MOST_BARREN, MOST_RESTARTS, Asked, Found, search, search_url
from adapters.profile import Paging
from models.record import RawResource

BASE = "https://ehr.example/fhir"
FIRST = f"{BASE}/Observation?patient=p1"


def keep(key, parsed, content):
    meta = parsed.get("meta") or {}
    return RawResource("t1", "north", *key, content=content, version=meta.get("versionId", ""))


async def walk(pages: dict[str, Any], *, patient: str | None = "p1", **paging: Any) -> tuple[Found, list[str]]:
    """Follow a search over pages by URL. A page may be an error, a list (one a request, the last stays) or a function."""
    asked, found = [], Found()

    async def get(url: str) -> Answer:
        asked.append(url)
        page = pages(url) if callable(pages) else pages[url]
        if isinstance(page, list):
            page = page.pop(0) if len(page) > 1 else page[0]
        if isinstance(page, Exception):
            raise page
        return Answer(200, "application/fhir+json", page if isinstance(page, bytes) else json.dumps(page).encode())

    query = Asked("north", "Observation", patient, Paging(**paging), most_bytes=1_000_000)
    await search(get, FIRST, query, keep, found)
    return found, asked


def names(found: Found) -> list[str]:
    return sorted(key[1] for key in found.resources)


def obs(*numbers: int) -> list[dict[str, Any]]:
    return [observation(f"o{n}") for n in numbers]


async def test_pages_are_followed_to_the_end():
    found, _asked = await walk({FIRST: bundle(*obs(1, 2), next_link=f"{BASE}/n2"), f"{BASE}/n2": bundle(*obs(3))})
    assert names(found) == ["o1", "o2", "o3"] and found.pages == 2
    assert not (found.truncated or found.broken or found.rejected or found.missing)


@pytest.mark.parametrize(
    ("link", "meant"),
    [
        ("?page=2", f"{BASE}/Observation?page=2"),
        ("Observation?page=2", f"{BASE}/Observation?page=2"),
        ("/fhir/Observation?page=2", f"{BASE}/Observation?page=2"),
        (f"  {BASE}/Observation?page=2 ", f"{BASE}/Observation?page=2"),
        (f"{BASE}?_getpages=7", f"{BASE}?_getpages=7"),
        (f"{BASE}/Observation?session={'x' * 8_000}", f"{BASE}/Observation?session={'x' * 8_000}"),
    ],
    ids=["query", "relative", "rooted", "blanks", "base", "8kB"],
)
async def test_links_in_every_spelling(link, meant):
    found, asked = await walk({FIRST: bundle(*obs(1), next_link=link), meant: bundle(*obs(2))})
    assert names(found) == ["o1", "o2"] and asked == [FIRST, meant]


async def test_self_loop():
    found, asked = await walk({FIRST: bundle(*obs(1), next_link=FIRST)})
    assert found.truncated == "paging_loop" and len(asked) == 1 and names(found) == ["o1"]


async def test_a_b_a():
    b = f"{BASE}/b"
    found, asked = await walk({FIRST: bundle(*obs(1), next_link=b), b: bundle(*obs(2), next_link=FIRST)})
    assert found.truncated == "paging_loop" and len(asked) == 2 and names(found) == ["o1", "o2"]


@pytest.mark.parametrize("content", [[], obs(1, 2)], ids=["empty", "same"])
async def test_fresh_links_without_end(content):
    def pages(url):
        number = int(url.partition("n=")[2] or 0)
        return bundle(*content, next_link=f"{BASE}/x?n={number + 1}")

    found, asked = await walk(pages)
    assert found.truncated == "paging_endless" and len(asked) <= MOST_BARREN + 1


async def test_caps_end_what_keeps_bringing_something_new():
    def pages(url):
        number = int(url.partition("n=")[2] or 0)
        return bundle(observation(f"o{number}", note="x" * 1000), next_link=f"{BASE}/x?n={number + 1}")

    found, asked = await walk(pages, max_pages=7)
    assert found.truncated == "page_cap" and len(asked) == 7 == len(found.resources)
    assert (await walk(pages, max_resources=5))[0].truncated == "resource_cap"
    assert (await walk(pages))[0].truncated in ("byte_cap", "page_cap")


async def test_empty_pages_with_a_next_are_passed():
    pages = {
        FIRST: bundle(next_link="?n=1"),
        f"{BASE}/Observation?n=1": bundle(next_link="?n=2"),
        f"{BASE}/Observation?n=2": bundle(*obs(1)),
    }
    found, _ = await walk(pages)
    assert names(found) == ["o1"] and not found.truncated


async def test_duplicates_across_pages_come_once_and_the_newest_version_stays_in_any_order():
    old = observation("o1", meta={"versionId": "1", "lastUpdated": "2024-01-01"}, status="preliminary")
    new = observation("o1", meta={"versionId": "2", "lastUpdated": "2024-02-01"})
    kept = []
    for one, two in ((old, new), (new, old)):
        found, _ = await walk(
            {FIRST: bundle(one, *obs(2), next_link="?n=1"), f"{BASE}/Observation?n=1": bundle(two, *obs(2, 3))}
        )
        assert names(found) == ["o1", "o2", "o3"]
        kept.append(found.resources[("Observation", "o1")].content)
    assert kept[0] == kept[1] and b"final" in kept[0]


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.lists(st.lists(st.integers(0, 12), max_size=4), min_size=1, max_size=6), st.data())
async def test_a_link_that_dies_at_any_page_restarts_without_loss_or_duplicates(layout, data):
    dies = data.draw(st.integers(1, max(1, len(layout) - 1)))
    status = data.draw(st.sampled_from([400, 404, 410]))
    bad_entry = data.draw(st.booleans())
    session = [0]

    def pages(url):
        if url == FIRST:
            session[0] += 1
            number = 0
        else:
            number = int(url.rpartition("-")[2])
            if number == dies and session[0] == 1:
                raise BadAnswer("gone", code=f"http_{status}", status=status)
        link = f"{BASE}/s{session[0]}-{number + 1}" if number + 1 < len(layout) else ""
        return bundle(*obs(*layout[number]), *([{"resourceType": "Observation"}] if bad_entry else []), next_link=link)

    found, asked = await walk(pages)
    assert names(found) == sorted({f"o{n}" for page in layout for n in page})
    assert not (found.truncated or found.broken or found.missing)
    assert len(found.rejected) == (len(layout) if bad_entry else 0), "a bad entry is not counted again"
    assert asked.count(FIRST) == (2 if len(layout) > 1 else 1)


async def test_restarts_are_bounded_and_the_lost_page_is_reported():
    link = f"{BASE}/dead"
    gone = NotSupported("HTTP 404", status=404)
    found, asked = await walk({FIRST: bundle(*obs(1), next_link=link, total=9), link: gone})
    assert asked.count(FIRST) == 1 + MOST_RESTARTS and names(found) == ["o1"]
    assert found.broken == "not_supported" and [m.count for m in found.missing] == [8], (
        "the site's own count tells how many"
    )


@pytest.mark.parametrize(
    "error", [SiteUnavailable("HTTP 503", code="http_503", status=503), SiteUnavailable("timeout", code="timeout")]
)
async def test_a_page_that_does_not_come_is_missing_and_the_rest_is_kept(error):
    found, asked = await walk({FIRST: bundle(*obs(1), next_link="?n=1"), f"{BASE}/Observation?n=1": error})
    assert names(found) == ["o1"] and found.broken == error.code and len(asked) == 2
    assert [(m.reference, m.reason) for m in found.missing] == [("Observation search, page 2", error.code)]


@pytest.mark.parametrize("body", [b"<html>login</html>", json.dumps(outcome()).encode(), b"{}"])
async def test_a_page_that_is_something_else_goes_to_quarantine(body):
    found, _ = await walk({FIRST: bundle(*obs(1), next_link="?n=1"), f"{BASE}/Observation?n=1": body})
    assert names(found) == ["o1"] and found.broken and not found.missing
    assert [r.content for r in found.rejected] == [body]


async def test_a_first_page_that_fails_is_the_searchs_error():
    for error in (BadAnswer("x", status=400), SiteUnavailable("x"), NotSupported("x", status=404)):
        with pytest.raises(AdapterError) as raised:
            await walk({FIRST: error})
        assert raised.value is error


async def test_a_page_that_is_cut_off_is_kept_as_far_as_it_came():
    whole = json.dumps(bundle(*obs(1, 2, 3))).encode()
    found, _ = await walk({FIRST: whole[: whole.index(b'"o3"') + 2]})
    assert names(found) == ["o1", "o2"] and found.broken == "truncated_json"
    assert [r.reason for r in found.rejected] == ["not_json"]


async def test_a_link_that_cannot_be_read_loses_no_page_that_came():
    found, _ = await walk({FIRST: bundle(*obs(1), next_link="http://[bad")})
    assert names(found) == ["o1"] and found.broken == "bad_link" and len(found.missing) == 1


async def test_the_site_is_held_to_its_own_count():
    found, _ = await walk({FIRST: bundle(*obs(1, 2), total=5)})
    assert [(m.reason, m.count) for m in found.missing] == [("the site counted more than it sent", 3)]
    assert (await walk({FIRST: bundle(*obs(1, 2), total=2)}))[0].missing == []
    assert (await walk({FIRST: bundle(*obs(1, 2), total=1)}))[0].missing == []


async def test_entries_are_sorted_into_records_remarks_and_quarantine():
    rows = [
        observation("good"),
        outcome("warning", "suppressed", details="59204"),
        observation("other", patient="p2"),
        resource("Condition", "c1"),
        resource("Practitioner", "pr1"),
        {"resourceType": "Observation"},
        {"id": "x"},
        {"resourceType": "Observation", "id": 7},
    ]
    found, _ = await walk({FIRST: bundle(*rows)})
    assert sorted(found.resources) == [("Observation", "good"), ("Practitioner", "pr1")]
    assert found.outcomes == ["warning/suppressed/59204"]
    reasons = sorted(r.reason for r in found.rejected)
    assert reasons == ["missing_id", "missing_id", "not_a_resource", "wrong_patient", "wrong_resource_type"]
    assert all(r.source == "Observation search, page 1" and r.content for r in found.rejected)


@pytest.mark.parametrize(
    ("subject", "ours"),
    [
        ({"reference": "Patient/p1"}, True),
        ({"reference": f"{BASE}/Patient/p1"}, True),
        ({"reference": "Patient/p1/_history/3"}, True),
        ({"display": "somebody"}, True),
        (None, True),
        ({"reference": "#p"}, True),
        ({"reference": "Group/g1"}, True),
        ({"reference": "Patient/p2"}, False),
        ({"reference": f"{BASE}/Patient/p11"}, False),
    ],
)
async def test_whose_a_resource_is(subject, ours):
    found, _ = await walk({FIRST: bundle(observation("o1") | {"subject": subject})})
    assert (names(found) == ["o1"]) is ours and (len(found.rejected) == 0) is ours


async def test_without_a_patient_anybodys_resources_are_kept_whole():
    big = observation("o1", patient="p2", note="x" * 200_000)
    found, _ = await walk({FIRST: bundle(big)}, patient=None)
    assert len(found.resources[("Observation", "o1")].content) > 200_000


def test_search_urls_keep_what_servers_want_unescaped():
    url = search_url(
        BASE,
        "Observation",
        [("patient", "a/b"), ("code", "http://loinc.org|1,2"), ("date", "ge2020"), ("date", "lt2021")],
    )
    assert url == f"{BASE}/Observation?patient=a/b&code=http://loinc.org|1,2&date=ge2020&date=lt2021"
    assert search_url(BASE, "Patient", {"family": "Núñez & Co"}).endswith("family=N%C3%BA%C3%B1ez+%26+Co")

"""Faults on demand: each one does on the wire what its name says, and only where it was asked to."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime

import httpx
import orjson
import pytest
from practice_kit import dress_where, get, ids, link, walk
from pydantic import ValidationError

from service.practice_ehr import Fault, Faults

SEARCH = "Condition?patient=alder&_count=3"
ALL = [f"alder-c{i}" for i in range(7)]
STYLES = ("session", "context", "cursor", "page")


@pytest.fixture(scope="module", params=STYLES)
def ehr(request, start):
    return start(dress_where(paging={"style": request.param}))


@pytest.fixture(scope="module")
def one(start):
    return start()


@pytest.fixture(autouse=True)
def _clean(request):
    yield
    for name in ("ehr", "one"):
        if name in request.fixturenames:
            request.getfixturevalue(name).faults.clear()


def test_a_status_strikes_the_nth_request_of_its_type_only(one):
    one.faults.set(Fault(kind="status", resource_type="Condition", first=2, times=2, status=429, retry_after="7"))
    conditions = [get(one, "Condition/alder-c0") for _ in range(5)]
    assert [r.status_code for r in conditions] == [200, 429, 429, 200, 200]
    assert conditions[1].headers["retry-after"] == "7" and "retry-after" not in conditions[0].headers
    assert get(one, "Patient/alder").status_code == 200


@pytest.mark.parametrize("text", ["999999999", "soon", "-5"])
def test_absurd_retry_after_goes_out_as_given(one, text):
    one.faults.set(Fault(kind="status", status=503, retry_after=text))
    assert get(one, "Patient/alder").headers["retry-after"] == text


def test_retry_after_as_a_date(one):
    one.faults.set(Fault(kind="status", status=503, retry_after="date:30"))
    when = parsedate_to_datetime(get(one, "Patient/alder").headers["retry-after"])
    assert 20 < when.timestamp() - time.time() < 40


def test_a_fault_can_be_for_reads_or_searches(one):
    one.faults.set(Fault(kind="status", interaction="read", status=500, body="empty"))
    assert get(one, SEARCH).status_code == 200
    broken = get(one, "Condition/alder-c0")
    assert (broken.status_code, broken.content) == (500, b"")


def test_discovery_and_token_endpoint_can_fail_and_fhir_faults_leave_them_alone(one):
    one.faults.set(Fault(kind="status", status=502), Fault(kind="status", resource_type="metadata", status=504))
    assert get(one, "metadata").status_code == 504
    assert get(one, ".well-known/smart-configuration").status_code == 404  # an open hospital
    assert get(one, "Patient/alder").status_code == 502


def test_delay_waits_and_then_answers(one):
    one.faults.set(Fault(kind="delay", seconds=0.3))
    began = time.monotonic()
    assert get(one, "Patient/alder").status_code == 200
    assert time.monotonic() - began >= 0.3


def test_drip_is_slower_than_any_read_timeout_notices(one):
    one.faults.set(Fault(kind="drip", seconds=0.05))
    with httpx.stream("GET", f"{one.base_url}/Patient/alder", timeout=1) as answer:
        began, got = time.monotonic(), 0
        for chunk in answer.iter_raw():
            got += len(chunk)
            if time.monotonic() - began > 0.5:
                break
    assert 3 <= got <= 15


def test_reset_and_cut_break_the_connection(one):
    one.faults.set(Fault(kind="reset"))
    with pytest.raises(httpx.NetworkError):
        get(one, "Patient/alder")
    one.faults.set(Fault(kind="cut"))
    with pytest.raises((httpx.NetworkError, httpx.RemoteProtocolError)):
        get(one, "Patient/alder")
    one.faults.clear()
    assert get(one, "Patient/alder").status_code == 200


def test_truncated_json_is_a_complete_answer_with_half_a_document(one):
    one.faults.set(Fault(kind="truncated_json"))
    answer = get(one, SEARCH)
    assert answer.status_code == 200 and int(answer.headers["content-length"]) == len(answer.content)
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(answer.content)


def test_bodies_that_are_something_else(one):
    one.faults.set(Fault(kind="html_login"))
    assert get(one, SEARCH).headers["content-type"].startswith("text/html")
    one.faults.set(Fault(kind="operation_outcome"))
    assert get(one, SEARCH).json()["resourceType"] == "OperationOutcome"
    one.faults.set(Fault(kind="wrong_resource"))
    assert get(one, SEARCH).json()["resourceType"] == "Parameters"
    assert get(one, "Condition/alder-c0").json()["resourceType"] == "Basic"


def test_bad_entries_stand_beside_the_good_ones(one):
    one.faults.set(Fault(kind="bad_entry"), Fault(kind="wrong_entries"))
    entries = get(one, SEARCH).json()["entry"]
    assert [e["resource"]["id"] for e in entries[:3]] == ALL[:3]
    assert len(entries) == 9 and None in entries and {"resource": {"id": "x"}} in entries


def test_a_huge_line_and_deep_nesting(one):
    one.faults.set(Fault(kind="huge_line"))
    assert len(get(one, SEARCH).content) > 5_000_000
    one.faults.set(Fault(kind="deep"))
    body = get(one, "Condition/alder-c0").content
    assert body.count(b"urn:practice:deep") == 10_000 and body.count(b"[") == body.count(b"]")
    one.faults.set(Fault(kind="deep", size=50))
    deep = get(one, SEARCH).json()["entry"][0]["resource"]["extension"]
    levels = 0
    while deep:
        deep, levels = deep[-1]["extension"], levels + 1
    assert levels == 50


def test_self_loop(ehr):
    ehr.faults.set(Fault(kind="self_loop"))
    assert link(get(ehr, SEARCH).json()) == f"{ehr.base_url}/{SEARCH}"


def test_a_b_a_comes_back_to_the_first_page(ehr):
    ehr.faults.set(Fault(kind="a_b_a"))
    first = get(ehr, SEARCH).json()
    second = get(ehr, link(first)).json()
    third = get(ehr, link(second)).json()
    assert ids([second]) == ALL[3:6] and ids([third]) == ids([first]) == ALL[:3]


def test_endless_links_are_fresh_and_bring_nothing_new(ehr):
    ehr.faults.set(Fault(kind="endless"))
    pages = walk(ehr, SEARCH, limit=12)
    assert len(pages) == 12 and len({link(p) for p in pages}) == 12
    assert set(ids(pages)) == set(ALL)


def test_duplicates_repeat_the_page_before(ehr):
    ehr.faults.set(Fault(kind="duplicates"))
    pages = walk(ehr, SEARCH)
    assert ids(pages) == ALL[:3] + ALL[:6] + ALL[3:7]


def test_empty_pages_lead_on_to_everything(ehr):
    ehr.faults.set(Fault(kind="empty_page"))
    pages = walk(ehr, SEARCH)
    assert [len(p.get("entry", [])) for p in pages] == [0, 3, 0, 3, 0, 1]
    assert ids(pages) == ALL


def test_long_links_work(ehr):
    ehr.faults.set(Fault(kind="long_link"))
    pages = walk(ehr, SEARCH)
    assert len(link(pages[0])) > 8_000 and ids(pages) == ALL


def test_a_foreign_link_leaves_the_origin(ehr):
    ehr.faults.set(Fault(kind="foreign_link"))
    url = httpx.URL(link(get(ehr, SEARCH).json()))
    assert url.host.endswith(".invalid")


def test_a_dead_link_stays_dead_and_a_new_search_works(ehr):
    ehr.faults.set(Fault(kind="dead_link", times=1))
    dead = link(get(ehr, SEARCH).json())
    assert get(ehr, dead).status_code == 400
    assert ids(walk(ehr, SEARCH)) == ALL


def test_faults_at_a_page(ehr):
    ehr.faults.set(Fault(kind="status", page=2, times=1, status=500))
    url, codes, pages = SEARCH, [], []
    while url:
        answer = get(ehr, url)
        codes.append(answer.status_code)
        if answer.status_code == 200:
            pages.append(answer.json())
            url = link(pages[-1])
    assert codes == [200, 500, 200, 200] and ids(pages) == ALL


def test_the_request_log_counts_and_identifies_nobody(start):
    ehr = start()
    ehr.faults.set(Fault(kind="status", resource_type="Patient", status=503, times=1))
    get(ehr, "Patient/alder")
    get(ehr, "Condition?patient=alder&_count=3")
    get(ehr, "Alder?name=birch")
    seen = [(r.method, r.resource_type, r.interaction, r.status, r.count, r.fault) for r in ehr.requests]
    assert seen == [
        ("GET", "Patient", "read", 503, 0, "status"),
        ("GET", "Condition", "search", 200, 3, ""),
        ("GET", "other", "search", 404, 0, ""),
    ]
    assert "alder" not in repr(ehr.requests).lower() and "birch" not in repr(ehr.requests)


def test_faults_come_from_a_file_and_wrong_words_are_refused(tmp_path):
    path = tmp_path / "faults.toml"
    path.write_text('[[faults]]\nkind = "status"\nresource_type = "Condition"\nstatus = 429\n')
    assert Faults.from_file(path).items == (Fault(kind="status", resource_type="Condition", status=429),)
    path.write_text('[[faults]]\nkind = "explosion"\n')
    with pytest.raises(ValidationError):
        Faults.from_file(path)
    path.write_text('[[fault]]\nkind = "status"\n')
    with pytest.raises(ValidationError):
        Faults.from_file(path)

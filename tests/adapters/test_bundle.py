"""Pages: resources keep their bytes, one bad entry costs one entry, a cut page keeps what came before the cut."""

from __future__ import annotations

import json

import orjson
import pytest
from adapter_kit import bundle, observation, outcome
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.errors import BadAnswer
from adapters.fhir.bundle import read_page, split
from adapters.fhir.http import Answer

JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def page_of(body: bytes | str | dict) -> object:
    data = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return read_page(Answer(200, "application/fhir+json", data))


@settings(max_examples=80, derandomize=True, deadline=None)
@given(st.lists(JSONS, max_size=6), st.sampled_from([None, 1]), st.booleans())
def test_splitting_finds_the_parts_a_parser_finds(items, indent, ascii_only):
    text = json.dumps(items, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    parts, whole = split(text)
    assert whole and [json.loads(p) for p in parts] == items


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.lists(JSONS.filter(lambda v: v is not None), min_size=1, max_size=5), st.data())
def test_a_body_cut_anywhere_keeps_every_resource_that_came_whole(values, data):
    """F05: kept + quarantined accounts for all that arrived; nothing invented, nothing altered."""
    resources = [{"resourceType": "Observation", "id": f"o{i}", "x": v} for i, v in enumerate(values)]
    body = json.dumps({"resourceType": "Bundle", "entry": [{"resource": r} for r in resources]}).encode()
    cut = data.draw(st.integers(0, len(body)))
    try:
        page = page_of(body[:cut])
    except BadAnswer as error:
        assert b'"id"' not in body[:cut] or cut < len(body)
        assert error.code in ("empty_body", "truncated_json")
        return
    assert page.cut == (cut < len(body))
    good = []
    for content in page.resources:
        try:
            good.append(orjson.loads(content))
        except orjson.JSONDecodeError:
            assert content is page.resources[-1], "only the last can be cut"
    assert good == resources[: len(good)]
    arrived = sum(body[:cut].find(f'"id": "o{i}"'.encode()) >= 0 for i in range(len(resources)))
    assert len(page.resources) + len(page.strays) >= arrived


@pytest.mark.parametrize("number", ["1.50", "7.0", "1E+2", "0.1000000000000000055", "12345678901234567890"])
def test_numbers_keep_the_digits_the_source_wrote(number):
    raw = f'{{"resourceType":"Observation","id":"o1" , "valueQuantity":{{"value":{number}}}}}'
    page = page_of(f'{{"resourceType":"Bundle","entry":[ {{"fullUrl":"x","resource":{raw} }} ]}}')
    assert page.resources == [raw.encode()]


DEEP = '{"resourceType":"Observation","id":"deep","x":' + "[" * 10_000 + "]" * 10_000 + "}"


@pytest.mark.parametrize(
    "bad",
    [
        DEEP.encode(),
        b'{"resourceType":"Observation","id":"\xff\xfe"}',
        b'{"resourceType":"Observation","v":NaN}',
        b'{"id":"\\ud800"}',
        b"{,}",
    ],
    ids=["deep", "latin-1", "nan", "lone-surrogate", "comma"],
)
def test_one_bad_entry_does_not_cost_the_page(bad):
    body = b'{"resourceType":"Bundle","link":[{"relation":"next","url":"n"}],"total":3,"entry":[' + b",".join(
        b'{"resource":' + r + b"}" for r in (b'{"resourceType":"Observation","id":"a"}', bad, b'{"resourceType":"Observation","id":"z"}')
    ) + b"]}"  # fmt: skip
    page = page_of(body)
    assert len(page.resources) == 3 and page.resources[1] == bad and not page.cut
    assert json.loads(page.resources[0])["id"] == "a" and json.loads(page.resources[2])["id"] == "z"
    assert page.links == [{"relation": "next", "url": "n"}] and page.total == 3


def test_a_line_of_two_megabytes():
    big = observation("big", note=[{"text": "x" * 2_000_000}])
    page = page_of(bundle(observation("a"), big))
    assert len(page.resources) == 2 and len(page.resources[1]) > 2_000_000
    cut = json.dumps(bundle(observation("a"), big)).encode()[:-100]
    assert len(page_of(cut).resources) == 2


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty_body"),
        (b"<!DOCTYPE html><html>login</html>", "html_body"),
        (b"\xef\xbb\xbf  <html>", "html_body"),
        (b"Service temporarily off", "not_json"),
        (b'{"resourceType":"Bund', "truncated_json"),
        (b"[]", "wrong_resource_type"),
        (b"null", "not_json"),
        (b"{}", "wrong_resource_type"),
        (json.dumps(observation("x")).encode(), "wrong_resource_type"),
        (json.dumps(outcome()).encode(), "operation_outcome"),
    ],
)
def test_what_is_no_bundle_says_what_it_is(body, code):
    with pytest.raises(BadAnswer) as error:
        page_of(body)
    assert error.value.code == code and error.value.body == body


@pytest.mark.parametrize("entry", [5, "x", {}, {"resource": {}}, True])
def test_entries_of_a_wrong_shape_are_strays(entry):
    page = page_of({"resourceType": "Bundle", "entry": entry})
    assert page.resources == [] and len(page.strays) == 1


def test_strays_beside_resources_and_a_byte_order_mark():
    body = {
        "resourceType": "Bundle",
        "link": "none",
        "total": True,
        "entry": [None, 1, {}, {"resource": None}, {"resource": observation("a")}],
    }
    page = page_of(b"\xef\xbb\xbf" + json.dumps(body).encode())
    assert len(page.resources) == 1 and len(page.strays) == 4
    assert page.links == [] and page.total is None
    assert (
        page_of({"resourceType": "Bundle"}).resources == page_of({"resourceType": "Bundle", "entry": None}).strays == []
    )

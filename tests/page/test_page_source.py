"""The source behind a statement: as received, with the place it was read from marked."""

from __future__ import annotations

import json
from typing import Any

import api_kit
import httpx
import pytest
from api_kit import OURS, World
from hypothesis import given, settings
from hypothesis import strategies as st
from test_page_view import HOSTILE, PERSON, assert_inert, chart_of, lab

from models.record import Origin, Problem, Result, entry_id
from service.api.app import create_app
from service.page.routes import render
from service.page.source import MOST_TEXT, runs, source, steps
from service.page.view import MOST_SOURCES, sources
from service.settings import Settings
from service.store import Store

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


def marked(content: dict[str, Any], path: str = "") -> str:
    """What is marked, without white space."""
    return "".join("".join(r.text.split()) for r in runs(json.dumps(content).encode(), path) if r.marked)


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_what_is_shown_is_what_was_received(resource: dict[str, Any]) -> None:
    shown = "".join(run.text for run in runs(json.dumps(resource).encode(), ""))
    assert json.loads(shown) == resource


def test_numbers_keep_the_digits_they_were_sent_with() -> None:
    sent = b'{"a": 7.0, "b": 1.50e3, "c": 12345678901234567890123, "d": -0.0}'
    shown = "".join(run.text for run in runs(sent, ""))
    for digits in ("7.0", "1.50e3", "12345678901234567890123", "-0.0"):
        assert digits in shown


def test_the_cited_place_is_marked_and_nothing_else() -> None:
    panel = {
        "resourceType": "Observation",
        "component": [
            {"valueQuantity": {"value": 120}},
            {"valueQuantity": {"value": 80}, "code": {"text": "diastolic"}},
        ],
    }
    assert marked(panel, "component[1]") == '{"valueQuantity":{"value":80},"code":{"text":"diastolic"}}'
    assert marked(panel, "Observation.component[1].valueQuantity.value") == '"value":80'
    assert marked(panel, "component[0].valueQuantity.gone") == '"valueQuantity":{"value":120}', "the part that exists"
    assert marked(panel, "component[7]") == marked(panel, "component")
    assert marked(panel, "nowhere") == ""


def test_without_a_path_the_elements_the_page_shows_are_marked() -> None:
    condition = {
        "resourceType": "Condition",
        "id": "c1",
        "code": {"text": "Gout"},
        "onsetDateTime": "2020",
        "onsettle": 1,
        "subject": {"reference": "Patient/p"},
    }
    assert marked(condition) == '"code":{"text":"Gout"}"onsetDateTime":"2020"'
    assert marked({"resourceType": "Device", "id": "d"}) == ""


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("", ()),
        ("Condition.code", ("code",)),
        ("a[0][1].b", ("a", 0, 1, "b")),
        ("extension('x').value", ()),
        ("name.where(use='official')", ("name",)),
    ],
)
def test_paths_are_read_as_far_as_they_are_plain(path: str, wanted: tuple[Any, ...]) -> None:
    assert steps(path, "Condition") == wanted


def test_what_cannot_be_shown_says_so() -> None:
    origin = Origin(tenant="t", site="north", resource_type="Condition", resource_id="c1")
    assert "no longer kept" in source("Gout", origin, None).state
    for content in (b"{", b"[]", b"\xff", b"[" * 5000 + b"]" * 5000, b'{"a":' * 3000 + b"1" + b"}" * 3000):
        made = source("Gout", origin, content)
        assert made.runs == () and "cannot be shown" in made.state
    long = source("Note", origin, json.dumps({"data": "x" * (MOST_TEXT + 7)}).encode())
    assert "(7 more characters)" in "".join(r.text for r in long.runs)


def test_hostile_content_is_text() -> None:
    content = json.dumps({"resourceType": "Condition", "code": {"text": HOSTILE}, HOSTILE: [HOSTILE]}).encode()
    origin = Origin(tenant="t", site=HOSTILE, resource_type="Condition", resource_id="c", path=HOSTILE, version=HOSTILE)
    made = render("sources.html", sources=[source(HOSTILE, origin, content)], more=0, patient_id="p").body.decode()
    assert "owned" in made
    assert_inert(made)


async def test_a_statement_leads_to_its_source_with_and_without_a_script(settings: Settings, store: Store) -> None:
    world: World = api_kit.populate(store)
    transport = httpx.ASGITransport(app=create_app(settings, store))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as browser:
        await browser.post("/login", data={"key": world.tokens["clinician"]})
        gout = store.chart(OURS, world.patient).of(Problem)[0]
        path = f"/patients/{world.patient}/sources/{gout.id}"
        assert path in (await browser.get(f"/patients/{world.patient}")).text
        page = (await browser.get(path)).text
        assert "<mark" in page and "Gout" in page and "Condition/c1" in page and "No longer kept" not in page
        answer = (await browser.get(path, headers={"accept": "application/json"})).json()
        (found,) = answer["sources"]
        assert found["title"] == "Gout" and ["Resource", "Condition/c1"] in found["facts"]
        assert any(run["marked"] and "Gout" in run["text"] for run in found["runs"])
        two = f"{gout.id},{entry_id('north', 'Patient', 'p1')},{'0' * 16}"
        both = (
            await browser.get(f"/patients/{world.patient}/sources/{two}", headers={"accept": "application/json"})
        ).json()
        assert [s["reference"] for s in both["sources"]] == ["Condition/c1", "Patient/p1"]
        assert (await browser.get(f"/patients/{world.patient}/sources/{'0' * 16}")).status_code == 404
        assert (await browser.get(f"/patients/{world.stranger}/sources/{gout.id}")).status_code == 404


def test_of_many_sources_the_rest_is_counted() -> None:
    chart = chart_of(PERSON, *(lab(f"o{i}", i, "2024-01-02") for i in range(MOST_SOURCES + 5)))
    shown, more = sources(chart, [e.id for e in chart.of(Result)], lambda *_: None)
    assert (len(shown), more) == (MOST_SOURCES, 5)
    assert "and 5 more" in render("sources.html", sources=shown, more=more, patient_id="p").body.decode()

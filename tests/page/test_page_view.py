"""What the patient page says, rendered from charts without a server."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any, get_args

import lxml.html
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.normalizer import assemble, coverage_from_entries, normalize
from context_builder import build_context, summarize
from context_builder.document import ContextRequest
from models.record import SECTIONS, Chart, Coverage, CoverageState, RawResource, Section, entry_id
from service.page.pivot import shortened
from service.page.routes import templates
from service.page.sparkline import HEIGHT, WIDTH, Point, sparkline
from service.page.view import page
from service.page.words import SECTION_TITLES, STATE_TONE, STATE_WORDS, absence, ago

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
INSTANT = "2025-03-01T12:00:00Z"
HOSTILE = '"><script>window.owned=1</script><img src=x onerror=window.owned=1>'


class Reader:
    role = "clinician"


def resource(kind: str, rid: str, **fields: Any) -> dict[str, Any]:
    who = (
        {}
        if kind == "Patient"
        else {"patient" if kind in ("AllergyIntolerance", "Immunization") else "subject": {"reference": "Patient/p"}}
    )
    return {"resourceType": kind, "id": rid, **who, **fields}


def lab(rid: str, value: float, day: str, **fields: Any) -> dict[str, Any]:
    return resource(
        "Observation", rid, status="final", category=[{"coding": [{"code": "laboratory"}]}],
        code={"coding": [{"system": "http://loinc.org", "code": "4548-4", "display": "Hemoglobin A1c"}]},
        effectiveDateTime=day, valueQuantity={"value": value, "unit": "%"}, **fields,
    )  # fmt: skip


def chart_of(*resources: dict[str, Any], coverage: tuple[Coverage, ...] | None = None) -> Chart:
    raw = [
        RawResource(
            tenant="t", site="north", resource_type=r["resourceType"], resource_id=r["id"],
            content=json.dumps(r).encode(), retrieved=INSTANT,
        )
        for r in resources
    ]  # fmt: skip
    found = normalize(raw)
    lines = coverage_from_entries(found.entries, ("north",)) if coverage is None else coverage
    return assemble("t", "pid-1", found.entries, lines, as_of=INSTANT, ledger=found.ledger)


def assert_inert(made: str) -> None:
    """As a browser reads it: our one script, our icon, and no handler on anything."""
    tree = lxml.html.document_fromstring(made)
    assert [s.get("src") for s in tree.iter("script")] in (["/static/page.js"], [])
    assert {i.get("src") for i in tree.iter("img")} <= {"/static/icon.svg"}
    for element in tree.iter(lxml.etree.Element):
        assert not [name for name in element.attrib if name.lower().startswith("on")], element.tag
        for name in ("href", "src", "action"):
            assert (element.get(name) or "/").startswith(("/", "#")), element.get(name)
    assert not list(tree.iter("iframe", "object", "embed", "base", "style"))


def lines_of(made: str, section: str) -> list[Any]:
    return list(lxml.html.document_fromstring(made).get_element_by_id(section).iter("li"))


def html_of(chart: Chart) -> str:
    document = build_context(chart, ContextRequest(budget_tokens=8000))
    values = page(chart, document, summarize(document, chart=chart), now=NOW)
    return (
        templates()
        .get_template("patient.html")
        .render(**values, principal=Reader(), can_refresh=True, can_ask_model=False)
    )


PERSON = resource(
    "Patient", "p", name=[{"family": "Oduya", "given": ["Mirembe"]}], birthDate="1961-09", gender="female"
)


def test_the_page_shows_identity_lists_labs_and_where_each_came_from() -> None:
    made = html_of(
        chart_of(
            PERSON,
            resource(
                "Condition",
                "c1",
                clinicalStatus={"coding": [{"code": "active"}]},
                code={"text": "Gout"},
                onsetDateTime="2020",
            ),
            lab("o1", 6.9, "2024-01-02"),
            lab("o2", 8.4, "2024-08-02", interpretation=[{"coding": [{"code": "H"}]}]),
        )
    )
    for word in ("Mirembe Oduya", "1961-09", "Gout", "Hemoglobin A1c", "8.4", "high", "2024-08-02", "north"):
        assert word in made
    assert "<svg" in made
    opened = {i for link in re.findall(r'href="/patients/pid-1/sources/([0-9a-f,]+)"', made) for i in link.split(",")}
    resources = (("Patient", "p"), ("Condition", "c1"), ("Observation", "o1"), ("Observation", "o2"))
    assert opened >= {entry_id("north", kind, rid) for kind, rid in resources}


def test_a_year_and_month_of_birth_give_no_invented_day() -> None:
    made = html_of(chart_of(PERSON))
    assert "1961-09-" not in made
    assert "(63 years)" in made, "September 1961 is 63 years before March 2025 on every day of that month"


@pytest.mark.parametrize("place", ["name", "problem", "unit", "reaction", "note"])
def test_markup_in_any_field_is_text(place: str) -> None:
    resources = [PERSON | {"name": [{"family": HOSTILE}]} if place == "name" else PERSON]
    if place == "problem":
        resources.append(resource("Condition", "c", code={"text": HOSTILE}, onsetDateTime="2020"))
    if place == "unit":
        resources.append(lab("o", 1, "2024-01-01") | {"valueQuantity": {"value": 1, "unit": HOSTILE}})
    if place == "reaction":
        resources.append(
            resource(
                "AllergyIntolerance", "a", code={"text": "Nuts"}, reaction=[{"manifestation": [{"text": HOSTILE}]}]
            )
        )
    if place == "note":
        resources.append(resource("DocumentReference", "d", status="current", type={"text": HOSTILE}, content=[]))
    made = html_of(chart_of(*resources))
    assert "owned" in made, "the text is shown, as text"
    assert_inert(made)


def test_the_templates_hold_no_inline_script_style_or_handler() -> None:
    for name in templates().list_templates():
        source, _, _ = templates().loader.get_source(templates(), name)  # type: ignore[union-attr]
        if name in (
            "site_report.html",
            "quality.html",
        ):  # a file too: it carries its own style, and is served with a policy for it
            assert "default-src 'none'; style-src 'unsafe-inline'\"" in source
            source = source.replace("<style>", "", 1)
        assert not re.search(
            r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=|javascript:|https?://|\|\s*safe|autoescape", source
        ), name


def test_every_state_and_section_has_words_and_a_tone() -> None:
    assert set(STATE_WORDS) == set(STATE_TONE) == set(get_args(CoverageState))
    assert set(SECTION_TITLES) == set(SECTIONS)


@pytest.mark.parametrize("state", [s for s in get_args(CoverageState) if s != "none_asserted"])
@pytest.mark.parametrize("section", ["allergies", "problems", "medications", "labs"])
def test_absence_is_never_a_negative(state: CoverageState, section: Section) -> None:
    line = Coverage(section=section, site="north", state=state, as_of=INSTANT)
    made = html_of(chart_of(PERSON, coverage=(line,)))
    visible = re.sub(r"<[^>]+>", " ", made).lower()
    for negative in ("no known", "states that there are none", "none known", "source states none", "nkda"):
        assert negative not in visible
    assert STATE_WORDS[state] in visible


def test_an_asserted_none_is_said_and_its_source_named() -> None:
    words = absence("allergies", [Coverage(section="allergies", site="north", state="none_asserted")])
    assert "north" in words and "states that there are none" in words


def test_broken_sections_are_counted_and_explained_beside_the_record() -> None:
    lines = (
        Coverage(section="labs", site="north", state="failed", reason="HTTP 500 three times"),
        Coverage(section="problems", site="north", state="present", quarantined=2, stored=1),
        Coverage(section="allergies", site="south", state="not_authorized", reason="HTTP 403"),
    )
    made = html_of(chart_of(PERSON, coverage=lines))
    for words in (
        "3 sections could not be read in full",
        "HTTP 500 three times",
        "HTTP 403",
        "2 unreadable, kept in quarantine",
    ):
        assert words in made


def test_what_the_context_left_out_is_listed_with_its_reason() -> None:
    chart = chart_of(PERSON, *(lab(f"o{i}", 5 + i / 10, f"2024-{1 + i % 12:02}-{1 + i % 28:02}") for i in range(90)))
    document = build_context(chart, ContextRequest(budget_tokens=500))
    values = page(chart, document, summarize(document, chart=chart), now=NOW)
    assert values["omitted"]["total"] == document.ledger.omitted > 0
    assert sum(count for _, count in values["omitted"]["reasons"]) == document.ledger.omitted


def test_the_page_is_the_same_for_the_same_chart() -> None:
    chart = chart_of(PERSON, lab("o1", 7, "2024-01-01"))
    again = msgspec.json.decode(msgspec.json.encode(chart), type=Chart)
    assert html_of(chart) == html_of(again)


@given(
    st.lists(st.tuples(st.floats(-1e9, 1e9), st.floats(-1e6, 1e6)), min_size=2, max_size=30),
    st.floats(-1e6, 1e6),
    st.floats(0, 1e6),
)
@settings(max_examples=60, deadline=None)
def test_a_trend_line_stays_in_its_box(points: list[tuple[float, float]], low: float, width: float) -> None:
    made = sparkline([Point(at, value) for at, value in points], low=low, high=low + width)
    assert made is not None
    for x, y, _ in made.dots:
        assert 0 <= x <= WIDTH and 0 <= y <= HEIGHT
    assert made.band is not None
    top, height = made.band
    assert 0 <= top <= HEIGHT and top + height <= HEIGHT + 1


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**6), max_value=10**6))
def test_a_shortened_number_is_the_same_number_to_three_decimals(number: Any) -> None:
    assert abs(float(shortened(str(number))) - float(number)) <= 0.0005 + 1e-9
    assert shortened("7.0") == "7.0" and shortened("<0.00001").startswith("<")


def test_ages_of_data_are_words() -> None:
    assert ago("2025-03-01T11:00:00Z", NOW) == "1 hour ago"
    assert ago("2025-02-27T12:00:00Z", NOW) == "2 days ago"
    assert ago("", NOW) == "never"


def test_what_reads_the_same_is_one_line_that_opens_all_of_it() -> None:
    active = {"clinicalStatus": {"coding": [{"code": "active"}]}}
    chart = chart_of(
        PERSON,
        resource("Condition", "c1", code={"text": "Gout"}, onsetDateTime="2020-05-01", **active),
        resource("Condition", "c2", code={"text": "gout"}, onsetDateTime="2021", **active),
        resource("Condition", "c3", code={"text": "Gout"}, onsetDateTime="2022"),
        resource("Condition", "c4", code={"text": "Asthma"}, **active),
    )
    lines = lines_of(html_of(chart), "problems")
    said = {" ".join(line.text_content().split()): line.find("a").get("href") for line in lines}
    (gout,) = [text for text in said if "2 entries" in text]
    assert "2021, 2020-05-01" in gout and "current" in gout
    for found in ("c1", "c2"):
        assert entry_id("north", "Condition", found) in said[gout]
    assert any("uncertain" in text and "2022" in text for text in said), "another status is another line"
    assert any(text.startswith("Asthma") for text in said)


def test_a_dangerous_allergy_stands_first_and_stands_out() -> None:
    made = html_of(
        chart_of(
            PERSON,
            resource("AllergyIntolerance", "a1", code={"text": "Pollen"}, recordedDate="2024-01-01"),
            resource(
                "AllergyIntolerance",
                "a2",
                code={"text": "Penicillin"},
                criticality="high",
                clinicalStatus={"coding": [{"code": "active"}]},
            ),
        )
    )
    first = lines_of(made, "allergies")[0]
    assert "Penicillin" in first.text_content() and "urgent" in first.get("class")


def test_the_first_thing_said_is_what_is_not_known() -> None:
    lines = (
        Coverage(section="allergies", site="south", state="not_authorized", reason="HTTP 403"),
        Coverage(section="labs", site="north", state="truncated"),
        Coverage(section="problems", site="north", state="present", missing=2, stored=1),
        Coverage(section="vitals", site="north", state="empty"),
    )
    tree = lxml.html.document_fromstring(html_of(chart_of(PERSON, coverage=lines)))
    said = " ".join(tree.get_element_by_id("gaps").text_content().split())
    for words in (
        "3 sections",
        "south Allergies (access not permitted)",
        "Laboratory (cut short, more exists)",
        "Problems (not complete)",
    ):
        assert words in said
    assert "Vital signs" not in said and "unknown, not absent" in said
    order = [e.get("id") for e in tree.iter() if e.get("id") in ("gaps", "allergies", "labs", "summary")]
    assert order[0] == "gaps"

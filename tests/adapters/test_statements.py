"""What servers declare and how they word errors: read tolerantly, repeated without a patient's words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from adapter_kit import Reply, WireServer, bundle, observation, opened, outcome, routes, site_at
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.errors import BadAnswer
from adapters.fhir.capabilities import Capabilities, read_capabilities, release_of
from adapters.fhir.http import Answer
from adapters.fhir.outcome import error_of, issue_codes, known_meaning, meaning
from adapters.profile import AnswerRule, load_profile, vendors

CORPUS = Path(__file__).parents[3] / "shared/data/vendor-capability-lantern"
STATEMENTS = sorted(
    p
    for p in CORPUS.rglob("*.json")
    if "EndpointSources" not in p.name and "list" not in p.name and "smart" not in p.name
)


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS.is_dir(), reason="../shared/data/vendor-capability-lantern is not here")
def test_every_real_statement_is_read():
    assert len(STATEMENTS) > 10
    read = {p.name: read_capabilities(json.loads(p.read_text("utf-8"))) for p in STATEMENTS}
    assert all(c.types and c.fhir_version and c.offers("Patient") for c in read.values()), "each declares Patient"
    assert {c.release for c in read.values()} >= {"DSTU2", "R4"}
    dstu2 = next(c for n, c in read.items() if "cerner" in n)
    assert dstu2.release == "DSTU2" and dstu2.oauth["token"].startswith("https://authorization.cerner.com/")
    with_oauth = sum("token" in c.oauth for c in read.values())
    assert with_oauth > len(read) / 2


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS.is_dir(), reason="../shared/data/vendor-capability-lantern is not here")
async def test_real_smart_configurations_are_understood():
    for path in CORPUS.rglob("*smart_response.json"):
        document = json.loads(path.read_text("utf-8"))
        async with WireServer(routes({"/.well-known/smart-configuration": document})) as server:
            from adapters.smart.discovery import discover

            async with opened(site_at(server.base)) as source:
                read = await discover(source._http, server.base, {})
        assert read.token_endpoint == document["token_endpoint"] and read.source == "well-known"
        assert read.scopes_supported == tuple(document["scopes_supported"])


@settings(max_examples=120, derandomize=True, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=6),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["rest", "resource", "type", "security", "extension", "url", "valueUri", "interaction", "code", "mode"]),
            inner, max_size=4,
        ),
        max_leaves=15,
    )
)  # fmt: skip
def test_a_statement_of_any_shape_is_read_or_refused(rest):
    made = read_capabilities(
        {"resourceType": "CapabilityStatement", "rest": rest, "software": rest, "fhirVersion": rest}
    )
    assert isinstance(made, Capabilities) and made.release
    if not made.types:
        assert made.offers("Observation"), "nothing declared rules nothing out"


@pytest.mark.parametrize(
    ("version", "release"),
    [
        ("4.0.1", "R4"),
        ("4.3.0", "R4B"),
        ("5.0.0", "R5"),
        ("3.0.2", "STU3"),
        ("1.0.2", "DSTU2"),
        ("0.5.0", "DSTU2"),
        ("", "R4"),
        ("x", "R4"),
    ],
)
def test_releases(version, release):
    assert release_of(version) == release


@pytest.mark.parametrize(
    "statement",
    [
        Reply(404),
        Reply(200, b"<html>"),
        Reply(200, {"resourceType": "Patient"}),
        Reply(200, []),
        Reply(503),
        Reply(401),
        Reply(200, b"x" * 3_000_000),
    ],
)
async def test_a_site_without_a_usable_statement_is_asked_all_the_same(statement):
    table = {"/metadata": statement, "/Observation": bundle(observation("o1"))}
    async with (
        WireServer(routes(table)) as server,
        opened(site_at(server.base, limits={"max_body_bytes": 1_000_000, "tries": 1})) as source,
    ):
        assert (await source.fetch("p1", "vitals")).coverage.state == "present"
        assert not (await source.discover()).capabilities.declared


def test_issues_are_told_by_code_and_never_by_text():
    rows = [
        ("warning", "processing", "Mary Canary 555-12-3456", "4101"),
        ("error", "Mary Canary", "x", "MSG_NO_MATCH"),
        ("Canary", "not-found", "x", "HAPI-1094"),
        ("fatal", "exception", "x", "patient 555123"),
        ("error", "invalid", "x", "5551234567"),
    ]
    made = [issue_codes(outcome(*row))[0] for row in rows]
    assert made == [
        "warning/processing/4101",
        "error/?/MSG_NO_MATCH",
        "?/not-found/HAPI-1094",
        "fatal/exception",
        "error/invalid",
    ]


@settings(max_examples=80, derandomize=True, deadline=None)
@given(st.recursive(st.none() | st.integers() | st.just("CANARY"), lambda i: st.lists(i, max_size=3) | st.dictionaries(st.sampled_from(["issue", "severity", "code", "details", "coding", "text"]), i, max_size=4)))  # fmt: skip
def test_an_outcome_of_any_shape_is_read_and_leaks_nothing(value):
    assert "CANARY" not in str(issue_codes(value)) + str(issue_codes({"issue": value})) + str(
        issue_codes({"issue": [value]})
    )


RULES = (
    AnswerRule(status=400, contains="NOT here", resource_type="CarePlan", means="not_supported"),
    AnswerRule(status=400, contains="slow down", means="retry"),
    AnswerRule(status=403, means="failed"),
)


@pytest.mark.parametrize(
    ("status", "body", "kind", "means"),
    [
        (400, b"it is not HERE", "CarePlan", "not_supported"),
        (400, b"it is not HERE", "Goal", "failed"),
        (400, b"Slow down!", "Goal", "retry"),
        (403, b"", "Goal", "failed"),
        (401, b"", "Goal", "reauthorize_once"),
        (404, b"\xff\xfe", "Goal", "not_supported"),
        (418, b"", "Goal", "failed"),
    ],
)
def test_the_profile_decides_before_the_status(status, body, kind, means):
    answer = Answer(status, body=body)
    assert meaning(answer, kind, RULES) == means
    assert known_meaning(answer, kind, ()) is None
    words = str(error_of(answer, means))
    assert words == f"HTTP {status}"


@pytest.mark.parametrize("vendor", vendors())
@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
def test_no_error_repeats_what_the_site_said(vendor, status):
    body = json.dumps(outcome("error", "forbidden", "CANARY Mary")).encode()
    rules = load_profile(vendor).answers
    answer = Answer(status, body=body)
    error = error_of(answer, meaning(answer, "Observation", rules))
    assert "CANARY" not in str(error) + str(error.to_dict()) + repr(error) + repr(answer)
    assert str(error) == f"HTTP {status}: error/forbidden"


def test_what_is_no_statement():
    for value in (None, [], "x", {}, {"resourceType": "Bundle"}):
        with pytest.raises(BadAnswer):
            read_capabilities(value)

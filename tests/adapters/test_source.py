"""Sections: what coverage says is what happened, and the account balances."""

from __future__ import annotations

import asyncio

import pytest
from adapter_kit import (
    Clock,
    Reply,
    WireServer,
    balanced,
    bundle,
    fetch,
    fetched_requests,
    ids,
    observation,
    opened,
    outcome,
    resource,
    routes,
    site_at,
)

from adapters.normalizer import normalize
from models.record import SECTIONS

LOGIN = Reply(200, b"<html>Sign in</html>", {"content-type": "text/html"})
FORBIDDEN, BROKEN, NOWHERE = Reply(403, outcome("error", "forbidden")), Reply(503), Reply(404)
TWO = {
    "categories": ["survey", "sdoh"],
    "queries": [{"resource_type": "Observation", "params": {"category": c}} for c in ("survey", "sdoh")],
}


@pytest.mark.parametrize(
    ("answer", "state", "reason"),
    [
        (bundle(observation("o1")), "present", ""),
        (bundle(), "empty", ""),
        (bundle(outcome("warning", "processing", "Mary Canary", "4101")), "empty", "warning/processing/4101"),
        (bundle(observation("o1"), outcome("information", "informational")), "present", "information/informational"),
        (bundle(observation("o1"), outcome("warning", "suppressed", "Canary", "59204")), "filtered", "warning/suppressed/59204"),
        (bundle(outcome("information", "suppressed")), "filtered", "left some out"),
        (bundle({"resourceType": "Observation"}, outcome("warning", "suppressed")), "failed", "quarantine"),
        (bundle(observation("o1"), outcome("warning", "incomplete")), "truncated", "not complete: warning/incomplete"),
        (bundle(outcome("warning", "incomplete")), "failed", "not complete"),
        (bundle(outcome("error", "exception", "Mary Canary")), "failed", "error/exception"),
        (bundle(observation("o1"), outcome("fatal", "timeout")), "truncated", "fatal/timeout"),
        (bundle({"resourceType": "Observation"}), "failed", "quarantine"),
        (bundle(observation("o1", patient="p2")), "failed", "quarantine"),
        (bundle(total=4), "failed", "counted more"),
        (FORBIDDEN, "not_authorized", "HTTP 403: error/forbidden"),
        (Reply(401), "not_authorized", "401"),
        (NOWHERE, "not_supported", "404"),
        (Reply(405), "not_supported", "405"),
        (BROKEN, "failed", "http_503"),
        (Reply(400, outcome("error", "value", "Canary")), "failed", "http_400: HTTP 400: error/value"),
        (Reply(drop=True), "failed", "connection_failed"),
        (LOGIN, "failed", "html_body"),
        (Reply(200, b'{"resourceType":'), "failed", "truncated_json"),
        (observation("o1"), "failed", "wrong_resource_type"),
        (outcome("warning", "not-found"), "failed", "operation_outcome"),
        (Reply(204), "failed", "empty_body"),
    ],
)  # fmt: skip
async def test_one_search_one_state(answer, state, reason):
    line = (await fetch({"/Observation": answer})).coverage
    assert (line.state, reason in line.reason) == (state, True), line
    assert bool(line.as_of) == (state in ("present", "empty", "filtered", "truncated")) and "Canary" not in line.reason
    assert line.complete is (state in ("present", "empty"))


@pytest.mark.parametrize(
    ("one", "two", "state"),
    [
        (bundle(), bundle(), "empty"),
        (bundle(observation("a")), bundle(), "present"),
        (bundle(observation("a")), FORBIDDEN, "truncated"),
        (bundle(observation("a")), NOWHERE, "truncated"),
        (bundle(observation("a")), BROKEN, "truncated"),
        (bundle(observation("a")), LOGIN, "truncated"),
        (bundle(), FORBIDDEN, "not_authorized"),
        (bundle(), Reply(401), "not_authorized"),
        (bundle(), NOWHERE, "not_supported"),
        (bundle(), BROKEN, "failed"),
        (NOWHERE, FORBIDDEN, "not_authorized"),
        (FORBIDDEN, BROKEN, "failed"),
        (NOWHERE, NOWHERE, "not_supported"),
        (NOWHERE, LOGIN, "failed"),
    ],
)
@pytest.mark.parametrize("swapped", [False, True])
async def test_a_section_of_two_searches_never_looks_whole_when_one_was_refused(one, two, state, swapped):
    one, two = (two, one) if swapped else (one, two)
    table = {"/Observation?category=survey": one, "/Observation?category=sdoh": two}
    line = (await fetch(table, "assessments", overrides={"sections": {"assessments": TWO}})).coverage
    assert line.state == state
    assert line.complete is (state in ("present", "empty")) and (state in ("present", "empty")) is (line.reason == "")


REST = [
    {"resource_type": "Observation", "params": {"category": c}, "optional": c != "survey"}
    for c in ("survey", "sdoh,exam")
]
PARTS = {"categories": ["survey", "sdoh", "exam", "therapy"], "queries": REST}  # fmt: skip


@pytest.mark.parametrize(
    ("main", "rest", "state", "unasked", "words"),
    [
        (bundle(), bundle(observation("e")), "present", ["therapy"], "not asked for: therapy"),
        (bundle(), bundle(), "empty", ["therapy"], "not asked for: therapy"),
        (bundle(observation("a")), NOWHERE, "present", ["sdoh", "exam", "therapy"],
         "not supported by the site: sdoh, exam; not asked for: therapy"),
        (bundle(observation("a")), FORBIDDEN, "truncated", ["therapy"], "a part could not be read: not_authorized"),
        (bundle(observation("a")), BROKEN, "truncated", ["therapy"], "http_503"),
        (BROKEN, NOWHERE, "failed", [], "http_503"),
        (NOWHERE, NOWHERE, "not_supported", [], "404"),
    ],
)  # fmt: skip
async def test_what_a_section_was_not_asked_for_is_told_and_only_what_is_needed_can_fail_it(
    main, rest, state, unasked, words
):
    table = {"/Observation?category=survey": main, "/Observation?category=sdoh,exam": rest}
    line = (await fetch(table, "assessments", overrides={"sections": {"assessments": PARTS}})).coverage
    assert (line.state, list(line.unasked)) == (state, unasked) and not line.complete
    assert words in line.reason, line.reason


async def test_a_search_without_a_category_or_for_all_of_them_leaves_nothing_unasked():
    for params in ({}, {"category": "http://x|survey,sdoh,exam,therapy"}):
        rule = PARTS | {"queries": [{"resource_type": "Observation", "params": params}]}
        line = (
            await fetch({"/Observation": bundle()}, "assessments", overrides={"sections": {"assessments": rule}})
        ).coverage
        assert (line.state, line.unasked, line.complete) == ("empty", (), True)


@pytest.mark.parametrize("declared", [True, False, None], ids=["declared", "not-declared", "no-statement"])
async def test_patient_reported_medications_are_asked_for_where_the_site_lists_them(declared):
    types = ["MedicationRequest", "Patient"] + (["MedicationStatement"] if declared else [])
    statement = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [{"mode": "server", "resource": [{"type": t} for t in types]}]}  # fmt: skip
    said = resource("MedicationStatement", "m1", status="active", medicationCodeableConcept={"text": "fish oil"})
    table = {"/MedicationRequest": bundle(), "/MedicationStatement": bundle(said)}
    table |= {} if declared is None else {"/metadata": statement}
    fetched = await fetch(table, "medications")
    asked = [r.path for r in fetched_requests if r.path.endswith("MedicationStatement")]
    if declared:
        assert len(asked) == 1 and fetched.coverage.state == "present" and ids(fetched) == ["MedicationStatement/m1"]
        (entry,) = normalize(fetched.resources).entries
        assert entry.reported and entry.concept.display == "fish oil"
    else:
        assert not asked and fetched.coverage.state == "empty" and fetched.coverage.complete


async def test_a_type_that_only_optional_searches_need_is_never_called_missing():
    statement = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [{"mode": "server", "resource": [{"type": "Patient"}]}]}  # fmt: skip
    async with WireServer(routes({"/metadata": statement})) as server, opened(site_at(server.base)) as source:
        report = await source.discover()
    assert "MedicationRequest" in report.types_missing and "MedicationStatement" not in report.types_missing
    assert "MedicationStatement" in source.resource_types() and "MedicationStatement" not in report.types_granted


async def test_one_refused_type_never_stops_the_others():
    table = {
        "/Observation": FORBIDDEN,
        "/Condition": LOGIN,
        "/Encounter": Reply(drop=True),
        "/Patient/p1": resource("Patient", "p1"),
    }
    async with WireServer(routes(table, bundle())) as server, opened(site_at(server.base), Clock()) as source:
        told = []
        fetches = {f.section: f for f in await source.fetch_patient("p1", progress=lambda *row: told.append(row))}
    states = {s: f.coverage.state for s, f in fetches.items()}
    assert set(states) == set(SECTIONS) == {row[1] for row in told}
    assert {states[s] for s in ("vitals", "labs", "social_history", "assessments")} == {"not_authorized"}
    assert states["problems"] == states["encounters"] == "failed" and states["demographics"] == "present"
    assert {states[s] for s in ("allergies", "medications", "procedures", "notes")} == {"empty"}
    assert all(balanced(f) for f in fetches.values())
    assert sum(f.requests for f in fetches.values()) == len(server.requests), "side by side, each counts its own"


async def test_a_patient_nobody_has_heard_of_has_no_empty_sections():
    """Searches about such a patient answer 200 and nothing: that is no answer about anybody."""
    table = {"/fhir/Patient/p1": Reply(404)}
    async with WireServer(routes(table, bundle())) as server, opened(site_at(server.base), Clock()) as source:
        fetches = await source.fetch_patient("p1")
        alone = await source.fetch("p2", "allergies")
    assert {f.coverage.state for f in fetches} == {"failed"}
    assert all("patient_not_found" in f.coverage.reason for f in fetches)
    assert alone.coverage.state == "empty", "nobody asked who this is"


async def test_a_dead_site_answers_for_every_section_and_is_not_hammered():
    async with WireServer(lambda r: Reply(drop=True)) as server, opened(site_at(server.base), Clock()) as source:
        fetches = await source.fetch_patient("p1")
    assert {f.coverage.state for f in fetches} == {"failed"} and len(server.requests) <= 4
    assert {f.coverage.reason for f in fetches} == {"connection_failed"}


async def test_the_sections_own_deadline_keeps_what_came():
    async def slow(request):
        await asyncio.sleep(5)

    table = {"/Observation": bundle(observation("o1"), next_link="/fhir/Observation/slow"), "/Observation/slow": slow}
    fetched = await fetch(table, limits={"section_seconds": 0.3})
    assert (
        fetched.coverage.state == "truncated"
        and "deadline" in fetched.coverage.reason
        and ids(fetched) == ["Observation/o1"]
    )


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (resource("Patient", "p1"), "present"),
        (resource("Patient", "p2"), "failed"),
        (resource("Observation", "p1"), "failed"),
        (NOWHERE, "failed"),
        (Reply(410), "failed"),
        (FORBIDDEN, "not_authorized"),
        (LOGIN, "failed"),
        (Reply(200, b'{"resourceType":"Patient","x":' + b"[" * 10_000 + b"]" * 10_000 + b"}"), "failed"),
    ],
)
async def test_the_patient_itself(answer, state):
    fetched = await fetch({"/Patient/p1": answer}, "demographics")
    assert fetched.coverage.state == state
    if isinstance(answer, Reply) and b"[[[" in answer.content():
        assert "too_deep" in fetched.coverage.reason and [r.reason for r in fetched.rejected] == ["too_deep"]
    if answer in (NOWHERE,):
        assert "patient_not_found" in fetched.coverage.reason


async def test_resources_are_the_bytes_received_with_version_and_section():
    raw = b'{"resourceType":"Observation", "id":"o1","meta":{"versionId":"3"},"valueQuantity":{"value":1.50}}'
    page = b'{"resourceType":"Bundle","entry":[{"resource":' + raw + b"}]}"
    fetched = await fetch({"/Observation": Reply(body=page)})
    [kept] = fetched.resources
    assert (kept.content, kept.version, kept.section, kept.tenant, kept.site) == (raw, "3", "vitals", "t1", "north")
    assert kept.retrieved and kept.fhir_version == "R4"


async def test_large_searches_are_asked_in_pieces_by_date():
    from datetime import date

    from adapters.plan import searches_of
    from adapters.profile import load_profile

    split = {
        "sections": {
            "labs": {
                "queries": [
                    {
                        "resource_type": "Observation",
                        "params": {"category": "laboratory"},
                        "split": {"years": 2, "back": 2},
                    }
                ]
            }
        }
    }
    pieces = [
        dict(p for p in s.params if p[0] != "date") | {"dates": [v for k, v in s.params if k == "date"]}
        for s in searches_of(load_profile("generic", split), "labs", "p1", date(2026, 11, 24))
    ]
    assert [p["dates"] for p in pieces] == [
        ["ge2026-01-01"],
        ["ge2024-01-01", "lt2026-01-01"],
        ["ge2022-01-01", "lt2024-01-01"],
        ["lt2022-01-01"],
    ]
    assert {p["patient"] for p in pieces} == {"p1"} and {p["category"] for p in pieces} == {"laboratory"}

    def by_date(request):
        from urllib.parse import parse_qsl, urlsplit

        dates = [v for k, v in parse_qsl(urlsplit(request.target).query) if k == "date"]
        days = {"old": "1999-05-05", "edge": "2024-01-01", "new": "2030-01-01"}
        fits = lambda day: all(day >= d[2:] if d[:2] == "ge" else day < d[2:] for d in dates)  # noqa: E731
        return bundle(*(observation(k, effectiveDateTime=v) for k, v in days.items() if fits(v)))

    fetched = await fetch({"/Observation": by_date}, "labs", overrides=split)
    assert ids(fetched) == ["Observation/edge", "Observation/new", "Observation/old"] and len(fetched_requests) == 5
    assert fetched.coverage.state == "present" and "no date" in fetched.coverage.reason
    refused = lambda r: FORBIDDEN if "lt2024" in r.target else by_date(r)  # noqa: E731
    fetched = await fetch({"/Observation": refused}, "labs", overrides=split)
    assert fetched.coverage.state == "truncated", "a piece that was refused shows"


async def test_patients_are_found_by_what_the_site_understands():
    rows = [resource("Patient", "p1", photo="x" * 150_000), resource("Patient", "p2"), outcome("warning", "processing")]
    async with WireServer(routes({"/Patient": bundle(*rows)})) as server:
        async with opened(site_at(server.base)) as source:
            found = await source.find_patients(family="Alder", birthdate="1950-03-04")
            assert [r.resource_id for r in found] == ["p1", "p2"] and len(found[0].content) > 150_000
        from adapters.errors import ConfigurationError

        async with opened(site_at(server.base, "epic")) as source:
            with pytest.raises(ConfigurationError) as error:
                await source.find_patients(identifier="12345")
            assert error.value.code == "identifier_needs_system" and "12345" not in str(error.value)
        async with opened(site_at(server.base, "epic", overrides={"mrn_system": "urn:oid:1.2"})) as source:
            await source.find_patients(identifier="12345")
            assert server.requests[-1].params["identifier"] == "urn:oid:1.2|12345"
            await source.find_patients(identifier="urn:oid:9|7")
            assert server.requests[-1].params["identifier"] == "urn:oid:9|7"


async def test_order_of_pages_and_answers_does_not_matter():
    rows = [observation(f"o{i}", performer=[{"reference": f"Practitioner/x{i % 3}"}]) for i in range(9)]
    people = {f"/Practitioner/x{i}": resource("Practitioner", f"x{i}") for i in range(3)}
    made = set()
    for pages in ((rows[:4], rows[4:]), (rows[5:], rows[:5])):
        table = {
            "/Observation": bundle(*pages[0], next_link="/fhir/Observation/2"),
            "/Observation/2": bundle(*pages[1]),
        } | people
        fetched = await fetch(table)
        made.add(tuple((r.resource_type, r.resource_id, r.content_hash) for r in fetched.resources))
    assert len(made) == 1

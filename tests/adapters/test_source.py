"""Sections: what coverage says is what happened; references are followed within limits; the account balances."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest
from adapter_kit import (
    Clock,
    Reply,
    WireServer,
    balanced,
    bundle,
    ids,
    observation,
    opened,
    outcome,
    resource,
    routes,
    site_at,
)

from models.record import SECTIONS

LOGIN = Reply(200, b"<html>Sign in</html>", {"content-type": "text/html"})
FORBIDDEN, BROKEN, NOWHERE = Reply(403, outcome("error", "forbidden")), Reply(503), Reply(404)
TWO = {"queries": [{"resource_type": "Observation", "params": {"category": c}} for c in ("survey", "sdoh")]}


async def fetch(table, section="vitals", **more):
    more.setdefault("limits", {"tries": 1})
    async with WireServer(routes(table)) as server, opened(site_at(server.base, **more)) as source:
        fetched = await source.fetch("p1", section)
    assert balanced(fetched)
    fetched_requests.clear()
    fetched_requests.extend(server.requests)
    return fetched


fetched_requests: list = []


@pytest.mark.parametrize(
    ("answer", "state", "reason"),
    [
        (bundle(observation("o1")), "present", ""),
        (bundle(), "empty", ""),
        (bundle(outcome("warning", "processing", "Mary Canary", "4101")), "empty", "warning/processing/4101"),
        (bundle(observation("o1"), outcome("information", "informational")), "present", "information/informational"),
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
    assert bool(line.as_of) == (state in ("present", "empty", "truncated")) and "Canary" not in line.reason
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


def order(found: str, **more):
    return resource("MedicationRequest", found, **more)


async def test_drugs_people_and_places_are_fetched_once_and_as_sent():
    rows = [
        order("m1", medicationReference={"reference": "Medication/d1", "display": "Aspirin"}, requester={"reference": "Practitioner/x"}),
        order("m2", medicationReference={"reference": "{base}/Medication/d1"}, requester={"reference": "PractitionerRole/r"}),
        order("m3", medicationReference={"reference": "#in"}, contained=[resource("Medication", "in")], requester={"reference": "Practitioner/n", "display": "Dr N"}),
        order("m4", extension=[{"valueReference": {"reference": "Organization/not-followed"}}], subject={"reference": "Patient/p1"}),
    ]  # fmt: skip
    role = {
        "resourceType": "PractitionerRole",
        "id": "r",
        "practitioner": {"reference": "Practitioner/x"},
        "organization": {"reference": "Organization/o/_history/2"},
    }
    table = {
        "/MedicationRequest": lambda r: json.loads(
            json.dumps(bundle(*rows)).replace("{base}", f"http://{r.headers['host']}/fhir")
        ),
        "/Medication/d1": resource("Medication", "d1"),
        "/Practitioner/x": resource("Practitioner", "x"),
        "/PractitionerRole/r": role,
        "/Organization/o": resource("Organization", "o"),
    }
    fetched = await fetch(table, "medications")
    assert [i for i in ids(fetched) if "Request" not in i] == [
        "Medication/d1",
        "Organization/o",
        "Practitioner/x",
        "PractitionerRole/r",
    ]
    assert fetched.coverage.state == "present" and fetched.coverage.complete
    reads = [r.path for r in fetched_requests if r.path.count("/") == 3]
    assert len(reads) == len(set(reads)) == 4
    kept = {r.resource_id: json.loads(r.content) for r in fetched.resources}
    assert kept["m3"]["contained"], "contained resources stay where they were"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (NOWHERE, "not found at the site: HTTP 404"),
        (FORBIDDEN, "refused: HTTP 403: error/forbidden"),
        (BROKEN, "not readable: http_503"),
        (LOGIN, "not readable: html_body"),
        (Reply(drop=True), "not readable: connection_failed"),
    ],
)
async def test_a_reference_that_fails_is_reported_missing(answer, reason):
    row = order("m1", medicationReference={"reference": "Medication/d1"})
    fetched = await fetch({"/MedicationRequest": bundle(row), "/Medication/d1": answer}, "medications")
    assert [(m.reference, m.reason, m.section) for m in fetched.missing] == [("Medication/d1", reason, "medications")]
    line = fetched.coverage
    assert (line.state, line.offered, line.stored, line.missing, line.complete) == ("present", 2, 1, 1, False)


@pytest.mark.parametrize(
    "answer", [resource("Medication", "other"), resource("Practitioner", "d1"), {"resourceType": "Medication"}]
)
async def test_a_reference_that_answers_something_else_is_quarantined(answer):
    row = order("m1", medicationReference={"reference": "Medication/d1"})
    fetched = await fetch({"/MedicationRequest": bundle(row), "/Medication/d1": answer}, "medications")
    assert len(fetched.rejected) == 1 and fetched.rejected[0].resource_type == "Medication" and not fetched.missing


async def test_a_type_that_refuses_costs_a_few_requests():
    rows = [order(f"m{i}", requester={"reference": f"Practitioner/x{i}"}) for i in range(60)]
    for answer in (FORBIDDEN, Reply(401), Reply(400, b"Does not know how to handle get operation")):
        fetched = await fetch({"/MedicationRequest": bundle(*rows), **{f"/Practitioner/x{i}": answer for i in range(60)}}, "medications", vendor="eclinicalworks")  # fmt: skip
        assert len(fetched.missing) == 60 and sum("Practitioner" in r.path for r in fetched_requests) <= 12
        assert any("refuses this type" in m.reason for m in fetched.missing)


async def test_references_are_followed_up_to_the_cap():
    rows = [order(f"m{i}", requester={"reference": f"Practitioner/x{i}"}) for i in range(10)]
    table = {"/MedicationRequest": bundle(*rows)} | {
        f"/Practitioner/x{i}": resource("Practitioner", f"x{i}") for i in range(10)
    }
    fetched = await fetch(table, "medications", limits={"max_hydrated": 4})
    assert len(ids(fetched, "Practitioner")) == 4 and len(fetched.missing) == 6
    assert {m.reason for m in fetched.missing} == {"not fetched: cap on referenced resources"}


@pytest.mark.parametrize("together", [True, False], ids=["fetch_patient", "tasks"])
async def test_results_of_a_report_are_fetched_unless_another_section_has_them(together):
    report = resource(
        "DiagnosticReport",
        "r1",
        result=[{"reference": f"Observation/{o}", "display": None} for o in ("lab", "hidden", "other")],
    )
    panel = observation(
        "hidden", hasMember=[{"reference": "Observation/member"}], derivedFrom=[{"reference": "Observation/unasked"}]
    )
    table = {
        "/DiagnosticReport": bundle(report),
        "/Observation?category=laboratory": bundle(observation("lab")),
        "/Observation": bundle(),
        "/Observation/hidden": panel,
        "/Observation/member": observation("member"),
        "/Observation/other": observation("other", patient="p2"),
    }
    async with (
        WireServer(routes(table, bundle())) as server,
        opened(site_at(server.base, limits={"tries": 1})) as source,
    ):
        sections = ("reports", "labs", "vitals", "social_history", "assessments")
        if together:
            brought = await source.fetch_patient("p1", sections)
        else:  # as the refresh does, to commit each section when it ends
            brought = await asyncio.gather(*(asyncio.create_task(source.fetch("p1", s)) for s in sections))
        fetches = {f.section: f for f in brought}
    reports = fetches["reports"]
    assert ids(reports, "Observation") == ["Observation/hidden", "Observation/member"]
    assert [r.reason for r in reports.rejected] == ["wrong_patient"], "another patient's result is not taken in"
    assert "/fhir/Observation/lab" not in server.paths() and ids(fetches["labs"]) == ["Observation/lab"]
    assert balanced(reports) and reports.coverage.state == "present"


async def test_one_source_serves_several_patients_without_mixing_them():
    """The panel of p2 is refused to p1 and given to p2; what both refer to is read once."""

    def reports(request):
        who = request.params["patient"]
        mine = {"subject": {"reference": f"Patient/{who}"}}
        return bundle(
            resource(
                "DiagnosticReport",
                f"r-{who}",
                result=[{"reference": "Observation/x"}],
                performer=[{"reference": "Practitioner/d"}],
            )
            | mine
        )

    table = {
        "/DiagnosticReport": reports,
        "/Observation/x": observation("x", "p2"),
        "/Practitioner/d": resource("Practitioner", "d"),
    }
    async with WireServer(routes(table)) as server, opened(site_at(server.base)) as source:
        one, two = await source.fetch("p1", "reports"), await source.fetch("p2", "reports")
    assert [r.reason for r in one.rejected] == ["wrong_patient"] and "Observation/x" not in ids(one)
    assert "Observation/x" in ids(two) and not two.rejected
    assert server.paths("Practitioner") == ["/fhir/Practitioner/d"]


def note(found: str, url: str, kind: str = "text/plain", **more):
    return resource("DocumentReference", found, content=[{"attachment": {"contentType": kind, "url": url} | more}])


TEXT = base64.b64encode(b"A plain note.").decode()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"resourceType": "Binary", "id": "b1", "contentType": "text/plain", "data": TEXT}, "text/plain"),
        ({"resourceType": "Binary", "contentType": "text/plain", "data": TEXT}, "text/plain"),
        (Reply(200, b"A plain note.", {"content-type": "text/plain; charset=utf-8"}), "text/plain"),
        (Reply(200, b"<p>A plain note.</p>", {"content-type": "text/html"}), "text/html"),
    ],
)
async def test_notes_are_readable_whichever_way_the_document_comes(answer, kind):
    from adapters.normalizer import normalize

    for url in ("Binary/b1", "/fhir/Binary/b1", "{base}/Binary/b1"):
        rows = lambda r, url=url: bundle(note("d1", url.replace("{base}", f"http://{r.headers['host']}/fhir"), kind))  # noqa: E731
        fetched = await fetch({"/DocumentReference": rows, "/Binary/b1": answer}, "notes")
        assert ids(fetched) == ["Binary/b1", "DocumentReference/d1"] and fetched.coverage.complete
        [entry] = normalize(fetched.resources, patient_id="p1").entries
        assert entry.attachments[0].text.strip() == "A plain note."


@pytest.mark.parametrize(
    ("attachment", "answer", "reason"),
    [
        ({}, FORBIDDEN, "refused: HTTP 403"),
        ({}, NOWHERE, "not found"),
        ({"kind": "application/pdf"}, LOGIN, "html_body"),
        ({"size": 10_000_000}, Reply(500), "too large"),
        ({}, Reply(200, b"x" * 2_000_000, {"content-type": "text/plain"}), "too_large"),
    ],
)
async def test_documents_that_cannot_be_had_are_marked(attachment, answer, reason):
    table = {"/DocumentReference": bundle(note("d1", "Binary/b1", **attachment)), "/Binary/b1": answer}
    fetched = await fetch(table, "notes", limits={"tries": 1, "max_attachment_bytes": 1_000_000})
    assert (
        ids(fetched) == ["DocumentReference/d1"]
        and fetched.coverage.state == "present"
        and not fetched.coverage.complete
    )
    [missing] = fetched.missing
    assert missing.reference == "Binary/b1" and reason in missing.reason


async def test_documents_at_other_addresses_are_counted_one_by_one():
    rows = [
        note("d1", "https://files.example/1"),
        note("d2", "https://files.example/2"),
        note("d3", "DocumentReference/d9/$docref"),
    ]
    fetched = await fetch({"/DocumentReference": bundle(*rows)}, "notes")
    assert [(m.reference, m.count) for m in fetched.missing] == [("a document at another address", 3)]
    assert fetched.coverage.missing == 3 and fetched.coverage.offered == 6


async def test_reports_have_their_presented_form_and_photos_are_left_alone():
    report = resource("DiagnosticReport", "r1", presentedForm=[{"contentType": "text/plain", "url": "Binary/b1"}])
    fetched = await fetch(
        {"/DiagnosticReport": bundle(report), "/Binary/b1": Reply(200, b"text", {"content-type": "text/plain"})},
        "reports",
    )
    assert ids(fetched, "Binary") == ["Binary/b1"]
    person = resource("Patient", "p1", photo=[{"contentType": "image/png", "url": "Binary/face"}])
    fetched = await fetch({"/Patient/p1": person}, "demographics")
    assert not any("Binary" in r.path for r in fetched_requests) and fetched.coverage.complete


@pytest.mark.parametrize(
    "reference",
    ["Medication/..", "Medication/.", "Medication/a%2Fb?x=1#y", "Medication/ä ö", "../Medication/x", "Medication/"],
)
async def test_odd_ids_stay_below_their_type(reference):
    fetched = await fetch(
        {"/MedicationRequest": bundle(order("m1", medicationReference={"reference": reference}))}, "medications"
    )
    reads = [r.target for r in fetched_requests if "Request" not in r.target and "metadata" not in r.target]
    assert all(t.startswith("/fhir/Medication/") and ".." not in t and t.count("/") == 3 for t in reads)
    assert fetched.coverage.state == "present"


async def test_the_bytes_of_a_section_are_capped():
    rows = [note(f"d{i}", f"Binary/b{i}") for i in range(8)]
    table = {"/DocumentReference": bundle(*rows)} | {
        f"/Binary/b{i}": Reply(200, b"x" * 50_000, {"content-type": "text/plain"}) for i in range(8)
    }
    fetched = await fetch(table, "notes", limits={"max_section_bytes": 150_000, "concurrency": 1})
    assert 0 < len(ids(fetched, "Binary")) < 8 and all("cap on the section" in m.reason for m in fetched.missing)


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

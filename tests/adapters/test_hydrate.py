"""Hydration: what resources refer to is fetched once, within limits, for the right patient; the rest is counted missing."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest
from adapter_kit import (
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

LOGIN = Reply(200, b"<html>Sign in</html>", {"content-type": "text/html"})
FORBIDDEN, BROKEN, NOWHERE = Reply(403, outcome("error", "forbidden")), Reply(503), Reply(404)


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

"""What a check finds at a practice hospital, and that nothing of the test patient leaves with it."""

from __future__ import annotations

import orjson
import pytest
from adapter_kit import Clock, WireServer, bundle, observation, opened, resource, routes, site_at
from conformance_kit import checked, dress_with
from fault_kit import CANARY, PATIENT, hospital, record

from adapters.conformance import ConformanceReport, check, compare, compare_with_profile
from adapters.conformance.evidence import parameters
from adapters.conformance.plan import Probe
from adapters.fhir.bundle import Page
from adapters.fhir.search import Found
from adapters.plan import Search
from adapters.profile import load_profile
from adapters.source import Source
from models.record import RawResource
from service.page.report import report_page
from service.practice_ehr import Fault, PracticeEhr

SEARCHED = {
    "Patient", "AllergyIntolerance", "Condition", "MedicationRequest", "Observation", "Encounter", "DiagnosticReport",
    "Immunization", "Procedure", "CarePlan", "DocumentReference",
}  # fmt: skip


@pytest.mark.parametrize("dress", ["epic", "oracle_health", "athenahealth", "eclinicalworks", "generic"])
async def test_every_type_is_probed_live_and_nothing_of_the_patient_is_told(dress):
    with hospital(dress, auth=True) as ehr:
        report = await checked(ehr)
        seen = ehr.requests
    assert report.state == "ready" and report.probed and not report.deadline_passed
    searched = {k: t for k, t in report.types.items() if t.use == "search"}
    assert set(searched) == SEARCHED
    for kind, found in searched.items():
        withheld = any("suppressed" in code for code in found.outcomes)
        assert (found.evidence, found.state) == ("live", "filtered" if withheld else "present"), (kind, found)
        assert found.latency and found.latency.samples >= 2 and set(found.answers) == {200}
        assert all(p.live == "used" for p in found.params.values() if p.declared is not None), (kind, found.params)
        assert found.freshness and found.resources == found.freshness.resources
    for kind in ("Medication", "Practitioner", "Binary"):
        assert (report.types[kind].evidence, report.types[kind].state) == ("live", "present")
    assert report.types["Location"].state == "not_queried", "nothing refers to one, and that is said"
    coding = report.types["Observation"].coding
    assert coding and coding.entries == sum(getattr(coding, k) for k in type(coding).model_fields if k != "entries")
    assert report.types["Condition"].coding.share("text_only") >= 0.8
    assert report.requests == len(seen) < 140 and all(row.method != "DELETE" for row in seen)
    for text in (report.model_dump_json(), report_page(report)):
        for canary in (*CANARY, PATIENT, "metformin", "Penicillin", "Problem 1", "1957", "2020-01-01"):
            assert canary not in text, canary
    assert ConformanceReport.model_validate_json(report.model_dump_json()) == report


async def test_vendor_habits_show():
    with hospital("epic", auth=True) as ehr:
        report = await checked(ehr, page=3)
    found = report.types["Observation"]
    assert found.paging.linked_by == ("sessionID",) and found.paging.pages == 2 and found.paging.most_on_a_page == 4, (
        "the outcome is an entry too"
    )
    assert found.freshness.dated == 0
    assert any(code.startswith("warning/suppressed") for code in found.outcomes)
    assert "observation-flowsheet-id" not in str(found.coding) and found.systems["http://loinc.org"]


async def test_without_a_patient_nothing_is_probed_and_the_report_says_so():
    with hospital(auth=True) as ehr:
        report = await checked(ehr, None)
        asked = {row.interaction for row in ehr.requests}
    assert not asked & {"search", "read"}
    assert not report.probed and "no test patient" in report.not_probed_because
    assert {(t.evidence, t.state) for t in report.types.values()} == {("declared", "not_queried")}
    assert all(p.live == "not_probed" for t in report.types.values() for p in t.params.values())
    assert report.not_probed_because in report_page(report)


async def test_what_is_missing_refused_by_scope_and_refused_live_are_told_apart():
    with hospital(dress_with("", gone=("Procedure",)), auth=True) as ehr:
        ehr.faults.set(
            Fault(kind="scopes_reduced", types=("Immunization", "Medication")),
            Fault(kind="scopes_lied", types=("Condition",)),
            Fault(kind="html_login", resource_type="Encounter"),
        )
        report = await checked(ehr, tries=1)
        asked = {row.resource_type for row in ehr.requests}
    told = {k: (t.evidence, t.state) for k, t in report.types.items()}
    assert told["Procedure"] == ("declared", "not_supported") and report.missing() == ["Procedure"]
    assert told["Immunization"] == ("declared", "not_authorized") and "Immunization" in report.refused()
    assert (
        told["Medication"] == ("declared", "not_authorized") and not {"Procedure", "Immunization", "Medication"} & asked
    )
    assert told["Condition"] == ("live", "not_authorized") and report.types["Condition"].granted is True
    assert told["Encounter"] == ("live", "failed") and "html_body" in report.types["Encounter"].reason
    assert told["AllergyIntolerance"] == ("live", "present"), "one refused type never stops the others"
    lines, page = report.attention(), report_page(report)
    assert lines[0].startswith("Encounter: failed (html_body") and lines[0].endswith("the record lacks encounters")
    assert [line.partition(":")[0] for line in lines[1:4]] == ["Condition", "Immunization", "Procedure"], "by gravity"
    assert any(line.startswith("Cannot be read") and "Medication" in line for line in lines)
    assert any(line.startswith("Only declared") and "Location" in line for line in lines)
    assert page.index("What to look at") < page.index(lines[0].partition(":")[0]) < page.index("The server")
    assert "system/Condition." in page, "the scopes to ask the hospital for"


async def test_a_hospital_without_trouble_has_little_to_look_at():
    with hospital(auth=True) as ehr:
        report = await checked(ehr)
        unprobed = await checked(ehr, None)
    kinds = [line.partition(":")[0] for line in report.attention()]
    assert set(kinds) <= {"Only declared, not verified live", *(n for n, t in report.types.items() if t.coding)}
    assert "Condition" in kinds, "problems without codes"
    assert unprobed.attention() == [] and "nothing was tried" in report_page(unprobed)


async def test_a_parameter_that_is_ignored_is_seen_through_though_the_search_succeeds():
    with hospital(dress_with("Observation", ["_id", "patient"]), auth=True) as ehr:
        report = await checked(ehr)
    row = report.types["Observation"].params["category"]
    assert any("Observation: search parameters" in line and "category ignored" in line for line in report.attention())
    assert (row.declared, row.live) == (False, "ignored")
    assert report.types["Observation"].params["patient"].live == "used"
    assert report.types["CarePlan"].params["category"].live == "used"


async def test_a_parameter_that_is_refused_is_named():
    with hospital(dress_with("CarePlan", ["_id", "patient"], unknown_params="refuse"), auth=True) as ehr:
        report = await checked(ehr)
    (search,) = report.types["CarePlan"].searches.values()
    assert (search.state, search.refused_with) == ("failed", "category")
    assert "it passes without category" in search.reason
    assert report.types["CarePlan"].params["category"].live == "refused"


async def test_others_data_in_the_answer_means_that_the_patient_parameter_is_ignored():
    stranger = {
        "resourceType": "Condition",
        "id": "c-other",
        "subject": {"reference": "Patient/other"},
        "code": {"text": "X"},
    }
    dress = dress_with("Condition", ["_id", "category"], patient_required=False)
    with PracticeEhr("north", [*record(2), stranger], dress=dress) as ehr:
        report = await checked(ehr)
    found = report.types["Condition"]
    assert found.params["patient"].live == "ignored" and found.quarantined == {"wrong_patient": 1}
    assert "other" not in report.model_dump_json().replace("others", "")


async def test_one_search_of_a_type_can_fail_alone():
    refused = {
        "types": ("Observation",), "param": "category", "values": ("survey",), "refusal": {"status": 400, "code": "invalid"},
    }  # fmt: skip
    with hospital(dress_with("", refused_values=[refused]), auth=True) as ehr:
        report = await checked(ehr)
    found = report.types["Observation"]
    assert found.state == "truncated" and found.reason.startswith("1 of 6 searches")
    assert found.searches["Observation?category=survey"].state == "failed"
    assert found.searches["Observation?category=laboratory"].state == "present"


REST = "imaging,procedure,clinical-test"


async def test_a_category_the_site_does_not_know_is_told_and_breaks_nothing():
    refused = {
        "types": ("Observation",), "param": "category", "values": ("clinical-test",),
        "refusal": {"status": 404, "code": "not-supported"},
    }  # fmt: skip
    with hospital(dress_with("", refused_values=[refused]), auth=True) as ehr:
        report = await checked(ehr)
    found = report.types["Observation"]
    search = found.searches[f"Observation?category={REST}"]
    assert (search.state, search.optional, found.state) == ("not_supported", True, "present")
    assert not [d for d in compare_with_profile(load_profile("generic"), report) if d.severity == "breaks"]
    assert REST in report_page(report)


@pytest.mark.parametrize("held", [True, False], ids=["something-there", "nothing-there"])
async def test_a_site_that_reads_no_list_of_categories_is_told(held):
    """It answers a list with nothing, as if it were one code: a refresh would take that for an answer."""
    alone = {"/Observation?category=imaging": bundle(observation("i1"))} if held else {}
    table = {"/Patient/p1": resource("Patient", "p1"), f"/Observation?category={REST}": bundle(), **alone}
    async with WireServer(routes(table, bundle())) as server, opened(site_at(server.base)) as source:
        report = await check(source, "p1")
    search = report.types["Observation"].searches[f"Observation?category={REST}"]
    assert search.state == ("failed" if held else "empty") and ("one by one" in search.reason) is held
    assert any(d.code == "search" for d in compare_with_profile(load_profile("generic"), report)) is held


async def test_what_a_site_has_of_its_patients_and_is_not_read_is_told():
    with hospital(auth=True) as ehr:
        report = await checked(ehr, None)
    assert report.not_read == ("CareTeam", "Goal"), "Practitioner and Provenance are not searched by patient"
    assert "CareTeam, Goal" in report_page(report) and "MedicationStatement" not in report.missing()
    later = report.model_copy(update={"not_read": ("CareTeam", "Goal", "MedicationDispense")})
    assert [(d.severity, d.code, d.where) for d in compare(report, later)] == [
        ("info", "not_read", "MedicationDispense")
    ]


async def test_the_deadline_ends_the_check_and_what_did_not_answer_is_told():
    with hospital(auth=True) as ehr:
        ehr.faults.set(Fault(kind="delay", resource_type="Encounter", seconds=30))
        report = await checked(ehr, deadline=2.5)
    assert report.deadline_passed
    found = report.types["Encounter"]
    assert (found.state, found.evidence, found.latency) == ("failed", "live", None) and "deadline" in found.reason
    assert report.types["Condition"].state == "present" and report.types["Medication"].state == "present"


async def test_a_site_that_cannot_be_opened_gives_a_report_all_the_same():
    with hospital(auth=True) as ehr:
        ehr.faults.set(Fault(kind="revoked_client"))
        report = await checked(ehr)
    assert (report.state, report.probed, report.types) == ("needs_reauthorization", False, {})
    assert report.error.action == "reauthorize" and report.error.code in report_page(report)


async def test_a_test_patient_the_site_does_not_know_is_said():
    with hospital(auth=True) as ehr:
        report = await checked(ehr, "nobody-of-that-id")
    assert report.types["Patient"].state == "failed" and "patient_not_found" in report.types["Patient"].reason
    assert report.types["Condition"].state == "empty"
    assert "nobody-of-that-id" not in report.model_dump_json() + report_page(report)


async def test_probes_keep_the_pace_of_the_site():
    clock = Clock()
    with hospital() as ehr:
        report = await checked(ehr, clock=clock, requests_per_second=2)
    assert clock.at >= (report.requests - 1) / 2 and report.requests > 25


async def test_a_server_whose_names_are_markup_cannot_write_into_the_page():
    with hospital(dress_with("", software="<script>alert(1)</script>")) as ehr:
        report = await checked(ehr)
    page = report_page(report)
    assert "<script" not in page and "&lt;script&gt;" in page


async def test_what_the_source_of_a_check_is_closed_with_leaves_a_usable_source():
    with hospital() as ehr:
        async with Source("t1", site_at(ehr.base_url)) as source:
            await check(source, PATIENT)
            assert (await source.fetch(PATIENT, "problems")).coverage.state == "present"


def answered(*bodies: dict, link: str = "", count: str = "2"):
    """The parameters of one search for labs, from one page with these resources and this self link."""
    search = Search("Observation", (("patient", "p1"), ("category", "laboratory"), ("_count", count)))
    page = Page(resources=[b"{}"] * len(bodies), links=[{"relation": "self", "url": link}] if link else [])
    found = Found()
    for number, body in enumerate(bodies):
        content = orjson.dumps({"resourceType": "Observation", "id": str(number)} | body)
        found.resources[("Observation", str(number))] = RawResource("t1", "north", "Observation", str(number), content)
    others = {"category": {"laboratory", "vital-signs"}}
    return parameters(Probe(search, ("labs",), "patient"), [page], found, others)


def of(*codes: str) -> dict:
    return {"category": [{"coding": [{"code": c}]} for c in codes]}


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (answered(), ("unclear", "unclear", "unclear")),
        (answered(link="https://a.example/Observation?patient=p1&category=laboratory&_count=2"), ("used", "used", "used")),
        (answered(link="https://a.example/Observation?subject=p1"), ("used", "ignored", "unclear")),
        (answered(link="https://a.example/Observation"), ("unclear", "unclear", "unclear")),
        (answered(of("laboratory"), of("local-9", "laboratory")), ("used", "used", "unclear")),
        (answered(of("laboratory"), of("local-9")), ("used", "unclear", "unclear")),
        (answered(of("vital-signs"), link="https://a.example/Observation?patient=p1&category=laboratory"), ("used", "ignored", "unclear")),
        (answered(of("vital-signs", "laboratory")), ("used", "used", "unclear")),
        (answered(*[of("laboratory")] * 5), ("used", "used", "ignored")),
    ],
)  # fmt: skip
def test_a_self_link_is_believed_unless_the_answer_says_otherwise(found, wanted):
    assert (found["patient"], found["category"], found["_count"]) == wanted

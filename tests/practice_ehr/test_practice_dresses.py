"""Each dress behaves as the vendor facts say, shown with the built-in population over real HTTP."""

from __future__ import annotations

from urllib.parse import urlencode

import httpx
import pytest
from practice_kit import DRESSES, HTTP, Client, concept, get, ids, link, needed, patient, record, walk
from pydantic import ValidationError

from service.practice_ehr import Dress, Fault, PracticeEhr, built_in_hospital, load_dress, serve
from service.practice_ehr.dress import Json
from service.practice_ehr.population import HOSPITALS, generate
from service.practice_ehr.wear import wear

STAR = generate(patients=1)[0]
VENDOR = {"lakeshore": "epic", "river-valley": "oracle_health", "prairie": "athenahealth"}


@pytest.fixture(scope="module")
def ehrs():
    """One hospital of the population for each dress that is asked for, open."""
    running: dict[str, PracticeEhr] = {}

    def of(dress: str) -> PracticeEhr:
        if dress not in running:
            patients = 4 if dress == "nextgen" else 1  # the star; the fourth has notes that stand at a Binary
            running[dress] = PracticeEhr(built_in_hospital(dress, patients=patients)).start()
        return running[dress]

    yield of
    for ehr in running.values():
        ehr.stop()


def search(ehr: PracticeEhr, kind: str, **params: str) -> list[Json]:
    """All pages of a patient's search, with what the dress needs."""
    query = needed(ehr.state.dress, kind) | {"patient": STAR.patient_id(ehr.state.dress.hospital)} | params
    return walk(ehr, f"{kind}?{urlencode(query)}")


def matches(pages: list[Json]) -> list[Json]:
    return [e["resource"] for p in pages for e in p.get("entry", []) if e["search"]["mode"] == "match"]


def refusal(ehr: PracticeEhr, path: str) -> tuple[int, str]:
    answer = get(ehr, path)
    return answer.status_code, answer.text


# ---------------------------------------------------------------- the star, as a client finds her


@pytest.mark.parametrize("hospital", HOSPITALS)
def test_the_star_is_found_by_number_and_by_name(ehrs, hospital):
    ehr = ehrs(VENDOR[hospital])
    needs = needed(ehr.state.dress, "Patient")
    system, number = STAR.identifier(hospital)
    given, family = STAR.name_at(hospital)
    for query in (
        {"identifier": f"{system}|{number}"},
        {"family": family, "given": given, "birthdate": STAR.birth_date.isoformat()},
    ):
        (found,) = matches(walk(ehr, f"Patient?{urlencode(query | needs)}"))
        assert found["id"] == STAR.patient_id(hospital)


def test_three_hospitals_run_side_by_side_and_stop_together():
    hospitals = [built_in_hospital(d, patients=1) for d in VENDOR.values()]
    assert [h.key for h in hospitals] == list(HOSPITALS) and all(h.name for h in hospitals)
    with serve(hospitals) as running:
        assert {k: e.state.dress.name for k, e in running.items()} == VENDOR
        base_urls = {e.base_url for e in running.values()}
        assert len(base_urls) == 3 and all(u.startswith("http://127.0.0.1:") for u in base_urls)
        with pytest.raises(OSError):
            PracticeEhr(hospitals[0], port=running["prairie"].port)
    for url in base_urls:
        with pytest.raises(httpx.ConnectError):
            HTTP.get(f"{url}/metadata")


# ---------------------------------------------------------------- epic


def test_epic_puts_outcomes_into_searchsets_and_refuses_what_it_refuses(ehrs):
    ehr, who = ehrs("epic"), STAR.patient_id("lakeshore")
    outcomes = {
        kind: [e["resource"]["issue"][0] for p in search(ehr, kind, **more) for e in p["entry"] if e["search"]["mode"] == "outcome"]
        for kind, more in (("Condition", {}), ("Encounter", {}), ("Procedure", {"date": "lt1990"}), ("Patient", {"_id": who}))
    }  # fmt: skip
    assert {(i["severity"], i["code"]) for i in outcomes["Condition"]} == {("warning", "suppressed")}
    assert {(i["severity"], i["code"]) for i in outcomes["Encounter"]} == {("information", "informational")}
    assert {(i["severity"], i["code"]) for i in outcomes["Procedure"]} == {("warning", "processing")}
    for path, words in (
        (f"Observation?patient={who}", "code:required"),
        (f"Observation?patient={who}&category=therapy", "Combination of parameters is not valid"),
        (f"Observation?patient={who}&category=weather", "Unknown sub-resource"),
        (f"EpisodeOfCare?patient={who}", "type:required"),
        (f"Patient?identifier={STAR.mrn('lakeshore')}", "needs a system"),
    ):
        status, text = refusal(ehr, path)
        assert status == 400 and words in text, (path, text)
    assert refusal(ehr, f"CareTeam?patient={who}")[0] == 403
    assert refusal(ehr, f"Goal?patient={who}") == (403, "")
    status, text = refusal(ehr, f"Claim?patient={who}")
    assert status == 404 and "<html" in text


def test_epic_sends_flowsheets_references_and_no_dates_of_change(ehrs):
    ehr = ehrs("epic")
    vitals = matches(search(ehr, "Observation", category="vital-signs"))
    flowsheet = "http://open.epic.com/FHIR/StructureDefinition/observation-flowsheet-id"
    assert len(vitals) > 100 and all(any(x["url"] == flowsheet for x in o["extension"]) for o in vitals)
    assert all(any(c["system"].startswith("urn:oid:1.2.840.114350.1.13.") for c in o["code"]["coding"]) for o in vitals)
    labs = matches(search(ehr, "Observation", category="laboratory"))
    ranged = sum("referenceRange" in o for o in labs) / len(labs)
    assert 0.2 < ranged < 0.6
    orders = matches(search(ehr, "MedicationRequest"))
    assert orders and all("medicationReference" in o and "medicationCodeableConcept" not in o for o in orders)
    drug = get(ehr, orders[0]["medicationReference"]["reference"]).json()
    assert drug["code"]["coding"][0]["code"]
    assert not any("meta" in o for o in [*vitals, *labs, *orders])
    plans = matches(search(ehr, "CarePlan", category="38717003"))
    assert len(plans) == 1


# ---------------------------------------------------------------- oracle health


def test_oracle_health_codes_locally_pages_by_context_and_refuses_what_it_does_not_know(ehrs):
    ehr, who = ehrs("oracle_health"), STAR.patient_id("river-valley")
    pages = search(ehr, "Observation", category="laboratory", _count="100")
    assert len(pages[0]["entry"]) <= 50 and "total" not in pages[0]
    labs = matches(pages)
    local = [[c for c in o["code"]["coding"] if "/codeSet/72" in c["system"]] for o in labs]
    assert all(local) and all(c[0]["userSelected"] for c in local)
    only = [o for o in labs if not any("loinc" in c["system"] for c in o["code"]["coding"])]
    assert 0 < len(only) < len(labs) / 2
    status, text = refusal(ehr, f"Observation?patient={who}&colour=red")
    assert status == 400 and "not supported" in text
    assert refusal(ehr, f"CarePlan?patient={who}&category=38717003")[0] == 422
    assert refusal(ehr, f"CareTeam?patient={who}")[0] == 403
    elsewhere = ehr.base_url.replace(ehr.state.dress.tenant, "00000000-0000-0000-0000-000000000000")
    answer = HTTP.get(f"{elsewhere}/Patient/{who}")
    assert answer.status_code == 400 and "unknown-tenant" in answer.text
    person = get(ehr, f"Patient/{who}").json()
    assert any("fhir-ehr.cerner.com" in x["url"] for x in person["extension"])


def test_one_prescription_is_sent_twice_now_and_then():
    orders = [{"resourceType": "MedicationRequest", "id": f"m{i}", "status": "active"} for i in range(300)]
    worn = wear(orders, load_dress("oracle_health"), "t")
    copies = [r for r in worn if r["id"].endswith(".2")]
    assert 1 <= len(copies) <= 20 and len(worn) == 300 + len(copies)
    assert all({**c, "id": c["id"][:-2]} in worn for c in copies)


# ---------------------------------------------------------------- athenahealth


def test_athenahealth_needs_its_practice_and_pages_by_cursor(ehrs):
    ehr, who = ehrs("athenahealth"), STAR.patient_id("prairie")
    for kind in ("Condition", "Observation", "Patient"):
        query = {"_id": who} if kind == "Patient" else {"patient": who}
        status, text = refusal(ehr, f"{kind}?{urlencode(query)}")
        assert status == 400 and "ah-practice" in text
        wrong = query | {"ah-practice": "Organization/a-1.Practice-1"}
        assert refusal(ehr, f"{kind}?{urlencode(wrong)}")[0] == 400
    pages = search(ehr, "Observation")
    assert len(pages) > 3 and all("total" not in p for p in pages)
    assert {"cursor", "patient", "ah-practice"} <= set(HTTP.get(link(pages[0])).url.params)
    assert get(ehr, f"Patient/{who}").headers["content-type"] == "application/fhir+json"
    practice = get(ehr, f"Patient/{who}").json()["extension"][-2]["valueReference"]["reference"]
    assert get(ehr, practice).json()["name"] == "Practice 80000"


def test_athenahealth_leaves_out_what_it_leaves_out():
    conditions = [
        {"resourceType": "Condition", "id": f"c{i}", "clinicalStatus": {}, "onsetDateTime": "2020", "code": {}}
        for i in range(500)
    ]
    results = [
        {"resourceType": "Observation", "id": f"o{i}", "valueQuantity": {"value": 1, "unit": "mg", "code": "mg"}}
        for i in range(500)
    ]
    allergy = {"resourceType": "AllergyIntolerance", "id": "a", "criticality": "high"}
    worn = wear([*conditions, *results, allergy], load_dress("athenahealth"), "80000")
    assert 0.78 < sum("clinicalStatus" not in r for r in worn[:500]) / 500 < 0.9
    assert 0.6 < sum("code" not in r["valueQuantity"] for r in worn[500:1000]) / 500 < 0.73
    assert "criticality" not in worn[1000]
    assert all(r["extension"][0]["url"].endswith("/ah-practice") for r in worn)


def test_athenahealth_keeps_superseded_reports_and_links_them():
    reports = [{"resourceType": "DiagnosticReport", "id": f"r{i}", "status": "final"} for i in range(200)]
    worn = wear(reports, load_dress("athenahealth"), "80000")
    old = [r for r in worn if r["id"].endswith(".v1")]
    assert old and all(r["status"] == "final" for r in old)
    for report in old:
        (linked,) = [x for x in report["extension"] if x["url"].endswith("ah-superseded-by")]
        assert linked["valueReference"]["reference"] == f"DiagnosticReport/{report['id'][:-3]}"


def test_athenahealth_reduces_scopes_silently():
    client = Client()
    with PracticeEhr(built_in_hospital("athenahealth", patients=1, clients={client.client_id: [client.jwk]})) as ehr:
        answer = client.request(
            ehr, client.assertion(ehr.token_url), "system/CareTeam.read system/Condition.read"
        ).json()
        assert answer["scope"] == "system/Condition.read"
        headers = {"Authorization": f"Bearer {answer['access_token']}"}
        query = urlencode(needed(ehr.state.dress, "CareTeam") | {"patient": STAR.patient_id("prairie")})
        refused = get(ehr, f"CareTeam?{query}", headers=headers)
        assert (refused.status_code, refused.text) == (403, "Invalid Token Scope")


# ---------------------------------------------------------------- the others


def test_eclinicalworks_speaks_the_old_media_type_and_never_coded_old_problems_again(ehrs):
    ehr = ehrs("eclinicalworks")
    assert get(ehr, "metadata").headers["content-type"] == "application/json+fhir"
    assert refusal(ehr, "Appointment?patient=x") == (400, "Does not know how to handle get operation")
    old = {
        "resourceType": "Condition",
        "onsetDateTime": "2009-03",
        "code": concept("http://hl7.org/fhir/sid/icd-10-cm", "I10", "x"),
    }
    new = old | {"onsetDateTime": "2019-03"}
    worn = wear([old | {"id": f"c{i}"} for i in range(50)] + [new | {"id": "n"}], load_dress("eclinicalworks"), "")
    assert (
        all(r["code"]["coding"][0]["code"] == "401.9" for r in worn[:50])
        and worn[50]["code"]["coding"][0]["code"] == "I10"
    )
    assert sum("onsetDateTime" not in r for r in worn) > 35
    values = matches(search(ehr, "Observation", category="vital-signs"))
    assert any("valueString" in o for o in values) and any("valueQuantity" in o for o in values)


def test_eclinicalworks_searches_leave_out_results_that_reports_refer_to(ehrs):
    ehr = ehrs("eclinicalworks")
    listed = set(ids(search(ehr, "Observation", category="laboratory")))
    linked = {
        r["reference"].rpartition("/")[2] for d in matches(search(ehr, "DiagnosticReport")) for r in d.get("result", [])
    }
    unlisted = linked - listed
    assert unlisted and len(unlisted) < len(linked) / 5
    assert get(ehr, f"Observation/{min(unlisted)}").status_code == 200


def test_nextgen_redirects_gives_contents_and_wants_a_category(ehrs):
    ehr, who = ehrs("nextgen"), STAR.patient_id("lakeshore")
    moved = get(ehr, f"Patient/{who}")
    assert moved.status_code == 301
    assert HTTP.get(moved.headers["location"]).json()["id"] == who
    notes = [d["content"][0]["attachment"]["url"] for d in matches(search(ehr, "DocumentReference")) if "url" in d["content"][0]["attachment"]]  # fmt: skip
    binary = notes[0] if notes else _any_binary(ehr)
    answer = HTTP.get(f"{ehr.base_url}/{binary}", headers={"Accept": "application/fhir+json"}, follow_redirects=True)
    assert answer.history[0].status_code == 302 and answer.headers["content-type"].startswith("text/")
    assert "category" in refusal(ehr, f"CarePlan?patient={who}")[1]


def _any_binary(ehr: PracticeEhr) -> str:
    return f"Binary/{next(iter(ehr.state.store.of_type('Binary')))['id']}"


def test_drchrono_answers_500_where_403_is_meant_and_bare_oids():
    client = Client()
    with PracticeEhr(built_in_hospital("drchrono", patients=1, clients={client.client_id: [client.jwk]})) as ehr:
        headers = client.headers(ehr, "system/Condition.read")
        refused = get(ehr, f"Observation?patient={STAR.patient_id('lakeshore')}", headers=headers)
        assert refused.status_code == 500 and "Forbidden Request" in refused.text
        found = matches(walk(ehr, f"Condition?patient={STAR.patient_id('lakeshore')}", headers=headers))
        assert {c["system"] for r in found for c in r["code"]["coding"]} >= {"2.16.840.1.113883.6.96"}


def test_medhost_contains_refers_absolutely_and_counts_nothing(ehrs):
    ehr = ehrs("medhost")
    pages = search(ehr, "MedicationRequest")
    orders = matches(pages)
    assert "total" not in pages[0] and all(o["contained"][0]["resourceType"] == "Medication" for o in orders)
    subjects = [o["subject"]["reference"] for o in orders]
    absolute = [s for s in subjects if s.startswith(ehr.base_url)]
    assert (
        absolute
        and len(absolute) < len(subjects)
        and {s.rpartition("/")[2] for s in subjects} == {STAR.patient_id("lakeshore")}
    )
    assert HTTP.get(absolute[0]).json()["id"] == STAR.patient_id("lakeshore")
    assert any(c["code"]["coding"] == [] for c in matches(search(ehr, "Observation", category="laboratory")))


def test_certification_servers_and_payers(ehrs):
    labs = matches(search(ehrs("healthit"), "Observation", category="laboratory"))
    assert {c["system"] for o in labs for c in o["code"]["coding"]} == {"http://loinc"}
    status, text = refusal(ehrs("payer"), "Practitioner/nobody")
    assert status == 500 and "HAPI-" in text
    shots = matches(search(ehrs("payer"), "Immunization"))
    assert {c["system"] for o in shots for c in o["vaccineCode"]["coding"]} == {"urn:oid:2.16.840.1.113883.12.292"}


# ---------------------------------------------------------------- all of them


@pytest.mark.parametrize("name", DRESSES)
def test_no_dress_loses_a_resource_or_a_patient(name):
    """A dress changes resources and adds some; what was there is there, under its id and of its patient."""
    clean = record("alder")
    worn = wear(clean, load_dress(name), "t", "http://127.0.0.1:1/fhir")
    older = {"MedicationRequest": "MedicationOrder"} if load_dress(name).release == "DSTU2" else {}
    wanted = [(older.get(r["resourceType"], r["resourceType"]), r["id"]) for r in clean]
    assert [(r["resourceType"], r["id"]) for r in worn[: len(clean)]] == wanted
    for before, after in zip(clean, worn, strict=False):
        if "subject" in before or "patient" in before:
            who = before.get("subject") or before.get("patient")
            assert (after.get("subject") or after.get("patient"))["reference"].endswith(who["reference"])
    assert clean == record("alder")  # the input is not changed
    assert worn == wear(clean, load_dress(name), "t", "http://127.0.0.1:1/fhir")


def test_a_dress_with_an_unknown_word_or_parameter_does_not_load():
    data = load_dress("generic").model_dump()
    with pytest.raises(ValidationError, match="colour"):
        Dress.model_validate(data | {"colour": "red"})
    with pytest.raises(ValidationError, match="no search parameter"):
        Dress.model_validate(data | {"types": {"Patient": {"params": ["shoe-size"]}}})
    with pytest.raises(LookupError, match="there are: athenahealth"):
        load_dress("nobody")


def test_redirects_and_bodies_without_end_on_demand(start):
    ehr = start(resources=[patient("alder", "Alder", "1950")])
    ehr.faults.set(Fault(kind="redirect", status=307))
    first = get(ehr, "Patient?_id=alder")
    assert first.status_code == 307 and ids([HTTP.get(first.headers["location"]).json()]) == ["alder"]
    ehr.faults.set(Fault(kind="foreign_redirect"))
    assert get(ehr, "Patient/alder").headers["location"].startswith("http://elsewhere.invalid/")
    ehr.faults.set(Fault(kind="endless_body"))
    got = 0
    with HTTP.stream("GET", f"{ehr.base_url}/Patient/alder") as answer:
        assert answer.status_code == 200 and "content-length" not in answer.headers
        for chunk in answer.iter_raw():
            got += len(chunk)
            if got > 2_000_000:
                break
    assert got > 2_000_000
    ehr.faults.set(Fault(kind="status", status=400, text="unknown-tenant"))
    assert "unknown-tenant" in get(ehr, "Patient/alder").text


def test_discovery_can_name_a_token_endpoint_elsewhere():
    client = Client()
    with PracticeEhr(built_in_hospital("generic", patients=1, clients={client.client_id: [client.jwk]})) as ehr:
        ehr.faults.set(Fault(kind="token_foreign"))
        for url in (
            get(ehr, ".well-known/smart-configuration").json()["token_endpoint"],
            get(ehr, "metadata").json()["rest"][0]["security"]["extension"][0]["extension"][0]["valueUri"],
        ):
            assert url.startswith("http://elsewhere.invalid/")

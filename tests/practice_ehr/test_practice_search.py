"""Searching, reading and paging over real HTTP: what a client of the practice EHR sees."""

from __future__ import annotations

from urllib.parse import urlencode

import httpx
import pytest
from practice_kit import DRESSES, RESOURCES, dress_where, get, ids, link, needed, observation, patient, record, walk

from service.practice_ehr import load_dress


def found(ehr, path):
    return set(ids(walk(ehr, path)))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("Patient?identifier=urn:oid:1.2.3.4|MRN-alder", {"alder"}),
        ("Patient?identifier=MRN-birch", {"birch"}),
        ("Patient?identifier=urn:oid:9|MRN-birch", set()),
        ("Patient?family=ALD", {"alder"}),
        ("Patient?name=zoe&birthdate=1950-03-04", {"alder"}),
        ("Patient?given=ann&birthdate=1950-03", {"alder", "birch"}),
        ("Patient?family:exact=alder", set()),
        ("Patient?_id=alder,birch", {"alder", "birch"}),
        ("Patient?gender=female&family=birch", {"birch"}),
        ("Condition?patient=alder&clinical-status=resolved,inactive", {"alder-c2", "alder-c4"}),
        ("Condition?patient=Patient/alder&clinical-status:not=active", {"alder-c2", "alder-c4"}),
        ("Condition?patient=alder&code=http://snomed.info/sct|44054006", {"alder-c0"}),
        ("Condition?patient=alder&code=44054006&_id=alder-c0", {"alder-c0"}),
        ("Condition?patient=alder&onset-date=2010", {"alder-c0"}),
        ("Observation?patient=alder&category=laboratory&date=ge2025-03-01&date=lt2025-05", {"alder-l3", "alder-l4"}),
        ("Observation?patient=alder&category=laboratory&date=2025-03", {"alder-l3"}),
        ("Observation?patient=alder&category=laboratory&date=eq2025-03-01", {"alder-l3"}),
        ("Observation?patient=alder&code=2345-2", {"alder-l2"}),
        ("Observation?patient=alder&category=laboratory&status=amended", set()),
        ("MedicationRequest?patient=alder&authoredon=le2024-05-11&intent=order", {"alder-m0", "alder-m1"}),
        # A search by instant: 10:00-05:00 is 15:00Z.
        ("DocumentReference?patient=alder&date=ge2024-06-01T14:59:00Z", {"alder-d1"}),
        ("DocumentReference?patient=alder&date=gt2024-06-01T15:01:00Z", set()),
        ("DocumentReference?patient=alder&type=http://loinc.org|11506-3", {"alder-d1"}),
        ("CarePlan?patient=alder&category=assess-plan&status=active", {"alder-p1"}),
        ("Provenance?target=Condition/alder-c0", {"alder-pr1"}),
        ("Condition?patient=nobody", set()),
    ],
)
def test_search_parameters_select(plain, path, expected):
    assert found(plain, path) == expected


def test_sort_orders_and_stays_stable(plain):
    pages = walk(plain, "Observation?patient=alder&category=vital-signs&_sort=-date&_count=4")
    days = [e["resource"]["effectiveDateTime"] for p in pages for e in p["entry"]]
    assert days == sorted(days, reverse=True)
    assert ids(pages) == ids(walk(plain, "Observation?patient=alder&category=vital-signs&_sort=-date&_count=7"))


@pytest.mark.parametrize("name", DRESSES)
@pytest.mark.parametrize("count", [1, 3, 10, 1000])
def test_every_dress_pages_through_everything_once(start, name, count):
    ehr = _of(start, name)
    params = {"patient": "alder", "_count": str(count)} | needed(load_dress(name), "Condition")
    pages = walk(ehr, f"Condition?{urlencode(params)}")
    assert ids(pages) == [f"alder-c{i}" for i in range(7)]
    assert len(pages) == max(1, -(-7 // min(count, load_dress(name).paging.max_count)))
    assert all(("total" in p) == load_dress(name).paging.total for p in pages)


@pytest.mark.parametrize(
    ("style", "kept", "marker"),
    [
        ("session", set(), "sessionID"),
        ("context", {"patient", "_count"}, "-pageContext"),
        ("cursor", {"patient", "_count"}, "cursor"),
        ("page", {"patient", "_count"}, "page"),
    ],
)
def test_next_links_look_like_their_style(start, style, kept, marker):
    ehr = start(dress_where(paging={"style": style}))
    url = httpx.URL(link(get(ehr, "Condition?patient=alder&_count=3").json()))
    assert url.path.endswith("/Condition")
    assert marker in url.params and kept <= set(url.params)
    assert style != "session" or set(url.params) == {"sessionID"}


def test_a_walk_does_not_shift_when_data_changes_under_it(start):
    ehr = start(dress_where(paging={"style": "session"}), resources=record("alder"))
    first = get(ehr, "Condition?patient=alder&_count=3").json()
    ehr.delete("Condition", "alder-c0")
    rest = walk(ehr, link(first))
    assert ids([first, *rest]) == [f"alder-c{i}" for i in range(7)]
    assert "alder-c0" not in found(ehr, "Condition?patient=alder")


@pytest.mark.parametrize("style", ["session", "context", "cursor"])
def test_an_unknown_page_is_refused_in_the_dress_own_way(start, style):
    ehr = start(dress_where(paging={"style": style, "dead": {"status": 410, "body": "outcome", "code": "expired"}}))
    marker = {"session": "sessionID", "context": "-pageContext", "cursor": "cursor"}[style]
    answer = get(ehr, f"Condition?patient=alder&{marker}=nonsense")
    assert answer.status_code == 410 and answer.json()["issue"][0]["code"] == "expired"


def test_a_page_link_leads_to_its_own_type_only(start):
    ehr = start(dress_where(paging={"style": "session"}))
    url = link(get(ehr, "Condition?patient=alder&_count=3").json())
    assert get(ehr, url.replace("/Condition?", "/Observation?")).status_code == 400


def test_post_search_equals_get_search(plain):
    posted = httpx.post(f"{plain.base_url}/Condition/_search", data={"patient": "alder", "clinical-status": "resolved"})
    assert ids([posted.json()]) == ["alder-c2"]


def test_count_zero_gives_the_number_only(plain):
    bundle = get(plain, "Condition?patient=alder&_count=0").json()
    assert bundle["total"] == 7 and "entry" not in bundle and not link(bundle)


def test_medications_by_reference_come_with_include_and_by_read(start):
    ehr = start(dress_where(changes={"medication": "reference"}))
    bundle = get(ehr, "MedicationRequest?patient=alder&_include=MedicationRequest:medication").json()
    orders = [e["resource"] for e in bundle["entry"] if e["search"]["mode"] == "match"]
    assert len(orders) == 3 and not any("medicationCodeableConcept" in o for o in orders)
    assert bundle["total"] == 3
    for order in orders:
        reference = order["medicationReference"]["reference"]
        assert reference.rpartition("/")[2] in ids([bundle], "include")
        drug = get(ehr, reference).json()
        assert drug["code"]["text"] == f"Drug {order['id'][-1]}"


def test_provenance_comes_with_revinclude(plain):
    bundle = get(plain, "Condition?patient=alder&_revinclude=Provenance:target").json()
    assert ids([bundle], "include") == ["alder-pr1"]
    assert ids([get(plain, "Condition?patient=alder").json()], "include") == []


def test_read_gives_version_and_404_for_the_unknown(plain):
    answer = get(plain, "Condition/alder-c0")
    assert answer.json()["meta"]["versionId"] == "1" and answer.headers["etag"] == 'W/"1"'
    assert get(plain, "Condition/alder-c0/_history/1").status_code == 200
    assert get(plain, "Condition/alder-c0/_history/2").status_code == 404
    missing = get(plain, "Condition/no-such")
    assert missing.status_code == 404 and missing.json()["issue"][0]["code"] == "not-found"


def test_a_changed_resource_gets_a_new_version_and_a_later_date(start):
    ehr = start(resources=record("alder"))
    before = get(ehr, "Observation/alder-l1").json()
    ehr.put(observation("alder-l1", "alder", "2025-01-01", 99, "laboratory"))
    after = get(ehr, "Observation/alder-l1").json()
    assert after["meta"]["versionId"] == "2" and after["valueQuantity"]["value"] == 99
    assert after["meta"]["lastUpdated"] > before["meta"]["lastUpdated"]
    since = before["meta"]["lastUpdated"]
    assert found(ehr, f"Observation?patient=alder&_lastUpdated=gt{since}") == {"alder-l1"}


def test_binary_is_raw_unless_json_is_asked_for(plain):
    raw = get(plain, "Binary/alder-b1", headers={"Accept": "text/plain"})
    assert raw.content == b"Hello, note." and raw.headers["content-type"].startswith("text/plain")
    assert get(plain, "Binary/alder-b1").content == b"Hello, note."
    fhir = get(plain, "Binary/alder-b1", headers={"Accept": "application/fhir+json"}).json()
    assert fhir["resourceType"] == "Binary" and fhir["contentType"] == "text/plain"


def test_everything_is_the_patient_and_nobody_else(start):
    ehr = start(dress_where(changes={"medication": "reference"}))
    found_ids = ids(walk(ehr, "Patient/alder/$everything?_count=9"))
    own = {r["id"] for r in RESOURCES if r["id"].startswith("alder") and r["resourceType"] != "Binary"}
    assert {i for i in found_ids if not i.startswith("med-")} == own
    assert len([i for i in found_ids if i.startswith("med-")]) == 3
    assert len(found_ids) == len(set(found_ids))
    assert get(ehr, "Patient/nobody/$everything").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "code"),
    [
        ("GET", "Observation?patient=alder&date=yesterday", {}, 400, "invalid"),
        ("GET", "Observation?patient=alder&date=2024-13", {}, 400, "invalid"),
        ("GET", "Observation?patient=alder&_count=-1", {}, 400, "invalid"),
        ("GET", "Observation?patient=alder&_count=many", {}, 400, "invalid"),
        ("GET", "Observation?patient=", {}, 400, "invalid"),
        ("GET", "Observation?category=laboratory", {}, 400, "required"),
        ("GET", "Patient", {}, 400, "required"),
        ("GET", "Observation?patient=alder&code:below=1", {}, 400, "not-supported"),
        ("GET", "Observation?patient=alder&_sort=code", {}, 400, "not-supported"),
        ("GET", "Condition?patient=alder&page=0", {}, 400, "invalid"),
        ("GET", "Observation?patient=alder&colour=red", {"Prefer": "handling=strict"}, 400, "not-supported"),
        ("GET", "Patient/al%20der", {}, 400, "value"),
        ("GET", "patient?_id=alder", {}, 404, "not-found"),
        ("GET", "Patient/alder/extra/path", {}, 404, "not-found"),
        ("GET", "Sandwich?patient=alder", {}, 404, "not-supported"),
        ("DELETE", "Patient/alder", {}, 405, "not-supported"),
        ("PUT", "Patient/alder", {}, 405, "not-supported"),
        ("POST", "Patient", {}, 405, "not-supported"),
        ("GET", "Patient/alder", {"Accept": "application/fhir+xml"}, 406, "not-supported"),
        ("GET", "Patient/alder?_format=xml", {}, 406, "not-supported"),
        ("POST", "Condition/_search", {"Content-Type": "application/json"}, 415, "invalid"),
    ],
)
def test_malformed_requests_get_an_outcome(plain, method, path, headers, status, code):
    answer = httpx.request(method, f"{plain.base_url}/{path}", headers=headers)
    assert (answer.status_code, answer.json()["resourceType"]) == (status, "OperationOutcome")
    assert answer.json()["issue"][0]["code"] == code
    assert (status == 405) == ("allow" in answer.headers)


def test_unknown_parameters_are_ignored_and_not_claimed_in_the_self_link(plain):
    bundle = get(plain, "Condition?patient=alder&colour=red").json()
    assert len(bundle["entry"]) == 7
    assert "colour" not in link(bundle, "self")


def test_capability_statement_is_true(start):
    """Every declared type can be read or searched, every declared parameter is taken, others are refused when strict."""
    strict = {"Prefer": "handling=strict"}
    for name in DRESSES:
        ehr = _of(start, name)
        statement = get(ehr, "metadata").json()
        older = load_dress(name).release == "DSTU2"
        assert statement["fhirVersion"] == ("1.0.2" if older else "4.0.1")
        assert statement["resourceType"] == ("Conformance" if older else "CapabilityStatement")
        declared = {r["type"]: r for r in statement["rest"][0]["resource"]}
        for kind, row in declared.items():
            read = get(ehr, f"{kind}/no-such", follow_redirects=True).status_code
            assert read == load_dress(name).not_found.status or {"code": "read"} not in row["interaction"]
            for param in row.get("searchParam", []):
                value = {"date": "2024", "reference": "Patient/alder", "token": "urn:x|x"}.get(param["type"], "x")
                known = {"_id": "x"} if "_id" in load_dress(name).types[kind].params else {"patient": "alder"}
                query = known | needed(load_dress(name), kind)
                query.setdefault(param["name"], value)
                answer = get(ehr, f"{kind}?{urlencode(query)}", headers=strict)
                assert answer.status_code == 200, (name, kind, param, answer.text)
        refused = get(ehr, f"Condition?{urlencode({'_id': 'x', 'asserter': 'x'})}", headers=strict)
        assert refused.status_code == 400
        assert get(ehr, "Claim/x").status_code >= 400 and "Claim" not in declared


@pytest.mark.parametrize("name", DRESSES)
def test_a_patients_search_never_shows_another(start, name):
    """Ids in the test data begin with their patient's name; every type, every include, every page is looked at."""
    dress = load_dress(name)
    ehr = _of(start, name)
    for who, other in (("alder", "birch"), ("birch", "alder")):
        for kind, support in dress.types.items():
            if "patient" not in support.params:
                continue
            params = {"patient": who, "_revinclude": "Provenance:target", "_count": "4"} | needed(dress, kind)
            pages = walk(ehr, f"{kind}?{urlencode(params)}")
            text = "".join(str(p.get("entry", "")) for p in pages)
            assert other not in text
            # and nothing of the patient's own is withheld
            if kind == "Condition":
                assert len(ids(pages)) == 7


def test_a_provenance_over_two_patients_is_in_neither_compartment(start):
    both = {
        "resourceType": "Provenance",
        "id": "over-both",
        "target": [{"reference": "Condition/alder-c1"}, {"reference": "Condition/birch-c1"}],
    }
    ehr = start(resources=[*RESOURCES, both])
    pages = walk(ehr, "Condition?patient=alder&_revinclude=Provenance:target") + walk(ehr, "Patient/alder/$everything")
    assert "over-both" not in str(pages) and "birch" not in str(pages)


def test_a_patient_whose_id_begins_like_anothers_is_another(start):
    ehr = start(
        resources=[patient("1", "One", "1980"), patient("11", "Eleven", "1980"), observation("x11", "11", "2024", 1)]
    )
    assert found(ehr, "Observation?patient=1") == set()
    assert found(ehr, "Observation?patient=11") == {"x11"}
    assert found(ehr, "Observation?patient=1,11") == {"x11"}


def _of(start, name, cache={}):  # noqa: B006  one hospital per dress for the module
    return cache.setdefault(name, None) or cache.update({name: start(name)}) or cache[name]

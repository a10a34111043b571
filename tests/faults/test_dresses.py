"""Every dress of the practice EHR with the profile made for it: all sections fetched, authorized, truthfully covered."""

from __future__ import annotations

import json

import pytest
from adapter_kit import Clock, balanced
from fault_kit import PATIENT, at, contents, hospital, keys, refresh

from adapters.conformance import check, compare_with_profile
from models.record import SECTIONS
from service.practice_ehr import Fault, dress_names, load_dress

_US_CORE = ("functional-status", "disability-status", "cognitive-status", "treatment-intervention-preference",
            "care-experience-preference", "observation-adi-documentation")  # fmt: skip
UNASKED = {
    "epic": {"labs": ("procedure", "clinical-test"), "assessments": ("therapy", "activity", *_US_CORE[1:])},
    "oracle_health": {"labs": ("clinical-test",), "assessments": _US_CORE},
    "oracle_health_dstu2": {"labs": ("imaging", "procedure"), "assessments": ("exam", "therapy")},
}
"""Categories that a vendor's profile does not ask for: the coverage names them."""


@pytest.mark.parametrize("dress", dress_names())
async def test_a_whole_record_comes_from_every_dress(dress):
    with hospital(dress, auth=True) as ehr:
        fetches = await refresh(ehr, Clock())
        token_calls, seen = ehr.state.token_calls, ehr.requests
    assert set(fetches) == set(SECTIONS) and token_calls == 1
    for section, fetch in fetches.items():
        withheld = any("suppressed" in code for code in fetch.outcomes)
        assert fetch.coverage.state == ("filtered" if withheld else "present"), (section, fetch.coverage)
        assert balanced(fetch) and not fetch.rejected
        if section == "medications" and "Medication" not in load_dress(dress).types:
            assert [(m.reference, m.reason) for m in fetch.missing] == [
                ("Medication/drug", "not fetched: the granted scopes do not cover it")
            ]
            continue
        assert not fetch.missing and fetch.coverage.unasked == UNASKED.get(dress, {}).get(section, ())
        assert fetch.coverage.complete is not (withheld or bool(fetch.coverage.unasked))
    results = {k for s in ("labs", "reports") for k in keys(fetches[s]) if k.startswith("Observation/l")}
    assert len(keys(fetches["vitals"])) == 12 and len(results) == 4, "one may be reached through its report only"
    if dress != "medhost" and "Medication" in load_dress(dress).types:  # it contains the drug
        drugs = [k for k in keys(fetches["medications"]) if k.startswith("Medication/")]
        assert len(drugs) == 1
    if dress != "oracle_health_dstu2":
        assert f"Observation/g0-of-{PATIENT}" in keys(fetches["labs"]), "an imaging result"
        assert f"Observation/x0-of-{PATIENT}" in keys(fetches["assessments"]), "a finding of an examination"
    assert "Practitioner/doctor" in keys(fetches["medications"])
    assert "Binary/doc" in keys(fetches["notes"])
    assert all(row.status < 400 for row in seen if row.interaction in ("search", "token"))
    asked = [(r.resource_type, r.interaction) for r in seen if r.interaction == "read" and r.status == 200]
    assert len(asked) == len(set(asked)), "nothing is read twice"


@pytest.mark.parametrize("dress", dress_names())
async def test_refused_and_failing_types_are_told_in_every_dress(dress):
    with hospital(dress, auth=True) as ehr:
        clean = await refresh(ehr, Clock())
        ehr.faults.set(
            Fault(kind="scopes_lied", types=("Condition",)),
            Fault(kind="status", resource_type="Encounter", status=503, body="html"),
            Fault(kind="html_login", resource_type="Immunization"),
        )
        fetches = await refresh(ehr, Clock())
    assert fetches["problems"].coverage.state == "not_authorized"
    assert fetches["encounters"].coverage.state == fetches["immunizations"].coverage.state == "failed"
    others = set(SECTIONS) - {"problems", "encounters", "immunizations"}
    assert {s: contents({s: fetches[s]}) for s in others} == {s: contents({s: clean[s]}) for s in others}
    for section in ("problems", "encounters", "immunizations"):
        assert not fetches[section].resources and fetches[section].coverage.as_of == ""


@pytest.mark.parametrize("dress", dress_names())
async def test_every_dress_is_what_its_own_profile_counts_on(dress):
    with hospital(dress, auth=True) as ehr:
        async with at(ehr) as source:
            report = await check(source, PATIENT)
    assert report.state == "ready" and report.probed
    found = [d for d in compare_with_profile(source.profile, report) if d.severity != "info"]
    assert not found
    assert report.upgrades or source.profile.vendor == "generic", "when its vendor changes it, or that nobody says"
    assert any("DSTU2" in w.upgrade.note for w in report.upgrades) is (dress == "oracle_health_dstu2")


async def test_scopes_that_were_silently_reduced():
    with hospital("athenahealth", auth=True) as ehr:
        ehr.faults.set(Fault(kind="scopes_reduced", types=("Procedure", "Medication")))
        fetches = await refresh(ehr, Clock())
        asked = {r.resource_type for r in ehr.requests}
    assert fetches["procedures"].coverage.state == "not_authorized" and not {"Procedure", "Medication"} & asked
    assert [m.reason for m in fetches["medications"].missing] == ["not fetched: the granted scopes do not cover it"]


async def test_a_dress_without_a_type_says_not_supported():
    from practice_kit import dress_where

    from service.practice_ehr import PracticeEhr

    dress = dress_where()
    types = {k: v for k, v in dress.types.items() if k not in ("CarePlan", "Immunization")}
    somebody = {"resourceType": "Patient", "id": PATIENT}
    with PracticeEhr("north", [somebody], dress=dress.model_copy(update={"types": types})) as ehr:
        fetches = await refresh(ehr)
    assert {s for s, f in fetches.items() if f.coverage.state == "not_supported"} == {"care_plans", "immunizations"}
    assert fetches["problems"].coverage.state == "empty" and fetches["demographics"].coverage.state == "present"


async def test_a_patient_is_found():
    with hospital("epic", auth=True) as ehr:
        async with at(ehr) as source:
            found = await source.find_patients(identifier="urn:oid:1.2.3|CANARY-555-77")
            assert [r.resource_id for r in found] == [PATIENT] and json.loads(found[0].content)["birthDate"]
            assert await source.find_patients(identifier="urn:oid:1.2.3|nobody") == []

"""DSTU2, R4 and R5 read into the same record: one fixture a difference, and the same facts give equal entries."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from normalizer_kit import Json, cc, chart_of, one, quantity, raw, resource
from release_facts import DOC, FACTS, RELEASES, P, written

from adapters.normalizer import normalize, parse_file
from adapters.normalizer.judge import judge
from adapters.normalizer.releases import Turned, in_r4, written_in
from adapters.normalizer.releases.told import release_of_profiles
from models.record import AnyEntry

CASES = [(kind, part) for kind, (_, parts) in FACTS.items() for part in parts]
NAMES = [f"{kind}-{part[0]}-{n}" for n, (kind, part) in enumerate(CASES)]
MOVED = ("id", "origins", "flags", "activity_reason")
"""What tells where a fact stands, and what is compared apart."""


def read_as(release: str, *items: Json) -> list[AnyEntry]:
    """Entries of resources that a source declares to be of `release`."""
    made = normalize([raw(i, fhir_version=release) for i in items])
    assert made.ledger.balanced and not made.quarantine
    return list(made.entries)


def facts_of(entry: AnyEntry) -> Json:
    """An entry without where it came from; its remarks by code."""
    said = entry.to_dict()
    return {k: v for k, v in said.items() if k not in MOVED} | {"remarks": sorted(f.code for f in entry.flags)}


def same_in_all(kind: str, *parts: Any) -> list[str]:
    """Read a fact in every release that can say it; the releases that could."""
    told = {r: item for r in RELEASES if (item := written(kind, r, *parts)) is not None}
    entries = {r: read_as(r, item) for r, item in told.items()}
    wanted = [facts_of(e) for e in entries["R4"]]
    assert wanted
    for release, found in entries.items():
        assert [facts_of(e) for e in found] == wanted, (release, told[release])
    return list(told)


@pytest.mark.parametrize(("kind", "part"), CASES, ids=NAMES)
def test_a_fact_reads_alike_in_every_release(kind: str, part: Any) -> None:
    assert len(same_in_all(kind, part)) > 1, "said in R4 alone it shows nothing"


@pytest.mark.parametrize(("kind", "part"), CASES, ids=NAMES)
def test_every_fixture_says_something_that_is_read(kind: str, part: Any) -> None:
    base, told = written(kind, "R4"), written(kind, "R4", part)
    assert base is not None and told is not None
    if base != told:
        assert [facts_of(e) for e in read_as("R4", base)] != [facts_of(e) for e in read_as("R4", told)]


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.data(), st.sampled_from(sorted(FACTS)))
def test_however_facts_are_combined_the_releases_agree(data: st.DataObject, kind: str) -> None:
    parts: list[Any] = []
    for part in data.draw(st.lists(st.sampled_from(FACTS[kind][1]), max_size=8)):
        if not any(elements(part) & elements(p) for p in parts):
            parts.append(part)
    same_in_all(kind, *parts)


def elements(part: Any) -> set[str]:
    """Every element a part writes, in whatever release."""
    return {name for said in part[1:] if isinstance(said, dict) for name in said}


SIGNS = {
    ("DSTU2", "Condition"): "base", ("DSTU2", "AllergyIntolerance"): "substance", ("DSTU2", "MedicationRequest"): "base",
    ("DSTU2", "MedicationStatement"): "base", ("DSTU2", "Encounter"): "base", ("DSTU2", "Observation"): "comment",
    ("DSTU2", "Immunization"): "given", ("DSTU2", "Procedure"): "note", ("DSTU2", "DiagnosticReport"): "diagnosis",
    ("DSTU2", "DocumentReference"): "date", ("DSTU2", "Patient"): "name", ("R5", "Condition"): "asserter",
    ("R5", "AllergyIntolerance"): "type", ("R5", "MedicationRequest"): "drug", ("R5", "MedicationStatement"): "drug",
    ("R5", "Encounter"): "period", ("R5", "Procedure"): "when", ("R5", "DocumentReference"): "visit", ("R5", "CarePlan"): "addresses",
}  # fmt: skip
"""Release and type -> the part that gives it away (`base`: every resource of the type does)."""


@pytest.mark.parametrize(("release", "kind"), SIGNS, ids=["-".join(k) for k in SIGNS])
def test_what_gives_its_release_away_needs_no_declaration(release: str, kind: str) -> None:
    """Files declare nothing: beside the sign, everything else is read as that release writes it."""
    parts = FACTS[kind][1]
    sign = [p for p in parts if p[0] == SIGNS[release, kind]]
    assert sign or SIGNS[release, kind] == "base"
    for part in parts:
        item = written(kind, release, *sign, part)
        if item is not None:
            assert [e.to_dict() for e in read_as("R4", item)] == [e.to_dict() for e in read_as(release, item)], part[0]


@pytest.mark.parametrize("kind", sorted(FACTS))
def test_the_fixtures_of_r4_and_r5_are_what_their_release_allows(kind: str) -> None:
    """R4 is judged by R4B's classes, R5 by R5's. DSTU2 has no judge."""
    for part in FACTS[kind][1]:
        for release in ("R4", "R5"):
            item = written(kind, release, part)
            if item is not None:
                found = judge(json.dumps(item).encode(), kind, release) or ()
                unknown = [str(v) for v in found if v.rule in ("unknown_element", "type")]
                assert unknown == [], (release, part[0])
    assert judge(b"{}", kind, "DSTU2") is None


@pytest.mark.parametrize("kind", sorted(FACTS))
def test_turning_r4_changes_nothing_that_is_read(kind: str) -> None:
    """A server that declares R5 or DSTU2 and writes some elements as R4 does (ballots, upgrades) loses nothing."""
    for part in FACTS[kind][1]:
        item = written(kind, "R4", part)
        assert item is not None
        wanted = [facts_of(e) for e in read_as("R4", item)]
        for release in ("DSTU2", "R5"):
            assert [facts_of(e) for e in read_as(release, item)] == wanted, (release, part[0])


# ---- negation ----


def vaccine(**more: Any) -> Json:
    return resource("Immunization", status="completed", vaccineCode=cc("140"), date="2020-01-01", **more)


@pytest.mark.parametrize("denied", [True, "true", "True ", "yes", 1, [True], {}])
def test_what_was_not_done_is_never_care(denied: Any) -> None:
    (shot,) = read_as("DSTU2", vaccine(wasNotGiven=denied))
    assert shot.given is not True and shot.status in ("not-done", "unknown")
    (operation,) = read_as("DSTU2", resource("Procedure", status="completed", code=cc("1"), notPerformed=denied))
    assert operation.done is not True and operation.status in ("not-done", "unknown")
    drug = resource("MedicationStatement", status="active", medicationCodeableConcept=cc("1"), wasNotTaken=denied)
    (taken,) = read_as("DSTU2", drug)
    assert taken.activity != "active" and taken.status in ("not-taken", "unknown")


def test_what_was_done_stays_done() -> None:
    (shot,) = read_as("DSTU2", vaccine(wasNotGiven=False, reported=False))
    assert shot.given is True and shot.primary_source is True and shot.occurrence == "2020-01-01"
    (wrong,) = read_as("DSTU2", vaccine(wasNotGiven=True) | {"status": "entered-in-error"})
    assert wrong.superseded and wrong.given is False


def test_a_record_of_r5_without_adherence_is_not_said_to_be_taken() -> None:
    item = resource("MedicationStatement", status="recorded", medication={"concept": cc("1", "aspirin")})
    (entry,) = read_as("R5", item)
    assert (entry.status, entry.activity) == ("unknown", "uncertain")


def test_a_planned_omission_says_so() -> None:
    plan = resource(
        "CarePlan", status="active", activity=[{"detail": {"code": cc("1", "Running"), "prohibited": True}}]
    )
    (entry,) = read_as("DSTU2", plan)
    assert entry.activities[0].text == "not to be done: Running"
    assert one(resource("CarePlan", status="active", intent="plan", activity=[{"detail": {"description": "Run", "doNotPerform": True}}])).activities[0].text == "not to be done: Run"  # fmt: skip


# ---- paths ----


def details(entry: AnyEntry) -> dict[str, str]:
    return {f.code: f.detail for f in entry.flags}


def test_remarks_name_the_elements_of_the_resource_as_received() -> None:
    (order,) = read_as(
        "DSTU2", {"resourceType": "MedicationOrder", "id": "1", "patient": P, "status": "active", "dateWritten": "soon"}
    )
    assert details(order)["invalid_date"] == "dateWritten" and details(order)["missing_code"] == "medication[x]"
    (allergy,) = read_as("DSTU2", resource("AllergyIntolerance", substance={"text": "Latex"}))
    assert details(allergy)["text_only"] == "substance" and details(allergy)["missing_status"] == "status"
    (problem,) = read_as("DSTU2", {"resourceType": "Condition", "id": "1", "patient": P, "code": cc("1")})
    assert details(problem)["missing_onset"] == "onset[x], dateRecorded"
    (shot,) = read_as("DSTU2", vaccine(wasNotGiven=True))
    assert details(shot)["negated"] == "wasNotGiven"
    (visit,) = read_as(
        "R5", resource("Encounter", status="completed", actualPeriod={"start": "2024-02-02", "end": "2024-01-01"})
    )
    assert details(visit)["status_conflict"] == "actualPeriod: the end is before the start"
    (operation,) = read_as("R5", resource("Procedure", status="completed", code=cc("1")))
    assert details(operation)["missing_date"] == "occurrence[x]"
    (drug,) = read_as(
        "R5", resource("MedicationRequest", status="active", medication={"reference": {"reference": "Medication/gone"}})
    )
    assert details(drug)["broken_reference"] == "medication.reference"


def test_remarks_of_r4_keep_their_names_whatever_is_declared() -> None:
    (entry,) = read_as("R5", resource("Procedure", status="completed", code=cc("1"), performedDateTime="soon"))
    assert details(entry)["invalid_date"] == "performedDateTime"


def test_origins_lead_into_the_resource_as_received() -> None:
    panel = resource(
        "Observation", status="final", code=cc("55284-4", system="http://loinc.org"), category=cc("vital-signs", system="x"),
        component=[{"code": cc(c, system="http://loinc.org"), "valueQuantity": quantity(v, "mm[Hg]")} for c, v in (("8480-6", 120), ("8462-4", 80))],
    )  # fmt: skip
    paths = [e.origin.path for e in read_as("DSTU2", panel)]
    assert paths == ["component[0]", "component[1]"]
    assert Turned(x=1) == {"x": 1}


# ---- neighbours, contained, whole patients ----


def test_what_is_referred_to_is_read_in_its_release_too() -> None:
    order = {"resourceType": "MedicationOrder", "id": "1", "patient": P, "status": "active", "dateWritten": "2024-05-01",
             "medicationReference": {"reference": "Medication/m"}, "prescriber": {"reference": "Practitioner/d"}}  # fmt: skip
    drug = {
        "resourceType": "Medication",
        "id": "m",
        "product": {"ingredient": [{"item": {"display": "codeine"}}, {"item": {"display": "caffeine"}}]},
    }
    doctor = {"resourceType": "Practitioner", "id": "d", "name": {"family": ["Dee"], "given": ["Ann"]}}
    goal = {"resourceType": "Goal", "id": "g", "subject": P, "description": "Walk daily"}
    plan = resource("CarePlan", "2", status="active", goal=[{"reference": "Goal/g"}])
    said = {"resourceType": "Provenance", "id": "v", "target": [{"reference": "MedicationOrder/1"}], "recorded": "2024-05-02",
            "agent": [{"role": {"code": "author"}, "actor": DOC}]}  # fmt: skip
    found = {e.origin.resource_type: e for e in read_as("DSTU2", order, drug, doctor, goal, plan, said)}
    medication = found["MedicationOrder"]
    assert medication.concept.display == "codeine / caffeine"
    assert medication.requester.name == "Ann Dee"
    assert medication.origin.provenance.agents == ("author: Dr. Dee",)
    assert found["CarePlan"].goals == ("Walk daily",)


def test_contained_drugs_of_r5_are_read() -> None:
    drug = {"resourceType": "Medication", "id": "m", "ingredient": [{"item": {"concept": cc("1", "aspirin")}}]}
    item = resource(
        "MedicationRequest", status="active", contained=[drug], medication={"reference": {"reference": "#m"}}
    )
    (entry,) = read_as("R5", item)
    assert entry.concept.display == "aspirin"


def test_another_patients_resource_is_turned_away_in_every_release() -> None:
    other = {"resourceType": "MedicationOrder", "id": "1", "patient": {"reference": "Patient/q"}, "status": "active"}
    made = normalize([raw(other, fhir_version="DSTU2")], patient_id="p")
    assert [q.reason for q in made.quarantine] == ["wrong_patient"]


def test_the_raw_resource_is_not_changed() -> None:
    for kind, part in CASES:
        for release in ("DSTU2", "R5"):
            item = written(kind, release, part)
            if item is not None:
                before = json.dumps(item)
                in_r4(item, str(item["resourceType"]), release)
                assert json.dumps(item) == before


JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=4), st.sampled_from(["true", "2020", "reference"])),
    lambda c: st.one_of(st.lists(c, max_size=3), st.dictionaries(
        st.sampled_from(["coding", "code", "reference", "concept", "text", "actor", "detail", "repeat", "timing", "attachment", "item", "x"]), c, max_size=3)),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=250, deadline=None, derandomize=True)
@given(st.data(), st.sampled_from(["DSTU2", "R5"]), st.sampled_from(sorted(FACTS)))
def test_no_shape_breaks_the_turning(data: st.DataObject, release: str, kind: str) -> None:
    parts = [p for p in FACTS[kind][1] if written(kind, release, p) is not None]
    item = written(kind, release, *data.draw(st.lists(st.sampled_from(parts), min_size=1, max_size=4, unique_by=id)))
    assert item is not None
    for name in data.draw(
        st.lists(st.sampled_from(sorted(set(item) - {"resourceType", "id"})), min_size=1, max_size=3)
    ):
        item[name] = data.draw(JUNK)
    made = normalize([raw(item, fhir_version=release)])
    assert made.ledger.balanced and made.ledger.offered == 1
    assert [q.reason for q in made.quarantine if q.reason == "unreadable"] == []
    assert len(made.entries) >= 1
    chart = chart_of(made.entries)
    assert type(chart).from_dict(chart.to_dict()) == chart


# ---- which release ----


def test_the_declaration_decides_and_signs_decide_where_r4_is_declared() -> None:
    assert written_in({"resourceType": "Procedure"}, "Procedure", "DSTU2") == "DSTU2"
    assert written_in({"occurrenceDateTime": "2024"}, "Procedure", "R4") == "R5"
    assert written_in({"occurrenceDateTime": "2024"}, "Procedure", "DSTU2") == "DSTU2"
    assert written_in({"performedDateTime": "2024"}, "Procedure", "R4B") == "R4B"


@pytest.mark.parametrize(
    ("profile", "release"),
    [
        ("http://fhir.org/guides/argonaut/StructureDefinition/argo-condition", "DSTU2"),
        ("http://hl7.org/fhir/StructureDefinition/daf-pat", "DSTU2"),
        ("http://hl7.org/fhir/DSTU2/observation.html", "DSTU2"),
        ("http://hl7.org/fhir/1.0/StructureDefinition/Patient", "DSTU2"),
        ("http://hl7.org/fhir/5.0/StructureDefinition/Patient", "R5"),
        ("http://hl7.org/fhir/3.0/StructureDefinition/Patient", "STU3"),
        ("http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient", ""),
        (5, ""),
    ],
)  # fmt: skip
def test_profiles_that_tell_a_release(profile: Any, release: str) -> None:
    assert release_of_profiles({"profile": [profile]}) == release


def test_profiles_that_disagree_tell_nothing() -> None:
    two = ["http://hl7.org/fhir/5.0/StructureDefinition/Patient", "http://hl7.org/fhir/DSTU2/x"]
    assert (
        release_of_profiles({"profile": two})
        == release_of_profiles({"profile": "x"})
        == release_of_profiles(None)
        == ""
    )


def bundle_of(*items: Json) -> bytes:
    return json.dumps({"resourceType": "Bundle", "entry": [{"resource": i} for i in items]}).encode()


def releases_in(data: bytes) -> dict[str, str]:
    found, _ = parse_file(data, "f.json", tenant="t", site="s", retrieved="2024-01-01T00:00:00Z")
    return {r.resource_type: r.fhir_version for r in found}


def test_a_statement_in_a_file_tells_the_release_of_the_file() -> None:
    shot = vaccine()
    assert releases_in(bundle_of(shot)) == {"Immunization": "R4"}
    statement = {"resourceType": "Conformance", "id": "c", "fhirVersion": "1.0.2"}
    assert set(releases_in(bundle_of(shot, statement)).values()) == {"DSTU2"}
    r5 = {"resourceType": "CapabilityStatement", "id": "d", "fhirVersion": "5.0.0"}
    assert set(releases_in(bundle_of(r5, shot)).values()) == {"R5"}
    assert releases_in(bundle_of(shot, statement, r5))["Immunization"] == "R4", "two statements tell nothing"
    argonaut = shot | {"meta": {"profile": ["http://fhir.org/guides/argonaut/StructureDefinition/argo-immunization"]}}
    assert releases_in(bundle_of(argonaut)) == {"Immunization": "DSTU2"}

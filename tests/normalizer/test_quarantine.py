"""What cannot be part of this patient's record is put aside with its reason, and everything else goes on."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from normalizer_kit import (
    LOINC,
    RXNORM,
    Json,
    cc,
    chart_of,
    condition,
    observation,
    order,
    quantity,
    raw,
    read,
    resource,
)

from adapters.normalizer import normalize
from adapters.normalizer.normalize import READERS
from adapters.normalizer.releases.signs import _ELEMENTS, foreign_release
from models.record import Missing, Rejected

GOOD = condition("good")


def reasons(item: Json, content: bytes | None = None, **more: Any) -> list[str]:
    made = normalize([raw(item, content=content, **more), raw(GOOD)], patient_id="p")
    assert [e.origin.resource_id for e in made.entries if e.origin.resource_id == "good"] == ["good"]
    assert made.ledger.balanced and made.ledger.offered == 2
    assert made.ledger.quarantined == len(made.quarantine)
    for row in made.quarantine:
        assert row.content == (content if content is not None else row.content) and row.resource_id == item["id"]
    return [q.reason for q in made.quarantine]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not_json"),
        (b"{", "not_json"),
        (b'{"a": NaN}', "not_json"),
        (b'{"a": "\xff"}', "not_json"),
        (b"<html>", "not_json"),
        (b"[]", "not_a_resource"),
        (b'"text"', "not_a_resource"),
        (b"{}", "wrong_resource_type"),
        (b'{"resourceType": "Patient"}', "wrong_resource_type"),
        (b'{"resourceType": "Condition", "a": ' + b"[" * 3000 + b"]" * 3000 + b"}", "too_deep"),
        (b'{"resourceType": "Condition", "a": ' + b'{"a":' * 80 + b"1" + b"}" * 80 + b"}", "too_deep"),
        (b'{"resourceType": "Condition", "a": ' + b"[" * 80 + b"]" * 80 + b"}", "too_deep"),
    ],
)
def test_bytes_that_are_no_readable_resource(content: bytes, reason: str) -> None:
    assert reasons(condition("bad"), content) == [reason]


def test_resources_of_somebody_else_never_enter_this_chart() -> None:
    for other in ("Patient/q", "https://ehr.example/fhir/Patient/q", "urn:uuid:q", "Patient/q/_history/3"):
        assert reasons(condition("bad", subject={"reference": other})) == ["wrong_patient"]
    assert reasons({"resourceType": "Patient", "id": "q"}) == ["wrong_patient"]
    assert reasons(resource("Claim", "bad", subject=None, patient={"reference": "Patient/q"})) == ["wrong_patient"]
    for own in ("Patient/p", "https://ehr.example/fhir/Patient/p", "#p", "Group/1"):
        assert reasons(condition("fine", subject={"reference": own})) == []


def test_a_strangers_resource_lends_no_name() -> None:
    stranger = condition("c", subject={"reference": "Patient/q"}, text="Somebody's secret")
    visit = resource("Encounter", "e", status="finished", diagnosis=[{"condition": {"reference": "Condition/c"}}])
    made = normalize([raw(stranger), raw(visit)], patient_id="p")
    assert "secret" not in json.dumps([e.to_dict() for e in made.entries])


FOREIGN = [
    (
        "DSTU2",
        {"resourceType": "MedicationOrder", "id": "1", "status": "active", "patient": {"reference": "Patient/p"}},
    ),
    ("DSTU2", resource("Condition", subject=None, patient={"reference": "Patient/p"}, clinicalStatus="active")),
    ("DSTU2", resource("AllergyIntolerance", substance=cc("1"), status="active")),
    ("DSTU2", resource("Encounter", **{"class": "ambulatory"}, status="finished")),
    ("DSTU2", resource("Immunization", status="completed", wasNotGiven=False, vaccineCode=cc("1"))),
    ("DSTU2", resource("Procedure", status="completed", notPerformed=True, code=cc("1"))),
    ("STU3", resource("Observation", status="final", context={"reference": "Encounter/1"}, code=cc("1"))),
    ("DSTU2", resource("DocumentReference", status="current", indexed="2017-01-01T00:00:00Z")),
    ("DSTU2", resource("CarePlan", status="active", context={"reference": "Encounter/1"})),
    ("STU3", resource("CarePlan", status="active", intent="plan", context={"reference": "Encounter/1"})),
    ("STU3", resource("MedicationRequest", status="active", context={"reference": "Encounter/1"})),
    ("R5", resource("Encounter", status="completed", **{"class": [cc("AMB")]})),
    ("R5", resource("MedicationRequest", status="active", medication={"concept": cc("1")})),
    ("R5", resource("MedicationRequest", status="active", medication={"reference": {"reference": "Medication/1"}})),
    ("R5", resource("AllergyIntolerance", type=cc("allergy"))),
    ("R5", resource("Procedure", status="completed", occurrenceDateTime="2024-01-01")),
    ("R5", resource("DocumentReference", status="current", context=[{"reference": "Encounter/1"}])),
]


@pytest.mark.parametrize(
    ("release", "item"), FOREIGN, ids=[f"{r}-{i['resourceType']}-{n}" for n, (r, i) in enumerate(FOREIGN)]
)
def test_another_release_is_known_by_its_signs_and_read_or_named(release: str, item: Json) -> None:
    assert foreign_release(item, item["resourceType"]) == release
    made = normalize([raw(item)])
    if release == "STU3":
        assert [q.reason for q in made.quarantine] == ["unsupported_version"]
        assert release in made.quarantine[0].detail and not made.entries
    else:
        assert len(made.entries) == 1 and not made.quarantine


def test_a_source_that_declares_another_release_is_believed() -> None:
    assert reasons(condition("bad"), fhir_version="STU3") == ["unsupported_version"]
    for release in ("DSTU2", "R4B", "R5"):
        assert reasons(condition("bad"), fhir_version=release) == []


@pytest.mark.parametrize("kind", sorted(_ELEMENTS))
def test_no_sign_of_another_release_is_an_element_of_r4(kind: str) -> None:
    model = import_module("fhir.resources.R4B").get_fhir_model_class(kind)
    names = {field.alias or name for name, field in model.model_fields.items()}
    assert not names & _ELEMENTS[kind].keys()


@pytest.mark.parametrize("item", [condition(), order(), observation(), condition(clinicalStatus="active")])
def test_r4_and_small_slips_are_r4(item: Json) -> None:
    assert foreign_release(item, item["resourceType"]) == ""


def test_what_was_rejected_or_lost_on_the_way_is_in_the_account() -> None:
    turned_away = Rejected(site="s", reason="not_json", source="f:3")
    lost = [Missing(site="s", reference="Observation/9"), Missing(site="s", reference="page 3", count=20)]
    ledger = normalize([raw(GOOD)], rejected=iter([turned_away]), missing=iter(lost)).ledger
    assert (ledger.offered, ledger.stored, ledger.quarantined, ledger.reported_missing) == (23, 1, 1, 21)
    assert ledger.balanced and ledger.by_type["Observation"]["reported_missing"] == 1


# ---- whatever a source may send ----

ATOMS = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8), st.sampled_from(["\x00", "\u202e", "𝔘", "9" * 400, "x" * 25_000, "2019-02-30", "<script>", "NaN", "-"]),
)  # fmt: skip
JUNK = st.recursive(
    ATOMS,
    lambda c: st.one_of(st.lists(c, max_size=3), st.dictionaries(st.text(max_size=6), c, max_size=3)),
    max_leaves=6,
)
WHOLE = [
    condition(abatementDateTime="2020", recorder={"reference": "#x"}, category=[cc("problem-list-item", system="x")], note=[{"text": "n"}]),
    order(dosageInstruction=[{"timing": {"repeat": {"boundsPeriod": {"end": "2024-01-01"}}}, "doseAndRate": [{"doseQuantity": quantity(1, "mg")}]}], dispenseRequest={"quantity": quantity(3)}),
    observation(component=[{"code": cc("8480-6", system=LOINC), "valueQuantity": quantity(120, "mm[Hg]")}], code="85354-9", referenceRange=[{"low": quantity(1)}], interpretation=[cc("H", system="x")]),
    observation(valueQuantity=quantity(7.1, "%"), category=[cc("laboratory", system="x")], performer=[{"display": "Lab"}], hasMember=[{"reference": "Observation/2"}]),
    resource("AllergyIntolerance", code=cc("1", "Penicillin"), reaction=[{"manifestation": [cc("2", "Hives")], "onset": "2020"}], category=["food"]),
    resource("Encounter", status="finished", period={"start": "2024-01-01T10:00:00Z"}, participant=[{"individual": {"display": "D"}}], **{"class": {"code": "AMB"}}),
    resource("Immunization", status="completed", vaccineCode=cc("140"), occurrenceDateTime="2023", protocolApplied=[{"doseNumberPositiveInt": 1}]),
    resource("Procedure", status="completed", code=cc("1"), performedPeriod={"start": "2023"}, performer=[{"actor": {"display": "D"}}]),
    resource("CarePlan", status="active", text={"div": "<div>plan</div>"}, activity=[{"detail": {"description": "walk"}}], period={"end": "2025"}),
    resource("DiagnosticReport", status="final", code=cc("1"), presentedForm=[{"contentType": "text/plain", "data": "eA=="}], result=[{"reference": "Observation/1"}]),
    resource("DocumentReference", status="current", content=[{"attachment": {"contentType": "text/html", "data": "PGI+eDwvYj4="}}], context={"period": {"start": "2024"}}),
    resource("Patient", name=[{"family": "F", "given": ["G"]}], birthDate="1958", communication=[{"language": cc("en"), "preferred": True}], extension=[{"url": "x/us-core-race", "extension": [{"url": "text", "valueString": "w"}]}]),
    resource("MedicationStatement", status="active", effectivePeriod={"start": "2024"}, contained=[{"resourceType": "Medication", "id": "m", "code": cc("1", "x", RXNORM)}], medicationReference={"reference": "#m"}),
    resource("Medication", code=cc("1"), ingredient=[{"itemCodeableConcept": cc("2")}]),
    resource("Provenance", recorded="2024", target=[{"reference": "Condition/1"}], agent=[{"who": {"display": "D"}}]),
    resource("PractitionerRole", practitioner={"reference": "Practitioner/1"}),
    resource("Binary", contentType="text/plain", data="eA=="),
    resource("Goal", description={"text": "g"}),
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """All places inside a resource that a mutation may hit."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(*path, k) for k, _ in children] + [p for k, v in children for p in places(v, (*path, k))]


@st.composite
def mutated(draw: st.DrawFn) -> Json:
    item: Json = json.loads(json.dumps(draw(st.sampled_from(WHOLE))))
    for _ in range(draw(st.integers(1, 4))):
        options = [p for p in places(item) if p not in (("resourceType",), ("id",))]
        if not options:
            break
        path = draw(st.sampled_from(options))
        holder: Any = item
        for step in path[:-1]:
            holder = holder[step]
        action = draw(st.sampled_from(["drop", "junk", "wrap", "twice"]))
        if action == "drop":
            del holder[path[-1]]
        elif action == "junk":
            holder[path[-1]] = draw(JUNK)
        elif action == "wrap":
            holder[path[-1]] = [holder[path[-1]]]
        else:
            holder[path[-1]] = [holder[path[-1]], holder[path[-1]]]
    return item


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.lists(mutated(), min_size=1, max_size=3))
def test_no_resource_however_broken_raises_or_disappears(items: list[Json]) -> None:
    items = [i | {"id": f"r{n}"} for n, i in enumerate(items)]
    made = read(*items)
    assert made.ledger.offered == len(items)
    became = {name.split("/")[1]: disposition for name, disposition in made.dispositions.items()}
    for item in items:
        own = [e for e in made.entries if e.origin.resource_id == item["id"]]
        assert bool(own) == (became[item["id"]] == "entry")
        assert (became[item["id"]] == "quarantined") == any(q.resource_id == item["id"] for q in made.quarantine)
    unreadable = [q.detail for q in made.quarantine if q.reason == "unreadable"]
    assert unreadable == [], "the accessors tolerate every shape; nothing reaches the net under them"
    chart = chart_of(made.entries)
    assert len(chart.entries) >= len(made.entries)
    assert type(chart).from_dict(chart.to_dict()) == chart, "what was made is a valid record"


@settings(max_examples=150, deadline=None, derandomize=True)
@given(JUNK, st.sampled_from(sorted(READERS)))
def test_junk_under_a_known_type_is_accounted_for(junk: Any, kind: str) -> None:
    item = {"resourceType": kind, "id": "1"}
    body = junk if isinstance(junk, dict) else {"status": junk, "code": junk, "subject": junk, "text": junk}
    made = normalize([raw(item, content=json.dumps(body | item).encode())])
    assert made.ledger.balanced and made.ledger.offered == 1

"""Dispenses are asked for where a site lists them, and the list of medications is whole without them."""

from __future__ import annotations

import pytest
from adapter_kit import Reply, bundle, fetch, fetched_requests, ids, outcome, resource

from adapters.normalizer import normalize

TYPES = ("MedicationRequest", "MedicationDispense", "Patient")


def statement(*types: str) -> dict:
    rest = [{"mode": "server", "resource": [{"type": t} for t in types]}]
    return {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": rest}


ORDER = resource("MedicationRequest", "m1", status="active", intent="order", authoredOn="2026-01-02", medicationCodeableConcept={"text": "lisinopril 10 mg"})  # fmt: skip
FILL = resource("MedicationDispense", "d1", status="completed", whenHandedOver="2026-02-01", authorizingPrescription=[{"reference": "MedicationRequest/m1"}])  # fmt: skip


@pytest.mark.parametrize(
    ("listed", "answer", "got", "said"),
    [
        (TYPES, bundle(FILL), ["MedicationDispense/d1", "MedicationRequest/m1"], ""),
        (TYPES, Reply(403, outcome("error", "forbidden")), ["MedicationRequest/m1"], "without MedicationDispense"),
        (TYPES, Reply(404), ["MedicationRequest/m1"], ""),
        (("MedicationRequest", "Patient"), bundle(FILL), ["MedicationRequest/m1"], ""),
    ],
    ids=["listed", "refused", "not-there", "not-listed"],
)
async def test_asked_where_listed_and_gone_without(listed, answer, got, said):
    table = {"/metadata": statement(*listed), "/MedicationRequest": bundle(ORDER), "/MedicationDispense": answer}
    fetched = await fetch(table, "medications")
    assert bool([r for r in fetched_requests if r.path.endswith("MedicationDispense")]) is (
        "MedicationDispense" in listed
    )
    assert ids(fetched) == got and fetched.coverage.state == "present" and fetched.coverage.complete
    assert said in fetched.coverage.reason if said else not fetched.coverage.reason
    (entry,) = normalize(fetched.resources).entries
    assert [d.when for d in entry.dispenses] == (["2026-02-01"] if "MedicationDispense/d1" in got else [])


async def test_a_broken_answer_about_dispenses_is_told():
    table = {"/metadata": statement(*TYPES), "/MedicationRequest": bundle(ORDER), "/MedicationDispense": Reply(503)}
    fetched = await fetch(table, "medications")
    assert fetched.coverage.state == "truncated" and "http_503" in fetched.coverage.reason

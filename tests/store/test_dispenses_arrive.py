"""A fill that comes after its order, in a later refresh, says anew what the order is."""

from __future__ import annotations

from typing import Any

from store_kit import add_patient, fetch, raw

from models.record import Medication
from service.store import Store

SUBJECT = {"subject": {"reference": "Patient/p1"}}
ORDER = {"status": "active", "intent": "order", "authoredOn": "2022-01-10", "medicationCodeableConcept": {"text": "lisinopril 10 mg"}}  # fmt: skip


def fill(key: str, when: str) -> Any:
    order = [{"reference": "MedicationRequest/m1"}]
    body = {
        "status": "completed",
        "whenHandedOver": when,
        "authorizingPrescription": order,
        "daysSupply": {"value": 30},
    }
    return raw("MedicationDispense", key, body | SUBJECT)


def medication(store: Store, patient: str, as_of: str) -> Medication:
    (found,) = store.chart("t1", patient, as_of=as_of).of(Medication)
    return found


def test_a_fill_that_arrives_later_reaches_its_order(store: Store) -> None:
    patient = add_patient(store)
    order = raw("MedicationRequest", "m1", ORDER | SUBJECT)
    days = ("2026-03-04T10:00:00Z", "2026-03-05T10:00:00Z", "2027-06-05T10:00:00Z", "2027-06-06T10:00:00Z")
    store.commit_fetch("t1", patient, "north", [fetch("medications", [order], as_of=days[0])])
    before = medication(store, patient, days[0])
    assert (before.activity, before.dispenses, before.has_flag("stale_active")) == ("uncertain", (), True)

    store.commit_fetch("t1", patient, "north", [fetch("medications", [order, fill("d1", "2026-02-20")], as_of=days[1])])
    now = medication(store, patient, days[1])
    assert (now.id, now.activity, now.has_flag("stale_active")) == (before.id, "active", False)
    assert [d.reference for d in now.dispenses] == ["MedicationDispense/d1"]

    store.commit_fetch("t1", patient, "north", [fetch("medications", [order, fill("d1", "2026-02-20")], as_of=days[2])])
    old = medication(store, patient, days[2])
    assert (old.activity, old.has_flag("stale_active")) == ("uncertain", True), "the same again, a year later"

    store.commit_fetch("t1", patient, "north", [fetch("medications", [order], as_of=days[3])])
    assert medication(store, patient, days[3]).dispenses == (), "the site took it back"

"""Raw read again by a run that survives kill -9; decisions of the review queue that survive a refresh."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from workflow_kit import RECORD, connect, facts, until

from adapters.profile import SiteConfig
from adapters.source import SectionFetch
from models.record import RESOURCE_TYPE_OF_SECTION, Coverage, RawResource
from service.practice_ehr import Hospital, PracticeEhr
from service.store import Store
from service.workflows import Runtime

RENORMALIZING = Path(__file__).with_name("renormalizing.py")
ROOT = Path(__file__).parents[2]
LOCAL = "urn:oid:1.2.3.4.5"
SUBJECT = {"reference": "Patient/p1"}
GLUCOSE = ("http://loinc.org", "2345-7", "Glucose [Mass/volume] in Serum or Plasma")


def lab(key: str, code: str, words: str, value: float = 5.0) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": key,
        "status": "final",
        "category": [{"coding": [{"code": "laboratory"}]}],
        "code": {"text": words, "coding": [{"system": LOCAL, "code": code}]},
        "subject": SUBJECT,
        "effectiveDateTime": "2025-01-01",
        "valueQuantity": {"value": value, "unit": "mg/dL", "system": "http://unitsofmeasure.org", "code": "mg/dL"},
    }


@pytest.fixture
def hospital() -> Any:
    resources = [
        *RECORD,
        lab("x1", "QQ1", "Qzx panel sugar"),
        lab("x2", "QQ1", "Qzx panel sugar"),
        lab("x3", "QQ9", "Qzx other"),
    ]
    with PracticeEhr(Hospital(key="north", resources=resources)) as ehr:
        yield ehr


def key_of(store: Store, code: str) -> str:
    (line,) = [c for c in store.review_queue("t1") if c["code"] == code]
    return str(line["key"])


def codes(store: Store, patient: str) -> dict[str, tuple[str, str | None]]:
    """Result id -> method and target of its mapping."""
    found = {}
    for entry in store.chart("t1", patient).entries:
        if entry.section == "labs" and entry.concept.mapping:
            mapping = entry.concept.mapping
            found[entry.origin.resource_id] = (mapping.method, mapping.target.code if mapping.target else None)
    return found


def test_a_decision_reaches_what_is_kept_survives_a_refresh_and_is_taken_back(
    store: Store, hospital: PracticeEhr
) -> None:
    patient = connect(store, hospital)
    with Runtime(store) as runtime:
        assert runtime.refresh_patient("t1", patient)["state"] == "done"
        before = facts(store.chart("t1", patient))
        assert codes(store, patient)["x1"] == ("unmapped", None)
        key = key_of(store, "QQ1")
        _, run = store.decide("t1", "north", key, "accepted", actor="k1", author="k1", target=GLUCOSE)
        assert run is not None
        runtime.take_up("t1", run)
        done = runtime.renormalization("t1", run, 60)
        assert done is not None and done["state"] == "done" and done["report"]["patients_changed"] == 1
        assert done["report"]["kinds"]["mapping_changed"] == 2, "both entries with the code, and not the third"
        decided = codes(store, patient)
        assert decided["x1"] == decided["x2"] == ("map_table", "2345-7") and decided["x3"] == ("unmapped", None)
        (entry,) = [e for e in store.chart("t1", patient).entries if e.origin.resource_id == "x1"]
        assert not entry.has_flag("unmapped_code", "uncertain_mapping") and entry.concept.codings[0].code == "QQ1"
        assert [c["code"] for c in store.review_queue("t1") if c["code"].startswith("QQ")] == ["QQ9"]

        hospital.put(lab("x4", "QQ1", "QZX  panel Sugar"))
        runtime.refresh_patient("t1", patient)
        assert codes(store, patient)["x1"] == codes(store, patient)["x4"] == ("map_table", "2345-7"), (
            "and what comes new"
        )
        (line,) = store.review_queue("t1", state="decided")
        assert line["entries"] == 3 and line["following_decision"] == 1 and line["decision"]["target_code"] == "2345-7"

        _, run = store.decide("t1", "north", key, "withdrawn", actor="k1", author="k1", note="a mistake")
        runtime.take_up("t1", run or "")
        runtime.renormalization("t1", run or "", 60)
        assert codes(store, patient)["x1"] == ("unmapped", None) and key_of(store, "QQ1") == key
        assert [v["verdict"] for v in store.review_item("t1", "north", key)["history"]] == ["accepted", "withdrawn"]
        hospital.delete("Observation", "x4")
        runtime.refresh_patient("t1", patient)
        assert facts(store.chart("t1", patient)) == before, "nothing of it is left in the chart"
    assert store.audit_broken_at("t1") is None
    actions = [(r["actor"], r["action"]) for r in store.audit_rows("t1")]
    assert actions.count(("k1", "terminology decision")) == 2 and actions.count(("k1", "renormalize")) == 2


def test_a_decision_that_no_run_brought_reaches_the_patient_at_the_next_refresh(
    store: Store, hospital: PracticeEhr
) -> None:
    patient = connect(store, hospital)
    with Runtime(store) as runtime:
        runtime.refresh_patient("t1", patient)
        _, run = store.decide("t1", "north", key_of(store, "QQ1"), "accepted", actor="k", author="k", target=GLUCOSE)
        assert codes(store, patient)["x1"] == ("unmapped", None), "the process that decided was killed just now"
        runtime.refresh_patient("t1", patient)
        assert codes(store, patient)["x1"] == ("map_table", "2345-7")
        assert run is not None
    with Runtime(store) as again:
        done = again.renormalization("t1", run, 60)
        assert done is not None and done["state"] == "done", "a start takes up what was begun"
        assert done["report"]["identical"], "there was nothing left to do"


def crowd(store: Store, count: int) -> list[str]:
    """Patients with an uncertain lab each, committed directly."""
    store.put_site("t1", SiteConfig(name="south", fhir_base="https://south.example/fhir", auth="none"))
    ours = []
    for n in range(count):
        there = f"s{n}"
        body = lab(f"o{n}", "QQ1", "Qzx panel sugar", n) | {"subject": {"reference": f"Patient/{there}"}}
        raw = RawResource(
            tenant="t1",
            site="south",
            resource_type="Observation",
            resource_id=f"o{n}",
            content=json.dumps(body).encode(),
            retrieved="2026-03-04T10:00:00Z",
            section="labs",
        )
        line = Coverage(
            section="labs",
            site="south",
            state="present",
            resource_type=RESOURCE_TYPE_OF_SECTION["labs"],
            as_of="2026-03-04T10:00:00Z",
        )
        patient = store.register_patient("t1", "south", there)
        store.commit_fetch("t1", patient, "south", [SectionFetch(section="labs", coverage=line, resources=(raw,))])
        ours.append(patient)
    return ours


def test_killed_in_the_middle_of_an_apply_every_patient_is_changed_exactly_once(
    store: Store, settings: Any, admin_sql: Any
) -> None:
    patients = crowd(store, 60)
    (line,) = store.review_queue("t1")
    assert (line["patients"], line["entries"], line["section"]) == (60, 60, "labs")
    _, run = store.decide("t1", "south", line["key"], "accepted", actor="k1", author="k1", target=GLUCOSE)
    assert run is not None
    done = lambda: admin_sql("select count(*) from renormalized where run_id = %s", run)[0][0]  # noqa: E731
    command = [sys.executable, str(RENORMALIZING), str(settings.home), str(settings.database_url)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    until(lambda: done() > 3)
    other.kill()  # SIGKILL
    other.communicate()
    reached = done()
    assert 3 < reached < 60, "in the middle"
    assert (
        sum(codes(store, p) != {} and next(iter(codes(store, p).values()))[0] == "map_table" for p in patients)
        == reached
    )
    with Runtime(store) as runtime:
        found = until(lambda: (r := runtime.renormalization("t1", run)) and r["finished"] and r)
        assert found["report"]["patients"] == found["report"]["kinds"]["mapping_changed"] == 60
        assert found["report"]["entries_changed"] == 60
        for _ in range(2):
            second = runtime.renormalization("t1", runtime.renormalize("t1", "k1", apply=True), 60)
            assert second is not None and second["report"]["identical"] and second["report"]["patients"] == 60
    assert {tuple(codes(store, p).values()) for p in patients} == {(("map_table", "2345-7"),)}
    audited = [r["patient_id"] for r in store.audit_rows("t1") if r["action"] == "renormalize"]
    assert sorted(audited) == sorted(patients), "one audit row each, none twice"
    assert store.audit_broken_at("t1") is None


def test_the_difference_is_a_report_before_it_is_a_change(store: Store, hospital: PracticeEhr, admin_sql: Any) -> None:
    """What older code left is put there by hand: a wrong value, a flag too many, an entry too many, one too few."""
    patient = connect(store, hospital)
    with Runtime(store) as runtime:
        runtime.refresh_patient("t1", patient)
        good = facts(store.chart("t1", patient))
        assert store.stale_patients("t1") == {"north": 0}
        of = "from entries where tenant = 't1' and body->'origins'->0->>'resource_id' = "
        one = "update entries set body_hash = 'old', body = "
        admin_sql(one + "jsonb_set(body, '{value,value}', '99') where entry_id = (select entry_id " + of + "'l1')")
        admin_sql(
            one
            + "jsonb_set(body, '{flags}', '[{\"code\": \"missing_unit\"}]') where entry_id = (select entry_id "
            + of
            + "'l2')"
        )
        admin_sql(
            "update entries set entry_id = 'gone', body = jsonb_set(body, '{id}', '\"gone\"') where entry_id = (select entry_id "
            + of
            + "'l3')"
        )
        admin_sql(one + "jsonb_set(body, '{status}', '\"amended\"') where entry_id = (select entry_id " + of + "'l4')")
        admin_sql(
            "insert into quarantine (tenant, patient_id, site, stage, section, reason, detail, resource_type, resource_id, source, "
            "content, content_hash) values ('t1', %s, 'north', 'read', 'labs', 'unreadable', '', 'Observation', 'l5', '', '', '')",
            patient,
        )
        admin_sql("update ledgers set versions = '{}'")
        assert store.stale_patients("t1") == {"north": 1}
        wrong = facts(store.chart("t1", patient))
        report = runtime.renormalization("t1", runtime.renormalize("t1", "k1", site="north", apply=False), 60)
        assert report is not None
        expected = {"value_changed": 1, "flag_removed": 1, "field_changed": 1, "entry_appeared": 1, "entry_vanished": 1}
        assert report["report"]["kinds"] == expected | {"quarantine_released": 1}
        (example,) = report["report"]["examples"]["value_changed"]
        assert (example["patient_id"], example["reference"]) == (patient, "Observation/l1")
        assert example["before"]["value"] == 99 and example["after"]["value"] == 1
        assert report["report"]["examples"]["field_changed"][0]["fields"] == ["status"]
        assert facts(store.chart("t1", patient)) == wrong and store.stale_patients("t1") == {"north": 1}, "only told"
        applied = runtime.renormalization("t1", runtime.renormalize("t1", "k1", patient_id=patient, apply=True), 60)
        assert applied is not None and applied["report"]["kinds"] == report["report"]["kinds"]
        assert facts(store.chart("t1", patient)) == good and store.stale_patients("t1") == {"north": 0}
        assert store.quarantine("t1", patient) == [] or not any(q["current"] for q in store.quarantine("t1", patient))
        again = runtime.renormalization("t1", runtime.renormalize("t1", "k1", apply=True), 60)
        assert again is not None and again["report"]["identical"]

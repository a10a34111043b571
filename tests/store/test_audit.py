"""The audit trail: append-only, a chain that tells what was changed, by whoever may write to the table."""

from __future__ import annotations

import re
import threading

import psycopg
import pytest
from store_kit import add_patient, condition, fetch

from service.store import Store


@pytest.fixture
def trail(store: Store) -> Store:
    for number in range(5):
        store.audit("t1", "key-1", "GET /v1/patients", "ok", f"p{number}")
    store.audit("t2", "key-2", "GET /v1/patients", "denied")
    return store


def test_rows_say_who_did_what_to_whom_with_which_outcome(trail: Store) -> None:
    rows = trail.audit_rows("t1")
    assert [r["seq"] for r in rows] == [1, 2, 3, 4, 5]
    assert (rows[0]["actor"], rows[0]["action"], rows[0]["outcome"], rows[0]["patient_id"]) == (
        "key-1",
        "GET /v1/patients",
        "ok",
        "p0",
    )
    assert len(trail.audit_rows("t2")) == 1
    assert trail.audit_broken_at("t1") is None and trail.audit_broken_at("t2") is None
    assert trail.audit_broken_at("nobody-yet") is None


@pytest.mark.parametrize("statement", ["update audit set outcome = 'ok'", "delete from audit", "truncate audit"])
def test_rows_are_neither_changed_nor_deleted(trail: Store, admin_sql, statement: str) -> None:
    with pytest.raises(Exception, match="refused"), trail.database.transaction("t1") as db:
        db.exec_driver_sql(statement)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        admin_sql(statement)  # not even by the owner of the table, by mistake
    assert len(trail.audit_rows("t1")) == 5


@pytest.mark.parametrize(
    ("tampering", "broken_at"),
    [
        ("update audit set outcome = 'denied' where seq = 3 and tenant = 't1'", 3),
        ("update audit set patient_id = null where seq = 2 and tenant = 't1'", 2),
        ("update audit set at = '2020-01-01T00:00:00Z' where seq = 1 and tenant = 't1'", 1),
        ("delete from audit where seq = 3 and tenant = 't1'", 3),
        ("delete from audit where seq = 5 and tenant = 't1'", 5),
        ("delete from audit where tenant = 't1'", 1),
        ("insert into audit select tenant, 6, at, actor, action, outcome, patient_id, hash, hash from audit "
         "where seq = 5 and tenant = 't1'", 6),
        ("update audit_heads set seq = 4, hash = (select hash from audit where seq = 4) where tenant = 't1'", 6),
        ("delete from audit_heads where tenant = 't1'", 6),
    ],
)  # fmt: skip
def test_whoever_gets_around_that_breaks_the_chain(trail: Store, admin_sql, tampering: str, broken_at: int) -> None:
    admin_sql("alter table audit disable trigger audit_append_only")
    admin_sql(tampering)
    assert trail.audit_broken_at("t1") == broken_at
    assert trail.audit_broken_at("t2") is None


def test_a_trail_cut_off_at_its_end_with_an_old_head_is_noticed(trail: Store, admin_sql) -> None:
    """The head's own authentication: an older pair of seq and hash alone does not make a head."""
    admin_sql("alter table audit disable trigger audit_append_only")
    admin_sql("delete from audit where seq = 5 and tenant = 't1'")
    admin_sql("update audit_heads set seq = 4, hash = (select hash from audit where seq = 4) where tenant = 't1'")
    assert trail.audit_broken_at("t1") == 5


def test_many_at_once_make_one_chain(store: Store) -> None:
    patient = add_patient(store)
    threads = [
        threading.Thread(target=lambda i=i: [store.audit("t1", f"key-{i}", "reads", "ok", patient) for _ in range(5)])
        for i in range(4)
    ]
    threads.append(
        threading.Thread(
            target=lambda: store.commit_fetch("t1", patient, "north", [fetch("problems", [condition("c1")])])
        )
    )
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [r["seq"] for r in store.audit_rows("t1")] == list(range(1, 22))
    assert store.audit_broken_at("t1") is None


def test_a_commit_and_a_rereading_leave_their_row(store: Store) -> None:
    patient = add_patient(store)
    store.commit_fetch("t1", patient, "north", [fetch("problems", [condition("c1")]), fetch("allergies")])
    store.renormalize("t1", patient, "north")
    rows = [(r["actor"], r["action"], r["outcome"], r["patient_id"]) for r in store.audit_rows("t1")]
    assert rows == [
        ("refresh", "commit", "north/problems: present", patient),
        ("refresh", "commit", "north/allergies: empty", patient),
        ("refresh", "renormalize", "north", patient),
    ]


PERSONS = [
    ("Practitioner/ab-1", "Practitioner/ab-1"),
    ("https://ehr.example/api/FHIR/R4/Practitioner/eM5CWtq15N0WJeuCet5bJlQ3", "Practitioner/eM5CWtq15N0WJeuCet5bJlQ3"),
    ("PractitionerRole/7", "PractitionerRole/7"),
    ("Patient/mrn-77", "Patient/~"),
    ("https://ehr.example/RelatedPerson/x", "RelatedPerson/~"),
    ("ana.oduya@clinic.example", "person/~"),
    ("Practitioner/ana.oduya@clinic.example", "person/~"),
    ("Practitioner/a/_history/1", "person/~"),
    ("NotAPractitioner/ab", "person/~"),
]


@pytest.mark.parametrize(("user", "told"), PERSONS)
def test_a_person_is_named_by_a_directory_id_or_by_nothing_that_leads_to_them(
    store: Store, user: str, told: str
) -> None:
    name = store.person_reference("t1", "north", user)
    if not told.endswith("~"):
        assert name == told
        return
    assert name.startswith(told) and len(name) == len(told) + 16
    assert not {"mrn", "oduya", "@"} & set(re.findall(r"mrn|oduya|@", name))
    assert name == store.person_reference("t1", "north", user), "the same person is the same name"
    others = {
        store.person_reference(t, s, u)
        for t, s, u in (("t2", "north", user), ("t1", "south", user), ("t1", "north", user + "x"))
    }
    assert name not in others and len(others) == 3


def test_who_authorized_is_part_of_the_chain(store: Store, admin_sql) -> None:
    patient = add_patient(store)
    store.commit_fetch("t1", patient, "north", [fetch("allergies")], authorized_by="Practitioner/a")
    assert store.audit_rows("t1")[-1]["actor"] == "refresh:Practitioner/a" and store.audit_broken_at("t1") is None
    admin_sql("alter table audit disable trigger all")
    admin_sql("update audit set actor = 'refresh:Practitioner/b'")
    assert store.audit_broken_at("t1") == 1


def test_access_keys_work_until_they_are_revoked_or_touched(store: Store, admin_sql) -> None:
    key_id, token = store.create_api_key("t1", "clinician", "ward 3")
    row = store.api_key(key_id)
    assert row is not None and (row["tenant"], row["role"]) == ("t1", "clinician")
    assert token.startswith(f"cb_{key_id}_") and token.rpartition("_")[2] not in str(row)
    assert store.api_key("0" * 12) is None and store.api_key("' or true --") is None
    assert [k["label"] for k in store.api_keys("t1")] == ["ward 3"] and store.api_keys("t2") == []
    for forged in ("role = 'admin'", "tenant = 't2'", "secret_hash = repeat('0', 64)"):
        other, _ = store.create_api_key("t1", "clinician")
        admin_sql(f"update api_keys set {forged} where key_id = %s", other)
        assert store.api_key(other) is None, forged
    assert store.revoke_api_key("t2", key_id) is False and store.api_key(key_id) is not None
    assert store.revoke_api_key("t1", key_id) is True and store.api_key(key_id) is None
    assert store.revoke_api_key("t1", key_id) is False

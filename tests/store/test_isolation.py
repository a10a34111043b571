"""Tenants do not see each other, even through a statement that forgets the tenant."""

from __future__ import annotations

import inspect

import pytest
from sqlalchemy import text
from store_kit import NOW, add_patient, add_site, condition, fetch, person, raw

from models.identity import Pair
from models.record import Missing, Rejected
from service.settings import Settings
from service.store import Store, UnknownPatient
from service.store.database import ROLE

TENANTS = ("t1", "t2")


def tables(admin_sql) -> list[str]:
    return [
        str(row[0])
        for row in admin_sql(
            "select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace "
            "join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant' "
            "where c.relkind in ('r', 'p') and n.nspname = 'public' order by 1"
        )
    ]


@pytest.fixture
def filled(store: Store, admin_sql) -> Store:
    """Both tenants have everything, with the same ids on purpose."""
    for tenant in TENANTS:
        patient = add_patient(store, tenant)
        run = store.begin_run(tenant, patient, ["north"])
        torn = Rejected(site="north", reason="not_json", section="problems", content=tenant.encode())
        lost = Missing(site="north", section="problems", reference="Condition/c8", reason="404")
        answers = [
            fetch("demographics", [person(family=f"Of-{tenant}", tenant=tenant)]),
            fetch("problems", [condition("c1", f"Of {tenant}", tenant=tenant)], rejected=(torn,), missing=(lost,)),
            fetch("procedures", [raw("Procedure", "x1", {"code": {"text": f"Local {tenant}"}}, tenant=tenant)]),
        ]
        store.commit_fetch(tenant, patient, "north", answers, run_id=run)
        store.end_site(tenant, run, "north", {"site": "north", "state": "ready"})
        store.put_secret(tenant, "north", "client_key", tenant.encode())
        store.create_api_key(tenant, "admin", tenant)
        (code,) = [c for c in store.review_queue(tenant) if c["text"] == f"local {tenant}"]
        decided = store.decide(tenant, "north", code["key"], "no_target", actor="a", author="a")
        store.renormalize_in_run(tenant, decided[1], patient, "north", None)
        store.add_site_report(tenant, "north", {"checked_at": "2026-03-04T10:00:00Z", "title": tenant})
        store.add_quality_report(tenant, "north", {"made": "2026-03-04T10:00:00Z", "title": tenant})
        store.begin_quality_run(tenant, "north", "a", "2026-03-04T10:00:00Z")
        add_site(store, tenant, "south")
        other = store.register_patient(tenant, "south", "s1")
        pair = Pair(
            left=("north", "p1"), right=("south", "s1"), weight=9.0, decision="review", codes=(), reason=f"Of {tenant}"
        )
        store.put_pairs(tenant, [pair])
        (row,), _ = store.pairs(tenant)
        store.accept_pair(tenant, row["pair_id"], "somebody")
        store.unlink(tenant, patient, "south", "somebody", f"not of {tenant}")
        assert store.links(tenant, other) == {"south": "s1"}
        with store.database.transaction(tenant) as db:  # one patient a tenant, for what comes below
            db.execute(text("delete from patient_links where site = 'south'"))
            db.execute(text("delete from patients where patient_id = :p"), {"p": other})
    for table in tables(admin_sql):  # the same patient and run ids in both
        columns = {
            str(r[0])
            for r in admin_sql("select column_name from information_schema.columns where table_name = %s", table)
        }
        for column in sorted(columns & {"patient_id", "run_id"}):
            if table != "audit":
                admin_sql(f"update {table} set {column} = 'same'")
    return store


def test_every_table_with_a_tenant_is_isolated_where_a_statement_forgets_the_tenant(filled: Store, admin_sql) -> None:
    found = tables(admin_sql)
    assert {"raw", "entries", "coverage", "quarantine", "runs", "run_sites", "audit", "secrets", "api_keys"} <= set(
        found
    )
    for table in found:
        assert {row[0] for row in admin_sql(f"select distinct tenant from {table}")} == set(TENANTS), table
        for tenant in TENANTS:
            with filled.database.transaction(tenant) as db:
                seen = db.execute(text(f"select distinct tenant from {table}")).scalars().all()
                assert seen == [tenant], table


def test_no_statement_writes_into_another_tenant(filled: Store, admin_sql) -> None:
    for table in tables(admin_sql):
        before = admin_sql(f"select t::text from {table} t where tenant = 't2' order by 1")
        for statement in (f"delete from {table}", f"update {table} set tenant = 't1'"):
            try:
                with filled.database.transaction("t1") as db:
                    db.exec_driver_sql(statement)
            except Exception as error:
                assert "t2" not in str(error)
        assert admin_sql(f"select t::text from {table} t where tenant = 't2' order by 1") == before, table
    with pytest.raises(Exception, match="refused"), filled.database.transaction("t1") as db:
        db.exec_driver_sql("insert into patients (tenant, patient_id) values ('t2', 'planted')")


def test_without_a_tenant_nothing_is_seen(filled: Store, admin_sql) -> None:
    with pytest.raises(ValueError, match="tenant"), filled.database.transaction(""):
        pass
    for table in tables(admin_sql):
        with filled.database._begin(False) as db:
            assert db.execute(text(f"select count(*) from {table}")).scalar() == 0, table


def test_a_key_lookup_sees_that_key_and_nothing_else(filled: Store, admin_sql) -> None:
    key_id, _ = filled.create_api_key("t1", "admin")
    with filled.database.key_lookup(key_id) as db:
        assert db.execute(text("select key_id from api_keys")).scalars().all() == [key_id]
        for table in set(tables(admin_sql)) - {"api_keys"}:
            assert db.execute(text(f"select count(*) from {table}")).scalar() == 0, table


def test_the_look_up_of_what_is_unfinished_sees_those_runs_and_nothing_else(filled: Store, admin_sql) -> None:
    assert sorted(tenant for tenant, _ in filled.unfinished_renormalizations()) == list(TENANTS)
    assert sorted(tenant for tenant, _ in filled.unfinished_quality_runs()) == list(TENANTS)
    with filled.database.unfinished_lookup() as db:
        for table in set(tables(admin_sql)) - {"renormalizations", "quality_runs"}:
            assert db.execute(text(f"select count(*) from {table}")).scalar() == 0, table
        refused = db.execute(text("update renormalizations set state = 'done'"))
        assert refused.rowcount == 0
        refused = db.execute(text("update quality_runs set state = 'done'"))
        assert refused.rowcount == 0
    filled.put_site("t2", filled.site("t2", "south").model_copy(update={"quality_every_hours": 24.0}))
    with filled.database.unfinished_lookup() as db:
        assert db.execute(text("select tenant, name from sites")).all() == [("t2", "south")], (
            "sites with a schedule only"
        )
    for tenant, run in filled.unfinished_renormalizations():
        filled.end_renormalization(tenant, run)
    assert filled.unfinished_renormalizations() == []


def test_the_same_ids_in_two_tenants_are_two_patients(filled: Store) -> None:
    for tenant, other in (TENANTS, TENANTS[::-1]):
        chart = filled.chart(tenant, "same", as_of=NOW)
        shown = str(chart) + str(filled.patients(tenant)) + str(filled.quarantine(tenant, "same"))
        assert f"Of {tenant}" in shown and f"Of-{tenant}" in shown
        assert f"Of {other}" not in shown and f"Of-{other}" not in shown
        found = filled.raw(tenant, "same", "north", "Condition", "c1")
        assert found is not None and f"Of {tenant}".encode() in found.content
        (row,) = [r for r in filled.quarantine(tenant, "same") if r["reason"] == "not_json"]
        assert filled.quarantined_bytes(tenant, row["id"]) == tenant.encode()
        assert filled.quarantined_bytes(other, row["id"]) is None
        assert filled.search_patients(tenant, name=f"of-{other}") == []


def test_a_patient_of_another_tenant_is_unknown(store: Store) -> None:
    patient = add_patient(store)
    run = store.begin_run("t1", patient, ["north"])
    for call in (store.chart, store.coverage, store.quarantine, store.gone, store.links, store.freshness):
        with pytest.raises(UnknownPatient):
            call("t2", patient)
    assert store.run("t2", run) is None and store.raw("t2", patient, "north", "Condition", "c1") is None
    store.end_run("t2", run, "failed")
    store.end_site("t2", run, "north", {"site": "north", "state": "failed"})
    assert store.run("t1", run)["state"] == "running"


BY_ITSELF = ("unfinished_renormalizations", "unfinished_quality_runs", "due_quality_sites")


def test_every_method_takes_the_tenant_first() -> None:
    """Except the look-ups of a key, of whom a launch means and of what is unfinished or due, which tell the tenant, and closing."""
    for name, method in inspect.getmembers(Store, inspect.isfunction):
        if name.startswith("_") or name in {"api_key", "launch_sites", *BY_ITSELF, "close"}:
            continue
        assert list(inspect.signature(method).parameters)[1] == "tenant", name


def test_the_service_works_without_privileges(store: Store, admin_sql) -> None:
    with store.database.transaction("t1") as db:
        (name, above) = db.execute(
            text("select current_user, rolsuper or rolbypassrls from pg_roles where rolname = current_user")
        ).one()
        assert (name, above) == (ROLE, False)
    with pytest.raises(Exception, match="refused"), store.database.transaction("t1") as db:
        db.exec_driver_sql("create table planted (x int)")


@pytest.mark.parametrize("may_create_roles", [False, True])
def test_a_database_user_without_privileges_is_enough(
    may_create_roles: bool, postgres_url: str, tmp_path, admin_sql
) -> None:
    """Any PostgreSQL by DATABASE_URL, e.g. a managed one where we are a mere owner of our database."""
    import psycopg

    user = f"plain_{int(may_create_roles)}_{tmp_path.name[-8:]}".replace("-", "_").lower()
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f"create role {user} login password 'x' {'createrole' if may_create_roles else ''}")
        admin.execute(f"create database {user} owner {user}")
    try:
        url = postgres_url.replace("postgres:@/postgres", f"{user}:x@/{user}")
        assert user in url
        store = Store(Settings(home=tmp_path, database_url=url))
        for tenant in TENANTS:
            patient = add_patient(store, tenant)
            store.commit_fetch(tenant, patient, "north", [fetch("problems", [condition("c1", tenant=tenant)])])
            store.audit(tenant, "somebody", "reads", "ok", patient)
        with store.database.transaction("t1") as db:
            assert db.execute(text("select distinct tenant from entries")).scalars().all() == ["t1"]
        with pytest.raises(Exception, match="refused"), store.database.transaction("t1") as db:
            db.exec_driver_sql("delete from audit")
        assert store.audit_broken_at("t1") is None
        store.close()
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as admin:
            admin.execute(f"drop database if exists {user} with (force)")
            admin.execute(f"drop role {user}")

"""What leaves with time, and that its account stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from store_kit import add_patient, add_site, condition, fetch

from models.record import Rejected
from service.store import Store

LATER = "2026-03-05T10:00:00Z"
BROKEN = b"{broken: Zqcanary"
NOW = datetime(2026, 11, 25, tzinfo=UTC)


def rejected(content: bytes = BROKEN) -> Rejected:
    return Rejected(site="north", reason="not_json", detail="line 1", resource_type="Condition", content=content)


def broken_and_repaired(store: Store, tenant: str = "t1") -> str:
    """A patient with an item in quarantine that the site has stopped to send, and one it still sends."""
    patient = add_patient(store, tenant)
    here = {"tenant": tenant}
    store.commit_fetch(tenant, patient, "north", [fetch("problems", rejected=(rejected(), rejected(b"{still")))])
    later = fetch("problems", [condition("c1", **here)], as_of=LATER, rejected=(rejected(b"{still"),))
    store.commit_fetch(tenant, patient, "north", [later])
    return patient


def rows(store: Store, patient: str, tenant: str = "t1") -> dict[bool, dict[str, Any]]:
    return {row["current"]: row for row in store.quarantine(tenant, patient)}


def test_bytes_leave_and_the_row_says_so(store: Store, admin_sql: Any) -> None:
    patient = broken_and_repaired(store)
    before = rows(store, patient)
    ledger = store.chart("t1", patient).ledger
    assert store.purge_quarantine("t1", "2020-01-01T00:00:00Z") == 0, "too young"
    admin_sql("update quarantine set received = '2019-06-01'")
    assert store.purge_quarantine("t1", "2020-01-01T00:00:00Z") == 0, "old, but it was current until today"
    admin_sql("update quarantine set left_at = '2019-07-01' where not current")
    assert store.purge_quarantine("t2", "2020-01-01T00:00:00Z") == 0, "another tenant's purge"
    assert store.purge_quarantine("t1", "2020-01-01T00:00:00Z", "south") == 0, "another site's"
    assert store.purge_quarantine("t1", "2020-01-01T00:00:00Z") == 1
    assert store.purge_quarantine("t1", "2020-01-01T00:00:00Z") == 0
    after = rows(store, patient)
    gone, there = after[False], after[True]
    assert gone["purged_at"] and gone["bytes"] == 0 and store.quarantined_bytes("t1", gone["id"]) is None
    assert there["purged_at"] is None and store.quarantined_bytes("t1", there["id"]) == b"{still", "still sent: kept"
    kept = ("id", "reason", "detail", "resource_type", "section", "site")
    assert [gone[k] for k in kept] == [before[False][k] for k in kept]
    ((content, digest),) = admin_sql("select content, content_hash from quarantine where not current")
    assert bytes(content) == b"" and len(str(digest)) == 64
    assert store.chart("t1", patient).ledger == ledger, "the account is as it was"


def test_what_comes_again_has_its_bytes_again(store: Store, admin_sql: Any) -> None:
    patient = broken_and_repaired(store)
    admin_sql("update quarantine set received = '2019-06-01', left_at = '2019-06-01' where not current")
    assert store.purge_quarantine("t1", "2020-01-01T00:00:00Z") == 1
    again = fetch("problems", [condition("c1")], as_of="2026-03-06T10:00:00Z", rejected=(rejected(),))
    store.commit_fetch("t1", patient, "north", [again])
    found = rows(store, patient)
    assert found[True]["purged_at"] is None and store.quarantined_bytes("t1", found[True]["id"]) == BROKEN
    store.commit_fetch("t1", patient, "north", [fetch("problems", as_of="2026-03-07T10:00:00Z")])
    admin_sql("update quarantine set left_at = '2019-06-01'")
    assert store.purge_quarantine("t1", "2020-01-01T00:00:00Z") == 0, "its time began anew when it came again"


def test_a_row_that_is_read_again_and_again_keeps_the_day_it_left(store: Store, admin_sql: Any) -> None:
    patient = broken_and_repaired(store)
    admin_sql("update quarantine set left_at = '2019-06-01' where not current")
    store.commit_fetch("t1", patient, "north", [fetch("problems", [condition("c1")], as_of="2026-03-06T10:00:00Z")])
    store.renormalize("t1", patient, "north")
    left = [str(r[0])[:10] for r in admin_sql("select left_at from quarantine order by id")]
    assert left[0] == "2019-06-01" and left[1] > "2026"


@pytest.mark.parametrize(("days", "purged"), [(None, 0), (30, 1), (3650, 0)])
def test_a_site_may_say_how_long(store: Store, admin_sql: Any, days: int | None, purged: int) -> None:
    """The setting is a year; what left a hundred days ago stays unless the site file says a month."""
    broken_and_repaired(store)
    add_site(store, raw_retention_days=days)
    store.commit_fetch("t1", store.patient_of("t1", "north", "p1") or "", "north", [
        fetch("problems", [condition("c1", "New")], as_of="2026-03-06T10:00:00Z")])  # fmt: skip
    left = NOW - timedelta(days=100)
    admin_sql("update raw set stored_at = %s", left)
    admin_sql("update raw set stored_at = stored_at + interval '1 minute' where content like '%%New%%'")
    admin_sql("update quarantine set received = %s, left_at = %s where not current", left, left)
    for name, at in (("20200101T000000Z", left), ("20200102T000000Z", left), ("20200103T000000Z", left)):
        admin_sql("insert into site_reports values ('t1', 'north', %s, '{}', %s)", name, at)
    assert (
        store.purge("t2", NOW)
        == store.purge("t1", NOW, "south")
        == dict.fromkeys(("raw", "quarantine", "site_reports"), 0)
    )
    found = store.purge("t1", NOW)
    assert found == {"raw": purged, "quarantine": 2 * purged, "site_reports": 2 * purged}
    assert admin_sql("select max(report_id) from site_reports")[0][0] == "20200103T000000Z", "the last report stays"

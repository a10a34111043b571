"""Writing into a practice hospital over real HTTP: nothing twice, nothing unasked, every refusal explained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest
from adapter_kit import key_pair, site_at
from practice_kit import dress_where, record

from adapters.fhir.drafts import Draft, PlanChange, document, observation
from adapters.fhir.write import MESSAGES, WriteOutcome, needs, write
from adapters.source import Source
from service.practice_ehr import Fault, Hospital, PracticeEhr, load_dress
from service.practice_ehr.dress import Dress

AT = "2026-11-24T09:30:00Z"
PERMITTED = ["Observation", "DocumentReference", "CarePlan"]
PULSE = observation("alder", "heart-rate", "72", AT, patient_reported=True)
NOTE = PlanChange(care_plan="alder-p1", patient="alder", at=AT, note="Call on Friday.")


def dress(**writes: Any) -> Dress:
    data = load_dress("writable").model_dump()
    for kind, more in writes.items():
        data["writes"][kind] = (data["writes"].get(kind) or {}) | more
    return Dress.model_validate(data)


@contextmanager
def hospital(
    worn: Dress | str = "writable", *, faults: tuple[Fault, ...] = (), secured: bool = True
) -> Iterator[PracticeEhr]:
    clients = {"client-1": [key_pair("ES384").public_jwk()]} if secured else None
    with PracticeEhr(
        Hospital(key="north", resources=record("alder", measures=3), dress=worn, clients=clients, faults=faults)
    ) as ehr:
        yield ehr


async def put(
    ehr: PracticeEhr, thing: Draft | PlanChange, *, send: bool = True, write_types: Any = None, **more: Any
) -> WriteOutcome:
    auth = "none" if ehr.state.open else "backend"
    permitted = PERMITTED if write_types is None else write_types
    site = site_at(ehr.base_url, auth=auth, write=permitted, limits=more.pop("limits", None))
    key = key_pair(site.profile().key_algorithm) if auth == "backend" else None
    async with Source("t1", site, key=key, writes=needs(thing), **more) as source:
        return await write(source, thing, AT, send=send)


def ours(ehr: PracticeEhr, kind: str) -> list[dict[str, Any]]:
    """What the hospital holds beside its own."""
    return [r for r in ehr.state.store.of_type(kind) if not str(r["id"]).startswith("alder")]


def sent(ehr: PracticeEhr) -> Counter[str]:
    return Counter(s.interaction for s in ehr.requests if s.interaction in ("create", "update"))


async def test_without_send_nothing_is_sent_and_all_is_checked() -> None:
    with hospital() as ehr:
        for thing in (PULSE, document("alder", "Known: gout.", AT), NOTE):
            found = await put(ehr, thing, send=False)
            assert (found.state, found.code) == ("dry_run", "") and orjson.loads(found.content)["resourceType"]
        assert not sent(ehr)


async def test_a_vital_sign_is_created_once_however_often_it_is_written() -> None:
    with hospital() as ehr:
        first, second = await put(ehr, PULSE), await put(ehr, PULSE)
        assert (first.state, first.provenance) == ("created", "created")
        assert (second.state, second.provenance, second.resource_id) == (
            "already_there",
            "already_there",
            first.resource_id,
        )
        (kept,) = ours(ehr, "Observation")
        (who,) = ours(ehr, "Provenance")
        assert kept["valueQuantity"]["value"] == 72 and first.version == "1"
        assert who["target"] == [{"reference": f"Observation/{kept['id']}"}]


async def test_a_document_is_created_and_can_be_read_as_a_note() -> None:
    with hospital() as ehr:
        found = await put(ehr, document("alder", "Known: gout.", AT))
        assert found.state == "created" and len(ours(ehr, "DocumentReference")) == 1
        async with Source("t1", site_at(ehr.base_url, auth="backend"), key=key_pair("ES384")) as source:
            fetched = await source.fetch("alder", "notes")
        assert found.resource_id in {r.resource_id for r in fetched.resources}


async def test_a_plan_is_updated_once_and_keeps_what_it_was() -> None:
    with hospital() as ehr:
        before = dict(ehr.state.store.get("CarePlan", "alder-p1") or {})
        first, second = await put(ehr, NOTE), await put(ehr, NOTE)
        assert (first.state, first.version, second.state) == ("updated", "2", "already_there")
        after = dict(ehr.state.store.get("CarePlan", "alder-p1") or {})
        assert [n["text"] for n in after.pop("note")] == ["Call on Friday."]
        assert {k: v for k, v in after.items() if k != "meta"} == {k: v for k, v in before.items() if k != "meta"}
        assert sent(ehr) == {"update": 1, "create": 1} and len(ours(ehr, "Provenance")) == 1


async def test_only_the_scopes_for_this_write_are_asked_for() -> None:
    with hospital() as ehr:
        found = await put(ehr, PULSE, send=False)
        v1 = await put(ehr, NOTE, send=False)
        assert set(found.scopes) == {
            f"system/{t}.{v}" for t in ("Observation", "Provenance") for v in ("read", "write")
        }
        assert set(v1.scopes) == {f"system/{t}.{v}" for t in ("CarePlan", "Provenance") for v in ("read", "write")}
    data = load_dress("writable").model_dump()
    data["authorization"]["scopes"] = ["v2"]
    with hospital(Dress.model_validate(data)) as ehr:
        assert (await put(ehr, PULSE)).scopes == ("system/Observation.cs", "system/Provenance.cs")
        updated = await put(ehr, NOTE)
        assert (updated.state, updated.scopes) == ("updated", ("system/CarePlan.ru", "system/Provenance.cs"))


# Refusals ------------------------------------------------------------------------------------------------------------


async def test_what_the_hospital_did_not_permit_is_not_even_asked_about() -> None:
    with hospital() as ehr:
        found = await put(ehr, PULSE, write_types=["CarePlan"])
        assert (found.state, found.code) == ("refused", "not_permitted") and ehr.requests == []
    assert site_at("http://127.0.0.1:1/fhir").write == ()


@pytest.mark.parametrize(
    ("worn", "thing", "code"),
    [
        ("generic", PULSE, "interaction_not_declared"),
        ("generic", NOTE, "interaction_not_declared"),
        (dress(Observation={"create": False}), PULSE, "interaction_not_declared"),
        (dress_where(types={}, writes={}), PULSE, "interaction_not_declared"),
    ],
)
async def test_what_the_server_does_not_declare_is_not_tried(worn, thing, code) -> None:
    with hospital(worn) as ehr:
        found = await put(ehr, thing)
        assert (found.state, found.code) == ("refused", code) and not sent(ehr) and found.message == MESSAGES[code]


async def test_a_scope_that_was_not_granted_is_told_before_anything_is_sent() -> None:
    with hospital(faults=(Fault(kind="scopes_reduced", types=("Observation",)),)) as ehr:
        found = await put(ehr, PULSE)
        assert (found.state, found.code) == ("refused", "scope_not_granted") and not sent(ehr)


async def test_a_provenance_that_cannot_be_written_is_told_and_does_not_undo_the_write() -> None:
    with hospital(dress(Provenance={"create": False})) as ehr:
        assert (await put(ehr, PULSE)).provenance == "not_supported"
    with hospital(faults=(Fault(kind="scopes_reduced", types=("Provenance",)),)) as ehr:
        found = await put(ehr, PULSE)
        assert (found.state, found.provenance) == ("created", "not_granted")
    with hospital(faults=(Fault(kind="status", status=500, resource_type="Provenance"),)) as ehr:
        found = await put(ehr, PULSE, limits={"tries": 1})
        assert (found.state, found.provenance) == ("created", "failed")


async def test_a_server_that_could_make_two_of_one_is_not_written_to() -> None:
    worn = dress(Observation={"conditional": False}).model_dump()
    worn["types"]["Observation"]["params"] = ["_id", "patient", "category"]
    with hospital(Dress.model_validate(worn)) as ehr:
        found = await put(ehr, PULSE)
        assert (found.state, found.code) == ("refused", "not_repeatable") and not sent(ehr)


@pytest.mark.parametrize(
    ("refusal", "state", "code"),
    [
        ({"status": 403, "code": "forbidden"}, "refused", "site_refuses"),
        ({"status": 422, "code": "business-rule", "text": "Alder is not your patient"}, "invalid", "site_rejects"),
        ({"status": 400, "code": "invalid"}, "invalid", "site_rejects"),
        ({"status": 405, "body": "empty"}, "refused", "site_refuses"),
    ],
)
async def test_a_site_that_refuses_one_type_says_so_by_code_and_never_by_its_words(refusal, state, code) -> None:
    with hospital(dress(Observation={"refusal": refusal})) as ehr:
        found = await put(ehr, PULSE)
        assert (found.state, found.code, found.status) == (state, code, refusal["status"])
        assert found.issues == (() if "body" in refusal else (f"error/{refusal['code']}",))
        assert "Alder" not in found.message and sent(ehr) == {"create": 1}
        assert (await put(ehr, document("alder", "Known: gout.", AT))).state == "created"


@pytest.mark.parametrize("status", [412, 409])
async def test_a_plan_that_somebody_changed_meanwhile_is_not_overwritten(status, monkeypatch) -> None:
    worn = load_dress("writable").model_dump() | {"version_conflict": status}
    with hospital(Dress.model_validate(worn)) as ehr:
        plain = Source.send

        async def interfering(self: Source, method: Any, *arguments: Any, **more: Any) -> Any:
            if method == "PUT":
                ehr.put(dict(ehr.state.store.get("CarePlan", "alder-p1") or {}) | {"title": "Theirs"})
            return await plain(self, method, *arguments, **more)

        monkeypatch.setattr(Source, "send", interfering)
        found = await put(ehr, NOTE)
        assert (found.state, found.code, found.status) == ("conflict", "changed_meanwhile", status)
        kept = ehr.state.store.get("CarePlan", "alder-p1") or {}
        assert kept["title"] == "Theirs" and "note" not in kept
        monkeypatch.undo()
        assert (await put(ehr, NOTE)).state == "updated"
        assert (ehr.state.store.get("CarePlan", "alder-p1") or {})["title"] == "Theirs"


async def test_a_plan_without_a_version_a_plan_of_another_and_one_that_is_not_there() -> None:
    worn = load_dress("writable").model_dump()
    worn["meta"]["version_id"] = False
    with hospital(Dress.model_validate(worn)) as ehr:
        assert (await put(ehr, NOTE)).code == "no_version" and not sent(ehr)
    with hospital() as ehr:
        other = PlanChange(care_plan="alder-p1", patient="birch", at=AT, note="x")
        gone = PlanChange(care_plan="nowhere", patient="alder", at=AT, note="x")
        assert [(f.state, f.code) for f in (await put(ehr, other), await put(ehr, gone))] == [
            ("invalid", "wrong_patient"),
            ("refused", "not_found"),
        ]
        assert not sent(ehr)


# Faults: nothing lost, nothing twice --------------------------------------------------------------------------------


@pytest.mark.parametrize("conditional", [True, False])
@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind="status", status=503, interaction="create", resource_type="Observation", times=1),
        Fault(kind="reset", interaction="create", resource_type="Observation", times=1),
        Fault(kind="cut", interaction="create", resource_type="Observation", times=1),
        Fault(kind="truncated_json", interaction="create", resource_type="Observation", times=1),
        Fault(kind="expire_token", interaction="create", resource_type="Observation", times=1),
    ],
    ids=lambda f: f.kind,
)
async def test_whatever_happens_to_the_answer_the_write_is_there_once(fault, conditional) -> None:
    with hospital(dress(Observation={"conditional": conditional}), faults=(fault,)) as ehr:
        found = await put(ehr, PULSE)
        posts = sum(s.interaction == "create" and s.resource_type == "Observation" for s in ehr.requests)
        if not conditional and fault.kind != "expire_token":
            assert posts == 1, "never blindly again"
            assert (found.written, found.state in ("failed", "unknown")) in ((True, False), (False, True))
            assert found.written == bool(ours(ehr, "Observation"))
        else:
            assert found.written
        ehr.faults.clear()
        again = await put(ehr, PULSE)
        assert again.written and len(ours(ehr, "Observation")) == 1 and len(ours(ehr, "Provenance")) == 1


@pytest.mark.parametrize("kind", ["reset", "cut", "status", "expire_token"])
async def test_whatever_happens_to_the_answer_the_plan_is_changed_once(kind) -> None:
    fault = Fault(kind=kind, status=503 if kind == "status" else None, interaction="update", times=1)
    with hospital(faults=(fault,)) as ehr:
        found = await put(ehr, NOTE)
        assert found.state == "updated", found
        assert (await put(ehr, NOTE)).state == "already_there"
        assert len((ehr.state.store.get("CarePlan", "alder-p1") or {})["note"]) == 1


async def test_a_site_that_is_away_or_breaks_is_failed_not_written() -> None:
    down = Fault(kind="status", status=503, interaction="create")
    with hospital(faults=(down,)) as ehr:
        found = await put(ehr, PULSE, limits={"tries": 2})
        assert (found.state, found.code) == ("failed", "http_503") and not ours(ehr, "Observation")
    slow = Fault(kind="status", status=429, retry_after="3600", interaction="create")
    with hospital(faults=(slow,)) as ehr:
        found = await put(ehr, PULSE, limits={"tries": 2})
        assert (found.state, found.status) == ("failed", 429) and not ours(ehr, "Observation")


async def test_twice_at_once_is_one_resource() -> None:
    import asyncio

    with hospital() as ehr:
        found = await asyncio.gather(*(put(ehr, PULSE) for _ in range(4)))
        assert len(ours(ehr, "Observation")) == 1 and sorted(f.state for f in found).count("created") == 1

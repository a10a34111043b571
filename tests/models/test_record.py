"""The record: validated, immutable, the same after a round trip through JSON, and published field by field."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import models.record as record
from models.record import (
    SECTIONS,
    AnyEntry,
    Chart,
    Coding,
    Concept,
    Coverage,
    Demographics,
    Entry,
    Flag,
    Ledger,
    Mapping,
    Origin,
    PersonName,
    Problem,
    Quantity,
    ReferenceRange,
    Rejected,
    RejectReason,
    Value,
    canonical_order,
    entry_id,
    json_schema,
)

KINDS = get_args(AnyEntry)
BASES = (Value, Entry, record.Observation)
VALUES = [v for v in vars(record).values() if isinstance(v, type) and issubclass(v, Value) and v not in BASES]
ORIGIN = Origin(tenant="t", site="s", resource_type="Condition", resource_id="1")


def filled(kind: Any) -> Any:
    """A value of a type with something in every field, so that a round trip has something to lose."""
    field = msgspec.inspect.type_info(kind)
    return _fill(field)


def _fill(info: Any) -> Any:
    match info:
        case msgspec.inspect.StructType():
            return info.cls(**{f.name: _fill(f.type) for f in info.fields})
        case msgspec.inspect.Metadata():
            return "2019-03-04" if "date as precise" in str(info.extra_json_schema) else _fill(info.type)
        case msgspec.inspect.UnionType():
            return _fill(next(t for t in info.types if not isinstance(t, msgspec.inspect.NoneType)))
        case msgspec.inspect.VarTupleType():
            return (_fill(info.item_type), _fill(info.item_type))
        case msgspec.inspect.TupleType():
            return tuple(_fill(t) for t in info.item_types)
        case msgspec.inspect.DictType():
            return {"Patient": {"offered": 1}}
        case msgspec.inspect.LiteralType():
            return info.values[-1]
        case msgspec.inspect.StrType():
            return "2019-03-04" if info.pattern else "ünïcode | text"
        case msgspec.inspect.FloatType():
            return 0.5
        case msgspec.inspect.IntType():
            return 7
        case msgspec.inspect.BoolType():
            return True
        case msgspec.inspect.BytesType():
            return b"\x00\xff raw"
    raise AssertionError(f"no filler for {info}")


@pytest.mark.parametrize("kind", VALUES, ids=lambda k: k.__name__)
def test_every_value_survives_a_round_trip_through_json(kind: type[Value]) -> None:
    made = filled(kind)
    assert msgspec.json.decode(msgspec.json.encode(made), type=kind) == made
    if b"raw" not in msgspec.json.encode(made) and kind is not record.RawResource:
        assert kind.from_dict(json.loads(json.dumps(made.to_dict()))) == made


def test_a_chart_decodes_into_the_classes_that_were_encoded() -> None:
    entries = tuple(filled(kind) for kind in KINDS)
    chart = Chart(tenant="t", patient_id="p", as_of="2024-01-01T00:00:00Z", entries=entries)
    again = msgspec.json.decode(msgspec.json.encode(chart), type=Chart)
    assert [type(e) for e in again.entries] == list(KINDS)
    assert again == chart


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.__name__)
def test_every_kind_has_a_section_a_tag_and_stands_in_it(kind: type[Entry]) -> None:
    made = filled(kind)
    assert made.section in SECTIONS
    assert made.to_dict()["kind"]
    assert filled(kind) == made and hash(made.id)
    with pytest.raises(AttributeError):
        made.id = "other"
    assert copy.deepcopy(made) == made


def test_every_field_of_every_value_is_described_in_the_schema() -> None:
    schema = json_schema()
    silent = [
        f"{name}.{field}"
        for name, definition in schema["$defs"].items()
        for field, described in definition.get("properties", {}).items()
        if not described.get("description")
    ]
    assert silent == []
    assert {k.__name__ for k in KINDS} <= schema["$defs"].keys()
    assert json.loads(json.dumps(schema)) == schema


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Problem, {"kind": "problem", "id": "x", "origins": []}),
        (Problem, {"kind": "problem", "id": "x", "origins": [ORIGIN.to_dict()], "onset": "last year"}),
        (Problem, {"kind": "problem", "id": "x", "origins": [ORIGIN.to_dict()], "onset": "2019-02-30T"}),
        (Problem, {"kind": "problem", "id": "x", "origins": [ORIGIN.to_dict()], "activity": "maybe"}),
        (Flag, {"code": "never_heard_of"}),
        (Coverage, {"section": "labs", "site": "s", "state": "fine"}),
        (Mapping, {"method": "standard", "confidence": 1.5}),
        (Rejected, {"site": "s", "reason": "mood"}),
    ],
)
def test_what_is_not_a_record_is_refused_with_its_path(kind: type[Value], data: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"at `\$|Expected"):
        kind.from_dict(data)


def test_an_id_is_stable_and_tells_places_apart() -> None:
    assert entry_id("s", "Observation", "1", "component[0]") == entry_id("s", "Observation", "1", "component[0]")
    places = [("s", "Observation", "1", ""), ("s", "Observation", "1", "component[0]"), ("s2", "Observation", "1", "")]
    assert len({entry_id(*p) for p in places}) == 3


def test_numbers_are_printed_with_the_digits_that_were_sent() -> None:
    assert str(Quantity(value=7.0, as_sent="7.0", unit="%")) == "7.0 %"
    assert str(Quantity(value=0.1, as_sent="0.10", comparator="<", unit="ng/mL")) == "<0.10 ng/mL"
    assert (
        str(ReferenceRange(low=Quantity(value=4.0, as_sent="4.0"), high=Quantity(value=5.6, as_sent="5.60")))
        == "4.0-5.60"
    )
    assert str(ReferenceRange(high=Quantity(value=5.0))) == "<=5"


def test_the_sources_wording_wins_and_a_mapped_target_names_what_has_no_words() -> None:
    target = Coding(system="http://loinc.org", code="4548-4", display="Hemoglobin A1c")
    mapped = Mapping(method="map_table", confidence=0.95, target=target)
    assert Concept(text="A1C (lab)", mapping=mapped).display == "A1C (lab)"
    assert Concept(codings=(Coding(code="X1"),), mapping=mapped).display == "Hemoglobin A1c"
    assert Concept(codings=(Coding(code="X1"),)).display == "X1"
    assert not Concept() and Concept().display == ""
    assert Concept(codings=(Coding(code="X1"),), mapping=mapped).code_in("http://loinc.org") == "4548-4"


def test_a_former_name_is_not_the_name() -> None:
    names = (PersonName(family="Old", use="old"), PersonName(family="Now"))
    assert Demographics(id="x", origins=(ORIGIN,), names=names).name == "Now"
    official = (*names, PersonName(family="Legal", use="official"))
    assert Demographics(id="x", origins=(ORIGIN,), names=official).name == "Legal"
    assert Demographics(id="x", origins=(ORIGIN,), names=names[:1]).name == "Old"


@pytest.mark.parametrize("flag", ["entered_in_error", "duplicate_of"])
def test_what_was_taken_back_or_told_twice_is_superseded(flag: Any) -> None:
    assert Problem(id="x", origins=(ORIGIN,), flags=(Flag(code=flag),)).superseded
    assert not Problem(id="x", origins=(ORIGIN,), flags=(Flag(code="missing_status"),)).superseded


@pytest.mark.parametrize(
    ("state", "missing", "quarantined", "complete"),
    [("present", 0, 0, True), ("none_asserted", 0, 0, True), ("empty", 0, 0, True), ("present", 1, 0, False),
     ("present", 0, 1, False), ("failed", 0, 0, False), ("truncated", 0, 0, False), ("not_queried", 0, 0, False)],
)  # fmt: skip
def test_coverage_is_complete_only_when_the_site_said_all_it_had(
    state: Any, missing: int, quarantined: int, complete: bool
) -> None:
    line = Coverage(section="labs", site="s", state=state, missing=missing, quarantined=quarantined)
    assert line.complete is complete


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.integers(0, 150))
def test_a_ledger_balances_only_when_nothing_disappeared(stored: int, bad: int, missing: int, offered: int) -> None:
    ledger = Ledger(offered=offered, stored=stored, quarantined=bad, reported_missing=missing)
    assert ledger.balanced == (offered == stored + bad + missing)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from([None, "2019", "2020-01", "2020-01-05"])), max_size=12))
def test_the_order_of_a_chart_does_not_depend_on_the_order_of_arrival(rows: list[tuple[int, str | None]]) -> None:
    entries = [Problem(id=f"{i}-{n}", origins=(ORIGIN,), onset=day) for i, (n, day) in enumerate(rows)]
    assert canonical_order(entries) == canonical_order(reversed(entries))
    dates = [e.date or "" for e in canonical_order(entries)]
    assert dates == sorted(dates, reverse=True) or "2020-01" in dates


def test_the_tour_of_the_record_names_every_kind_and_every_reason() -> None:
    tour = (Path(__file__).parents[2] / "docs" / "record.md").read_text()
    for kind in KINDS:
        assert f"`{filled(kind).to_dict()['kind']}`" in tour, kind
    for reason in get_args(RejectReason):
        assert f"`{reason}`" in tour, reason

"""Mapping tables: strict loading, dates, precedence, ConceptMap."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.record import Coding
from models.terminology.mapper import Ask, Terminology
from models.terminology.systems import LOINC
from models.terminology.tables import MappingTable, Row, TableError, load_table, parse_table

LOCAL = "urn:oid:1.2.3"
HEAD = "system,code,text,target_system,target_code,display,confidence,effective_from,effective_to,unit,equivalence\n"


def table(rows: str, name: str = "labs") -> MappingTable:
    return parse_table((HEAD + rows).encode(), ".csv", name)


def asked(
    *tables: MappingTable, code: str = "K", text: str = "", date: str = "", unit: str = "", domain: str = "observation"
):  # type: ignore[no-untyped-def]
    layers = [(f"layer{n}", t) for n, t in enumerate(tables)]
    codings = (Coding(system=LOCAL, code=code),) if code else ()
    return Terminology(layers).map(Ask(domain=domain, codings=codings, text=text, date=date, unit=unit))  # type: ignore[arg-type]


def test_a_row_maps_a_local_code_and_says_by_which_table() -> None:
    found = asked(table("1.2.3,K,,LN,2823-3,Potassium,,,,,\n"))
    assert found.mapping.method == "map_table" and found.mapping.table == "layer0:labs"
    assert (found.mapping.target.system, found.mapping.target.code) == (LOINC, "2823-3")
    assert found.mapping.confidence == 0.95 and found.mapping.source.code == "K"


def test_the_site_goes_before_the_vendor() -> None:
    site, vendor = table("1.2.3,K,,LN,2823-3,,,,,,\n"), table("1.2.3,K,,LN,6298-4,,,,,,\n")
    assert asked(site, vendor).mapping.target.code == "2823-3"
    assert asked(table(""), vendor).mapping.target.code == "6298-4"


@pytest.mark.parametrize(
    ("date", "code"),
    [("2019-05-01", "1-1"), ("2019-12-31", "1-1"), ("2020-01-01", "2-2"), ("2024", "2-2"), ("", "2-2"), ("2018-12-31", None)],
)  # fmt: skip
def test_the_row_in_force_at_the_date_of_the_entry(date: str, code: str | None) -> None:
    rows = "1.2.3,K,,LN,1-1,,,2019-01-01,2019-12-31,,\n1.2.3,K,,LN,2-2,,,2020-01-01,,,\n"
    target = asked(table(rows), date=date).mapping.target
    assert (target.code if target else None) == code


def test_the_unit_tells_two_tests_apart_and_the_plain_row_takes_the_rest() -> None:
    made = table("1.2.3,K,,LN,1-1,,,,,mg/dL,\n1.2.3,K,,LN,2-2,,,,,,\n")
    assert asked(made, unit="mg/dL").mapping.target.code == "1-1"
    assert asked(made, unit="mmol/L").mapping.target.code == "2-2"


def test_words_map_where_there_is_no_code() -> None:
    made = table(",,Serum K+,LN,2823-3,,,,,,\n")
    assert asked(made, code="", text="SERUM  k+").mapping.method == "map_table"
    assert asked(made, code="", text="Serum K+ repeat").mapping.method == "unmapped"


def test_an_unsure_row_is_a_candidate_and_never_used() -> None:
    found = asked(table("1.2.3,K,,LN,2823-3,,0.6,,,,\n"))
    assert found.mapping.method == "unmapped" and found.candidates[0].target.code == "2823-3"
    assert found.flags == ("uncertain_mapping",)


@pytest.mark.parametrize(
    ("content", "kind", "code", "words"),
    [
        ("code,target_code,colour\n1,2,red\n", ".csv", "unknown_column", "colour"),
        ("code,display\n1,2\n", ".csv", "missing_column", "target_code"),
        ("code,target_system,target_code,confidence\n1,LN,2,1.4\n", ".csv", "invalid_row", "line 2: confidence"),
        ("code,target_system,target_code,confidence\n1,LN,2,high\n", ".csv", "invalid_row", "confidence"),
        ("code,target_system,target_code\n,LN,2\n", ".csv", "invalid_row", "neither code nor text"),
        ("code,target_system,target_code\n1,,2\n", ".csv", "invalid_row", "target_system"),
        ("code,target_system,target_code,effective_from\n1,LN,2,May 2020\n", ".csv", "invalid_row", "effective_from"),
        ("code,target_system,target_code,equivalence\n1,LN,2,sort of\n", ".csv", "invalid_row", "equivalence"),
        ("code,target_system,target_code\n1,LN,2\n1,LN,3\n", ".csv", "contradicting_rows", "|1"),
        ("code,target_system,target_code\n1,LN,2,9\n", ".csv", "invalid_row", "more cells"),
        ('code,target_system,target_code\n"1,LN,2\n', ".csv", "invalid_csv", ""),
        ("[[row]]\ncode = '1'\ntarget_kode = '2'\n", ".toml", "unknown_column", "target_kode"),
        ("row = 1", ".toml", "invalid_row", ""),
        ("[[row", ".toml", "invalid_toml", ""),
        ("{}", ".json", "not_a_concept_map", ""),
        ("x", ".xlsx", "unknown_table_format", ""),
        ("\xff", ".csv", "table_not_utf8", "byte 0"),
    ],
)
def test_loading_is_strict_and_says_where(content: str, kind: str, code: str, words: str) -> None:
    with pytest.raises(TableError) as error:
        parse_table(content.encode("latin-1"), kind, "t")
    assert error.value.code == code and words in str(error.value)


def test_toml_has_name_version_and_rows(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'name = "lab"\nversion = "3"\n[[row]]\nsystem = "1.2.3"\ncode = "K"\ntarget_system = "LN"\ntarget_code = "2823-3"\n'
    )
    assert asked(load_table(file)).mapping.table == "layer0:lab@3"


def concept_map(*targets: dict[str, object]) -> bytes:
    element = {"code": "K", "target": list(targets)}
    group = {"source": LOCAL, "target": LOINC, "element": [element]}
    return json.dumps({"resourceType": "ConceptMap", "name": "cm", "version": "1", "group": [group]}).encode()


def test_a_concept_map_becomes_rows() -> None:
    made = parse_table(concept_map({"code": "2823-3", "display": "K", "equivalence": "wider"}), ".json", "x")
    assert made.rows == (
        Row(system=LOCAL, code="K", target_system=LOINC, target_code="2823-3", display="K", equivalence="wider", confidence=0.85),
    )  # fmt: skip
    r5 = parse_table(concept_map({"code": "2823-3", "relationship": "equivalent"}), ".json", "x")
    assert asked(r5).mapping.target.code == "2823-3"


def test_a_concept_map_with_several_targets_gives_candidates_and_all_of_them() -> None:
    made = parse_table(
        concept_map({"code": "1-1", "equivalence": "equal"}, {"code": "2-2", "equivalence": "equal"}), ".json", "x"
    )
    found = asked(made)
    assert found.mapping.method == "unmapped" and {c.target.code for c in found.candidates} == {"1-1", "2-2"}


def test_a_row_that_knows_of_no_target_maps_nothing() -> None:
    made = parse_table(concept_map({"equivalence": "unmatched"}), ".json", "x")
    assert asked(made).mapping.method == "unmapped"

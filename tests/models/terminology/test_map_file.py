"""`chartbrief terminology map`: every row stays, a bad one says why."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.terminology.mapper import Terminology
from service.cli.main import main
from service.terminology_map import ADDED, MapError, map_csv

Row = dict[str, str]


def mapped(text: str | bytes, domain: str | None = None) -> list[Row]:
    data = text.encode() if isinstance(text, str) else text
    done = map_csv(data, Terminology(), domain)  # type: ignore[arg-type]
    rows = list(csv.DictReader(io.StringIO(done.text)))
    assert len(rows) == done.rows == sum(done.by_method.values())
    assert sum(bool(r["error"]) for r in rows) == done.errors
    return rows


@pytest.mark.parametrize(
    ("line", "method", "target", "as_what"),
    [
        ("ICD-9-CM,250.00,,,", "map_table", "E11.9", "condition"),
        ("I10,E119,,,", "standard", "E11.9", "condition"),
        (",,HTN,,", "text_match", "I10", "condition"),
        (",,Glucose,mg/dL,Serum", "text_match", "2345-7", "observation"),
        ("NDC,0002-8215-01,,,", "standard", "00002821501", "medication"),
        ("CVX,8,,,", "standard", "08", "vaccine"),
        (",,Lisinopril 10 MG Oral Tablet,,", "text_match", "29046", "medication"),
        (",,Flu shot,,", "text_match", "88", "vaccine"),
        ("http://loinc.org,4548-4,A1c,%,", "standard", "4548-4", "observation"),
        ("1.2.3,99,odd,,", "unmapped", "", ""),
    ],
)
def test_each_kind_of_row(line: str, method: str, target: str, as_what: str) -> None:
    [row] = mapped(f"system,code,text,unit,specimen\n{line}\n")
    assert (row["method"], row["target_code"], row["mapped_as"], row["error"]) == (method, target, as_what, "")
    assert (float(row["confidence"]) > 0) == (method != "unmapped")


def test_headers_in_any_case_any_subset_extra_columns_kept() -> None:
    [row] = mapped('Note, TEXT ,id\n"a, ""b""",HTN,7\n')
    assert (row["Note"], row[" TEXT "], row["id"], row["target_code"]) == ('a, "b"', "HTN", "7", "I10")


def test_ambiguous_rows_have_candidates_and_no_target() -> None:
    [row] = mapped("text\nDM\n")
    found = json.loads(row["candidates"])
    assert row["target_code"] == "" and {c["code"] for c in found} == {"E11.9", "E10.9"}
    assert set(found[0]) == {"system", "code", "display", "score", "why"} and row["flags"] == "uncertain_mapping"


def test_words_that_mean_a_disease_and_a_vaccine_are_not_decided_without_a_domain() -> None:
    [row] = mapped("text\nHepatitis B\n")
    assert row["method"] == "unmapped" and {c["code"] for c in json.loads(row["candidates"])} >= {"B19.10", "45"}
    assert mapped("text\nHepatitis B\n", "vaccine")[0]["target_code"] == "45"


def test_an_old_code_with_several_meanings_is_not_decided() -> None:
    [row] = mapped("system,code\nICD9,49390\n")
    assert row["target_code"] == "" and len(json.loads(row["candidates"])) == 2


def test_a_contradiction_is_said_and_lowers_the_confidence() -> None:
    old, new = mapped("system,code,text\nICD9,25000,Asthma\nICD-10-CM,E11.9,Asthma\n")
    assert old["flags"] == new["flags"] == "code_text_mismatch"
    assert float(old["confidence"]) == float(new["confidence"]) == 0.5


def test_a_domain_given_or_in_the_row_decides() -> None:
    assert mapped("text\nLatex\n", "allergen")[0]["mapped_as"] == "allergen"
    assert mapped("text,domain\nHTN,condition\n")[0]["mapped_as"] == "condition"
    assert "unknown domain" in mapped("text,domain\nHTN,disease\n")[0]["error"]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("\ufefftext\nHTN\n".encode(), "HTN"),
        ("text\r\nHTN\r\n".encode("utf-16"), "HTN"),
        ("text;unit\nMénière;x\n".encode("cp1252"), "Ménière"),
        (b"text\tcode\nHTN\t\n", "HTN"),
        (b"text\rHTN\r", "HTN"),
    ],
)
def test_encodings_and_separators(data: bytes, text: str) -> None:
    done = map_csv(data, Terminology())
    assert done.rows == 1 and done.errors == 0 and text in done.text


def test_bad_rows_are_kept_and_cost_no_other_row() -> None:
    rows = mapped(
        'text,note\n,only a note\nHTN,a,b,c\n"not closed,x\nAsthma,y\n' + "z" * 200_000 + ",huge\nCOPD,last\n"
    )
    assert [r["error"][:20] for r in rows] == [
        "neither code nor tex",
        "more cells than colu",
        "not CSV: unexpected ",
        "",
        "a cell of more than ",
        "",
    ]
    assert rows[1]["text"] == "HTN" and '["b", "c"]' in rows[1]["error"]
    assert rows[2]["text"] == '"not closed' and rows[4]["text"] == "z" * 200_000
    assert [rows[3]["target_code"], rows[5]["target_code"]] == ["J45.909", "J44.9"]


def test_a_quote_that_is_never_closed_in_a_long_file_costs_one_row() -> None:
    rows = mapped("text\nHTN\n" + '"open\n' + "Asthma\n" * 3000)
    assert sum(bool(r["error"]) for r in rows) == 1 and len(rows) == 3002


def test_columns_of_an_earlier_run_are_not_overwritten() -> None:
    [row] = mapped("text,method,error\nHTN,mine,none\n")
    assert (row["input_method"], row["input_error"], row["method"], row["error"]) == ("mine", "none", "text_match", "")


@pytest.mark.parametrize(
    ("data", "code"), [(b"", "empty_file"), (b"\n \n", "empty_file"), (b"name,dob\nx,y\n", "no_columns")]
)
def test_a_file_that_cannot_be_mapped_says_why(data: bytes, code: str) -> None:
    with pytest.raises(MapError) as error:
        map_csv(data, Terminology())
    assert error.value.code == code


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.lists(st.lists(st.text(max_size=12), min_size=2, max_size=4), max_size=6))
def test_any_cells_come_back_as_they_went(cells: list[list[str]]) -> None:
    out = io.StringIO(newline="")
    csv.writer(out).writerows([["text", "note"], *cells])
    data = out.getvalue().encode("utf-8", "surrogatepass")
    kept = [c for c in cells if any(x.strip() for x in c)]
    done = map_csv(data, Terminology())
    rows = list(csv.reader(io.StringIO(done.text, newline="")))[1:]
    assert done.rows == len(rows)
    if not done.errors or all("more cells" in r[-1] or "neither" in r[-1] for r in rows if r[-1]):
        assert [r[:2] for r in rows] == [c[:2] for c in kept]
    assert all(len(r) == 2 + len(ADDED) for r in rows)


def run(tmp_path: Path, content: str, *more: str) -> tuple[int, Path]:
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(content)
    return main(["terminology", "map", "--in", str(source), "--out", str(target), *more]), target


def test_the_command_writes_the_file_and_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, target = run(tmp_path, "text\nHTN\nDM\n,\n", "--json")
    assert code == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"rows": 2, "by_method": {"text_match": 1, "unmapped": 1}, "errors": 0, "encoding": "utf-8"}
    assert len(target.read_text().splitlines()) == 3


def test_the_command_uses_mapping_tables(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("system,code,target_system,target_code\n1.2.3,K,LN,2823-3\n")
    code, target = run(tmp_path, "system,code\n1.2.3,K\n", "--domain", "observation", "--table", str(table))
    assert code == 0 and "site:t" not in target.read_text() and "2823-3" in target.read_text()


@pytest.mark.parametrize(
    ("content", "more", "exit_code", "error"),
    [
        ("", (), 3, "empty_file"),
        ("name\nx\n", (), 3, "invalid_table"),
        ("text\nx\n", ("--domain", "disease"), 2, "usage"),
        ("text\nx\n", ("--table", "none.csv"), 3, "invalid_table"),
    ],
)
def test_errors_have_codes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, more: tuple[str, ...], exit_code: int, error: str
) -> None:
    code, target = run(tmp_path, content, *more, "--json")
    assert code == exit_code and json.loads(capsys.readouterr().out)["error"]["code"] == error
    assert not target.exists()


def test_in_and_out_may_not_be_the_same_and_a_missing_file_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.csv"
    assert main(["terminology", "map", "--in", str(file), "--out", str(tmp_path / "b.csv")]) == 3
    assert main(["terminology", "map", "--in", str(file), "--out", str(file)]) == 2
    capsys.readouterr()

"""`chartbrief identity`: files, and the store."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from store_kit import add_site, fetch, raw

from service.cli.main import main
from service.settings import Settings
from service.store import Store

Run = Callable[..., tuple[int, Any, str]]
HEADER = "id,first_name,last_name,dob,address,zip,phone\n"
ROWS = (
    "1,Ana,Quimby,1961-05-06,12 North Main Street,02139,617-555-2345\n"
    "2,ANA,QUIMBY,05/06/1961,12 N Main St,02139-1234,\n"
    "3,Nora,Quimby,1961-05-06,12 North Main Street,02139,617-555-2345\n"
    "4,Ana\n"
)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run with --json; exit code, document, stderr."""

    def command(*arguments: object) -> tuple[int, Any, str]:
        capsys.readouterr()
        code = main(["identity", *map(str, arguments), "--json"])
        out, err = capsys.readouterr()
        return code, json.loads(out) if out.strip() else None, err

    return command


def lines(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def test_within_one_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HEADER + ROWS)
    code, told, _ = run("match", "--in", tmp_path / "a.csv", "--out", tmp_path / "links.csv")
    assert code == 0 and told["decisions"]["match"] == 1 and told["scope"] == "pairs within the file"
    (account,) = told["files"]
    assert account["rows"] == account["compared"] + len(account["set_aside"]) == 4
    rows = lines(tmp_path / "links.csv")
    best = rows[0]
    assert (best["id_a"], best["id_b"], best["decision"], best["line_a"]) == ("1", "2", "match", "2")
    assert float(best["score"]) > 0.99 and "given name same" in best["reason"] and "Quimby" not in best["reason"]
    assert {r["decision"] for r in rows if "3" in (r["id_a"], r["id_b"])} == {"no_match"}
    assert [(r["id_a"], r["reason"]) for r in rows if r["decision"] == "not_compared"] == [
        ("4", "fewer fields than the header")
    ]
    first = (tmp_path / "links.csv").read_bytes()
    assert run("match", "--in", tmp_path / "a.csv", "--out", tmp_path / "links.csv")[0] == 0
    assert (tmp_path / "links.csv").read_bytes() == first, "the same question, the same answer"


def test_across_two_files_and_within_them_too(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HEADER + ROWS)
    (tmp_path / "b.csv").write_text(
        "rec_id;given;surname;birth_date;street;postcode\n9;Ana;Quimby;19610506;12 North Main St;02139\n", "utf-8-sig"
    )
    both = ("--in", tmp_path / "a.csv", "--in", tmp_path / "b.csv", "--out", tmp_path / "links.csv")
    code, told, _ = run("match", *both)
    assert code == 0 and told["scope"] == "pairs across the two files only"
    matched = [
        (r["file_a"], r["id_a"], r["file_b"], r["id_b"])
        for r in lines(tmp_path / "links.csv")
        if r["decision"] == "match"
    ]
    assert matched == [("a.csv", "1", "b.csv", "9"), ("a.csv", "2", "b.csv", "9")]
    code, told, _ = run("match", *both, "--within")
    assert told["decisions"]["match"] == 3 and told["groups"] == 1


def test_record_numbers_of_two_files_are_two_hospitals(run: Run, tmp_path: Path) -> None:
    for name, person in (("a", "Ana,Quimby,1961-05-06"), ("b", "Edgar,Halloran,1950-02-03")):
        (tmp_path / f"{name}.csv").write_text(f"mrn,first_name,last_name,dob\n100234,{person}\n")
    _, told, _ = run("match", "--in", tmp_path / "a.csv", "--in", tmp_path / "b.csv", "--out", tmp_path / "links.csv")
    assert told["decisions"] == {"match": 0, "review": 0, "no_match": 0}


def test_refusals_leave_the_files_alone(run: Run, tmp_path: Path) -> None:
    file, out = tmp_path / "a.csv", tmp_path / "links.csv"
    file.write_text(HEADER + ROWS)
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    (tmp_path / "empty.csv").write_text("")
    link = tmp_path / "link.csv"
    link.symlink_to(file)
    for arguments, exit_code, error in (
        (("--in", file, "--out", file), 2, "same_file"),
        (("--in", file, "--out", link), 2, "same_file"),
        (("--in", file, "--in", link, "--out", out), 2, "same_file"),
        (("--in", file, "--in", file, "--in", file, "--out", out), 2, "usage"),
        (("--in", tmp_path / "no.csv", "--out", out), 3, "file_not_found"),
        (("--in", file, "--out", tmp_path / "no" / "links.csv"), 3, "file_not_found"),
        (("--in", tmp_path / "bad.csv", "--out", out), 3, "missing_columns"),
        (("--in", tmp_path / "empty.csv", "--out", out), 3, "empty_file"),
    ):
        code, told, _ = run("match", *arguments)
        assert (code, told["error"]["code"]) == (exit_code, error), arguments
    assert file.read_text() == HEADER + ROWS and not out.exists()


def test_for_a_person_the_columns_and_counts_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.csv").write_text(HEADER + ROWS)
    assert main(["identity", "match", "--in", str(tmp_path / "a.csv"), "--out", str(tmp_path / "l.csv")]) == 0
    out, err = capsys.readouterr()
    assert "1 pairs match" in out and "birth=dob" in out and "Quimby" not in out + err


def test_the_queue_from_find_to_unlink(
    run: Run, store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert settings.database_url is not None
    monkeypatch.setenv("CHARTBRIEF_HOME", str(settings.home))
    monkeypatch.setenv("DATABASE_URL", settings.database_url)
    tenant = settings.tenant
    body = {
        "name": [{"family": "Quimby", "given": ["Ana"]}],
        "birthDate": "1961-05-06",
        "telecom": [{"system": "phone", "value": "617-555-2345"}],
    }
    ours = []
    for site in ("north", "south"):
        add_site(store, tenant, site)
        ours.append(store.register_patient(tenant, site, "p1"))
        person = raw("Patient", "p1", body, tenant=tenant, site=site)
        store.commit_fetch(tenant, ours[-1], site, [fetch("demographics", [person], site=site)])
    assert run("find")[1] == {"records": 2, "open": 1, "linked": 0, "left": 0}
    code, queue, _ = run("queue")
    pair = queue["items"][0]["pair_id"]
    assert main(["identity", "queue"]) == 0
    shown = capsys.readouterr().out
    assert pair in shown and "Ana Quimby" in shown
    assert run("accept", "0" * 16)[:2] == (
        6,
        {"error": {"code": "unknown_pair", "message": "No such pair, or it is decided"}},
    )
    code, done, _ = run("accept", pair, "--reason", "seen together")
    assert (code, done["patient_id"]) == (0, ours[0])
    _, links, _ = run("links", ours[0])
    assert [r["site"] for r in links["records"]] == ["north", "south"]
    assert links["history"][0]["actor"].startswith("cli:") and links["history"][0]["note"] == "seen together"
    assert main(["identity", "links", ours[0]]) == 0 and "seen together" in capsys.readouterr().out
    assert run("unlink", ours[0], "--site", "south", "--reason", "two people")[1]["unlinked_patient_id"] == ours[1]
    assert run("reject", pair, "--reason", "two people")[0] == 6, "decided by unlinking"
    actions = [r["action"] for r in store.audit_rows(tenant) if r["actor"].startswith("cli:")]
    assert actions == [
        "CLI identity find",
        *["CLI identity queue"] * 2,
        *["CLI identity accept"] * 2,
        *["CLI identity links"] * 2,
        "CLI identity unlink",
        "CLI identity reject",
    ]

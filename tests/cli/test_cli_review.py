"""`terminology review` and `renormalize` as commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from store_kit import add_patient, fetch, raw

from models.terminology.tables import load_table
from service.cli.main import main
from service.settings import Settings
from service.store import Store

LOINC = "http://loinc.org"


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run a command; with --json its exit code and document, else its words."""
    assert settings.database_url is not None
    monkeypatch.setenv("CHARTBRIEF_HOME", str(settings.home))
    monkeypatch.setenv("DATABASE_URL", settings.database_url)

    def command(*arguments: object) -> tuple[int, Any]:
        capsys.readouterr()
        code = main([*map(str, arguments)])
        out = capsys.readouterr().out
        return code, json.loads(out) if "--json" in arguments else out

    return command


def test_list_show_decide_export_and_read_again(run: Any, store: Store, tmp_path: Path) -> None:
    patient = add_patient(store, "default")
    body = {"code": {"text": "Qzx sugar", "coding": [{"system": "urn:oid:1.2.3.4", "code": "Q1"}]}, "status": "final"}
    body |= {"category": [{"coding": [{"code": "laboratory"}]}], "subject": {"reference": "Patient/p1"}}
    labs = [raw("Observation", "o1", body | {"valueQuantity": {"value": 5, "unit": "mg/dL"}}, tenant="default")]
    store.commit_fetch("default", patient, "north", [fetch("labs", labs)])

    code, listed = run("terminology", "review", "list", "--json")
    (line,) = listed["codes"]
    assert code == 0 and (line["code"], line["patients"]) == ("Q1", 1)
    place = ("north", line["key"])
    for arguments, shown in ((("list",), "Q1"), (("show", *place), "mg/dL")):
        code, words = run("terminology", "review", *arguments)
        assert code == 0 and shown in words, arguments

    decide = ("terminology", "review", "accept", *place)
    assert run(*decide, "--target", "2345-7", "--json")[1]["error"]["code"] == "usage"
    assert run(*decide, "--target", "urn:x|1", "--json")[1]["error"]["code"] == "invalid_target"
    assert run("terminology", "review", "accept", "north", "0" * 16, "--target", f"{LOINC}|1-1", "--json")[0] == 6
    code, made = run(*decide, "--target", f"{LOINC}|2345-7", "--note", "assay", "--json")
    assert code == 0 and made["renormalization"]["report"]["patients_changed"] == 1
    assert made["decision"]["author"].startswith("cli:")
    assert run("terminology", "review", "list", "--json")[1]["codes"] == []
    assert run("terminology", "review", "list", "--decided", "--json")[1]["codes"][0]["following_decision"] == 1

    assert run("terminology", "review", "export", "north", "--out", tmp_path / "north.csv")[0] == 0
    (row,) = load_table(tmp_path / "north.csv").rows
    assert (row.code, row.target_code, row.note) == ("Q1", "2345-7", "assay")
    assert "2345-7" in run("terminology", "review", "export", "north")[1]

    code, report = run("renormalize", "--site", "north", "--json")
    assert code == 0 and report["report"]["identical"] and not report["apply"]
    assert "nothing would change" in run("renormalize", "--patient", patient)[1]
    assert run("renormalize", "--site", "nowhere", "--json")[0] == 6

    code, made = run(
        "terminology", "review", "reject", *place, "--reason", "wrong", "--target", f"{LOINC}|2345-7", "--json"
    )
    assert (
        code == 0
        and made["decision"]["verdict"] == "open"
        and made["renormalization"]["report"]["patients_changed"] == 1
    )
    code, made = run("terminology", "review", "withdraw", *place, "--reason", "anew", "--json")
    assert (code, made["decision"]["version"], made["decision"]["rejected"]) == (0, 3, [])
    code, words = run("terminology", "review", "show", *place)
    assert "1." in words and "withdrawn" in words


def test_stale_patients_are_seen_and_brought_up_to_date(run: Any, store: Store, admin_sql: Any) -> None:
    patient = add_patient(store, "default")
    body = {"code": {"text": "Gout"}, "subject": {"reference": "Patient/p1"}}
    store.commit_fetch(
        "default", patient, "north", [fetch("problems", [raw("Condition", "c1", body, tenant="default")])]
    )
    assert run("site", "list", "--json")[1]["sites"][0]["stale_patients"] == 0
    admin_sql("""update ledgers set versions = '{"reading": "1", "tables": "old"}'""")
    admin_sql("""update entries set body_hash = 'old', body = jsonb_set(body, '{concept,mapping}',
        '{"method": "unmapped", "confidence": 0.0}')""")
    assert run("site", "list", "--json")[1]["sites"][0]["stale_patients"] == 1
    code, words = run("renormalize")
    assert code == 0 and "1 would change" in words and "mapping changed" in words and "Condition/c1" in words
    assert run("site", "list", "--json")[1]["sites"][0]["stale_patients"] == 1, "told, not done"
    code, words = run("renormalize", "--apply")
    assert code == 0 and "1 changed" in words
    assert run("site", "list", "--json")[1]["sites"][0]["stale_patients"] == 0
    assert "nothing changed" in run("renormalize", "--apply")[1]

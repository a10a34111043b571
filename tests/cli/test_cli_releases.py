"""`terminology import`, `list`, `diff`, `update`: a report before it is a change."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import release_kit as kit
from api_kit import RESOURCES

from models.terminology import vocabulary
from service.cli.main import main
from service.practice_ehr import PracticeEhr
from service.settings import Settings

Run = Callable[..., tuple[int, Any]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("CHARTBRIEF_HOME", str(tmp_path / "home"))
    yield tmp_path / "home"
    vocabulary.use(None)


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: object) -> tuple[int, Any]:
        capsys.readouterr()
        code = main([*map(str, arguments), "--json"])
        return code, json.loads(capsys.readouterr().out)

    return command


def test_a_first_release_is_in_force_a_newer_one_waits_for_yes(run: Run, tmp_path: Path) -> None:
    code, first = run("terminology", "import", kit.loinc(tmp_path), "--effective", "2025-02-26")
    assert code == 0 and first["releases"][0]["in_force_from"] == "2025-02-26"
    code, second = run("terminology", "import", kit.new_loinc(tmp_path), "--effective", "2025-08-12")
    assert code == 0 and second["releases"][0]["in_force_from"] is None

    used = kit.write(
        tmp_path / "used.csv", "code,system,note\n35184-1,LN,x\n35184-1,http://loinc.org,\n9999-9,LOINC,\n1,local,\n"
    )
    code, told = run("terminology", "update", "loinc@2.81", "--codes", used)
    [report] = told["reports"]
    assert code == 0 and told["applied"] is False and report["unknown"] == ["9999-9"] and report["in_use"] == 2
    assert [(c["what"], c["code"], c["in_use"], c["replaced_by"]) for c in report["changes"]] == [
        ("deprecated", "35184-1", 2, ["1558-6"])
    ]
    assert [r["in_force_from"] for r in run("terminology", "list")[1]["releases"]] == ["2025-02-26", None]

    assert run("terminology", "update", "loinc@2.81", "--codes", used, "--yes")[1]["applied"] is True
    listed = run("terminology", "list")[1]["releases"]
    assert [(r["name"], r["in_force_from"]) for r in listed] == [
        ("loinc@2.80", "2025-02-26"),
        ("loinc@2.81", "2025-08-12"),
    ]
    assert (
        listed[0]["licence"].startswith("LOINC")
        and listed[0]["files"][0]["sha256"]
        and listed[0]["counts"]["concepts"] == 4
    )
    code, again = run("terminology", "diff", "loinc@2.80", "loinc")
    assert (
        again["counts"] == {"deprecated": 1, "discouraged": 1, "renamed": 1, "added": 1} and len(again["changes"]) == 4
    )


def test_update_takes_a_file_and_codes_from_fhir_files(run: Run, tmp_path: Path) -> None:
    run("terminology", "import", kit.loinc(tmp_path), "--effective", "2025-02-26")
    observation = {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": {"coding": [{"system": "urn:oid:2.16.840.1.113883.6.1", "code": "35184-1"}]},
        "subject": {"reference": "Patient/p1"},
        "valueQuantity": {"value": 5, "code": "mmol/L", "system": "http://unitsofmeasure.org"},
    }
    chart = kit.write(tmp_path / "chart.json", kit.as_json(observation))
    code, told = run(
        "terminology", "update", kit.new_loinc(tmp_path), "--effective", "2025-08-12", "--codes", chart, "--yes"
    )
    [report] = told["reports"]
    assert code == 0 and [(c["code"], c["in_use"]) for c in report["changes"]] == [("35184-1", 1)]
    assert told["releases"][0]["in_force_from"] == "2025-08-12"


def test_map_uses_what_was_imported(run: Run, tmp_path: Path) -> None:
    rows = kit.write(tmp_path / "rows.csv", "system,code,text\nNDC,0093-1113-01,\n,,lisinopril 10 MG Oral Tablet\n")
    assert run("terminology", "map", "--in", rows, "--out", tmp_path / "before.csv")[0] == 0
    assert "314076" not in (tmp_path / "before.csv").read_text()
    run("terminology", "import", kit.rxnorm(tmp_path))
    assert run("terminology", "map", "--in", rows, "--out", tmp_path / "after.csv")[0] == 0
    assert (tmp_path / "after.csv").read_text().count(",314076,") == 2


def test_words_for_people_never_print_markup(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("1-8", "X", "CHEM", "2.80", "ACTIVE", "", "", "[bold]\x1b[31mred")]
    assert main(["terminology", "import", str(kit.loinc(tmp_path, rows))]) == 0
    newer = [("1-8", "X", "CHEM", "2.81", "ACTIVE", "", "", "[/bold] blue")]
    assert main(["terminology", "update", str(kit.loinc(tmp_path, newer, "Loinc_2.81.zip")), "--all-codes"]) == 0
    assert main(["terminology", "diff", "loinc@2.80", "loinc@2.81"]) == 0
    assert main(["terminology", "list"]) == 0
    out = capsys.readouterr().out
    assert "\x1b[31m" not in out and "[/bold] blue" in out and "nothing was changed; --yes puts it in force" in out


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code", "reason"),
    [
        (("import", "absent.zip"), 3, "file_not_found", "file_not_found"),
        (("import", "notes.txt"), 3, "invalid_release", "wrong_file"),
        (("import", "RXNCONSO.RRF"), 2, "usage", "version_needed"),
        (("import", "RXNCONSO.RRF", "--system", "drugs"), 2, "usage", None),
        (("import", "cvx.txt", "--effective", "soon"), 2, "invalid_date", "invalid_date"),
        (("update", "loinc@2.81"), 6, "unknown_release", "unknown_release"),
        (("diff", "loinc@1", "loinc@2"), 6, "unknown_release", "unknown_release"),
        (("update", "cvx.txt", "--codes", "notes.txt"), 3, "not_json", None),
        (("update", "cvx.txt", "--codes", "notes.csv"), 3, "invalid_release", "missing_column"),
    ],
)
def test_what_cannot_be_done_is_said(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    exit_code: int,
    code: str,
    reason: str | None,
) -> None:
    monkeypatch.chdir(tmp_path)
    kit.write(tmp_path / "notes.txt", "Dear colleague")
    kit.write(tmp_path / "notes.csv", "name\nx\n")
    kit.write(tmp_path / "RXNCONSO.RRF", kit.RXNCONSO)
    kit.write(tmp_path / "cvx.txt", kit.CVX_LINES)
    got, told = run("terminology", *arguments)
    assert (got, told["error"]["code"], told["error"].get("reason")) == (exit_code, code, reason)


def test_a_damaged_index_stops_commands_with_words(run: Run, home: Path, tmp_path: Path) -> None:
    run("terminology", "import", kit.write(tmp_path / "cvx.txt", kit.CVX_LINES))
    [index] = (home / "terminology" / "cvx").glob("*.index")
    index.write_bytes(b"x" * 50)
    for command in (
        ("terminology", "list"),
        ("normalize", kit.write(tmp_path / "p.json", '{"resourceType": "Patient", "id": "p"}')),
    ):
        code, told = run(*command)
        assert (code, told["error"]["reason"]) == (3, "index_damaged")


def test_the_codes_of_the_stored_charts(
    run: Run, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", settings.database_url or "")
    gout = [{"system": "http://snomed.info/sct", "code": "90560007"}, {"system": "http://snomed.info/sct", "code": "1"}]
    old = {
        "resourceType": "ValueSet",
        "url": "http://x.example/vs",
        "version": "1",
        "date": "2026-01-01",
        "expansion": {"contains": gout},
    }
    new = old | {"version": "2", "date": "2026-06-01", "expansion": {"contains": []}}
    new["expansion"] = {"contains": [{"system": "http://snomed.info/sct", "code": "2"}]}
    with PracticeEhr("north", RESOURCES, clients={"chartbrief": []}) as hospital:
        site = kit.write(
            tmp_path / "north.toml",
            f'name = "north"\ntitle = "North"\nfhir_base = "{hospital.base_url}"\nclient_id = "chartbrief"\nallow_loopback = true\n',
        )
        hospital.register("chartbrief", run("site", "add", site)[1]["jwks"]["keys"])
        patient = run("patient", "register", "--site", "north", "--site-patient", "p1")[1]["patient_id"]
        assert run("refresh", patient)[0] == 0
    run("terminology", "import", kit.write(tmp_path / "old.json", kit.as_json(old)))
    code, told = run("terminology", "update", kit.write(tmp_path / "new.json", kit.as_json(new)))
    [report] = told["reports"]
    assert code == 0 and report["counts"] == {"removed": 2, "added": 1}
    assert [(c["what"], c["code"], c["in_use"]) for c in report["changes"]] == [
        ("removed", "http://snomed.info/sct|90560007", 1)
    ]
    assert (
        run("terminology", "diff", "http://x.example/vs|1", "http://x.example/vs|2", "--in-use")[1]["changes"]
        == report["changes"]
    )
    monkeypatch.setenv("CHARTBRIEF_TENANT", "elsewhere")
    assert run("terminology", "diff", "http://x.example/vs|1", "http://x.example/vs|2", "--in-use")[1]["changes"] == []

"""`chartbrief normalize | context | summary` on files, as a user's shell sees them."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from models.record import json_schema
from service.cli.main import main
from service.cli.output import EXIT_OF_CODE

CHARTBRIEF = Path(sys.executable).with_name("chartbrief")
LOINC, SNOMED, RXNORM = "http://loinc.org", "http://snomed.info/sct", "http://www.nlm.nih.gov/research/umls/rxnorm"


def patient(pid: str = "p1", family: str = "Vantongeren") -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": pid,
        "name": [{"family": family, "given": ["Ida"]}],
        "birthDate": "1958-04",
        "gender": "female",
    }


def problem(rid: str, text: str, pid: str = "p1") -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "id": rid,
        "subject": {"reference": f"Patient/{pid}"},
        "clinicalStatus": {"coding": [{"code": "active"}]},
        "verificationStatus": {"coding": [{"code": "confirmed"}]},
        "category": [{"coding": [{"code": "problem-list-item"}]}],
        "code": {"text": text, "coding": [{"system": SNOMED, "code": "38341003", "display": text}]},
        "onsetDateTime": "2019",
    }


def lab(rid: str, value: float, day: str, pid: str = "p1") -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": rid,
        "status": "final",
        "subject": {"reference": f"Patient/{pid}"},
        "category": [{"coding": [{"code": "laboratory"}]}],
        "code": {"coding": [{"system": LOINC, "code": "4548-4", "display": "Hemoglobin A1c"}]},
        "effectiveDateTime": day,
        "valueQuantity": {"value": value, "unit": "%", "code": "%", "system": "http://unitsofmeasure.org"},
    }


def allergy(pid: str = "p1") -> dict[str, Any]:
    return {
        "resourceType": "AllergyIntolerance",
        "id": f"a-{pid}",
        "patient": {"reference": f"Patient/{pid}"},
        "clinicalStatus": {"coding": [{"code": "active"}]},
        "code": {"text": "Penicillin"},
    }


def resources(pid: str = "p1") -> list[dict[str, Any]]:
    return [
        patient(pid),
        problem(f"c-{pid}", "Hypertension", pid),
        allergy(pid),
        lab(f"o1-{pid}", 7.1, "2024-01-05", pid),
        lab(f"o2-{pid}", 8.2, "2024-06-05", pid),
    ]


def bundle(*members: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": m} for m in members]}


def compact(resource: dict[str, Any]) -> bytes:
    """The same bytes whatever the wrapping: a resource without versionId is versioned by its content."""
    return json.dumps(resource, separators=(",", ":")).encode()


@pytest.fixture
def one(tmp_path: Path) -> Path:
    path = tmp_path / "one.json"
    path.write_text(json.dumps(bundle(*resources())))
    return path


@pytest.fixture
def two(tmp_path: Path) -> Path:
    path = tmp_path / "two.ndjson"
    path.write_text("\n".join(json.dumps(r) for r in resources("p1") + resources("p2")))
    return path


def run(capsys: pytest.CaptureFixture[str], *argv: str | Path) -> tuple[int, Any, Any]:
    """Exit code, the one JSON document of stdout, the error of stderr."""
    capsys.readouterr()
    code = main([str(a) for a in argv])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out.strip() else None, json.loads(err.splitlines()[-1]) if err.strip() else None


def test_a_bundle_gives_entries_quarantine_ledger_and_patients(capsys: pytest.CaptureFixture[str], one: Path) -> None:
    code, out, err = run(capsys, "normalize", one, "--json")
    assert (code, err) == (0, None)
    assert {"entries", "quarantine", "ledger", "patients"} <= set(out)
    assert {e["section"] for e in out["entries"]} == {"demographics", "problems", "allergies", "labs"}
    ledger = out["ledger"]
    assert ledger["offered"] == ledger["stored"] + ledger["quarantined"] + ledger["reported_missing"] == 5
    assert ledger["by_type"]["Observation"]["offered"] == 2
    assert [p["id"] for p in out["patients"]] == ["p1"]
    assert all(e["origins"][0]["resource_id"] for e in out["entries"])


@pytest.mark.parametrize("form", ["ndjson", "gzip", "folder", "single"])
def test_the_same_resources_in_any_wrapping_give_the_same_entries(
    capsys: pytest.CaptureFixture[str], one: Path, tmp_path: Path, form: str
) -> None:
    lines = b"\n".join(compact(r) for r in resources())
    folder = tmp_path / "in"
    folder.mkdir()
    paths = [folder / "in.ndjson"]
    if form == "ndjson":
        paths[0].write_bytes(lines)
    elif form == "gzip":
        paths = [folder / "in.json.gz"]
        paths[0].write_bytes(gzip.compress(one.read_bytes()))
    else:
        for number, resource in enumerate(resources()):
            (folder / f"{number}.json").write_bytes(compact(resource))
        (folder / "readme.txt").write_text("not read")
        paths = [folder] if form == "folder" else sorted(folder.glob("*.json"))
    as_of = ["--as-of", "2024-12-31"]
    _, expected, _ = run(capsys, "normalize", one, "--json", *as_of)
    code, out, _ = run(capsys, "normalize", *paths, "--json", *as_of)
    assert code == 0
    assert out["entries"] == expected["entries"]
    assert out["ledger"] == expected["ledger"]


def test_a_broken_line_is_quarantined_and_the_rest_is_read(capsys: pytest.CaptureFixture[str], two: Path) -> None:
    two.write_text(two.read_text() + '\n{"resourceType": "Condition", "id": "cut')
    code, out, _ = run(capsys, "normalize", two, "--json")
    assert code == 0
    assert out["ledger"]["offered"] == 11
    assert out["ledger"]["quarantined"] == len(out["quarantine"]) == 1
    assert out["quarantine"][0]["reason"] == "not_json"


def test_patient_narrows_to_one(capsys: pytest.CaptureFixture[str], two: Path) -> None:
    code, out, _ = run(capsys, "normalize", two, "--json", "--patient", "p2")
    assert code == 0
    assert [p["id"] for p in out["patients"]] == ["p2"]
    assert {e["origins"][0]["resource_id"] for e in out["entries"]} == {r["id"] for r in resources("p2")}


def test_urn_references_lead_to_the_patient_whatever_its_id(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    urn = "urn:uuid:8e0a9c1e-55aa-4c65-9a3e-0d3a3f5a0001"
    about = problem("c1", "Asthma") | {"subject": {"reference": urn}}
    document = bundle(patient("p9"), about, patient("p8"))
    document["entry"][0]["fullUrl"] = urn
    path = tmp_path / "urn.json"
    path.write_text(json.dumps(document))
    _, out, _ = run(capsys, "normalize", path, "--json", "--patient", "p9")
    assert sorted(e["section"] for e in out["entries"]) == ["demographics", "problems"]


def test_a_drug_named_by_its_full_url_is_resolved(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    url = "urn:uuid:8e0a9c1e-55aa-4c65-9a3e-0d3a3f5a0002"
    drug = {"resourceType": "Medication", "id": "m7", "code": {"text": "Metformin"}}
    order = {
        "resourceType": "MedicationRequest",
        "id": "r1",
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/p1"},
        "medicationReference": {"reference": url},
    }
    document = bundle(patient(), order, drug)
    document["entry"][2]["fullUrl"] = url
    path = tmp_path / "urls.json"
    path.write_text(json.dumps(document))
    for extra in ([], ["--patient", "p1"]):
        _, out, _ = run(capsys, "normalize", path, "--json", *extra)
        (found,) = [e for e in out["entries"] if e["kind"] == "medication"]
        assert found["concept"]["text"] == "Metformin"
        assert "broken_reference" not in {f["code"] for f in found["flags"]}


def test_context_keeps_its_budget_and_its_account(capsys: pytest.CaptureFixture[str], one: Path) -> None:
    argv = (
        "context",
        "--bundle",
        one,
        "--budget",
        "2000",
        "--purpose",
        "visit_prep",
        "--as-of",
        "2024-12-31",
        "--json",
    )
    code, out, _ = run(capsys, *argv)
    assert code == 0
    assert out["token_count"] <= out["budget_tokens"] == 2000
    assert out["ledger"]["offered"] == out["ledger"]["included"] + out["ledger"]["omitted"]
    assert "Penicillin" in out["text"]
    assert run(capsys, *argv)[1] == out, "the same input and as-of give the same document"


def test_summary_cites_facts_that_it_also_returns(capsys: pytest.CaptureFixture[str], one: Path) -> None:
    code, out, _ = run(capsys, "summary", "--bundle", one, "--json")
    assert code == 0
    assert out["statements"]
    cited = {key for s in out["statements"] for key in s["cites"]}
    assert cited <= {f["key"] for f in out["facts"]}
    assert any("Penicillin" in s["text"] for s in out["statements"])


def test_people_get_tables_and_no_json(capsys: pytest.CaptureFixture[str], one: Path) -> None:
    assert main(["normalize", str(one)]) == 0
    out, err = capsys.readouterr()
    assert "offered = " in out and "problems" in out
    assert err == ""
    assert main(["summary", "--bundle", str(one)]) == 0
    assert "Penicillin" in capsys.readouterr().out


def test_control_characters_of_a_source_never_reach_the_terminal(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "evil.json"
    path.write_text(json.dumps(bundle(patient(), problem("c1", "\x1b]0;owned\x07[bold red]Gout[/bold red]\u202e"))))
    for command in (["normalize", str(path)], ["summary", "--bundle", str(path)]):
        assert main(command) == 0
        out = capsys.readouterr().out
        assert "\x1b" not in out and "\u202e" not in out
        assert "Gout" in out


BAD_FILES: dict[str, tuple[str, bytes]] = {
    "empty": ("empty_file", b""),
    "blank": ("empty_file", b" \n\t"),
    "html": ("not_json", b"<html><body>Login</body></html>"),
    "xml": ("no_resources", b"<?xml version='1.0'?><note/>"),
    "operation outcome": ("no_resources", b'{"resourceType": "OperationOutcome"}'),
    "cut": ("not_json", b'{"resourceType": "Patient", "id": "p'),
    "number": ("no_resources", b"42"),
    "outcome": ("no_resources", b'{"resourceType": "Bundle", "type": "searchset", "entry": []}'),
}


@pytest.mark.parametrize("name", BAD_FILES)
@pytest.mark.parametrize("command", ["normalize", "context", "summary"])
def test_bad_input_has_a_code_on_both_streams(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, command: str
) -> None:
    expected, content = BAD_FILES[name]
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    code, out, err = run(capsys, command, *([] if command == "normalize" else ["--bundle"]), path, "--json")
    assert code == 3
    assert out["error"] == err["error"]
    assert err["error"]["code"] in (expected, "no_resources")
    if "ledger" in out:
        assert out["ledger"]["offered"] == len(out["quarantine"])


@pytest.mark.parametrize(
    ("argv", "exit_code", "code"),
    [
        (["normalize", "no/such/file.json"], 3, "file_not_found"),
        (["normalize", "{empty_folder}"], 3, "empty_directory"),
        (["normalize", "{one}", "--patient", "nobody"], 6, "unknown_patient"),
        (["context", "--bundle", "{two}"], 6, "several_patients"),
        (["summary", "--bundle", "{two}"], 6, "several_patients"),
        (["context", "--bundle", "{one}", "--patient", "nobody"], 6, "unknown_patient"),
        (["context", "--bundle", "{one}", "--budget", "-1"], 2, "invalid_budget"),
        (["context", "--bundle", "{one}", "--budget", "0"], 2, "invalid_budget"),
        (["context", "--bundle", "{one}", "--budget", "99999999999"], 2, "invalid_budget"),
        (["context", "--bundle", "{one}", "--budget", "many"], 2, "usage"),
        (["context", "--bundle", "{one}", "--budget", "5"], 4, "budget_too_small"),
        (["context", "--bundle", "{one}", "--purpose", "poetry"], 2, "unknown_purpose"),
        (["context", "--bundle", "{one}", "--purpose", "question"], 2, "question_required"),
        (["context", "--bundle", "{one}", "--as-of", "2024"], 2, "invalid_date"),
        (["context", "--bundle", "{one}", "--as-of", "2024-02-31"], 2, "invalid_date"),
        (["context"], 2, "patient_required"),
        (["normalize"], 2, "usage"),
        (["normalize", "{one}", "--colour"], 2, "usage"),
        (["prescribe"], 2, "usage"),
    ],
)
def test_every_refusal_has_its_code_and_exit_code(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, one: Path, two: Path, argv: list[str], exit_code: int, code: str
) -> None:
    (tmp_path / "empty").mkdir()
    filled = [a.format(one=one, two=two, empty_folder=tmp_path / "empty") for a in argv]
    got, out, err = run(capsys, *filled, "--json")
    assert got == exit_code == EXIT_OF_CODE[code]
    assert err["error"]["code"] == code
    assert out["error"] == err["error"]
    assert run(capsys, *filled)[1] is None, "without --json an error leaves stdout empty"


def test_several_patients_are_listed_and_the_needed_budget_works(
    capsys: pytest.CaptureFixture[str], one: Path, two: Path
) -> None:
    error = run(capsys, "summary", "--bundle", two)[2]["error"]
    assert error["patients"] == ["p1", "p2"] and "--patient ID" in error["message"]
    assert "Vantongeren" not in json.dumps(error), "ids to choose from, and nothing else of anybody"
    for chosen in ("p2", "Patient/p2"):
        assert run(capsys, "summary", "--bundle", two, "--patient", chosen, "--json")[0] == 0
    needed = run(capsys, "context", "--bundle", one, "--budget", "5")[2]["error"]["needed_tokens"]
    assert run(capsys, "context", "--bundle", one, "--budget", str(needed), "--json")[0] == 0


def test_a_200_mb_file_and_a_bomb_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(200_000_000)
    bomb = tmp_path / "bomb.json.gz"
    bomb.write_bytes(gzip.compress(b" " * 30_000_000))
    for command in (("normalize",), ("context", "--bundle"), ("summary", "--bundle")):
        error = run(capsys, *command, huge, "--json")[2]["error"]
        assert error["code"] == "too_large" and error["limit_bytes"] == 100_000_000
    assert run(capsys, "normalize", bomb, "--json", "--max-mb", "20")[2]["error"]["code"] == "too_large"


def test_a_broken_file_in_a_folder_does_not_hide_the_others(capsys: pytest.CaptureFixture[str], one: Path) -> None:
    (one.parent / "empty.json").write_text("")
    (one.parent / "cut.json.gz").write_bytes(gzip.compress(one.read_bytes())[:-20])
    code, out, _ = run(capsys, "normalize", one.parent, "--json")
    assert code == 0
    assert out["ledger"]["quarantined"] == 2
    assert out["ledger"]["stored"] == 5


def test_the_installed_command_loads_little_and_speaks_one_document(one: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CHARTBRIEF")}
    done = subprocess.run([CHARTBRIEF, "--help"], capture_output=True, env=environment, timeout=20, check=True)
    assert b"normalize" in done.stdout
    modules = "import sys; from service.cli.main import app; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", modules], capture_output=True, text=True, check=True).stdout.split()
    assert not {"fastapi", "sqlalchemy", "pydantic", "pandas", "dbos", "langchain", "fhir"} & set(loaded)
    done = subprocess.run([CHARTBRIEF, "normalize", one, "--json"], capture_output=True, env=environment, timeout=20)
    assert done.returncode == 0 and done.stderr == b""
    assert json.loads(done.stdout)["ledger"]["offered"] == 5


def test_judge_shows_the_strict_verdict_beside_what_was_read_around(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sloppy = problem("c1", "Asthma") | {"clinicalStatus": "active", "comment": "Vantongeren"}
    old = {"resourceType": "Condition", "id": "m1", "patient": {"reference": "Patient/p1"}, "dateRecorded": "soon"}
    new = {"resourceType": "Encounter", "id": "e1", "actualPeriod": {"start": "2024"}, "class": [{"text": "visit"}]}
    path = tmp_path / "sloppy.json"
    path.write_text(json.dumps(bundle(patient(), sloppy, old, new)))
    code, out, _ = run(capsys, "normalize", path, "--judge", "--json")
    assert code == 0
    judged = out["judged"]
    assert judged["counts"] == {"valid": 1, "invalid": 2, "not_judged": 1}, "DSTU2 has no judge, R5 has its own"
    rows = {row["resource"]: row for row in judged["resources"]}
    assert rows["Condition/c1"]["became"] == "entry" and rows["Condition/c1"]["tolerated"] == ["clinicalStatus"]
    assert {(v["path"], v["rule"]) for v in rows["Condition/c1"]["violations"]} == {
        ("clinicalStatus", "type"),
        ("comment", "unknown_element"),
    }
    assert "Condition/m1" not in rows, "DSTU2 is read without a verdict"
    assert [v["path"] for v in rows["Encounter/e1"]["violations"]] == ["status"] and rows["Encounter/e1"][
        "became"
    ] == "entry"
    assert "Patient/p1" not in rows
    assert "Vantongeren" not in json.dumps(judged)
    assert main(["normalize", str(path), "--judge"]) == 0
    text = capsys.readouterr().out
    assert "1 valid, 2 not valid, 1 not judged" in text and "clinicalStatus has the wrong JSON type" in " ".join(
        text.split()
    )
    assert "judged" not in run(capsys, "normalize", path, "--json")[1]


def test_the_schema_command_prints_the_schema_of_what_normalize_prints(
    capsys: pytest.CaptureFixture[str], one: Path
) -> None:
    code, schema, _ = run(capsys, "schema")
    assert code == 0 and schema == json_schema()
    known = {
        d["properties"]["kind"]["enum"][0]: d for d in schema["$defs"].values() if "kind" in d.get("properties", {})
    }
    for entry in run(capsys, "normalize", one, "--json")[1]["entries"]:
        described = known[entry["kind"]]["properties"]
        assert set(entry) - {"section"} <= set(described)


def test_another_release_is_a_gap_of_the_context_and_never_an_absence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    old = {
        "resourceType": "AllergyIntolerance",
        "id": "a1",
        "patient": {"reference": "Patient/p1"},
        "code": {"text": "x"},
        "assertedDate": "2017-01-01",
    }
    path = tmp_path / "old.json"
    path.write_text(json.dumps(bundle(patient(), old)))
    code, out, _ = run(capsys, "context", "--bundle", path, "--json")
    assert code == 0
    (line,) = [c for c in out["coverage"] if c["section"] == "allergies"]
    assert line["state"] == "failed"
    assert "no known" not in out["text"].lower()

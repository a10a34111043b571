"""The commands over the store: real ones, against an embedded PostgreSQL and a practice hospital."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_kit import RESOURCES

from service.cli.main import main
from service.practice_ehr import Fault, PracticeEhr
from service.settings import Settings
from service.store import Store

CHARTBRIEF = Path(sys.executable).with_name("chartbrief")
Run = Callable[..., Any]


@pytest.fixture
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the commands read: this test's own home and database."""
    assert settings.database_url is not None
    values = {"CHARTBRIEF_HOME": str(settings.home), "DATABASE_URL": settings.database_url}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return os.environ | values


@pytest.fixture
def run(environment: dict[str, str], capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command with --json in this process; returns exit code and document."""

    def command(*arguments: object) -> tuple[int, Any]:
        capsys.readouterr()
        code = main([*map(str, arguments), "--json"])
        out, err = capsys.readouterr()
        if code:
            assert json.loads(err.strip().splitlines()[-1])["error"]["code"]
        return code, json.loads(out)

    return command


@pytest.fixture
def words(environment: dict[str, str], capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command for a person; returns exit code and what is printed."""

    def command(*arguments: object) -> tuple[int, str]:
        capsys.readouterr()
        code = main([*map(str, arguments)])
        return code, capsys.readouterr().out

    return command


@pytest.fixture
def hospital() -> Iterator[PracticeEhr]:
    with PracticeEhr("north", RESOURCES, clients={"chartbrief": []}) as ehr:
        yield ehr


@pytest.fixture
def site_file(tmp_path: Path, hospital: PracticeEhr) -> Path:
    file = tmp_path / "north.toml"
    file.write_text(
        f'name = "north"\ntitle = "North"\nfhir_base = "{hospital.base_url}"\nclient_id = "chartbrief"\nallow_loopback = true\n'
    )
    return file


def connected(run: Run, site_file: Path, hospital: PracticeEhr) -> None:
    code, added = run("site", "add", site_file)
    assert code == 0
    hospital.register("chartbrief", added["jwks"]["keys"])


def test_from_a_site_file_to_a_summary(
    run: Run, words: Run, site_file: Path, hospital: PracticeEhr, store: Store
) -> None:
    connected(run, site_file, hospital)
    code, checked = run("site", "check", "north")
    assert (code, checked["state"]) == (0, "ready")
    assert run("site", "list")[1]["sites"][0]["state"] == "ready"
    code, there = run("patient", "search", "--site", "north", "--name", "Mirembe Oduya")
    assert [(p["site_patient_id"], p["birth_date"]) for p in there["patients"]] == [("p1", "1961-09")]
    code, registered = run("patient", "register", "--site", "north", "--site-patient", "p1")
    patient = registered["patient_id"]
    assert run("patient", "register", "--site", "north", "--site-patient", "p1")[1]["patient_id"] == patient

    code, refreshed = run("refresh", patient)
    assert (code, refreshed["state"]) == (0, "done")
    ledger = refreshed["report"]["ledger"]
    assert ledger["offered"] == ledger["stored"] + ledger["quarantined"] + ledger["reported_missing"] >= 2

    assert run("patient", "search", "--name", "oduya")[1]["patients"][0]["id"] == patient
    assert run("patient", "list")[1]["patients"][0]["name"] == "Mirembe Oduya"
    code, chart = run("chart", patient)
    assert {e["kind"] for e in chart["entries"]} == {"demographics", "problem"}
    code, document = run("context", "--patient", patient, "--budget", "1500")
    assert code == 0 and document["token_count"] <= 1500
    code, summary = run("summary", "--patient", patient)
    assert "Gout" in summary["text"] and summary["facts"] and summary["patient_id"] == patient
    lines = {line["section"]: line["state"] for line in run("patient", "freshness", patient)[1]["sections"]}
    assert lines["problems"] == "present" and lines["allergies"] == "empty"
    assert run("patient", "quarantine", patient)[1] == {"quarantine": []}

    for command, shown in (
        (("chart", patient), "Gout"),
        (("summary", "--patient", patient), "Gout"),
        (("patient", "list"), "Mirembe Oduya"),
        (("patient", "freshness", patient), "present"),
        (("site", "show", "north"), "kty"),
        (("site", "list"), "ready"),
        (("refresh", patient), "offered = "),
        (("refresh", patient), "done, all 14 sections read"),
    ):
        code, out = words(*command)
        assert code == 0 and shown in out, command
        assert "[bold" not in out

    rows = [r for r in store.audit_rows("default") if r["action"].startswith("CLI ")]
    assert [r["action"] for r in rows[:4]] == [
        "CLI site add",
        "CLI site check",
        "CLI site list",
        "CLI patient search at site",
    ]
    assert {r["actor"].partition(":")[0] for r in rows} == {"cli"} and {r["outcome"] for r in rows} == {"ok"}
    assert {r["patient_id"] for r in rows if r["action"] in ("CLI chart", "CLI patient register")} == {patient}
    assert "Oduya" not in str(rows)


def test_what_goes_wrong_has_a_code_and_an_exit_code(
    run: Run, site_file: Path, hospital: PracticeEhr, store: Store, tmp_path: Path
) -> None:
    connected(run, site_file, hospital)
    patient = run("patient", "register", "--site", "north", "--site-patient", "p1")[1]["patient_id"]
    broken = tmp_path / "broken.toml"
    broken.write_text('name = "x"\nfhir_bse = "https://a.example"\n')
    for arguments, exit_code, code in (
        (("chart", "nobody"), 6, "unknown_patient"),
        (("chart", "a\x00b"), 6, "unknown_patient"),
        (("context", "--patient", "nobody"), 6, "unknown_patient"),
        (("context", "--patient", patient, "--budget", "-1"), 2, "invalid_budget"),
        (("context", "--patient", patient, "--budget", "3"), 4, "budget_too_small"),
        (("context", "--patient", patient, "--as-of", "yesterday"), 2, "invalid_date"),
        (("summary",), 2, "patient_required"),
        (("refresh", "nobody"), 6, "unknown_patient"),
        (("refresh", patient, "--site", "south"), 6, "unknown_site"),
        (("refresh",), 2, "usage"),
        (("patient", "search"), 2, "invalid_request"),
        (("patient", "search", "--born", "May"), 2, "invalid_request"),
        (("patient", "search", "--site", "nowhere", "--name", "x"), 6, "unknown_site"),
        (("patient", "register", "--site", "nowhere", "--site-patient", "1"), 6, "unknown_site"),
        (("patient", "register", "--site", "north", "--site-patient", "../1"), 2, "invalid_request"),
        (("patient", "register", "--site", "north", "--site-patient", "p2", "--patient", patient), 7, "conflict"),
        (("site", "check", "nowhere"), 6, "unknown_site"),
        (("site", "show", "nowhere"), 6, "unknown_site"),
        (("site", "add", tmp_path / "none.toml"), 3, "file_not_found"),
        (("site", "add", broken), 3, "invalid_site_file"),
        (("key", "create", "--role", "king"), 2, "invalid_role"),
        (("key", "revoke", "000000000000"), 6, "unknown_key"),
    ):
        got, document = run(*arguments)
        assert (got, document["error"]["code"]) == (exit_code, code), (arguments, document)
    rows = store.audit_rows("default")
    assert [r["outcome"] for r in rows if r["action"] == "CLI chart"] == ["not_found", "not_found"]


def test_a_site_that_refuses_is_refused(run: Run, site_file: Path, hospital: PracticeEhr) -> None:
    run("site", "add", site_file)  # its key is not registered there
    code, document = run("site", "check", "north")
    assert (code, document["error"]["code"]) == (7, "site_refused")
    assert document["error"]["state"] == "needs_reauthorization" and document["error"]["action"] == "reauthorize"
    code, document = run("patient", "search", "--site", "north", "--name", "Zqsecret")
    assert (code, document["error"]["code"]) == (7, "site_refused") and "Zqsecret" not in str(document)


def test_a_site_is_probed_reported_and_compared(
    run: Run, words: Run, site_file: Path, hospital: PracticeEhr, store: Store, tmp_path: Path
) -> None:
    connected(run, site_file, hospital)
    folder = tmp_path / "reports"
    code, bare = run("site", "check", "north")
    assert code == 0 and bare["conformance"]["probed"] is False and bare["files"] == []
    code, checked = run("site", "check", "north", "--patient", "p1", "--report", folder)
    assert code == 0 and checked["conformance"]["types"]["Condition"]["evidence"] == "live"
    written, page = (Path(f) for f in checked["files"])
    assert re.fullmatch(r"north-\d{8}T\d{6}Z\.json", written.name) and page.suffix == ".html"
    assert json.loads(written.read_text()) == checked["conformance"]
    for text in (written.read_text(), page.read_text()):
        assert "Oduya" not in text and "Gout" not in text and "MRN-77" not in text
        assert not re.search(r"\bp1\b", text)
    code, out = words("site", "check", "north", "--patient", "p1")
    assert code == 0 and "live" in out and "Condition" in out
    before = tmp_path / "before.json"
    written.rename(before)

    hospital.faults.set(Fault(kind="scopes_lied", types=("Condition",)))
    after = Path(run("site", "check", "north", "--patient", "p1", "--report", folder)[1]["files"][0])
    code, document = run("site", "diff", before, after)
    assert code == 8 and document["error"]["code"] == "breaking_differences"
    assert [(d["severity"], d["where"]) for d in document["differences"]] == [("breaks", "Condition")]
    code, out = words("site", "diff", before, after)
    assert code == 8 and "not_authorized" in out
    assert run("site", "diff", before, before) == (0, run("site", "diff", before, before)[1])
    code, out = words("site", "diff", after, before)
    assert code == 0 and "info" in out, "what came back breaks nothing"
    assert run("site", "diff", "profile", after)[0] == 8

    other = tmp_path / "other.json"
    other.write_text(before.read_text().replace('"site": "north"', '"site": "south"'))
    for arguments, exit_code, wrong in (
        (("site", "check", "north", "--patient", "../p1"), 2, "invalid_request"),
        (("site", "diff", before, other), 2, "usage"),
        (("site", "diff", tmp_path / "none.json", before), 3, "file_not_found"),
        (("site", "diff", site_file, before), 3, "not_a_report"),
        (("site", "check", "north", "--report", site_file), 3, "file_unreadable"),
    ):
        code, document = run(*arguments)
        assert (code, document["error"]["code"]) == (exit_code, wrong), arguments
    hospital.faults.set(Fault(kind="revoked_client"))
    code, document = run("site", "check", "north", "--patient", "p1", "--report", folder)
    assert (code, document["error"]["code"]) == (7, "site_refused")
    assert run("site", "diff", before, document["error"]["files"][0])[1]["differences"][0]["code"] == "state"
    rows = [r for r in store.audit_rows("default") if r["action"] == "CLI site check"]
    assert len(rows) >= 5 and "p1" not in str(rows)


def test_a_broken_section_leaves_the_command_a_success_that_tells(
    run: Run, words: Run, site_file: Path, hospital: PracticeEhr
) -> None:
    connected(run, site_file, hospital)
    patient = run("patient", "register", "--site", "north", "--site-patient", "p1")[1]["patient_id"]
    hospital.faults.set(Fault(kind="status", status=403, resource_type="Condition"))
    code, out = words("refresh", patient)
    assert code == 0 and "not_authorized" in out


def test_keys_are_made_listed_and_ended(run: Run, words: Run, store: Store) -> None:
    code, made = run("key", "create", "--role", "clinician", "--label", "ward 3")
    assert re.fullmatch(r"cb_[0-9a-f]{12}_[0-9a-f]{64}", made["key"])
    (listed,) = run("key", "list")[1]["keys"]
    assert (listed["key_id"], listed["role"], listed["revoked"]) == (made["key_id"], "clinician", None)
    assert made["key"].split("_")[2] not in str(listed)
    assert run("key", "revoke", made["key_id"])[0] == 0
    assert run("key", "list")[1]["keys"][0]["revoked"] is not None
    assert store.api_key(made["key_id"]) is None
    code, out = words("key", "create", "--role", "operator")
    assert code == 0 and re.fullmatch(r"cb_[0-9a-f]{12}_[0-9a-f]{64}\n", out), "a script can take it from stdout"


def test_purging_says_what_left(run: Run, words: Run, site_file: Path, store: Store, admin_sql: Any) -> None:
    run("site", "add", site_file)
    for name in ("20200101T000000Z", "20200102T000000Z"):
        admin_sql("insert into site_reports values ('default', 'north', %s, '{}', '2020-01-01')", name)
    none = {"raw": 0, "quarantine": 0, "site_reports": 0, "workflows": 0}
    assert run("purge") == (0, none | {"site_reports": 1})
    code, out = words("purge")
    assert code == 0 and out.startswith("Purged: 0 raw, 0 quarantine, 0 site reports, 0 workflows.")


def test_what_cannot_be_audited_is_not_shown(run: Run, words: Run, store: Store, admin_sql: Any) -> None:
    store.ping()
    admin_sql("revoke insert on audit from chartbrief_app")
    code, document = run("site", "list")
    assert (code, document) == (5, {"error": document["error"]})
    assert document["error"]["code"] == "audit_unavailable"


def test_without_a_database_a_command_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    code, document = run("patient", "list")
    assert (code, document["error"]["code"]) == (5, "unavailable")
    monkeypatch.setenv("DATABASE_URL", "mysql://nobody:secret@127.0.0.1/none")
    code, document = run("patient", "list")
    assert (code, document["error"]["code"]) == (3, "configuration")
    assert "postgresql://" in document["error"]["message"] and "secret" not in str(document)
    monkeypatch.setenv("CHARTBRIEF_TENANT", "Not A Tenant")
    code, document = run("patient", "list")
    assert (code, document["error"]["code"]) == (3, "configuration") and "tenant" in document["error"]["message"]


def test_a_home_that_cannot_be_written_to_is_no_defect(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CHARTBRIEF_HOME", str(tmp_path / "file"))
    monkeypatch.delenv("DATABASE_URL")
    code, document = run("patient", "list")
    assert (code, document["error"]["code"]) == (3, "configuration")
    assert "CHARTBRIEF_HOME" in document["error"]["message"]


def test_a_wrong_site_file_names_its_keys_in_plain_words(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text('name = "a"\nvendor = "generic"\nfhirbase = "x"\n')
    assert "fhir_base: is missing; fhirbase: is not a key here" in run("site", "add", str(file))[1]["error"]["message"]
    file.write_text('name = "a"\nvendor = "generic"\nfhir_base = "http://a.example.org"\nauth = "none"\n')
    message = run("site", "add", str(file))[1]["error"]["message"]
    assert "must be https" in message and "error" not in message.lower()


def test_a_site_without_tokens_has_no_key_to_register(words: Run, tmp_path: Path) -> None:
    file = tmp_path / "open.toml"
    file.write_text('name = "open"\nvendor = "generic"\nfhir_base = "https://fhir.example.org/R4"\nauth = "none"\n')
    code, out = words("site", "add", str(file))
    assert code == 0 and "no key" in out and "JWKS" not in out


def test_a_defect_shows_the_way_to_it_and_nothing_of_the_record(
    run: Run, site_file: Path, store: Store, admin_sql: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    run("site", "add", site_file)
    patient = run("patient", "register", "--site", "north", "--site-patient", "p1")[1]["patient_id"]
    admin_sql(
        "insert into entries (tenant, patient_id, site, section, entry_id, body, body_hash) "
        "values ('default', %s, 'north', 'problems', 'x', '\"Zqsecret\"', 'x')",
        patient,
    )
    capsys.readouterr()
    assert main(["chart", patient, "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["error"] == {
        "code": "internal",
        "message": "a defect of Chartbrief",
        "error": "ValidationError",
    }
    assert "reading.py" in err and "Zqsecret" not in err


def test_serve_makes_the_first_keys_serves_and_ends_cleanly(environment: dict[str, str], settings: Settings) -> None:
    began = subprocess.Popen(
        [CHARTBRIEF, "serve", "--port", "0"], env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert began.stderr is not None
        told = ""
        deadline = time.monotonic() + 60
        while "listens on" not in told and time.monotonic() < deadline:
            told += began.stderr.readline()
        base = re.search(r"listens on (http://127\.0\.0\.1:\d+)", told)
        assert base is not None, told
        file = settings.home / "first-keys"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert "cb_" not in told, "nothing secret is printed where a log may keep it"
        keys = dict(line.split() for line in file.read_text().splitlines())
        assert set(keys) == {"admin", "clinician"}
        headers = {"authorization": f"Bearer {keys['clinician']}"}
        for _ in range(100):  # the socket is taken, and answers a moment later
            try:
                answer = httpx.get(f"{base[1]}/v1/sites", headers=headers)
                break
            except httpx.TransportError:
                time.sleep(0.1)
        assert answer.json() == {"items": [], "count": 0}
        assert "server" not in answer.headers
    finally:
        began.send_signal(signal.SIGINT)
        assert began.wait(30) in (0, 130)
    again = subprocess.Popen([CHARTBRIEF, "serve", "--port", "0"], env=environment, stderr=subprocess.PIPE, text=True)
    file.unlink()
    try:
        assert again.stderr is not None
        assert "listens on" in again.stderr.readline()
        assert not file.exists(), "the keys are made once"
    finally:
        again.send_signal(signal.SIGTERM)
        again.wait(30)


def test_a_port_that_is_taken_is_said_before_anything_starts(run: Run, settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code = main(["serve", "--port", str(taken.getsockname()[1])])
    assert code == 5 and not (settings.home / "first-keys").exists()


def test_every_command_and_option_is_in_the_documentation() -> None:
    from typer.main import get_command

    from service.cli.main import app

    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    root: Any = get_command(app)

    def walk(command: Any, name: str) -> Iterator[str]:
        for child, found in getattr(command, "commands", {}).items():
            yield from walk(found, f"{name} {child}".strip())
        if not hasattr(command, "commands"):
            yield name

    missing = [name for name in walk(root, "") if f"chartbrief {name}" not in text]
    assert missing == []

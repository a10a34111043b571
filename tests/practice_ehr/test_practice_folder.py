"""A folder of one's own data behind the practice EHR, and `chartbrief practice` as a user's shell sees it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args
from urllib.parse import urlencode

import httpx
import pytest
from practice_kit import HTTP, Client, get, ids, patient, record, walk

from adapters.profile import parse_site
from service.cli.main import main
from service.practice_ehr import Hospital, PracticeDataError, PracticeEhr, dress_names, load_folder
from service.practice_ehr.faults import FaultKind
from service.practice_ehr.population import generate

CHARTBRIEF = Path(sys.executable).with_name("chartbrief")
ROOT = Path(__file__).parents[2]
CORPUS = ROOT.parent / "shared" / "data"
SYNTHEA = CORPUS / "fhir-synthea-r4"


def put(folder: Path, name: str, data: object) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")


def test_bundles_ndjson_and_single_resources_become_one_hospital(tmp_path, start):
    doctor = {"resourceType": "Practitioner", "id": "d1", "identifier": [{"system": "urn:npi", "value": "7"}]}
    rows = record("alder")
    put(tmp_path, "people/transaction.json", {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"fullUrl": "urn:uuid:aaaa-1", "resource": {"resourceType": "Patient", "name": [{"family": "Elm"}]}},
            {"fullUrl": "urn:uuid:bbbb-2", "resource": {
                "resourceType": "Condition", "subject": {"reference": "urn:uuid:aaaa-1"},
                "recorder": {"reference": "Practitioner?identifier=urn:npi|7"}}},
        ],
    })  # fmt: skip
    put(tmp_path, "doctor.json", doctor)
    put(tmp_path, "alder.ndjson", "\ufeff" + "\r\n".join(json.dumps(r) for r in rows) + "\r\n\r\n")
    put(tmp_path, "log.ndjson", '{"exportId": "x", "eventId": "kickoff"}\n')
    put(tmp_path, "readme.txt", "not data")
    resources = load_folder(tmp_path)
    assert len(resources) == len(rows) + 3
    ehr = start(resources=resources)
    elm = walk(ehr, "Condition?patient=aaaa-1")[0]["entry"][0]["resource"]
    assert elm["id"] == "bbbb-2" and elm["recorder"]["reference"] == "Practitioner/d1"
    assert len(ids(walk(ehr, "Condition?patient=alder"))) == 7


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", "{broken", "a.json: not valid JSON"),
        ("b.ndjson", '{"resourceType":"Patient","id":"x"}\n{"half', "b.ndjson: not valid JSON"),
        ("c.json", '{"hello": "world"}', "c.json: something is no FHIR resource"),
        ("d.json", '{"resourceType": "Patient"}', "d.json: a Patient has no valid id"),
        ("e.json", '{"resourceType": "Patient", "id": "has space"}', "no valid id"),
        ("f.txt", "nothing", "holds no .json"),
    ],
)
def test_what_cannot_be_served_is_named_by_its_file(tmp_path, name, content, words):
    put(tmp_path, name, content)
    with pytest.raises(PracticeDataError, match=re.escape(words)):
        load_folder(tmp_path)
    with pytest.raises(PracticeDataError, match="does not exist"):
        load_folder(tmp_path / "nowhere")


def test_a_later_file_is_a_later_version(tmp_path, start):
    put(tmp_path, "1.json", patient("alder", "Alder", "1950"))
    put(tmp_path, "2.json", patient("alder", "Alderson", "1950"))
    found = get(start(resources=load_folder(tmp_path)), "Patient/alder").json()
    assert found["name"][0]["family"] == "Alderson" and found["meta"]["versionId"] == "2"


@pytest.mark.corpus
@pytest.mark.skipif(not SYNTHEA.is_dir(), reason="../shared/data is absent")
@pytest.mark.parametrize("dress", ["generic", "oracle_health"])
def test_everything_of_a_foreign_folder_is_served(dress):
    """Each type of each patient comes out as it went in: same ids, whatever the paging."""
    resources = load_folder(SYNTHEA)
    kinds = ("Condition", "MedicationRequest", "Immunization")
    with PracticeEhr(Hospital(key="folder", dress=dress, resources=resources)) as ehr:
        for person in [r["id"] for r in resources if r["resourceType"] == "Patient"][:5]:
            for kind in kinds:
                wanted = {
                    r["id"]
                    for r in resources
                    if r["resourceType"] == kind and person in (r.get("subject") or r.get("patient"))["reference"]
                }
                pages = walk(ehr, f"{kind}?{urlencode({'patient': person, '_count': 100})}")
                found = [i for i in ids(pages) if not i.endswith(".2")]  # this dress sends some prescriptions twice
                assert set(found) == wanted and len(found) == len(wanted)


# ---------------------------------------------------------------- the command


def running(*arguments: str) -> tuple[subprocess.Popen[str], dict]:
    process = subprocess.Popen([CHARTBRIEF, "practice", *arguments, "--json"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def ended(process: subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGINT)
    return process.wait(timeout=10)


def test_the_command_serves_until_ctrl_c_and_says_how_to_connect(tmp_path):
    client = Client(client_id="mine")
    put(tmp_path, "jwks.json", {"name": "site", "jwks": {"keys": [client.jwk]}})
    put(
        tmp_path,
        "faults.toml",
        '[[faults]]\nkind = "status"\nresource_type = "Condition"\nstatus = 429\nretry_after = "3"\n',
    )
    process, said = running(
        "--vendor", "athenahealth", "--client-jwks", str(tmp_path / "jwks.json"), "--client-id", "mine",
        "--faults", str(tmp_path / "faults.toml"), "--patients", "3",
    )  # fmt: skip
    try:
        site = parse_site(tomllib.loads(said["site_file"]))
        assert site.fhir_base == said["fhir_base"] and site.client_id == "mine" and site.profile()
        assert said["holds"]["Patient"] == 2 and said["faults"] == ["status"]
        base = said["fhir_base"]
        assert HTTP.get(f"{base}/Patient/x").status_code == 401
        answer = HTTP.post(said["token_url"], data={
            "grant_type": "client_credentials", "scope": "system/*.read",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": client.assertion(said["token_url"]),
        })  # fmt: skip
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        star = generate(patients=1)[0]
        params = dict(site.overrides["required_params"]) | {"identifier": "|".join(star.identifier("prairie"))}
        found = HTTP.get(f"{base}/Patient", params=params, headers=headers).json()
        assert ids([found]) == [star.patient_id("prairie")]
        params = dict(site.overrides["required_params"]) | {"patient": star.patient_id("prairie")}
        assert HTTP.get(f"{base}/Condition", params=params, headers=headers).headers["retry-after"] == "3"
    finally:
        assert ended(process) == 0
    with pytest.raises(httpx.ConnectError):
        HTTP.get(said["fhir_base"])


def test_the_command_serves_a_folder_openly(tmp_path):
    put(tmp_path, "alder.json", patient("alder", "Alder", "1950"))
    process, said = running("--data", str(tmp_path))
    try:
        assert said["holds"] == {"Patient": 1} and said["token_url"] is None
        assert parse_site(tomllib.loads(said["site_file"])).auth == "none"
        assert HTTP.get(f"{said['fhir_base']}/Patient/alder").status_code == 200
    finally:
        assert ended(process) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "exit_code"),
    [
        (["--vendor", "nobody"], "usage", 2),
        (["--open", "--client-jwks", "x"], "usage", 2),
        (["--port", "99999"], "usage", 2),
        (["--today", "soon"], "invalid_date", 2),
        (["--data", "{tmp}/none"], "file_not_found", 3),
        (["--data", "{tmp}/empty"], "no_resources", 3),
        (["--faults", "{tmp}/none"], "file_not_found", 3),
        (["--faults", "{tmp}/bad.toml"], "configuration", 3),
        (["--faults", "{tmp}/wrong.toml"], "configuration", 3),
        (["--client-jwks", "{tmp}/none"], "file_not_found", 3),
        (["--client-jwks", "{tmp}/bad.toml"], "not_json", 3),
        (["--client-jwks", "{tmp}/empty.json"], "configuration", 3),
        (["--client-jwks", "{tmp}/private.json"], "refused", 7),
    ],
)
def test_bad_input_gets_a_stable_code(tmp_path, capsys, arguments, code, exit_code):
    (tmp_path / "empty").mkdir()
    put(tmp_path, "bad.toml", "= =")
    put(tmp_path, "wrong.toml", '[[faults]]\nkind = "explosion"\n')
    put(tmp_path, "empty.json", {"keys": []})
    put(tmp_path, "private.json", {"keys": [Client().key.as_dict(private=True)]})
    assert main(["practice", "--json", *(a.replace("{tmp}", str(tmp_path)) for a in arguments)]) == exit_code
    said = json.loads(capsys.readouterr().out)
    assert said["error"]["code"] == code


def test_a_port_in_use_is_said(capsys, plain):
    assert main(["practice", "--patients", "1", "--port", str(plain.port)]) == 5
    assert "in use" in capsys.readouterr().err


# ---------------------------------------------------------------- the documentation


def test_the_documentation_names_every_fault_dress_and_option():
    text = (ROOT / "docs" / "practice-ehr.md").read_text(encoding="utf-8")
    for kind in get_args(FaultKind):
        assert f"`{kind}`" in text, kind
    for dress in dress_names():
        assert f"`{dress}`" in text, dress
    from service.practice_ehr import Fault

    for name in Fault.model_fields:
        assert f"`{name}`" in text, name
    for option in (
        "--vendor",
        "--port",
        "--data",
        "--faults",
        "--open",
        "--client-jwks",
        "--client-id",
        "--patients",
        "--today",
    ):
        assert option in text, option


def test_the_documented_fault_file_loads(tmp_path):
    from service.practice_ehr import Faults

    text = (ROOT / "docs" / "practice-ehr.md").read_text(encoding="utf-8")
    (block,) = [b for b in re.findall(r"```toml\n(.*?)```", text, re.S) if "[[faults]]" in b]
    put(tmp_path, "faults.toml", block)
    assert len(Faults.from_file(tmp_path / "faults.toml").items) >= 3


def test_the_documented_python_runs(capsys):
    text = (ROOT / "docs" / "practice-ehr.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", text, re.S)
    exec(compile(block, "practice-ehr.md", "exec"), {})
    assert capsys.readouterr().out.startswith("http://127.0.0.1:")

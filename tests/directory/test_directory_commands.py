"""`chartbrief directory`: what a user does to find a hospital's address."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.profile import parse_site
from service.cli.main import main

ROWS = [
    {"name": "St. Mary's Hospital", "baseUrl": "https://a.example.org/api/FHIR/DSTU2"},
    {"name": "St. Mary's Hospital", "baseUrl": "https://a.example.org/api/FHIR/R4"},
    {"name": "Saint Marys Clinic", "baseUrl": "https://fhir-ehr.cerner.com/r4/clinic"},
    {"name": "Nobody", "baseUrl": "http://b.example.org"},
]
Run = Callable[..., tuple[int, Any]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("CHARTBRIEF_HOME", str(tmp_path / "home"))

    def command(*arguments: object) -> tuple[int, Any]:
        capsys.readouterr()
        code = main(["directory", *map(str, arguments), "--json"])
        return code, json.loads(capsys.readouterr().out)

    return command


@pytest.fixture
def published(tmp_path: Path) -> Path:
    file = tmp_path / "Vendor List.json"
    file.write_text(json.dumps({"endpoints": ROWS}))
    return file


def test_import_find_site(run: Run, published: Path) -> None:
    code, found = run("import", published)
    (row,) = found["lists"]
    assert code == 0 and (row["name"], row["rows"], row["endpoints"], row["skipped"]) == (
        "vendor-list",
        4,
        3,
        {"not_https": 1},
    )
    code, found = run("find", "saint mary hosp")
    first = found["endpoints"][0]
    assert (first["name"], first["fhir_version"], first["product"]) == ("St. Mary's Hospital", "R4", "Epic")
    assert first["lists"][0]["name"] == "vendor-list" and first["lists"][0]["date"].startswith("imported 20")
    code, found = run("site", "st marys hospital", "--client-id", "c-1")
    site = parse_site(tomllib.loads(found["site_file"]))
    assert (code, site.fhir_base, site.client_id) == (0, "https://a.example.org/api/FHIR/R4", "c-1")
    code, found = run("site", found["endpoint"]["id"])
    assert code == 0 and found["endpoint"]["name"] == "St. Mary's Hospital"


def test_the_vendor_narrows_and_importing_again_replaces(run: Run, published: Path) -> None:
    run("import", published)
    assert [e["name"] for e in run("find", "st marys", "--vendor", "Cerner")[1]["endpoints"]] == ["Saint Marys Clinic"]
    published.write_text(json.dumps(ROWS[:1]))
    run("import", published)
    assert [len(run(*c)[1][k]) for c, k in ((("list",), "lists"), (("find", "marys"), "endpoints"))] == [1, 1]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code"),
    [
        (("find", "x"), 6, "no_lists"),
        (("import", "absent.json"), 3, "file_not_found"),
        (("import", "EMPTY"), 3, "empty_file"),
        (("import", "PAGE"), 3, "not_json"),
        (("import", "PATIENT"), 3, "not_an_endpoint_list"),
        (("import", "GOOD", "--vendor", "nobody"), 2, "unknown_vendor"),
        (("import", "GOOD", "GOOD", "--name", "x"), 2, "usage"),
        (("IMPORTED", "find", "zzyzx"), 6, "unknown_endpoint"),
        (("IMPORTED", "find", "mary", "--vendor", "nobody"), 2, "unknown_vendor"),
        (("IMPORTED", "site", "mary"), 6, "several_endpoints"),
        (("IMPORTED", "site", "ffffffffff"), 6, "unknown_endpoint"),
        (("DAMAGED", "find", "mary"), 3, "directory_damaged"),
    ],
)
def test_what_cannot_be_done_has_a_code(
    run: Run, published: Path, tmp_path: Path, arguments: tuple[str, ...], exit_code: int, code: str
) -> None:
    contents = {"EMPTY": " ", "PAGE": "<html>", "PATIENT": '{"resourceType": "Patient"}'}
    files = {name: tmp_path / f"{name}.json" for name in contents}
    for name, text in contents.items():
        files[name].write_text(text)
    first, *rest = arguments
    if first in ("IMPORTED", "DAMAGED"):
        run("import", published)
        arguments = tuple(rest)
    if first == "DAMAGED":
        (tmp_path / "home/directory/vendor-list.json").write_text("{")
    done, document = run(*(files.get(a, published if a == "GOOD" else a) for a in arguments))
    assert (done, document["error"]["code"]) == (exit_code, code)
    if code == "several_endpoints":
        assert len(document["endpoints"]) >= 2 and all(
            e["id"] in document["error"]["message"] for e in document["endpoints"]
        )

"""Files of one command that are about different people: kept apart, and said so, with no more of them than is needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from documents_kit import NOW, PERSON, PROBLEMS, coded, document, problem, section

from models.record import RawResource
from service.cli.main import main
from service.cli.persons import Claim, claims_of

ASTHMA, GOUT = (coded("value", c, d, kind="CD") for c, d in (("195967001", "Asthma"), ("90560007", "Gout")))
OTHER = PERSON.replace("19700501", "19820917").replace("Ada", "Bruno").replace("Moor", "Kessler").replace('"F"', '"M"')


def fhir(born: str, family: str, drug: str, given: str = "Ada") -> bytes:
    """A Patient/1 with a Medication/m and a request for it: the same ids at every hospital."""
    person = {"resourceType": "Patient", "id": "1", "birthDate": born, "name": [{"family": family, "given": [given]}]}
    held = {"resourceType": "Medication", "id": "m", "code": {"text": drug}}
    order = {
        "resourceType": "MedicationRequest", "id": "r", "status": "active", "intent": "order", "subject": {"reference": "Patient/1"},
        "medicationReference": {"reference": "Medication/m"},
    }  # fmt: skip
    return json.dumps({"resourceType": "Bundle", "entry": [{"resource": r} for r in (person, held, order)]}).encode()


def run(capsys: pytest.CaptureFixture[str], *argv: str | Path) -> tuple[int, Any, str]:
    capsys.readouterr()
    code = main([str(a) for a in argv])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out.startswith("{") else out, err


def files(folder: Path, **contents: bytes) -> Path:
    for name, content in contents.items():
        (folder / name.replace("_", ".")).write_bytes(content)
    return folder


def test_two_people_with_one_number_do_not_become_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two hospitals give the same number, of different roots: the document is filed under the number alone."""
    first = document(section(PROBLEMS, problem(ASTHMA)))
    second = document(
        section(PROBLEMS, problem(GOUT)), head=OTHER.replace('root="1.2.3"', 'root="4.5.6"'), ids='<id root="9.9.2"/>'
    )
    files(tmp_path, a_xml=first, b_xml=second)
    code, out, err = run(capsys, "normalize", tmp_path, "--json")
    assert code == 0 and {p["id"]: p["name"] for p in out["patients"]} == {
        "MRN7": "Ada Moor",
        "MRN7 (2)": "Bruno Kessler",
    }
    (warning,) = out["warnings"]
    assert (warning["code"], warning["files"], warning["differs"]) == (
        "patients_differ",
        ["a.xml", "b.xml"],
        "birth date",
    )
    assert "A. M., born 1970" in warning["message"] and "B. K., born 1982" in warning["message"]
    for more in ("Moor", "Kessler", "Bruno", "0917"):
        assert more not in warning["message"]
    assert json.loads(err.splitlines()[0])["warning"] == warning
    code, out, err = run(capsys, "context", "--bundle", tmp_path, "--json")
    assert (code, out["error"]["code"], len(out["error"]["warnings"])) == (6, "several_patients", 1)
    code, out, err = run(capsys, "context", "--bundle", tmp_path, "--patient", "MRN7", "--json")
    assert (code, out["error"]["code"]) == (6, "patients_differ")
    assert out["error"]["patients"] == ["MRN7", "MRN7 (2)"]


def test_what_has_the_same_id_at_two_hospitals_is_two_things(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files(tmp_path, a_json=fhir("1970-05-01", "Moor", "Metformin"), b_json=fhir("1982-09-17", "Moor", "Warfarin"))
    _, out, _ = run(capsys, "normalize", tmp_path, "--json")
    drugs = {p["id"]: p["entries"] for p in out["patients"]}
    assert drugs == {"1": 2, "1 (2)": 2}
    named = [e["concept"]["text"] for e in out["entries"] if e["section"] == "medications"]
    assert sorted(named) == ["Metformin", "Warfarin"] and out["ledger"]["offered"] == 6
    code, shown, _ = run(capsys, "context", "--bundle", tmp_path, "--patient", "1 (2)")
    assert code == 0 and "Warfarin" in shown and "Metformin" not in shown


def test_the_same_person_in_several_files_stays_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    married = fhir("1970-05-01", "Kessler-Moor", "Warfarin")
    files(
        tmp_path, a_json=fhir("1970-05-01", "Moor", "Metformin"), b_json=married, c_json=fhir("1970-05", "", "Aspirin")
    )
    _, out, err = run(capsys, "normalize", tmp_path, "--json")
    assert [p["id"] for p in out["patients"]] == ["1"] and out["warnings"] == [] and not err


def test_who_is_left_out_by_the_choice_of_a_patient_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files(tmp_path, a_xml=document(section(PROBLEMS, problem(ASTHMA))), b_json=fhir("1982-09-17", "Roe", "Warfarin"))
    _, out, _ = run(capsys, "normalize", tmp_path, "--patient", "MRN7", "--json")
    assert [(w["code"], w["patients"], w["resources"]) for w in out["warnings"]] == [("patients_left_out", ["1"], 2)]
    code, shown, err = run(capsys, "context", "--bundle", tmp_path, "--patient", "MRN7")
    assert code == 0 and "Asthma" in shown and "Warfarin" not in shown
    assert json.loads(err.splitlines()[0])["warning"]["code"] == "patients_left_out"


def test_a_patient_whom_no_file_is_about_is_an_error_that_says_whom_they_are_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files(tmp_path, a_xml=document(section(PROBLEMS, problem(ASTHMA))))
    code, out, _ = run(capsys, "context", "--bundle", tmp_path / "a.xml", "--patient", "MRN8", "--json")
    assert (code, out["error"]["code"], out["error"]["patients"]) == (6, "unknown_patient", ["MRN7"])
    assert "MRN7 (A. M., born 1970)" in out["error"]["message"] and "Moor" not in out["error"]["message"]


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        (Claim("1970-05-01"), Claim("1970-05-02"), "birth date"),
        (Claim("1970-05-01"), Claim("1970-05"), ""),
        (Claim("1970"), Claim("1971-05-01"), "birth date"),
        (Claim(family=frozenset({"moor"}), given=frozenset({"ada"})), Claim(family=frozenset({"roe"}), given=frozenset({"ada"})), ""),
        (Claim(family=frozenset({"moor"}), given=frozenset({"ada"})), Claim(family=frozenset({"roe"}), given=frozenset({"bo"})), "family name and given name"),
        (Claim(given=frozenset({"ada"}), sex="female"), Claim(given=frozenset({"bo"}), sex="male"), "given name and sex"),
        (Claim(given=frozenset({"ada"}), sex="unknown"), Claim(given=frozenset({"bo"}), sex="male"), ""),
        (Claim(), Claim("1970-05-01", frozenset({"moor"}), frozenset({"ada"}), "female"), ""),
    ],
)  # fmt: skip
def test_what_contradicts_and_what_does_not(one: Claim, other: Claim, why: str) -> None:
    assert one.differs(other) == other.differs(one) == why


@pytest.mark.parametrize("item", ["[]", "{}", '{"name": "Ada"}', '{"name": [1, {"family": ["Moor"], "given": 7}], "birthDate": 1970, "gender": {}}', "{"])  # fmt: skip
def test_an_oddly_shaped_patient_claims_what_it_can(item: str) -> None:
    raw = RawResource(
        tenant="t", site="s", resource_type="Patient", resource_id="p", content=item.encode(), retrieved=NOW
    )
    assert all(claim.words for claim in claims_of(raw))

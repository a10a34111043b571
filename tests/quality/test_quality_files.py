"""`chartbrief quality FILE...` as a user's shell sees it, its page, and the corpora."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from models.quality import QualityReport
from models.quality.measure import CODING_CLASSES
from service.cli.main import main
from service.page.plots import bar, histogram, stack
from service.page.quality import percent

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "data"
NAME = "Vantongeren<script>alert(1)</script>"


def bundle(path: Path, *, patients: int = 1, labs: bool = True) -> Path:
    found: list[dict[str, Any]] = []
    for n in range(patients):
        about = {"reference": f"Patient/p{n}"}
        loinc = {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]}
        found += [
            {"resourceType": "Patient", "id": f"p{n}", "birthDate": "1940-01-01", "name": [{"family": NAME}]},
            {"resourceType": "Encounter", "id": f"e{n}", "status": "finished", "subject": about,
             "class": {"code": "AMB"}, "period": {"start": "2026-01-02"}},
            {"resourceType": "Condition", "id": f"c{n}", "subject": about, "code": {"text": "<img src=x onerror=1>"}},
        ]  # fmt: skip
        if labs:
            value = {"value": 7.1, "unit": "%", "code": "%", "system": "http://unitsofmeasure.org"}
            found.append(
                {"resourceType": "Observation", "id": f"o{n}", "status": "final", "subject": about, "code": loinc,
                 "category": [{"coding": [{"code": "laboratory"}]}], "effectiveDateTime": "2026-01-02",
                 "valueQuantity": value}
            )  # fmt: skip
    document = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": r} for r in found]}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def run(capsys: Any, *words: object) -> tuple[int, dict[str, Any]]:
    code = main(["quality", *map(str, words), "--json", "--as-of", "2026-03-04"])
    return code, json.loads(capsys.readouterr().out)


def rule(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(e for e in document["report"]["expectations"] if e["rule"] == name)
    return found


def test_what_a_file_does_not_hold_is_unknown_unless_it_is_the_whole(tmp_path: Path, capsys: Any) -> None:
    file = bundle(tmp_path / "a.json", patients=2)
    code, document = run(capsys, file)
    assert code == 0 and document["report"]["patients"] == 2
    asked = rule(document, "seen_without_allergy_statement")
    assert (asked["of"], asked["broken"], asked["unknown"]) == (2, 0, 2)
    code, document = run(capsys, file, "--whole")
    asked = rule(document, "seen_without_allergy_statement")
    assert (code, asked["broken"], asked["unknown"]) == (0, 2, 0)
    assert document["report"]["findings"][0]["severity"] == "high"


def test_what_could_not_be_read_leaves_open_only_what_its_own_patient_has(tmp_path: Path, capsys: Any) -> None:
    file = bundle(tmp_path / "a.json", patients=3)
    document = json.loads(file.read_text(encoding="utf-8"))
    deep: Any = 1
    for _ in range(80):
        deep = [deep]
    torn = {"resourceType": "AllergyIntolerance", "id": "x", "patient": {"reference": "Patient/p0"}, "note": deep}
    document["entry"].append({"resource": torn})
    file.write_text(json.dumps(document), encoding="utf-8")
    code, document = run(capsys, file, "--whole")
    assert (code, document["report"]["quarantine"]) == (0, {"too_deep": 1})
    asked = rule(document, "seen_without_allergy_statement")
    assert (asked["broken"], asked["unknown"]) == (2, 1), "of the patient it names it may be the answer"
    del torn["patient"]
    document = json.loads(bundle(tmp_path / "a.json", patients=3).read_text(encoding="utf-8"))
    document["entry"].append({"resource": torn})
    file.write_text(json.dumps(document), encoding="utf-8")
    _, document = run(capsys, file, "--whole")
    asked = rule(document, "seen_without_allergy_statement")
    assert (asked["broken"], asked["unknown"]) == (3, 0), "one that names nobody does not blind all"
    allergies = next(s for s in document["report"]["sections"] if s["section"] == "allergies")
    assert allergies["resources"] == {"offered": 1, "quarantined": 1, "stored": 0, "missing": 0}, "and is counted"
    document = json.loads(bundle(tmp_path / "a.json", patients=1).read_text(encoding="utf-8"))
    document["entry"].append({"resource": torn})
    file.write_text(json.dumps(document), encoding="utf-8")
    assert rule(run(capsys, file, "--whole")[1], "seen_without_allergy_statement")["unknown"] == 1, (
        "one patient's files"
    )


def test_a_report_of_several_patients_holds_no_person(tmp_path: Path, capsys: Any) -> None:
    _, document = run(capsys, bundle(tmp_path / "a.json", patients=2))
    text = json.dumps(document)
    assert document["report"]["scope"] == "files" and document["report"]["examples"] == {}
    assert "Vantongeren" not in text and "onerror" not in text
    _, document = run(capsys, tmp_path / "a.json", "--patient", "p1")
    assert document["report"]["scope"] == "patient" and document["report"]["patients"] == 1
    assert document["report"]["examples"]["coding/problems/words_only"]
    assert document["report"]["resources"] == {"offered": 4, "stored": 4, "quarantined": 0, "reported_missing": 0}


def test_what_was_there_and_is_not_ends_with_8(tmp_path: Path, capsys: Any) -> None:
    old = tmp_path / "old.json"
    _, document = run(capsys, bundle(tmp_path / "a.json"))
    old.write_text(json.dumps(document), encoding="utf-8")
    assert run(capsys, tmp_path / "a.json", "--compare", old)[0] == 0
    code, document = run(capsys, bundle(tmp_path / "b.json", labs=False), "--compare", old, "--whole")
    assert code == 8 and document["error"]["code"] == "quality_alerts"
    assert [a["section"] for a in document["alerts"]] == ["labs"]
    assert document["trend"]["changes"][0]["direction"] == "worse"
    old.write_text(json.dumps(document["report"]), encoding="utf-8")  # a bare report is one too
    assert run(capsys, tmp_path / "b.json", "--compare", old)[0] == 0


@pytest.mark.parametrize(
    ("content", "code"), [("[1, 2]", "not_a_report"), ('{"a"', "not_a_report"), (None, "file_not_found")]
)
def test_what_is_no_report_is_refused(tmp_path: Path, capsys: Any, content: str | None, code: str) -> None:
    old = tmp_path / "old.json"
    if content is not None:
        old.write_text(content, encoding="utf-8")
    exit_code, document = run(capsys, bundle(tmp_path / "a.json"), "--compare", old)
    assert (exit_code, document["error"]["code"]) == (3, code)


def test_other_things_are_not_compared_and_nothing_is_no_question(tmp_path: Path, capsys: Any) -> None:
    old = tmp_path / "old.json"
    _, document = run(capsys, bundle(tmp_path / "a.json"), "--patient", "p0")
    old.write_text(json.dumps(document), encoding="utf-8")
    code, document = run(capsys, tmp_path / "a.json", "--compare", old)
    assert (code, document["error"]["code"]) == (2, "not_comparable")
    assert run(capsys)[1]["error"]["code"] == "usage"
    assert run(capsys, tmp_path / "a.json", "--site", "north")[1]["error"]["code"] == "usage"
    assert run(capsys, tmp_path / "a.json", "--compare", "previous")[1]["error"]["code"] == "usage"
    assert run(capsys, tmp_path / "a.json", "--patient", "nobody")[1]["error"]["code"] == "unknown_patient"


def test_for_people_and_as_a_page(tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "q.html"
    file = bundle(tmp_path / "a.json")
    assert main(["quality", str(file), "--patient", "p0", "--html", str(out)]) == 0
    assert "What to fix first" in capsys.readouterr().out
    page = out.read_text(encoding="utf-8")
    assert stat.S_IMODE(out.stat().st_mode) == 0o600, "a patient's page is its owner's"
    assert "<script" not in page and "onerror" not in page and "http://" not in page.split("<body>")[0]
    assert "Vantongeren" not in page


def test_a_share_of_nothing_is_drawn_and_worded_as_unknown() -> None:
    assert "unknown: nothing was counted" in bar(0, 0) and 'class="good"' not in bar(0, 0)
    assert 'width="40.0"' in bar(1, 4) and 'aria-label="1 of 4"' in bar(1, 4)
    drawn = stack([("good", 3, "<b>"), ("bad", 0, "none"), ("warn", 1, "few")])
    assert "<b>" not in drawn and 'x="120.0"' in drawn and 'class="bad"' not in drawn
    assert histogram([0] * 10, "nothing") == ""
    words = [percent(s) for s in (None, 0.0, 0.0001, 0.5, 0.99951, 1.0)]
    assert words == ["unknown", "0 %", "< 0.1 %", "50.0 %", "> 99.9 %", "100 %"]


async def test_the_page_opens_in_a_browser(tmp_path: Path, capsys: Any) -> None:
    """Nothing is loaded, nothing is reported on the console, nothing is wider than the window, every bar is drawn."""
    browsers = pytest.importorskip("playwright.async_api")
    chromium = Path("/usr/bin/chromium")
    if not chromium.exists():
        pytest.skip("no chromium")
    out = tmp_path / "q.html"
    assert main(["quality", str(bundle(tmp_path / "a.json", patients=3)), "--whole", "--html", str(out)]) == 0
    async with browsers.async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(chromium), args=["--no-sandbox"])
        tab = await browser.new_page(viewport={"width": 1280, "height": 900})
        said: list[str] = []
        asked: list[str] = []
        tab.on("console", lambda message: said.append(message.text))
        tab.on("request", lambda request: asked.append(request.url))
        await tab.goto(out.as_uri())
        assert (said, asked) == ([], [out.as_uri()])
        assert await tab.evaluate("document.documentElement.scrollWidth") <= 1280
        assert await tab.evaluate(
            "[...document.querySelectorAll('svg')].every(s => s.getBoundingClientRect().width > 0)"
        )
        assert await tab.evaluate("document.querySelectorAll('svg').length") > 40
        await browser.close()


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS.exists(), reason="the corpus ../shared/data is absent")
@pytest.mark.parametrize(
    ("folder", "least"),
    [("fhir-synthea-r4", 15), ("fhir-uscore-examples", 2), ("fhir-uscore-inferno", 4), ("fhir-bulk-ndjson-10", 10),
     ("ccda-onc-cures", 2)],
)  # fmt: skip
def test_the_corpora(capsys: Any, folder: str, least: int) -> None:
    code, document = run(capsys, CORPUS / folder, "--whole")
    report = QualityReport.from_dict(document["report"])
    assert code == 0 and report.patients >= least
    account = report.resources
    assert account["offered"] == account["stored"] + account["quarantined"] + account["reported_missing"]
    assert sum(report.quarantine.values()) == account["quarantined"]
    for row in report.coding:
        assert row.of == sum(getattr(row, name) for name in CODING_CLASSES)
    for s in report.sections:
        assert s.some + s.none + s.unknown == report.patients
    assert report.findings and all(f.affected <= f.of for f in report.findings)

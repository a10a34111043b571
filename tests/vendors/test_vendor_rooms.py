"""A vendor's room: profile, README, quality card; and no vendor's name anywhere else in the code."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from pathlib import Path

import pytest

from adapters.profile import VENDORS, load_profile, variants, vendors
from models.record import SECTIONS

ROOT = Path(__file__).parents[2]
FIXTURES = Path(__file__).parent
DRESSES = ROOT / "service/practice_ehr/dresses"
RULES = {
    "searches", "error-answers", "quirk-evidence", "quirk-fixtures", "practice-dress", "backend-services",
    "live-sandbox", "standalone-launch", "bulk-export", "write-back", "site-example",
}  # fmt: skip
EXTRA = {"second-api", "superseded-reports", "older-release"}
NAMES = re.compile(
    r"\bepic\b|cerner|oracle.?health|athena|eclinicalworks|\becw\b|healow|nextgen|meditech|veradigm|allscripts|drchrono|medhost|millennium|soarian",
    re.IGNORECASE,
)
OWN_ROOMS = ("adapters/vendors/", "service/practice_ehr/dresses/")
CODE = ("adapters", "context_builder", "models", "nlp", "service")


def quality(vendor: str) -> dict[str, dict[str, str]]:
    return tomllib.loads((VENDORS / vendor / "quality.toml").read_text("utf-8"))


@pytest.mark.parametrize("vendor", vendors())
def test_the_quality_card_answers_every_rule_and_says_why_not(vendor):
    card = quality(vendor)
    assert set(card) >= RULES and set(card) <= RULES | EXTRA
    for rule, row in card.items():
        assert row["state"] in ("done", "todo", "exempt"), rule
        assert set(row) <= {"state", "why"}
        assert (row["state"] == "done") is not bool(row.get("why")), f"{rule}: done needs no reason, the rest does"
        assert row["state"] == "done" or len(row["why"]) > 20


@pytest.mark.parametrize("vendor", vendors())
def test_what_the_card_calls_done_is_done(vendor):
    card, profile = quality(vendor), load_profile(vendor)
    done = {rule for rule, row in card.items() if row["state"] == "done"}
    assert ("searches" in done) <= (set(profile.sections) == set(SECTIONS))
    assert ("error-answers" in done) <= bool(profile.answers)
    assert ("quirk-evidence" in done) <= all(
        q.evidence and date(2020, 1, 1) < q.date < date(2027, 1, 1) for q in profile.quirks
    )
    recorded = {p.stem for p in (FIXTURES / vendor).glob("*.json")}
    assert ("quirk-fixtures" in done) <= (recorded == {q.name for q in profile.quirks})
    assert ("practice-dress" in done) == (DRESSES / f"{vendor}.toml").is_file()
    assert ("site-example" in done) == bool(list((VENDORS / vendor / "examples").glob("*.toml")))


@pytest.mark.parametrize("vendor", vendors())
def test_the_readme_says_what_to_expect_how_to_register_and_what_the_site_file_needs(vendor):
    text = (VENDORS / vendor / "README.md").read_text("utf-8")
    for part in ("**What to expect.**", "**How to register.**"):
        assert part in text
    assert "site file" in text.lower() and len(text) > 1200
    for name in load_profile(vendor).site_params:
        assert name in text
    for name in variants(vendor):
        assert f'variant = "{name}"' in text
    for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL):
        assert tomllib.loads(block), "what is shown can be pasted"


def test_no_vendor_is_named_in_the_trunk():
    """Vendor behaviour is data: a name in the code is an if-chain in the making. Cast lists of the demo data are data."""
    named = []
    for room in CODE:
        for path in sorted((ROOT / room).rglob("*.py")):
            where = path.relative_to(ROOT).as_posix()
            if where.startswith(OWN_ROOMS):
                continue
            for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
                if NAMES.search(line):
                    named.append(f"{where}:{number}: {line.strip()}")
    assert named == []

"""docs/add-a-vendor.md, followed to the letter in an empty folder: what it writes passes the checks every vendor passes."""

from __future__ import annotations

import inspect
import re
import shutil
from pathlib import Path

import pytest
import test_quirks
import test_site_examples
import test_vendor_rooms

from adapters import profile
from adapters.errors import ConfigurationError
from adapters.profile import load_profile, load_site

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/add-a-vendor.md").read_text("utf-8")
FILE = re.compile(r"^`((?:adapters|tests)/vendors/acme/[\w./-]+)`\n\n(`{3,4})\w+\n(.*?)^\2\n", re.DOTALL | re.MULTILINE)


@pytest.fixture
def followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the page was followed; profiles and checks look there."""
    for where, _, text in FILE.findall(GUIDE):
        path = tmp_path / where
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    shutil.copy(profile.VENDORS / "defaults.toml", tmp_path / "adapters/vendors/defaults.toml")
    monkeypatch.setattr(profile, "VENDORS", tmp_path / "adapters/vendors")
    monkeypatch.setattr(test_vendor_rooms, "VENDORS", tmp_path / "adapters/vendors")
    monkeypatch.setattr(test_vendor_rooms, "FIXTURES", tmp_path / "tests/vendors")
    monkeypatch.setattr(test_quirks, "FIXTURES", sorted(tmp_path.glob("tests/vendors/*/*.json")))
    return tmp_path


def test_the_page_names_the_files_of_a_vendor(followed: Path) -> None:
    written = {p.relative_to(followed).as_posix() for p in followed.rglob("*acme/**/*") if p.is_file()}
    assert written == {
        "adapters/vendors/acme/profile.toml",
        "adapters/vendors/acme/README.md",
        "adapters/vendors/acme/quality.toml",
        "adapters/vendors/acme/examples/practice.toml",
        "tests/vendors/acme/module-not-licensed.json",
    }
    assert profile.vendors() == ("acme",)
    site = load_site(followed / "adapters/vendors/acme/examples/practice.toml")
    assert site.profile().paging.count == 40 and [q.name for q in site.profile().quirks] == ["module-not-licensed"]


def test_its_room_passes_the_checks_of_every_vendors_room(followed: Path) -> None:
    checks = [
        check
        for name, check in inspect.getmembers(test_vendor_rooms, inspect.isfunction)
        if name.startswith("test_") and "vendor" in inspect.signature(check).parameters
    ]
    assert len(checks) >= 3
    for check in checks:
        check("acme")
    test_quirks.test_every_rule_about_answers_is_met_by_a_recorded_one("acme")


async def test_its_quirk_runs_through_the_generic_quirk_test(followed: Path) -> None:
    (fixture,) = test_quirks.FIXTURES
    test_quirks.test_fixtures_are_tiny_and_say_where_they_come_from(fixture)
    await test_quirks.test_quirk(fixture)


async def test_its_site_file_passes_the_checks_of_every_ready_site_file(followed: Path) -> None:
    """All of `pytest tests/vendors`, the page's last step: a vendor without a dress of its own fails none of it."""
    example = followed / "adapters/vendors/acme/examples/practice.toml"
    test_site_examples.test_it_loads_and_says_where_its_facts_come_from(example)
    await test_site_examples.test_it_reads_a_practice_hospital_of_its_kind(example)


async def test_the_quirk_test_notices_when_the_profile_does_not_know_the_quirk(followed: Path) -> None:
    file = followed / "adapters/vendors/acme/profile.toml"
    file.write_text(re.sub(r"\[\[answers\]\].*?\n\n", "", file.read_text("utf-8"), flags=re.DOTALL), "utf-8")
    with pytest.raises(AssertionError):
        await test_quirks.test_quirk(test_quirks.FIXTURES[0])


def test_a_word_the_schema_does_not_have_fails_to_load(followed: Path) -> None:
    file = followed / "adapters/vendors/acme/profile.toml"
    file.write_text('if_vendor = "acme"\n' + file.read_text("utf-8"), "utf-8")
    with pytest.raises(ConfigurationError) as error:
        load_profile("acme")
    assert error.value.code == "invalid_profile" and "if_vendor" in str(error.value)


def test_a_card_that_claims_what_is_not_there_fails(followed: Path) -> None:
    shutil.rmtree(followed / "adapters/vendors/acme/examples")
    with pytest.raises(AssertionError):
        test_vendor_rooms.test_what_the_card_calls_done_is_done("acme")

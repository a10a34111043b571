"""`chartbrief demo` as a new user runs it: in a process of its own, twice, with a database of the user's own nearby."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


def demo(home: Path) -> str:
    """What `chartbrief demo --once` prints."""
    environment = os.environ | {
        "CHARTBRIEF_HOME": str(home),
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/the_users_own",  # must not be touched
        "COLUMNS": "120",
    }
    done = subprocess.run(
        [sys.executable, "-m", "service.cli.main", "demo", "--once", "--port", "0"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def printed(home: Path) -> str:
    return demo(home)


def test_it_opens_with_what_it_did_and_where_to_look(printed: str) -> None:
    first = printed.splitlines()[:8]
    assert "three hospitals" in first[0]
    assert any(re.search(r"http://127\.0\.0\.1:\d+/patients/\w+", line) for line in first)
    assert any("cb_" in line for line in first)


def test_nothing_disappeared_at_any_hospital(printed: str) -> None:
    account = re.search(
        r"(\d+) resources offered = (\d+) stored \+ (\d+) quarantined \+ (\d+) reported missing", printed
    )
    assert account
    offered, *parts = map(int, account.groups())
    assert offered == sum(parts) > 500
    for site in ("lakeshore", "river-valley", "prairie"):
        row = next(line for line in printed.splitlines() if line.strip().startswith(site))
        numbers = [int(n) for n in re.findall(r"\s(\d+)\s", row.replace("  ", "   "))][:5]
        assert numbers[1] == sum(numbers[2:5]) > 0, row


def test_what_is_broken_is_told_and_is_no_negative(printed: str) -> None:
    assert re.search(r"prairie: immunizations failed", printed)
    assert not re.search(r"\bno (known )?(immunizations|vaccin)", printed, re.IGNORECASE)
    assert "too busy" in printed, "the hospital that asked for patience got it"


def test_every_citation_of_the_summary_is_explained_by_a_key(printed: str) -> None:
    summary = printed.split("# Summary", 1)[1].split("\nTry", 1)[0]
    statements = [line for line in summary.splitlines() if line.startswith("- ")]
    silent = {"What is not known", "Completeness"}
    heading, uncited = "", []
    for line in summary.splitlines():
        if line.startswith("## "):
            heading = line[3:]
        elif line.startswith("- ") and heading not in silent and not re.search(r"\[[A-Z]\d+\]", line):
            uncited.append(line)
    assert len(statements) > 30
    assert not [u for u in uncited if not re.search(r"asked|query|not ", u, re.IGNORECASE)], uncited


def test_the_second_run_says_the_same(home: Path, printed: str) -> None:
    def lasting(text: str) -> list[str]:
        text = re.sub(r"cb_\w+|127\.0\.0\.1:\d+|/patients/\w+", "...", text)
        requests = re.compile(
            r"^( (?:lakeshore|river-valley|prairie) .*?) +\d+"
        )  # a token that is still good saves one
        return [requests.sub(r"\1", line) for line in text.splitlines()]

    assert lasting(demo(home)) == lasting(printed)

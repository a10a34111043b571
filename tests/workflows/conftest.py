"""Makes workflow_kit importable; a practice hospital with one patient; a runtime that is closed again."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from workflow_kit import RECORD

from service.practice_ehr import Hospital, PracticeEhr
from service.store import Store
from service.workflows import Runtime


@pytest.fixture
def hospital() -> Iterator[Callable[..., PracticeEhr]]:
    """Starts practice hospitals that end with the test."""
    running: list[PracticeEhr] = []

    def start(key: str = "north", **more: object) -> PracticeEhr:
        ehr = PracticeEhr(Hospital(key=key, resources=RECORD, **more)).start()
        running.append(ehr)
        return ehr

    yield start
    for ehr in running:
        ehr.stop()


@pytest.fixture
def runtime(store: Store) -> Iterator[Runtime]:
    """A running runtime over the test's store."""
    with Runtime(store) as running:
        yield running

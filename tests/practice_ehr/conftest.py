"""Practice hospitals over real HTTP, as fixtures."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode: the kit is a plain module beside the tests

from practice_kit import RESOURCES, Json

from service.practice_ehr import Dress, Hospital, PracticeEhr

Start = Callable[..., PracticeEhr]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Start hospitals that live as long as the module."""
    running: list[PracticeEhr] = []

    def _start(dress: str | Dress = "generic", resources: list[Json] | None = None, **more: Any) -> PracticeEhr:
        hospital = Hospital(key="north", dress=dress, resources=RESOURCES if resources is None else resources, **more)
        running.append(PracticeEhr(hospital).start())
        return running[-1]

    yield _start
    for ehr in running:
        ehr.stop()


@pytest.fixture(scope="module")
def plain(start: Start) -> PracticeEhr:
    """An open hospital in the plain dress."""
    return start()

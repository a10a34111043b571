"""Conformance uses the kits of the adapters, the practice EHR and the faults."""

import sys
from pathlib import Path

import pytest

from adapters.conformance import probing

for _room in ("adapters", "practice_ehr", "faults", "conformance"):
    sys.path.insert(0, str(Path(__file__).parents[1] / _room))


@pytest.fixture(autouse=True)
def _few_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times are not what most tests are about."""
    monkeypatch.setattr(probing, "REPEATS", 1)

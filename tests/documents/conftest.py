"""The documents' kit, and those of the adapters for documents that a practice hospital serves."""

from __future__ import annotations

import sys
from pathlib import Path

for _room in ("adapters", "documents"):
    sys.path.insert(
        0, str(Path(__file__).parents[1] / _room)
    )  # importlib mode: kits are plain modules beside the tests

"""Faults use the kits of the adapters, the practice EHR and the workflows, beside their own."""

import sys
from pathlib import Path

for _room in ("adapters", "practice_ehr", "workflows", "faults"):
    sys.path.insert(0, str(Path(__file__).parents[1] / _room))

"""Writing into practice hospitals over real HTTP."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
for folder in (HERE.parent / "adapters", HERE.parent / "practice_ehr", HERE.parent / "store", HERE.parent / "api"):
    sys.path.insert(0, str(folder))

"""The app of the API tests; the wire server of the adapters."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
for folder in (HERE.parent / "api", HERE.parent / "store", HERE.parent / "adapters"):
    sys.path.insert(0, str(folder))

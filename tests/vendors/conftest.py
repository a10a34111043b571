"""The recorded exchanges run on the adapters' kit; the guide's test runs this folder's own checks."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
for folder in (HERE.parent / "adapters", HERE):
    sys.path.insert(0, str(folder))

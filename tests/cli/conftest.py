"""The API tests' hospital and world, for the commands."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
for folder in (HERE.parent / "api", HERE.parent / "store", HERE.parent / "models" / "terminology" / "releases"):
    sys.path.insert(0, str(folder))

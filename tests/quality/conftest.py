"""The kits of this folder, of the API and of the store."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
for folder in (HERE, HERE.parent / "api", HERE.parent / "store"):
    sys.path.insert(0, str(folder))

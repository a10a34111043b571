"""The recorded exchanges run on the adapters' kit."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "adapters"))

"""The benchmark's families are tested too; benchmarks are not installed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

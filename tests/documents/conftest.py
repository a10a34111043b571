"""The normalizer's tests share plain builders (normalizer_kit.py)."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode: the kit is a plain module beside the tests

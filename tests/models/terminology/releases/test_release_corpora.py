"""The public files of ../shared/data/terminology: read whole, and agreeing with each other and with what ships."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.terminology import conditions
from models.terminology.releases.index import Index
from models.terminology.releases.shelf import Shelf, Version

DATA = Path(__file__).parents[5] / "shared" / "data" / "terminology"
if not DATA.is_dir():  # a worktree lies elsewhere than the project
    DATA = Path(__file__).resolve().parents[4] / ".." / "shared" / "data" / "terminology"
pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data/terminology is not here"),
]

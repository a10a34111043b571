"""Tiny releases of each format, made by hand: rows of our own in the publishers' columns."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.terminology import vocabulary

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _nothing_imported() -> Iterator[None]:
    """What a test lets the process read by ends with it."""
    vocabulary.use(None)
    yield
    vocabulary.use(None)

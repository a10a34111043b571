"""What a wording may mean."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from models.record import Coding
from models.record.base import Value


class Candidate(Value, frozen=True):
    """One possible meaning. Used only where it is the only one and sure enough."""

    target: Annotated[Coding, Meta(description="The standard code.")]
    score: Annotated[float, Meta(ge=0, le=1, description="How likely, 0 to 1.")]
    why: Annotated[str, Meta(description="What speaks for it.")] = ""

"""Faults on demand: what goes wrong, for which type, at which request."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

FaultKind = Literal[
    "status",  # answer with `status`
    "delay",  # wait `seconds`, then answer
    "drip",  # one byte a second
    "reset",  # cut the connection in the middle of the body
    "truncated_json",
    "html_login",
    "wrong_resource",  # another resource type than asked for
    "operation_outcome",  # 200 with an OperationOutcome as the whole body
    "bad_entry",  # entries that are no resources among good ones
    "huge_line",  # a 5 MB string in one resource
    "deep",  # nesting of 10,000 levels
    "self_loop",
    "a_b_a",
    "endless",  # fresh next links without end
    "duplicates",  # every page repeats the one before
    "empty_page",  # an empty page with a next link
    "long_link",  # an 8 kB next link
    "foreign_link",  # a next link to another host
    "dead_link",  # the next link answers 404 once
    "expire_token",  # the token dies before this request
]


class Fault(BaseModel):
    """One fault."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: FaultKind
    resource_type: str = Field(default="", description="Only for this type; empty: for every one.")
    first: int = Field(default=1, ge=1, description="From the nth request of that type on.")
    times: int | None = Field(default=None, ge=1, description="For so many requests; None: always.")
    status: int = 503
    retry_after: str | None = None
    seconds: float = 0.0


class Faults:
    """The faults of one practice hospital; they can change while it runs."""

    def __init__(self, faults: list[Fault] | None = None) -> None:
        self.items = list(faults or [])
        self._count: Counter[str] = Counter()

    def set(self, *faults: Fault) -> None:
        """Replace all faults and count anew."""
        self.items = list(faults)
        self._count.clear()

    def due(self, resource_type: str) -> list[Fault]:
        """The faults that hit this request."""
        found = []
        self._count[resource_type] += 1
        for fault in self.items:
            if fault.resource_type and fault.resource_type != resource_type:
                continue
            number = self._count[resource_type]
            if number >= fault.first and (fault.times is None or number < fault.first + fault.times):
                found.append(fault)
        return found

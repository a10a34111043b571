"""What a vendor or site profile may say about reading its resources. Data only: a closed list of words."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from adapters.normalizer.companion import Shape
from adapters.normalizer.memo import Memory

ObservationSection = Literal["vitals", "labs", "social_history", "assessments"]


class NormalizationRules(BaseModel):
    """How to read what this source sends. Everything is optional; an unknown key fails to load."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    system_aliases: dict[str, str] = Field(
        default={}, description="System as sent -> canonical URI, for spellings that only this source uses."
    )
    local_systems: tuple[str, ...] = Field(
        default=(), description="Prefixes of code systems that mean something at this source only."
    )
    code_map: dict[str, str] = Field(
        default={},
        description="Maintained mapping table: 'system|code' -> 'system|code|display' (method map_table, confidence 0.95).",
    )
    category_hints: dict[str, ObservationSection] = Field(
        default={}, description="Observation category code or text (lower case) -> section, for local categories."
    )
    stale_active_days: int = Field(
        default=730, gt=0, description="An active order older than this without renewal is called uncertain."
    )

    companion: dict[str, Shape] = Field(
        default={}, description="How rows of the companion API are read, by RawResource.api; filled from the profile."
    )

    @cached_property
    def memory(self) -> Memory:
        """What coded elements read under these rules have given (see memo)."""
        return {}

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy that remembers nothing: what was read under other rules is not what these would give."""
        made = super().model_copy(update=update, deep=deep)
        made.__dict__.pop("memory", None)
        return made


DEFAULT_RULES = NormalizationRules()

"""What a vendor or site profile may say about reading its resources. Data only: a closed list of words."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from adapters.normalizer.companion import Shape
from adapters.normalizer.memo import Memory
from adapters.normalizer.wordings import WordMemory
from models.terminology.decisions import NO_DECISIONS, Decisions
from models.terminology.mapper import Terminology
from models.terminology.tables import MappingTable, Row, rows_of

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
    mapping_rows: tuple[dict[str, str | float], ...] = Field(
        default=(),
        description="Site-local mapping table, asked before code_map: rows of docs/terminology.md (method map_table).",
    )
    category_hints: dict[str, ObservationSection] = Field(
        default={}, description="Observation category code or text (lower case) -> section, for local categories."
    )
    document_entries: bool = Field(
        default=False,
        description="Read the entries of C-CDA documents attached to DocumentReferences too, marked with method `document`; "
        "otherwise their text only (decision 0017).",
    )
    stale_active_days: int = Field(
        default=730, gt=0, description="An active order older than this without renewal is called uncertain."
    )

    stale_supply_days: int = Field(
        default=180,
        gt=0,
        description="An active order whose supply with all refills ended so long ago is called uncertain.",
    )
    companion: dict[str, Shape] = Field(
        default={}, description="How rows of the companion API are read, by RawResource.api; filled from the profile."
    )

    @cached_property
    def decisions(self) -> Decisions:
        """What people decided for this site in the review queue; the store adds it (see `deciding`)."""
        return NO_DECISIONS

    def deciding(self, decisions: Decisions) -> Self:
        """These rules with a site's decisions. What was remembered stays: it depends on no decision."""
        made = super().model_copy()
        for name in _REMEMBERED:
            made.__dict__[name] = getattr(self, name)
        made.__dict__["decisions"] = decisions
        made.__dict__.pop("dated", None)
        return made

    @cached_property
    def memory(self) -> Memory:
        """What coded elements read under these rules have given (see memo)."""
        return {}

    @field_validator("mapping_rows")
    @classmethod
    def _readable(cls, rows: tuple[dict[str, str | float], ...]) -> tuple[dict[str, str | float], ...]:
        MappingTable("local", rows_of(rows, "mapping_rows"))
        return rows

    @cached_property
    def terminology(self) -> Terminology:
        """The mapper over the tables of this source: site-local rows first, then the profile's code_map."""
        tables: list[tuple[str, MappingTable]] = []
        if self.mapping_rows:
            tables.append(("site", MappingTable("local", rows_of(self.mapping_rows, "mapping_rows"))))
        if self.code_map:
            tables.append(("", MappingTable("profile", [_row(key, value) for key, value in self.code_map.items()])))
        return Terminology(tables)

    @cached_property
    def dated(self) -> bool:
        """Whether what a code means here may depend on the date of its entry."""
        return self.terminology.dated or self.decisions.dated

    @cached_property
    def word_memory(self) -> WordMemory:
        """What wordings gave under these rules, by keyed digest: the words themselves are not kept (see wordings)."""
        return {}

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy that remembers nothing: what was read under other rules is not what these would give."""
        made = super().model_copy(update=update, deep=deep)
        for name in (*_REMEMBERED, "dated"):
            made.__dict__.pop(name, None)
        return made


def _row(key: str, value: str) -> Row:
    """A row of code_map: 'system|code' -> 'system|code|display'."""
    system, _, code = key.rpartition("|")
    target_system, target_code, display = (*value.split("|", 2), "", "")[:3]
    return Row(system=system, code=code, target_system=target_system, target_code=target_code, display=display)


_REMEMBERED = ("memory", "terminology", "word_memory")
DEFAULT_RULES = NormalizationRules()

"""The one base of all record values: frozen, keyword-only, compared by value, JSON in and out by msgspec.

Why msgspec and not pydantic: the record is built inside the bulk path, where pydantic models cost four times the
whole budget (docs/decisions/0002-record-structs.md). Values are validated when they enter (decode, convert); the
rooms that construct them are type-checked.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

T = TypeVar("T", bound="Value")


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An immutable, validated value of the record.

    `gc=False`: values are trees of values, never circles, so the collector need not walk a million of them.
    """

    def to_dict(self) -> dict[str, Any]:
        """This value as JSON-ready builtins; fields at their default are left out."""
        result: dict[str, Any] = msgspec.to_builtins(self)
        return result

    @classmethod
    def from_dict(cls: type[T], data: Any) -> T:
        """Validate `data` (builtins) into this type; raises msgspec.ValidationError with the path of the fault."""
        return msgspec.convert(data, cls)

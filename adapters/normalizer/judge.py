"""The strict verdict on a resource, by fhir.resources: which elements break which rule of the specification.

The judge explains; it never decides what is kept (docs/decisions/0001-tolerant-reader-strict-judge.md). It names element
paths and rules and no value, so that its findings may be logged. What it checks is structure: required elements, element
names, JSON types, formats of primitive types, one value in a choice. It does not check required bindings (any text passes
as a status), invariants, references or profiles.

R4 is judged by the R4B classes: R4B left every type of the record as it was in R4 (https://hl7.org/fhir/R4B/history.html).
Tried on 4,283 R4 resources of Synthea, US Core, Inferno and a bulk export: two were refused, both rightly.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib import import_module
from typing import Annotated, Any, Literal

from msgspec import Meta
from pydantic import BaseModel, ValidationError

from models.record import Value

Rule = Literal["json", "required", "unknown_element", "type", "format", "choice", "other"]
_PACKAGES = {
    "R4": "fhir.resources.R4B",
    "R4B": "fhir.resources.R4B",
    "R5": "fhir.resources",
    "STU3": "fhir.resources.STU3",
}
"""Release -> package of its classes. Never judge by another release's: R5 refuses a third of good R4 resources."""
_WORDS: dict[Rule, str] = {
    "json": "is no JSON",
    "required": "is required",
    "unknown_element": "is no element of this type",
    "type": "has the wrong JSON type",
    "format": "does not have the format of its data type",
    "choice": "has more than one value, or none where one is required",
    "other": "breaks another rule",
}
_ELEMENT = re.compile(r"_?[a-z][A-Za-z0-9]{0,39}")
_MOST = 50
"""Violations named of one resource."""


class Violation(Value, frozen=True):
    """One rule that one element breaks."""

    path: Annotated[
        str, Meta(description="Element path, e.g. component[0].code; the type's name for the whole resource.")
    ]
    rule: Annotated[Rule, Meta(description="Which kind of rule; closed list.")]

    def __str__(self) -> str:
        return f"{self.path} {_WORDS[self.rule]}"


def judge(content: bytes, resource_type: str, release: str = "R4") -> tuple[Violation, ...] | None:
    """What is wrong with a resource's JSON by the classes of its release; () when nothing is; None where there are none.

    There are no classes of DSTU2, of resource types nobody knows, and of types that R4B dropped (MedicinalProduct and kin).
    """
    model = _model(resource_type, release)
    if model is None:
        return None
    try:
        model.model_validate_json(content)
    except ValidationError as error:
        found = dict.fromkeys(
            _violation(row, resource_type) for row in error.errors(include_input=False, include_url=False)
        )
        return tuple(found)[:_MOST]
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
        # seen with a contained resource of an unknown type: fhir_core lets a KeyError through
        return (Violation(path=resource_type, rule="other"),)
    return ()


@lru_cache(maxsize=512)
def _model(resource_type: str, release: str) -> type[BaseModel] | None:
    package = _PACKAGES.get(release)
    if package is None or not resource_type.isascii() or not resource_type.isalpha():
        return None
    try:
        found: type[BaseModel] = import_module(package).get_fhir_model_class(resource_type)
    except (ValueError, KeyError, ImportError):
        return None
    return found


def _violation(row: Any, resource_type: str) -> Violation:
    """pydantic's error as one of ours. Its own words are left out: validators may quote the value."""
    kind, words = str(row["type"]), str(row["msg"])
    where = [part for part in row["loc"] if part != "root"]
    if kind == "json_invalid" and not where:
        return Violation(path=resource_type, rule="json")
    return Violation(path=_path(where) or resource_type, rule=_rule(kind, words))


def _rule(kind: str, words: str) -> Rule:
    if kind.endswith("missing"):
        return "required"
    if kind == "extra_forbidden":
        return "unknown_element"
    if "one field value is expected from this list" in words:
        return "choice"
    if "regex" in words or "pattern" in kind or "_parsing" in kind or kind.endswith(("too_short", "too_long")):
        return "format"
    if kind.endswith("_type") or kind in ("model_validation_format", "json_invalid", "model_attributes_type"):
        return "type"
    return "other"


def _path(parts: list[Any]) -> str:
    """`component[0].code`. A name that cannot be an element's is not repeated: it may be anything."""
    path = ""
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            name = str(part) if _ELEMENT.fullmatch(str(part)) else "(unnamed)"
            path += f".{name}" if path else name
    return path

"""The published JSON Schema of the record."""

from __future__ import annotations

from typing import Any

import msgspec

from models.record.chart import Chart
from models.record.raw import Rejected


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of Chart and everything in it, plus quarantine rows."""
    _, components = msgspec.json.schema_components((Chart, Rejected), ref_template="#/$defs/{name}")
    for component in components.values():
        if "kind" in component.get("properties", {}):  # the tag; msgspec has no place for its description
            component["properties"]["kind"].setdefault("description", "Which kind of fact this is.")
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Chartbrief record",
        "oneOf": [{"$ref": "#/$defs/Chart"}, {"$ref": "#/$defs/Rejected"}],
        "$defs": components,
    }
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(schema))  # defaults are tuples, JSON has lists
    return plain

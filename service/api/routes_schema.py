"""The published shape of the record."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from models.record import json_schema
from service.api.auth import Guarded

router = APIRouter(prefix="/v1", tags=["schema"], route_class=Guarded)


@router.get("/schema/record")
def record_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the chart, its entries and quarantine rows."""
    return json_schema()

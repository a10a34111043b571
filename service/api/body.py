"""Request bodies: JSON that is what it says, and nothing that the rooms below could choke on."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from starlette.requests import Request

from service.api.problems import Problem

DEEPEST = 64
"""Levels of nesting; what we are asked with needs five."""
_UNUSABLE = re.compile(r"[\x00\ud800-\udfff]")
"""NUL, which PostgreSQL cannot hold, and lone surrogates, which no encoder can write."""


class JsonRequest(Request):
    """A request whose JSON is read strictly: UTF-8, finite numbers, usable text, bounded depth (RFC 8259)."""

    async def json(self) -> Any:
        """The body as JSON; raises Problem with a code that says what is wrong with it."""
        if not hasattr(self, "_parsed"):
            self._parsed = parse(await self.body())
        return self._parsed


def must_be_json(request: Request) -> None:
    """Refuse a body that does not say it is JSON."""
    headers = request.headers
    if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
        return
    if headers.get("content-encoding", "identity") != "identity":
        raise Problem("unsupported_media_type", "the body must not be compressed")
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        raise Problem("unsupported_media_type")


def parse(body: bytes) -> Any:
    """The JSON value of a body."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Problem("malformed_json", "the body is not UTF-8") from None
    try:
        value = json.loads(text, parse_constant=_no_such_number)
    except (ValueError, RecursionError):  # ValueError: an integer of thousands of digits too
        raise Problem("malformed_json") from None
    _check(value)
    return value


def _no_such_number(_: str) -> NoReturn:
    raise ValueError("JSON knows no NaN and no Infinity")


def _check(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below += item.keys()
                below += item.values()
            elif isinstance(item, list):
                below += item
            elif isinstance(item, str):
                if _UNUSABLE.search(item):
                    raise Problem("unusable_text")
            elif isinstance(item, float) and not math.isfinite(item):
                raise Problem("malformed_json", "a number is out of range")
        if not below:
            return
        level = below
    raise Problem("malformed_json", f"the body is nested more than {DEEPEST} levels deep")

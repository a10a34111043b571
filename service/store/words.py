"""What the parts of the store share: refusals, the clock, and text as PostgreSQL can hold it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec


class UnknownPatient(KeyError):
    """No such patient in this tenant."""

    code = "unknown_patient"


class UnknownSite(KeyError):
    """No such site in this tenant."""

    code = "unknown_site"


def now_iso() -> str:
    """Now, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def instant(moment: str) -> datetime:
    """An ISO 8601 text as a point in time; without a zone it is UTC."""
    then = datetime.fromisoformat(moment.replace("Z", "+00:00"))
    return then if then.tzinfo else then.replace(tzinfo=UTC)


def clean(text: str) -> str:
    """`text` without NUL, which PostgreSQL cannot hold; the raw bytes keep it."""
    return text.replace("\x00", "\ufffd")


def as_json(value: Any) -> str:
    """JSON that PostgreSQL's jsonb accepts (see `clean`)."""
    encoded = msgspec.json.encode(value).decode()
    if "\\u0000" not in encoded:
        return encoded
    return msgspec.json.encode(_cleaned(msgspec.to_builtins(value))).decode()


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list | tuple):
        return [_cleaned(v) for v in value]
    if isinstance(value, dict):
        return {_cleaned(k): _cleaned(v) for k, v in value.items()}
    return value

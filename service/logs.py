"""Logging: one JSON line an event, known keys only, so that no patient's data can slip in."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

ALLOWED = frozenset(
    [
        "event",
        "level",
        "timestamp",
        "logger",
        "route",
        "status",
        "ms",
        "request_id",
        "code",
        "action",
        "site",
        "section",
        "state",
        "count",
        "error",
        "run_id",
        "tenant",
        "offered",
        "stored",
        "quarantined",
        "missing",
        "requests",
        "version",
        "port",
        "attempt",
        "seconds",
        "kind",
    ]
)
"""Keys a log line may carry. Anything else is dropped and its name is told."""
QUIET = (
    "httpx",
    "httpcore",
    "botocore",
    "boto3",
    "urllib3",
    "dbos",
    "sqlalchemy.engine",
    "alembic",
    "langchain",
    "langchain_aws",
    "langchain_core",
    "langsmith",
    "pypdf",
)


def _only_allowed(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    dropped = sorted(k for k in event if k not in ALLOWED)
    for key in dropped:
        del event[key]
    if dropped:
        event["dropped"] = dropped
    return event


def configure(level: int = logging.INFO, stream: Any = None) -> None:
    """Set up logging for a process. The libraries in QUIET tell URLs, statements or rows below WARNING."""
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _only_allowed,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )

"""What the routes call: the store and the workflows, with their refusals turned into problems."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog

from context_builder import build_context, summarize
from context_builder.document import BudgetTooSmall, ContextDocument, ContextRequest, Summary
from models.record import Chart, Coverage, RawResource
from service.api.problems import Problem
from service.api.session import Sessions
from service.settings import Settings
from service.store import Store

log = structlog.get_logger("chartbrief.api")


@dataclass(frozen=True)
class Principal:
    """The caller: a key with its tenant and role."""

    tenant: str
    key_id: str
    role: str


class Runtime(Protocol):
    """The running workflows, as far as the API starts and follows them."""

    def start_refresh(self, tenant: str, patient_id: str, sites: list[str] | None) -> str:
        """Start a refresh; returns its run id."""

    def run(self, tenant: str, run_id: str, wait_seconds: float) -> Mapping[str, Any] | None:
        """State (and report, once done) of a run; None when there is none."""

    def check_site(self, tenant: str, site: str) -> Mapping[str, Any]:
        """Discover and authorize at a site; says what it supports and refuses."""


@dataclass
class Services:
    """Everything a route may call. Raises Problem and nothing else that a caller could cause."""

    settings: Settings
    store: Store | None
    runtime: Runtime | None

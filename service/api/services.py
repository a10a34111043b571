"""What the routes call: the store and the workflows, with their refusals turned into problems."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

import structlog
from starlette.concurrency import run_in_threadpool

from context_builder import build_context, summarize
from context_builder.document import BadContextRequest, BudgetTooSmall, ContextDocument, ContextRequest, Summary
from models.record import Chart, RawResource
from service.api.problems import Problem
from service.api.schemas import Freshness, FreshnessLine, RegisterBody, RunState, SearchBody
from service.api.session import Sessions
from service.settings import Settings
from service.store import Store

log = structlog.get_logger("chartbrief.api")
T = TypeVar("T")


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


class Reading:
    """Charts, and what is made of them."""

    def context(self, tenant: str, patient_id: str, request: ContextRequest) -> tuple[Chart, ContextDocument]:
        """The chart and its context."""
        chart = self.chart(tenant, patient_id)
        return chart, self._document(chart, request)

    def summary(
        self, tenant: str, patient_id: str, request: ContextRequest
    ) -> tuple[Chart, ContextDocument, Summary]:
        """The chart, its context and the deterministic summary of that."""
        chart, document = self.context(tenant, patient_id, request)
        return chart, document, summarize(document, chart=chart)

    def chart(self, tenant: str, patient_id: str) -> Chart:
        """The chart of a patient."""
        raise Problem("unknown_patient")

    @staticmethod
    def _document(chart: Chart, request: ContextRequest) -> ContextDocument:
        if request.purpose == "question" and not request.question:
            raise Problem("question_required")
        try:
            return build_context(chart, request)
        except BudgetTooSmall as error:
            raise Problem(
                "budget_too_small", budget_tokens=error.budget_tokens, needed_tokens=error.needed_tokens
            ) from None
        except BadContextRequest as error:
            raise Problem("invalid_request", reason=error.code) from None


class Services(Reading):
    """Everything a route or a command may call. What a caller can cause is raised as Problem."""

    def __init__(self, settings: Settings, store: Store | None, runtime: Runtime | None) -> None:
        self.settings = settings
        self.runtime = runtime
        self.sessions = Sessions(secrets.token_bytes(32))
        self._store = store
        self._owns_store = store is None

"""Charts, and what is made of them: contexts and summaries."""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import TYPE_CHECKING

import structlog

from context_builder import summarize
from context_builder.build import build_context
from context_builder.document import BadContextRequest, BudgetTooSmall, ContextDocument, ContextRequest, Summary
from models.record import Chart
from models.record.dates import is_partial_date
from service.api.problems import Problem
from service.settings import Settings

if TYPE_CHECKING:
    from context_builder.model import StatementModel

log = structlog.get_logger("chartbrief.summaries")


class Reading:
    """What a reader asks for. Whoever inherits says where charts come from, and has the settings."""

    settings: Settings

    def chart(self, tenant: str, patient_id: str, as_of: str | None = None) -> Chart:
        """The patient's chart; raises Problem('unknown_patient')."""
        raise Problem("unknown_patient")

    def context(self, tenant: str, patient_id: str, request: ContextRequest) -> tuple[Chart, ContextDocument]:
        """The chart and its context."""
        if request.purpose == "question" and not request.question:
            raise Problem("question_required")
        if request.as_of is not None and not is_partial_date(request.as_of):
            raise Problem("invalid_request", errors=[{"at": "body.as_of", "rule": "date"}])
        chart = self.chart(tenant, patient_id)
        try:
            return chart, build_context(chart, request)
        except BudgetTooSmall as error:
            raise Problem(
                "budget_too_small", budget_tokens=error.budget_tokens, needed_tokens=error.needed_tokens
            ) from None
        except BadContextRequest as error:
            raise Problem("invalid_request", reason=error.code) from None

    def summary(self, tenant: str, patient_id: str, request: ContextRequest) -> tuple[Chart, ContextDocument, Summary]:
        """The chart, its context and its summary: the model's where one is configured and permitted, else the record's."""
        chart, document = self.context(tenant, patient_id, request)
        return chart, document, write_summary(self.model, chart, document, request.question)

    @cached_property
    def model(self) -> StatementModel | None:
        """The configured model, made once; None where the record alone answers."""
        return model_of(self.settings)


def model_of(settings: Settings) -> StatementModel | None:
    """The model of the settings. Nothing is imported or called until it is asked; without a BAA it refuses by itself."""
    if not settings.model_id:
        return None
    from context_builder.bedrock import BedrockStatementModel

    return BedrockStatementModel(
        settings.model_id,
        region=settings.model_region,
        baa_declared=settings.model_baa_declared,
        provider=settings.model_provider,
        endpoint_url=settings.model_endpoint_url,
        seconds=settings.model_seconds,
        attempts=settings.model_attempts,
        max_tokens=settings.model_max_tokens,
        cache_prompt=settings.model_prompt_cache,
    )


def write_summary(
    model: StatementModel | None, chart: Chart, document: ContextDocument, question: str | None = None
) -> Summary:
    """The summary of a context, for callers without an event loop (routes and commands run in threads)."""
    if model is None:
        return summarize(document, chart=chart)
    from context_builder.model import summarize_with_model

    found = asyncio.run(summarize_with_model(document, model, chart=chart, question=question))
    if found.state != "model":
        log.warning("summary_without_model", state=found.state, code=found.reason.partition(":")[0])
    if found.withheld:
        log.info("statements_withheld", count=len(found.withheld))
    return found

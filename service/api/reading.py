"""Charts, and what is made of them: contexts and summaries."""

from __future__ import annotations

from context_builder.build import build_context
from context_builder.document import BadContextRequest, BudgetTooSmall, ContextDocument, ContextRequest, Summary
from models.record import Chart
from models.record.dates import is_partial_date
from service.api.problems import Problem


class Reading:
    """What a reader asks for. Whoever inherits says where charts come from."""

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
        """The chart, its context and the summary that the record alone gives."""
        from context_builder import summarize

        chart, document = self.context(tenant, patient_id, request)
        return chart, document, summarize(document, chart=chart)

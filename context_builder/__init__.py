"""Chart to ContextDocument under a token budget, and what may be said from it."""

from context_builder.build import build_context
from context_builder.document import BudgetTooSmall, ContextDocument, ContextRequest, Summary
from context_builder.summary import summarize

__all__ = ["BudgetTooSmall", "ContextDocument", "ContextRequest", "Summary", "build_context", "summarize"]

"""What a model may say: statements are shown only if the facts they cite say so (docs/summaries.md)."""

from context_builder.verify.reasons import Reason, ReasonCode
from context_builder.verify.verify import MOST_STATEMENTS, Verification, verify

__all__ = ["MOST_STATEMENTS", "Reason", "ReasonCode", "Verification", "verify"]

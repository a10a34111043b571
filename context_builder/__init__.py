"""Chart to ContextDocument under a token budget, and what may be said from it."""

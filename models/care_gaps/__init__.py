"""Measures and the engine that evaluates them."""

"""Narrative reports to findings."""

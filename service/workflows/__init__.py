"""Durable work on the same PostgreSQL (DBOS): refresh a patient from every site that knows them."""

from service.workflows.runtime import Runtime

__all__ = ["Runtime"]

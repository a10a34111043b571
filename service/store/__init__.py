"""PostgreSQL: raw, entries, coverage, quarantine, links, sealed secrets, audit."""

from service.store.server import StoreUnavailable
from service.store.store import Store
from service.store.words import UnknownPatient, UnknownSite

__all__ = ["Store", "StoreUnavailable", "UnknownPatient", "UnknownSite"]

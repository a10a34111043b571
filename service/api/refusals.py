"""The store's refusals as problems, and what cannot name anything."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from adapters.errors import ConfigurationError
from service.api.problems import Problem
from service.store import StoreUnavailable, UnknownPatient, UnknownSite
from service.store.sealing import SealError

HANDLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
"""Shape of every id that reaches the store from a URL; anything else names nothing we hold."""


@contextmanager
def refusals() -> Iterator[None]:
    """The store's refusals as problems."""
    try:
        yield
    except UnknownPatient:
        raise Problem("unknown_patient") from None
    except UnknownSite:
        raise Problem("unknown_site") from None
    except ConfigurationError as error:  # a stored site whose vendor profile has changed under it
        raise Problem("invalid_site", reason=error.code) from None
    except StoreUnavailable as error:
        raise Problem("unavailable", headers={"Retry-After": str(error.retry_after)}) from None
    except SealError:
        raise Problem("unavailable", "the stored secrets cannot be opened with the configured master key") from None


def known(handle: str, code: str) -> None:
    """Refuse what cannot name anything (control characters, quotes, paths), as if it were merely unknown."""
    if not HANDLE.fullmatch(handle):
        raise Problem(code)


def earlier(rows: Iterable[Mapping[str, Any]], report_id: str) -> str:
    """The report before `report_id` among a site's reports, which stand newest first."""
    found = next((str(row["report_id"]) for row in rows if row["report_id"] < report_id), "")
    if not found:
        raise Problem("not_found", "there is no earlier report of this site")
    return found

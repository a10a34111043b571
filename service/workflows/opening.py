"""Opening a configured site: its key or secret, and the tokens of the site or of the patient it is opened for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Literal

from adapters.profile import SiteConfig
from adapters.smart.tokens import MemoryTokens
from adapters.source import Source
from service.store import Store

CLIENT_SECRET = "client_secret"  # noqa: S105  the name of a secret


def open_source(
    store: Store,
    tenant: str,
    config: SiteConfig,
    patient: str = "",
    clock: Callable[[], float] = time.time,
    *,
    anew: bool = False,
    writes: Mapping[str, Literal["create", "update"]] | None = None,
) -> Source:
    """A Source, not entered yet. `patient`: the site's id of whom it is for; with one authorization a patient, theirs.

    `anew`: a backend service gets a token of its own now; a stored one would hide that the site has changed its mind, or
    cover other scopes. `writes`: as for Source. Raises ConfigurationError and SealError.
    """
    key = store.client_key(tenant, config.name, config.profile().key_algorithm) if config.needs_key else None
    secret = store.secret(tenant, config.name, CLIENT_SECRET) if config.client_auth == "client_secret" else None
    own = patient if config.one_patient_each else ""
    tokens = MemoryTokens() if anew and config.auth == "backend" else store.tokens(tenant, own)
    known = (secret or b"").decode()
    return Source(tenant, config, key=key, secret=known, tokens=tokens, clock=clock, writes=writes)

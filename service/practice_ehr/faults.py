"""Faults on demand: what goes wrong, for which type, from which request on. They can change while the hospital runs."""

from __future__ import annotations

import threading
import tomllib
from collections import Counter
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

FaultKind = Literal[
    "status",  # answer with `status`, perhaps with Retry-After
    "delay",  # wait `seconds`, then answer
    "drip",  # one byte every `seconds` (1 when not said)
    "reset",  # the connection is reset before anything is answered
    "endless_body",  # a body that never ends
    "redirect",  # `status` 302 (or as given) to the same address with a mark on it
    "foreign_redirect",  # a redirect to another host
    "cut",  # the connection ends in the middle of the body
    "truncated_json",  # a complete answer that holds half a document
    "html_login",  # 200 with a login page
    "wrong_resource",  # 200 with another resource than a Bundle or the type asked for
    "wrong_entries",  # an entry of another type inside the searchset
    "operation_outcome",  # 200 with an OperationOutcome as the whole body
    "bad_entry",  # entries that are no resources among good ones
    "huge_line",  # a string of `size` bytes (5 MB) in the first resource
    "deep",  # `size` levels (10,000) of nesting in the first resource
    "self_loop",  # next links to itself
    "a_b_a",  # the second page's next is the first
    "endless",  # fresh next links without end
    "duplicates",  # every page repeats the page before
    "empty_page",  # one empty page with a next link before each page
    "long_link",  # next links of more than `size` bytes (8,000)
    "foreign_link",  # next links to another host
    "dead_link",  # the link to a further page is dead
    "expire_token",  # the token used is dead when this request comes
    "token_moved",  # the token endpoint is elsewhere now, discovery says where
    "token_foreign",  # discovery names a token endpoint on another host
    "revoked_client",  # tokens and assertions of all clients are refused
    "scopes_reduced",  # `types` are not granted
    "scopes_lied",  # `types` are in the granted scope, and refused all the same
    "clock_skew",  # the hospital's clock is `seconds` off
    "authorize_error",  # the sign-in goes straight back with the OAuth error `text`
    "launch_expired",  # launches are too old when they arrive
    "code_refused",  # codes are refused
    "refresh_revoked",  # refresh tokens are refused
    "id_token_spoiled",  # the id_token is wrong in its `text`: signature, alg, iss, aud, exp, nonce, missing
    "issuer_foreign",  # the redirect names another issuer
]
PAGING_TRAPS = frozenset(
    {"self_loop", "a_b_a", "endless", "duplicates", "empty_page", "long_link", "foreign_link", "dead_link"}
)
STANDING = frozenset(
    {
        "token_moved",
        "token_foreign",
        "revoked_client",
        "scopes_reduced",
        "scopes_lied",
        "clock_skew",
        "authorize_error",
        "launch_expired",
        "code_refused",
        "refresh_revoked",
        "id_token_spoiled",
        "issuer_foreign",
    }
)
"""Faults of the authorization server that hold while they are set; request counters do not apply."""


class Fault(BaseModel):
    """One fault."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: FaultKind
    resource_type: str = Field(
        default="",
        description="Only for this type (or `token`, `metadata`, `smart-configuration`, or a list of the companion API); empty: every FHIR type.",
    )
    interaction: Literal["", "search", "read", "create", "update"] = Field(
        default="", description="Only for this interaction."
    )
    first: int = Field(default=1, ge=1, description="From the nth matching request on.")
    times: int | None = Field(default=None, ge=1, description="For so many matching requests; None: always.")
    page: int | None = Field(default=None, ge=1, description="Only at this page of a search.")
    status: int | None = Field(default=None, ge=200, le=599, description="For status (503) and redirects (302).")
    body: Literal["outcome", "html", "text", "empty"] = "outcome"
    text: str = Field(
        default="Practice fault.", description="What the body of a status says; for some faults, which way."
    )
    retry_after: str | None = Field(
        default=None, description="Header as given: seconds or anything absurd; `date:<seconds>` becomes an HTTP date."
    )
    seconds: float = Field(default=0.0, description="For delay, drip and clock_skew.")
    size: int | None = Field(default=None, gt=0, description="For huge_line, deep and long_link.")
    types: tuple[str, ...] = Field(default=(), description="For scopes_reduced and scopes_lied.")


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    faults: tuple[Fault, ...] = ()


class Faults:
    """The faults of one practice hospital. Safe to change from another thread than the server's."""

    def __init__(self, faults: tuple[Fault, ...] | list[Fault] = ()) -> None:
        self._lock = threading.Lock()
        self._items: list[Fault] = list(faults)
        self._hits: Counter[int] = Counter()

    @classmethod
    def from_file(cls, path: Path) -> Faults:
        """Read `[[faults]]` tables from TOML; raises OSError, TOMLDecodeError or pydantic's ValidationError."""
        return cls(list(_File.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))).faults))

    @property
    def items(self) -> tuple[Fault, ...]:
        """The faults set now."""
        with self._lock:
            return tuple(self._items)

    def set(self, *faults: Fault) -> None:
        """Replace all faults and count anew."""
        with self._lock:
            self._items = list(faults)
            self._hits.clear()

    def add(self, *faults: Fault) -> None:
        """Set more faults beside those there are."""
        with self._lock:
            self._items.extend(faults)

    def clear(self) -> None:
        """No faults from now on."""
        self.set()

    def due(self, resource_type: str, interaction: str = "", page: int = 1, *, fhir: bool = True) -> dict[str, Fault]:
        """The faults that hit this request, by kind; the first of a kind wins. Counts the request."""
        found: dict[str, Fault] = {}
        with self._lock:
            for index, fault in enumerate(self._items):
                if fault.kind in STANDING or not _meets(fault, resource_type, interaction, page, fhir):
                    continue
                self._hits[index] += 1
                number = self._hits[index]
                if number >= fault.first and (fault.times is None or number < fault.first + fault.times):
                    found.setdefault(fault.kind, fault)
        return found

    def standing(self, kind: FaultKind) -> Fault | None:
        """A fault of the authorization server, if it is set."""
        with self._lock:
            return next((f for f in self._items if f.kind == kind), None)


def _meets(fault: Fault, resource_type: str, interaction: str, page: int, fhir: bool) -> bool:
    if fault.resource_type != resource_type and (fault.resource_type or not fhir):
        return False
    if fault.interaction and fault.interaction != interaction:
        return False
    if fault.kind == "dead_link" and page < 2:
        return False
    return fault.page is None or fault.page == page

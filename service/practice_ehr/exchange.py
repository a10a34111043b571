"""One FHIR request, taken apart: what it is about and what it brings."""

from __future__ import annotations

import re
from dataclasses import dataclass

from service.practice_ehr.auth import Grant
from service.practice_ehr.faults import Fault
from service.practice_ehr.outcome import Refused, bad_request
from service.practice_ehr.search_params import known_types

_ID = re.compile(r"^[A-Za-z0-9.-]{1,64}$")


@dataclass(frozen=True)
class Target:
    """What a method and a path below the base mean."""

    interaction: str
    resource_type: str = "other"
    resource_id: str = ""
    version: str = ""


@dataclass(frozen=True)
class Exchange:
    """A request whose token, if one is needed, was good."""

    target: Target
    params: list[tuple[str, str]]
    grant: Grant | None
    base: str
    url: str
    accept: str
    strict: bool
    due: dict[str, Fault]
    body: bytes = b""
    content_type: str = ""
    if_none_exist: str = ""
    if_match: str = ""

    @property
    def values(self) -> dict[str, str]:
        """Parameters by name; the last of a name."""
        return dict(self.params)

    @property
    def only_patient(self) -> str:
        """The patient the token is limited to; empty: none."""
        return self.grant.patient if self.grant else ""

    def may_read(self, kind: str) -> bool:
        """Whether the token lets the client read resources of a type."""
        return self.grant is None or kind in self.grant.types

    def may_write(self, kind: str, interaction: str) -> bool:
        """Whether it lets the client create or update them: `.write` or `.*` (v1), `c` or `u` among the letters (v2)."""
        if self.grant is None:
            return True
        verbs = {
            scope.rpartition(".")[2]
            for scope in self.grant.scopes
            if scope.startswith((f"system/{kind}.", f"user/{kind}.", f"patient/{kind}."))
        }
        return any(v in ("write", "*") or (v != "read" and interaction[0] in v) for v in verbs)

    def may_search(self, kind: str) -> bool:
        """Whether it lets the client search them."""
        return self.grant is None or kind in self.grant.search


def parse_target(method: str, path: str) -> Target:
    """Read a path below the base; raises Refused (400, 404, 405)."""
    parts = path.rstrip("/").split("/")
    if path in ("metadata", ".well-known/smart-configuration"):
        _allow(method, "GET")
        return Target(parts[-1])
    kind = parts[0] if parts[0] in known_types() else "other"
    if not re.fullmatch(r"[A-Z][A-Za-z]{1,63}", parts[0]):
        raise bad_request("There is nothing at this address.", "not-found", 404)
    if len(parts) == 1:
        if method == "POST":
            return Target("create", kind)
        _allow(method, "GET")
        return Target("search", kind)
    if parts[1:] == ["_search"]:
        _allow(method, "POST")
        return Target("search", kind)
    if method != "PUT" or len(parts) != 2:
        _allow(method, "GET")
    if not _ID.match(parts[1]):
        raise bad_request("The id is not valid.", "value")
    if method == "PUT":
        return Target("update", kind, parts[1])
    if len(parts) == 2:
        return Target("read", kind, parts[1])
    if len(parts) == 4 and parts[2] == "_history" and _ID.match(parts[3]):
        return Target("vread", kind, parts[1], parts[3])
    if len(parts) == 3 and parts[2] == "$everything" and kind == "Patient":
        return Target("everything", kind, parts[1])
    raise bad_request("There is nothing at this address.", "not-found", 404)


def _allow(method: str, only: str) -> None:
    if method != only and not (method == "HEAD" and only == "GET"):
        raise not_for_writing(only)


def not_for_writing(only: str = "GET") -> Refused:
    """What a server for reading answers to another method."""
    error: Refused = bad_request("This server is for reading.", "not-supported", 405)
    error.reply.headers["Allow"] = only
    return error


def wants_json(accept: str, formats: list[str]) -> bool:
    """Whether JSON is an acceptable answer (`_format` beats Accept)."""
    named = formats[-1:] or [a.partition(";")[0] for a in accept.split(",")]
    kinds = [n.strip().lower() for n in named if n.strip()]
    return not kinds or any(
        k in ("*/*", "application/*", "json") or k.endswith(("+json", "/json", "json+fhir")) for k in kinds
    )

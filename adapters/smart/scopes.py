"""The smallest scopes for what is asked, in the syntax the server speaks, and what it granted of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal

from adapters.profile import SiteConfig
from adapters.smart.discovery import SmartConfiguration

Level = Literal["system", "user", "patient"]
_SCOPE = re.compile(r"^(?:system|user|patient)/(\*|[A-Za-z]+)\.(\*|read|write|(?=[cruds])c?r?u?d?s?)(?:\?.*)?$")


def syntax_of(
    capabilities: Iterable[str], scopes_supported: Iterable[str], wanted: str = "auto"
) -> Literal["v1", "v2"]:
    """`v2` where the server declares permission-v2 or lists v2 scopes without v1; else `v1`, which all understand."""
    if wanted in ("v1", "v2"):
        return "v2" if wanted == "v2" else "v1"
    declared = set(capabilities)
    listed = list(scopes_supported)
    if "permission-v1" in declared:
        return "v1"
    has_v1 = any(s.endswith((".read", ".write", ".*")) for s in listed)
    has_v2 = any(re.search(r"/[A-Za-z*]+\.(?=[cruds])c?r?u?d?s?$", s) for s in listed)
    if "permission-v2" in declared:
        # Seen: permission-v2 is declared and only v1 scopes are listed. What is listed is believed.
        return "v1" if has_v1 and not has_v2 else "v2"
    return "v2" if has_v2 and not has_v1 else "v1"


def minimum_scopes(
    resource_types: Iterable[str], syntax: Literal["v1", "v2"], level: Level = "system"
) -> tuple[str, ...]:
    """`system/Type.read` (v1) or `system/Type.rs` (v2) for each type, sorted; never a wildcard."""
    suffix = "rs" if syntax == "v2" else "read"
    return tuple(f"{level}/{name}.{suffix}" for name in sorted(set(resource_types)))


def launch_scopes(site: SiteConfig, configuration: SmartConfiguration) -> tuple[str, ...]:
    """The scopes of a launch that are no resource types: context, who signs in, staying connected.

    https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html . Who signs in and staying connected are left
    out where the server says what it supports and does not name them: some answer the whole request with invalid_scope.
    """
    declared, listed = set(configuration.capabilities), set(configuration.scopes_supported)
    silent = not declared and not listed
    scopes = []
    if site.auth == "ehr_launch":
        scopes.append("launch")
    elif site.scope_level == "patient":
        scopes.append("launch/patient")
    if configuration.issuer and configuration.jwks_uri and ("sso-openid-connect" in declared or "openid" in listed):
        scopes += ["openid", "fhirUser"]
    if site.stay != "none" and (silent or f"permission-{site.stay}" in declared or f"{site.stay}_access" in listed):
        scopes.append(f"{site.stay}_access")
    return tuple(scopes)


_LAUNCH_WORDS = {
    "launch": "take part in a launch from the EHR's screen: it says which patient, encounter and user",
    "launch/patient": "let the person choose whose record it is",
    "openid": "learn, signed by the site, who authorized it",
    "fhirUser": "learn which resource that person is, to keep it with the authorization",
    "offline_access": "stay connected while nobody is signed in, so that the record can be refreshed",
    "online_access": "stay connected while the person is signed in",
}
_VERB_WORDS = {"r": "read", "s": "search", "c": "create", "u": "update", "write": "create and update"}
_WRITING = frozenset({"create", "update", "create and update"})
_LEVEL_WORDS = {
    "system": "of the patients this client is registered for",
    "user": "as far as the person who authorizes it may",
    "patient": "of the one patient it is authorized for",
}


def explain(scope: str, reasons: Mapping[str, str]) -> str:
    """Why a scope is asked for, in one sentence; `reasons` says of a resource type what it is needed for."""
    match = _SCOPE.match(scope)
    if not match:
        return _LAUNCH_WORDS.get(scope, "")
    kind, verbs = match.groups()
    does = _VERB_WORDS.get(verbs, "read and search")
    words = f"{does} {kind} {_LEVEL_WORDS[scope.partition('/')[0]]}"
    if does in _WRITING:
        why = "to say who wrote it" if kind == "Provenance" else "as the hospital permits in the site file"
        return f"{words}: {why}; nothing is sent unless somebody says so"
    return f"{words}: {reasons[kind]}" if reasons.get(kind) else words


def granted_types(
    granted: str | None, asked: Iterable[str], need: Literal["read", "search"] = "read"
) -> frozenset[str]:
    """The types of `asked` scopes that `granted` lets us read, or search (v2 tells them apart). No `scope` in the
    answer means all that was asked (RFC 6749, 5.1)."""
    held = list(asked)
    names = {m.group(1) for s in held if (m := _SCOPE.match(s))}
    allowed: set[str] = set()
    for scope in held if granted is None else granted.split():
        match = _SCOPE.match(scope)
        if not match:
            continue
        kind, verbs = match.groups()
        if verbs in ("read", "*") or (verbs != "write" and need[0] in verbs):
            allowed |= names if kind == "*" else ({kind} & names)
    return frozenset(allowed)

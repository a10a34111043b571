"""Capability statements (R4, R4B, R5) and Conformance statements (DSTU2): what a server declares. A declaration, no proof."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from adapters.errors import BadAnswer
from adapters.normalizer.releases import release_of
from models.record import Value

_OAUTH = "oauth-uris"


class TypeCapability(Value, frozen=True):
    """What is declared for one resource type."""

    interactions: tuple[str, ...] = ()
    search_params: tuple[str, ...] = ()
    conditional_create: Annotated[bool, Meta(description="Whether If-None-Exist is declared to be obeyed.")] = False


class Capabilities(Value, frozen=True):
    """What a server says of itself."""

    fhir_version: Annotated[str, Meta(description="As declared, e.g. 4.0.1.")] = ""
    release: Annotated[str, Meta(description="DSTU2, STU3, R4, R4B or R5.")] = "R4"
    software: str = ""
    types: dict[str, TypeCapability] = {}
    oauth: Annotated[dict[str, str], Meta(description="Endpoints of the oauth-uris extension.")] = {}
    declared: Annotated[bool, Meta(description="False when no statement could be read: then nothing is ruled out.")] = (
        True
    )

    def offers(self, resource_type: str) -> bool:
        """Whether the type is declared; True when nothing is declared at all."""
        return not self.declared or not self.types or resource_type in self.types


def read_capabilities(resource: Any) -> Capabilities:
    """Read a CapabilityStatement or Conformance, tolerantly; BadAnswer when it is neither."""
    if not isinstance(resource, dict) or resource.get("resourceType") not in ("CapabilityStatement", "Conformance"):
        raise BadAnswer("the capability statement is missing", code="no_capability_statement")
    version = resource.get("fhirVersion")
    version = version if isinstance(version, str) else ""
    software = resource.get("software")
    name = ""
    if isinstance(software, dict):
        name = " ".join(str(software[k]) for k in ("name", "version") if isinstance(software.get(k), str))
    types: dict[str, TypeCapability] = {}
    oauth: dict[str, str] = {}
    rests = resource.get("rest")
    for rest in rests if isinstance(rests, list) else []:
        if not isinstance(rest, dict) or rest.get("mode") == "client":
            continue
        items = rest.get("resource")
        for item in items if isinstance(items, list) else []:
            if isinstance(item, dict) and isinstance(item.get("type"), str):
                types[item["type"]] = TypeCapability(
                    interactions=_names(item.get("interaction"), "code"),
                    search_params=_names(item.get("searchParam"), "name"),
                    conditional_create=item.get("conditionalCreate") is True,
                )
        oauth |= _oauth(rest.get("security"))
    return Capabilities(fhir_version=version, release=release_of(version), software=name, types=types, oauth=oauth)


def _names(items: Any, key: str) -> tuple[str, ...]:
    if not isinstance(items, list):
        return ()
    return tuple(i[key] for i in items if isinstance(i, dict) and isinstance(i.get(key), str))


def _oauth(security: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    extensions = security.get("extension") if isinstance(security, dict) else None
    for extension in extensions if isinstance(extensions, list) else []:
        if not isinstance(extension, dict) or not str(extension.get("url", "")).rstrip("/").endswith(_OAUTH):
            continue
        parts = extension.get("extension")
        for part in parts if isinstance(parts, list) else []:
            if isinstance(part, dict) and isinstance(part.get("valueUri"), str):
                found[str(part.get("url"))] = part["valueUri"]
    return found

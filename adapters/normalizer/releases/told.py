"""What servers and files tell of the release they write: version numbers, statements among the resources, profiles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from adapters.normalizer.read import NotJson, parse
from models.record import RawResource

_STATEMENTS = frozenset({"CapabilityStatement", "Conformance"})
_VERSIONED = re.compile(r"^https?://(?:www\.)?hl7\.org/fhir/(DSTU2|STU3|R4B|R4|R5|\d\.\d)/")
_XML = re.compile(rb"""xmlns(?::\w+)?\s*=\s*["']http://hl7\.org/fhir["']""")
_OF_DSTU2 = re.compile(
    r"^https?://(?:fhir\.org/guides/argonaut/|hl7\.org/fhir/StructureDefinition/daf-)", re.IGNORECASE
)
"""Guides of DSTU2 only: Argonaut's (https://fhir.org/guides/argonaut) and DAF's."""


def release_of(version: str) -> str:
    """FHIR release of a version number; R4 for one that is not known."""
    for prefix, name in (
        ("1.0", "DSTU2"),
        ("0.", "DSTU2"),
        ("3.", "STU3"),
        ("4.0", "R4"),
        ("4.1", "R4B"),
        ("4.3", "R4B"),
        ("5.", "R5"),
    ):
        if version.startswith(prefix):
            return name
    return "R4"


def release_of_profiles(meta: Any) -> str:
    """The release that meta.profile names; '' when it names none, or several."""
    profiles = meta.get("profile") if isinstance(meta, dict) else None
    found = set()
    for profile in profiles if isinstance(profiles, list) else []:
        if not isinstance(profile, str):
            continue
        versioned = _VERSIONED.match(profile)
        if versioned:
            found.add(versioned[1] if versioned[1][0] in "DSR" else release_of(versioned[1]))
        elif _OF_DSTU2.match(profile):
            found.add("DSTU2")
    return found.pop() if len(found) == 1 else ""


def of_the_declared_release(resources: Sequence[RawResource]) -> list[RawResource]:
    """`resources` of one file, with the release its statement declares where a resource tells none of its own."""
    told = {_declared(r.content) for r in resources if r.resource_type in _STATEMENTS} - {""}
    if len(told) != 1:
        return list(resources)
    (release,) = told
    return [msgspec.structs.replace(r, fhir_version=release) if r.fhir_version == "R4" else r for r in resources]


def _declared(content: bytes) -> str:
    try:
        statement = parse(content)
    except NotJson:
        return ""
    version = statement.get("fhirVersion") if isinstance(statement, dict) else None
    return release_of(version) if isinstance(version, str) and version[:1].isdigit() else ""


def is_fhir_xml(data: bytes) -> bool:
    """Whether a file is FHIR in XML, by its namespace; nothing of it is parsed."""
    return data[:1] == b"<" and _XML.search(data[:4096]) is not None

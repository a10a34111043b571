"""Which of the received resources can be read: one of each, in R4's shape, about the right patient; or why not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from adapters.documents.safe_xml import XmlRefused
from adapters.normalizer.companion import Unmapped, shaped
from adapters.normalizer.fhir_xml import NotFhirXml, json_of
from adapters.normalizer.read import Json, NotJson, outline, parse, subject_of
from adapters.normalizer.releases import READABLE, UNREAD, in_r4, written_in
from adapters.normalizer.rules import NormalizationRules
from adapters.normalizer.values import reference_key
from models.record import RawResource, Rejected, RejectReason

Key = tuple[str, str, str, str, str]
"""RawResource.key: (tenant, site, type, id, version)."""
FHIR = "fhir"
"""RawResource.api of what is a FHIR resource; any other is read by the profile's map for it."""
MOST_DEPTH = 64
"""Nesting levels of a resource we are willing to read (FHIR's own deepest are under 20)."""


def unique(resources: Iterable[RawResource]) -> dict[Key, RawResource]:
    """One for each key. Two contents under one version are a source's slip: the later delivery counts, whatever its place."""
    found: dict[Key, RawResource] = {}
    for raw in resources:
        key = raw.key
        known = found.get(key)
        if known is None or (known != raw and (known.retrieved, known.content) < (raw.retrieved, raw.content)):
            found[key] = raw
    return found


def newest(resources: dict[Key, RawResource]) -> list[tuple[Key, RawResource]]:
    """The newest version of each resource: by retrieval, then by number of version, then by name of version."""
    if len({key[:4] for key in resources}) == len(resources):
        return list(resources.items())

    def age(key: Key, raw: RawResource) -> tuple[str, int, str]:
        return (raw.retrieved, int(raw.version) if raw.version.isdecimal() and len(raw.version) < 18 else 0, key[4])

    best: dict[tuple[str, ...], tuple[Key, RawResource]] = {}
    for key, raw in resources.items():
        known = best.get(key[:4])
        if known is None or age(key, raw) > age(*known):
            best[key[:4]] = (key, raw)
    return list(best.values())


def admit(
    raw: RawResource, patient_id: str | None, rules: NormalizationRules, aliases: Mapping[str, str], *, skim: bool
) -> Json | Rejected:
    """The parsed resource in R4's shape, or why it cannot be read as one of this patient's.

    `skim`: only its type and its subject are wanted. `aliases`: fullUrl -> `Type/id` of the resources it came with.
    """
    kind = raw.resource_type
    if raw.fhir_version in UNREAD:
        return reject(raw, "unsupported_version", f"the source declares {raw.fhir_version}; {READABLE}")
    try:
        content = json_of(raw)
        resource: Json = outline(content) if skim else parse(content)
    except NotJson as error:
        return reject(raw, "too_deep" if error.deep else "not_json", error.where)
    except (XmlRefused, NotFhirXml) as error:
        return reject(raw, "unreadable", str(error))
    if not isinstance(resource, dict):
        return reject(raw, "not_a_resource", "an object was expected")
    if raw.api != FHIR:
        return _of_companion(raw, resource, patient_id, rules)
    if resource.get("resourceType") != kind:
        return reject(raw, "wrong_resource_type", "resourceType")
    if not skim:
        if _may_be_deep(content) and _depth(resource) > MOST_DEPTH:
            return reject(raw, "too_deep", f"more than {MOST_DEPTH} levels")
        release = written_in(resource, kind, raw.fhir_version)
        if release in UNREAD:
            return reject(raw, "unsupported_version", f"written in {release}; {READABLE}")
        if release != "R4":
            resource = in_r4(resource, kind, release)
    if patient_id is not None and _is_stranger(raw, resource, patient_id, aliases):
        return reject(raw, "wrong_patient", "subject")
    return resource


def _of_companion(raw: RawResource, row: Json, patient_id: str | None, rules: NormalizationRules) -> Json | Rejected:
    """A row of a companion API in R4's shape, or why it has none."""
    shape = rules.companion.get(raw.api)
    if shape is None or shape.type != raw.resource_type:
        return reject(raw, "unreadable", "the site's profile has no map for this API")
    if _depth(row) > MOST_DEPTH:
        return reject(raw, "too_deep", f"more than {MOST_DEPTH} levels")
    try:
        return shaped(row, shape, raw.resource_id, patient_id)
    except Unmapped as error:
        return reject(raw, "unreadable", str(error))


def _may_be_deep(content: bytes) -> bool:
    """Whether there are brackets enough, so that the depth of all the others need not be measured."""
    objects = content.count(b"{")
    return objects > MOST_DEPTH or (objects + content.count(b"[") > MOST_DEPTH and b"[[" in content)


def _depth(resource: Any) -> int:
    """Nesting depth, without recursion."""
    deepest, level = 0, [resource]
    while level and deepest <= MOST_DEPTH:
        deepest += 1
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
    return deepest


def _is_stranger(raw: RawResource, resource: Json, patient_id: str, aliases: Mapping[str, str]) -> bool:
    if raw.resource_type == "Patient":
        return raw.resource_id != patient_id
    subject = subject_of(resource)
    subject = aliases.get(subject, subject)
    if not subject or subject.startswith("#") or subject == f"Patient/{patient_id}":
        return False
    key = reference_key(subject)
    if key.startswith("urn:"):
        return key.rpartition(":")[2] != patient_id
    kind, _, found = key.rpartition("/")
    return kind == "Patient" and found != patient_id


def reject(raw: RawResource, reason: RejectReason, detail: str) -> Rejected:
    """`raw` for the quarantine."""
    return Rejected(
        site=raw.site,
        reason=reason,
        detail=detail,
        resource_type=raw.resource_type,
        resource_id=raw.resource_id,
        source=f"{raw.resource_type}/{raw.resource_id}",
        section=raw.section,
        content=raw.content[:100_000],
    )

"""Put a dress on clean resources: local codes, medications by reference, missing elements, vendor extensions.

Pure and deterministic: which concept or resource is touched depends on a hash of what it is, never on order or chance.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from service.practice_ehr.changes import Changes, Chosen, Copies, ExtensionRule, LocalCodes, Recode
from service.practice_ehr.dress import Dress, Json, applies
from service.practice_ehr.dstu2 import as_dstu2
from service.practice_ehr.search_params import values_at

DATES = ("onsetDateTime", "recordedDate", "performedDateTime", "authoredOn", "effectiveDateTime", "date")


def wear(resources: Iterable[Json], dress: Dress, tenant: str, base: str = "") -> list[Json]:
    """Resources as this EHR would give them; copies and split-out Medications follow at the end. The input is not changed.

    `base` is the FHIR base, for absolute references; without it all stay relative.
    """
    worn: list[Json] = []
    medications: dict[str, Json] = {}
    for clean in resources:
        resource = copied(clean)
        _medication(resource, dress.changes, medications)
        worn.append(resource)
    known = {r.get("id") for r in worn if r.get("resourceType") == "Medication"}
    worn += [m for found, m in sorted(medications.items()) if found not in known]
    for resource in worn:
        _change(resource, dress, tenant)
        if base and fraction(dress.name, "absolute", str(resource.get("id"))) < dress.changes.absolute_reference_share:
            _make_absolute(resource, base)
    for index, rule in enumerate(dress.changes.copies):
        worn += [_copy(r, rule) for r in list(worn) if chosen(rule, r, f"{dress.name}:copies:{index}")]
    return as_dstu2(worn) if dress.release == "DSTU2" else worn


def of_the_dress(dress: Dress, tenant: str) -> list[Json]:
    """What every hospital in this dress holds, whatever its data."""
    return [_filled(r, tenant) for r in dress.resources]


def copied(value: Any) -> Any:
    """A copy of plain JSON values; several times faster than copy.deepcopy, which has to expect anything."""
    if isinstance(value, dict):
        return {k: copied(v) for k, v in value.items()}
    return [copied(v) for v in value] if isinstance(value, list) else value


def fraction(*parts: str) -> float:
    """A number in [0, 1) that is the same everywhere for the same words."""
    return int.from_bytes(hashlib.sha256("\x00".join(parts).encode()).digest()[:6], "big") / 2**48


def _change(resource: Json, dress: Dress, tenant: str) -> None:
    changes = dress.changes
    kind, found = str(resource.get("resourceType")), str(resource.get("id"))
    for index, rule in enumerate(changes.local_codes):
        if applies(rule.types, kind) and of_category(resource, rule.categories):
            _localize(resource, rule, f"{dress.name}:{index}", tenant)
    for index, other in enumerate(changes.recode):
        if chosen(other, resource, f"{dress.name}:recode:{index}"):
            _recode(resource, other)
    for index, more in enumerate(changes.add_codings):
        if chosen(more, resource, f"{dress.name}:coding:{index}"):
            for concept in list(values_at(resource, more.path))[:1]:
                display = {"display": more.display} if more.display else {}
                concept.setdefault("coding", []).append({"system": more.system, "code": more.code, **display})
    if changes.systems:
        _rename_systems(resource, changes.systems)
    if kind == "Observation" and fraction(dress.name, "text", found) < changes.quantity_as_text_share:
        _quantity_as_text(resource)
    for index, drop in enumerate(changes.drop):
        if chosen(drop, resource, f"{dress.name}:drop:{index}"):
            for path in drop.paths:
                _remove(resource, path)
    for index, extension in enumerate(changes.extensions):
        if chosen(extension, resource, f"{dress.name}:extension:{index}"):
            _extend(resource, extension, tenant)


def chosen(rule: Chosen, resource: Json, salt: str) -> bool:
    """Whether a rule touches this resource."""
    kind = str(resource.get("resourceType"))
    return applies(rule.types, kind) and fraction(salt, kind, str(resource.get("id"))) < rule.share


def of_category(resource: Json, categories: tuple[str, ...]) -> bool:
    """Whether a resource has one of these categories (any, when none is named)."""
    return not categories or any(c in categories for c in values_at(resource, "category.coding.code"))


def _localize(resource: Json, rule: LocalCodes, salt: str, tenant: str) -> None:
    for path in rule.paths:
        for concept in values_at(resource, path):
            if isinstance(concept, dict):
                _localize_concept(resource, concept, rule, salt, tenant)


def _localize_concept(resource: Json, concept: Json, rule: LocalCodes, salt: str, tenant: str) -> None:
    codings = [c for c in concept.get("coding") or [] if isinstance(c, dict)]
    first = codings[0] if codings else {}
    text = concept.get("text") or first.get("display") or first.get("code") or ""
    key = str(first.get("code") or text)
    if not key or fraction(salt, str(first.get("system")), key) >= rule.share:
        return
    concept["text"] = text
    if rule.mode == "text_only":
        concept.pop("coding", None)
        return
    if rule.mode == "empty_coding":
        concept["coding"] = []
        return
    number = str(10_000 + int(fraction("number", salt, key) * 9_000_000))
    local: Json = {"system": rule.system.format(tenant=tenant), "code": number, "display": text}
    if rule.user_selected:
        local["userSelected"] = True
        for coding in codings:
            coding["userSelected"] = False
    concept["coding"] = [local] if rule.mode == "instead" else [local, *codings]
    if rule.extension_url:
        resource.setdefault("extension", []).append({"url": rule.extension_url, "valueString": number})


def _recode(resource: Json, rule: Recode) -> None:
    first = next((str(resource[name]) for name in DATES if name in resource), "")
    if rule.before and not (first and first < rule.before):
        return
    for concept in values_at(resource, rule.path):
        found = [rule.map[c["code"]] for c in concept.get("coding") or [] if c.get("code") in rule.map]
        if found:
            system, code, display = found[0]
            concept["coding"] = [{"system": system, "code": code, "display": display}]


def _copy(resource: Json, rule: Copies) -> Json:
    made: Json = copied(resource)
    made["id"] = f"{resource['id']}{rule.suffix}"
    if rule.status:
        made["status"] = rule.status
    if rule.link_url:
        link = {"reference": f"{resource['resourceType']}/{resource['id']}"}
        made.setdefault("extension", []).append({"url": rule.link_url, "valueReference": link})
    return made


def _make_absolute(value: Any, base: str) -> None:
    if isinstance(value, dict):
        reference = value.get("reference")
        if isinstance(reference, str) and reference[:1].isupper():
            value["reference"] = f"{base}/{reference}"
        for item in value.values():
            _make_absolute(item, base)
    elif isinstance(value, list):
        for item in value:
            _make_absolute(item, base)


def _rename_systems(value: Any, systems: dict[str, str]) -> None:
    if isinstance(value, dict):
        system = value.get("system")
        if isinstance(system, str) and system in systems and "code" in value:
            value["system"] = systems[system]
        for item in value.values():
            _rename_systems(item, systems)
    elif isinstance(value, list):
        for item in value:
            _rename_systems(item, systems)


def _quantity_as_text(resource: Json) -> None:
    quantity = resource.pop("valueQuantity", None)
    if isinstance(quantity, dict):
        resource["valueString"] = f"{quantity.get('value', '')} {quantity.get('unit', '')}".strip()


def _remove(resource: Any, path: str) -> None:
    head, _, rest = path.partition(".")
    if not isinstance(resource, dict) or head not in resource:
        return
    if not rest:
        del resource[head]
        return
    value = resource[head]
    for item in value if isinstance(value, list) else [value]:
        _remove(item, rest)


def _extend(resource: Json, rule: ExtensionRule, tenant: str) -> None:
    resource.setdefault("extension", []).append({"url": rule.url, **_filled(rule.value, tenant)})


def _filled(value: Any, tenant: str) -> Any:
    if isinstance(value, dict):
        return {k: _filled(v, tenant) for k, v in value.items()}
    if isinstance(value, list):
        return [_filled(v, tenant) for v in value]
    return value.replace("{tenant}", tenant) if isinstance(value, str) else value


def _medication(resource: Json, changes: Changes, split: dict[str, Json]) -> None:
    if changes.medication == "codeable" or resource.get("resourceType") != "MedicationRequest":
        return
    concept = resource.get("medicationCodeableConcept")
    if not isinstance(concept, dict):
        return
    del resource["medicationCodeableConcept"]
    codings = concept.get("coding") or [{}]
    text = concept.get("text") or codings[0].get("display") or ""
    # The same drug is the same Medication for every patient, as a formulary would have it.
    name = hashlib.sha256(f"{codings[0].get('system')}|{codings[0].get('code')}|{text}".encode()).hexdigest()[:20]
    medication: Json = {"resourceType": "Medication", "id": f"med-{name}", "code": concept}
    reference: Json = {"reference": f"Medication/med-{name}"}
    if changes.medication == "contained":
        reference = {"reference": f"#med-{name}"}
        resource.setdefault("contained", []).append(medication)
    else:
        split.setdefault(medication["id"], copied(medication))
    resource["medicationReference"] = reference | ({"display": text} if text else {})

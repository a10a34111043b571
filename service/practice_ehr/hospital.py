"""The data of one practice hospital: dressed resources, indexed by type and patient, and its searches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from service.practice_ehr.dress import Dress, wear

Json = dict[str, Any]
SHARED = frozenset(["Practitioner", "PractitionerRole", "Organization", "Location", "Medication", "Binary"])
SEARCH_PARAMS: dict[str, tuple[str, ...]] = {
    "Patient": ("_id", "identifier", "family", "given", "name", "birthdate", "gender"),
    "Condition": ("patient", "category", "clinical-status", "code", "_id"),
    "Observation": ("patient", "category", "code", "date", "status", "_id"),
    "MedicationRequest": ("patient", "status", "intent", "authoredon", "_id"),
    "AllergyIntolerance": ("patient", "clinical-status", "_id"),
    "Encounter": ("patient", "date", "class", "status", "_id"),
    "DiagnosticReport": ("patient", "category", "code", "date", "_id"),
    "Immunization": ("patient", "status", "date", "_id"),
    "Procedure": ("patient", "date", "status", "code", "_id"),
    "CarePlan": ("patient", "category", "status", "_id"),
    "DocumentReference": ("patient", "category", "type", "date", "_id"),
    "Goal": ("patient", "_id"),
    "Provenance": ("target", "_id"),
    **dict.fromkeys(sorted(SHARED), ("_id",)),
}
CONTROL = frozenset({"_count", "_revinclude", "_include", "_format", "_sort", "_total"})
_DATES = {
    "Observation": ("effectiveDateTime", "effectivePeriod", "issued"),
    "Encounter": ("period",),
    "DiagnosticReport": ("effectiveDateTime", "issued"),
    "Immunization": ("occurrenceDateTime",),
    "Procedure": ("performedDateTime", "performedPeriod"),
    "DocumentReference": ("date",),
    "MedicationRequest": ("authoredOn",),
}


class BadSearch(ValueError):
    """A search that cannot be answered; the text goes into the OperationOutcome."""


class Hospital:
    """Resources of one hospital, as its dress serves them."""

    def __init__(
        self, key: str, dress: Dress, resources: Iterable[Json], *, clients: dict[str, list[Json]] | None = None
    ) -> None:
        """`clients`: client_id -> public JWKs. No clients: the server is open (no token needed)."""
        self.key, self.dress = key, dress
        self.clients = dict(clients or {})
        self._by_id: dict[tuple[str, str], Json] = {}
        self._by_patient: dict[tuple[str, str], list[Json]] = defaultdict(list)
        self._by_type: dict[str, list[Json]] = defaultdict(list)
        self._provenance: dict[str, list[Json]] = defaultdict(list)
        for resource in wear(dress, list(resources)):
            self._add(resource)

    def _add(self, resource: Json) -> None:
        kind, ident = resource["resourceType"], resource["id"]
        self._by_id[(kind, ident)] = resource
        self._by_type[kind].append(resource)
        owner = self._owner(resource)
        if owner:
            self._by_patient[(kind, owner)].append(resource)
        if kind == "Provenance":
            for target in resource.get("target", []):
                self._provenance[target.get("reference", "")].append(resource)

    @staticmethod
    def _owner(resource: Json) -> str:
        for key in ("subject", "patient"):
            reference = resource.get(key)
            if isinstance(reference, dict):
                return str(reference.get("reference", "")).removeprefix("Patient/")
        return ""

    @property
    def types(self) -> tuple[str, ...]:
        """Types this hospital exposes."""
        return tuple(t for t in SEARCH_PARAMS if t not in self.dress.unsupported)

    def read(self, kind: str, ident: str) -> Json | None:
        """One resource."""
        return self._by_id.get((kind, ident))

    def provenance(self, resources: Iterable[Json]) -> list[Json]:
        """Provenance of these resources."""
        found = [p for r in resources for p in self._provenance.get(f"{r['resourceType']}/{r['id']}", [])]
        return list({p["id"]: p for p in found}.values())

    def search(self, kind: str, params: list[tuple[str, str]]) -> list[Json]:
        """Resources that match, in a stable order. Raises BadSearch for a parameter that is not supported."""
        known = SEARCH_PARAMS[kind]
        pool = self._by_type.get(kind, [])
        owners = {v.removeprefix("Patient/") for n, v in params if n in ("patient", "subject")}
        if owners and "patient" in known:
            pool = self._by_patient.get((kind, owners.pop()), []) if len(owners) == 1 else []
        for name, value in params:
            base = name.partition(":")[0]
            if base in CONTROL or base in ("patient", "subject") or base == self.dress.required_param:
                continue
            if base not in known:
                raise BadSearch(f"search parameter {base} is not supported for {kind}")
            pool = [r for r in pool if _matches(kind, r, base, value)]
        return sorted(pool, key=lambda r: str(r["id"]))


def _codes(value: Any) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, str):
            found.add(("", item))
        elif isinstance(item, dict):
            if "code" in item and "coding" not in item:
                found.add((item.get("system", ""), item["code"]))
            found |= {(c.get("system", ""), c.get("code", "")) for c in item.get("coding", [])}
    return found


def _token(value: Any, wanted: str) -> bool:
    have = _codes(value)
    for option in wanted.split(","):
        system, bar, code = option.rpartition("|")
        if any(c == code and (not bar or s == system) for s, c in have):
            return True
    return False


def _matches(kind: str, resource: Json, name: str, value: str) -> bool:
    if name == "_id":
        return resource["id"] in value.split(",")
    if kind == "Patient":
        return _matches_person(resource, name, value)
    if name in ("date", "authoredon"):
        return _dated(kind, resource, value)
    element = {"clinical-status": "clinicalStatus", "class": "class", "type": "type"}.get(name, name)
    if name == "target":
        return any(t.get("reference") == value for t in resource.get("target", []))
    return _token(resource.get(element, []), value)


def _matches_person(resource: Json, name: str, value: str) -> bool:
    wanted = value.casefold()
    if name == "identifier":
        system, bar, number = value.rpartition("|")
        return any(
            i.get("value") == number and (not bar or i.get("system") == system) for i in resource.get("identifier", [])
        )
    if name in ("birthdate", "gender"):
        return bool(resource.get({"birthdate": "birthDate"}.get(name, name)) == value)
    names = resource.get("name", [])
    family = [str(n.get("family", "")) for n in names]
    given = [g for n in names for g in n.get("given", [])]
    pool = {"family": family, "given": given}.get(name, family + given)
    return any(text.casefold().startswith(wanted) for text in pool)


def _dated(kind: str, resource: Json, value: str) -> bool:
    prefix, text = (value[:2], value[2:]) if value[:2] in ("ge", "le", "gt", "lt", "eq") else ("eq", value)
    for element in _DATES.get(kind, ()):
        found = resource.get(element)
        when = found.get("start") if isinstance(found, dict) else found
        if isinstance(when, str):
            day = when[: len(text)]
            return {"ge": day >= text, "gt": day > text, "le": day <= text, "lt": day < text, "eq": day == text}[prefix]
    return False

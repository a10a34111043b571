"""Resources in memory, with versions, by type and by patient."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from service.practice_ehr.dress import Dress, Json, Meta
from service.practice_ehr.search_params import values_at

PATIENT_PATHS = ("subject.reference", "patient.reference", "beneficiary.reference")


class Store:
    """What one hospital holds, as the dress shows it. Order of a type: as loaded; a changed resource keeps its place."""

    def __init__(self, dress: Dress, loaded_at: datetime) -> None:
        self._meta: Meta = dress.meta
        self._loaded_at = loaded_at
        self._by_type: dict[str, dict[str, Json]] = {}
        self._versions: dict[tuple[str, str], int] = {}
        self._compartments: dict[str, dict[str, dict[str, None]]] = {}
        self._provenance: dict[str, dict[str, None]] = {}
        self.revision = 0
        """Grows with each change: what was found before it may not be true any more."""

    def load(self, resources: Iterable[Json]) -> None:
        """Take resources in; one that is already there becomes its next version."""
        items = list(resources)
        for resource in sorted(items, key=lambda r: r.get("resourceType") == "Provenance"):
            self.put(resource, at=self._loaded_at)

    def put(self, resource: Json, at: datetime | None = None) -> None:
        """Create or replace one resource. Nothing below its first level is copied or changed."""
        kind, found = resource["resourceType"], resource["id"]
        self._unindex(kind, found)
        version = self._versions.get((kind, found), 0) + 1
        self._versions[(kind, found)] = version
        self.revision += 1
        kept = dict(resource)
        self._stamp(kept, version, at or datetime.now(UTC))
        self._by_type.setdefault(kind, {})[found] = kept
        self._index(kept)

    def delete(self, kind: str, found: str) -> None:
        """Take one resource away; it simply vanishes, as in real EHRs."""
        self._unindex(kind, found)
        self._by_type.get(kind, {}).pop(found, None)
        self.revision += 1

    def get(self, kind: str, found: str) -> Json | None:
        """One resource."""
        return self._by_type.get(kind, {}).get(found)

    def version(self, kind: str, found: str) -> int:
        """How often a resource was put; 0: never."""
        return self._versions.get((kind, found), 0)

    def types(self) -> tuple[str, ...]:
        """Types of which there is at least one resource."""
        return tuple(kind for kind, held in self._by_type.items() if held)

    def of_type(self, kind: str) -> Iterable[Json]:
        """All resources of a type."""
        return self._by_type.get(kind, {}).values()

    def of_patient(self, patient: str, kind: str) -> Iterator[Json]:
        """Resources of a type in one patient's compartment."""
        for found in self._compartments.get(patient, {}).get(kind, {}):
            yield self._by_type[kind][found]

    def compartment(self, patient: str) -> Iterator[Json]:
        """Everything in one patient's compartment, the Patient first."""
        kinds = self._compartments.get(patient, {})
        for kind in sorted(kinds, key=lambda k: (k != "Patient", k)):
            yield from self.of_patient(patient, kind)

    def provenance_of(self, kind: str, found: str) -> Iterator[Json]:
        """Provenance that targets a resource."""
        for provenance in self._provenance.get(f"{kind}/{found}", {}):
            yield self._by_type["Provenance"][provenance]

    def patients_of(self, resource: Json) -> frozenset[str]:
        """Patients whose compartment a resource is in: none for shared ones, one for clinical ones."""
        kind = resource["resourceType"]
        if kind == "Patient":
            return frozenset([resource["id"]])
        references = [r for path in PATIENT_PATHS for r in values_at(resource, path) if isinstance(r, str)]
        patients = {local_id(r, "Patient") for r in references} - {""}
        if kind == "Provenance":
            for target in values_at(resource, "target.reference"):
                patients |= self._patients_of_target(target)
        return frozenset(patients)

    def _patients_of_target(self, target: object) -> set[str]:
        kind, found = target_of(str(target))
        resource = self.get(kind, found)
        return set(self.patients_of(resource)) if resource and kind != "Provenance" else set()

    def _index(self, resource: Json) -> None:
        kind, found = resource["resourceType"], resource["id"]
        patients = self.patients_of(resource)
        # A Provenance over two patients' resources would show one of them to the other: it is in no compartment.
        if len(patients) == 1:
            (patient,) = patients
            self._compartments.setdefault(patient, {}).setdefault(kind, {})[found] = None
        if kind == "Provenance" and len(patients) <= 1:
            for target in values_at(resource, "target.reference"):
                key = "/".join(str(target).split("/")[-2:])
                self._provenance.setdefault(key, {})[found] = None

    def _unindex(self, kind: str, found: str) -> None:
        for kinds in self._compartments.values():
            kinds.get(kind, {}).pop(found, None)
        if kind == "Provenance":
            for holders in self._provenance.values():
                holders.pop(found, None)

    def _stamp(self, resource: Json, version: int, at: datetime) -> None:
        meta = dict(resource.get("meta") or {})
        meta.pop("versionId", None)
        updated = meta.pop("lastUpdated", None)
        if version > 1 or not isinstance(updated, str):
            updated = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if self._meta.version_id:
            meta["versionId"] = str(version)
        if self._meta.last_updated:
            meta["lastUpdated"] = updated
        if not self._meta.profile:
            meta.pop("profile", None)
        resource.pop("meta", None)
        if meta:
            resource["meta"] = meta


def local_id(reference: str, kind: str) -> str:
    """The id in a relative or absolute reference to `kind`; empty when it is something else."""
    found_kind, found = target_of(reference)
    return found if found_kind == kind else ""


def target_of(reference: str) -> tuple[str, str]:
    """Type and id in a relative or absolute reference; empty strings when it is something else."""
    parts = reference.split("/_history/")[0].rstrip("/").split("/")
    return (parts[-2], parts[-1]) if len(parts) >= 2 else ("", "")

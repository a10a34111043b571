"""Files on disk -> raw resources -> record entries and charts, patient by patient."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from adapters.documents.packed import BadGzip, gunzip
from adapters.normalizer import Normalized, assemble, coverage_from_entries, parse_file
from adapters.normalizer import normalize as normalize_resources
from adapters.normalizer.ccda import CDA, patient_of
from adapters.normalizer.fhir_xml import json_of
from models.record import (
    RESOURCE_TYPE_OF_SECTION,
    AnyEntry,
    Chart,
    Demographics,
    RawResource,
    Rejected,
    RejectReason,
)
from models.record.dates import is_partial_date, precision
from service.cli import terminology_releases
from service.cli.output import CommandError

TENANT, SITE = "local", "file"
UNNAMED = "unknown"
"""Patient id for files in which no resource says whose it is."""
SUFFIXES = (".json", ".ndjson", ".jsonl", ".xml", ".json.gz", ".ndjson.gz", ".jsonl.gz", ".xml.gz")
PATIENTS_TYPES = frozenset(RESOURCE_TYPE_OF_SECTION.values()) | {"MedicationStatement", "MedicationOrder", CDA}
"""Types whose resources are somebody's even where they do not say whose; all others may be shared by every patient
(practitioners, medications, provenance, ...)."""


class _Reference(msgspec.Struct):
    reference: str = ""


class _Subject(msgspec.Struct):
    """The fields that say whose a resource is; everything else is skipped."""

    subject: _Reference | None = None
    patient: _Reference | None = None
    beneficiary: _Reference | None = None


class _Identifier(msgspec.Struct):
    system: str = ""
    value: str = ""


class _Identified(msgspec.Struct):
    identifier: list[_Identifier] = []


_subject_decoder = msgspec.json.Decoder(_Subject)
_identified_decoder = msgspec.json.Decoder(_Identified)


@dataclass
class Loaded:
    """What the files held."""

    instant: str
    resources: list[RawResource] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)
    """Bundle fullUrl -> Type/id, for whatever is referred to by its fullUrl."""
    _known: dict[tuple[str, str], str] | None = None

    def owner(self, resource: RawResource) -> str | None:
        """The patient a resource says it belongs to; None when it does not say."""
        if resource.resource_type == "Patient":
            return resource.resource_id
        if resource.resource_type == CDA:
            return self._document_owner(resource)
        try:
            found = _subject_decoder.decode(json_of(resource))
        except (msgspec.DecodeError, UnicodeDecodeError):  # an oddly shaped subject names nobody
            return None
        for reference in (found.subject, found.patient, found.beneficiary):
            if reference is not None and reference.reference:
                return self._patient_id(reference.reference)
        return None

    def _document_owner(self, resource: RawResource) -> str | None:
        """The Patient among the resources who has an identifier of the document's patient; else that identifier."""
        named, key = patient_of(resource.content)
        known = self._identifiers()
        return next((known[i] for i in named if i in known), key) or None

    def _identifiers(self) -> dict[tuple[str, str], str]:
        """Identifier (system, value) -> id of the Patient who has it."""
        if self._known is None:
            self._known = {}
            for resource in self.resources:
                if resource.resource_type == "Patient":
                    try:
                        found = _identified_decoder.decode(json_of(resource)).identifier
                    except (msgspec.DecodeError, UnicodeDecodeError):
                        continue
                    self._known.update({(i.system, i.value): resource.resource_id for i in found})
        return self._known

    def _patient_id(self, reference: str) -> str | None:
        reference = self.aliases.get(reference, reference)
        if reference.startswith(("#", "?")) or "?" in reference:
            return None
        if reference.startswith("urn:"):
            return reference.rpartition(":")[2]
        parts = reference.partition("/_history/")[0].split("/")
        return parts[-1] if len(parts) >= 2 and parts[-2] == "Patient" else None

    def by_patient(self) -> dict[str, list[RawResource]]:
        """Resources of each patient, shared ones left out. Unowned resources are the only patient's, else UNNAMED."""
        owned: dict[str, list[RawResource]] = {}
        unowned: list[RawResource] = []
        for resource in self.resources:
            owner = self.owner(resource)
            if owner:
                owned.setdefault(owner, []).append(resource)
            elif resource.resource_type in PATIENTS_TYPES:
                unowned.append(resource)
        if unowned:
            only = next(iter(owned)) if len(owned) == 1 else UNNAMED
            owned.setdefault(only, []).extend(unowned)
        return dict(sorted(owned.items()))

    def shared(self) -> list[RawResource]:
        """Resources that belong to no patient (practitioners, medications, ...)."""
        return [r for r in self.resources if r.resource_type not in PATIENTS_TYPES and not self.owner(r)]


@dataclass(frozen=True)
class Result:
    """What `chartbrief normalize` answers."""

    entries: tuple[AnyEntry, ...]
    normalized: Normalized
    patients: list[dict[str, Any]]
    document: dict[str, Any]
    resources: tuple[RawResource, ...] = ()
    """What was read, for whoever wants to judge it."""


def instant(as_of: str | None) -> str:
    """The moment to speak for, ISO 8601 UTC: a day means its end; None means now."""
    if as_of is None:
        return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if not is_partial_date(as_of) or precision(as_of) in ("year", "month"):
        raise CommandError("invalid_date", "--as-of takes a day (YYYY-MM-DD) or an instant (YYYY-MM-DDThh:mm:ssZ)")
    return f"{as_of}T23:59:59Z" if precision(as_of) == "day" else as_of


def load(
    paths: Sequence[Path], *, instant: str, max_bytes: int, progress: Callable[[Path], None] | None = None
) -> Loaded:
    """Read all files. A named file that cannot be read is an error; inside a folder it goes to quarantine."""
    terminology_releases.use_imported()
    loaded = Loaded(instant=instant)
    for path, in_folder in _expand(paths):
        if progress:
            progress(path)
        try:
            data = _read(path, max_bytes)
        except CommandError as error:
            if not in_folder:
                raise
            reason: RejectReason = "too_large" if error.code == "too_large" else "not_json"
            loaded.rejected.append(Rejected(site=SITE, reason=reason, detail=error.code, source=path.name))
            continue
        resources, rejected = parse_file(data, path.name, tenant=TENANT, site=SITE, retrieved=instant)
        loaded.resources.extend(resources)
        loaded.rejected.extend(rejected)
        loaded.aliases.update({r.full_url: f"{r.resource_type}/{r.resource_id}" for r in resources if r.full_url})
    if not loaded.resources:
        raise _nothing(loaded)
    return loaded


def by_patient(loaded: Loaded, patient: str | None) -> tuple[list[RawResource], Normalized, dict[str, list[AnyEntry]]]:
    """The resources of all (or of one, with what is shared), what became of them, and the entries of each patient."""
    groups = loaded.by_patient()
    if patient is not None:
        patient = patient.removeprefix("Patient/")
        groups = {patient: _only(groups, patient)}
        resources, rejected = groups[patient] + loaded.shared(), _rejected_of(loaded, groups[patient])
    else:
        resources, rejected = loaded.resources, loaded.rejected
    normalized = normalize_resources(resources, rejected=rejected)
    owner = {(r.resource_type, r.resource_id): pid for pid, group in groups.items() for r in group}
    parts: dict[str, list[AnyEntry]] = {pid: [] for pid in groups}
    for entry in normalized.entries:
        origin = entry.origin
        parts.setdefault(owner.get((origin.resource_type, origin.resource_id), UNNAMED), []).append(entry)
    return resources, normalized, parts


def normalize(loaded: Loaded, patient: str | None) -> Result:
    """Entries of every patient (or of one), with the quarantine and the ledger of everything that was offered."""
    resources, normalized, parts = by_patient(loaded, patient)
    entries: list[AnyEntry] = []
    patients = []
    for pid, part in parts.items():
        chart = assemble(TENANT, pid, part, coverage_from_entries(part, (SITE,)), as_of=loaded.instant)
        entries.extend(chart.entries)
        patients.append({"id": pid, **_identity(chart), "entries": len(chart.entries)})
    ledger = normalized.ledger
    document = {
        "entries": [msgspec.to_builtins(e) | {"section": e.section} for e in entries],
        "quarantine": [rejected_row(r) for r in normalized.quarantine],
        "ledger": ledger_row(ledger),
        "patients": patients,
    }
    return Result(tuple(entries), normalized, patients, document, tuple(resources))


def chart_of(loaded: Loaded, patient: str | None) -> Chart:
    """The chart of the one patient of the files, or of the one chosen."""
    groups = loaded.by_patient()
    if patient is None and len(groups) > 1:
        raise CommandError(
            "several_patients",
            f"the input holds {len(groups)} patients; choose one with --patient ID "
            "(`chartbrief normalize FILE` lists them with their names)",
            count=len(groups),
            patients=list(groups)[:100],
        )
    pid = patient.removeprefix("Patient/") if patient is not None else next(iter(groups), UNNAMED)
    own = _only(groups, pid) if groups else []
    rejected = _rejected_of(loaded, own)
    normalized = normalize_resources(own + loaded.shared(), rejected=rejected)
    coverage = coverage_from_entries(
        normalized.entries, (SITE,), quarantine=normalized.quarantine, told=normalized.coverage
    )
    return assemble(TENANT, pid, normalized.entries, coverage, as_of=loaded.instant, ledger=normalized.ledger)


def rejected_row(rejected: Rejected) -> dict[str, Any]:
    """A quarantined item for people and programs: its size, not its bytes (the file still has them)."""
    row = rejected.to_dict()
    row.pop("content", None)
    return row | {"bytes": len(rejected.content)}


def ledger_row(ledger: Any) -> dict[str, Any]:
    """The ledger with all its numbers, zeros too."""
    return {
        "offered": ledger.offered,
        "stored": ledger.stored,
        "quarantined": ledger.quarantined,
        "reported_missing": ledger.reported_missing,
        "by_type": ledger.by_type,
    }


def _expand(paths: Iterable[Path]) -> Iterable[tuple[Path, bool]]:
    for path in paths:
        if not path.is_dir():
            yield path, False
            continue
        inside = sorted(p for p in path.rglob("*") if p.is_file() and p.name.lower().endswith(SUFFIXES))
        if not inside:
            raise CommandError(
                "empty_directory", f"no {', '.join(SUFFIXES[:3])} (or .gz) file in {path}", file=str(path)
            )
        for member in inside:
            yield member, True


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        if path.stat().st_size > max_bytes:
            raise _too_large(path, max_bytes)
        data = path.read_bytes()
    except FileNotFoundError:
        raise CommandError("file_not_found", f"no such file: {path}", file=str(path)) from None
    except OSError as error:
        raise CommandError("file_unreadable", f"cannot read {path}: {error.strerror}", file=str(path)) from None
    if data[:2] == b"\x1f\x8b" or path.name.lower().endswith(".gz"):
        data = _unpack(path, data, max_bytes)
    if not data.strip():
        raise CommandError("empty_file", f"the file is empty: {path}", file=str(path))
    return data


def _unpack(path: Path, data: bytes, max_bytes: int) -> bytes:
    """Gunzip with a ceiling: a few kB may unpack to gigabytes. Several members in one file are legal gzip."""
    try:
        return gunzip(data, max_bytes)
    except BadGzip as error:
        if error.code == "too_large":
            raise _too_large(path, max_bytes) from None
        words = "the gzip stream is cut off" if error.code == "cut_off" else "not a gzip file"
        raise CommandError("not_gzip", f"{words}: {path}", file=str(path)) from None


def _too_large(path: Path, max_bytes: int) -> CommandError:
    return CommandError(
        "too_large",
        f"{path} is larger than {max_bytes // 1_000_000} MB; split it (NDJSON splits by lines) or raise --max-mb",
        file=str(path),
        limit_bytes=max_bytes,
    )


def _nothing(loaded: Loaded) -> CommandError:
    reasons = {r.reason for r in loaded.rejected}
    code = "not_json" if reasons == {"not_json"} else "no_resources"
    words = "the input is not JSON" if code == "not_json" else "the input holds no FHIR resource that can be read"
    if any("XML" in r.detail or "xml" in r.reason for r in loaded.rejected):
        words += "; of XML, FHIR and C-CDA are read"
    normalized = normalize_resources([], rejected=loaded.rejected)
    return CommandError(
        code,
        words,
        details=[f"{r.source}: {r.reason}{': ' + r.detail if r.detail else ''}" for r in loaded.rejected[:10]],
        document={
            "entries": [],
            "quarantine": [rejected_row(r) for r in normalized.quarantine],
            "ledger": ledger_row(normalized.ledger),
            "patients": [],
        },
    )


def _only(groups: dict[str, list[RawResource]], patient: str) -> list[RawResource]:
    if patient not in groups:
        raise CommandError(
            "unknown_patient", "no resource of the input belongs to that patient", patients=list(groups)[:100]
        )
    return groups[patient]


def _rejected_of(loaded: Loaded, own: list[RawResource]) -> list[Rejected]:
    """Nobody can say whose a broken thing is, so whoever is asked about hears of it, unless it names another."""
    others = {r.resource_id for r in loaded.resources if r.resource_type == "Patient"} - {r.resource_id for r in own}
    return [r for r in loaded.rejected if not (r.resource_type == "Patient" and r.resource_id in others)]


def _identity(chart: Chart) -> dict[str, Any]:
    person = next(iter(chart.of(Demographics)), None)
    if person is None:
        return {}
    return {"name": person.name, "birth_date": person.birth_date, "gender": person.gender}

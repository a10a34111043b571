"""Files and packages on disk -> raw resources, and whose they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from adapters.documents.packed import BadGzip, gunzip
from adapters.normalizer import normalize as normalize_resources
from adapters.normalizer import parse_file
from adapters.normalizer.ccda import CDA, patient_of
from adapters.normalizer.fhir_xml import json_of
from adapters.normalizer.packages import Package, is_zip, parse_package
from models.record import RESOURCE_TYPE_OF_SECTION, Missing, RawResource, Rejected, RejectReason
from service.cli import persons, terminology_releases
from service.cli.output import CommandError

TENANT, SITE = "local", "file"
UNNAMED = "unknown"
"""Patient id for files in which no resource says whose it is."""
SUFFIXES = (".zip", ".json", ".ndjson", ".jsonl", ".xml", ".json.gz", ".ndjson.gz", ".jsonl.gz", ".xml.gz")
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
    site: str = SITE
    resources: list[RawResource] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)
    """Bundle fullUrl -> Type/id, for whatever is referred to by its fullUrl."""
    missing: list[Missing] = field(default_factory=list)
    packages: list[Package] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    """What a reader must know of whose the files are: code, message, and what it is about."""
    parts: list[tuple[str, int]] = field(default_factory=list)
    """(file, how many resources), in the order of `resources`."""
    _known: dict[tuple[str, str], str] | None = None
    _heads: dict[bytes, tuple[list[tuple[str, str]], str]] = field(default_factory=dict)

    def take(self, name: str, resources: Sequence[RawResource]) -> None:
        """The resources of one more file."""
        self.resources.extend(resources)
        self.parts.append((name, len(resources)))
        self.aliases.update({r.full_url: f"{r.resource_type}/{r.resource_id}" for r in resources if r.full_url})

    def owner(self, resource: RawResource) -> str | None:
        """The patient a resource says it belongs to; None when it does not say."""
        found = self._owner(resource)
        apart = resource.site.removeprefix(SITE)
        return f"{found} ({apart.lstrip('-')})" if found and apart else found

    def _owner(self, resource: RawResource) -> str | None:
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
        head = self._heads.get(resource.content)
        if head is None:
            head = self._heads[resource.content] = patient_of(resource.content)
        named, key = head
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
        if is_zip(data):
            package = parse_package(data, path.name, tenant=TENANT, site=SITE, retrieved=instant, most_bytes=max_bytes)
            _take_package(loaded, package)
            continue
        resources, rejected = parse_file(data, path.name, tenant=TENANT, site=SITE, retrieved=instant)
        loaded.take(path.name, resources)
        loaded.rejected.extend(rejected)
    if not loaded.resources:
        raise _nothing(loaded)
    persons.keep_apart(loaded)
    return loaded


def _take_package(loaded: Loaded, package: Package) -> None:
    start = 0
    for name, many in package.files:
        loaded.take(name, package.resources[start : start + many])
        start += many
    loaded.rejected.extend(package.rejected)
    loaded.missing.extend(package.missing)
    loaded.packages.append(package)


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
            "packages": [{"file": p.name, "members": [m.to_dict() for m in p.members]} for p in loaded.packages],
            "warnings": [],
        },
    )

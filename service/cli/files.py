"""What files hold -> record entries and charts, patient by patient."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from adapters.normalizer import Normalized, assemble, coverage_from_entries
from adapters.normalizer import normalize as normalize_resources
from models.record import (
    AnyEntry,
    Chart,
    Demographics,
    Missing,
    RawResource,
    Rejected,
)
from models.record.dates import is_partial_date, precision
from service.cli import persons
from service.cli.loaded import SITE, TENANT, UNNAMED, Loaded, ledger_row, rejected_row
from service.cli.loaded import load as load  # the rooms that read files know this module
from service.cli.output import CommandError
from service.store.ledgers import merge_ledgers


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


def by_patient(loaded: Loaded, patient: str | None) -> tuple[list[RawResource], Normalized, dict[str, list[AnyEntry]]]:
    """The resources of all (or of one, with what is shared), what became of them, and the entries of each patient."""
    groups = loaded.by_patient()
    if patient is not None:
        patient = patient.removeprefix("Patient/")
        groups = {patient: _only(loaded, groups, patient)}
        resources, rejected = _with_shared(loaded, groups[patient]), _rejected_of(loaded, groups[patient])
    else:
        resources, rejected = loaded.resources, loaded.rejected
    normalized = _normalized(resources, rejected, loaded.missing)
    owner = {(r.site, r.resource_type, r.resource_id): pid for pid, group in groups.items() for r in group}
    parts: dict[str, list[AnyEntry]] = {pid: [] for pid in groups}
    for entry in normalized.entries:
        origin = entry.origin
        parts.setdefault(owner.get((origin.site, origin.resource_type, origin.resource_id), UNNAMED), []).append(entry)
    return resources, normalized, parts


def _with_shared(loaded: Loaded, own: list[RawResource]) -> list[RawResource]:
    """A patient's resources, and those of their files that belong to nobody."""
    sites = {r.site for r in own}
    return own + [r for r in loaded.shared() if r.site in sites]


def _normalized(resources: list[RawResource], rejected: list[Rejected], missing: list[Missing]) -> Normalized:
    """All sites, each by itself: what has the same type and id at two of them are two things."""
    by_site: dict[str, list[RawResource]] = {}
    for resource in resources:
        by_site.setdefault(resource.site, []).append(resource)
    first, *others = [by_site[site] for site in sorted(by_site)] or [[]]
    found = [normalize_resources(first, rejected=rejected, missing=missing), *map(normalize_resources, others)]
    if not others:
        return found[0]
    return Normalized(
        entries=tuple(e for n in found for e in n.entries),
        quarantine=tuple(q for n in found for q in n.quarantine),
        ledger=merge_ledgers([n.ledger for n in found]),
        dispositions={name: fate for n in reversed(found) for name, fate in n.dispositions.items()},
        coverage=tuple(c for n in found for c in n.coverage),
    )


def sites_of(entries: Iterable[AnyEntry]) -> list[str]:
    """The sites of a patient's entries: one, but for files that had to be kept apart."""
    return sorted({o.site for e in entries for o in e.origins}) or [SITE]


def normalize(loaded: Loaded, patient: str | None) -> Result:
    """Entries of every patient (or of one), with the quarantine and the ledger of everything that was offered."""
    resources, normalized, parts = by_patient(loaded, patient)
    entries: list[AnyEntry] = []
    patients = []
    for pid, part in parts.items():
        chart = assemble(TENANT, pid, part, coverage_from_entries(part, sites_of(part)), as_of=loaded.instant)
        entries.extend(chart.entries)
        patients.append({"id": pid, **_identity(chart), "entries": len(chart.entries)})
    ledger = normalized.ledger
    document = {
        "entries": [msgspec.to_builtins(e) | {"section": e.section} for e in entries],
        "quarantine": [rejected_row(r) for r in normalized.quarantine],
        "ledger": ledger_row(ledger),
        "patients": patients,
        "packages": [{"file": p.name, "members": [m.to_dict() for m in p.members]} for p in loaded.packages],
        "warnings": persons.warnings_of(loaded, patient),
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
            warnings=loaded.warnings,
        )
    pid = patient.removeprefix("Patient/") if patient is not None else next(iter(groups), UNNAMED)
    own = _only(loaded, groups, pid) if groups else []
    rejected = _rejected_of(loaded, own)
    normalized = _normalized(_with_shared(loaded, own), rejected, loaded.missing)
    coverage = coverage_from_entries(
        normalized.entries,
        sites_of(normalized.entries),
        quarantine=normalized.quarantine,
        told=normalized.coverage,
    )
    return assemble(TENANT, pid, normalized.entries, coverage, as_of=loaded.instant, ledger=normalized.ledger)


def _only(loaded: Loaded, groups: dict[str, list[RawResource]], patient: str) -> list[RawResource]:
    """The resources of one patient, where the id is that of one person."""
    if patient not in groups:
        people = "; ".join(f"{pid} ({persons.who(group)})" for pid, group in list(groups.items())[:5])
        raise CommandError(
            "unknown_patient",
            f"no resource of the input belongs to that patient; the input is about {people}",
            patients=list(groups)[:100],
        )
    if any(pid.startswith(f"{patient} (") for pid in groups):
        raise CommandError(
            "patients_differ",
            "the files name two people by that id; give their files in separate commands",
            patients=[pid for pid in groups if pid == patient or pid.startswith(f"{patient} (")],
            warnings=[w for w in loaded.warnings if w["patient"] == patient],
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

"""The versions of all releases below one folder: imported ones, and which of them is in force from when.

    <folder>/<kind>/<version>.index            one immutable file each, named whole by one atomic step
    <folder>/<kind>/<version>.in-force.json    there when the version was put in force: from when, decided when

A version in force holds until a later one begins. Two imports side by side, readers meanwhile: every file appears whole.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from models.record.base import Value
from models.terminology.releases.archive import Archive
from models.terminology.releases.base import LICENCE, About, Item, Manifest, ReleaseError, SourceFile
from models.terminology.releases.formats import Found, recognized
from models.terminology.releases.index import Index, Writer

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_LEFT_BEHIND = 24 * 3600
"""Seconds after which a half-written index of a killed import is deleted by the next import."""
MOST_OPEN = 64
"""Index files kept open: a process may hold some hundred files, value sets come by the thousand."""
Progress = Callable[[int], None]


class InForce(Value, frozen=True):
    """That a version holds."""

    begins: Annotated[str, Meta(description="First day, YYYY-MM-DD.")]
    decided: Annotated[str, Meta(description="When it was put in force, ISO 8601 UTC.")] = ""


class Version(Value, frozen=True):
    """A version on the shelf."""

    path: Path
    manifest: Manifest
    in_force: InForce | None = None


class Shelf:
    """The releases below `folder`. Cheap to make; nothing is opened before it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: OrderedDict[Path, Index] = OrderedDict()
        self._manifests: dict[Path, Manifest] = {}
        self._lock = threading.Lock()

    def versions(self, kind: str = "", subject: str = "") -> list[Version]:
        """All versions (of a kind, of a subject), by kind, subject and beginning."""
        found = []
        for path in sorted(self.folder.glob(f"{kind or '*'}/{_digest(subject)}*.index")):
            manifest = self._manifest(path)
            if not subject or manifest.subject == subject:
                found.append(Version(path=path, manifest=manifest, in_force=_in_force(path)))
        return sorted(
            found, key=lambda v: (v.manifest.kind, v.manifest.subject, v.manifest.effective_from, v.manifest.version)
        )

    def index(self, path: Path) -> Index:
        """The opened index of a version. It never changes, so it stays open; of many (value sets) those used last."""
        with self._lock:
            if path not in self._open:
                self._open[path] = Index(path)
            self._open.move_to_end(path)
            if len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)  # closed when the last who uses it lets it go
            return self._open[path]

    def _manifest(self, path: Path) -> Manifest:
        if path not in self._manifests:
            opened = Index(path)
            self._manifests[path] = opened.manifest
            opened.close()
        return self._manifests[path]

    def version(self, name: str) -> Version:
        """The version called `kind@version` or `url|version` (without a version: the one in force). Raises ReleaseError."""
        kind, _, wanted = name.partition("@")
        subject = ""
        if kind not in LICENCE:
            kind, (subject, _, wanted) = "", name.partition("|")
        those = [v for v in self.versions(kind, subject) if v.manifest.subject == subject] if kind or subject else []
        if wanted:
            those = [v for v in those if v.manifest.version == wanted]
            if not those:
                raise ReleaseError("unknown_release", f"{name}: not imported; see chartbrief terminology list")
            return those[0]
        now = chosen(those, "")
        if now is None:
            raise ReleaseError("unknown_release", f"{name}: no version is in force; see chartbrief terminology list")
        return now

    def current(self, kind: str, date: str = "", subject: str = "") -> Version | None:
        """The version in force on `date` (today without one)."""
        return chosen(self.versions(kind, subject), date)

    def take(
        self,
        paths: list[Path],
        *,
        kind: str = "",
        version: str = "",
        effective: str = "",
        progress: Progress | None = None,
    ) -> list[Version]:
        """Import what was given: each release becomes an index file, not yet in force. The same files again: what is there.

        Raises ReleaseError: the file is none or damaged, the version is not known (`version_needed`) or is there with other
        content (`version_exists`).
        """
        if effective and not _DAY.fullmatch(effective):
            raise ReleaseError("invalid_date", "--effective takes a day, YYYY-MM-DD")
        with Archive(paths) as archive:
            found = recognized(archive, kind)
            if len(found) > 1 and version:
                raise ReleaseError("usage", "--version is for one release; these files hold several")
            return [self._take(archive, item, version, effective, progress) for item in found]

    def _take(self, archive: Archive, found: Found, version: str, effective: str, progress: Progress | None) -> Version:
        folder = self.folder / found.kind
        folder.mkdir(parents=True, exist_ok=True)
        self._sweep(folder)
        handle, temporary = tempfile.mkstemp(dir=folder, suffix=".part")
        os.close(handle)
        made = Path(temporary)
        try:
            return self._filled(made, found, archive.digest(found.used), version, effective, progress)
        finally:
            made.unlink(missing_ok=True)

    def _filled(
        self,
        made: Path,
        found: Found,
        files: tuple[SourceFile, ...],
        version: str,
        effective: str,
        progress: Progress | None,
    ) -> Version:
        writer = Writer(made)
        try:
            about = _drained(writer, found, progress)
            version = version or about.version
            if not version:
                raise ReleaseError(
                    "version_needed", "neither the names nor the files say which version this is; give --version"
                )
            counts = writer.counts()
            if not any(name in counts for name in ("concepts", "members")) and not any(
                n.startswith("link:") for n in counts
            ):
                raise ReleaseError("empty_source", f"{found.used[0].name}: there is nothing in it")
            now = datetime.now(UTC)
            manifest = Manifest(
                kind=found.kind,
                version=version,
                subject=about.subject,
                title=about.title,
                effective_from=effective or about.effective_from or now.date().isoformat(),
                effective_by="given" if effective else "release" if about.effective_from else "import",
                imported=now.isoformat(timespec="seconds").replace("+00:00", "Z"),
                licence=LICENCE[found.kind],
                files=files,
                counts=counts,
                skipped=dict(writer.skipped),
            )
            writer.finish(manifest)
        finally:
            writer.close()
        return self._placed(made, manifest)

    def _placed(self, made: Path, manifest: Manifest) -> Version:
        path = made.parent / f"{_file_name(manifest)}.index"
        try:
            os.link(made, path)  # unlike a rename it never replaces
        except FileExistsError:
            there = self._manifest(path)
            if [f.sha256 for f in there.files] != [f.sha256 for f in manifest.files]:
                raise ReleaseError(
                    "version_exists",
                    f"{manifest.name} is there, made from other files; a version is never changed: give another --version",
                ) from None
        return Version(path=path, manifest=self._manifest(path), in_force=_in_force(path))

    @staticmethod
    def _sweep(folder: Path) -> None:
        for left in folder.glob("*.part"):
            if time.time() - left.stat().st_mtime > _LEFT_BEHIND:
                left.unlink(missing_ok=True)

    def put_in_force(self, version: Version, begins: str = "") -> Version:
        """Let `version` hold from `begins` (its own effective date without one), until a later one begins."""
        if begins and not _DAY.fullmatch(begins):
            raise ReleaseError("invalid_date", "--effective takes a day, YYYY-MM-DD")
        decided = InForce(
            begins=begins or version.manifest.effective_from,
            decided=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        )
        place = _beside(version.path)
        handle, temporary = tempfile.mkstemp(dir=place.parent, suffix=".part")
        with os.fdopen(handle, "wb") as out:
            out.write(msgspec.json.encode(decided))
            out.flush()
            os.fsync(out.fileno())
        Path(temporary).replace(place)
        return msgspec.structs.replace(version, in_force=decided)


def chosen(versions: list[Version], date: str) -> Version | None:
    """Of versions of one thing the one in force on `date` (YYYY, YYYY-MM or YYYY-MM-DD; empty: today).

    A date before all of them is read with the first: an old code's name is better known late than never.
    """
    held = sorted(
        ((v.in_force.begins, v.in_force.decided, v) for v in versions if v.in_force is not None),
        key=lambda item: item[:2],
    )
    day = date[:10] or datetime.now(UTC).date().isoformat()
    end = day if len(day) == 10 else f"{day}~"  # sorts after every day of that month or year
    begun = [v for begins, _, v in held if begins <= end]
    return begun[-1] if begun else held[0][2] if held else None


def _drained(writer: Writer, found: Found, progress: Progress | None) -> About:
    """Everything the reader yields into the index; returns what the release says of itself."""
    about, count = About(kind=found.kind), 0
    batch: list[Item] = []
    for item in found.items():
        if isinstance(item, About):
            about = item
            continue
        batch.append(item)
        count += 1
        if len(batch) >= 5000:
            writer.add(batch)
            batch.clear()
            if progress is not None:
                progress(count)
    writer.add(batch)
    return about


def _in_force(path: Path) -> InForce | None:
    try:
        return msgspec.json.decode(_beside(path).read_bytes(), type=InForce)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError:
        raise ReleaseError(
            "index_damaged", f"{path.stem}.in-force.json cannot be read; put the version in force again"
        ) from None


def _file_name(manifest: Manifest) -> str:
    """The version, made safe for any file system; of a subject, with its digest in front."""
    version = _UNSAFE.sub("-", manifest.version).strip(".-") or "0"
    exact = "" if version == manifest.version else "-" + hashlib.sha256(manifest.version.encode()).hexdigest()[:6]
    return f"{_digest(manifest.subject)}{version[:60]}{exact}"


def _digest(subject: str) -> str:
    return hashlib.sha256(subject.encode()).hexdigest()[:12] + "_" if subject else ""


def _beside(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(".index") + ".in-force.json")

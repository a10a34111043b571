"""The endpoint directory of this installation: one file for each imported list under `home`/directory. It holds no PHI.

Importing a list again replaces it. Each file is written whole, then put in its place, so that a command that reads
meanwhile finds the old list or the new one.
"""

from __future__ import annotations

import os
import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from adapters.directory import Endpoint, EndpointList, Hit, find, read_list, site_file
from adapters.directory.match import merged, words
from adapters.directory.products import named

FOLDER = "directory"
CLOSE = 0.1
"""A site file is made for a name that is not exactly on a list only when no other name's score is this near."""
_NAME = re.compile(r"[^a-z0-9._-]+")
_ID = re.compile(r"^[0-9a-f]{10}$")


class DirectoryError(Exception):
    """The directory cannot answer; `code` is stable, `hits` are those between which somebody must choose."""

    def __init__(self, code: str, message: str, hits: tuple[Hit, ...] = ()) -> None:
        super().__init__(message)
        self.code, self.hits = code, hits


class Directory:
    """The lists imported below a home folder."""

    def __init__(self, home: Path) -> None:
        self._folder = home / FOLDER

    def add(self, data: bytes, name: str, vendor: str = "") -> EndpointList:
        """Import a list under `name`, in the place of an older one of that name. Raises ListError, DirectoryError."""
        if vendor and named(vendor) is None:
            raise DirectoryError("unknown_vendor", "no vendor of that name is known to the directory")
        name = _NAME.sub("-", name.casefold()).strip("-.") or "list"
        read = read_list(data, name, vendor)
        kept = msgspec.structs.replace(read, imported=datetime.now(UTC).date().isoformat())
        self._folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self._folder, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(msgspec.json.encode(kept))
                out.flush()
                os.fsync(out.fileno())
            Path(temporary).replace(self._folder / f"{name}.json")
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return kept

    def lists(self) -> list[EndpointList]:
        """The imported lists. Raises DirectoryError when one of the files is damaged."""
        found = []
        for file in sorted(self._folder.glob("*.json")):
            try:
                found.append(msgspec.json.decode(file.read_bytes(), type=EndpointList))
            except msgspec.MsgspecError:
                raise DirectoryError(
                    "directory_damaged", f"{file.name} cannot be read; import that list again"
                ) from None
        return found

    def find(self, question: str, vendor: str = "", limit: int = 20) -> list[Hit]:
        """Endpoints by name or id, best first. Raises DirectoryError when nothing was imported or the vendor is unknown."""
        endpoints, where = self._endpoints()
        if vendor:
            product = named(vendor)
            if product is None:
                raise DirectoryError("unknown_vendor", "no vendor of that name is known to the directory")
            endpoints = [e for e in endpoints if e.product == product.title]
        if _ID.match(question.strip()):
            hits = [Hit(score=1.0, endpoint=e) for e in endpoints if e.id == question.strip()]
        else:
            hits = find(endpoints, question, limit)
        return [msgspec.structs.replace(h, lists=where[h.endpoint.id]) for h in hits]

    def site_file(self, question: str, vendor: str = "", client_id: str = "") -> tuple[Hit, str]:
        """The endpoint that a name or id means, and its site file. Raises DirectoryError unless there is exactly one.

        Several addresses of one hospital: the one of the newest release that new connections use (R4), if only one is.
        """
        hits = self.find(question, vendor, limit=50)
        if not hits:
            raise DirectoryError("unknown_endpoint", "no endpoint fits that name")
        exact = [h for h in hits if words(h.endpoint.name) == words(question)]
        best = exact or [h for h in hits if h.score >= hits[0].score - CLOSE]
        newest = [h for h in best if h.endpoint.release == best[0].endpoint.release]
        if len(newest) > 1 or len({words(h.endpoint.name) for h in best}) > 1:
            choice = tuple(newest if len(newest) > 1 else best)
            raise DirectoryError("several_endpoints", "several endpoints fit; give the id of one", choice)
        hit = newest[0]
        return hit, site_file(hit.endpoint, hit.lists, client_id)

    def _endpoints(self) -> tuple[list[Endpoint], dict[str, tuple[tuple[str, str], ...]]]:
        lists = self.lists()
        if not lists:
            raise DirectoryError("no_lists", "no endpoint list was imported yet: chartbrief directory import FILE")
        return merged((item.name, item.published[:10] or f"imported {item.imported}", item.endpoints) for item in lists)


def hit_row(hit: Hit) -> dict[str, Any]:
    """A hit as JSON says it."""
    endpoint = hit.endpoint
    return {
        "id": endpoint.id,
        "score": hit.score,
        "name": endpoint.name,
        "city": endpoint.city,
        "state": endpoint.state,
        "vendor": endpoint.vendor,
        "product": endpoint.product,
        "fhir_version": endpoint.release,
        "fhir_version_from": endpoint.release_from,
        "fhir_base": endpoint.fhir_base,
        "lists": [{"name": name, "date": date} for name, date in hit.lists],
    }


def list_row(read: EndpointList) -> dict[str, Any]:
    """An imported list and the account of its rows."""
    return {
        "name": read.name,
        "published": read.published,
        "imported": read.imported,
        "rows": read.rows,
        "endpoints": len(read.endpoints),
        "duplicates": read.duplicates,
        "skipped": read.skipped,
    }

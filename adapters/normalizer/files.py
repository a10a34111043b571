"""Bytes of a file -> raw resources: a Bundle of any type, NDJSON, an array or a single resource, gzipped or not.

Every item ends as a RawResource or a Rejected that says where it stood; nothing is skipped.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import orjson

from adapters.normalizer.read import Json
from models.record import RawResource, Rejected, RejectReason

MOST_LINE = 50_000_000
"""Bytes of one NDJSON line."""
MOST_UNPACKED = 2_000_000_000
"""Bytes a gzip file may unpack to."""
KEPT_BYTES = 100_000
"""Bytes of a rejected item that go to quarantine beside the reason."""
MOST_NESTED = 5


class _Items:
    """Collects what a file holds."""

    def __init__(self, tenant: str, site: str, retrieved: str) -> None:
        self.tenant, self.site, self.retrieved = tenant, site, retrieved
        self.resources: list[RawResource] = []
        self.rejected: list[Rejected] = []

    def reject(
        self, reason: RejectReason, where: str, content: bytes, detail: str = "", item: Json | None = None
    ) -> None:
        """Put one thing into quarantine."""
        kind, found = (item or {}).get("resourceType"), (item or {}).get("id")
        self.rejected.append(
            Rejected(
                site=self.site,
                reason=reason,
                detail=detail,
                source=where,
                resource_type=kind if isinstance(kind, str) else "",
                resource_id=found if isinstance(found, str) else "",
                content=content[:KEPT_BYTES],
            )
        )

    def take(self, item: Any, where: str, full_url: str = "", content: bytes | None = None, depth: int = 0) -> None:
        """One resource, or a bundle within."""
        if not isinstance(item, dict):
            self.reject("not_a_resource", where, _dump(item), "an object was expected")
            return
        kind = item.get("resourceType")
        if not isinstance(kind, str) or not kind:
            self.reject("not_a_resource", where, _dump(item), "resourceType is missing", item)
            return
        if kind == "Bundle" and ("entry" in item or "id" not in item or depth == 0):
            self.take_bundle(item, where, depth)
            return
        if kind == "Parameters" and isinstance(item.get("parameter"), list):
            for index, parameter in enumerate(item["parameter"]):
                if isinstance(parameter, dict) and "resource" in parameter:
                    self.take(parameter["resource"], f"{where}#parameter[{index}]", depth=depth + 1)
            return
        if kind == "OperationOutcome":
            self.reject("operation_outcome", where, _dump(item), "an OperationOutcome is no part of a record", item)
            return
        found = item.get("id")
        if not isinstance(found, str) or not found.strip():
            found = _id_from(full_url, kind)
            if not found:
                self.reject("missing_id", where, _dump(item), "id", item)
                return
        meta = item.get("meta")
        version = meta.get("versionId") if isinstance(meta, dict) else None
        self.resources.append(
            RawResource(
                tenant=self.tenant,
                site=self.site,
                resource_type=kind,
                resource_id=found.strip(),
                content=content if content is not None else _dump(item),
                version=version if isinstance(version, str) else "",
                retrieved=self.retrieved,
            )
        )

    def take_bundle(self, bundle: Json, where: str, depth: int) -> None:
        """The resources of a bundle's entries; a request without resource (DELETE) offers nothing."""
        entries = bundle.get("entry")
        if entries is None:
            return
        if not isinstance(entries, list) or depth > MOST_NESTED:
            self.reject(
                "not_a_resource" if depth <= MOST_NESTED else "too_deep", f"{where}#entry", _dump(bundle), "entry"
            )
            return
        for index, entry in enumerate(entries):
            place = f"{where}#entry[{index}]"
            if not isinstance(entry, dict):
                self.reject("not_a_resource", place, _dump(entry), "an entry must be an object")
            elif isinstance(entry.get("resource"), dict):
                url = entry.get("fullUrl")
                self.take(entry["resource"], place, url if isinstance(url, str) else "", depth=depth + 1)
            elif "resource" in entry:
                self.reject("not_a_resource", place, _dump(entry), "resource must be an object")
            elif not isinstance(entry.get("request"), dict) and not isinstance(entry.get("response"), dict):
                self.reject("not_a_resource", place, _dump(entry), "an entry without resource")


def parse_file(
    data: bytes, name: str, *, tenant: str, site: str, retrieved: str
) -> tuple[list[RawResource], list[Rejected]]:
    """All resources of a file, and what could not be read of it, each with `name` and its place."""
    items = _Items(tenant, site, retrieved)
    if data[:2] == b"\x1f\x8b":
        unpacked = _gunzip(data)
        if unpacked is None:
            items.reject(
                "too_large" if _is_gzip(data) else "not_json", name, data, "gzip: cut off, damaged or too large"
            )
            return items.resources, items.rejected
        data = unpacked
    data = _utf8(data)
    if not data.strip():
        items.reject("not_json", name, data, "the file is empty")
        return items.resources, items.rejected
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        _lines(items, data, name, error)
        return items.resources, items.rejected
    if isinstance(document, list):
        for index, item in enumerate(document):
            items.take(item, f"{name}[{index}]")
    else:
        single = isinstance(document, dict) and document.get("resourceType") not in ("Bundle", "Parameters")
        items.take(document, name, content=data.strip() if single else None)
    return items.resources, items.rejected


def _lines(items: _Items, data: bytes, name: str, error: orjson.JSONDecodeError) -> None:
    """NDJSON; or a broken JSON document, which is one rejected thing and not a thousand bad lines."""
    numbered = [(n, line) for n, line in enumerate(_split(data), 1) if line.strip()]
    if len(numbered) < 2 or not _looks_like_ndjson(numbered):
        deep = "recursion" in str(error).lower()
        items.reject("too_deep" if deep else "not_json", name, data, _where(error))
        return
    for number, line in numbered:
        place = f"{name}:{number}"
        if len(line) > MOST_LINE:
            items.reject("too_large", place, line, f"a line over {MOST_LINE} bytes")
            continue
        try:
            item = orjson.loads(line)
        except orjson.JSONDecodeError as problem:
            deep = "recursion" in str(problem).lower()
            items.reject("too_deep" if deep else "not_json", place, line, _where(problem))
            continue
        items.take(item, place, content=line.strip())


def _split(data: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        yield data[start:end]
        start = end + 1


def _looks_like_ndjson(lines: list[tuple[int, bytes]]) -> bool:
    """Whether any of the first lines is a whole JSON object by itself (a pretty-printed document's are not)."""
    for _, line in lines[:20]:
        text = line.strip()
        if text.startswith(b"{") and text.endswith(b"}"):
            try:
                if isinstance(orjson.loads(text), dict) and len(text) > 2:
                    return True
            except orjson.JSONDecodeError:
                continue
    return False


def _where(error: orjson.JSONDecodeError) -> str:
    """Position of a JSON error, without the text around it."""
    return f"{error.msg.split(':')[0]} at character {error.pos}"


def _id_from(full_url: str, kind: str) -> str:
    if full_url.startswith(("urn:uuid:", "urn:oid:")):
        return full_url.split(":", 2)[2]
    parts = full_url.rstrip("/").split("/")
    return parts[-1] if len(parts) >= 2 and parts[-2] == kind else ""


def _utf8(data: bytes) -> bytes:
    """The bytes as UTF-8 without byte order mark; UTF-16 by its mark; a stray cp1252 file is read as that."""
    if data[:3] == b"\xef\xbb\xbf":
        return data[3:]
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace").encode()
    return data


def _is_gzip(data: bytes) -> bool:
    try:
        zlib.decompressobj(wbits=31).decompress(data, 64)
    except zlib.error:
        return False
    return True


def _gunzip(data: bytes) -> bytes | None:
    out = bytearray()
    try:
        while data:
            unpacker = zlib.decompressobj(wbits=31)
            out += unpacker.decompress(data, MOST_UNPACKED + 1 - len(out))
            if len(out) > MOST_UNPACKED or not unpacker.eof:
                return None
            data = unpacker.unused_data.lstrip(b"\0")
    except zlib.error:
        return None
    return bytes(out)


def _dump(item: Any) -> bytes:
    return orjson.dumps(item)

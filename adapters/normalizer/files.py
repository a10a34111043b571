"""Bytes of a file -> raw resources: a Bundle of any type, NDJSON, an array or a single resource, JSON or XML, gzipped or not.

Every item ends as a RawResource or a Rejected that says where it stood; nothing is skipped. A resource without id takes
the one in its bundle entry's fullUrl, else one made of its content: the same again whenever it is read. Resources are cut out of the
file as bytes, so that a number keeps the digits it was sent with (7.10 is not 7.1); only the white space between the
elements of a bundle's member is dropped, because it belongs to the bundle's indentation. A resource of FHIR XML stays XML,
with the namespaces it needs (fhir_xml reads it).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from adapters.documents.packed import BadGzip, gunzip
from adapters.documents.safe_xml import XmlRefused
from adapters.normalizer import fhir_xml
from adapters.normalizer.ccda import CDA, identity
from adapters.normalizer.read import NotJson, outline, parse, subject_of
from adapters.normalizer.releases.told import is_fhir_xml, of_the_declared_release, release_of_profiles
from adapters.normalizer.values import reference_key
from models.record import RawResource, Rejected, RejectReason

MOST_LINE = 50_000_000
"""Bytes of one NDJSON line."""
MOST_UNPACKED = 2_000_000_000
"""Bytes a gzip file may unpack to."""
KEPT_BYTES = 100_000
"""Bytes of a rejected item that go to quarantine beside the reason."""
MOST_NESTED = 5
MADE = "content-"
"""How an id begins that we made of a resource's content, because it came without one."""
LINES = (".ndjson", ".jsonl", ".ndjson.gz", ".jsonl.gz")

_HTML = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html)\b", re.IGNORECASE)

Member = bytes | memoryview
"""The bytes of one JSON value inside a larger one."""


class _Head(msgspec.Struct, rename="camel"):
    """What tells resources apart; everything else is skipped. Any: nothing about a source's types is taken for granted."""

    resource_type: Any = None
    id: Any = None
    meta: Any = None


_head = msgspec.json.Decoder(_Head)
_value = msgspec.json.Decoder(msgspec.Raw)
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_array = msgspec.json.Decoder(list[msgspec.Raw])


def _parts(item: Member) -> dict[str, memoryview]:
    """The elements of an object, as bytes; {} for anything else."""
    if bytes(item[:1]) != b"{":
        return {}
    return {name: memoryview(raw) for name, raw in _object.decode(item).items()}


def _members(item: Member) -> list[memoryview] | None:
    """The members of a list, as bytes; None for anything else."""
    return [memoryview(raw) for raw in _array.decode(item)] if bytes(item[:1]) == b"[" else None


class _Items:
    """Collects what a file holds."""

    def __init__(self, tenant: str, site: str, retrieved: str) -> None:
        self.tenant, self.site, self.retrieved = tenant, site, retrieved
        self.resources: list[RawResource] = []
        self.rejected: list[Rejected] = []
        self.made: Counter[str] = Counter()

    def reject(
        self, reason: RejectReason, where: str, content: Member, detail: str = "", head: _Head | None = None
    ) -> None:
        """Put one thing into quarantine."""
        kind, found = (head.resource_type, head.id) if head else (None, None)
        self.rejected.append(
            Rejected(
                site=self.site,
                reason=reason,
                detail=detail,
                source=where,
                resource_type=kind if isinstance(kind, str) else "",
                resource_id=found if isinstance(found, str) else "",
                content=bytes(content[:KEPT_BYTES]),
            )
        )

    def take(self, item: Member, where: str, full_url: str = "", depth: int = 0) -> None:
        """One resource in JSON, or a bundle within."""
        self._take(item, where, full_url, depth)

    def take_xml(self, node: fhir_xml.Node, where: str, whole: bytes = b"", full_url: str = "", depth: int = 0) -> None:
        """One resource of FHIR XML, or the resources of a bundle; `whole`: the file, where it is the resource itself."""
        try:
            if fhir_xml.name_of(node) not in ("Bundle", "Parameters"):
                item, release = fhir_xml.as_json(node)
                self._take(item, where, full_url, depth, whole or fhir_xml.as_xml(node), release)
                return
            if depth > MOST_NESTED:
                self.reject("too_deep", where, fhir_xml.as_xml(node))
                return
            held = list(fhir_xml.members(node))
            if not held and fhir_xml.name_of(node) == "Parameters":
                self.reject("not_a_resource", where, fhir_xml.as_xml(node), "Parameters without a resource")
            for place, url, member in held:
                if member is None:
                    self.reject("not_a_resource", where + place, b"", "an entry without resource")
                else:
                    self.take_xml(member, where + place, full_url=url, depth=depth + 1)
        except fhir_xml.NotFhirXml as error:
            self.reject("not_a_resource", where, fhir_xml.as_xml(node), str(error))

    def _take(
        self, item: Member, where: str, full_url: str, depth: int, as_sent: bytes | None = None, release: str = ""
    ) -> None:
        if bytes(item[:1]) != b"{":
            self.reject("not_a_resource", where, item, "an object was expected")
            return
        sent = as_sent or item
        try:
            head = _head.decode(item)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            deep = isinstance(error, RecursionError)
            self.reject("too_deep" if deep else "not_json", where, item, "" if deep else NotJson(str(error)).where)
            return
        kind = head.resource_type
        if not isinstance(kind, str) or not kind:
            self.reject("not_a_resource", where, item, "resourceType is missing", head)
        elif kind == "Bundle":
            self.take_bundle(_parts(item).get("entry"), where, item, depth)
        elif kind == "Parameters":
            self.take_parameters(_parts(item).get("parameter"), where, item, head, depth)
        elif kind == "OperationOutcome":
            self.reject("operation_outcome", where, sent, "an OperationOutcome is no part of a record", head)
        else:
            self.take_resource(item, head, full_url, depth, as_sent, release)

    def take_resource(
        self, item: Member, head: _Head, full_url: str, depth: int, as_sent: bytes | None, release: str
    ) -> None:
        """One resource that is no container; `as_sent`: the XML that `item` was made of, in `release`."""
        found = head.id.strip() if isinstance(head.id, str) else ""
        found = found or _id_from(full_url, head.resource_type) or self.id_of(item)
        version = head.meta.get("versionId") if isinstance(head.meta, dict) else None
        self.resources.append(
            RawResource(
                tenant=self.tenant,
                site=self.site,
                resource_type=head.resource_type,
                resource_id=found,
                content=as_sent or (bytes(item) if depth == 0 else msgspec.json.format(bytes(item), indent=-1)),
                version=version if isinstance(version, str) else "",
                retrieved=self.retrieved,
                fhir_version=release or release_of_profiles(head.meta) or "R4",
                full_url="" if _is_implied(full_url, head.resource_type, found) else full_url,
            )
        )

    def id_of(self, item: Member) -> str:
        """An id for a resource that came without one: of its content, however that is spaced and ordered. The second of
        two that are equal is another resource (`.2`), for all a file can tell: it is counted, and marked as a duplicate
        where the chart is put together."""
        made = MADE + hashlib.sha256(_canonical(bytes(item))).hexdigest()[:40]
        self.made[made] += 1
        return made if self.made[made] == 1 else f"{made}.{self.made[made]}"

    def take_bundle(self, entries: Member | None, where: str, bundle: Member, depth: int) -> None:
        """The resources of a bundle's entries; a request without resource (DELETE) offers nothing."""
        if entries is None or bytes(entries) == b"null":
            return
        members = _members(entries)
        if depth > MOST_NESTED or members is None:
            self.reject("too_deep" if depth > MOST_NESTED else "not_a_resource", f"{where}#entry", bundle, "entry")
            return
        for index, entry in enumerate(members):
            place = f"{where}#entry[{index}]"
            if bytes(entry[:1]) != b"{":
                self.reject("not_a_resource", place, entry, "an entry must be an object")
                continue
            parts = _parts(entry)
            if "resource" in parts:
                self.take(parts["resource"], place, _text(parts.get("fullUrl")), depth + 1)
            elif "request" not in parts and "response" not in parts:
                self.reject("not_a_resource", place, entry, "an entry without resource")

    def take_parameters(self, parameters: Member | None, where: str, item: Member, head: _Head, depth: int) -> None:
        """The resources that an operation's answer carries; one that carries none is no part of a record."""
        found = []
        if parameters is not None and depth <= MOST_NESTED:
            for index, parameter in enumerate(_members(parameters) or []):
                parts = _parts(parameter)
                if "resource" in parts:
                    found.append((parts["resource"], f"{where}#parameter[{index}]"))
        if not found:
            self.reject("not_a_resource", where, item, "Parameters without a resource", head)
        for resource, place in found:
            self.take(resource, place, depth=depth + 1)


def parse_file(
    data: bytes, name: str, *, tenant: str, site: str, retrieved: str
) -> tuple[list[RawResource], list[Rejected]]:
    """All resources of a file, and what could not be read of it, each with `name` and its place."""
    items = _Items(tenant, site, retrieved)
    if data[:2] == b"\x1f\x8b":
        try:
            data = gunzip(data, MOST_UNPACKED)
        except BadGzip as error:
            reason: RejectReason = "not_json" if error.code == "damaged" else "too_large"
            items.reject(reason, name, data, "gzip: cut off, damaged or too large")
            return items.resources, items.rejected
    as_sent, data = data, _utf8(data).strip()
    if not data:
        items.reject("not_json", name, data, "the file is empty")
    elif is_fhir_xml(data):
        _fhir_xml(items, as_sent, name)
    elif data[:1] == b"<" and not name.lower().endswith(LINES):
        _xml(items, as_sent, name)
    else:
        _document(items, data, name)
    return _with_its_patient(of_the_declared_release(items.resources)), items.rejected


def _with_its_patient(resources: list[RawResource]) -> list[RawResource]:
    """A file whose only Patient came without id, and whose resources all refer to one: that is its id."""
    people = [r for r in resources if r.resource_type == "Patient"]
    if len(people) != 1 or not people[0].resource_id.startswith(MADE) or people[0].full_url:
        return resources
    named = {key for r in resources if r is not people[0] if (key := _subject_key(r))}
    kind, _, found = next(iter(named)).rpartition("/") if len(named) == 1 else ("", "", "")
    if kind != "Patient":
        return resources
    return [msgspec.structs.replace(r, resource_id=found) if r is people[0] else r for r in resources]


def _subject_key(raw: RawResource) -> str:
    """`Patient/id` of the patient a resource refers to; '' when it names none."""
    try:
        resource = outline(fhir_xml.json_of(raw))
    except NotJson:
        return ""
    return reference_key(subject_of(resource)) if isinstance(resource, dict) else ""


def _fhir_xml(items: _Items, data: bytes, name: str) -> None:
    """A resource or a bundle in XML. What one resource shows of its release, the others of the file are read as: in XML a
    list of one looks like a single value, so that fewer resources can tell."""
    try:
        whole = data if is_fhir_xml(data) else b""  # not with a byte order mark before it
        items.take_xml(fhir_xml.resource_root(data), name, whole)
    except XmlRefused as error:
        items.reject(error.code, name, data, error.detail)
    except fhir_xml.NotFhirXml as error:
        items.reject("not_a_resource", name, data, str(error))
    shown = {r.fhir_version for r in items.resources} - {"R4"}
    if len(shown) == 1:
        (release,) = shown
        items.resources = [msgspec.structs.replace(r, fhir_version=release) for r in items.resources]


def _xml(items: _Items, data: bytes, name: str) -> None:
    """A C-CDA document or a part of one, kept as it came (its declaration names its encoding)."""
    if _HTML.match(data):
        items.reject("not_json", name, data, "HTML; FHIR and C-CDA are read")
        return
    try:
        found = identity(data)
    except XmlRefused as error:
        items.reject(error.code, name, data, error.detail)
        return
    if found is None:
        items.reject("not_a_resource", name, data, "XML, but neither FHIR nor C-CDA")
        return
    items.resources.append(
        RawResource(
            tenant=items.tenant,
            site=items.site,
            resource_type=CDA,
            resource_id=found[0],
            version=found[1],
            content=data,
            retrieved=items.retrieved,
        )
    )


def _document(items: _Items, data: bytes, name: str) -> None:
    """One JSON value; else NDJSON; else one broken thing, and not a thousand bad lines."""
    try:
        members = _members(data)
        if members is None:
            _value.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        lines = [(n, line) for n, line in enumerate(_split(data), 1) if line]
        if len(lines) > 1 and (name.lower().endswith(LINES) or _some_line_is_a_resource(lines)):
            _lines(items, lines, name)
            return
        deep = isinstance(error, RecursionError)
        items.reject("too_deep" if deep else "not_json", name, data, "" if deep else NotJson(str(error)).where)
        return
    if members is None:
        items.take(data, name)
        return
    for index, member in enumerate(members):
        items.take(member, f"{name}[{index}]", depth=1)


def _lines(items: _Items, lines: Sequence[tuple[int, bytes]], name: str) -> None:
    for number, line in lines:
        place = f"{name}:{number}"
        if len(line) > MOST_LINE:
            items.reject("too_large", place, line, f"a line over {MOST_LINE} bytes")
            continue
        try:
            _value.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            deep = isinstance(error, RecursionError)
            items.reject("too_deep" if deep else "not_json", place, line, "" if deep else NotJson(str(error)).where)
            continue
        items.take(line, place)


def _split(data: bytes) -> Iterator[bytes]:
    """Lines without their ends and margins; one at a time, so that a file is not held twice."""
    start = 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        yield data[start:end].strip()
        start = end + 1


def _some_line_is_a_resource(lines: Sequence[tuple[int, bytes]]) -> bool:
    """Whether any line is a whole resource by itself; those of a pretty-printed document are not."""
    for _, line in lines:
        if line.startswith(b"{") and line.endswith(b"}") and b'"resourceType"' in line:
            try:
                if isinstance(parse(line), dict):
                    return True
            except NotJson:
                continue
    return False


def _text(raw: Member | None) -> str:
    if raw is None:
        return ""
    try:
        value = parse(bytes(raw))
    except NotJson:
        return ""
    return value if isinstance(value, str) else ""


def _id_from(full_url: str, kind: str) -> str:
    if full_url.startswith(("urn:uuid:", "urn:oid:")):
        return full_url.split(":", 2)[2]
    parts = full_url.rstrip("/").split("/")
    return parts[-1] if len(parts) >= 2 and parts[-2] == kind else ""


def _is_implied(full_url: str, kind: str, found: str) -> bool:
    return not full_url or full_url == f"urn:uuid:{found}" or reference_key(full_url) == f"{kind}/{found}"


def _canonical(content: bytes) -> bytes:
    """JSON with its members in order and without margins, every number with the digits it was sent with."""
    try:
        value = json.loads(content, parse_float=_Number, parse_int=_Number)
        return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()
    except (ValueError, RecursionError):
        return content


class _Number:
    """A number as it was spelled."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return f"number {self.text}"


def _utf8(data: bytes) -> bytes:
    """The bytes without byte order mark; UTF-16 by its mark."""
    if data[:3] == b"\xef\xbb\xbf":
        return data[3:]
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace").encode()
    return data

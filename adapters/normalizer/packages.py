"""A zip archive of FHIR and C-CDA files, IHE XDM or plain -> raw resources, and what became of every member.

A member is read, quarantined with its reason, or ignored with its reason; a document that an XDM list names and the archive
does not hold is reported missing. Nothing is written to disk, no name is used as a path.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Annotated, Literal

from msgspec import Meta

from adapters.documents import xdm
from adapters.documents.archive import BadArchive, Member, is_zip, members
from adapters.documents.packed import BadGzip, gunzip
from adapters.documents.safe_xml import XmlRefused
from adapters.normalizer.ccda import CDA
from adapters.normalizer.files import KEPT_BYTES, LINES, parse_file
from models.record import Missing, RawResource, Rejected, RejectReason, Value

__all__ = ["MemberFate", "Package", "is_zip", "parse_package"]

Became = Literal["read", "in_part", "quarantined", "ignored", "missing"]
_STYLE = (".xsl", ".xslt", ".css", ".js", ".dtd", ".xsd")
_IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".ico", ".svg", ".bmp")
_SYSTEM = ("__MACOSX", ".DS_STORE", "THUMBS.DB", "DESKTOP.INI")
_ABOUT = ("README", "INDEX.HTM", "LICENSE", "AUTORUN.INF")
"""IHE XDM's own descriptions of a medium, and what others put beside them."""


class MemberFate(Value, frozen=True):
    """What became of one member."""

    name: Annotated[str, Meta(description="Its name in the archive.")]
    became: Annotated[Became, Meta(description="`in_part`: some of it is in quarantine; `missing`: listed, not there.")]
    resources: Annotated[int, Meta(ge=0, description="Resources and documents it gave.")] = 0
    reason: Annotated[str, Meta(description="Why it was not read, or not all of it.")] = ""
    remark: Annotated[str, Meta(description="What is odd about a member that was read.")] = ""


class Package(Value, frozen=True):
    """What an archive gave."""

    name: str
    resources: tuple[RawResource, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    missing: tuple[Missing, ...] = ()
    members: tuple[MemberFate, ...] = ()
    files: tuple[tuple[str, int], ...] = ()
    """(source, how many resources) of each member that was read, in the order of `resources`."""


def parse_package(data: bytes, name: str, *, tenant: str, site: str, retrieved: str, most_bytes: int) -> Package:
    """Every member of the archive `name`; `most_bytes`: what all of them together may unpack to."""
    reader = _Package(name, tenant, site, retrieved, most_bytes)
    try:
        reader.read(list(members(data, most_bytes)))
    except BadArchive as error:
        reader.reject(name, error.code, error.detail, data)
    return Package(
        name=name,
        resources=tuple(reader.resources),
        rejected=tuple(reader.rejected),
        missing=tuple(reader.missing),
        members=tuple(reader.fates),
        files=tuple(reader.files),
    )


class _Package:
    """Collects what an archive holds."""

    def __init__(self, name: str, tenant: str, site: str, retrieved: str, most_bytes: int) -> None:
        self.name, self.tenant, self.site, self.retrieved = name, tenant, site, retrieved
        self.left = most_bytes
        self.resources: list[RawResource] = []
        self.rejected: list[Rejected] = []
        self.missing: list[Missing] = []
        self.fates: list[MemberFate] = []
        self.files: list[tuple[str, int]] = []
        self.listed: dict[str, xdm.Listed] = {}

    def reject(self, source: str, reason: RejectReason, detail: str, content: bytes = b"") -> None:
        """Put one thing into quarantine."""
        self.rejected.append(
            Rejected(site=self.site, reason=reason, detail=detail, source=source, content=content[:KEPT_BYTES])
        )

    def read(self, found: list[Member]) -> None:
        """All members; the lists of documents first, so that what they name is known."""
        self.left -= sum(len(m.data) for m in found)
        for member in found:
            if xdm.is_list(member.name) and member.data:
                self._list(member)
        names: Counter[str] = Counter()
        for member in found:
            names[member.name] += 1
            again = f" ({names[member.name]})" if names[member.name] > 1 else ""
            if not (xdm.is_list(member.name) and member.data):
                self._member(member, f"{self.name}!{member.name}{again}", member.name + again)
        here = {xdm.plain(m.name) for m in found}
        for name in sorted(self.listed.keys() - here):
            why = "METADATA.XML lists it, the package does not hold it"
            self.missing.append(Missing(site=self.site, reference=f"{CDA}/{name}", reason=why))
            self.fates.append(MemberFate(name=name, became="missing", reason=why))

    def _list(self, member: Member) -> None:
        try:
            self.listed |= {item.name: item for item in xdm.listed(member.name, member.data)}
        except XmlRefused as error:
            self.reject(f"{self.name}!{member.name}", error.code, f"the list of documents: {error.detail}", member.data)
            self.fates.append(MemberFate(name=member.name, became="quarantined", reason=error.code))
            return
        self.fates.append(MemberFate(name=member.name, became="ignored", reason="the list of the package's documents"))

    def _member(self, member: Member, source: str, name: str) -> None:
        listed = self.listed.get(xdm.plain(member.name))
        if member.refused:
            self._quarantined(name, source, member.refused, member.why)
            return
        ignored = member.why or ("" if listed else _no_record(member))
        if ignored:
            self.fates.append(MemberFate(name=name, became="ignored", reason=ignored))
            return
        data = member.data
        if data[:2] == b"\x1f\x8b":
            try:
                data = gunzip(data, max(self.left, 0))
            except BadGzip as error:
                large = error.code == "too_large"
                self._quarantined(name, source, "too_large" if large else "unreadable", f"gzip: {error.code}", data)
                return
            self.left -= len(data)
        if not _may_be_read(data, member.name):
            words = f"neither FHIR nor C-CDA{f' ({listed.kind[:60]})' if listed and listed.kind else ''}"
            self._quarantined(name, source, "not_a_resource", words, data)
            return
        found, bad = parse_file(data, source, tenant=self.tenant, site=self.site, retrieved=self.retrieved)
        self.resources += found
        self.rejected += bad
        self.files += [(source, len(found))] if found else []
        remark = ""
        if listed and listed.sha1 and hashlib.sha1(member.data, usedforsecurity=False).hexdigest() != listed.sha1:
            remark = "its SHA-1 is not the one METADATA.XML lists"
        reasons = ", ".join(dict.fromkeys(r.reason for r in bad))
        became: Became = "quarantined" if not found else "in_part" if bad else "read"
        if not found and not bad:
            became, reasons = "ignored", "it holds no resource"
        self.fates.append(MemberFate(name=name, became=became, resources=len(found), reason=reasons, remark=remark))

    def _quarantined(self, name: str, source: str, reason: RejectReason, detail: str, content: bytes = b"") -> None:
        self.reject(source, reason, detail, content)
        self.fates.append(MemberFate(name=name, became="quarantined", reason=f"{reason}: {detail}"))


def _no_record(member: Member) -> str:
    """What a member is that certainly is no part of a record, where no list names it; '' for all others."""
    name = xdm.plain(member.name)
    last = name.rpartition("/")[2]
    if any(part in _SYSTEM for part in name.split("/")) or last.startswith("._"):
        return "a file of an operating system"
    if last.startswith(_ABOUT):
        return "the package's own description"
    if last.endswith(tuple(e.upper() for e in _STYLE)):
        return "a stylesheet, script or schema"
    if last.endswith(tuple(e.upper() for e in _IMAGES)):
        return "an image that no list names"
    return "" if member.data.strip() else "empty"


def _may_be_read(data: bytes, name: str) -> bool:
    """Whether bytes look like JSON or XML, in any encoding that is read."""
    start = data[:64].lstrip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n")
    return start[:1] in (b"{", b"[", b"<") or name.lower().endswith(LINES)

"""Zip archives from strangers: nothing is written to disk, so that a name is a label and never a path; caps on the number of
members and on all bytes together, counted as they unpack; no archive within an archive, no link, no encrypted member."""

from __future__ import annotations

import io
import lzma
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

MOST_MEMBERS = 10_000
"""Members of one archive. A patient's whole export is some hundreds of documents."""
_MOST_DIRECTORY = 400 * MOST_MEMBERS
"""Bytes of the central directory: 46 and a name for each member. It is read whole, whatever number it gives."""
_END = struct.Struct("<4s4H2LH")
_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""The methods of IHE XDM and of every tool met; the others may take gigabytes to unpack."""
_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    NotImplementedError,
    ValueError,
    IndexError,
    OverflowError,
)
"""What zipfile raises for archives that were damaged or made up."""


class BadArchive(ValueError):
    """Why an archive is not opened at all."""

    def __init__(self, code: Literal["unreadable", "too_large"], detail: str) -> None:
        super().__init__(detail)
        self.code: Literal["unreadable", "too_large"] = code
        self.detail = detail


@dataclass(frozen=True)
class Member:
    """One member: its bytes, or why it has none."""

    name: str
    data: bytes = b""
    refused: Literal["", "unreadable", "too_large"] = ""
    why: str = ""
    """For a member that is refused; of one that is no file (a folder, a link) what it is."""


def is_zip(data: bytes) -> bool:
    """Whether bytes begin as a zip archive does."""
    return data[:4] in _STARTS


def members(data: bytes, most_bytes: int) -> Iterator[Member]:
    """Every member in the archive's order, unpacked one at a time; raises BadArchive before the first.

    `most_bytes`: of all members together. What would go beyond is refused and costs nothing of the rest.
    """
    _check_directory(data)
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except _FAULTS:
        raise BadArchive("unreadable", "a damaged zip archive") from None
    left = most_bytes
    for info in archive.infolist():
        member = _member(archive, info, left)
        left -= len(member.data)
        yield member


def _check_directory(data: bytes) -> None:
    """Refuse an archive whose directory alone is too much, before it is read."""
    place = data.rfind(b"PK\x05\x06")
    if place < 0 or len(data) - place < _END.size:
        raise BadArchive("unreadable", "a zip archive that is cut off")
    _, _, _, _, count, size, _, _ = _END.unpack_from(data, place)
    if count > MOST_MEMBERS or size > _MOST_DIRECTORY:
        raise BadArchive("too_large", f"more than {MOST_MEMBERS} members")


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, left: int) -> Member:
    name = _label(info.filename)
    if info.is_dir():
        return Member(name, why="a folder")
    if stat.S_ISLNK(info.external_attr >> 16):
        return Member(name, why="a link: not followed")
    if info.flag_bits & 0x1:
        return Member(name, refused="unreadable", why="encrypted")
    if info.compress_type not in _METHODS:
        return Member(name, refused="unreadable", why="packed by a method that is not opened")
    if info.file_size > left:
        return Member(name, refused="too_large", why="more than the package may unpack to")
    try:
        with archive.open(info) as stream:
            content = stream.read(info.file_size + 1)
    except _FAULTS:
        return Member(name, refused="unreadable", why="damaged, or not what its header says")
    if is_zip(content):
        return Member(name, refused="unreadable", why="an archive within the archive: not opened")
    return Member(name, content)


def _label(name: str) -> str:
    """A member's name as one safe line."""
    return "".join(c if unicodedata.category(c)[0] != "C" else "\N{REPLACEMENT CHARACTER}" for c in name[:200])

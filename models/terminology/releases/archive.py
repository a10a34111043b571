"""The files of a release: single files, folders, zips (also a zip in a zip), gzip; read as streams under caps.

We name every file and write none of the archive's names to the disk. Lines are UTF-8 (with or without byte order mark),
one by one else Windows-1252: CDC's lists hold single bytes of it.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple, cast

from models.terminology.releases.base import ReleaseError, SourceFile

MOST_MEMBERS = 20_000
MOST_UNPACKED = 6_000_000_000
"""Bytes of one file. The largest that is read, RXNSAT of a full RxNorm or a SNOMED CT snapshot, is below 1 GB."""
MOST_RATIO = 400
"""Packed to unpacked; repetitive RF2 tables reach 25."""
RATIO_FROM = 50_000_000
MOST_LINE = 4_000_000
MOST_INNER = 3_000_000_000
"""Bytes of a zip inside a zip."""


class Part(NamedTuple):
    """A file of a release: its name inside, and how to open it."""

    name: str
    opened: Callable[[], IO[bytes]]

    @property
    def base(self) -> str:
        """The file's own name, lower case, without `.gz`."""
        return PurePosixPath(self.name).name.lower().removesuffix(".gz")

    @property
    def path(self) -> str:
        """The whole name inside its archive, lower case."""
        return self.name.lower()


class Archive:
    """Everything the user gave, as parts. Use as a context manager: zips stay open while parts are read."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths, self.parts = paths, list[Part]()
        self._digests: dict[str, SourceFile] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Archive:
        try:
            for path in self.paths:
                self._add(path)
        except BaseException:
            self._stack.close()
            raise
        if not self.parts:
            raise ReleaseError("empty_source", "there is no file in what was given")
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def label(self) -> str:
        """The names the user gave, for guessing versions."""
        return " ".join(path.name for path in self.paths)

    def digest(self, used: list[Part]) -> tuple[SourceFile, ...]:
        """The files the user gave with their digests; of a folder, those that were used."""
        found: list[SourceFile] = []
        for path in self.paths:
            if path.is_dir():
                inside = ((part.name, path / part.name) for part in used if (path / part.name).is_file())
                found.extend(self._digest(name, file) for name, file in inside)
            else:
                found.append(self._digest(path.name, path))
        return tuple(found)

    def _digest(self, name: str, file: Path) -> SourceFile:
        """Computed once: a bundle of a thousand value sets is one file."""
        if str(file) not in self._digests:
            with file.open("rb") as opened:
                digest = hashlib.file_digest(opened, "sha256").hexdigest()
            self._digests[str(file)] = SourceFile(name=name, sha256=digest, size=file.stat().st_size)
        return self._digests[str(file)]

    def _add(self, path: Path) -> None:
        if path.is_dir():
            members = [p for p in sorted(path.rglob("*")) if p.is_file() and not p.is_symlink()]
            if len(members) > MOST_MEMBERS:
                raise ReleaseError("too_many_files", f"{path.name}: more than {MOST_MEMBERS} files")
            for member in members:
                self._add_file(member, str(member.relative_to(path)))
            return
        if not path.exists():
            raise ReleaseError("file_not_found", f"no such file: {path}")
        self._add_file(path, path.name)

    def _add_file(self, path: Path, name: str) -> None:
        try:
            with path.open("rb") as file:
                start = file.read(4)
        except OSError as error:
            raise ReleaseError("file_unreadable", f"{name}: {error.strerror}") from None
        if start == b"PK\x03\x04":
            self._add_zip(path, name, 1)
        elif start[:2] == b"\x1f\x8b":
            self.parts.append(Part(name, lambda: _capped(_gunzipped(path), name, path.stat().st_size)))
        elif name.lower().endswith((".zip", ".gz")):
            raise ReleaseError("damaged_archive", f"{name}: not a zip or gzip file, whatever its name says")
        else:
            self.parts.append(Part(name, lambda: _capped(path.open("rb"), name, 0)))

    def _add_zip(self, source: Path | IO[bytes], name: str, depth: int) -> None:
        try:
            archive = self._stack.enter_context(zipfile.ZipFile(source))
            members = [m for m in archive.infolist() if not m.is_dir()]
        except (zipfile.BadZipFile, OSError, ValueError):
            raise ReleaseError("damaged_archive", f"{name}: the zip is damaged or cut off") from None
        if len(members) > MOST_MEMBERS:
            raise ReleaseError("too_many_files", f"{name}: more than {MOST_MEMBERS} files")
        for member in members:
            if member.filename.lower().endswith(".zip"):
                if depth >= 2:
                    raise ReleaseError("nested_too_deep", f"{name}: zips in zips in zips are not read")
                self._add_zip(self._inner(archive, member), f"{name}/{member.filename}", depth + 1)
            elif not member.filename.startswith("__MACOSX/"):
                self.parts.append(
                    Part(
                        member.filename,
                        lambda m=member, a=archive: _capped(_member(a, m), m.filename, m.compress_size),  # type: ignore[misc]
                    )
                )

    def _inner(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
        held = self._stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  the stack closes it
        with _capped(_member(archive, member), member.filename, member.compress_size, MOST_INNER) as file:
            while piece := file.read(1 << 20):
                held.write(piece)
        held.seek(0)
        return held


def _gunzipped(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "rb"))


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    try:
        return archive.open(member)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError):  # RuntimeError: encrypted
        raise ReleaseError(
            "damaged_archive", f"{member.filename}: damaged, encrypted or packed in an unknown way"
        ) from None


class _Capped(io.RawIOBase):
    """A stream that stops at the caps and turns damage into words."""

    def __init__(self, inner: IO[bytes], name: str, packed: int, most: int) -> None:
        self.inner, self.name, self.packed, self.most, self.count = inner, name, packed, most, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            piece = self.inner.read(len(buffer))
        except EOFError:
            raise ReleaseError("truncated", f"{self.name}: the packed data ends too early") from None
        except (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error):
            raise ReleaseError("damaged_archive", f"{self.name}: the packed data is damaged") from None
        self.count += len(piece)
        bomb = self.packed and self.count > RATIO_FROM and self.count > self.packed * MOST_RATIO
        if self.count > self.most or bomb:
            raise ReleaseError("too_large", f"{self.name}: unpacks to more than any release does")
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self.inner.close()
        super().close()


def _capped(inner: IO[bytes], name: str, packed: int, most: int = MOST_UNPACKED) -> IO[bytes]:
    return io.BufferedReader(_Capped(inner, name, packed, most), 1 << 18)


def lines(part: Part) -> Iterator[str]:
    """The lines of a part with their line ends. A NUL byte means that it is no text: `not_text`."""
    with part.opened() as file:
        first = True
        while raw := file.readline(MOST_LINE + 1):
            if len(raw) > MOST_LINE:
                raise ReleaseError("not_text", f"{part.name}: a line longer than any release has")
            if first:
                raw, first = raw.removeprefix(b"\xef\xbb\xbf"), False
            if b"\0" in raw:
                raise ReleaseError("not_text", f"{part.name}: binary data (or UTF-16) where UTF-8 text is expected")
            try:
                yield raw.decode()
            except UnicodeDecodeError:
                yield raw.decode("cp1252", "replace")


def head(part: Part) -> str:
    """The first two kilobytes as text, to recognize a file by."""
    with part.opened() as file:
        return file.read(2000).removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")


def table(part: Part, delimiter: str, width: int, *, trailing: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of an unquoted table (RF2 tab, RRF bar). `trailing`: every line ends with the delimiter.

    Raises `truncated` where the last line is short, `invalid_row` where another one is.
    """
    wanted = width + trailing
    held: tuple[int, list[str]] | None = None
    for number, line in enumerate(lines(part), 1):
        if held is not None:
            yield _checked(part, *held, wanted, last=False)
        cells = line.rstrip("\r\n").split(delimiter)
        held = (number, cells) if cells != [""] else None
    if held is not None:
        yield _checked(part, *held, wanted, last=True)


def _checked(part: Part, number: int, cells: list[str], wanted: int, *, last: bool) -> tuple[int, list[str]]:
    if len(cells) == wanted:
        return number, cells
    if last and len(cells) < wanted:
        raise ReleaseError("truncated", f"{part.name} line {number}: the file is cut off")
    raise ReleaseError("invalid_row", f"{part.name} line {number}: {wanted} columns are expected, {len(cells)} found")

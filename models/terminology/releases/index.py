"""The index file of one version of one release: written once, then read only (docs/decisions/0019-release-index-files.md).

An SQLite file, used as a file format: nobody writes to it after it has its name, readers open it immutable and without
locks, the operating system shares its pages between processes. It is derived: import the release again to make it anew.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

import msgspec

from models.terminology.releases.base import Entry, Item, Link, Manifest, Member, ReleaseError, Skipped, Term
from models.terminology.words import plain

_APPLICATION = 0x43425452
FORMAT = 1
"""Raised when a table changes; an index of another format is refused and must be imported again."""
_BATCH = 20_000
_MADE = """
CREATE TABLE about (manifest BLOB NOT NULL);
CREATE TABLE concept (code TEXT PRIMARY KEY, display TEXT NOT NULL, status TEXT NOT NULL, kind TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE term (words TEXT NOT NULL, code TEXT NOT NULL, PRIMARY KEY (words, code)) WITHOUT ROWID;
CREATE TABLE link (kind TEXT NOT NULL, code TEXT NOT NULL, target TEXT NOT NULL, note TEXT NOT NULL,
                   PRIMARY KEY (kind, code, target, note)) WITHOUT ROWID;
CREATE TABLE member (system TEXT NOT NULL, code TEXT NOT NULL, display TEXT NOT NULL, PRIMARY KEY (system, code)) WITHOUT ROWID;
"""


class Writer:
    """Fills a new index file; `finish` gives it its manifest. The caller moves it to its name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript(
            f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA application_id={_APPLICATION}; PRAGMA user_version={FORMAT};"
        )
        self._db.executescript(_MADE)
        self._db.execute("BEGIN")
        self.skipped: Counter[str] = Counter()
        self._held: dict[str, list[tuple[str, ...]]] = {}

    def add(self, items: Iterable[Item]) -> None:
        """Take in what a format's reader yields."""
        for item in items:
            if isinstance(item, Entry):
                self._hold(
                    "INSERT OR REPLACE INTO concept VALUES (?, ?, ?, ?)",
                    (item.code, item.display, item.status, item.kind),
                )
                if item.display and item.status != "inactive":
                    self._words(item.display, item.code)
            elif isinstance(item, Term):
                self._words(item.words, item.code)
            elif isinstance(item, Link):
                self._hold(
                    "INSERT OR IGNORE INTO link VALUES (?, ?, ?, ?)", (item.kind, item.code, item.target, item.note)
                )
            elif isinstance(item, Member):
                self._hold("INSERT OR IGNORE INTO member VALUES (?, ?, ?)", (item.system, item.code, item.display))
            elif isinstance(item, Skipped):
                self.skipped[item.reason] += 1

    def _words(self, words: str, code: str) -> None:
        key = plain(words)
        if key:
            self._hold("INSERT OR IGNORE INTO term VALUES (?, ?)", (key, code))

    def _hold(self, statement: str, row: tuple[str, ...]) -> None:
        held = self._held.setdefault(statement, [])
        held.append(row)
        if len(held) >= _BATCH:
            self._db.executemany(statement, held)
            held.clear()

    def counts(self) -> dict[str, int]:
        """Rows so far: concepts by status, terms, links by kind, members."""
        for statement, held in self._held.items():
            self._db.executemany(statement, held)
            held.clear()
        found = {"concepts": self._one("SELECT count(*) FROM concept"), "terms": self._one("SELECT count(*) FROM term")}
        for status, count in self._db.execute("SELECT status, count(*) FROM concept GROUP BY status"):
            found[f"status:{status}"] = count
        for kind, count in self._db.execute("SELECT kind, count(*) FROM link GROUP BY kind"):
            found[f"link:{kind}"] = count
        found["members"] = self._one("SELECT count(*) FROM member")
        return {name: count for name, count in found.items() if count}

    def _one(self, statement: str) -> int:
        count: int = self._db.execute(statement).fetchone()[0]
        return count

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest and put everything on the disk."""
        self.counts()
        self._db.execute("CREATE INDEX link_target ON link (kind, target)")
        self._db.execute("INSERT INTO about VALUES (?)", (msgspec.json.encode(manifest),))
        self._db.execute("COMMIT")
        self._db.close()
        with self.path.open("rb") as file:
            os.fsync(file.fileno())

    def close(self) -> None:
        """Give up; the file is the caller's to delete."""
        self._db.close()


class Index:
    """An index file, opened read only. Threads may share it."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(
                f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True, check_same_thread=False
            )
            mark = (
                self._db.execute("PRAGMA application_id").fetchone()[0],
                self._db.execute("PRAGMA user_version").fetchone()[0],
            )
            if mark != (_APPLICATION, FORMAT):
                raise ReleaseError(
                    "index_damaged", f"{path.name}: not an index of this version of Chartbrief; import it again"
                )
            self.manifest = msgspec.json.decode(
                self._db.execute("SELECT manifest FROM about").fetchone()[0], type=Manifest
            )
        except (sqlite3.Error, msgspec.MsgspecError, TypeError):
            raise ReleaseError("index_damaged", f"{path.name}: cannot be read; import the release again") from None
        self.find = lru_cache(maxsize=8192)(self._find)
        """Code -> Entry, or None."""

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _rows(self, statement: str, values: Sequence[str] = ()) -> list[tuple[str, ...]]:
        try:
            with self._lock:
                return self._db.execute(statement, values).fetchall()
        except sqlite3.Error:
            raise ReleaseError(
                "index_damaged", f"{self.manifest.name}: cannot be read; import the release again"
            ) from None

    def _find(self, code: str) -> Entry | None:
        rows = self._rows("SELECT code, display, status, kind FROM concept WHERE code = ?", (code,))
        return _entry(rows[0]) if rows else None

    def by_words(self, words: str) -> tuple[Entry, ...]:
        """The concepts, not inactive, of which `words` is a whole name, case, accents and punctuation aside."""
        key = plain(words)
        if not key:
            return ()
        rows = self._rows(
            "SELECT c.code, c.display, c.status, c.kind FROM term t JOIN concept c ON c.code = t.code "
            "WHERE t.words = ? AND c.status <> 'inactive' ORDER BY c.code",
            (key,),
        )
        return tuple(_entry(row) for row in rows)

    def links(self, kind: str, code: str) -> tuple[Link, ...]:
        """The links of a kind from `code`."""
        rows = self._rows(
            "SELECT kind, code, target, note FROM link WHERE kind = ? AND code = ? ORDER BY note, target", (kind, code)
        )
        return tuple(Link(kind=k, code=c, target=t, note=n) for k, c, t, n in rows)

    def links_below(self, kind: str, beginning: str) -> tuple[Link, ...]:
        """The links of a kind from all codes that begin with `beginning` (digits)."""
        rows = (
            self._rows(
                "SELECT kind, code, target, note FROM link WHERE kind = ? AND code >= ? AND code < ? ORDER BY code, note, target",
                (kind, beginning, f"{beginning}~"),
            )
            if beginning
            else ()
        )
        return tuple(Link(kind=k, code=c, target=t, note=n) for k, c, t, n in rows)

    def sources(self, kind: str, target: str) -> tuple[Link, ...]:
        """The links of a kind that lead to `target`."""
        rows = self._rows(
            "SELECT kind, code, target, note FROM link WHERE kind = ? AND target = ? ORDER BY code, note",
            (kind, target),
        )
        return tuple(Link(kind=k, code=c, target=t, note=n) for k, c, t, n in rows)

    def all_links(self, kind: str) -> Iterator[Link]:
        """Every link of a kind."""
        for k, c, t, n in self._rows(
            "SELECT kind, code, target, note FROM link WHERE kind = ? ORDER BY code, target", (kind,)
        ):
            yield Link(kind=k, code=c, target=t, note=n)

    def ancestors(self, code: str, kind: str = "parent") -> frozenset[str]:
        """Everything above `code`, itself not among them. A circle in the data ends the walk."""
        return self._walk("code", "target", code, kind)

    def descendants(self, code: str, kind: str = "parent") -> frozenset[str]:
        """Everything below `code`, itself not among them."""
        return self._walk("target", "code", code, kind)

    def _walk(self, from_column: str, to_column: str, code: str, kind: str) -> frozenset[str]:
        rows = self._rows(
            f"WITH RECURSIVE walk(code) AS (SELECT {to_column} FROM link WHERE kind = ?1 AND {from_column} = ?2 "  # noqa: S608  two fixed names
            f"UNION SELECT l.{to_column} FROM link l JOIN walk w ON l.kind = ?1 AND l.{from_column} = w.code) SELECT code FROM walk",
            (kind, code),
        )
        return frozenset(row[0] for row in rows) - {code}

    def entries(self) -> Iterator[Entry]:
        """Every concept, by code."""
        for row in self._rows("SELECT code, display, status, kind FROM concept ORDER BY code"):
            yield _entry(row)

    def members(self) -> tuple[Member, ...]:
        """The codes of a value set."""
        rows = self._rows("SELECT system, code, display FROM member ORDER BY system, code")
        return tuple(Member(system=s, code=c, display=d) for s, c, d in rows)

    def has_member(self, system: str, code: str) -> bool:
        """Whether the value set holds the code."""
        return bool(self._rows("SELECT code FROM member WHERE system = ? AND code = ?", (system, code)))


def _entry(row: Sequence[str]) -> Entry:
    return Entry(code=row[0], display=row[1], status=row[2], kind=row[3])  # type: ignore[arg-type]  # written by us

"""Our own small data files and how they are read. See README.md here for their sources."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from pathlib import Path

_HERE = Path(__file__).parent


def seed_path(name: str) -> Path:
    """Where the seed file `name` lies."""
    return _HERE / name


@cache
def seed_rows(name: str) -> tuple[tuple[str, ...], ...]:
    """The rows of a tab-separated seed file; lines that begin with # say where it comes from."""
    path = seed_path(name)
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    lines = data.decode().splitlines()
    return tuple(tuple(line.split("\t")) for line in lines if line and not line.startswith("#"))


def verified(check: str) -> bool:
    """Whether a row's `check` names where its code was compared with its meaning; a code that was not is a candidate at most."""
    return bool(check) and check != "unverified"


@cache
def seeds_version() -> str:
    """A short digest of all data files here: another one means that codes and words may mean something else."""
    digest = hashlib.sha256()
    for path in sorted(p for p in _HERE.iterdir() if p.suffix in (".tsv", ".toml", ".gz")):
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]

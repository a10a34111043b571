"""What was read once from the same coded JSON is not read again: a hospital sends the same codes a million times.

Remembered is only what is a pure function of an element's JSON and of the source's rules: codings with their mapping, and the
categories of observations. The key is that JSON, so a hit tells nobody anything he did not bring himself. Names, notes, results
and the clinician's words beside a code (CodeableConcept.text) are never kept here. The memory lives in one process, is bounded,
and is never printed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import msgspec

from adapters.normalizer.read import Reader
from models.record import Flag

T = TypeVar("T")

MOST_BYTES = 1_000
"""JSON bytes of an element worth remembering; coded elements are a few hundred."""
MOST_REMEMBERED = 8_192
"""Elements remembered for one set of rules (about 10 MB when full); then it starts anew."""

Memory = dict[Hashable, tuple[Any, tuple[Flag, ...]]]
"""(what was read, JSON) -> the value and the remarks that reading it made."""

_encode = msgspec.json.Encoder().encode


def recall(memory: Memory, reader: Reader, what: Hashable, raw: Any, read: Callable[..., T], *how: Any) -> T:
    """`read(reader, raw, *how)`, or what it gave before for the same JSON, remarks included. `what` names the reading, `how`
    included: the same `what` of one memory always means the same `how`.

    Threads may share a memory: both would store the same.
    """
    try:
        key = (what, _encode(raw))
    except (TypeError, ValueError):  # numbers with their digits, lone surrogates: rare in codes, read every time
        return read(reader, raw, *how)
    found = memory.get(key)
    if found is None:
        scratch = Reader({})
        found = (read(scratch, raw, *how), tuple(scratch.flags))
        if len(key[1]) <= MOST_BYTES:
            if len(memory) >= MOST_REMEMBERED:
                memory.clear()
            memory[key] = found
    for flag in found[1]:
        reader.flag(flag.code, flag.detail, flag.related)
    value: T = found[0]
    return value

"""The part of a concept's meaning that its words decide: they contradict the code, or they name what no code does.

A hospital's wordings repeat as its codes do, so what they gave is remembered, but not the words: the key is a digest keyed with
this process's own random bytes. Remembered are codes of standard systems and a score. Bounded; never printed.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from typing import NamedTuple

from models.record import Coding
from models.terminology.contradiction import contradicts
from models.terminology.mapper import Ask, Domain, by_words


class Words(NamedTuple):
    """What the words say: `contradicts` the code; or `target` with its score; or only `uncertain` candidates."""

    contradicts: bool = False
    target: Coding | None = None
    score: float = 0.0
    why: str = ""
    uncertain: bool = False
    from_text: bool = True


WordMemory = dict[bytes, Words]
MOST_WORDINGS = 16_384
_KEY = os.urandom(16)
_NOTHING = Words()


def words_beside(
    memory: WordMemory,
    domain: Domain,
    codings: tuple[Coding, ...],
    target: Coding | None,
    text: str,
    unit: str,
    specimen: str = "",
) -> Words:
    """What `text` says beside `target` (a standard code), or by itself where there is none."""
    if target is not None and text == target.display:  # checked with the code
        return _NOTHING
    said = (target.system, target.code, target.display) if target else tuple(c.display for c in codings)
    key = blake2b(
        "\x1f".join((domain, unit, specimen, text, *said)).encode("utf-8", "surrogatepass"), key=_KEY, digest_size=16
    )
    found = memory.get(key.digest())
    if found is None:
        found = _read(domain, codings, target, text, unit, specimen)
        if len(memory) >= MOST_WORDINGS:
            memory.clear()
        memory[key.digest()] = found
    return found


def _read(
    domain: Domain, codings: tuple[Coding, ...], target: Coding | None, text: str, unit: str, specimen: str
) -> Words:
    if target is not None:
        return Words(contradicts=contradicts(domain, target, text))
    answer = by_words(Ask(domain=domain, codings=codings, text=text, unit=unit, specimen=specimen))
    mapping = answer.mapping
    if mapping.method == "text_match":
        return Words(
            target=mapping.target, score=mapping.confidence, why=mapping.table, from_text=mapping.source_text == text
        )
    return Words(uncertain=bool(answer.candidates))

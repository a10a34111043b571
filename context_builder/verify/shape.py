"""What no statement may look like, whatever it cites: links, markup, orders, hidden characters, excess length."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from context_builder.verify.reasons import Reason
from context_builder.verify.words import INVISIBLE, canonical, lexicon

MOST_CHARACTERS = 600
"""Of one statement from a model; the longest printed fact line of our own has about 500."""
MOST_CITES = 40

_SCHEME = re.compile(r"(?i)\b[a-z][a-z0-9+.-]{1,20}:/{1,3}\S|\bwww\.|\b(?:javascript|vbscript|mailto|data|tel|file):\S")
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}\.\w")
_HOST = re.compile(
    r"(?i)(?<![\w.-])(?:[a-z0-9-]{1,63}\.){1,8}(?:com|org|net|edu|gov|mil|int|io|info|biz|xyz|top|site|online|app|dev|me|co|ai|"
    r"cc|tv|ru|cn|uk|de|fr|nl|it|es|pl|ch|at|be|br|jp|kr|in|us|eu|ca|au|nz|za|test|example|invalid|local|localhost|onion)"
    r"(?![\w-])(?:[/:?#]\S|)"
)
_ADDRESS = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?!\d|\.\d)")
_MARKUP = re.compile(
    r"<[A-Za-z/!?]|&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z]{2,8});|[\[\]|`\\]|\*\*|__|~~|^\s{0,3}(?:[#>*+]|-\s|\d{1,2}[.)]\s)|\{\{|\$\{|\n|\r|\t"
)
_LOOKALIKE = re.compile(r"[\u0370-\u03ff\u0400-\u052f\u0530-\u058f\u13a0-\u13ff\u2100-\u214f\U0001d400-\U0001d7ff]")
_GREEK_OF_MEDICINE = frozenset("µμαβγδκλωΔ\u2103\u2109\u2122\u2116")
_WORDS = re.compile(r"\w{2,80}")
_ENCODED = re.compile(
    r"(?<![\w/+])(?=[A-Za-z0-9+/]{0,40}\d)(?=[A-Za-z0-9+/]{0,40}[A-Z])[A-Za-z0-9+/]{24,}={0,2}(?![\w])"
)


def shape(text: str) -> Iterator[Reason]:
    """The reasons of the text alone."""
    if len(text) > MOST_CHARACTERS:
        yield Reason("too_long", f"{len(text)} characters")
        return
    if hidden := INVISIBLE.search(text):
        yield Reason("invisible_text", f"U+{ord(hidden[0]):04X}")
    elif word := _mixed_scripts(text):
        yield Reason("invisible_text", word)
    plain = unicodedata.normalize("NFKC", text)
    for pattern in (_SCHEME, _EMAIL, _HOST, _ADDRESS):
        if match := pattern.search(plain):
            yield Reason("link", match[0][:80])
            break
    if match := _MARKUP.search(plain):
        yield Reason("markup", match[0].strip()[:20] or "line break")
    said = canonical(text)
    if match := lexicon().instructions.pattern.search(said):
        yield Reason("instruction_text", match[0])
    elif match := _ENCODED.search(plain):
        yield Reason("instruction_text", match[0][:30])


def _mixed_scripts(text: str) -> str:
    """A word that mixes Latin letters with look-alikes of another alphabet."""
    for word in _WORDS.findall(text):
        strange = [c for c in word if _LOOKALIKE.match(c) and c not in _GREEK_OF_MEDICINE]
        if strange and any("a" <= c.lower() <= "z" for c in word):
            return str(word)
    return ""

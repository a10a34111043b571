"""Untrusted text made safe to print: one line, no invisible characters, nothing that can pose as our own markup.

Displays, names and notes come from outside. After `clean` they cannot contain a square bracket (citation keys), a pipe
(table cells), a backtick (code fences), a tag or our data fence (`<` before a letter), a link, or a second line.
What is changed is changed to something that looks alike, so that a reader still sees what was written.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

_SAFE = re.compile(r"[ -;=?-Z^_a-{}~]*\Z")
_ASCII_MARKUP = str.maketrans({"[": "(", "]": ")", "|": "/", "`": "'", "\\": "/"})
# Characters that read as brackets, pipes or angle brackets to a model though they are others to a regular expression.
_LOOKALIKES = str.maketrans(
    dict.fromkeys("［〔【⟦〚⁅﹝", "(")
    | dict.fromkeys("］〕】⟧〛⁆﹞", ")")
    | dict.fromkeys("｜│┃∣❘", "/")
    | dict.fromkeys("＜﹤〈", "‹")
    | dict.fromkeys("＞﹥〉", "›")
    | {"｀": "'", "＃": "#", "：": ":", "／": "/"}
)
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800\u00a0\u034f\u17b4\u17b5")
_VARIATION = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef\U000e0000-\U000e007f]")
_TAG = re.compile(r"<(?=[A-Za-z/!?<])")
_LINK = re.compile(
    r"(?i)(?:[a-z][a-z0-9+.-]{0,30}:/+|www\.|\b(?:javascript|vbscript|mailto):(?=\S)|\bdata:(?=[a-z]+[/;,]))\S*"
)
_RUNS = re.compile(r"([~_*#])\1+|([=-])\2{2,}")
_SPACES = re.compile(r"\s+")
_MARKS = re.compile(r"([\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]{4})[\u0300-\u036f\u1ab0-\u20ff]+")

# The semantic tag at the end of a SNOMED CT fully specified name says nothing to a reader.
_SEMANTIC_TAG = re.compile(
    r"\s{0,4}\((?:disorder|finding|procedure|situation|substance|product|event|qualifier value|regime/therapy|observable"
    r" entity|morphologic abnormality|medicinal product|clinical drug|person|social concept|record artifact)\)\Z"
)
_LONG_DECIMALS = re.compile(r"-?\d+\.\d{5,}\Z")

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_SIGNED = re.compile(r"(?<![\w.])-\d+(?:\.\d+)?")


def _visible(char: str) -> str:
    """`char`, a space for what separates, nothing for what cannot be seen."""
    if char in _BLANK:
        return " "
    category = unicodedata.category(char)
    if category[0] == "Z" or char in "\t\n\r\v\f\x85":
        return " "
    return "" if category[0] == "C" else char


def clean(text: str, limit: int = 160) -> str:
    """`text` as one safe line of at most `limit` characters; a cut is marked with an ellipsis."""
    if not _SAFE.match(text) or "  " in text or "//" in text or ":" in text or "www." in text or _RUNS.search(text):
        text = _scrub(text[: limit * 8])
    text = text.strip()
    if len(text) > limit:
        text = text[: limit - 1].rstrip() + "…"
    return text


def _scrub(text: str) -> str:
    if not text.isascii() or not text.isprintable():
        text = _VARIATION.sub("", text)
        text = "".join(map(_visible, text)).translate(_LOOKALIKES)
        text = _MARKS.sub(r"\1", text)
    text = _LINK.sub("(link)", text)
    text = _TAG.sub("‹", text.translate(_ASCII_MARKUP))
    text = _RUNS.sub(r"\1\2", text)
    return _SPACES.sub(" ", text).strip()


def clean_passage(text: str, limit: int) -> str:
    """A longer passage as one safe line; its line breaks survive as ` / `."""
    lines = (clean(line, limit) for line in re.split(r"[\r\n\v\f\x85\u2028\u2029]+", text[: limit * 8]))
    return clean(" / ".join(line for line in lines if line), limit)


def without_tag(display: str) -> str:
    """A SNOMED CT name without its semantic tag: `Anemia (disorder)` is `Anemia`."""
    return _SEMANTIC_TAG.sub("", display) or display


def rounded(digits: str) -> str:
    """Digits with five or more decimals at four significant digits; all others as they were sent.

    No laboratory reports five decimals; such digits are arithmetic (130.36666059107625) that costs a dozen tokens and
    hides the number. 7.0 stays 7.0, and a number below 0.001 keeps all its digits.
    """
    if not _LONG_DECIMALS.match(digits):
        return digits
    value = Decimal(digits)
    if abs(value) < Decimal("0.001"):
        return digits
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def numbers_in(*texts: str) -> tuple[float, ...]:
    """Every number in `texts`, in order of appearance, each once; `1,000` counts as 1000, 1 and 0 (000)."""
    found: dict[float, None] = {}
    for text in texts:
        for match in _NUMBER.findall(text):
            for part in _readings(match):
                found[float(part)] = None
        for match in _SIGNED.findall(text):
            found[float(match)] = None
    return tuple(found)


def _readings(digits: str) -> list[str]:
    """The ways a run of digits, dots and commas can be read."""
    readings = [digits] if digits.count(".") <= 1 and "," not in digits else []
    if "," in digits and digits.replace(",", "").count(".") <= 1:
        readings.append(digits.replace(",", ""))
    if not readings or "," in digits or "." in digits:
        readings.extend(re.split(r"[.,]", digits))
    return [r for r in readings if r and r.isascii()]

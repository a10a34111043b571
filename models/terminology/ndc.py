"""National Drug Codes: the ten digits printed on a package in three layouts, the eleven digits that systems exchange.

FDA prints 4-4-2, 5-3-2 or 5-4-1 (labeler, product, package); billing and RxNorm use 5-4-2, the short part padded with a zero
(FDA, 21 CFR 207.33; NLM, https://www.nlm.nih.gov/research/umls/rxnorm/docs/techdoc.html, NDC). Older files write a labeler of
six digits that begins with a zero, and an asterisk where they pad: `058734-0001-*1`, `*0002-8215-01`.
"""

from __future__ import annotations

import re

_LAYOUT = re.compile(r"(\d{4,6})-(\d{3,4})-(\d{1,2})")
_PRODUCT = re.compile(r"(\d{4,6})-(\d{3,4})")
_WHOLE = frozenset({(4, 4, 2), (5, 3, 2), (5, 4, 1), (5, 4, 2)})
_SIX = frozenset({(6, 4, 2), (6, 4, 1), (6, 3, 2), (6, 3, 1)})
"""NLM's list of layouts with a labeler of six digits; its first is a zero."""
_BETWEEN = re.compile("[\\s\u2010-\u2015\u2212]+")
"""Spaces and the dashes of word processors between the parts."""


def ndc11(code: str) -> str:
    """Eleven digits; '' when the code is none or its layout cannot be known (ten digits without hyphens fit three)."""
    text = _plain(code)
    found = _LAYOUT.fullmatch(text)
    if found:
        lengths = tuple(len(part) for part in found.groups())
        if lengths in _WHOLE or (lengths in _SIX and text[0] == "0"):
            return f"{found[1][-5:]:0>5}{found[2]:0>4}{found[3]:0>2}"
        return ""
    if re.fullmatch(r"\d{11}", text):
        return text
    if re.fullmatch(r"0\d{11}", text):  # twelve digits with a leading zero: HL7 v2 pharmacy messages
        return text[1:]
    return ""


def _plain(code: str) -> str:
    """Hyphens between parts, an asterisk as the zero it stands for."""
    text = code.strip().upper().removeprefix("NDC").lstrip(" :#")
    text = re.sub(r"-+", "-", _BETWEEN.sub("-", text)).replace("*", "0")
    return text if text.isascii() else ""


def ndc11_choices(code: str) -> tuple[str, ...]:
    """What ten digits without hyphens may be: 4-4-2, 5-3-2, 5-4-1; the one of `ndc11` where that is known."""
    known = ndc11(code)
    if known:
        return (known,)
    digits = _plain(code)
    if not re.fullmatch(r"\d{10}", digits):
        return ()
    return tuple(dict.fromkeys((f"0{digits}", f"{digits[:5]}0{digits[5:]}", f"{digits[:9]}0{digits[9:]}")))


def ndc9(code: str) -> str:
    """Labeler and product, nine digits: the drug without its package; '' when it cannot be known."""
    found = _PRODUCT.fullmatch(_plain(code))
    if found:
        lengths = (len(found[1]), len(found[2]))
        if lengths in ((4, 4), (5, 3), (5, 4)) or (lengths in ((6, 4), (6, 3)) and found[1][0] == "0"):
            return f"{found[1][-5:]:0>5}{found[2]:0>4}"
    return ndc11(code)[:9]

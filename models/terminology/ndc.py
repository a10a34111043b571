"""National Drug Codes: the ten digits printed on a package in three layouts, the eleven digits that systems exchange.

FDA prints 4-4-2, 5-3-2 or 5-4-1 (labeler, product, package); billing and RxNorm use 5-4-2, the short part padded with a zero
(FDA, 21 CFR 207.33; NLM, https://www.nlm.nih.gov/research/umls/rxnorm/docs/techdoc.html, NDC).
"""

from __future__ import annotations

import re

_LAYOUT = re.compile(r"(\d{4,5})-(\d{3,4})-(\d{1,2})")
_PRODUCT = re.compile(r"(\d{4,5})-(\d{3,4})")
_WHOLE = frozenset({(4, 4, 2), (5, 3, 2), (5, 4, 1), (5, 4, 2)})


def ndc11(code: str) -> str:
    """Eleven digits; '' when the code is none or its layout cannot be known (ten digits without hyphens fit three)."""
    text = code.strip()
    found = _LAYOUT.fullmatch(text)
    if found:
        if tuple(len(part) for part in found.groups()) not in _WHOLE:
            return ""
        return f"{found[1]:0>5}{found[2]:0>4}{found[3]:0>2}"
    digits = text.replace(" ", "")
    if re.fullmatch(r"\d{11}", digits):
        return digits
    if re.fullmatch(r"0\d{11}", digits):  # twelve digits with a leading zero: HL7 v2 pharmacy messages
        return digits[1:]
    return ""


def ndc11_choices(code: str) -> tuple[str, ...]:
    """What ten digits without hyphens may be: 4-4-2, 5-3-2, 5-4-1; the one of `ndc11` where that is known."""
    known = ndc11(code)
    if known:
        return (known,)
    digits = code.strip()
    if not re.fullmatch(r"\d{10}", digits):
        return ()
    return tuple(dict.fromkeys((f"0{digits}", f"{digits[:5]}0{digits[5:]}", f"{digits[:9]}0{digits[9:]}")))


def ndc9(code: str) -> str:
    """Labeler and product, nine digits: the drug without its package; '' when it cannot be known."""
    found = _PRODUCT.fullmatch(code.strip())
    if found and (len(found[1]), len(found[2])) in ((4, 4), (5, 3), (5, 4)):
        return f"{found[1]:0>5}{found[2]:0>4}"
    return ndc11(code)[:9]

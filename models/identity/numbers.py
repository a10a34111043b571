"""Numbers that tell a person: the social security number (or its last four digits), record numbers, licences, membership.

A number counts only within its own world: `12345` of one hospital is nobody of another.
"""

from __future__ import annotations

import re

from models.identity.words import word_set


def national(text: str) -> tuple[str, str]:
    """A social security number as (number, last four); ("", "") where it is none that was ever given out.

    Numbers never given: area 000, 666, 900-999, group 00, serial 0000 (Social Security Administration, POMS RM 10201.035).
    A number of another length is another country's: it is kept whole.
    """
    plain = re.sub(r"[\s\-./]", "", text).casefold()
    if found := re.fullmatch(r"[x*#•]{1,7}(\d{4})", plain):
        return "", _last_four(found[1])
    digits = re.sub(r"\D", "", plain)
    if digits != plain:
        return "", ""
    if len(digits) == 4:
        return "", _last_four(digits)
    if len(digits) == 8:  # a spreadsheet dropped the zero
        digits = f"0{digits}"
    if len(set(digits)) < 2 or digits in word_set("numbers", "ssn") or not 5 <= len(digits) <= 14:
        return "", ""
    if len(digits) == 9:
        area, group, serial = digits[:3], digits[3:5], digits[5:]
        if area in ("000", "666") or area[0] == "9" or group == "00" or serial == "0000":
            return "", ""
        return digits, serial
    return digits, ""


def _last_four(digits: str) -> str:
    return "" if digits in ("0000", "9999", "1234", "1111") else digits


def plain(text: str) -> str:
    """Any other number or code, closed up; empty where it says nothing. Leading zeros of a pure number do not count."""
    value = re.sub(r"[\s\-./#]", "", text).casefold()
    if value.isdigit():
        value = value.lstrip("0")
    if len(value) < 2 or value in word_set("numbers", "other") or (len(value) > 3 and len(set(value)) < 2):
        return ""
    return "" if value in ("123456789", "12345678", "1234567", "987654321") else value

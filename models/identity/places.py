"""Addresses, telephone numbers and e-mail addresses, as they are compared."""

from __future__ import annotations

import re
from collections.abc import Iterable

from models.identity.words import fold, word_set, words
from models.record.base import Value

_PO_BOX = re.compile(r"\b(?:p ?o|post office) ?box ?#? ?(\w+)\b|^box (\w+)$")
_FICTION = re.compile(r"555-?01\d\d$")


class Place(Value, frozen=True):
    """An address. Empty where not known."""

    house: str = ""
    street: str = ""
    words: tuple[str, ...] = ()
    """What of the street is a name: no kinds of streets, no points of the compass, no numbers."""
    unit: str = ""
    city: str = ""
    state: str = ""
    zip: str = ""


def standardize(
    lines: Iterable[str] = (),
    city: str = "",
    state: str = "",
    postal_code: str = "",
    *,
    house: str = "",
    unit: str = "",
) -> Place:
    """Address parts as sent -> a Place in the abbreviations of the postal service."""
    text = " ".join(f for f in (fold(line) for line in lines) if f and f not in word_set("places", "empty"))
    found_house, street, names, found_unit = _street(text)
    digits = re.sub(r"[^0-9a-z]", "", fold(postal_code))
    zip_code = digits[:5].lstrip("0") if digits.isdigit() else digits  # a spreadsheet drops the zero of 02139
    town = fold(city).replace("-", " ")
    town = re.sub(r"^(saint|fort|mount)\b", lambda m: {"saint": "st", "fort": "ft", "mount": "mt"}[m[1]], town)
    place = fold(state)
    return Place(
        house=_first_number(house) or found_house,
        street=street,
        words=names,
        unit=(_unit(fold(unit)) if unit else "") or found_unit,
        city="" if town in word_set("places", "empty") else town.replace(" ", ""),
        state=words("places")["states"].get(place, "" if place in word_set("places", "empty") else place),
        zip="" if set(digits) <= {"0"} or digits in ("99999", "12345", "11111") else zip_code,
    )


def _first_number(text: str) -> str:
    found = re.match(r"\d+[a-z]?", fold(text).replace(" ", ""))
    return found[0] if found else ""


def _unit(text: str) -> str:
    kept = [t for t in re.split(r"[ #]+", text) if t and t not in word_set("places", "units")]
    return "".join(kept)


def _street(text: str) -> tuple[str, str, tuple[str, ...], str]:
    """House number, street, the names in it, unit."""
    box = _PO_BOX.search(text)
    if box:
        return box[1] or box[2], "pobox", (), ""
    text = re.sub(r"#\s*", " # ", text).replace("/", " ").replace("-", " ")
    tokens = text.split()
    units = word_set("places", "units") | {"#"}
    for i, token in enumerate(tokens):
        if i > 1 and token in units:
            unit = "".join(t for t in tokens[i:] if t not in units)
            tokens = tokens[:i]
            break
    else:
        unit = ""
    house = ""
    if tokens and re.fullmatch(r"\d+[a-z]?", tokens[0]):
        house, tokens = tokens[0], tokens[1:]
    streets, directions = words("places")["streets"], words("places")["directions"]
    short = [directions.get(t) or streets.get(t, t) for t in tokens]
    kinds = {*directions.values(), *streets.values()}
    return (
        house,
        "".join(short),
        tuple(sorted({t for t in short if len(t) > 2 and t.isalpha() and t not in kinds})),
        unit,
    )


def phone(text: str) -> str:
    """The digits of a number that can be somebody's; empty for `555-0100` and the like."""
    digits = re.sub(r"\D", "", re.split(r"(?i)\s*(?:x|ext|extension)\.?\s*\d+\s*$", text)[0])
    digits = digits.removeprefix("00")
    if len(digits) == 11 and digits[0] == "1":
        digits = digits[1:]
    if not 7 <= len(digits) <= 15 or len(set(digits)) < 3 or digits in word_set("contacts", "phones"):
        return ""
    if _FICTION.search(digits) and len(digits) in (7, 10):
        return ""
    return "" if len(digits) == 10 and digits[0] in "01" and digits[:3] == "000" else digits


def email(text: str) -> str:
    """An address that can be somebody's; empty for `none@none.com` and the like."""
    found = re.fullmatch(r"(?:mailto:)?([^@\s]+)@([^@\s]+\.[^@\s.]+)", text.strip().casefold())
    if not found or found[1] in word_set("contacts", "email_users"):
        return ""
    return f"{found[1].partition('+')[0]}@{found[2]}"
